// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// after waits that long and completes.
func after(d time.Duration) nodetest.Agent {
	return nodetest.Agent{Execute: func(c *nodetest.Turn) error {
		time.Sleep(d)
		c.Complete()
		return nil
	}}
}

func TestAccepted(t *testing.T) {
	t.Parallel()

	bubble(t, "returnImmediately publishes Task SUBMITTED at once", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: after(100 * time.Millisecond)})
		began := time.Now()
		got := w.MustSend(nodetest.Say("go", nodetest.AtOnce))
		wantState(t, got, submitted)
		if time.Since(began) != 0 || listed(t, w) != 1 {
			t.Errorf("after %v, %d listed", time.Since(began), listed(t, w))
		}
		wantState(t, w.MustGet(got.ID), submitted)
		time.Sleep(time.Second)
		wantStates(t, w.States(got.ID), submitted, completed)
	})

	bubble(t, "a queued item is published at once", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: after(300 * time.Millisecond), Policy: agent.Policy{Concurrency: 1}})
		first := w.Later(nodetest.Say("1"))
		synctest.Wait()
		if n := listed(t, w); n != 0 {
			t.Errorf("%d tasks are listed before their first event", n)
		}
		second := w.Later(nodetest.Say("2"))
		synctest.Wait()
		if n := listed(t, w); n != 1 {
			t.Errorf("%d tasks are listed, want the queued one", n)
		}
		wantStates(t, w.States((<-first).Task.ID), submitted, completed)
		wantStates(t, w.States((<-second).Task.ID), submitted, completed)
	})

	bubble(t, "500 ms of silence publish Task SUBMITTED, and not before", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: after(time.Second)})
		s := w.Stream(nodetest.Say("go"))
		time.Sleep(499 * time.Millisecond)
		synctest.Wait()
		if n := listed(t, w); n != 0 || len(s.Seen()) != 0 {
			t.Errorf("after 499 ms: %d listed, %d frames", n, len(s.Seen()))
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if n := listed(t, w); n != 1 || len(s.Seen()) != 1 {
			t.Errorf("after 501 ms: %d listed, %d frames", n, len(s.Seen()))
		}
		s.Wait()
		wantStates(t, nodetest.StatesOf(s.Events), submitted, completed)
	})

	bubble(t, "a task that is not published is unknown to every operation", func(t *testing.T) {
		var id a2a.TaskID
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			id = c.TaskID
			time.Sleep(400 * time.Millisecond)
			c.Reply("hi")
			return nil
		}}})
		answer := w.Later(nodetest.Say("go"))
		for range 2 { // while it runs, and after its Message
			synctest.Wait()
			wantErr(t, w.Get(id).Err, a2a.ErrTaskNotFound)
			wantErr(t, w.Cancel(id).Err, a2a.ErrTaskNotFound)
			wantErr(t, w.Send(nodetest.Say("more", nodetest.To(id))).Err, a2a.ErrTaskNotFound)
			wantErr(t, w.Subscribe(id, nil).Err, a2a.ErrTaskNotFound)
			wantErr(t, w.Subscribe(id, ptr(uint64(0))).Err, a2a.ErrTaskNotFound)
			if n := listed(t, w); n != 0 {
				t.Errorf("%d listed", n)
			}
			time.Sleep(450 * time.Millisecond)
		}
		if a := <-answer; a.Err != nil || a.Message == nil || nodetest.TextOf(a.Message.Parts) != "hi" {
			t.Errorf("%+v", a)
		}
	})

	bubble(t, "the work goes on when the caller leaves, and the caller is told the task", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: after(2 * time.Second)})
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		err := w.SendIn(ctx, w.Call(), nodetest.Say("go")).Err
		wantErr(t, err, task.ErrUnavailable)
		var e *task.Error
		if !errors.As(err, &e) || e.Meta["taskId"] == "" || !strings.Contains(e.Message, e.Meta["taskId"]) {
			t.Fatalf("the caller hears %v", err)
		}
		time.Sleep(2 * time.Second)
		wantState(t, w.MustGet(a2a.TaskID(e.Meta["taskId"])), completed)
	})

	bubble(t, "a caller that waits is answered when nothing runs here any more", func(t *testing.T) {
		stopped := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{
			Agent:  nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Working(); return c.Wait() }},
			Engine: engine.Options{Stopped: stopped},
		})
		answer := w.Later(nodetest.Say("go"))
		synctest.Wait()
		w.Stop()
		close(stopped)
		var e *task.Error
		if a := <-answer; !errors.As(a.Err, &e) || e.Kind != task.ErrUnavailable || e.Meta["taskId"] == "" {
			t.Errorf("the caller hears %v", a.Err)
		}
		err := w.Cancel(a2a.TaskID(e.Meta["taskId"])).Err
		wantErr(t, err, task.ErrUnavailable)
	})
}

func TestMessageReply(t *testing.T) {
	t.Parallel()
	agents := nodetest.Agent{Execute: func(c *nodetest.Turn) error {
		if c.Text() == "published" {
			c.Working()
		}
		if c.Text() == "slow" {
			time.Sleep(time.Second)
		}
		c.Reply("hi")
		return nil
	}}

	bubble(t, "as the first event is the reply, also of a stream and of returnImmediately", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: agents})
		if a := w.Send(nodetest.Say("go")); a.Message == nil || a.Message.TaskID != "" {
			t.Errorf("%s, %v", a.JSON, a.Err)
		}
		s := w.Stream(nodetest.Say("go")).Wait()
		if len(s.Events) != 1 || s.Err != nil {
			t.Fatalf("%d events, %v", len(s.Events), s.Err)
		}
		if m, ok := s.Events[0].(*a2a.Message); !ok || nodetest.TextOf(m.Parts) != "hi" {
			t.Errorf("%s", s.Frames[0].Event)
		}
		if n := listed(t, w); n != 0 {
			t.Errorf("%d listed", n)
		}
	})

	bubble(t, "once the Task is published it is the status message of COMPLETED", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: agents})
		for _, text := range []string{"published", "slow"} {
			got := w.MustSend(nodetest.Say(text))
			wantState(t, got, completed)
			if nodetest.TextOf(got.Status.Message.Parts) != "hi" || got.Status.Message.TaskID != got.ID {
				t.Errorf("status message %+v", got.Status.Message)
			}
		}
	})
}

func TestRefusedMessages(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, nodetest.Options{Worker: nodetest.RealTime, Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Ask(); return nil }}})
	parked := w.MustSend(nodetest.Say("go"))
	long := strings.Repeat("x", 257)
	for name, spoil := range map[string]func(*nodetest.Request){
		"without a message":                    func(r *nodetest.Request) { r.Message = nil },
		"without an id":                        func(r *nodetest.Request) { r.Message.ID = "" },
		"with a long id":                       func(r *nodetest.Request) { r.Message.ID = long },
		"with a long context":                  func(r *nodetest.Request) { r.Message.ContextID = long },
		"with a long task":                     func(r *nodetest.Request) { r.Message.TaskID = a2a.TaskID(long) },
		"without parts":                        func(r *nodetest.Request) { r.Message.Parts = nil },
		"with a nil part":                      func(r *nodetest.Request) { r.Message.Parts[0] = nil },
		"with an empty part":                   func(r *nodetest.Request) { r.Message.Parts[0] = &a2a.Part{} },
		"without a role":                       func(r *nodetest.Request) { r.Message.Role = "" },
		"of an agent":                          func(r *nodetest.Request) { r.Message.Role = a2a.MessageRoleAgent },
		"with negative history":                func(r *nodetest.Request) { r.Config = &a2a.SendMessageConfig{HistoryLength: ptr(-1)} },
		"for another context":                  func(r *nodetest.Request) { r.Message.TaskID, r.Message.ContextID = parked.ID, "other" },
		"that cannot be encoded":               func(r *nodetest.Request) { r.Message.SetMeta("x", make(chan int)) },
		"with metadata that cannot be encoded": func(r *nodetest.Request) { r.SetMeta("x", make(chan int)) },
	} {
		t.Run("a message "+name+" is InvalidParams", func(t *testing.T) {
			t.Parallel()
			say := nodetest.Say("go")
			spoil(say)
			_, err := w.Engine.Send(t.Context(), w.Call(), say)
			wantErr(t, err, a2a.ErrInvalidParams)
			_, err = w.Engine.Stream(t.Context(), w.Call(), say)
			wantErr(t, err, a2a.ErrInvalidParams)
		})
	}

	bubble(t, "a message to a terminal task is UnsupportedOperation", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{})
		id := w.MustSend(nodetest.Say("go")).ID
		wantErr(t, w.Send(nodetest.Say("more", nodetest.To(id))).Err, a2a.ErrUnsupportedOperation)
		wantErr(t, w.Stream(nodetest.Say("more", nodetest.To(id))).Err, a2a.ErrUnsupportedOperation)
		if n := len(w.Turns(id)); n != 1 {
			t.Errorf("%d turns", n)
		}
	})

	bubble(t, "a task that ends between the look and the commit is UnsupportedOperation too", func(t *testing.T) {
		var w *nodetest.World
		w = nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Ask(); return nil }},
			Hooks: nodetest.Hooks{Submit: func(s *store.Submission, next func() (store.Submitted, error)) (store.Submitted, error) {
				if s.Turn == 2 && !w.Head(a2a.TaskID(s.ID)).Closed {
					if a := w.Cancel(a2a.TaskID(s.ID)); a.Err != nil {
						t.Error(a.Err)
					}
				}
				return next()
			}},
		})
		id := w.MustSend(nodetest.Say("go")).ID
		wantErr(t, w.Send(nodetest.Say("more", nodetest.To(id))).Err, a2a.ErrUnsupportedOperation)
	})

	bubble(t, "a task that moves on between the look and the commit is looked at again", func(t *testing.T) {
		moves := 0
		var w *nodetest.World
		w = nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Ask("re " + c.Text()); return nil }},
			Hooks: nodetest.Hooks{Submit: func(s *store.Submission, next func() (store.Submitted, error)) (store.Submitted, error) {
				if s.MessageID == "late" && moves < 20 {
					moves++
					w.MustSend(nodetest.Say("between", nodetest.To(a2a.TaskID(s.ID))))
				}
				return next()
			}},
		})
		id := w.MustSend(nodetest.Say("go")).ID
		got := w.MustSend(nodetest.Say("late", nodetest.To(id), nodetest.ID("late")))
		if nodetest.TextOf(got.Status.Message.Parts) != "re late" || len(w.Turns(id)) != 22 {
			t.Errorf("%+v, %d turns", got.Status.Message, len(w.Turns(id)))
		}
	})

	bubble(t, "an agent that is not there is InvalidParams for every operation", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{})
		call := engine.Call{Agent: "nobody"}
		wantErr(t, w.SendAs(call, nodetest.Say("go")).Err, a2a.ErrInvalidParams)
		_, err := w.Engine.Get(t.Context(), call, &a2a.GetTaskRequest{ID: "x"})
		wantErr(t, err, a2a.ErrInvalidParams)
		_, err = w.List(call, &a2a.ListTasksRequest{})
		wantErr(t, err, a2a.ErrInvalidParams)
		_, err = w.Engine.Subscribe(t.Context(), call, &a2a.SubscribeToTaskRequest{ID: "x"}, nil)
		wantErr(t, err, a2a.ErrInvalidParams)
	})

	bubble(t, "the gate refuses sends and nothing else", func(t *testing.T) {
		closed := errors.New("closed")
		var gate error
		w := nodetest.New(t, nodetest.Options{Engine: engine.Options{Gate: func() error { return gate }}})
		id := w.MustSend(nodetest.Say("go")).ID
		gate = closed
		wantErr(t, w.Send(nodetest.Say("go")).Err, closed)
		wantErr(t, w.Stream(nodetest.Say("go")).Err, closed)
		wantState(t, w.MustGet(id), completed)
	})
}

func TestHistoryLength(t *testing.T) {
	t.Parallel()
	bubble(t, "limits what Send and Get answer, and 0 shows none", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Ask("what?"); return nil }}})
		id := w.MustSend(nodetest.Say("1")).ID
		for n, want := range map[int]int{0: 0, 1: 1, 2: 2, 100: 3} {
			say := nodetest.Say("again", nodetest.To(id))
			say.Config = &a2a.SendMessageConfig{HistoryLength: ptr(n)}
			if got := w.MustSend(say); len(got.History) > n {
				t.Errorf("Send with historyLength %d gives %d messages", n, len(got.History))
			}
			b, err := w.Engine.Get(t.Context(), w.Call(), &a2a.GetTaskRequest{ID: id, HistoryLength: ptr(n)})
			if err != nil || strings.Count(string(b), `"messageId"`)-1 < want {
				t.Errorf("Get with historyLength %d gives %s, %v", n, b, err)
			}
		}
		_, err := w.Engine.Get(t.Context(), w.Call(), &a2a.GetTaskRequest{ID: id, HistoryLength: ptr(-1)})
		wantErr(t, err, a2a.ErrInvalidParams)
		_, err = w.Engine.Get(t.Context(), w.Call(), &a2a.GetTaskRequest{})
		wantErr(t, err, a2a.ErrInvalidParams)
	})
}
