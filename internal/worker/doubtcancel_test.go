// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
)

func TestCancelDuringADoubtfulEnd(t *testing.T) {
	t.Parallel()

	bubble(t, "a cancellation asked for while the end of a turn is in doubt is not forgotten", func(t *testing.T) {
		var w *nodetest.World
		var answer <-chan nodetest.Answer
		w = nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Working()
				time.Sleep(10 * time.Millisecond)
				c.Ask()
				return nil
			}},
			Hooks: nodetest.Hooks{Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
				if a.Finish == nil || answer != nil {
					return next()
				}
				answer = w.CancelLater(a2a.TaskID(a.ID))
				time.Sleep(time.Millisecond) // the cancellation is committed while the task runs
				if _, err := next(); err != nil {
					return store.Appended{}, err
				}
				return store.Appended{}, store.ErrUnknown
			}},
		})
		task := w.MustSend(nodetest.Say("go", nodetest.AtOnce))
		time.Sleep(time.Second)
		// Whoever asked would take the task over in the end, if they are still there.
		if h := w.Head(task.ID); !h.Closed || h.State != string(canceled) {
			t.Errorf("a second later the task is %s, closed %v, cancel %v", h.State, h.Closed, h.Cancel)
		}
		if a := <-answer; a.Err != nil || a.Task.Status.State != canceled {
			t.Errorf("%+v, %v", a.Task, a.Err)
		}
	})
}
