// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"context"
	"errors"
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
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

// wantDeadline wants a task that failed because its deadline passed.
func wantDeadline(t *testing.T, got *a2a.Task) {
	t.Helper()
	wantState(t, got, failed)
	if !strings.Contains(statusText(got), "deadline passed") {
		t.Errorf("the status message is %q", statusText(got))
	}
}

// wantAfter wants that much time to have passed, and at most 50 ms, the poll
// of a test, more.
func wantAfter(t *testing.T, began time.Time, d time.Duration) {
	t.Helper()
	if got := time.Since(began); got < d || got > d+50*time.Millisecond {
		t.Errorf("it took %v, want %v", got, d)
	}
}

func TestDeadlineOfTheTurnThatRuns(t *testing.T) {
	t.Parallel()

	bubble(t, "the context ends with that cause, the events before are kept, and nothing is tried again", func(t *testing.T) {
		var cause, plain error
		var until time.Time
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Artifact("a", "kept")
			until, _ = c.Ctx.Deadline()
			cause = c.Wait()
			plain = c.Ctx.Err()
			if c.Artifact("late", "x") {
				t.Error("an event after the deadline was taken")
			}
			return cause
		}}})
		began := time.Now()
		got := mustQueue(t, w, nodetest.Say("go", queue("deadline", 5*time.Second)))
		wantAfter(t, began, 5*time.Second)
		wantDeadline(t, got)
		synctest.Wait()
		if !errors.Is(cause, worker.ErrDeadline) || !errors.Is(plain, context.DeadlineExceeded) || until.Sub(began) != 5*time.Second {
			t.Errorf("cause %v, error %v, deadline in %v", cause, plain, until.Sub(began))
		}
		if a := artifacts(got); len(a) != 1 || a["a"] != "kept" {
			t.Errorf("artifacts %v", a)
		}
		if rows := w.Attempts(got.ID); len(rows) != 1 || rows[0].Outcome != "deadline" || w.Turns(got.ID)[0].Item != store.Dead {
			t.Errorf("rows %+v, turns %+v", rows, w.Turns(got.ID))
		}
	})

	for name, execute := range map[string]func(*nodetest.Turn) error{
		"returns nothing": func(c *nodetest.Turn) error { c.Working(); c.Wait(); return nil },
		"panics":          func(c *nodetest.Turn) error { c.Working(); panic(c.Wait()) },
		"is deaf":         func(c *nodetest.Turn) error { c.Working(); time.Sleep(time.Minute); return nil },
		"says nothing":    func(c *nodetest.Turn) error { return c.Wait() },
	} {
		bubble(t, "an executor that then "+name+" has missed it too", func(t *testing.T) {
			w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: execute}, Patience: 5 * time.Minute})
			began := time.Now()
			got := mustQueue(t, w, nodetest.Say("go", queue("deadline", 3*time.Second)))
			wantAfter(t, began, 3*time.Second)
			wantDeadline(t, got)
			if n := w.Turns(got.ID)[0].Attempt; n != 1 {
				t.Errorf("%d attempts", n)
			}
			time.Sleep(2 * time.Minute)
		})
	}

	bubble(t, "a turn that ends in time, or waits for input by then, is left alone", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			switch c.Text() {
			case "ask":
				c.Ask("what?")
			case "auth":
				c.Status(authing)
			default:
				c.Complete()
			}
			return nil
		}}})
		ids := map[a2a.TaskState]a2a.TaskID{}
		for text, state := range map[string]a2a.TaskState{"ask": asking, "auth": authing, "": completed} {
			got := mustQueue(t, w, nodetest.Say(text, queue("deadline", time.Second)))
			wantState(t, got, state)
			ids[state] = got.ID
		}
		time.Sleep(10 * time.Second)
		for state, id := range ids {
			wantState(t, w.MustGet(id), state)
		}
		wantState(t, w.MustSend(nodetest.Say("more", nodetest.To(ids[asking]))), completed)
	})

	bubble(t, "of a follow-up that runs it ends the task, and with it the turns behind", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			if c.Text() == "first" {
				c.Ask("what?")
				return nil
			}
			return c.Wait()
		}}})
		id := w.MustSend(nodetest.Say("first")).ID
		second := w.LaterAs(queueing(), nodetest.Say("second", nodetest.To(id), queue("deadline", 2*time.Second)))
		synctest.Wait()
		wantErr(t, w.Send(nodetest.Say("third", nodetest.To(id), nodetest.ID("m3"))).Err, a2a.ErrUnsupportedOperation)
		wantDeadline(t, (<-second).Task)
		if ids := canceledTurns(w.MustGet(id).Metadata); len(ids) != 1 || ids[0] != "m3" {
			t.Errorf("the end names %v", ids)
		}
	})

	bubble(t, "a cancellation that is under way is what the task ends with", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{
			Execute: func(c *nodetest.Turn) error { c.Working(); return c.Wait() },
			Cancel:  func(c *nodetest.Turn) error { return c.Wait() },
		}})
		id := mustQueue(t, w, nodetest.Say("go", nodetest.AtOnce, queue("deadline", 3*time.Second))).ID
		synctest.Wait()
		time.Sleep(2 * time.Second)
		began := time.Now()
		wantState(t, w.Cancel(id).Task, canceled)
		wantAfter(t, began, time.Second)
	})
}

func TestDeadlineOfWhatWaits(t *testing.T) {
	t.Parallel()

	bubble(t, "a task that never ran fails at the deadline, whatever occupies the slots", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Concurrency: 1},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				if c.Text() != "busy" {
					t.Errorf("executed %q", c.Text())
				}
				c.Working()
				time.Sleep(20 * time.Second)
				c.Complete()
				return nil
			}},
		})
		busy := w.Later(nodetest.Say("busy"))
		synctest.Wait()
		began := time.Now()
		low := w.StreamAs(queueing(), nodetest.Say("low", queue("priority", -100, "deadline", 3*time.Second)))
		got := mustQueue(t, w, nodetest.Say("go", queue("deadline", 2*time.Second)))
		wantAfter(t, began, 2*time.Second)
		wantDeadline(t, got)
		wantStates(t, w.States(got.ID), submitted, failed)
		low.Wait()
		wantAfter(t, began, 3*time.Second)
		wantStates(t, nodetest.StatesOf(low.Events), submitted, failed)
		if rows, turn := w.Attempts(got.ID), w.Turns(got.ID)[0]; len(rows) != 0 || turn.Attempt != 0 || turn.Item != store.Dead {
			t.Errorf("rows %+v, turn %+v", rows, turn)
		}
		wantState(t, (<-busy).Task, completed)
	})

	bubble(t, "a turn that waits for a retry fails at the deadline, and not before", func(t *testing.T) {
		runs := 0
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			runs++
			c.Artifact("a", "kept")
			words := a2a.NewStatusUpdateEvent(c, working, a2a.NewMessage(a2a.MessageRoleAgent, a2a.NewTextPart("words of the agent")))
			words.Status.Message.ID = "" // so that the engine makes one
			c.Yield(words)
			return task.RetryAfter(time.Hour, errAgent)
		}}})
		began := time.Now()
		got := mustQueue(t, w, nodetest.Say("go", queue("deadline", 10*time.Second)))
		wantAfter(t, began, 10*time.Second)
		wantDeadline(t, got)
		wantStates(t, w.States(got.ID), submitted, working, failed)
		if a := artifacts(got); runs != 1 || a["a"] != "kept" {
			t.Errorf("%d runs, artifacts %v", runs, a)
		}
		if rows := w.Attempts(got.ID); len(rows) != 1 || rows[0].Outcome != "failed" || !strings.Contains(rows[0].Error, "secret") {
			t.Errorf("rows %+v", rows)
		}
		if h := history(got); len(h) != 2 || h[1] != "words of the agent" {
			t.Errorf("history %q", h)
		}
	})

	bubble(t, "a turn fails whose deadline passes while nobody works", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Idle: true})
		id := mustQueue(t, w, nodetest.Say("go", nodetest.AtOnce, queue("deadline", time.Second))).ID
		time.Sleep(5 * time.Second)
		w.Run()
		time.Sleep(100 * time.Millisecond)
		wantDeadline(t, w.MustGet(id))
	})

	bubble(t, "a turn fails whose deadline passes while its worker is lost", func(t *testing.T) {
		dead := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Artifact("a", "kept")
				<-dead
				return nil
			}},
			Hooks: nodetest.Hooks{
				Heartbeat: func([]store.Beat, func() ([]store.BeatAnswer, error)) ([]store.BeatAnswer, error) {
					return nil, store.ErrUnavailable
				},
				Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
					if a.Finish != nil && a.Epoch == 1 {
						return store.Appended{}, store.ErrUnavailable
					}
					return next()
				},
			},
		})
		id := mustQueue(t, w, nodetest.Say("go", nodetest.AtOnce, queue("deadline", 250*time.Millisecond))).ID
		time.Sleep(2 * time.Second)
		got := w.MustGet(id)
		wantDeadline(t, got)
		if turn := w.Turns(id)[0]; turn.Attempt != 1 || turn.Losses != 1 || artifacts(got)["a"] != "kept" {
			t.Errorf("turn %+v, artifacts %v", turn, artifacts(got))
		}
		close(dead)
	})

	bubble(t, "a worker that stops does not take what has expired, and the next one does", func(t *testing.T) {
		gate := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Concurrency: 1},
			Worker: worker.Options{Shutdown: 10 * time.Second},
			Agent:  nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Working(); <-gate; c.Complete(); return nil }},
		})
		w.MustSend(nodetest.Say("busy", nodetest.AtOnce))
		synctest.Wait()
		id := mustQueue(t, w, nodetest.Say("go", nodetest.AtOnce, queue("deadline", time.Second))).ID
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			w.Stop()
		}()
		time.Sleep(5 * time.Second)
		wantState(t, w.MustGet(id), submitted)
		close(gate)
		<-stopped
		w.RunWorker(w.NewWorker("w2", w.Store))
		time.Sleep(time.Second)
		wantDeadline(t, w.MustGet(id))
	})
}

func TestDeadlineOfALaterTurn(t *testing.T) {
	t.Parallel()

	bubble(t, "that waits behind another is told to its senders at the deadline, ends alone, and the turns after it go on", func(t *testing.T) {
		var runs atomic.Int32
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			runs.Add(1)
			if c.Text() == "first" {
				c.Artifact("a", "x")
				time.Sleep(10 * time.Second)
			}
			c.Ask("re " + c.Text())
			return nil
		}}})
		id := w.MustSend(nodetest.Say("first", nodetest.AtOnce)).ID
		all := w.Subscribe(id, nil)
		synctest.Wait()
		began := time.Now()
		second := w.LaterAs(queueing(), nodetest.Say("second", nodetest.To(id), nodetest.ID("m2"), queue("deadline", 2*time.Second)))
		synctest.Wait()
		third := w.StreamAs(queueing(), nodetest.Say("third", nodetest.To(id), nodetest.ID("m3"), queue("deadline", 3*time.Second)))
		synctest.Wait()
		fourth := w.LaterAs(queueing(), nodetest.Say("fourth", nodetest.To(id), queue("deadline", time.Minute)))
		err := (<-second).Err
		wantAfter(t, began, 2*time.Second)
		wantErr(t, err, a2a.ErrUnsupportedOperation)
		if !strings.Contains(err.Error(), "deadline of this message passed") {
			t.Errorf("the sender is told %v", err)
		}
		err = third.Wait().Err
		wantAfter(t, began, 3*time.Second)
		wantErr(t, err, a2a.ErrUnsupportedOperation)
		a := <-fourth
		wantAfter(t, began, 10*time.Second)
		wantState(t, a.Task, asking)
		if statusText(a.Task) != "re fourth" || runs.Load() != 2 {
			t.Errorf("answered %q after %d runs", statusText(a.Task), runs.Load())
		}
		// The task was as it is after the first turn, and the messages are named.
		var named []string
		for _, ev := range w.Events(id) {
			st, ok := ev.(*a2a.TaskStatusUpdateEvent)
			if !ok || len(canceledTurns(st.Metadata)) == 0 {
				continue
			}
			named = append(named, canceledTurns(st.Metadata)...)
			if st.Status.State != asking || nodetest.TextOf(st.Status.Message.Parts) != "re first" {
				t.Errorf("the task was said to be %+v", st.Status)
			}
		}
		if len(named) != 2 || named[0] != "m2" || named[1] != "m3" {
			t.Errorf("named are %v", named)
		}
		if h := history(a.Task); strings.Join(h, ",") != "first,re first,fourth" {
			t.Errorf("history %q", h)
		}
		for n, turn := range w.Turns(id)[1:3] {
			if turn.Item != store.Canceled || turn.Attempt != 0 || !turn.Expired {
				t.Errorf("turn %d is %+v", n+2, turn)
			}
		}
		wantState(t, w.Cancel(id).Task, canceled)
		if all.Wait().Err != nil {
			t.Error(all.Err)
		}
	})

	bubble(t, "of a parked task, that got no slot, leaves the task waiting as it did", func(t *testing.T) {
		gate := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Concurrency: 1},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				switch c.Text() {
				case "busy":
					<-gate
				case "second":
					t.Error("executed")
				case "first":
					c.Status(authing, "who?")
					return nil
				}
				c.Complete()
				return nil
			}},
		})
		id := w.MustSend(nodetest.Say("first")).ID
		w.MustSend(nodetest.Say("busy", nodetest.AtOnce))
		synctest.Wait()
		began := time.Now()
		call := queueing()
		call.Key = "key"
		say := nodetest.Say("second", nodetest.To(id), nodetest.ID("m2"), queue("deadline", 2*time.Second))
		stream := w.StreamAs(call, say)
		err := w.SendAs(call, say).Err // joins
		wantAfter(t, began, 2*time.Second)
		wantErr(t, err, a2a.ErrUnsupportedOperation)
		wantErr(t, stream.Wait().Err, a2a.ErrUnsupportedOperation)
		got := w.MustGet(id)
		wantState(t, got, authing)
		wantStates(t, w.States(id), submitted, authing, submitted, authing)
		if ids := canceledTurns(got.Metadata); len(ids) != 1 || ids[0] != "m2" || !strings.Contains(statusText(got), "deadline") {
			t.Errorf("metadata %v, text %q", got.Metadata, statusText(got))
		}
		plain := engine.Call{Key: "key"} // a repeat after the deadline, that does not even say so
		wantErr(t, w.SendAs(plain, say).Err, a2a.ErrUnsupportedOperation)
		wantErr(t, w.StreamAs(plain, say).Wait().Err, a2a.ErrUnsupportedOperation)
		close(gate)
		wantState(t, w.MustSend(nodetest.Say("third", nodetest.To(id))), completed)
		err = w.SendAs(call, say).Err // and after the end of the task
		wantErr(t, err, a2a.ErrUnsupportedOperation)
		if !strings.Contains(err.Error(), "deadline") {
			t.Errorf("the repeat is told %v", err)
		}
	})

	bubble(t, "that is canceled with its task before the deadline is told that", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Working()
			time.Sleep(time.Second)
			c.Complete()
			return nil
		}}})
		id := w.MustSend(nodetest.Say("first", nodetest.AtOnce)).ID
		synctest.Wait()
		err := w.SendAs(queueing(), nodetest.Say("second", nodetest.To(id), queue("deadline", time.Minute))).Err
		wantErr(t, err, a2a.ErrUnsupportedOperation)
		if strings.Contains(err.Error(), "deadline") {
			t.Errorf("the sender is told %v", err)
		}
	})

	bubble(t, "that has run and waits for a retry ends the task", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			if c.Text() == "first" {
				c.Ask()
				return nil
			}
			return task.RetryAfter(time.Hour, errAgent)
		}}})
		id := w.MustSend(nodetest.Say("first")).ID
		began := time.Now()
		wantDeadline(t, mustQueue(t, w, nodetest.Say("second", nodetest.To(id), queue("deadline", 2*time.Second))))
		wantAfter(t, began, 2*time.Second)
	})
}
