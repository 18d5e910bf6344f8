// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/task"
)

func TestCancelWithoutAStore(t *testing.T) {
	t.Parallel()

	ask := nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Ask("what?"); return nil }}

	bubble(t, "a wish that is recorded is not said to be refused when its outcome cannot be stored", func(t *testing.T) {
		var down atomic.Bool
		w := nodetest.New(t, nodetest.Options{
			Memory: memory.Options{Fault: func(op string) error {
				if op == "append" && down.Load() {
					return store.ErrFull
				}
				return nil
			}},
			Agent: ask,
		})
		id := w.MustSend(nodetest.Say("1")).ID
		down.Store(true)
		// The executor's own CANCELED cannot be written either; the call gives up when the takeover fails.
		err := w.Cancel(id).Err
		wantErr(t, err, task.ErrUnavailable)
		if !strings.Contains(err.Error(), "is recorded") || strings.Contains(err.Error(), "nothing was accepted") {
			t.Errorf("the caller hears %v", err)
		}
		var told *task.Error
		if !errors.As(err, &told) || told.RetryAfter <= 0 || told.Meta["taskId"] != string(id) {
			t.Errorf("the caller is told %+v", told)
		}
		down.Store(false)
		wantState(t, w.Cancel(id).Task, canceled)
		synctest.Wait()
	})

	bubble(t, "a wish whose commit is in doubt is asked for again, without a key", func(t *testing.T) {
		var lose atomic.Bool
		w := nodetest.New(t, nodetest.Options{
			Memory: memory.Options{Lose: func(op string) error {
				if op == "cancel" && lose.CompareAndSwap(true, false) {
					return store.ErrUnknown
				}
				return nil
			}},
			Agent: ask,
		})
		id := w.MustSend(nodetest.Say("1")).ID
		lose.Store(true)
		err := w.Cancel(id).Err
		wantErr(t, err, task.ErrUnavailable)
		if !strings.Contains(err.Error(), "ask again") || strings.Contains(err.Error(), "Key") {
			t.Errorf("the caller hears %v", err)
		}
		wantState(t, w.Cancel(id).Task, canceled)
		synctest.Wait()
	})
}
