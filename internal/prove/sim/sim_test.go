// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"flag"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// TestMain takes one processor and collects garbage between seeds only. What
// one release sets off may be several goroutines; with one processor they run in
// the order of its queue, which is the same in every run of a seed, and nothing
// comes in between. More processors are used by more processes (-from).
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1)
	goleak.VerifyTestMain(m)
}

// The flags of `make simulate`. Flags have to stand here: the test binary
// parses them before any test runs.
var (
	seeds  = flag.Int("seeds", defaultSeeds, "how many seeds are played")
	from   = flag.Uint64("from", 1, "the first seed")
	single = flag.Uint64("seed", 0, "play this seed alone")
	trace  = flag.Bool("trace", false, "with -seed: print the whole trace")
	twice  = flag.Int("twice", defaultTwice, "how many seeds are played twice, to compare the traces")
)

// play runs one seed.
func play(t *testing.T, seed uint64, keep bool) result {
	var r result
	synctest.Test(t, func(*testing.T) {
		w := newWorld(seed, keep)
		w.run()
		r = result{seed, w.broken, w.sum.Sum64(), w.steps, time.Since(w.began), w.counts, w.lines, w.disturbed}
	})
	return r
}

// again is the command that repeats a seed.
func again(seed uint64) string {
	return fmt.Sprintf("go test ./internal/prove/sim -run TestSimulation -v -args -seed=%d -trace", seed)
}

// mostBroken bounds the seeds that are told of; more of them say nothing more.
const mostBroken = 5

func TestSimulation(t *testing.T) {
	if *single != 0 {
		r := play(t, *single, *trace)
		if *trace {
			t.Log(strings.Join(r.lines, "\n"))
		}
		if r.broken != "" {
			t.Errorf("seed %d: %s", r.seed, r.broken)
		}
		return
	}
	sum := &summary{counts: map[string]int{}}
	begun := time.Now()
	for seed := *from; seed < *from+uint64(*seeds) && sum.broken < mostBroken; seed++ {
		sum.add(t, play(t, seed, false))
		collect(seed)
	}
	t.Logf("%d seeds from %d, %d steps, %s of virtual time, %s", *seeds, *from, sum.steps, sum.virtual.Round(time.Second), time.Since(begun).Round(time.Millisecond))
	for _, what := range slices.Sorted(maps.Keys(sum.counts)) {
		t.Logf("%8d %s", sum.counts[what], what)
	}
	if *seeds < enough || t.Failed() {
		return
	}
	for _, what := range wanted {
		if sum.counts[what] == 0 {
			t.Errorf("%d seeds have met no %s: they prove nothing about it", *seeds, what)
		}
	}
}

// collect collects garbage now and then.
func collect(seed uint64) {
	if seed%32 == 0 {
		runtime.GC()
	}
}

// summary adds up what the seeds came to.
type summary struct {
	broken, steps int
	virtual       time.Duration
	counts        map[string]int
}

func (s *summary) add(t *testing.T, r result) {
	s.steps += r.steps
	s.virtual += r.virtual
	for what, n := range r.counts {
		s.counts[what] += n
	}
	if r.broken != "" {
		s.broken++
		t.Errorf("seed %d: %s\nthe last of its trace:\n%s\nrepeat it with: %s",
			r.seed, r.broken, strings.Join(r.lines[max(0, len(r.lines)-40):], "\n"), again(r.seed))
	}
}

func TestTheSameSeedIsTheSameRun(t *testing.T) {
	for seed := *from; seed < *from+uint64(*twice); seed++ {
		one, two := play(t, seed, true), play(t, seed, true)
		collect(seed)
		if one.hash != two.hash {
			one, two = undisturbedPlay(t, seed), undisturbedPlay(t, seed)
		}
		if one.hash == two.hash {
			continue
		}
		n := 0
		for n < min(len(one.lines), len(two.lines)) && one.lines[n] == two.lines[n] {
			n++
		}
		show := func(lines []string) string { return strings.Join(lines[max(0, n-12):min(n+3, len(lines))], "\n") }
		t.Errorf("seed %d has two traces, which part at line %d of %d and %d:\n%s\nand\n%s", seed, n, len(one.lines), len(two.lines), show(one.lines), show(two.lines))
	}
}

// undisturbedPlay plays a seed again when the machine was so busy that the
// runtime may have changed the order of two goroutines.
func undisturbedPlay(t *testing.T, seed uint64) result {
	r := play(t, seed, true)
	for n := 0; r.disturbed && n < 20; n++ {
		r = play(t, seed, true)
	}
	return r
}

// enough is how many seeds meet everything that is wanted.
const enough = 1000

// wanted is what the seeds must have met: a simulation that never comes to a
// case proves nothing about it.
var wanted = []string{
	"agents started", "agents that heard the end of their context", "agents that do not hear the end of their context",
	"panics", "exits", "events after the end of a turn", "commits of several events", "snapshots",
	"claimed in the accepting commit", "claims whose answer was lost", "claimed again after a loss", "suspects claimed", "queued turns",
	"rescues", "writes fenced off", "heartbeats that said lost", "takeovers", "writes to a closed task refused", "ends refused for a newer turn",
	"refused before the commit", "commits without an answer", "appends that stand unheard", "reads refused", "stale submissions",
	"senders told that the outcome is unknown", "joined keys", "key conflicts",
	"crashes", "freezes", "graceful stops", "steps of a clock", "clients cut off", "lost rings", "lost hints", "lost doorbells", "hints",
	"finished completed", "finished canceled", "finished dead", "finished retryable", "finished pending", "promoted", "expired claims", "withdrawn",
	"turns told that their deadline has passed", "turns told that their task has ended", "turns canceled before they ran", "dead turns",
	"canceled turns that the last event names", "tasks that wait at the end", "subscriptions of tasks that wait",
	"cancel items claimed", "cancellations won", "cancellations lost", "cancellations of running tasks", "cancellations heard by a heartbeat",
	"cancellations refused by the agent", "cancellations refused, as their caller was told",
	"frames shown", "frames shared by several followers", "resumed streams", "streams of a turn read to the end", "subscriptions read to the end",
	"replies", "calls for somebody else's task",
}
