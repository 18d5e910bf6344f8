// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kill is one kill and what it hit.
type Kill struct {
	N    int    `json:"n"`
	Kind string `json:"kind"`
	// ReadyMS is how long the start before it took; 0 where nobody waited for it.
	ReadyMS int64 `json:"readyMs"`
	// Working is how many tasks were in the state WORKING before it, -1 where
	// nobody asked; Moving how many followed ones had shown a chunk a moment ago
	// and had not ended.
	Working int `json:"working"`
	Moving  int `json:"moving"`
	// Acked is how many operations its load was acknowledged by then.
	Acked  int   `json:"acked"`
	TookMS int64 `json:"tookMs"`
}

func (k Kill) String() string {
	return fmt.Sprintf("kill %d (%s): %d tasks working, %d followed and running; %d acknowledged; was ready after %d ms",
		k.N, k.Kind, k.Working, k.Moving, k.Acked, k.ReadyMS)
}

// KillReport is what kills hit.
type KillReport []Kill

// Watched are the kills of a server that had been ready for a while.
func (r KillReport) Watched() (n, hitRunning int) {
	for _, k := range r {
		if k.Working >= 0 {
			n++
			hitRunning += boolInt(k.Moving > 0)
		}
	}
	return n, hitRunning
}

// Took is how long the killing took, without the checks between.
func (r KillReport) Took() time.Duration {
	var ms int64
	for _, k := range r {
		ms += k.TookMS
	}
	return time.Duration(ms) * time.Millisecond
}

// Summary tells the figures in one line.
func (r KillReport) Summary() string {
	if len(r) == 0 {
		return "no kills"
	}
	kinds := make(map[string]int)
	var ready []int64
	var working []int
	for _, k := range r {
		kinds[k.Kind]++
		if k.ReadyMS > 0 {
			ready = append(ready, k.ReadyMS)
		}
		if k.Working >= 0 {
			working = append(working, k.Working)
		}
	}
	var of []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		of = append(of, fmt.Sprintf("%d %s", kinds[kind], kind))
	}
	watched, hit := r.Watched()
	text := fmt.Sprintf("%d kills (%s) in %s, %d of the %d that were watched hit a running attempt",
		len(r), strings.Join(of, ", "), r.Took().Round(time.Second), hit, watched)
	if len(working) > 0 {
		slices.Sort(working)
		text += fmt.Sprintf("; tasks working at a kill: median %d, least %d", working[len(working)/2], working[0])
	}
	if len(ready) > 0 {
		slices.Sort(ready)
		text += fmt.Sprintf("; ready again after: median %d ms, most %d ms", ready[len(ready)/2], ready[len(ready)-1])
	}
	return text
}
