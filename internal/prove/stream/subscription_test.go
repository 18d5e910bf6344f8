// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/node"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/store/sqlite"
)

var follows = flag.Int("follows", 1000, "how many subscriptions begin while events commit")

// Whoever subscribes while events commit is shown the task at some sequence
// and then every later event, whatever the store, however much the hub holds
// and by whichever binding.
func TestSubscribeWhileEventsCommit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		store   func(*testing.T) store.Store
		hub     live.Limits
		percent int
		binding int // -1: in the process
	}{
		{"in the process, on SQLite", onSQLite, live.Limits{}, 40, -1},
		{"in the process, in memory", inMemory, live.Limits{}, 25, -1},
		{"in the process, where next to nothing is held for a follower", onSQLite, live.Limits{Records: 2}, 15, -1},
		{"over JSON-RPC, on SQLite", onSQLite, live.Limits{}, 7, 0},
		{"over REST, on SQLite", onSQLite, live.Limits{}, 7, 1},
		{"over gRPC, on SQLite", onSQLite, live.Limits{}, 6, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &stage{}
			w := serve(t, tt.store(t), s, tt.hub)
			begin := time.Now()
			r := &race{inside: Inside{w.node.Engine()}, stage: s}
			r.door = r.inside
			if tt.binding >= 0 {
				r.door = bindings[tt.binding].door(w.addr, nil)
			}
			if err := r.run(t.Context(), *follows*tt.percent/100); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d subscriptions to %d tasks in %s: %d snapshots within the task with %d events after them, %d at its end, %d refused because it had ended",
				r.within+r.atEnd+r.refused, r.tasks, time.Since(begin).Round(10*time.Millisecond), r.within, r.tails, r.atEnd, r.refused)
			if r.within < *follows*tt.percent/100/2 {
				t.Errorf("only %d subscriptions began while events committed: nothing raced", r.within)
			}
		})
	}
}

func onSQLite(t *testing.T) store.Store {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "errand.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func inMemory(t *testing.T) store.Store {
	t.Helper()
	st := memory.New(memory.Options{})
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// world is a node with its doors.
type world struct {
	node *node.Node
	addr string
}

func serve(t *testing.T, st store.Store, s *stage, hub live.Limits) *world {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := node.Options{Store: st, Followed: hub, PublicURL: "http://" + ln.Addr().String(), Logger: slog.New(slog.DiscardHandler)}
	o.Agents = []agent.Agent{s.entry()}
	o.Worker.ID, o.Worker.Shutdown, o.Worker.Lease = "w", 100*time.Millisecond, time.Minute
	n, err := node.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx, ln, time.Second) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	<-n.Started()
	return &world{node: n, addr: ln.Addr().String()}
}

// race lets subscriptions race commits.
type race struct {
	inside Inside
	door   Door
	stage  *stage

	mu                            sync.Mutex
	tasks                         int
	within, atEnd, refused, tails int
}

// How many subscribe to one task while it runs and at its end, and how many
// tasks there are at a time.
const (
	earlyBirds = 25
	latecomers = 3
	atATime    = 32
)

func (r *race) run(ctx context.Context, want int) error {
	faults := make([]error, atATime)
	var wg sync.WaitGroup
	for i := range faults {
		wg.Go(func() {
			for faults[i] == nil && r.take(want) {
				faults[i] = r.one(ctx)
			}
		})
	}
	wg.Wait()
	return errors.Join(faults...)
}

// take says whether there is to be one task more.
func (r *race) take(want int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tasks*(earlyBirds+latecomers) >= want {
		return false
	}
	r.tasks++
	return true
}

// one runs a task, lets everybody subscribe and compares what they were shown.
func (r *race) one(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute) // however busy the machine is
	defer cancel()
	m, p := NewMessage(""), newPlay(earlyBirds, latecomers)
	m.Text = m.ID
	r.stage.plays.Store(m.Text, p)
	defer r.stage.plays.Delete(m.Text)

	subs := make([]*Subscription, earlyBirds+latecomers)
	faults := make([]error, len(subs))
	var wg sync.WaitGroup
	leader := &Reading{Door: r.inside}
	leader.OnEvent = func(e Event) {
		for _, c := range e.Chunks {
			n, _ := strconv.Atoi(c) // what is no number is found later
			p.see(n)
		}
		if e.Seq > 1 {
			return
		}
		for i := range subs {
			wg.Go(func() {
				subs[i], faults[i] = r.subscribe(ctx, p, leader.Task, i)
				if faults[i] != nil {
					cancel() // the play waits for everybody
				}
			})
		}
	}
	err := leader.Follow(ctx, m)
	if err != nil {
		cancel()
	}
	wg.Wait()
	if err := errors.Join(errors.Join(faults...), err); err != nil {
		return err
	}
	if err := r.compare(ctx, leader, subs, <-p.last); err != nil {
		return fmt.Errorf("task %s: %w", leader.Task, err)
	}
	return nil
}

func (r *race) subscribe(ctx context.Context, p *play, task string, i int) (*Subscription, error) {
	begin, opened := p.begin, func() { p.opened <- struct{}{} }
	if i >= earlyBirds {
		begin, opened = p.late, func() {}
	}
	select {
	case <-begin:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return Subscribe(ctx, r.door, task, opened)
}

func (r *race) compare(ctx context.Context, leader *Reading, subs []*Subscription, last int) error {
	if err := leader.CheckCount(last); err != nil {
		return err
	}
	if err := leader.Compare(ctx, r.inside); err != nil {
		return err
	}
	log := leader.Events
	if r.door != Door(r.inside) {
		log = nil // the same events in another form
		if err := r.door.Subscribe(ctx, leader.Task, 0, func(e Event) error { log = append(log, e); return nil }); err != nil {
			return err
		}
	}
	var given []*Subscription
	for i, s := range subs {
		if s.Refused && i < earlyBirds {
			return errors.New("a subscription was refused while the task ran")
		}
		if !s.Refused {
			given = append(given, s)
			if err := s.Check(log, last); err != nil {
				return err
			}
		}
	}
	r.count(given, len(subs)-len(given), len(log))
	if _, ok := r.door.(*grpcDoor); ok {
		return nil // its events are no JSON
	}
	task, err := r.inside.Get(ctx, leader.Task)
	if err != nil {
		return err
	}
	return CheckSnapshots(log, given, task)
}

func (r *race) count(given []*Subscription, refused, length int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused += refused
	for _, s := range given {
		if s.Snapshot.Seq < length-1 {
			r.within++
		} else {
			r.atEnd++
		}
		r.tails += len(s.Tail)
	}
}
