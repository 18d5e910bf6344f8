// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

// The flags of `make torture`: the test binary parses them before any test runs.
var (
	cuts      = flag.Int("cuts", powerCuts, "how often the power is cut")
	powerSeed = flag.Uint64("power-seed", 0, "seed of the power cuts; 0 draws one")
)

// chain is one store through many lives. Each ends when the power is cut, or
// now and then when the process is killed, and the next begins with what is
// left of it: so power is also cut while a store recovers from the cut before.
type chain struct {
	t    *testing.T
	rand *rand.Rand
	name string
	// What disk is it, and what store.
	deaf, failing bool
	seam          func(sqlstore.Conn) sqlstore.Conn

	disk            map[string][]byte // what the next life finds, after a cut
	killed          *volume           // the same, after a kill
	tried, answered map[string]progress
	lives, cuts     int
	before          string // how the last life ended
	tally           *tally
}

// tally is what all chains of a test have seen.
type tally struct {
	mu     sync.Mutex
	where  map[string]int // in the middle of what, and doing what, the power ended
	acked  int
	failed int // syncs
	wrong  []string
}

func (t *tally) add(where string, acked, failed int, wrong []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.where[where]++
	t.acked += acked
	t.failed += failed
	t.wrong = append(t.wrong, wrong...)
}

func (t *tally) count(part string) (n int) {
	for where, k := range t.where {
		if strings.Contains(where, part) {
			n += k
		}
	}
	return n
}

// controls is how often the power is cut under a store that must lose by it.
const controls = 30

// linksPerChain keeps stores small: what is checked again and again grows.
const linksPerChain = 10

const (
	opening = "opening"
	working = "working"
	closing = "closing"
)

// run goes on until the power was cut n times; the kills between do not count.
func (c *chain) run(n int) {
	for c.cuts < n {
		if !c.live() {
			return
		}
	}
	c.last()
}

// options are those of a store that makes checkpoints all the time.
func (c *chain) options() Options { return Options{CheckpointBytes: 1, seam: c.seam} }

// live opens the store on what is left, works on it and ends in the middle of
// something. It reports whether there is something to go on with.
func (c *chain) live() bool {
	c.lives++
	v, err := c.volume()
	if err != nil {
		c.t.Error(err)
		return false
	}
	d := newDiary(c.tried, c.answered)
	var phase atomic.Value
	phase.Store(opening)
	var over = make(chan struct{})
	kill := !c.failing && c.rand.IntN(5) == 0
	nextDir := c.t.TempDir()
	where := ""
	v.end = func(at string) {
		d.seal()
		where = fmt.Sprint(phase.Load(), ": ", at)
		if c.disk, c.killed = nil, nil; kill {
			where += " (kill)"
			if c.killed, err = v.killed(nextDir); err != nil {
				c.t.Error(err)
			}
		} else {
			c.cuts++
			c.disk = v.survivors()
		}
		close(over)
	}
	recording.mount(v)
	defer recording.unmount(v)
	wrong := c.work(v, d, &phase, over)
	v.stop("nothing")
	c.tried, c.answered = d.tried, d.sealed
	for _, name := range v.failed {
		where += " after a failed sync of " + name
	}
	for n := range wrong {
		wrong[n] += fmt.Sprintf(" (life %d; %s; the life before: %s)", c.lives, where, c.before)
	}
	c.before = where
	c.tally.add(where, d.done, len(v.failed), wrong)
	return len(wrong) == 0
}

// volume is what this life finds, with the moment of its end.
func (c *chain) volume() (v *volume, err error) {
	if c.killed != nil {
		v = c.killed
		v.rand = rand.New(rand.NewPCG(c.rand.Uint64(), 1))
	} else {
		v, err = newVolume(c.t.TempDir(), c.disk, rand.New(rand.NewPCG(c.rand.Uint64(), 1)))
		if err != nil {
			return nil, err
		}
	}
	v.deaf = c.deaf
	v.only, v.at = c.moment()
	if c.failing {
		v.only, v.failAt = "", v.at
		v.at += 1 + c.rand.IntN(60)
	}
	return v, nil
}

// moment draws when a life ends: most steps are writes to the log, and they
// are not the most dangerous ones.
func (c *chain) moment() (only string, at int) {
	switch c.rand.IntN(8) {
	case 0, 1:
		return "", 1 + c.rand.IntN(60) // while it opens
	case 2:
		return "sync ", 1 + c.rand.IntN(100)
	case 3:
		return "write store.db.", 1 + c.rand.IntN(100)
	case 4:
		return "store.db.", 1 + c.rand.IntN(60)
	case 5:
		return []string{"truncate ", "delete ", "create "}[c.rand.IntN(3)], 1 + c.rand.IntN(2)
	}
	return "", 1 + c.rand.IntN(600)
}

// work opens the store, looks at it, works on it and closes it.
func (c *chain) work(v *volume, d *diary, phase *atomic.Value, over <-chan struct{}) (wrong []string) {
	ended := func() bool {
		select {
		case <-over:
			return true
		default:
			return false
		}
	}
	s, err := Open(c.t.Context(), filepath.Join(v.dir, "store.db"), c.options())
	if err != nil {
		if ended() || len(v.failures()) > 0 {
			return nil
		}
		return []string{"lost: the store cannot be opened: " + err.Error()}
	}
	defer func() {
		phase.Store(closing)
		if err := s.Close(); err != nil && len(v.failures()) == 0 && wrong == nil {
			wrong = []string{"close: " + err.Error()}
		}
	}()
	if !ended() {
		found, half := survey(c.t.Context(), s)
		if wrong = append(half, compare(found, c.answered, c.tried)...); len(wrong) > 0 {
			return wrong
		}
		d.show(found)
	}
	phase.Store(working)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for w := range 6 {
		r := rand.New(rand.NewPCG(c.rand.Uint64(), uint64(w)))
		wg.Go(func() {
			for n := 0; n < 8 && !ended(); n++ {
				e := &errand{s: s, d: d, id: fmt.Sprintf("%s-%02d-%d-%d", c.name, c.lives, w, n), draw: r.IntN}
				if err := e.run(context.Background()); err != nil && len(v.failures()) == 0 {
					mu.Lock()
					wrong = append(wrong, err.Error())
					mu.Unlock()
					return
				}
				if w == 0 && r.IntN(3) == 0 {
					if err := s.checkpoint(); err != nil && len(v.failures()) == 0 {
						c.t.Errorf("checkpoint: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	return wrong
}

// last checks what the last life left, on the disk of this machine, and that
// the store goes on from there.
func (c *chain) last() {
	dir := c.t.TempDir()
	var err error
	if c.killed != nil {
		_, err = c.killed.killed(dir)
	} else {
		_, err = newVolume(dir, c.disk, c.rand)
	}
	if err != nil {
		c.t.Error(err)
		return
	}
	s, err := Open(c.t.Context(), filepath.Join(dir, "store.db"), Options{})
	if err != nil {
		c.tally.add("afterwards", 0, 0, []string{"lost: the store cannot be opened: " + err.Error()})
		return
	}
	found, wrong := survey(c.t.Context(), s)
	wrong = append(wrong, compare(found, c.answered, c.tried)...)
	e := &errand{s: s, d: newDiary(nil, nil), id: "afterwards", draw: func(n int) int { return n - 1 }}
	e.d.tried, e.d.answered = map[string]progress{}, map[string]progress{}
	if err := e.run(c.t.Context()); err != nil {
		wrong = append(wrong, "afterwards: "+err.Error())
	}
	if err := s.Close(); err != nil {
		wrong = append(wrong, "close: "+err.Error())
	}
	c.tally.add("afterwards", 0, 0, wrong)
}

// cutPower runs chains until the power was cut n times.
func cutPower(t *testing.T, n int, change func(*chain)) *tally {
	t.Helper()
	seed := *powerSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	all := &tally{where: map[string]int{}}
	var chains []*chain
	for k := 0; k*linksPerChain < n; k++ {
		c := &chain{
			t: t, rand: rand.New(rand.NewPCG(seed, uint64(k))), name: fmt.Sprintf("c%03d", k), tally: all,
			tried: map[string]progress{}, answered: map[string]progress{},
		}
		change(c)
		chains = append(chains, c)
	}
	todo := make(chan *chain)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for c := range todo {
				c.run(min(linksPerChain, n))
			}
		})
	}
	for _, c := range chains {
		todo <- c
	}
	close(todo)
	wg.Wait()
	kills := all.count("(kill)")
	t.Logf("seed %d: %d power cuts and %d kills, %d of them while opening; %d syncs failed, %d answers, %d wrong",
		seed, all.count(": ")-kills, kills, all.count(opening), all.failed, all.acked, len(all.wrong))
	for _, where := range slices.Sorted(maps.Keys(all.where)) {
		t.Logf("%5d %s", all.where[where], where)
	}
	return all
}

func TestWhatWasAcknowledgedSurvivesPowerCuts(t *testing.T) {
	t.Parallel()
	all := cutPower(t, *cuts, func(*chain) {})
	for _, w := range all.wrong {
		t.Error(w)
	}
	for _, must := range []string{
		"opening: write store.db-wal", "working: write store.db-wal", "working: sync store.db-wal", "working: write store.db", "(kill)",
	} {
		if all.count(must) == 0 {
			t.Errorf("the power never ended in the middle of %q", must)
		}
	}
}

// After a failed sync Linux takes what it could not write for written.
func TestWhatWasAcknowledgedSurvivesFailedSyncsAndPowerCuts(t *testing.T) {
	t.Parallel()
	all := cutPower(t, *cuts/2, func(c *chain) { c.failing = true })
	for _, w := range all.wrong {
		t.Error(w)
	}
	if all.failed == 0 {
		t.Error("no sync failed")
	}
}

// The cuts find what they are there to find.
func TestPowerCutsFindAStoreThatDoesNotSync(t *testing.T) {
	t.Parallel()
	slack := func(level string) func(*chain) {
		return func(c *chain) {
			c.seam = func(w sqlstore.Conn) sqlstore.Conn {
				if _, err := w.(*conn).pragma("synchronous = " + level); err != nil {
					c.t.Error(err)
				}
				return w
			}
		}
	}
	for name, change := range map[string]func(*chain){
		"a disk that does not sync": func(c *chain) { c.deaf = true },
		"synchronous = OFF":         slack("OFF"),
		"synchronous = NORMAL":      slack("NORMAL"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := cutPower(t, controls, change)
			lost := 0
			for _, w := range all.wrong {
				if strings.HasPrefix(w, "lost: ") {
					lost++
				}
			}
			if lost == 0 {
				t.Error("nothing was found to be lost")
			}
		})
	}
}
