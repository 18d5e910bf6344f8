// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/worker"
)

// hang says WORKING and waits for the end of its context.
func hang(c *nodetest.Turn) error {
	if c.Text() == "ask" {
		c.Ask()
		return nil
	}
	if c.Text() == "fail" {
		return errAgent
	}
	c.Working()
	return c.Wait()
}

// situations are the ones that a task can be cancelled in; each gives its id.
var situations = map[string]func(*nodetest.World) a2a.TaskID{
	"running": func(w *nodetest.World) a2a.TaskID {
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		synctest.Wait()
		return id
	},
	"parked": func(w *nodetest.World) a2a.TaskID { return w.MustSend(nodetest.Say("ask")).ID },
	"retryable": func(w *nodetest.World) a2a.TaskID {
		id := w.MustSend(nodetest.Say("fail", nodetest.AtOnce)).ID
		synctest.Wait()
		return id
	},
	"in its second turn": func(w *nodetest.World) a2a.TaskID {
		id := w.MustSend(nodetest.Say("ask")).ID
		w.MustSend(nodetest.Say("go", nodetest.To(id), nodetest.AtOnce))
		synctest.Wait()
		return id
	},
}

func TestCancel(t *testing.T) {
	t.Parallel()

	const grace = 3 * time.Second
	setup := func(t *testing.T, cancel func(*nodetest.Turn) error) *nodetest.World {
		return nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{CancelGrace: grace},
			// A long backoff: a retryable task is not rescued by its next attempt.
			Worker: worker.Options{Random: func() float64 { return 1 - 1e-9 }},
			Agent:  nodetest.Agent{Execute: hang, Cancel: cancel},
		})
	}

	for name, begin := range situations {
		bubble(t, "a task that is "+name+" is cancelled by its executor, with the request's metadata", func(t *testing.T) {
			var seen []string
			w := setup(t, func(c *nodetest.Turn) error {
				seen = append(seen, fmt.Sprint(c.Metadata["why"], c.Message == nil, c.StoredTask != nil, c.ContextID != ""))
				c.Artifact("left", "x")
				c.Status(canceled, "as you wish")
				return nil
			})
			id := begin(w)
			a := w.CancelAs(w.Call(), &a2a.CancelTaskRequest{ID: id, Metadata: map[string]any{"why": "because"}})
			if a.Err != nil {
				t.Fatal(a.Err)
			}
			wantState(t, a.Task, canceled)
			if statusText(a.Task) != "as you wish" || artifacts(a.Task)["left"] != "x" {
				t.Errorf("task %s", a.JSON)
			}
			if !slices.Equal(seen, []string{"becausetrue true true"}) {
				t.Errorf("Cancel saw %v", seen)
			}
			again := w.Cancel(id)
			if again.Err != nil || string(again.JSON) != string(a.JSON) {
				t.Errorf("a repeat is answered with %s, %v", again.JSON, again.Err)
			}
		})

		for how, cancel := range map[string]func(*nodetest.Turn) error{
			"returns without an event":   func(*nodetest.Turn) error { return nil },
			"returns an error":           func(*nodetest.Turn) error { return errAgent },
			"panics":                     func(*nodetest.Turn) error { panic(errAgent) },
			"ends its goroutine":         func(*nodetest.Turn) error { runtime.Goexit(); return nil },
			"says something non-final":   func(c *nodetest.Turn) error { c.Working(); return nil },
			"hangs until its ctx ends":   func(c *nodetest.Turn) error { return c.Wait() },
			"says INPUT_REQUIRED":        func(c *nodetest.Turn) error { c.Ask(); return nil },
			"speaks without ever ending": chatter,
		} {
			bubble(t, "a Cancel that "+how+" ends in CANCELED within the grace period: "+name, func(t *testing.T) {
				w := setup(t, cancel)
				id := begin(w)
				began := time.Now()
				a := w.Cancel(id)
				if a.Err != nil {
					t.Fatal(a.Err)
				}
				wantState(t, a.Task, canceled)
				if d := time.Since(began); d > grace+100*time.Millisecond {
					t.Errorf("it took %v", d)
				}
				if strings.Contains(string(a.JSON), "secret") {
					t.Errorf("the task says %s", a.JSON)
				}
				synctest.Wait()
				for _, turn := range w.Turns(id) {
					if turn.Item == store.Running || turn.Item == store.Pending || turn.Item == store.Retryable {
						t.Errorf("turn %+v", turn)
					}
				}
			})
		}

		bubble(t, "ErrTaskNotCancelable is the caller's answer and the task goes on: "+name, func(t *testing.T) {
			calls := 0
			w := setup(t, func(*nodetest.Turn) error {
				calls++
				return fmt.Errorf("no: %w", a2a.ErrTaskNotCancelable)
			})
			id := begin(w)
			before := w.MustGet(id).Status.State
			for range 2 {
				wantErr(t, w.Cancel(id).Err, a2a.ErrTaskNotCancelable)
			}
			if calls != 2 {
				t.Errorf("Cancel was called %d times for two requests", calls)
			}
			if got := w.MustGet(id).Status.State; got != before {
				t.Errorf("the task is %s, was %s", got, before)
			}
			h := w.Head(id)
			if h.Closed || h.Cancel != store.CancelRefused || h.Running == (name == "parked" || name == "retryable") {
				t.Errorf("head %+v", h)
			}
		})
	}

	bubble(t, "a task that never ran is CANCELED at once, and its executor is not asked", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Idle: true, Agent: nodetest.Agent{
			Execute: func(*nodetest.Turn) error { t.Error("it runs"); return nil },
			Cancel:  func(*nodetest.Turn) error { t.Error("it is asked"); return nil },
		}})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		w.MustSend(nodetest.Say("more", nodetest.To(id), nodetest.AtOnce, nodetest.ID("second")))
		s := w.Subscribe(id, nil)
		began := time.Now()
		a := w.Cancel(id)
		if a.Err != nil || time.Since(began) != 0 {
			t.Fatalf("%v after %v", a.Err, time.Since(began))
		}
		wantState(t, a.Task, canceled)
		s.Wait()
		wantStates(t, nodetest.StatesOf(s.Events), submitted, canceled)
		if ids := canceledTurns(a.Task.Metadata); !slices.Equal(ids, []string{"second"}) {
			t.Errorf("the terminal event names %v", ids)
		}
		w.Run()
		time.Sleep(time.Second)
	})

	bubble(t, "the agent's context ends within a heartbeat of the end, also if it says nothing", func(t *testing.T) {
		cause := make(chan error, 1)
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Working()
			err := c.Wait()
			cause <- err
			return err
		}}})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		time.Sleep(time.Second)
		began := time.Now()
		if a := w.Cancel(id); a.Err != nil {
			t.Fatal(a.Err)
		}
		if err := <-cause; !errors.Is(err, worker.ErrEnded) || time.Since(began) > 100*time.Millisecond {
			t.Errorf("cause %v after %v", err, time.Since(began))
		}
	})

	bubble(t, "the last word is the executor's: COMPLETED while Cancel runs is the outcome for all", func(t *testing.T) {
		finish := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{
			Execute: func(c *nodetest.Turn) error {
				c.Working()
				<-finish
				c.Complete("just done")
				return nil
			},
			Cancel: func(c *nodetest.Turn) error {
				close(finish)
				return c.Wait()
			},
		}})
		answer := w.Later(nodetest.Say("go"))
		synctest.Wait()
		list, err := w.List(w.Call(), &a2a.ListTasksRequest{})
		if err != nil || len(list.Tasks) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		wantErr(t, w.Cancel(list.Tasks[0].ID).Err, a2a.ErrTaskNotCancelable)
		wantState(t, (<-answer).Task, completed)
	})

	bubble(t, "a task that has ended otherwise is TaskNotCancelable and names its state", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{})
		id := w.MustSend(nodetest.Say("go")).ID
		for range 2 {
			err := w.Cancel(id).Err
			wantErr(t, err, a2a.ErrTaskNotCancelable)
			if !strings.Contains(err.Error(), "TASK_STATE_COMPLETED") {
				t.Errorf("%v", err)
			}
		}
	})

	bubble(t, "a cancellation cancels the queued turns and its event names their messages", func(t *testing.T) {
		w := setup(t, nil)
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		synctest.Wait()
		second := w.Later(nodetest.Say("2", nodetest.To(id), nodetest.ID("m2")))
		synctest.Wait()
		third := w.StreamAs(w.Call(), nodetest.Say("3", nodetest.To(id), nodetest.ID("m3")))
		a := w.Cancel(id)
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		wantErr(t, (<-second).Err, a2a.ErrUnsupportedOperation)
		wantErr(t, third.Wait().Err, a2a.ErrUnsupportedOperation)
		if ids := canceledTurns(a.Task.Metadata); !slices.Equal(ids, []string{"m2", "m3"}) {
			t.Errorf("the terminal event names %v", ids)
		}
	})

	bubble(t, "a heartbeat that comes while the refusal is being committed asks nobody again", func(t *testing.T) {
		var calls atomic.Int32
		w := nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: hang, Cancel: func(*nodetest.Turn) error {
				calls.Add(1)
				return a2a.ErrTaskNotCancelable
			}},
			Hooks: nodetest.Hooks{Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
				if a.RefuseCancel {
					time.Sleep(time.Second) // several heartbeats
				}
				return next()
			}},
		})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		synctest.Wait()
		wantErr(t, w.Cancel(id).Err, a2a.ErrTaskNotCancelable)
		time.Sleep(2 * time.Second)
		if n := calls.Load(); n != 1 {
			t.Errorf("Cancel was called %d times", n)
		}
	})

	bubble(t, "a refused cancellation leaves a queued follow-up to run", func(t *testing.T) {
		w := setup(t, func(*nodetest.Turn) error { return a2a.ErrTaskNotCancelable })
		id := w.MustSend(nodetest.Say("ask")).ID
		wantErr(t, w.Cancel(id).Err, a2a.ErrTaskNotCancelable)
		wantState(t, w.MustSend(nodetest.Say("ask", nodetest.To(id))), asking)
	})

	bubble(t, "an unknown task, and one without an id, are refused", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{})
		wantErr(t, w.Cancel("unknown").Err, a2a.ErrTaskNotFound)
		wantErr(t, w.Cancel("").Err, a2a.ErrInvalidParams)
		wantErr(t, w.CancelAs(engine.Call{Agent: "other"}, &a2a.CancelTaskRequest{ID: "x"}).Err, a2a.ErrInvalidParams)
	})
}

// chatter speaks every millisecond until it is told to stop.
func chatter(c *nodetest.Turn) error {
	for c.Working() && pause(c.Ctx, time.Millisecond) {
	}
	return c.Wait()
}
