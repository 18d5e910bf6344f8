// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

// A thousand times a cancellation meets an end, and more over SQLite: one
// terminal event each, and both callers hear the same.
func TestCancelAgainstComplete(t *testing.T) {
	t.Parallel()
	t.Run("a thousand times over memory", func(t *testing.T) {
		t.Parallel()
		cancelAgainstComplete(t, 1000, nil)
	})
	t.Run("300 times over SQLite", func(t *testing.T) {
		t.Parallel()
		st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "errand.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		cancelAgainstComplete(t, 300, st)
	})
}

// duel is a task that ends when it is told to.
type duel struct{ finish chan struct{} }

func cancelAgainstComplete(t *testing.T, races int, st store.Store) {
	var duels sync.Map // task id -> *duel
	of := func(id a2a.TaskID) *duel {
		d, _ := duels.LoadOrStore(id, &duel{make(chan struct{})})
		return d.(*duel)
	}
	w := nodetest.New(t, nodetest.Options{
		Store:  st,
		Policy: agent.Policy{Concurrency: 2 * races},
		Worker: nodetest.RealTime,
		Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			select {
			case <-of(c.TaskID).finish:
				c.Complete()
			case <-c.Ctx.Done():
			}
			return nil
		}},
	})
	var cancelled, done atomic.Int32
	var group sync.WaitGroup
	for k := range 8 {
		group.Go(func() {
			for i := k; i < races; i += 8 {
				id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
				s := w.Subscribe(id, nil)
				cancel := make(chan nodetest.Answer, 1)
				go func() {
					for range i % 7 {
						runtime.Gosched()
					}
					cancel <- w.Cancel(id)
				}()
				for range i % 11 {
					runtime.Gosched()
				}
				for i%3 != 1 && w.Head(id).Cancel == store.CancelNone && len(cancel) == 0 {
					runtime.Gosched() // until it is asked for
				}
				for range i % 3 / 2 * (i / 3 % 100) * 8 { // and then for about as long as the worker needs to hear of it
					w.Head(id)
				}
				close(of(id).finish)
				a := <-cancel
				states := nodetest.StatesOf(s.Wait().Events)
				last := states[len(states)-1]
				switch {
				case s.Err != nil:
					t.Errorf("stream: %v", s.Err)
				case a.Err == nil && a.Task.Status.State == canceled && last == canceled:
					cancelled.Add(1)
				case errors.Is(a.Err, a2a.ErrTaskNotCancelable) && last == completed:
					done.Add(1)
				default:
					t.Errorf("the canceller hears %v %v, the follower %v", a.Task, a.Err, states)
				}
			}
		})
	}
	group.Wait()
	t.Logf("cancelled %d, completed %d", cancelled.Load(), done.Load())
	if cancelled.Load() == 0 || done.Load() == 0 {
		t.Error("one side has won every race: they were none")
	}
}

// A cancellation that is committed while its attempt is ending is not left to
// a caller that may have gone: the task ends, and soon.
func TestCancelBesideTheEndOfATurn(t *testing.T) {
	t.Parallel()

	for name, end := range map[string]func(*nodetest.Turn) error{
		"parks":  func(c *nodetest.Turn) error { c.Ask(); return nil },
		"fails":  func(*nodetest.Turn) error { return task.RetryAfter(time.Hour, errAgent) },
		"auths":  func(c *nodetest.Turn) error { c.Status(authing); return nil },
		"panics": func(*nodetest.Turn) error { panic("now") },
	} {
		bubble(t, "a turn that "+name+" while a cancellation is committed is CANCELED, also if the caller is gone", func(t *testing.T) {
			var w *nodetest.World
			var gone atomic.Bool
			w = nodetest.New(t, nodetest.Options{
				Agent:  nodetest.Agent{Execute: end},
				Worker: worker.Options{Random: func() float64 { return 0.999 }},
				Policy: agent.Policy{Retry: task.Retry{InitialDelay: time.Hour, MaxDelay: time.Hour}},
				Hooks: nodetest.Hooks{Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
					if a.Finish != nil && gone.CompareAndSwap(false, true) {
						// The caller asks, and leaves before anything comes of it.
						if _, err := w.Store.RequestCancel(t.Context(), &store.CancelRequest{Ref: a.Ref}); err != nil {
							t.Error(err)
						}
					}
					return next()
				}},
			})
			id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
			s := w.Subscribe(id, nil)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			wantState(t, w.MustGet(id), canceled)
			if s.Wait().Err != nil {
				t.Error(s.Err)
			}
			if turn := w.Turns(id)[0]; turn.Item == store.Retryable || turn.Item == store.Running {
				t.Errorf("turn %+v", turn)
			}
		})
	}

	t.Run("600 cancellations against turns that park end in CANCELED", func(t *testing.T) {
		t.Parallel()
		w := nodetest.New(t, nodetest.Options{Worker: nodetest.RealTime, Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Working()
			runtime.Gosched()
			c.Ask()
			return nil
		}}})
		var group sync.WaitGroup
		for k := range 6 {
			group.Go(func() {
				for i := range 100 {
					id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
					for range (i + k) % 9 {
						runtime.Gosched()
					}
					began := time.Now()
					a := w.Cancel(id)
					if a.Err != nil || a.Task.Status.State != canceled {
						t.Errorf("%+v, %v", a.Task, a.Err)
					}
					if d := time.Since(began); d > 5*time.Second {
						t.Errorf("it took %v", d)
					}
				}
			})
		}
		group.Wait()
	})
}
