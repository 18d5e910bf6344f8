// SPDX-License-Identifier: Apache-2.0

package owner

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

// wall is a clock that somebody sets while time passes.
type wall struct {
	began time.Time
	ahead atomic.Int64
}

func newWall() *wall { return &wall{began: time.Now()} }

func (w *wall) Now() time.Time         { return time.Now().Round(0).Add(time.Duration(w.ahead.Load())) }
func (w *wall) Elapsed() time.Duration { return time.Since(w.began) }
func (w *wall) set(by time.Duration)   { w.ahead.Add(int64(by)) }

// steadyWorld has a worker on SQLite whose clock is set by w. Its agent works
// until it is told to finish, or fails once with a backoff of two seconds.
func steadyWorld(t *testing.T, clock *wall, finish <-chan struct{}, runs *tally) *nodetest.World {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "errand.db"), sqlite.Options{
		Clock: clock.Now, Elapsed: clock.Elapsed, StallAfter: time.Hour * 24 * 365, // the guard of stalls must not be what helps
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return nodetest.New(t, nodetest.Options{
		Store: s, Patience: time.Hour,
		Worker: worker.Options{Lease: lease, Sweep: 10 * time.Millisecond, Heartbeat: 100 * time.Millisecond},
		Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Working()
			runs.add(c.Text())
			if c.Text() == "flaky" && c.Attempt == 1 {
				return task.RetryAfter(2*time.Second, errLate)
			}
			if c.Text() == "work" {
				select {
				case <-finish:
				case <-c.Ctx.Done():
					return nil
				}
			}
			c.Complete()
			return nil
		}},
	})
}

// The clock is set again and again by up to an hour, forth and back: no live
// worker loses a task, the lease of one that died ends when it would have, and
// no retry waits for longer than it should.
func TestAClockThatIsSetStealsNothingAndHoldsNothingUp(t *testing.T) {
	t.Parallel()
	const tasks = 20
	sets := max(*stops/5, 8)
	seed := rand.Uint64()
	synctest.Test(t, func(t *testing.T) {
		clock, finish := newWall(), make(chan struct{})
		var runs tally
		w := steadyWorld(t, clock, finish, &runs)
		random := rand.New(rand.NewPCG(seed, 7))
		var ids []a2a.TaskID
		for range tasks {
			ids = append(ids, w.MustSend(nodetest.Say("work", nodetest.AtOnce)).ID)
		}
		time.Sleep(time.Second)
		for n := range sets {
			by := []time.Duration{time.Hour, -time.Hour, 10 * time.Minute, -10 * time.Minute}[n%4]
			if n >= sets/2 {
				by = time.Duration(random.Int64N(int64(2*time.Hour))) - time.Hour
			}
			flaky := w.MustSend(nodetest.Say("flaky", nodetest.AtOnce)).ID
			lostBefore := abandoned(t, w.Store)
			synctest.Wait()
			clock.set(by)
			time.Sleep(lease + 50*time.Millisecond)
			if turn := w.Turns(a2a.TaskID(lostBefore))[0]; turn.Losses != 1 {
				t.Errorf("set by %v: %v after a lease that nobody renews has ended: %+v", by, 50*time.Millisecond, turn)
			}
			time.Sleep(2 * time.Second)
			if got := w.MustGet(flaky); got.Status.State != a2a.TaskStateCompleted {
				t.Errorf("set by %v: what was to be tried again after 2 s is %s", by, got.Status.State)
			}
		}
		for _, id := range ids {
			if turn := w.Turns(id)[0]; turn.Item != store.Running || turn.Attempt != 1 || turn.Losses != 0 {
				t.Errorf("the clock has stolen a task from a live worker: %+v", turn)
			}
		}
		close(finish)
		time.Sleep(time.Second)
		for _, id := range ids {
			if got := w.MustGet(id); got.Status.State != a2a.TaskStateCompleted {
				t.Errorf("a task that ran while the clock was set is %s", got.Status.State)
			}
		}
		if n := runs.read()["work"]; n != tasks {
			t.Errorf("%d tasks ran %d times", tasks, n)
		}
		t.Logf("%d times the clock was set, seed %d: 0 of %d running tasks were stolen; %d leases and %d retries ended in time", sets, seed, tasks, sets, sets)
	})
}

// abandoned makes a task whose holder dies at once, and tells its id.
func abandoned(t *testing.T, s store.Store) string {
	t.Helper()
	id := a2a.NewMessageID()
	ref := task.Ref{ID: id}
	out, err := s.Submit(t.Context(), &store.Submission{
		Ref: ref, Agent: "nobody " + id, Turn: 1, Message: []byte("m"), Claim: &store.Taker{Worker: "dead", TTL: lease},
	})
	if err != nil || out.Claim == nil {
		t.Fatalf("not claimed: %v", err)
	}
	return id
}

// A turn that is scheduled goes by the clock: it begins when the clock says so,
// however it came there.
func TestAScheduleGoesByTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := newWall()
		s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "errand.db"), sqlite.Options{Clock: clock.Now, Elapsed: clock.Elapsed})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		_, err = s.Submit(t.Context(), &store.Submission{
			Ref: task.Ref{ID: "planned"}, Agent: "a", Turn: 1, Message: []byte("m"), ScheduledFor: clock.Now().Add(30 * time.Minute),
		})
		if err != nil {
			t.Fatal(err)
		}
		for n, step := range []struct {
			by   time.Duration
			next time.Duration
		}{{0, 30 * time.Minute}, {-time.Hour, 90 * time.Minute}, {10 * time.Minute, 80 * time.Minute}} {
			clock.set(step.by)
			due, err := s.Promote(t.Context(), store.PromoteRequest{Limit: 1})
			if err != nil || due.Next != step.next || len(due.Agents) > 0 {
				t.Errorf("step %d: due in %v, want %v; %v, %v", n, due.Next, step.next, due.Agents, err)
			}
		}
		clock.set(80 * time.Minute)
		if due, err := s.Promote(t.Context(), store.PromoteRequest{Limit: 1}); err != nil || len(due.Agents) != 1 {
			t.Errorf("the clock says that it is time: %+v, %v", due, err)
		}
	})
}

// The worker's clock is not the store's: whatever it says, and however it jumps,
// nobody is robbed and nothing waits for it.
func TestAWorkerWhoseClockIsWrong(t *testing.T) {
	t.Parallel()
	for what, skew := range map[string]func(n int) time.Duration{
		"ten minutes ahead":  func(int) time.Duration { return 10 * time.Minute },
		"ten minutes behind": func(int) time.Duration { return -10 * time.Minute },
		"jumping by an hour": func(n int) time.Duration { return time.Duration(n%3-1) * time.Hour },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, s store.Store) { wrongClock(t, s, skew) })
		})
	}
}

func wrongClock(t *testing.T, s store.Store, skew func(n int) time.Duration) {
	const tasks = 20
	var looks atomic.Int32
	var mu sync.Mutex
	runs := map[string]int{}
	o := nodetest.Options{
		Store: s, Patience: time.Hour, Idle: true,
		Policy: agent.Policy{Concurrency: tasks},
		Worker: worker.Options{Lease: lease, Sweep: 20 * time.Millisecond, Now: func() time.Time {
			return time.Now().Add(skew(int(looks.Add(1))))
		}},
		Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Working()
			mu.Lock()
			runs[c.Text()]++
			mu.Unlock()
			if strings.HasPrefix(c.Text(), "flaky") && c.Attempt == 1 {
				return task.RetryAfter(time.Second, errLate)
			}
			select {
			case <-time.After(5 * time.Second):
				c.Complete()
			case <-c.Ctx.Done():
			}
			return nil
		}},
	}
	w := nodetest.New(t, o)
	stopSkewed := w.RunWorker(w.NewWorker("skewed", s))
	w.Options.Worker.Now = nil
	stopRight := w.RunWorker(w.NewWorker("right", s))
	var ids []a2a.TaskID
	for n := range tasks {
		ids = append(ids, w.MustSend(nodetest.Say([]string{"work", "flaky"}[n%2], nodetest.AtOnce)).ID)
	}
	time.Sleep(10 * time.Second)
	for _, id := range ids {
		turn := w.Turns(id)[0]
		if got := w.MustGet(id); got.Status.State != a2a.TaskStateCompleted || turn.Losses != 0 || turn.Attempt != turn.Failures+1 {
			t.Errorf("%s: %+v", got.Status.State, turn)
		}
	}
	if runs["work"] != tasks/2 || runs["flaky"] != tasks {
		t.Errorf("runs %v", runs)
	}
	stopSkewed()
	stopRight()
}

// The memory store has no clock of its own to be set: what it measures, it
// measures by the reading of Go's clock that only passes. A clock that is given
// to it is taken as it is, and then a jump is as if as much time had passed; but
// a lease that is renewed first is kept.
func TestAJumpOfTheMemoryStore(t *testing.T) {
	t.Parallel()
	clock := newDial()
	s := memory.New(memory.Options{Clock: clock.Now})
	defer s.Close()
	id := abandoned(t, s)
	ref := task.Ref{ID: id}
	clock.turn(time.Hour)
	beats := []store.Beat{{Ref: ref, Epoch: head(t, s, ref).Epoch, Item: store.ItemRef{Kind: store.Execute, Turn: 1}}}
	if answers, err := s.Heartbeat(t.Context(), lease, beats); err != nil || answers[0].Lost {
		t.Errorf("%+v, %v", answers, err)
	}
	if agents, err := s.Rescue(t.Context(), 10); err != nil || len(agents) > 0 {
		t.Errorf("rescued %v, %v", agents, err)
	}
	clock.turn(-time.Hour)
	if _, err := s.Heartbeat(t.Context(), lease, beats); err != nil {
		t.Error(err)
	}
	clock.turn(lease)
	if agents, err := s.Rescue(t.Context(), 10); err != nil || len(agents) != 1 {
		t.Errorf("rescued %v, %v: a lease that was renewed after a jump back counts from there", agents, err)
	}
}
