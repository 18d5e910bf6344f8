// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/task"
)

func TestDurableBeforeVisible(t *testing.T) {
	t.Parallel()

	bubble(t, "while appends fail nobody sees what they were to record", func(t *testing.T) {
		var down atomic.Bool
		w := nodetest.New(t, nodetest.Options{
			Memory: memory.Options{Fault: func(op string) error {
				if op == "append" && down.Load() {
					return store.ErrUnavailable
				}
				return nil
			}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Working()
				time.Sleep(time.Second)
				c.Artifact("secret", "x")
				c.Complete("secret")
				return nil
			}},
		})
		answer := w.Later(nodetest.Say("go"))
		synctest.Wait()
		list, err := w.List(w.Call(), &a2a.ListTasksRequest{})
		if err != nil || len(list.Tasks) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		id := list.Tasks[0].ID
		streams := []*nodetest.Stream{w.Subscribe(id, nil), w.Subscribe(id, ptr(uint64(0)))}
		down.Store(true)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		select {
		case a := <-answer:
			t.Errorf("the blocking call is answered %s, %v", a.JSON, a.Err)
		default:
		}
		for _, s := range streams {
			for _, f := range s.Seen() {
				if strings.Contains(string(f.Event), "secret") {
					t.Errorf("a stream shows %s", f.Event)
				}
			}
		}
		wantState(t, w.MustGet(id), working)
		late := w.Subscribe(id, nil)
		synctest.Wait()
		if len(late.Seen()) != 1 || late.Seen()[0].Seq != 2 {
			t.Errorf("a late follower has %d frames", len(late.Seen()))
		}
		list, err = w.List(w.Call(), &a2a.ListTasksRequest{IncludeArtifacts: true})
		if err != nil || list.Tasks[0].Status.State != working || len(list.Tasks[0].Artifacts) != 0 {
			t.Errorf("the listing shows %+v, %v", list.Tasks[0], err)
		}
		down.Store(false)
		wantState(t, (<-answer).Task, completed)
		for _, s := range append(streams, late) {
			if s.Wait().Err != nil {
				t.Error(s.Err)
			}
		}
		wantStates(t, w.States(id), submitted, working, completed)
	})

	bubble(t, "a submission that fails leaves nothing, and the caller is told that", func(t *testing.T) {
		var down atomic.Bool
		w := nodetest.New(t, nodetest.Options{
			Memory: memory.Options{Fault: func(op string) error {
				if op == "submit" && down.Load() {
					return store.ErrFull
				}
				return nil
			}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Ask("what?"); return nil }},
		})
		id := w.MustSend(nodetest.Say("1")).ID
		follower := w.Subscribe(id, nil)
		down.Store(true)
		for _, r := range []*nodetest.Request{
			nodetest.Say("new"), nodetest.Say("new", nodetest.AtOnce), nodetest.Say("more", nodetest.To(id)),
		} {
			err := w.Send(r).Err
			wantErr(t, err, task.ErrUnavailable)
			if err == nil || !strings.Contains(err.Error(), "nothing was accepted") {
				t.Errorf("the caller hears %v", err)
			}
		}
		synctest.Wait()
		if n := listed(t, w); n != 1 || len(follower.Seen()) != 1 || len(w.Turns(id)) != 1 {
			t.Errorf("%d tasks, %d frames, %d turns", n, len(follower.Seen()), len(w.Turns(id)))
		}
		w.Cancel(id)
		synctest.Wait()
	})

	bubble(t, "a follow-up in doubt is found out with its key, and followers see it once", func(t *testing.T) {
		var lose atomic.Bool
		w := nodetest.New(t, nodetest.Options{
			Memory: memory.Options{Lose: func(op string) error {
				if op == "submit" && lose.CompareAndSwap(true, false) {
					return store.ErrUnknown
				}
				return nil
			}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				if c.Text() == "2" {
					c.Complete()
				} else {
					c.Ask("what?")
				}
				return nil
			}},
		})
		id := w.MustSend(nodetest.Say("1")).ID
		follower := w.Subscribe(id, nil)
		synctest.Wait()
		lose.Store(true)
		call := w.Call()
		call.Key = "k"
		say := nodetest.Say("2", nodetest.To(id), nodetest.ID("m2"))
		err := w.SendAs(call, say).Err
		wantErr(t, err, task.ErrUnavailable)
		if err == nil || !strings.Contains(err.Error(), "Idempotency-Key") {
			t.Errorf("the caller hears %v", err)
		}
		synctest.Wait()
		if len(follower.Seen()) != 2 {
			t.Errorf("the follower does not see the opening of the turn: %d frames", len(follower.Seen()))
		}
		a := w.SendAs(call, say)
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		wantState(t, a.Task, completed)
		if len(w.Turns(id)) != 2 {
			t.Errorf("%d turns", len(w.Turns(id)))
		}
		if follower.Wait().Err != nil {
			t.Error(follower.Err)
		}
	})

	bubble(t, "internal error text of the store reaches no client", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Memory: memory.Options{Fault: func(op string) error {
			if op == "submit" {
				return errSecret
			}
			return nil
		}}})
		err := w.Send(nodetest.Say("go")).Err
		var shown *task.Error
		if err == nil || asTask(err, &shown) {
			t.Errorf("a client is shown %v", err)
		}
	})
}
