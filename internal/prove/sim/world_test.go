// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing/synctest"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
)

// mood is what a seed is like. Probabilities are per mille.
type mood struct {
	refuse, lose, hold, mute int // of calls of the store
	act, sleep, mishap       int // of draws of the scheduler
	steps, acts              int
	window, liveRecords      int
	warm                     int
}

// world is one run.
type world struct {
	seed   uint64
	rng    *rand.Rand // the scheduler's alone
	mood   mood
	agents []string
	mem    *memory.Store
	oracle *oracle
	calm   bool // no more faults: everything must come to an end
	began  time.Time
	steps  int

	replicas []*replica
	ops      []*op
	mail     []*letter
	letters  int
	last     *call // what was released and not yet reported
	reported int   // ops before this one have been reported
	news     []news
	owed     []news // all that was announced since the last poll
	polled   time.Time
	// disturbed says that some step took so long that the runtime may have
	// taken the processor from a goroutine in the midst of it.
	disturbed bool

	mu        sync.Mutex
	parked    []*call
	names     map[string]string
	counts    map[string]int
	runs      map[string]bool // runs of agents that have begun
	storeSkew time.Duration
	broken    string // the first violation

	traced sync.Mutex
	lines  []string
	keep   bool
	sum    hash.Hash64
}

// result is what one run came to.
type result struct {
	seed    uint64
	broken  string
	hash    uint64
	steps   int
	virtual time.Duration
	counts  map[string]int
	lines   []string
	// disturbed: see world.
	disturbed bool
}

func newWorld(seed uint64, keep bool) *world {
	w := &world{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 0x5eed)), keep: keep, sum: fnv.New64a(), began: time.Now(),
		names: map[string]string{}, counts: map[string]int{}, runs: map[string]bool{},
	}
	w.mood = w.newMood()
	w.agents = [][]string{{"plain"}, {"keeper"}, {"once", "plain"}, {"keeper", "plain"}, {"keeper", "once"}}[w.rng.IntN(5)]
	w.mem = memory.New(memory.Options{Clock: w.storeNow})
	w.oracle = newOracle(w)
	return w
}

func (w *world) newMood() mood {
	upTo := func(most ...int) int { return w.rng.IntN(most[w.rng.IntN(len(most))] + 1) }
	return mood{
		refuse: upTo(0, 20, 150), lose: upTo(0, 30, 150), hold: upTo(0, 200), mute: upTo(0, 100, 1000),
		act: 20 + upTo(100), sleep: 10 + upTo(20, 120, 300), mishap: upTo(0, 10, 40),
		steps: 150 + upTo(350), acts: 8 + upTo(24),
		window: []int{2, 8, 256}[w.rng.IntN(3)], liveRecords: []int{2, 16, 256}[w.rng.IntN(3)],
		warm: []int{1, 8 << 20}[w.rng.IntN(2)],
	}
}

func (w *world) storeNow() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.storeSkew)
}

// count notes that something interesting has happened.
func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// fail notes the first violation; the run ends soon after it.
func (w *world) fail(invariant, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == "" {
		w.broken = invariant + ": " + fmt.Sprintf(format, args...)
	}
}

func (w *world) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken != ""
}

// name gives a task its name in this world: its id differs in every run.
func (w *world) name(id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name, ok := w.names[id]; ok {
		return name
	}
	return "T?"
}

// nameNew names a task after the call that may make it.
func (w *world) nameNew(id string, o *op) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.names[id] == "" {
		w.names[id] = "T" + strconv.Itoa(o.number)
	}
	return w.names[id]
}

// line adds to the trace.
func (w *world) line(text string) {
	w.traced.Lock()
	defer w.traced.Unlock()
	w.steps++
	text = strconv.FormatInt(time.Since(w.began).Microseconds(), 10) + " " + text
	w.sum.Write([]byte(text))
	if !w.keep && len(w.lines) >= 200 {
		w.lines = append(w.lines[:0], w.lines[100:]...)
	}
	w.lines = append(w.lines, text)
}

// undisturbed is how long a step may take and certainly was not interrupted:
// the runtime takes the processor from nobody who has had it for less than 10 ms.
const undisturbed = 5 * time.Millisecond

// clock is the machine's; the time package's is virtual here.
func clock() time.Duration {
	var tv syscall.Timeval
	_ = syscall.Gettimeofday(&tv) // does not fail with a place to write to
	return time.Duration(tv.Nano())
}

// wait lets everything run until nothing can, and reports what came of it.
func (w *world) wait() {
	begun := clock()
	synctest.Wait()
	w.disturbed = w.disturbed || clock()-begun > undisturbed
	if c := w.last; c != nil {
		w.last = nil
		w.line(c.label + ": " + c.result)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.ops[w.reported:] {
		if o.done && o.result != "" {
			w.line(o.name + " " + o.result)
			o.result = ""
		}
	}
	for w.reported < len(w.ops) && w.ops[w.reported].done {
		w.reported++
	}
}

// run plays the whole seed.
func (w *world) run() {
	for range 1 + w.rng.IntN(3) {
		w.startReplica()
	}
	for n := 0; n < w.mood.steps && !w.failed(); n++ {
		w.wait()
		w.turn()
	}
	w.settle()
	if w.failed() {
		w.abort()
		return
	}
	w.close()
	w.oracle.final()
}

// turn draws what happens next.
func (w *world) turn() {
	n := w.rng.IntN(1000)
	free := w.free()
	switch {
	case len(w.ops) < w.mood.acts && (n < w.mood.act || n < 300 && w.reported == len(w.ops)):
		w.act()
	case w.rumors() > 0 && w.rng.IntN(8) == 0:
		w.nudge()
	case n < w.mood.act+w.mood.mishap:
		w.mishap()
	case len(free) == 0 || n < w.mood.act+w.mood.mishap+w.mood.sleep:
		w.sleep()
	default:
		w.let(free[w.rng.IntN(len(free))])
	}
}

// free are the calls that may go on.
func (w *world) free() []*call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var free []*call
	for _, c := range w.parked {
		if c.rep == nil || !c.rep.frozen || w.sensitive(c) {
			free = append(free, c)
		}
	}
	return free
}

// sensitive are the calls that no time passes over. Whoever made them has
// timers beside them, and where two are ready at once the runtime draws which
// comes first, in a way that no seed decides.
func (w *world) sensitive(c *call) bool {
	return c.op != nil && c.op.what == "cancel"
}

// let releases a call, perhaps with a fault.
func (w *world) let(c *call) {
	o := order{}
	switch c.what {
	case "agent", "next", "answer":
	case "hint":
		o.mute = !w.calm && w.rng.IntN(1000) < w.mood.mute
	default:
		o = w.fault(w.rng, c.write)
	}
	switch {
	case o.err != nil:
		c.result = "refused as " + short(o.err)
	case o.lose:
		c.label += " (no answer)"
	}
	w.release(c, o)
}

// fault draws what goes wrong with a call of the store.
func (w *world) fault(rng *rand.Rand, write bool) order {
	o := order{}
	if w.calm {
		return o
	}
	n, m := rng.IntN(1000), &w.mood
	switch {
	case write && n < m.refuse:
		o.err = []error{store.ErrUnavailable, store.ErrFull, store.ErrOverloaded, store.ErrUnknown}[rng.IntN(4)]
		w.count("refused before the commit")
	case n < m.refuse:
		o.err = store.ErrUnavailable
		w.count("reads refused")
	case write && n < m.refuse+m.lose:
		o.lose = true
		w.count("commits without an answer")
	case write && n < m.refuse+m.lose+m.hold:
		o.hold = true
	}
	o.mute = write && rng.IntN(1000) < m.mute
	return o
}

// sleep lets time pass.
func (w *world) sleep() {
	w.flush()
	d := time.Millisecond<<w.rng.IntN(9) + time.Duration(w.rng.IntN(1e6))
	if w.rng.IntN(12) == 0 {
		d += time.Duration(w.rng.Int64N(int64(3 * lease)))
	}
	w.line("sleep")
	begun := clock()
	time.Sleep(d)
	w.disturbed = w.disturbed || clock()-begun > undisturbed
	w.pollNews()
}

// news is a commit that another replica has not heard of.
type news struct {
	rep *replica
	b   *book
}

// rumors counts the commits that somebody has not heard of.
func (w *world) rumors() int {
	w.oracle.mu.Lock()
	defer w.oracle.mu.Unlock()
	return len(w.news)
}

// announce notes for whom a commit is news. The doorbell between replicas is
// the simulation's: today one process has the whole store to itself.
func (w *world) announce(b *book, from *replica) {
	for _, r := range w.replicas {
		if r != from {
			w.news = append(w.news, news{r, b})
			w.owed = append(w.owed, news{r, b})
		}
	}
}

// nudge rings the doorbell of a replica, or loses the ring.
func (w *world) nudge() {
	n := w.rng.IntN(w.rumors())
	w.oracle.mu.Lock()
	at := w.news[n]
	w.news = slices.Delete(w.news, n, n+1)
	w.oracle.mu.Unlock()
	if w.rng.IntN(1000) < w.mood.mute {
		w.count("lost doorbells")
		return
	}
	w.line("nudge " + at.rep.name + " " + at.b.name)
	at.rep.hub.Nudge(at.b.ref)
}

// pollNews is the poll behind the doorbell: what was lost is late, and no more.
func (w *world) pollNews() {
	w.wait()
	if time.Since(w.polled) < poll {
		return
	}
	w.polled = time.Now()
	w.oracle.mu.Lock()
	owed := w.owed
	w.news, w.owed = nil, nil
	w.oracle.mu.Unlock()
	for _, n := range owed { // and nobody else: of its own commits a replica must know by itself
		if !n.rep.dead {
			n.rep.hub.Nudge(n.b.ref)
			w.wait()
		}
	}
}

// flush lets the sensitive calls go on until there are none.
func (w *world) flush() {
	for !w.failed() {
		w.wait()
		w.mu.Lock()
		n := slices.IndexFunc(w.parked, w.sensitive)
		var c *call
		if n >= 0 {
			c = w.parked[n]
		}
		w.mu.Unlock()
		if c == nil {
			return
		}
		w.let(c)
	}
}

// living are the replicas that take calls.
func (w *world) living() []*replica {
	var out []*replica
	for _, r := range w.replicas {
		if r.alive() {
			out = append(out, r)
		}
	}
	return out
}
