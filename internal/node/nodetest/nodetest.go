// SPDX-License-Identifier: Apache-2.0

// Package nodetest puts an engine, a worker and the memory store together for
// the tests of those rooms: an agent written as two functions, hooks around
// every call of the store, and checks that hold after whatever a test does.
//
// It works inside a synctest bubble, where all durations are virtual.
package nodetest

import (
	"context"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

// TB is what is needed of a testing.TB.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
}

// Options of a World. The zero value is an agent that completes at once, over
// a memory store, with leases of 300 ms.
type Options struct {
	Agent  Agent
	Policy agent.Policy
	// Name is the route of the agent.
	Name string
	// More are further agents; they run the same functions.
	More []string
	// Card replaces the card of the agents.
	Card         *a2a.AgentCard
	ExtendedCard a2asrv.ExtendedAgentCardProducer
	// Resolve finds agents beyond those.
	Resolve func(w *World, tenant, name string) (agent.Agent, error)

	// Store replaces the memory store that Memory describes. It is not closed.
	Store  store.Store
	Memory memory.Options
	// Hooks stand between the rooms and the store.
	Hooks Hooks

	Worker worker.Options
	Engine engine.Options
	Live   live.Limits
	// Idle makes a world whose worker does not run: Run starts it.
	Idle bool
	// Patience bounds every call and stream of the test; default one minute.
	Patience time.Duration
	// Quiet leaves out the checks at the end.
	Quiet bool
}

// RealTime has leases that a busy machine does not lose, for tests outside of
// bubbles.
var RealTime = worker.Options{Lease: time.Minute}

// World is a replica without its doors.
type World struct {
	TB
	Options
	Store  store.Store // without the hooks
	Hub    *live.Hub
	Agents *agent.Registry
	Engine *engine.Engine
	Worker *worker.Worker

	mu   sync.Mutex
	seen map[task.Ref]bool
	stop func()
	main store.Store // with the hooks
	ctx  context.Context
}

// New makes a world and, unless it is to be idle, runs its worker until the
// test ends. Then every task that the test has touched is checked.
func New(tb TB, o Options) *World {
	tb.Helper()
	w := &World{TB: tb, Options: o, Store: o.Store, seen: map[task.Ref]bool{}}
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	var cancel context.CancelFunc
	w.ctx, cancel = context.WithTimeout(tb.Context(), o.Patience)
	tb.Cleanup(cancel)
	if w.Store == nil {
		m := memory.New(o.Memory)
		tb.Cleanup(func() { _ = m.Close() })
		w.Store = m
	}
	agents := []agent.Agent{w.entry(o.Name)}
	for _, name := range o.More {
		agents = append(agents, w.entry(name))
	}
	var err error
	if w.Agents, err = agent.NewRegistry(w.resolver(), agents...); err != nil {
		tb.Fatalf("registry: %v", err)
	}
	w.Hub = live.NewHub(o.Live)
	w.main = &hooked{w.Store, &w.Options.Hooks}
	w.Worker = w.NewWorker("w1", w.main)
	key, err := w.Store.Secret(tb.Context(), "page-token")
	if err != nil {
		tb.Fatalf("secret: %v", err)
	}
	e := o.Engine
	e.Intake, e.Reader, e.Hub, e.Agents, e.TokenKey = w.main, w.main, w.Hub, w.Agents, key
	if e.Worker == nil {
		e.Worker = w.Worker
	}
	w.Engine = engine.New(e)
	if !o.Quiet {
		tb.Cleanup(w.Check)
	}
	tb.Cleanup(func() { w.Stop() })
	if !o.Idle {
		w.Run()
	}
	return w
}

func (w *World) entry(name string) agent.Agent {
	card := w.Card
	if card == nil {
		card = &a2a.AgentCard{Name: "test"}
	}
	return agent.Agent{Name: name, Card: card, Executor: w.Options.Agent.executor(), Policy: w.Policy, ExtendedCard: w.ExtendedCard}
}

// Entry is an agent with functions of its own.
func Entry(a Agent) agent.Agent {
	return agent.Agent{Card: &a2a.AgentCard{Name: "test"}, Executor: a.executor()}
}

func (w *World) resolver() agent.Resolver {
	if w.Resolve == nil {
		return nil
	}
	return func(_ context.Context, tenant, name string) (agent.Agent, error) { return w.Resolve(w, tenant, name) }
}

// NewWorker makes a worker over st with the world's agents and hub.
func (w *World) NewWorker(id string, st store.Store) *worker.Worker {
	o := w.Options.Worker
	o.ID, o.Queue, o.Reader, o.Census, o.Hub, o.Agents = id, st, st, st, w.Hub, w.Agents
	for _, d := range []struct {
		option *time.Duration
		def    time.Duration
	}{{&o.Lease, 300 * time.Millisecond}, {&o.Poll, 50 * time.Millisecond}, {&o.Shutdown, time.Millisecond}} {
		if *d.option == 0 {
			*d.option = d.def
		}
	}
	return worker.New(o)
}

// Run runs the world's worker until Stop.
func (w *World) Run() { w.stop = w.RunWorker(w.Worker) }

// RunWorker runs a worker; the answer stops it and waits for its end.
func (w *World) RunWorker(wk *worker.Worker) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := wk.Run(ctx); err != nil {
			w.Errorf("Run: %v", err)
		}
	}()
	<-wk.Started()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			<-done
		})
	}
	w.Cleanup(stop)
	return stop
}

// Stop ends the worker as a graceful stop does.
func (w *World) Stop() {
	if w.stop != nil {
		w.stop()
	}
}

// Context ends when the patience of the test does.
func (w *World) Context() context.Context { return w.ctx }

// Call is the call of the unnamed owner to the world's agent.
func (w *World) Call() engine.Call { return engine.Call{Agent: w.Name} }

func (w *World) note(ref task.Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[ref] = true
}
