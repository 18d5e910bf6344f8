// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"strconv"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

// Durations of the simulated replicas. They differ from replica to replica by
// some nanoseconds, so that two timers do not fire in one instant.
const (
	lease     = time.Second
	heartbeat = 300 * time.Millisecond
	sweep     = 410 * time.Millisecond
	poll      = 700 * time.Millisecond
	first     = 60 * time.Millisecond
	shutdown  = 1500 * time.Millisecond
	grace     = 900 * time.Millisecond
)

// replica is a process: a worker and a hub over the store that all share.
type replica struct {
	w        *world
	name     string
	odd      time.Duration // what its timers differ by from those of others
	worker   *worker.Worker
	hub      *live.Hub
	agents   *agent.Registry
	stop     context.CancelFunc
	stopped  chan struct{}
	skew     time.Duration // of its clock
	dead     bool          // crashed: nothing of it reaches the store any more
	stopping bool
	ended    bool // Run has returned
	halted   bool // stopped is closed
	frozen   bool
}

// policies are those of the agents of a simulation, by name.
var policies = map[string]agent.Policy{
	"plain":  {Retry: retry, CancelGrace: grace, Concurrency: 3},
	"keeper": {Retry: retry, CancelGrace: grace, OnRetry: agent.KeepArtifacts, MessageIDKey: true, RetryFailed: true, AttemptTimeout: 1300*time.Millisecond + 7, InactivityTimeout: 900*time.Millisecond + 3, Concurrency: 2},
	"once":   {Retry: retry, CancelGrace: grace, OnLost: agent.FailLost, Concurrency: 1},
}

var retry = task.Retry{MaxAttempts: 3, MaxLosses: 5, InitialDelay: 150 * time.Millisecond, MaxDelay: 600 * time.Millisecond}

// startReplica starts a process.
func (w *world) startReplica() {
	n := len(w.replicas) + 1
	r := &replica{w: w, name: "r" + strconv.Itoa(n), odd: time.Duration(n), stopped: make(chan struct{})}
	r.hub = live.NewHub(live.Limits{Records: w.mood.liveRecords})
	var agents []agent.Agent
	for _, name := range w.agents {
		card := &a2a.AgentCard{Name: name, Capabilities: a2a.AgentCapabilities{Streaming: true}}
		agents = append(agents, agent.Agent{Name: name, Card: card, Executor: &actor{w, r}, Policy: policies[name]})
	}
	var err error
	if r.agents, err = agent.NewRegistry(nil, agents...); err != nil {
		panic(err) // the agents are constants
	}
	d := &door{w: w, rep: r}
	r.worker = worker.New(worker.Options{
		ID: r.name, Queue: d, Reader: d, Census: d, Hub: r.hub, Agents: r.agents,
		Limits: worker.Limits{WindowEvents: w.mood.window},
		Lease:  lease, Heartbeat: heartbeat + 17*r.odd, Sweep: sweep + 13*r.odd, Poll: poll + 29*r.odd, FirstEvent: first, Shutdown: shutdown, Probation: 2*time.Second + 31*r.odd,
		Warm: w.mood.warm, Now: r.now, Random: r.random,
	})
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	w.replicas = append(w.replicas, r)
	go func() {
		_ = r.worker.Run(ctx) // always nil
		w.mu.Lock()
		defer w.mu.Unlock()
		r.ended = true
	}()
	w.wait()
	time.Sleep(time.Microsecond)
}

func (r *replica) now() time.Time {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return time.Now().Add(r.skew)
}

// random is the jitter of backoffs. It hangs on the time alone, because nobody
// can say which of two attempts would ask first.
func (r *replica) random() float64 {
	return r.w.derive("jitter", r.name, strconv.FormatInt(time.Now().UnixNano(), 36)).Float64()
}

// gate refuses messages as a node does while it stops.
func (r *replica) gate() error {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if r.stopping {
		return task.Errorf(task.ErrUnavailable, "the server is stopping; nothing was accepted")
	}
	return nil
}

// over tells whether Run has returned.
func (r *replica) over() bool {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return r.ended
}

func (r *replica) alive() bool { return !r.dead && !r.stopping }

// engineOf makes the engine of one call, so that its calls of the store can be
// told from those of others.
func (r *replica) engineOf(o *op) *engine.Engine {
	d := &door{w: r.w, rep: r, op: o}
	return engine.New(engine.Options{
		Intake: d, Reader: d, Hub: r.hub, Agents: r.agents, Worker: &ears{r.worker, r, o},
		TokenKey: make([]byte, 32), Gate: r.gate, Stopped: r.stopped, Now: r.now,
	})
}

// ears are the worker as the engine of a call sees it: a ring may be lost.
type ears struct {
	*worker.Worker
	rep *replica
	op  *op
}

var _ engine.Worker = (*ears)(nil)

// Ring is lost now and then.
func (e *ears) Ring(name string) {
	w := e.rep.w
	if w.derive("ring", e.op.name).IntN(1000) < w.mood.mute {
		w.count("lost rings")
		return
	}
	e.Worker.Ring(name)
}

// Hint is heard when the scheduler says so, or never.
func (e *ears) Hint(ref task.Ref) {
	w := e.rep.w
	o := w.park(&call{label: e.op.name + " hint " + w.name(ref.ID), what: "hint", rep: e.rep, op: e.op})
	if o.mute || o.kill {
		w.count("lost hints")
		return
	}
	w.count("hints")
	e.Worker.Hint(ref)
}

// crash ends a process at once: what it had under way is committed or not, and
// nobody hears of it.
func (w *world) crash(r *replica) {
	w.count("crashes")
	w.line("crash " + r.name)
	w.mu.Lock()
	r.dead = true
	var mine []*call
	for _, c := range w.parked {
		if c.rep == r {
			mine = append(mine, c)
		}
	}
	for _, o := range w.ops {
		if o.rep == r && !o.done {
			o.cancel()
		}
	}
	w.mu.Unlock()
	for _, c := range mine {
		w.release(c, order{kill: true, late: c.write && w.rng.IntN(2) == 0})
		w.wait()
	}
	r.stop()
}

// halt tells those who wait at a replica whose worker has stopped.
func (w *world) halt(r *replica) {
	w.line("halt " + r.name)
	r.halted = true
	close(r.stopped)
}
