// SPDX-License-Identifier: Apache-2.0

// Package worker claims work items and runs them: it calls the executors,
// records what they yield under the epoch of the claim, keeps the leases alive
// and brings back what others lost.
//
// Each loop has a file: claim.go, heartbeat.go, maintain.go, and attempt.go for
// one run of an item.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// Reader is what running a follow-up needs of the store.
type Reader interface {
	Load(ctx context.Context, ref task.Ref) (store.Stored, error)
	Read(ctx context.Context, ref task.Ref, after uint64, maxBytes int) (store.Head, []store.Batch, error)
	Turns(ctx context.Context, ref task.Ref, after, limit int) ([]store.Turn, error)
}

// Census knows who has work.
type Census interface {
	Waiting(ctx context.Context, after string, limit int) ([]string, error)
	Suspects(ctx context.Context, limit int) ([]string, error)
}

// ContextCodec restores values of a context from data that was stored.
type ContextCodec interface {
	Decode(ctx context.Context, data map[string]any) (context.Context, error)
}

// Limits bound what an executor may yield. Zero fields mean the defaults.
type Limits struct {
	Event        int // bytes of one event; default 1 MiB
	Task         int // bytes of a folded task; default 64 MiB
	WindowEvents int // events of an attempt that are not committed yet; default 256
	WindowBytes  int // bytes of them; default 1 MiB
}

// Options are what a worker is made of. Zero durations mean the defaults.
type Options struct {
	ID     string
	Queue  store.Queue
	Reader Reader
	// Census tells the names of agents beyond the fixed set that have work, and
	// of those that have suspects.
	Census Census
	Hub    *live.Hub
	Agents *agent.Registry
	Limits Limits

	// MaxExecutions bounds what runs here at a time, of all agents; 0: no bound
	// but theirs.
	MaxExecutions int

	// Codec restores what the engine's made of a caller's context; nil: nothing.
	Codec ContextCodec
	// Intercept may change what an executor is called with, each time.
	Intercept []a2asrv.ExecutorContextInterceptor
	// OnPanic makes the error of an attempt whose executor panicked; nil, or a
	// nil answer: an error that says so.
	OnPanic func(p any) error

	Lease      time.Duration // default 15 s
	Heartbeat  time.Duration // default a third of the lease
	Sweep      time.Duration // between two rescues; default a third of the lease
	Poll       time.Duration // between two looks for work when no bell rings; default 1 s
	FirstEvent time.Duration // after which a silent task is published; default 500 ms
	Shutdown   time.Duration // how long a stop waits for what runs; default 30 s
	// Probation is how long a suspect runs before another one may begin beside
	// it; default 30 s. See store.SuspectLosses.
	Probation time.Duration
	// Warm bounds the memory of folded tasks kept for their next turn; default
	// 8 MiB. What is not used for WarmFor (default 10 s) is dropped.
	Warm    int
	WarmFor time.Duration

	Now    func() time.Time
	Random func() float64 // in [0, 1), for backoff
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	num := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	def(&o.Lease, 15*time.Second)
	def(&o.Heartbeat, o.Lease/3)
	def(&o.Sweep, o.Lease/3)
	def(&o.Poll, time.Second)
	def(&o.FirstEvent, 500*time.Millisecond)
	def(&o.Shutdown, 30*time.Second)
	def(&o.Probation, 30*time.Second)
	def(&o.WarmFor, 10*time.Second)
	num(&o.Warm, 8<<20)
	num(&o.Limits.Event, 1<<20)
	num(&o.Limits.Task, 64<<20)
	num(&o.Limits.WindowEvents, 256)
	num(&o.Limits.WindowBytes, 1<<20)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Why the context of an executor was cancelled; context.Cause gives it.
var (
	// ErrLost: another owner has the task; nothing that this run yields counts.
	ErrLost = errors.New("errand: the lease was lost")
	// ErrEnded: the task has ended, for example by a cancellation.
	ErrEnded = errors.New("errand: the task has ended")
	// ErrDrained: the server is stopping; the turn runs again elsewhere.
	ErrDrained = errors.New("errand: the server is stopping")
	// ErrTimeout: the attempt took longer than its agent's policy allows.
	ErrTimeout = errors.New("errand: attempt timeout")
	// ErrInactive: the attempt yielded nothing for longer than the policy allows.
	ErrInactive = errors.New("errand: inactivity timeout")
)

// Worker runs the work items of this replica.
type Worker struct {
	o    Options
	warm *warm

	mu       sync.Mutex
	open     bool // claims may start
	used     map[string]int
	total    int            // of used
	waiting  map[string]int // items that may wait for a claim, as the bells have it
	running  map[task.Ref]*attempt
	bells    map[string]chan struct{}
	others   chan struct{}   // the bell of all agents beyond the fixed set
	short    []chan struct{} // bells of those that found a slot of their own and none of all agents'
	suspects chan struct{}   // the bell of the suspects of all agents
	owed     map[string]bool // agents whose next free slot is a suspect's
	owedAny  bool            // one of them waits for the bound of all agents
	yields   map[string]bool // agents whose last free slot a suspect had: the next is the others'
	attempts sync.WaitGroup
	started  chan struct{} // closed when Run has begun
	draining chan struct{} // closed when what runs must be released
	sooner   chan time.Duration
	told     record.Told // tasks that cannot be read
}

// New makes a worker. It claims nothing before Run.
func New(o Options) *Worker {
	o = o.withDefaults()
	w := &Worker{
		o: o, used: map[string]int{}, waiting: map[string]int{}, running: map[task.Ref]*attempt{},
		bells: map[string]chan struct{}{}, others: make(chan struct{}, 1),
		suspects: make(chan struct{}, 1), owed: map[string]bool{}, yields: map[string]bool{},
		started: make(chan struct{}), draining: make(chan struct{}), sooner: make(chan time.Duration, 1),
	}
	w.warm = newWarm(o.Warm, o.WarmFor, o.Now)
	for _, name := range o.Agents.Names() {
		w.bells[name] = make(chan struct{}, 1)
	}
	return w
}

// Run works until ctx ends, then drains: it claims nothing more, waits for
// what runs, at most Options.Shutdown, and releases the rest. It returns when
// nothing of the worker runs any more. A worker runs once.
func (w *Worker) Run(ctx context.Context) error {
	w.setOpen(true)
	close(w.started)
	loops, stopLoops := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	claims, stopClaims := context.WithCancel(ctx)
	for _, name := range w.o.Agents.Names() {
		group.Go(func() { w.claimLoop(claims, name) })
	}
	if w.o.Agents.Resolves() {
		group.Go(func() { w.claimOthersLoop(claims) })
	}
	group.Go(func() { w.suspectLoop(claims) })
	group.Go(func() { w.heartbeatLoop(loops) })
	group.Go(func() { w.maintainLoop(loops) })
	<-ctx.Done()
	w.setOpen(false)
	stopClaims()
	w.drain()
	stopLoops()
	group.Wait()
	return nil
}

// Started is closed when Run has begun: from then on there are slots.
func (w *Worker) Started() <-chan struct{} { return w.started }

func (w *Worker) setOpen(open bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = open
}

// drain waits for the attempts; what has not ended by then is released.
func (w *Worker) drain() {
	ended := make(chan struct{})
	go func() {
		w.attempts.Wait()
		close(ended)
	}()
	timer := time.NewTimer(w.o.Shutdown)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		close(w.draining)
		<-ended
	}
}

// Reserve takes a free execution slot of an agent, for a claim that another
// room is about to make. It fails while the worker does not run.
func (w *Worker) Reserve(name string) (store.Taker, bool) {
	n := w.reserve(name, 1)
	return w.taker(), n == 1
}

func (w *Worker) taker() store.Taker { return store.Taker{Worker: w.o.ID, TTL: w.o.Lease} }

func (w *Worker) reserve(name string, want int) int {
	limit := w.o.Agents.Concurrency(name)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open {
		return 0
	}
	n := min(w.room(name, limit, true), want)
	if n <= 0 {
		if w.used[name] < limit {
			w.runShort(name)
		}
		return 0
	}
	if w.yields[name] {
		delete(w.yields, name)
		wake(w.suspects)
	}
	w.take(name, n)
	return n
}

// runShort notes whom to wake when any agent's slot becomes free, and only them:
// a worker that woke all who might wait would wake itself. The caller holds w.mu.
func (w *Worker) runShort(name string) {
	if bell := w.bellOf(name); !slices.Contains(w.short, bell) {
		w.short = append(w.short, bell)
	}
}

// take takes slots that are free. The caller holds w.mu.
func (w *Worker) take(name string, n int) {
	w.used[name] += n
	w.total += n
	// The attempt is waited for from the moment that its slot is taken: a claim
	// that was made must be run or released, also when a stop comes in between.
	w.attempts.Add(n)
}

// Release gives back a reserved slot that no claim was made for.
func (w *Worker) Release(name string) {
	w.leaveSlot(name)
	w.attempts.Done()
}

// Start runs a claim on a reserved slot and returns at once.
func (w *Worker) Start(c *store.Claim, given *record.Given) { go w.run(c, given) }

func (w *Worker) run(c *store.Claim, given *record.Given) {
	w.runIn(&slot{w: w, agent: c.Head.Agent}, c, given)
}

func (w *Worker) runIn(slot *slot, c *store.Claim, given *record.Given) {
	name := c.Head.Agent
	defer w.attempts.Done()
	defer slot.free()
	a, err := w.find(c.Head.Tenant, name)
	if err != nil {
		w.o.Logger.Error("cannot find the agent of a claimed item", "agent", name, "task", c.Head.ID, "error", err)
		a = agent.Failing(name, fmt.Errorf("find the agent: %w", err))
	}
	at := newAttempt(w, a, c, slot)
	at.given = given
	at.run()
}

// find finds the agent of an item; one that is not of the fixed set may take
// as long as a lease lasts without a heartbeat.
func (w *Worker) find(tenant, name string) (*agent.Agent, error) {
	ctx, cancel := context.WithTimeout(context.Background(), w.o.Lease/2)
	defer cancel()
	return w.o.Agents.Find(ctx, tenant, name)
}

// leaveSlot gives a slot back and wakes whoever may wait for it.
func (w *Worker) leaveSlot(name string) {
	limit := w.o.Agents.Concurrency(name)
	w.mu.Lock()
	_, fixed := w.bells[name]
	waits := w.waiting[name] > 0 || !fixed && w.used[name] == limit
	if w.used[name]--; w.used[name] == 0 && !fixed {
		delete(w.used, name) // names come and go
	}
	w.total--
	owed := len(w.owed) > 0
	for _, bell := range w.short { // before the bound of all agents they waited, whatever agent leaves
		wake(bell)
	}
	w.short = w.short[:0]
	w.mu.Unlock()
	if waits {
		w.ring(name)
	}
	if owed {
		wake(w.suspects)
	}
}

// slot is the execution slot of one attempt. It is free as soon as the attempt
// has come to its end, so that whoever hears of the end finds it free.
type slot struct {
	w     *Worker
	agent string
	once  sync.Once
	freed chan struct{} // closed then, unless it is nil
}

func (s *slot) free() {
	s.once.Do(func() {
		s.w.leaveSlot(s.agent)
		if s.freed != nil {
			close(s.freed)
		}
	})
}

// Ring says that an agent has one more item ready.
func (w *Worker) Ring(name string) {
	w.note(name, 1)
	w.ring(name)
}

// ring wakes the claim loop of an agent.
func (w *Worker) ring(name string) {
	wake(w.bellOf(name))
}

func (w *Worker) bellOf(name string) chan struct{} {
	if bell, fixed := w.bells[name]; fixed {
		return bell
	}
	return w.others
}

func wake(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// Hint says that a cancellation of a task was asked for. If it runs here, the
// attempt looks at once; otherwise nothing happens.
func (w *Worker) Hint(ref task.Ref) {
	w.mu.Lock()
	at := w.running[ref]
	w.mu.Unlock()
	if at != nil {
		at.look()
	}
}

// enter puts an attempt among those that the heartbeat knows. One that was
// there has lost the task to it, and nobody else would ever say so.
func (w *Worker) enter(at *attempt) {
	w.mu.Lock()
	old := w.running[at.ref]
	w.running[at.ref] = at
	w.mu.Unlock()
	if old != nil {
		old.hear(store.BeatAnswer{Lost: true})
	}
}

func (w *Worker) leave(at *attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running[at.ref] == at {
		delete(w.running, at.ref)
	}
}

// Stats counts what runs, by agent.
func (w *Worker) Stats() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[string]int, len(w.used))
	for name, n := range w.used {
		out[name] = n
	}
	return out
}
