// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// queue puts a value of the queue extension into a message.
func queue(value any) func(*nodetest.Request) {
	return func(r *nodetest.Request) { r.Message.SetMeta(task.QueueURI, value) }
}

func stamp(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339Nano) }

func TestQueueExtension(t *testing.T) {
	t.Parallel()
	queueing := engine.Call{Extensions: []string{task.QueueURI}}

	bubble(t, "what a caller asks for is passed to the store, and the message to the agent as it was", func(t *testing.T) {
		var sub store.Submission
		seen := map[string]any{}
		w := nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				seen, _ = c.Message.Metadata[task.QueueURI].(map[string]any)
				c.Complete()
				return nil
			}},
			Hooks: nodetest.Hooks{Submit: func(s *store.Submission, next func() (store.Submitted, error)) (store.Submitted, error) {
				sub = *s
				return next()
			}},
		})
		at := time.Now().UTC()
		a := w.SendAs(queueing, nodetest.Say("go", queue(map[string]any{
			"priority": 7.0, "scheduledFor": stamp(time.Second), "deadline": stamp(time.Minute), "maxAttempts": 2.0,
		})))
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		if sub.Priority != 7 || !sub.ScheduledFor.Equal(at.Add(time.Second)) || !sub.Deadline.Equal(at.Add(time.Minute)) ||
			!strings.Contains(string(sub.Request), `"maxAttempts":2`) {
			t.Errorf("submitted %+v, %s", sub, sub.Request)
		}
		if len(seen) != 4 || seen["priority"] != 7.0 {
			t.Errorf("the agent sees %v", seen)
		}
	})

	bubble(t, "metadata of a caller that did not name the extension is not looked at", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{})
		for _, value := range []any{"nonsense", map[string]any{"scheduledFor": stamp(time.Hour)}, map[string]any{"deadline": stamp(-time.Hour)}} {
			for _, call := range []engine.Call{{}, {Extensions: []string{task.ProgressURI}}} {
				a := w.SendAs(call, nodetest.Say("go", queue(value)))
				if a.Err != nil {
					t.Fatalf("%v: %v", value, a.Err)
				}
				wantState(t, a.Task, completed)
			}
		}
	})

	bubble(t, "what cannot be done is InvalidParams that names the field, and nothing is accepted", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Ask(); return nil }}})
		id := w.MustSend(nodetest.Say("go")).ID
		for field, value := range map[string]any{
			"":              "nonsense",
			".priority":     map[string]any{"priority": 101.0},
			".deadline":     map[string]any{"deadline": stamp(0)},
			".scheduledFor": map[string]any{"scheduledFor": stamp(time.Hour), "deadline": stamp(time.Minute)},
			".maxAttempts":  map[string]any{"maxAttempts": 0.0},
			".when":         map[string]any{"when": 1.0},
		} {
			for _, r := range []*nodetest.Request{nodetest.Say("go", queue(value)), nodetest.Say("go", queue(value), nodetest.To(id))} {
				var e *task.Error
				err := w.SendAs(queueing, r).Err
				wantErr(t, err, a2a.ErrInvalidParams)
				if !errors.As(err, &e) || e.Field != `message.metadata["`+task.QueueURI+`"]`+field {
					t.Errorf("%v: %v", value, err)
				}
				wantErr(t, w.StreamAs(queueing, r).Err, a2a.ErrInvalidParams)
			}
		}
		if n := listed(t, w); n != 1 || len(w.Turns(id)) != 1 {
			t.Errorf("%d tasks, %d turns", n, len(w.Turns(id)))
		}
	})

	bubble(t, "a repeat joins its turn, also when its deadline has passed", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{})
		call := queueing
		call.Key = "key"
		say := nodetest.Say("go", queue(map[string]any{"deadline": stamp(time.Second)}))
		first := w.SendAs(call, say)
		time.Sleep(time.Minute - time.Millisecond)
		again := w.SendAs(call, say)
		if first.Err != nil || again.Err != nil || again.Task.ID != first.Task.ID {
			t.Errorf("%s, %v; then %s, %v", first.JSON, first.Err, again.JSON, again.Err)
		}
	})

	bubble(t, "a stream of a scheduled message begins with its Task and waits", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{})
		s := w.StreamAs(queueing, nodetest.Say("go", queue(map[string]any{"scheduledFor": stamp(10 * time.Second)})))
		synctest.Wait()
		if n := len(s.Seen()); n != 1 {
			t.Errorf("%d frames at once", n)
		}
		wantStates(t, nodetest.StatesOf(s.Wait().Events), submitted, completed)
	})
}
