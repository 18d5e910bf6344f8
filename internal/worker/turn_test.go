// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

func TestTurn(t *testing.T) {
	t.Parallel()

	bubble(t, "a status or artifact first makes the Task first, and StoredTask is nil", func(t *testing.T) {
		for _, first := range []string{"status", "artifact"} {
			w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				if c.StoredTask != nil {
					t.Error("attempt 1 of turn 1 has a StoredTask")
				}
				if first == "status" {
					c.Working()
				} else {
					c.Artifact("a", "x")
				}
				c.Complete("done")
				return nil
			}}})
			s := w.Stream(nodetest.Say("hello")).Wait()
			made, ok := s.Events[0].(*a2a.Task)
			if !ok || made.Status.State != submitted || len(made.History) != 1 || nodetest.TextOf(made.History[0].Parts) != "hello" {
				t.Errorf("%s first: the stream begins with %s", first, s.Frames[0].Event)
			}
			wantState(t, w.MustGet(s.ID()), completed)
		}
	})

	bubble(t, "a Task event of a new task is the Task, with the user's message in it", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Yield(&a2a.Task{ID: c.TaskID, ContextID: c.ContextID, Status: a2a.TaskStatus{State: completed}})
			return nil
		}}})
		s := w.Stream(nodetest.Say("hello")).Wait()
		wantStates(t, nodetest.StatesOf(s.Events), completed)
		if got := w.MustGet(s.ID()); fmt.Sprint(history(got)) != "[hello]" {
			t.Errorf("history %v", history(got))
		}
	})

	bubble(t, "a second Task event becomes the updates that it implies", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Yield(a2a.NewSubmittedTask(c, c.Message))
			c.Artifact("a", "1")
			c.Yield(&a2a.Task{
				ID: c.TaskID, ContextID: c.ContextID, Status: a2a.TaskStatus{State: completed},
				Artifacts: []*a2a.Artifact{
					{ID: "a", Parts: a2a.ContentParts{a2a.NewTextPart("1"), a2a.NewTextPart("2")}},
					{ID: "b", Parts: a2a.ContentParts{a2a.NewTextPart("new")}},
				},
			})
			return nil
		}}})
		s := w.Stream(nodetest.Say("go")).Wait()
		var kinds []string
		for _, ev := range s.Events {
			kinds = append(kinds, fmt.Sprintf("%T", ev)[5:])
		}
		want := "[Task TaskArtifactUpdateEvent TaskArtifactUpdateEvent TaskArtifactUpdateEvent TaskStatusUpdateEvent]"
		if fmt.Sprint(kinds) != want {
			t.Errorf("the stream has %v, want %s", kinds, want)
		}
		if up := s.Events[2].(*a2a.TaskArtifactUpdateEvent); !up.Append || nodetest.TextOf(up.Artifact.Parts) != "2" {
			t.Errorf("the known artifact is sent again: %+v", up)
		}
		if a := artifacts(w.MustGet(s.ID())); a["a"] != "12" || a["b"] != "new" {
			t.Errorf("artifacts %v", a)
		}
	})

	bubble(t, "a return with no event, or without a final state, is FAILED", func(t *testing.T) {
		for _, speak := range []bool{false, true} {
			w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				if speak {
					c.Artifact("a", "x")
				}
				return nil
			}}})
			got := w.MustSend(nodetest.Say("go"))
			wantState(t, got, failed)
			if !strings.Contains(statusText(got), "invalid agent response") || len(w.Turns(got.ID)) != 1 {
				t.Errorf("status %q", statusText(got))
			}
			if rows := w.Attempts(got.ID); len(rows) != 1 || rows[0].Outcome != "invalid response" {
				t.Errorf("rows %+v", rows)
			}
		}
	})

	bubble(t, "events after the terminal one are refused and kept for the operator", func(t *testing.T) {
		var log bytes.Buffer
		returned := make(chan struct{})
		var again atomic.Bool
		w := nodetest.New(t, nodetest.Options{
			Worker: worker.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				defer close(returned)
				if c.Complete() || c.Working() || c.Artifact("late", "x") {
					t.Error("the agent is told to go on after its end")
				}
				return nil
			}},
			Hooks: nodetest.Hooks{Append: func(_ *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
				if again.CompareAndSwap(false, true) {
					<-returned
					return store.Appended{}, store.ErrUnavailable
				}
				return next()
			}},
		})
		got := w.MustSend(nodetest.Say("go"))
		wantStates(t, w.States(got.ID), submitted, completed)
		rows := w.Attempts(got.ID)
		if len(rows) != 1 || rows[0].Outcome != "completed" || len(rows[0].Refused) != 2 {
			t.Errorf("rows %+v", rows)
		}
		if n := strings.Count(log.String(), "refused an event"); n != 2 {
			t.Errorf("the log names %d refusals: %s", n, &log)
		}
	})

	bubble(t, "events against the rules are refused, kept, and do no harm", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Working()
			c.Append("unknown", "x")
			c.Yield(&a2a.TaskStatusUpdateEvent{TaskID: "other", Status: a2a.TaskStatus{State: completed}})
			c.Yield(&a2a.TaskStatusUpdateEvent{ContextID: "other", Status: a2a.TaskStatus{State: completed}})
			c.Yield(&a2a.TaskStatusUpdateEvent{Status: a2a.TaskStatus{State: "NEW"}})
			c.Yield(&a2a.TaskArtifactUpdateEvent{Artifact: &a2a.Artifact{ID: "a"}})
			c.Yield((*a2a.Task)(nil))
			c.Yield((*a2a.Message)(nil))
			if !c.Yield(nil) {
				t.Error("a nil event ends the turn")
			}
			unencodable := a2a.NewStatusUpdateEvent(c, working, nil)
			unencodable.SetMeta("x", make(chan int))
			c.Yield(unencodable)
			c.Complete()
			return nil
		}}})
		got := w.MustSend(nodetest.Say("go"))
		wantState(t, got, completed)
		wantStates(t, w.States(got.ID), submitted, working, completed)
		if rows := w.Attempts(got.ID); len(rows) != 1 || len(rows[0].Refused) != 8 {
			t.Errorf("rows %+v", rows)
		}
	})

	bubble(t, "a final event that cannot be encoded fails the turn", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			ev := a2a.NewStatusUpdateEvent(c, completed, nil)
			ev.SetMeta("x", func() {})
			c.Yield(ev)
			return nil
		}}})
		wantState(t, w.MustSend(nodetest.Say("go")), failed)
	})

	bubble(t, "an event is what it was when it was yielded", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			ev := a2a.NewArtifactEvent(c, a2a.NewTextPart("before"), a2a.NewDataPart(struct{ N int }{7}))
			ev.Artifact.ID = "a"
			c.Yield(ev)
			ev.Artifact.Parts[0] = a2a.NewTextPart("after")
			c.Complete()
			return nil
		}}})
		if a := artifacts(w.MustSend(nodetest.Say("go"))); a["a"] != "before" {
			t.Errorf("artifacts %v", a)
		}
	})

	bubble(t, "every event of a turn has its turn's context and task, whatever the agent left out", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Yield(&a2a.TaskStatusUpdateEvent{Status: a2a.TaskStatus{State: completed, Message: &a2a.Message{Parts: a2a.ContentParts{a2a.NewTextPart("m")}}}})
			return nil
		}}})
		got := w.MustSend(nodetest.Say("go"))
		for _, r := range w.Log(got.ID) {
			var sr a2a.StreamResponse
			if err := json.Unmarshal(r.Event, &sr); err != nil {
				t.Fatal(err)
			}
			if info := sr.Event.(a2a.TaskInfoProvider).TaskInfo(); info.TaskID != got.ID || info.ContextID != got.ContextID {
				t.Errorf("%s", r.Event)
			}
		}
		if m := got.Status.Message; m.ID == "" || m.Role != a2a.MessageRoleAgent || m.TaskID != got.ID {
			t.Errorf("status message %+v", m)
		}
	})
}

func TestPark(t *testing.T) {
	t.Parallel()

	ask := nodetest.Agent{Execute: func(c *nodetest.Turn) error {
		switch c.Text() {
		case "ask":
			c.Ask("what?")
		case "auth":
			c.Status(authing, "who?")
		case "message":
			c.Reply("hm")
		default:
			c.Complete("you said " + c.Text())
		}
		return nil
	}}

	bubble(t, "input-required and auth-required park the task with nothing left of it in memory", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: ask})
		for _, how := range []string{"ask", "auth"} {
			for range 50 {
				got := w.MustSend(nodetest.Say(how))
				if h := w.Head(got.ID); h.Running || h.DoneTurn != 1 || !task.Interrupted(got.Status.State) {
					t.Fatalf("head %+v", h)
				}
			}
		}
		synctest.Wait()
		if n := w.Worker.Running(); n != 0 || w.Worker.Stats()[""] != 0 {
			t.Errorf("%d attempts are known, %d slots taken", n, w.Worker.Stats()[""])
		}
		time.Sleep(11 * time.Second) // longer than WarmFor
		synctest.Wait()
		if tasks, bytes := w.Worker.WarmTasks(); tasks != 0 || bytes != 0 {
			t.Errorf("%d parked tasks hold %d bytes", tasks, bytes)
		}
	})

	bubble(t, "a follow-up on a parked task is opened by a status event with the message in its record and in the history", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: ask})
		got := w.MustSend(nodetest.Say("ask"))
		s := w.Stream(nodetest.Say("blue", nodetest.To(got.ID))).Wait()
		if s.Err != nil {
			t.Fatal(s.Err)
		}
		first := s.Events[0].(*a2a.Task)
		if first.Status.State != working || !slices.Equal(history(first), []string{"ask", "what?", "blue"}) {
			t.Errorf("the stream begins with %s", s.Frames[0].Event)
		}
		recs := w.Log(got.ID)
		if o := recs[2].Opens; o == nil || recs[2].Turn != 2 || !strings.Contains(string(o.Raw), "blue") {
			t.Errorf("record 3 is %+v", recs[2])
		}
		wantStates(t, w.States(got.ID), submitted, asking, working, completed)
		if h := history(w.MustGet(got.ID)); !slices.Equal(h, []string{"ask", "what?", "blue"}) {
			t.Errorf("history %v", h)
		}
	})

	bubble(t, "a follow-up that is queued on a parked task is opened as SUBMITTED", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: ask})
		got := w.MustSend(nodetest.Say("ask"))
		w.Stop()
		wantState(t, w.MustSend(nodetest.Say("blue", nodetest.To(got.ID), nodetest.AtOnce)), submitted)
		next := w.NewWorker("w2", w.Store)
		defer w.RunWorker(next)()
		time.Sleep(time.Second)
		wantStates(t, w.States(got.ID), submitted, asking, submitted, completed)
	})

	bubble(t, "a Message as the answer to a follow-up restores the parked state with it as the status message", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: ask})
		for how, state := range map[string]a2a.TaskState{"ask": asking, "auth": authing} {
			id := w.MustSend(nodetest.Say(how)).ID
			for range 2 {
				got := w.MustSend(nodetest.Say("message", nodetest.To(id)))
				wantState(t, got, state)
				if statusText(got) != "hm" {
					t.Errorf("status message %q", statusText(got))
				}
			}
			wantState(t, w.MustSend(nodetest.Say("blue", nodetest.To(id))), completed)
		}
	})

	bubble(t, "auth-required and return gives the lease back, and the next message is the next turn", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: ask})
		id := w.MustSend(nodetest.Say("auth")).ID
		synctest.Wait()
		if turn := w.Turns(id)[0]; turn.Item != store.Completed || w.Head(id).Running {
			t.Errorf("turn %+v", turn)
		}
		wantState(t, w.MustSend(nodetest.Say("me", nodetest.To(id))), completed)
	})

	bubble(t, "auth-required without returning answers blocking callers and the turn goes on", func(t *testing.T) {
		granted := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			if c.Text() == "park" {
				c.Ask("go on?")
				return nil
			}
			c.Status(authing, "who?")
			<-granted
			c.Complete("granted")
			return nil
		}}})
		id := w.MustSend(nodetest.Say("park")).ID
		s := w.Subscribe(id, nil)
		got := w.MustSend(nodetest.Say("go", nodetest.To(id)))
		wantState(t, got, authing)
		if !w.Head(id).Running {
			t.Error("the turn does not go on")
		}
		close(granted)
		if s.Wait().Err != nil {
			t.Error(s.Err)
		}
		wantStates(t, w.States(id), submitted, asking, working, authing, completed)
	})

	bubble(t, "a blocking follow-up is not answered with the auth-required of the turn before", func(t *testing.T) {
		turn2 := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			if c.StoredTask == nil {
				c.Status(authing, "who?")
				return nil
			}
			<-turn2
			c.Complete("done")
			return nil
		}}})
		id := w.MustSend(nodetest.Say("go")).ID
		answer := w.Later(nodetest.Say("me", nodetest.To(id)))
		synctest.Wait()
		select {
		case a := <-answer:
			t.Fatalf("answered with %s, %v", a.JSON, a.Err)
		default:
		}
		close(turn2)
		wantState(t, (<-answer).Task, completed)
	})
}
