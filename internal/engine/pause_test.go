// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/node/nodetest"
)

// asker asks for authorization, some time after its last event, and completes with the answer.
func asker(c *nodetest.Turn) error {
	c.Working()
	time.Sleep(time.Second)
	if c.StoredTask == nil || len(c.StoredTaskHistory()) < 2 {
		c.Status(a2a.TaskStateAuthRequired)
		time.Sleep(time.Second) // the turn ends in a commit of its own
		return nil
	}
	c.Complete()
	return nil
}

func TestSubscriptionsWhereATaskWaits(t *testing.T) {
	t.Parallel()
	last := func(s *nodetest.Stream) a2a.TaskState {
		states := nodetest.StatesOf(s.Events)
		return states[len(states)-1]
	}

	bubble(t, "go on until the task has ended", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: asker}})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		s := w.Subscribe(id, nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		select {
		case <-s.Done():
			t.Errorf("the stream ended with %v", last(s))
		default:
		}
		w.MustSend(nodetest.Say("more", nodetest.To(id)))
		if s.Wait(); last(s) != a2a.TaskStateCompleted {
			t.Errorf("the stream ended with %v", last(s))
		}
	})

	bubble(t, "end there if that is asked for, and can be taken up again", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Engine: engine.Options{CloseInterrupted: true}, Agent: nodetest.Agent{Execute: asker}})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		early := w.Subscribe(id, nil)
		replay := w.Subscribe(id, ptr(uint64(0)))
		time.Sleep(1500 * time.Millisecond) // it has asked, and its turn has not ended
		late := w.Subscribe(id, nil)
		for name, s := range map[string]*nodetest.Stream{"early": early, "from the beginning": replay, "late": late} {
			if s.Wait(); s.Err != nil || last(s) != a2a.TaskStateAuthRequired {
				t.Errorf("%s: ended with %v, %v", name, last(s), s.Err)
			}
		}
		waiting := w.Subscribe(id, nil).Wait()
		if len(waiting.Events) != 1 || last(waiting) != a2a.TaskStateAuthRequired {
			t.Errorf("a task that waits: %d events, the last %v", len(waiting.Events), last(waiting))
		}
		cursor := early.Frames[len(early.Frames)-1].Seq
		if none := w.Subscribe(id, ptr(cursor)).Wait(); len(none.Events) != 0 {
			t.Errorf("nothing is new, and there are %d events", len(none.Events))
		}
		answer := w.Later(nodetest.Say("more", nodetest.To(id)))
		synctest.Wait()
		rest := w.Subscribe(id, ptr(cursor)).Wait()
		if a := <-answer; a.Err != nil || last(rest) != a2a.TaskStateCompleted {
			t.Errorf("%v; the rest is %v", a.Err, nodetest.StatesOf(rest.Events))
		}
		var seen []uint64
		for _, f := range w.Subscribe(id, ptr(uint64(0))).Wait().Frames {
			seen = append(seen, f.Seq)
		}
		if !slices.IsSorted(seen) || seen[0] != 1 || seen[len(seen)-1] != uint64(len(seen)) {
			t.Errorf("the log is %v", seen)
		}
	})
}
