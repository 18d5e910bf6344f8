// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

// stalled is a store that a worker cannot reach while it is paused: its calls
// wait, as in a process that does not get to run.
type stalled struct {
	nodetest.Hooks
	mu     sync.Mutex
	paused chan struct{}
}

func newStalled() *stalled {
	s := &stalled{}
	s.Append = func(_ *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
		s.wait()
		return next()
	}
	s.Heartbeat = func(_ []store.Beat, next func() ([]store.BeatAnswer, error)) ([]store.BeatAnswer, error) {
		s.wait()
		return next()
	}
	s.Claim = func(next func() ([]store.Claim, error)) ([]store.Claim, error) {
		s.wait()
		return next()
	}
	return s
}

func (s *stalled) wait() {
	s.mu.Lock()
	c := s.paused
	s.mu.Unlock()
	if c != nil {
		<-c
	}
}

func (s *stalled) pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = make(chan struct{})
}

func (s *stalled) goOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.paused != nil {
		close(s.paused)
		s.paused = nil
	}
}

// successor runs a second worker over the store itself, which rescues.
func successor(w *nodetest.World) (stop func()) {
	w.Options.Worker.Sweep = 100 * time.Millisecond
	return w.RunWorker(w.NewWorker("w2", w.Store))
}

func TestLoss(t *testing.T) {
	t.Parallel()

	// Every kind of write that the first owner tries after it has lost the task.
	late := map[string]func(*nodetest.Turn) error{
		"an artifact":             func(c *nodetest.Turn) error { c.Artifact("late", "x"); return c.Wait() },
		"COMPLETED":               func(c *nodetest.Turn) error { c.Complete("late"); return nil },
		"FAILED":                  func(c *nodetest.Turn) error { c.Status(failed, "late"); return nil },
		"INPUT_REQUIRED":          func(c *nodetest.Turn) error { c.Ask("late"); return nil },
		"an error":                func(*nodetest.Turn) error { return errAgent },
		"a permanent error":       func(*nodetest.Turn) error { return task.Permanent(errAgent) },
		"a panic":                 func(*nodetest.Turn) error { panic(errAgent) },
		"a return without events": func(*nodetest.Turn) error { return nil },
		"a progress":              func(c *nodetest.Turn) error { agent.Progress(c.Ctx, 50); return c.Wait() },
	}
	for what, write := range late {
		bubble(t, "a worker paused past its lease writes nothing more: "+what, func(t *testing.T) {
			resume := make(chan struct{})
			ctxEnded := make(chan error, 1)
			st := newStalled()
			w := nodetest.New(t, nodetest.Options{
				Hooks:  st.Hooks,
				Worker: worker.Options{Sweep: time.Hour}, // the second worker rescues
				Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
					if c.Attempt > 1 {
						c.Artifact("a", "second")
						c.Complete("second")
						return nil
					}
					c.Artifact("a", "first")
					<-resume
					defer func() {
						go func() { ctxEnded <- c.Wait() }()
					}()
					return write(c)
				}},
			})
			t.Cleanup(st.goOn)
			answer := w.Later(nodetest.Say("go"))
			synctest.Wait()
			st.pause()
			defer successor(w)()
			got := (<-answer).Task
			wantState(t, got, completed)
			before := w.Log(got.ID)
			close(resume)
			synctest.Wait()
			st.goOn()
			if err := <-ctxEnded; !errors.Is(err, worker.ErrLost) {
				t.Errorf("the agent's context ended with %v", err)
			}
			synctest.Wait()
			if after := w.Log(got.ID); len(after) != len(before) {
				t.Errorf("%d records were written by the old owner", len(after)-len(before))
			}
			if got := w.MustGet(got.ID); statusText(got) != "second" || artifacts(got)["a"] != "second" || len(got.Artifacts) != 1 {
				t.Errorf("task %s: %v", statusText(got), artifacts(got))
			}
			if rows := w.Attempts(got.ID); len(rows) != 0 {
				t.Errorf("the old owner wrote %+v", rows)
			}
		})
	}

	bubble(t, "a worker that rescues and claims its own item tells the run before that it was lost", func(t *testing.T) {
		causes := make(chan error, 1)
		var deaf atomic.Bool
		w := nodetest.New(t, nodetest.Options{
			Hooks: nodetest.Hooks{Heartbeat: func(_ []store.Beat, next func() ([]store.BeatAnswer, error)) ([]store.BeatAnswer, error) {
				if deaf.Load() {
					return nil, store.ErrUnavailable
				}
				return next()
			}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Working()
				if c.Attempt > 1 {
					deaf.Store(false)
					time.Sleep(2 * time.Second)
					c.Complete("second")
					return nil
				}
				causes <- c.Wait()
				return nil
			}},
		})
		answer := w.Later(nodetest.Say("go"))
		synctest.Wait()
		deaf.Store(true)
		time.Sleep(2 * time.Second)
		select {
		case err := <-causes:
			if !errors.Is(err, worker.ErrLost) {
				t.Errorf("cause %v", err)
			}
		default:
			t.Error("the first run goes on beside the second")
		}
		wantState(t, (<-answer).Task, completed)
	})

	bubble(t, "a lost item is ready again at once and costs a loss, not an attempt", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Idle:   true,
			Policy: agent.Policy{Retry: task.Retry{MaxAttempts: 1}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Complete()
				return nil
			}},
		})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		lose(t, w, 3)
		w.Run()
		time.Sleep(time.Second)
		if turn := w.Turns(id)[0]; turn.Attempt != 4 || turn.Losses != 3 || turn.Failures != 0 {
			t.Errorf("turn %+v", turn)
		}
		wantState(t, w.MustGet(id), completed)
	})

	bubble(t, "max_losses ends in a dead letter and FAILED, and the agent is not run once more", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Idle:   true,
			Policy: agent.Policy{Retry: task.Retry{MaxLosses: 3}},
			Agent: nodetest.Agent{Execute: func(*nodetest.Turn) error {
				t.Error("it runs again")
				return nil
			}},
		})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		lose(t, w, 3)
		s := w.Subscribe(id, nil)
		w.Run()
		if s.Wait().Err != nil {
			t.Error(s.Err)
		}
		wantState(t, w.MustGet(id), failed)
		if turn := w.Turns(id)[0]; turn.Item != store.Dead || turn.Losses != 3 {
			t.Errorf("turn %+v", turn)
		}
		if rows := w.Attempts(id); len(rows) != 1 || rows[0].Outcome != "lost" {
			t.Errorf("rows %+v", rows)
		}
	})

	bubble(t, "on_lost fail ends the task after one loss", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Idle:   true,
			Policy: agent.Policy{OnLost: agent.FailLost},
			Agent: nodetest.Agent{Execute: func(*nodetest.Turn) error {
				t.Error("it runs again")
				return nil
			}},
		})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		lose(t, w, 1)
		w.Run()
		time.Sleep(time.Second)
		wantState(t, w.MustGet(id), failed)
	})

	bubble(t, "a cancellation whose worker died is CANCELED by whoever rescues it", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Idle: true, Agent: nodetest.Agent{Execute: func(*nodetest.Turn) error {
			t.Error("a cancelled task runs")
			return nil
		}}})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		if _, err := w.Store.Claim(t.Context(), store.ClaimRequest{Limit: 1, Taker: store.Taker{Worker: "dead", TTL: time.Second}}); err != nil {
			t.Fatal(err)
		}
		answer := w.CancelLater(id)
		synctest.Wait()
		w.Run()
		a := <-answer
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		wantState(t, a.Task, canceled)
	})
}

// lose has a worker that dies claim what is ready n times.
func lose(t *testing.T, w *nodetest.World, n int) {
	t.Helper()
	for range n {
		got, err := w.Store.Claim(t.Context(), store.ClaimRequest{Limit: 1, Taker: store.Taker{Worker: "dead", TTL: time.Second}})
		if err != nil || len(got) != 1 {
			t.Fatalf("claimed %d items: %v", len(got), err)
		}
		time.Sleep(time.Second)
		if _, err := w.Store.Rescue(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLossKeepsWhatWasRecorded(t *testing.T) {
	t.Parallel()

	bubble(t, "a run after a loss resets the artifacts of the run before", func(t *testing.T) {
		st := newStalled()
		w := nodetest.New(t, nodetest.Options{
			Hooks:  st.Hooks,
			Worker: worker.Options{Sweep: time.Hour},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Artifact("a", "one")
				if c.Attempt == 1 {
					return c.Wait()
				}
				c.Append("a", "two")
				c.Complete()
				return nil
			}},
		})
		t.Cleanup(st.goOn)
		s := w.Stream(nodetest.Say("go"))
		synctest.Wait()
		st.pause()
		defer successor(w)()
		if s.Wait().Err != nil {
			t.Fatal(s.Err)
		}
		st.goOn()
		synctest.Wait()
		if a := artifacts(w.MustGet(s.ID())); a["a"] != "onetwo" {
			t.Errorf("artifacts %v", a)
		}
		if up := resets(w, s.ID())["a"]; up == nil || !superseded(up) {
			t.Errorf("the artifact of attempt 1 is not taken back")
		}
	})
}
