// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"flag"
	"testing"
	"time"
)

var (
	slow    = flag.Duration("slow", 0, "how long slow readers are tried, with the time to write of production; 0 is one short round")
	readers = flag.Int("readers", 20, "how many readers keep up beside the slow ones, where -slow is given")
)

// A reader of a byte a second beside a producer of a thousand events a second
// costs a bounded buffer, delays nobody, is cut off and reads everything later.
//
// Its figures mean nothing under the race detector, which its name keeps away.
func TestTortureSlowReaders(t *testing.T) {
	o := childOptions{Dir: t.TempDir(), WriteTimeout: 4 * time.Second, Buffer: 64 << 10}
	b := beside{atLeast: 3 * time.Second, every: time.Millisecond, size: 6000, normal: 2, pause: time.Second, sample: 400 * time.Millisecond}
	slows := []int{0, 4}
	warmUp := b
	if *slow > 0 {
		o.WriteTimeout, o.Buffer = 0, 0 // those of production
		b.atLeast, b.size, b.normal, b.sample = 50*time.Second, 400, *readers/2, 3*time.Second
		slows = []int{0, 4, 0, 10}
	}
	c := startChild(t, o)
	warmUp.atLeast = time.Second
	if _, err := c.round(t.Context(), 1, warmUp); err != nil {
		t.Fatal(err)
	}
	rounds := map[int][]*outcome{}
	for begin, n := time.Now(), 0; n < len(slows) || time.Since(begin) < *slow; n++ {
		b.slow = slows[n%len(slows)]
		ctx, cancel := context.WithTimeout(t.Context(), b.atLeast+2*patience)
		r, err := c.round(ctx, n+2, b)
		cancel()
		if err != nil {
			t.Fatalf("round %d with %d slow readers: %v", n+1, b.slow, err)
		}
		t.Logf("round %d, %2d slow: %.0f beats a second; p50 %s, p99 %s beside them, %s, %s at the twin; live heap %.1f MiB, RSS %.1f MiB, with garbage %.1f MiB; cut off after %s",
			n+1, b.slow, r.rate, ms(r.beside.Quantile(.5)), ms(r.beside.Quantile(.99)), ms(r.apart.Quantile(.5)), ms(r.apart.Quantile(.99)),
			mib(r.heap), mib(r.rss), mib(r.peak), r.gone)
		rounds[b.slow] = append(rounds[b.slow], r)
	}
	for n := range rounds {
		if n > 0 {
			judge(t, n, 2+2*b.normal, rounds[0], rounds[n])
		}
	}
}

func mib(n int) float64 { return float64(n) / (1 << 20) }

func ms(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// perReader is what a reader who is behind may cost.
const perReader = 2 << 20

// judge compares the rounds beside n slow readers with the calm ones, and
// within each those who read the same task with those who read its twin. There
// are others who keep up.
func judge(t *testing.T, n, others int, calm, slow []*outcome) {
	t.Helper()
	live := middle(slow, heapOf) - middle(calm, heapOf)
	resident := middle(slow, rssOf) - middle(calm, rssOf)
	const p99 = .99
	t.Logf("medians of %d rounds with %d slow readers and %d with none: p99 %s beside them, %s at the twin, %s in the calm rounds; each costs %.2f MiB of live heap and %.2f MiB of RSS",
		len(slow), n, len(calm), ms(middle(slow, quantileOf(besideOf, p99))), ms(middle(slow, quantileOf(apartOf, p99))),
		ms(middle(calm, quantileOf(besideOf, p99))), mib(live/n), mib(resident/n))
	// On a busy machine the others are behind too, and cost as much.
	behind := n
	if middle(slow, quantileOf(apartOf, p99)) > 250*time.Millisecond {
		behind += others
	}
	// The memory of a process moves by itself by some MiB. A long run has the
	// medians of many rounds.
	if noise := 32 << 20 / len(slow); live > behind*perReader || resident > behind*perReader+noise {
		t.Errorf("%d slow readers cost %.1f MiB of live heap and %.1f MiB of RSS; %d readers were behind", n, mib(live), mib(resident), behind)
	}
	// The twin is read at the same time on the same machine: what is slow for
	// other reasons is slow for both. One that waits for a slow reader waits for
	// its time to write, four seconds at least. A single round on a busy machine
	// says something by its median alone.
	shares, allowed := []float64{.5}, time.Second
	if len(slow) > 1 {
		shares, allowed = []float64{.5, p99}, 500*time.Millisecond
	}
	for _, share := range shares {
		near, far := middle(slow, quantileOf(besideOf, share)), middle(slow, quantileOf(apartOf, share))
		if near > 3*far+allowed {
			t.Errorf("p%.0f beside %d slow readers is %s, and %s at the twin of their task", 100*share, n, near, far)
		}
	}
}

func heapOf(o *outcome) int         { return o.heap }
func rssOf(o *outcome) int          { return o.rss }
func besideOf(o *outcome) Latencies { return o.beside }
func apartOf(o *outcome) Latencies  { return o.apart }

func quantileOf(who func(*outcome) Latencies, share float64) func(*outcome) time.Duration {
	return func(o *outcome) time.Duration { return who(o).Quantile(share) }
}

func middle[T ~int | ~int64](rounds []*outcome, of func(*outcome) T) T {
	var values []T
	for _, r := range rounds {
		values = append(values, of(r))
	}
	return Median(values)
}
