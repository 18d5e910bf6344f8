// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"sync"
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

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	key := engine.Call{Key: "k"}
	count := func(c *nodetest.Turn) error {
		for i := range 5 {
			c.Artifact(fmt.Sprint(i), c.Text())
			time.Sleep(100 * time.Millisecond)
		}
		if c.Text() == "message" {
			return nil
		}
		c.Ask("re " + c.Text())
		return nil
	}

	bubble(t, "64 concurrent repeats are one task, and all hear its answer", func(t *testing.T) {
		runs := 0
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			runs++
			return count(c)
		}}})
		var group sync.WaitGroup
		ids := make(chan a2a.TaskID, 64)
		for i := range 64 {
			group.Go(func() {
				if i%2 == 0 {
					s := w.StreamAs(key, nodetest.Say("go", nodetest.ID("m"))).Wait()
					if s.Err != nil || len(s.Frames) != 7 || s.Frames[0].Seq != 1 {
						t.Errorf("a stream of %d frames, %v", len(s.Frames), s.Err)
					}
					ids <- s.ID()
					return
				}
				a := w.SendAs(key, nodetest.Say("go", nodetest.ID("m")))
				if a.Err != nil || a.Task.Status.State != asking {
					t.Errorf("%s, %v", a.JSON, a.Err)
					return
				}
				ids <- a.Task.ID
			})
		}
		group.Wait()
		close(ids)
		all := map[a2a.TaskID]bool{}
		for id := range ids {
			all[id] = true
		}
		if len(all) != 1 || runs != 1 || w.Worker.Stats()[""] != 0 {
			t.Errorf("%d tasks, %d runs", len(all), runs)
		}
	})

	bubble(t, "a repeat joins the stream from its first event", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: count}})
		first := w.StreamAs(key, nodetest.Say("go", nodetest.ID("m")))
		time.Sleep(250 * time.Millisecond)
		second := w.StreamAs(key, nodetest.Say("go", nodetest.ID("m")))
		first.Wait()
		third := w.StreamAs(key, nodetest.Say("go", nodetest.ID("m")))
		for _, s := range []*nodetest.Stream{second.Wait(), third.Wait()} {
			if s.Err != nil || len(s.Frames) != len(first.Frames) {
				t.Fatalf("%d frames, want %d: %v", len(s.Frames), len(first.Frames), s.Err)
			}
			for i := range s.Frames {
				if string(s.Frames[i].Event) != string(first.Frames[i].Event) {
					t.Errorf("frame %d is %s, was %s", i, s.Frames[i].Event, first.Frames[i].Event)
				}
			}
		}
	})

	bubble(t, "a repeat of a follow-up hears its own turn, also when later ones ran or run", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: count}})
		id := w.MustSend(nodetest.Say("1")).ID
		say := func(text string) *nodetest.Request {
			return nodetest.Say(text, nodetest.To(id), nodetest.ID("m"+text))
		}
		first := w.SendAs(key, say("2"))
		stream := w.StreamAs(key, say("2")).Wait()
		w.MustSend(say("3"))
		running := w.Later(say("4"))
		time.Sleep(150 * time.Millisecond)
		for _, when := range []string{"while turn 4 runs", "when turn 4 has ended"} {
			a := w.SendAs(key, say("2"))
			if a.Err != nil || string(a.JSON) != string(first.JSON) {
				t.Errorf("%s the repeat hears %s, %v\nwas %s", when, a.JSON, a.Err, first.JSON)
			}
			s := w.StreamAs(key, say("2")).Wait()
			if s.Err != nil || len(s.Frames) != len(stream.Frames) {
				t.Fatalf("%s the stream has %d frames, had %d: %v", when, len(s.Frames), len(stream.Frames), s.Err)
			}
			if before, ok := s.Events[0].(*a2a.Task); !ok || before.Status.State != asking || len(before.History) != 1 {
				t.Errorf("%s the stream begins with %s", when, s.Frames[0].Event)
			}
			wantStates(t, nodetest.StatesOf(s.Events), asking, working, asking)
			time.Sleep(time.Second)
		}
		if a := <-running; a.Err != nil {
			t.Error(a.Err)
		}
	})

	bubble(t, "a repeat that comes while the end is being committed is answered", func(t *testing.T) {
		hold, holding := make(chan struct{}), make(chan struct{})
		w := nodetest.New(t, nodetest.Options{
			Hooks: nodetest.Hooks{Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
				if a.Finish != nil {
					close(holding)
					<-hold
				}
				return next()
			}},
		})
		call := key
		say := nodetest.Say("go", nodetest.ID("m"), nodetest.AtOnce)
		w.SendAs(call, say) // it does not wait: nobody listens when the end is made
		<-holding
		repeat := nodetest.Say("go", nodetest.ID("m"))
		answer := w.LaterAs(call, repeat)
		stream := w.StreamAs(call, repeat)
		synctest.Wait()
		close(hold)
		a := <-answer
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		wantState(t, a.Task, completed)
		if stream.Wait().Err != nil {
			t.Error(stream.Err)
		}
	})

	bubble(t, "a repeat of a Message reply gets it again, unary and as a stream", func(t *testing.T) {
		runs := 0
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			runs++
			c.Reply("hi")
			return nil
		}}})
		first := w.SendAs(key, nodetest.Say("go", nodetest.ID("m")))
		second := w.SendAs(key, nodetest.Say("go", nodetest.ID("m")))
		atOnce := w.SendAs(key, nodetest.Say("go", nodetest.ID("m"), nodetest.AtOnce))
		if string(first.JSON) != string(second.JSON) || string(first.JSON) != string(atOnce.JSON) || first.Message == nil || runs != 1 {
			t.Errorf("%s, then %s, then %s, %d runs", first.JSON, second.JSON, atOnce.JSON, runs)
		}
		if s := w.StreamAs(key, nodetest.Say("go", nodetest.ID("m"))).Wait(); len(s.Events) != 1 || s.Err != nil {
			t.Errorf("%d events, %v", len(s.Events), s.Err)
		}
	})

	bubble(t, "the same key with another message is a conflict", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{})
		w.SendAs(key, nodetest.Say("go", nodetest.ID("m")))
		wantErr(t, w.SendAs(key, nodetest.Say("other", nodetest.ID("m"))).Err, task.ErrKeyConflict)
		wantErr(t, w.StreamAs(key, nodetest.Say("go", nodetest.ID("n"))).Err, task.ErrKeyConflict)
		if n := listed(t, w); n != 1 {
			t.Errorf("%d tasks", n)
		}
	})

	bubble(t, "a repeat of a follow-up is answered after the task has ended", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			if c.Text() == "end" {
				c.Complete()
			} else {
				c.Ask()
			}
			return nil
		}}})
		id := w.MustSend(nodetest.Say("1")).ID
		say := nodetest.Say("2", nodetest.To(id), nodetest.ID("m2"))
		first := w.SendAs(key, say)
		w.MustSend(nodetest.Say("end", nodetest.To(id)))
		again := w.SendAs(key, say)
		if again.Err != nil || string(again.JSON) != string(first.JSON) {
			t.Errorf("%s, %v\nwas %s", again.JSON, again.Err, first.JSON)
		}
		wantErr(t, w.SendAs(engine.Call{Key: "new"}, nodetest.Say("3", nodetest.To(id))).Err, a2a.ErrUnsupportedOperation)
	})

	bubble(t, "without a key equal messages are two tasks, and with messageIDKey they are one", func(t *testing.T) {
		for _, on := range []bool{false, true} {
			w := nodetest.New(t, nodetest.Options{Policy: agent.Policy{MessageIDKey: on}})
			a, b := w.MustSend(nodetest.Say("go", nodetest.ID("m"))), w.MustSend(nodetest.Say("go", nodetest.ID("m")))
			if (a.ID == b.ID) != on {
				t.Errorf("messageIDKey %v: tasks %s and %s", on, a.ID, b.ID)
			}
		}
	})

	bubble(t, "a key belongs to its owner and its agent", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{More: []string{"other"}})
		ids := map[a2a.TaskID]bool{}
		for _, c := range []engine.Call{
			{Key: "k"}, {Key: "k", Agent: "other"},
			{Key: "k", Scope: task.Scope{Tenant: "t"}}, {Key: "k", Scope: task.Scope{Principal: "p"}},
		} {
			a := w.SendAs(c, nodetest.Say("go", nodetest.ID("m")))
			if a.Err != nil {
				t.Fatal(a.Err)
			}
			ids[a.Task.ID] = true
		}
		if len(ids) != 4 {
			t.Errorf("%d tasks of 4 owners", len(ids))
		}
	})

	bubble(t, "a key is forgotten after its time, when its task has ended", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Engine: engine.Options{KeyTTL: time.Second}})
		say := nodetest.Say("go", nodetest.ID("m"))
		a := w.SendAs(key, say)
		time.Sleep(2 * time.Second)
		if b := w.SendAs(key, say); b.Err != nil || b.Task.ID == a.Task.ID {
			t.Errorf("%s, %v", b.JSON, b.Err)
		}
	})
}
