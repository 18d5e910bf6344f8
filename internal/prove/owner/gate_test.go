// SPDX-License-Identifier: Apache-2.0

package owner

import (
	"context"
	"sync"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// gate stands between one worker and the store. While it is shut every call of
// the worker waits before it, as the calls of a process do that is stopped.
// Heartbeats have a gate of their own: which of its goroutines a process runs
// first when it goes on is chance, and each write must be refused by itself.
type gate struct {
	store.Store

	mu     sync.Mutex
	all    chan struct{} // nil: open
	beats  chan struct{}
	writes chan struct{}      // of a worker that is slow to write, and not stopped
	tried  map[task.Ref]error // of the first append of a task after the gate was shut
	lost   map[task.Ref]bool  // what the heartbeats were answered since then
	stolen int                // items that were rescued through it
}

func newGate(s store.Store) *gate { return &gate{Store: s} }

// shut stops the worker.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all, g.beats = make(chan struct{}), make(chan struct{})
	g.tried, g.lost = map[task.Ref]error{}, map[task.Ref]bool{}
}

// open lets the worker go on, but for its heartbeats.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all != nil {
		close(g.all)
		g.all = nil
	}
}

func (g *gate) openBeats() {
	g.open()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.beats != nil {
		close(g.beats)
		g.beats = nil
	}
}

// hold lets no write of a worker through that claims and renews its leases;
// letGo does.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes = make(chan struct{})
}

func (g *gate) letGo() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.writes != nil {
		close(g.writes)
		g.writes = nil
	}
}

func (g *gate) pass(c *chan struct{}) {
	g.mu.Lock()
	wait := *c
	g.mu.Unlock()
	if wait != nil {
		<-wait
	}
}

func (g *gate) Append(ctx context.Context, a *store.Append) (store.Appended, error) {
	g.pass(&g.all)
	g.pass(&g.writes)
	out, err := g.Store.Append(ctx, a)
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.tried[a.Ref]; g.tried != nil && !known {
		g.tried[a.Ref] = err
	}
	return out, err
}

func (g *gate) Heartbeat(ctx context.Context, ttl time.Duration, beats []store.Beat) ([]store.BeatAnswer, error) {
	g.pass(&g.beats)
	out, err := g.Store.Heartbeat(ctx, ttl, beats)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lost != nil {
		for n, a := range out {
			g.lost[beats[n].Ref] = a.Lost
		}
	}
	return out, err
}

func (g *gate) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claim, error) {
	g.pass(&g.all)
	return g.Store.Claim(ctx, r)
}

func (g *gate) Rescue(ctx context.Context, limit int) ([]string, error) {
	g.pass(&g.all)
	agents, err := g.Store.Rescue(ctx, limit)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stolen += len(agents)
	return agents, err
}

func (g *gate) Promote(ctx context.Context, r store.PromoteRequest) (store.Promoted, error) {
	g.pass(&g.all)
	return g.Store.Promote(ctx, r)
}

func (g *gate) Waiting(ctx context.Context, after string, limit int) ([]string, error) {
	g.pass(&g.all)
	return g.Store.Waiting(ctx, after, limit)
}

func (g *gate) Suspects(ctx context.Context, limit int) ([]string, error) {
	g.pass(&g.all)
	return g.Store.Suspects(ctx, limit)
}

func (g *gate) Load(ctx context.Context, ref task.Ref) (store.Stored, error) {
	g.pass(&g.all)
	return g.Store.Load(ctx, ref)
}

func (g *gate) Read(ctx context.Context, ref task.Ref, after uint64, maxBytes int) (store.Head, []store.Batch, error) {
	g.pass(&g.all)
	return g.Store.Read(ctx, ref, after, maxBytes)
}

func (g *gate) Turns(ctx context.Context, ref task.Ref, after, limit int) ([]store.Turn, error) {
	g.pass(&g.all)
	return g.Store.Turns(ctx, ref, after, limit)
}

// came tells how the first write after the stop was answered, and whether there was one.
func (g *gate) came(ref task.Ref) (error, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	err, ok := g.tried[ref]
	return err, ok
}

// deaf tells whether the heartbeat of a task was answered as lost since the stop.
func (g *gate) deaf(ref task.Ref) (lost, answered bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	lost, answered = g.lost[ref]
	return lost, answered
}

func (g *gate) rescued() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stolen
}
