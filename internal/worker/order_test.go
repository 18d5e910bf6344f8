// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

func TestTurnsInOrder(t *testing.T) {
	t.Parallel()

	// echo parks every turn after it has said the turn's message.
	echo := func(c *nodetest.Turn) error {
		c.Artifact(c.Text(), "said")
		c.Ask("re " + c.Text())
		return nil
	}

	bubble(t, "50 messages to one running task are executed each in its own turn, in order, and each caller hears its own", func(t *testing.T) {
		gate := make(chan struct{})
		var order []string
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			if c.Text() == "0" {
				c.Working()
				<-gate
			} else if want := len(order); len(c.StoredTask.Artifacts) != want {
				t.Errorf("turn %s sees %d artifacts of the turns before, want %d", c.Text(), len(c.StoredTask.Artifacts), want)
			}
			order = append(order, c.Text())
			return echo(c)
		}}})
		id := w.MustSend(nodetest.Say("0", nodetest.AtOnce)).ID
		synctest.Wait()
		answers := make([]<-chan nodetest.Answer, 51)
		streams := make([]*nodetest.Stream, 51)
		for i := 1; i <= 50; i++ {
			say := nodetest.Say(strconv.Itoa(i), nodetest.To(id))
			if i%2 == 0 {
				streams[i] = w.Stream(say)
			} else {
				answers[i] = w.Later(say)
			}
			synctest.Wait() // so that the order of the calls is that of the numbers
		}
		close(gate)
		for i := 1; i <= 50; i++ {
			want := "re " + strconv.Itoa(i)
			if s := streams[i]; s != nil {
				if s.Wait().Err != nil {
					t.Errorf("stream %d: %v", i, s.Err)
					continue
				}
				last := s.Events[len(s.Events)-1].(*a2a.TaskStatusUpdateEvent)
				if got := nodetest.TextOf(last.Status.Message.Parts); got != want {
					t.Errorf("stream %d ends with %q", i, got)
				}
				continue
			}
			a := <-answers[i]
			if a.Err != nil {
				t.Errorf("call %d: %v", i, a.Err)
			} else if statusText(a.Task) != want || len(a.Task.Artifacts) != i+1 {
				t.Errorf("call %d is answered %q with %d artifacts", i, statusText(a.Task), len(a.Task.Artifacts))
			}
		}
		if !slices.IsSortedFunc(order, func(a, b string) int { x, _ := strconv.Atoi(a); y, _ := strconv.Atoi(b); return x - y }) || len(order) != 51 {
			t.Errorf("order %v", order)
		}
	})

	bubble(t, "a caller that fell behind hears its own turn, not the one that runs by then", func(t *testing.T) {
		gate, hold, running := make(chan struct{}), make(chan struct{}), make(chan struct{})
		var slow atomic.Bool
		w := nodetest.New(t, nodetest.Options{
			Live: live.Limits{Records: 1}, // every caller falls behind
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				switch c.Text() {
				case "start":
					c.Ask()
				case "first":
					<-gate
					slow.Store(true)
					for i := range 3 { // more than a listener takes
						c.Artifact("first", fmt.Sprint(i))
					}
					c.Ask("first")
				case "second":
					c.Working()
					close(running)
					<-hold
					c.Artifact("second", "x")
					c.Ask("second")
				}
				return nil
			}},
			// The first caller gets to read the task only when the second turn runs.
			Hooks: nodetest.Hooks{Load: func(_ task.Ref, next func() (store.Stored, error)) (store.Stored, error) {
				if slow.CompareAndSwap(true, false) {
					<-running
				}
				return next()
			}},
		})
		id := w.MustSend(nodetest.Say("start")).ID
		first := w.Later(nodetest.Say("first", nodetest.To(id), nodetest.ID("m1")))
		synctest.Wait()
		second := w.Later(nodetest.Say("second", nodetest.To(id), nodetest.ID("m2")))
		synctest.Wait()
		close(gate)
		a := <-first
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		if a.Task.Status.State != asking || statusText(a.Task) != "first" || len(a.Task.Artifacts) != 1 {
			t.Errorf("the first is answered with %s", a.JSON)
		}
		close(hold)
		if a := <-second; a.Err != nil || statusText(a.Task) != "second" {
			t.Errorf("the second is answered with %s, %v", a.JSON, a.Err)
		}
	})

	bubble(t, "a caller that fell behind is not answered with the auth-required that its turn found", func(t *testing.T) {
		gate, hold := make(chan struct{}), make(chan struct{})
		var slow atomic.Bool
		var w *nodetest.World
		w = nodetest.New(t, nodetest.Options{
			Live: live.Limits{Records: 1},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				if c.Text() == "1" {
					c.Working()
					<-gate
					slow.Store(true)
					for i := range 3 { // more than a listener takes
						c.Artifact("first", fmt.Sprint(i))
					}
					c.Status(authing)
					return nil
				}
				c.Complete("done")
				return nil
			}},
			Hooks: nodetest.Hooks{
				// The second turn is claimed, and nothing of it is recorded yet.
				Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
					if a.Item.Turn == 2 {
						<-hold
					}
					return next()
				},
				Load: func(ref task.Ref, next func() (store.Stored, error)) (store.Stored, error) {
					id := a2a.TaskID(ref.ID)
					if slow.CompareAndSwap(true, false) {
						w.Until("the second turn is claimed", func() bool { h := w.Head(id); return h.DoneTurn == 1 && h.Running })
					}
					return next()
				},
			},
		})
		id := w.MustSend(nodetest.Say("1", nodetest.AtOnce)).ID
		synctest.Wait()
		answer := w.Later(nodetest.Say("2", nodetest.To(id)))
		synctest.Wait()
		close(gate)
		time.Sleep(time.Second)
		select {
		case a := <-answer:
			close(hold)
			t.Fatalf("answered with %s, %v", a.JSON, a.Err)
		default:
		}
		close(hold)
		if a := <-answer; a.Err != nil || a.Task.Status.State != completed {
			t.Errorf("%s, %v", a.JSON, a.Err)
		}
	})

	bubble(t, "a follow-up behind a running turn is opened when its own turn starts", func(t *testing.T) {
		gate := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Working()
			if c.Text() == "first" {
				<-gate
			}
			return echo(c)
		}}})
		id := w.MustSend(nodetest.Say("first", nodetest.AtOnce)).ID
		synctest.Wait()
		answer := w.Later(nodetest.Say("second", nodetest.To(id)))
		synctest.Wait()
		if h := history(w.MustGet(id)); !slices.Equal(h, []string{"first"}) {
			t.Errorf("history %v while the first turn runs", h)
		}
		close(gate)
		wantState(t, (<-answer).Task, asking)
		recs := w.Log(id)
		for i, r := range recs {
			if (r.Opens != nil) != (r.Turn == 2 && recs[i-1].Turn == 1) {
				t.Errorf("record %d of turn %d opens %v", r.Seq, r.Turn, r.Opens)
			}
		}
		wantStates(t, w.States(id), submitted, working, asking, working, working, asking)
	})

	bubble(t, "two turns with one message id are two turns", func(t *testing.T) {
		var texts []string
		gate := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			texts = append(texts, c.Text())
			if len(texts) == 1 {
				c.Working()
				<-gate
			}
			c.Ask()
			return nil
		}}})
		id := w.MustSend(nodetest.Say("a", nodetest.ID("same"), nodetest.AtOnce)).ID
		synctest.Wait()
		answer := w.Later(nodetest.Say("b", nodetest.ID("same"), nodetest.To(id)))
		synctest.Wait()
		close(gate)
		if a := <-answer; a.Err != nil {
			t.Fatal(a.Err)
		}
		if fmt.Sprint(texts) != "[a b]" {
			t.Errorf("executed %v", texts)
		}
		wantStates(t, w.States(id), submitted, working, asking, working, asking)
	})
}

func TestQueuedTurnsOfATaskThatEnds(t *testing.T) {
	t.Parallel()

	bubble(t, "their callers get UnsupportedOperation and their ids stand in the terminal event", func(t *testing.T) {
		gate := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Working()
			<-gate
			ev := a2a.NewStatusUpdateEvent(c, completed, nil)
			ev.SetMeta("agent", "says")
			c.Yield(ev)
			return nil
		}}})
		id := w.MustSend(nodetest.Say("1", nodetest.AtOnce)).ID
		synctest.Wait()
		second := w.Later(nodetest.Say("2", nodetest.To(id), nodetest.ID("m2")))
		synctest.Wait()
		third := w.Stream(nodetest.Say("3", nodetest.To(id), nodetest.ID("m3")))
		synctest.Wait()
		close(gate)
		err := (<-second).Err
		wantErr(t, err, a2a.ErrUnsupportedOperation)
		wantErr(t, third.Wait().Err, a2a.ErrUnsupportedOperation)
		got := w.MustGet(id)
		if ids := canceledTurns(got.Metadata); !slices.Equal(ids, []string{"m2", "m3"}) || got.Metadata["agent"] != "says" {
			t.Errorf("metadata %v", got.Metadata)
		}
		if turns := w.Turns(id); turns[1].Item != store.Canceled || turns[2].Item != store.Canceled || turns[0].Item != store.Completed {
			t.Errorf("turns %+v", turns)
		}
	})

	for _, kind := range []string{"status", "task"} {
		bubble(t, "a turn that is accepted between the encoding and the commit of the end is named too: "+kind, func(t *testing.T) {
			var w *nodetest.World
			var tries atomic.Int32
			late := make(chan (<-chan nodetest.Answer), 3)
			w = nodetest.New(t, nodetest.Options{
				Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
					if kind == "task" {
						c.Yield(&a2a.Task{ID: c.TaskID, ContextID: c.ContextID, Status: a2a.TaskStatus{State: completed}, Metadata: map[string]any{"k": 1}})
						return nil
					}
					c.Complete("done")
					return nil
				}},
				Hooks: nodetest.Hooks{Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
					if n := tries.Add(1); a.View != nil && a.View.Closed && n <= 3 {
						id := a2a.TaskID(a.ID)
						late <- w.Later(nodetest.Say("late", nodetest.To(id), nodetest.ID("late"+strconv.Itoa(int(n)))))
						w.Until("the turn is accepted", func() bool { return w.Head(id).LastTurn == int(n)+1 })
					}
					return next()
				}},
			})
			// Only a published task takes follow-ups.
			id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
			for range 3 {
				wantErr(t, (<-(<-late)).Err, a2a.ErrUnsupportedOperation)
			}
			got := w.MustGet(id)
			wantState(t, got, completed)
			if ids := canceledTurns(got.Metadata); !slices.Equal(ids, []string{"late1", "late2", "late3"}) {
				t.Errorf("the end names %v", ids)
			}
			if n := w.Turns(id)[0].Attempt; tries.Load() != 4 || n != 1 {
				t.Errorf("the end was tried %d times in %d attempts", tries.Load(), n)
			}
			if n := strings.Count(string(w.Get(id).JSON), "late3"); n != 1 {
				t.Errorf("late3 stands %d times in the task", n)
			}
		})
	}
}

// The terminal event and the ack are one commit, whatever moment the event
// comes at: the item of a completed task is completed, never canceled.
func TestTheLastEventAndTheAckAreOneCommit(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, nodetest.Options{Worker: nodetest.RealTime, Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
		c.Working()
		c.Complete()
		return nil
	}}})
	ids := make(chan a2a.TaskID, 64)
	for range 8 {
		go func() {
			for range 250 {
				ids <- w.MustSend(nodetest.Say("go")).ID
			}
		}()
	}
	for range 8 * 250 {
		id := <-ids
		if turn := w.Turns(id)[0]; turn.Item != store.Completed {
			t.Fatalf("the item of a completed task is %s", turn.Item)
		}
	}
}
