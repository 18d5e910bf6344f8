// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
)

func TestCancelDuringADoubtfulEnd(t *testing.T) {
	t.Parallel()

	bubble(t, "a cancellation asked for while the end of a turn is in doubt is not forgotten", func(t *testing.T) {
		var w *nodetest.World
		var answer <-chan nodetest.Answer
		w = nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{
				Execute: func(c *nodetest.Turn) error {
					c.Working()
					time.Sleep(10 * time.Millisecond)
					c.Ask()
					return nil
				},
				Cancel: func(*nodetest.Turn) error {
					t.Error("the agent is asked, although who ended the turn was told and ends the task")
					return nil
				},
			},
			Hooks: nodetest.Hooks{Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
				if a.Finish == nil || answer != nil {
					return next()
				}
				answer = w.CancelLater(a2a.TaskID(a.ID))
				time.Sleep(time.Millisecond) // the cancellation is committed while the task runs
				if _, err := next(); err != nil {
					return store.Appended{}, err
				}
				return store.Appended{}, store.ErrUnknown
			}},
		})
		task := w.MustSend(nodetest.Say("go", nodetest.AtOnce))
		time.Sleep(time.Second)
		// Whoever asked would take the task over in the end, if they are still there.
		if h := w.Head(task.ID); !h.Closed || h.State != string(canceled) {
			t.Errorf("a second later the task is %s, closed %v, cancel %v", h.State, h.Closed, h.Cancel)
		}
		if a := <-answer; a.Err != nil || a.Task.Status.State != canceled {
			t.Errorf("%+v, %v", a.Task, a.Err)
		}
	})
}

// lateWish is a world whose agent parks, and in which a cancellation is asked
// for while that is being committed, by somebody who does not wait for the
// outcome. What the worker then writes to end the task goes through take.
func lateWish(t *testing.T, take func(w *nodetest.World, a *store.Append, next func() (store.Appended, error)) (store.Appended, error)) *nodetest.World {
	var w *nodetest.World
	w = nodetest.New(t, nodetest.Options{
		Agent: nodetest.Agent{
			Execute: func(c *nodetest.Turn) error {
				c.Working()
				time.Sleep(10 * time.Millisecond)
				c.Ask()
				return nil
			},
			Cancel: func(c *nodetest.Turn) error {
				c.Status(canceled, "as you wish")
				return nil
			},
		},
		Hooks: nodetest.Hooks{Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
			if a.TakeEpoch {
				return take(w, a, next)
			}
			if a.Finish != nil && a.Item.Kind == store.Execute {
				if _, err := w.Store.RequestCancel(w.Context(), &store.CancelRequest{Ref: a.Ref}); err != nil {
					t.Errorf("RequestCancel: %v", err)
				}
			}
			return next()
		}},
	})
	return w
}

func TestCancelWhileATurnEnds(t *testing.T) {
	t.Parallel()

	bubble(t, "a cancellation that only a worker was told of which then stops is another's to carry out", func(t *testing.T) {
		var tries atomic.Int32
		w := lateWish(t, func(*nodetest.World, *store.Append, func() (store.Appended, error)) (store.Appended, error) {
			tries.Add(1)
			return store.Appended{}, store.ErrUnavailable
		})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		w.Until("the worker has tried to end the task", func() bool { return tries.Load() > 0 })
		w.Stop()
		if h := w.Head(id); !h.Closed && (h.Running || h.DoneTurn != 1 || h.Cancel != store.CancelRequested) {
			t.Fatalf("head %+v", h)
		}
		w.RunWorker(w.NewWorker("w2", w.Store))
		time.Sleep(time.Second)
		if h := w.Head(id); !h.Closed || h.State != string(canceled) {
			t.Errorf("a second later the task is %s, closed %v, cancel %v", h.State, h.Closed, h.Cancel)
		}
		if got := statusText(w.MustGet(id)); got != "as you wish" {
			t.Errorf("the agent was not asked: the last status says %q", got)
		}
	})

	bubble(t, "followers see the end that another worker wrote, and not the one that was in doubt", func(t *testing.T) {
		taken := false
		w := lateWish(t, func(w *nodetest.World, a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
			if taken {
				return next()
			}
			taken = true
			hub := w.Hub
			w.Hub = live.NewHub(live.Limits{}) // the other one is on another machine
			other := w.NewWorker("w2", w.Store)
			w.Hub = hub
			stop := w.RunWorker(other)
			w.Until("the other worker has ended the task", func() bool { return w.Head(a2a.TaskID(a.ID)).Closed })
			stop()
			return store.Appended{}, store.ErrUnknown
		})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		s := w.Subscribe(id, nil).Wait()
		if s.Err != nil {
			t.Fatal(s.Err)
		}
		last, ok := s.Events[len(s.Events)-1].(*a2a.TaskStatusUpdateEvent)
		if !ok || last.Status.State != canceled || last.Status.Message == nil || nodetest.TextOf(last.Status.Message.Parts) != "as you wish" {
			t.Errorf("the last event is %+v", s.Events[len(s.Events)-1])
		}
		if !taken {
			t.Error("the worker has not tried to end the task")
		}
	})
}

func TestARecordOfAnotherIsNotTakenForOurs(t *testing.T) {
	t.Parallel()

	bubble(t, "a message that opens its turn while the CANCELED of a cancellation is in doubt is shown as what it is", func(t *testing.T) {
		var w *nodetest.World
		var id a2a.TaskID
		var arrived bool
		canceling := make(chan struct{})
		w = nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Ask(); return nil }},
			Hooks: nodetest.Hooks{
				Submit: func(s *store.Submission, next func() (store.Submitted, error)) (store.Submitted, error) {
					if s.Turn > 1 {
						<-canceling
					}
					return next()
				},
				Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
					if a.Item.Kind != store.CancelItem || arrived {
						return next()
					}
					arrived = true
					close(canceling)
					time.Sleep(time.Millisecond) // the message is accepted: its record stands where ours was to stand
					return store.Appended{}, store.ErrUnknown
				},
			},
		})
		id = w.MustSend(nodetest.Say("go")).ID
		seen := w.Subscribe(id, nil)
		more := w.Later(nodetest.Say("more", nodetest.To(id)))
		synctest.Wait() // it has read the task before the cancellation is asked for
		if a := w.Cancel(id); a.Err != nil || a.Task.Status.State != canceled {
			t.Errorf("%+v, %v", a.Task, a.Err)
		}
		if m := <-more; m.Err == nil || !strings.Contains(m.Err.Error(), "ended before this message was executed") {
			t.Errorf("the sender is answered with what no log holds: %s, %v", m.JSON, m.Err)
		}
		logged := map[uint64]string{}
		from := uint64(0)
		for _, f := range w.Subscribe(id, &from).Wait().Frames {
			logged[f.Seq] = string(f.Event)
		}
		frames := seen.Wait().Frames
		for _, f := range frames[1:] { // the first is the Task
			if logged[f.Seq] != string(f.Event) {
				t.Errorf("at %d a follower was shown\n%s\nand the log holds\n%s", f.Seq, f.Event, logged[f.Seq])
			}
		}
		if len(frames) < 3 {
			t.Errorf("only %d frames were shown: %s", len(frames), frames[1].Event)
		}
	})
}
