// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// asks asks for input on the first message and completes on every other.
func asks(c *nodetest.Turn) error {
	if c.Text() == "first" {
		c.Ask()
		return nil
	}
	c.Complete()
	return nil
}

func TestUnread(t *testing.T) {
	t.Parallel()
	wantTaken := func(t *testing.T, err error, id a2a.TaskID) {
		t.Helper()
		var known *task.Error
		if !errors.As(err, &known) || !errors.Is(err, task.ErrUnavailable) || known.Meta["taskId"] != string(id) {
			t.Errorf("error %v, want unavailable with the id of the task", err)
		}
		if err != nil && strings.Contains(err.Error(), "nothing was accepted") {
			t.Errorf("a message that was accepted is answered with %q", err)
		}
	}

	bubble(t, "a message whose task cannot be read any more is not answered as if it were not accepted", func(t *testing.T) {
		down := false
		w := nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: asks},
			Hooks: nodetest.Hooks{Load: func(_ task.Ref, next func() (store.Stored, error)) (store.Stored, error) {
				if down {
					return store.Stored{}, store.ErrUnavailable
				}
				return next()
			}},
		})
		id := w.MustSend(nodetest.Say("first")).ID
		call := w.Call()
		call.Key = "again"
		wantState(t, w.SendAs(call, nodetest.Say("second", nodetest.To(id), nodetest.ID("m2"))).Task, completed)
		down = true
		wantTaken(t, w.SendAs(call, nodetest.Say("second", nodetest.To(id), nodetest.ID("m2"))).Err, id)
	})

	bubble(t, "nor is one whose stream cannot be read on", func(t *testing.T) {
		down := false
		w := nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: asks},
			Hooks: nodetest.Hooks{Read: func(_ task.Ref, next func() (store.Head, []store.Batch, error)) (store.Head, []store.Batch, error) {
				if down {
					return store.Head{}, nil, store.ErrUnavailable
				}
				return next()
			}},
		})
		call := w.Call()
		call.Key = "again"
		id := w.StreamAs(call, nodetest.Say("first", nodetest.ID("m1"))).Wait().ID()
		synctest.Wait()
		down = true
		wantTaken(t, w.StreamAs(call, nodetest.Say("first", nodetest.ID("m1"))).Wait().Err, id)
	})
}
