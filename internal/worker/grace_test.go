// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// What meets a cancellation that runs.
func TestCancellationMeets(t *testing.T) {
	t.Parallel()
	const grace = 10 * time.Second

	bubble(t, "the attempt's timeout: the task is CANCELED, not tried again", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{AttemptTimeout: 2 * time.Second, CancelGrace: grace},
			Agent:  nodetest.Agent{Execute: hang, Cancel: func(c *nodetest.Turn) error { return c.Wait() }},
		})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		synctest.Wait()
		began := time.Now()
		a := w.Cancel(id)
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		wantState(t, a.Task, canceled)
		if d := time.Since(began); d > 2100*time.Millisecond {
			t.Errorf("it took %v", d)
		}
	})

	bubble(t, "a timeout after it was refused: the attempt has failed", func(t *testing.T) {
		release := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{AttemptTimeout: 2 * time.Second, CancelGrace: time.Second, Retry: task.Retry{MaxAttempts: 1}},
			Agent: nodetest.Agent{
				Execute: func(c *nodetest.Turn) error { c.Working(); <-release; return nil },
				Cancel:  func(c *nodetest.Turn) error { <-c.Ctx.Done(); return a2a.ErrTaskNotCancelable },
			},
		})
		answer := w.Later(nodetest.Say("go"))
		time.Sleep(1500 * time.Millisecond)
		list, err := w.List(w.Call(), &a2a.ListTasksRequest{})
		if err != nil || len(list.Tasks) != 1 {
			t.Fatal(list, err)
		}
		cancelled := w.CancelLater(list.Tasks[0].ID)
		a, c := <-answer, <-cancelled
		if (a.Task.Status.State == canceled) != (c.Err == nil) {
			t.Errorf("the caller hears %s, the canceller %v", a.Task.Status.State, c.Err)
		}
		close(release)
		synctest.Wait()
	})

	bubble(t, "FAILED of an agent whose FAILED is retried: the task is CANCELED", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{RetryFailed: true, Retry: task.Retry{InitialDelay: time.Hour, MaxDelay: time.Hour}},
			Agent: nodetest.Agent{Execute: hang, Cancel: func(c *nodetest.Turn) error {
				c.Status(failed)
				return nil
			}},
		})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		synctest.Wait()
		began := time.Now()
		if a := w.Cancel(id); a.Err != nil || a.Task.Status.State != canceled || time.Since(began) > time.Second {
			t.Errorf("%s, %v after %v", a.JSON, a.Err, time.Since(began))
		}
	})

	bubble(t, "a worker that never hears of it: the caller takes even a busy task after the grace period", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{CancelGrace: grace},
			Agent:  nodetest.Agent{Execute: chatter},
			Hooks: nodetest.Hooks{
				Append: func(_ *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
					out, err := next()
					out.Cancel = store.CancelNone
					return out, err
				},
				Heartbeat: func(_ []store.Beat, next func() ([]store.BeatAnswer, error)) ([]store.BeatAnswer, error) {
					out, err := next()
					for i := range out {
						out[i].Cancel = store.CancelNone
					}
					return out, err
				},
			},
		})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		s := w.Subscribe(id, nil)
		synctest.Wait()
		began := time.Now()
		a := w.Cancel(id)
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		wantState(t, a.Task, canceled)
		if d := time.Since(began); d > grace+2*time.Second+100*time.Millisecond {
			t.Errorf("it took %v", d)
		}
		if s.Wait().Err != nil {
			t.Error(s.Err)
		}
		if last := nodetest.StatesOf(s.Events); last[len(last)-1] != canceled {
			t.Errorf("the stream ends with %s", last[len(last)-1])
		}
	})

	bubble(t, "an agent that takes its time: what it says until then is recorded", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{CancelGrace: grace},
			Agent: nodetest.Agent{
				Execute: func(c *nodetest.Turn) error {
					c.Artifact("log", "begun,")
					pause(c.Ctx, 5*time.Second)
					c.Append("log", "saved,")
					return c.Wait()
				},
				Cancel: func(c *nodetest.Turn) error {
					pause(c.Ctx, 8*time.Second)
					c.Append("log", "bye")
					c.Status(canceled)
					return nil
				},
			},
		})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		synctest.Wait()
		a := w.Cancel(id)
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		if got := artifacts(a.Task)["log"]; got != "begun,saved,bye" {
			t.Errorf("the artifact says %q", got)
		}
	})
}
