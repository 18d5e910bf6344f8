// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Latencies are the times from the moment when an agent gave an event away
// until a follower had it. Both are processes of one machine, so that its
// clock tells.
type Latencies []time.Duration

// Quantile is the latency that the given share of them does not exceed.
func (l Latencies) Quantile(share float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l))
	return sorted[min(int(share*float64(len(l))), len(l)-1)]
}

// Median is the middle one.
func Median[T ~int | ~int64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// Beat reads what a beat says: its number and when it was given away. It reads
// no more than that.
func Beat(said []byte) (n int, at time.Time, err error) {
	number, rest, _ := bytes.Cut(said, []byte(" "))
	moment, _, _ := bytes.Cut(rest, []byte(" "))
	n, err = strconv.Atoi(string(number))
	nanos, err2 := strconv.ParseInt(string(moment), 10, 64)
	return n, time.Unix(0, nanos), errors.Join(err, err2)
}

// RSS is the resident memory of a process in bytes.
func RSS(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of a process: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return kib << 10, err
		}
	}
	return 0, errors.New("read the memory of a process: it has no VmRSS")
}
