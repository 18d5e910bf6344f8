// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
)

func TestDeadlineAfterALossThatRecordedNothing(t *testing.T) {
	t.Parallel()

	bubble(t, "the message of a turn stands in the history although its one run recorded nothing", func(t *testing.T) {
		var refused atomic.Bool
		gate := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Working()
				if c.Text() == "second" {
					return c.Wait()
				}
				<-gate
				c.Ask()
				return nil
			}},
			Hooks: nodetest.Hooks{Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
				if a.Item.Turn == 2 && refused.CompareAndSwap(false, true) {
					return store.Appended{}, store.ErrFenced
				}
				return next()
			}},
		})
		id := w.MustSend(nodetest.Say("first", nodetest.AtOnce)).ID
		synctest.Wait()
		second := w.LaterAs(queueing(), nodetest.Say("second", nodetest.To(id), queue("deadline", 250*time.Millisecond)))
		synctest.Wait()
		close(gate)
		wantDeadline(t, (<-second).Task)
		if h := history(w.MustGet(id)); !slices.Contains(h, "second") {
			t.Errorf("the history is %q: the message that failed the task is not there", h)
		}
	})
}
