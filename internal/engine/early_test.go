// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
)

func TestEndHeardBeforeTheLastEvents(t *testing.T) {
	t.Parallel()

	bubble(t, "a commit without records that says that the turn has ended does not end a stream that lacks its last events", func(t *testing.T) {
		var w *nodetest.World
		w = nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Working()
				time.Sleep(time.Millisecond)
				c.Ask()
				return nil
			}},
			Hooks: nodetest.Hooks{Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
				out, err := next()
				if a.Finish != nil { // committed, and not published yet: somebody else is faster
					head := w.Head(a2a.TaskID(a.ID))
					w.Hub.Publish(a.Ref, live.Tail{DoneTurn: 1, Seq: head.LastSeq})
					time.Sleep(time.Millisecond)
				}
				return out, err
			}},
		})
		s := w.Stream(nodetest.Say("go")).Wait()
		states := nodetest.StatesOf(s.Events)
		if len(states) == 0 || states[len(states)-1] != asking {
			t.Errorf("the stream has ended with the states %v", states)
		}
	})
}
