// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

func TestGracefulStop(t *testing.T) {
	t.Parallel()

	bubble(t, "what runs may finish, and nothing more is claimed", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Worker: worker.Options{Shutdown: 10 * time.Second},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Working()
				if !pause(c.Ctx, 5*time.Second) {
					t.Error("a turn is cut short that could have finished")
				}
				c.Complete()
				return nil
			}},
		})
		answer := w.Later(nodetest.Say("go"))
		synctest.Wait()
		began := time.Now()
		stopped := make(chan struct{})
		go func() { w.Stop(); close(stopped) }()
		synctest.Wait()
		id := w.MustSend(nodetest.Say("late", nodetest.AtOnce)).ID
		wantState(t, (<-answer).Task, completed)
		<-stopped
		if d := time.Since(began); d != 5*time.Second {
			t.Errorf("the stop took %v", d)
		}
		time.Sleep(time.Minute / 2)
		if turn := w.Turns(id)[0]; turn.Attempt != 0 || turn.Item != store.Pending {
			t.Errorf("claimed while stopping: %+v", turn)
		}
	})

	for how, end := range map[string]func(*nodetest.Turn) error{
		"answers the end of its context with an error": func(c *nodetest.Turn) error { return c.Wait() },
		"returns when its context ends":                func(c *nodetest.Turn) error { _ = c.Wait(); return nil },
		"panics when its context ends":                 func(c *nodetest.Turn) error { panic(c.Wait()) },
		"says FAILED when its context ends":            func(c *nodetest.Turn) error { _ = c.Wait(); c.Status(failed, "stopped"); return nil },
	} {
		bubble(t, "after the shutdown time the rest is released and costs nothing, also if the agent "+how, func(t *testing.T) {
			cause := make(chan error, 1)
			var ended atomic.Bool
			w := nodetest.New(t, nodetest.Options{
				Worker: worker.Options{Shutdown: time.Second},
				Policy: agent.Policy{Retry: task.Retry{MaxAttempts: 1, MaxLosses: 1}},
				Agent: nodetest.Agent{
					Execute: func(c *nodetest.Turn) error {
						if c.Attempt > 1 {
							c.Complete("second owner")
							return nil
						}
						c.Artifact("a", "x")
						defer func() { cause <- context.Cause(c.Ctx) }()
						return end(c)
					},
					Cleanup: func(context.Context, *a2asrv.ExecutorContext, a2a.SendMessageResult, error) { ended.Store(true) },
				},
			})
			id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
			synctest.Wait()
			w.Stop()
			if err := <-cause; !errors.Is(err, worker.ErrDrained) {
				t.Errorf("cause %v", err)
			}
			if turn := w.Turns(id)[0]; turn.Item != store.Pending || turn.Failures != 0 || turn.Losses != 0 {
				t.Fatalf("turn %+v", turn)
			}
			if rows := w.Attempts(id); len(rows) != 1 || rows[0].Outcome != "released" {
				t.Errorf("rows %+v", rows)
			}
			if !ended.Load() {
				t.Error("Cleanup was not called")
			}
			s := w.Subscribe(id, nil)
			defer w.RunWorker(w.NewWorker("w2", w.Store))()
			if s.Wait().Err != nil {
				t.Error(s.Err)
			}
			wantState(t, w.MustGet(id), completed)
			if turn := w.Turns(id)[0]; turn.Attempt != 2 {
				t.Errorf("turn %+v", turn)
			}
		})
	}

	bubble(t, "a stop ends although an executor ignores its context", func(t *testing.T) {
		release := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{CancelGrace: 2 * time.Second},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				<-release
				return nil
			}},
		})
		w.MustSend(nodetest.Say("go", nodetest.AtOnce))
		synctest.Wait()
		began := time.Now()
		w.Stop()
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("it took %v", d)
		}
		close(release)
		synctest.Wait()
	})

	bubble(t, "a stop ends although the store does not answer any more", func(t *testing.T) {
		var down atomic.Bool
		w := nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Working(); return c.Wait() }},
			Hooks: nodetest.Hooks{Append: func(_ *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
				if down.Load() {
					return store.Appended{}, store.ErrUnavailable
				}
				return next()
			}},
		})
		w.MustSend(nodetest.Say("go", nodetest.AtOnce))
		synctest.Wait()
		down.Store(true)
		began := time.Now()
		w.Stop()
		if d := time.Since(began); d > time.Second {
			t.Errorf("it took %v", d)
		}
	})

	bubble(t, "a cancellation that is running is handed on, and ends in CANCELED", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{
			Execute: func(c *nodetest.Turn) error { c.Working(); return c.Wait() },
			Cancel:  func(c *nodetest.Turn) error { return c.Wait() },
		}})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		synctest.Wait()
		answer := w.CancelLater(id)
		synctest.Wait()
		w.Stop()
		defer w.RunWorker(w.NewWorker("w2", w.Store))()
		a := <-answer
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		wantState(t, a.Task, canceled)
	})

	bubble(t, "a worker that was stopped takes no slot", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{})
		w.Stop()
		if _, ok := w.Worker.Reserve(""); ok {
			t.Error("Reserve succeeds")
			w.Worker.Release("")
		}
	})
}
