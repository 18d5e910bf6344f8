// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"slices"
	"sync"
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

// queueing is a caller that speaks the queue extension.
func queueing() engine.Call { return engine.Call{Extensions: []string{task.QueueURI}} }

// queue says how the message is to be queued.
func queue(name string, value any, more ...any) func(*nodetest.Request) {
	return func(r *nodetest.Request) {
		fields := map[string]any{}
		for pairs := append([]any{name, value}, more...); len(pairs) > 0; pairs = pairs[2:] {
			v := pairs[1]
			if d, ok := v.(time.Duration); ok {
				v = time.Now().Add(d).Format(time.RFC3339Nano)
			}
			fields[pairs[0].(string)] = v
		}
		r.Message.SetMeta(task.QueueURI, fields)
	}
}

// mustQueue sends for a caller that speaks the extension and wants a task.
func mustQueue(t *testing.T, w *nodetest.World, r *nodetest.Request) *a2a.Task {
	t.Helper()
	a := w.SendAs(queueing(), r)
	if a.Err != nil || a.Task == nil {
		t.Fatalf("%s, %v", a.JSON, a.Err)
	}
	return a.Task
}

// said notes who ran, in order.
type said struct {
	mu    sync.Mutex
	texts []string
	times []time.Duration
	began time.Time
}

func (s *said) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts, s.times = append(s.texts, text), append(s.times, time.Since(s.began))
}

// all is what was noted so far.
func (s *said) all() (texts []string, times []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.texts), slices.Clone(s.times)
}

func TestQueuePriority(t *testing.T) {
	t.Parallel()

	bubble(t, "with one slot the higher priority runs first, and of one priority the earlier message", func(t *testing.T) {
		gate := make(chan struct{})
		var ran said
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Concurrency: 1},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				ran.note(c.Text())
				if c.Text() == "busy" {
					<-gate
				}
				c.Complete()
				return nil
			}},
		})
		w.MustSend(nodetest.Say("busy", nodetest.AtOnce))
		synctest.Wait()
		for _, m := range []struct {
			text     string
			priority int
		}{{"a", 0}, {"low", -100}, {"high", 100}, {"b", 0}, {"higher than b", 1}} {
			mustQueue(t, w, nodetest.Say(m.text, nodetest.AtOnce, queue("priority", m.priority)))
		}
		w.MustSend(nodetest.Say("c", nodetest.AtOnce))
		close(gate)
		time.Sleep(time.Second)
		synctest.Wait()
		texts, _ := ran.all()
		if want := []string{"busy", "high", "higher than b", "a", "b", "c", "low"}; !slices.Equal(texts, want) {
			t.Errorf("ran %v, want %v", texts, want)
		}
	})
}

func TestQueueSchedule(t *testing.T) {
	t.Parallel()

	bubble(t, "a scheduled message is a SUBMITTED task at once and runs when its time has come", func(t *testing.T) {
		ran := said{began: time.Now()}
		w := nodetest.New(t, nodetest.Options{
			Worker: worker.Options{Poll: time.Second},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				ran.note(c.Text())
				c.Complete()
				return nil
			}},
		})
		time.Sleep(300 * time.Millisecond) // the loop that looks for what is due sleeps
		got := mustQueue(t, w, nodetest.Say("at once", nodetest.AtOnce, queue("scheduledFor", 10*time.Second)))
		wantState(t, got, submitted)
		waits := w.LaterAs(queueing(), nodetest.Say("waits", queue("scheduledFor", 10*time.Second)))
		soon := w.LaterAs(queueing(), nodetest.Say("soon", queue("scheduledFor", 100*time.Millisecond)))
		if len(w.Turns(got.ID)) != 1 || w.Turns(got.ID)[0].Item != store.Scheduled {
			t.Errorf("turns %+v", w.Turns(got.ID))
		}
		wantState(t, (<-soon).Task, completed)
		if _, times := ran.all(); times[0] < 400*time.Millisecond || times[0] > 1400*time.Millisecond {
			t.Errorf("what was to run after 400 ms ran after %v", times[0])
		}
		wantState(t, (<-waits).Task, completed)
		synctest.Wait()
		wantStates(t, w.States(got.ID), submitted, completed)
		texts, times := ran.all()
		for _, d := range times[1:] {
			if d < 10300*time.Millisecond || d > 10310*time.Millisecond {
				t.Errorf("what was to run after 10.3 s ran after %v", d)
			}
		}
		if len(times) != 3 {
			t.Errorf("ran %v", texts)
		}
	})

	bubble(t, "a later turn runs when the earlier ones have ended and its time has come", func(t *testing.T) {
		ran := said{began: time.Now()}
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			ran.note(c.Text())
			if c.Text() == "first" {
				time.Sleep(5 * time.Second)
			}
			c.Ask()
			return nil
		}}})
		id := w.MustSend(nodetest.Say("first", nodetest.AtOnce)).ID
		mustQueue(t, w, nodetest.Say("second", nodetest.To(id), nodetest.AtOnce, queue("scheduledFor", 2*time.Second)))
		mustQueue(t, w, nodetest.Say("third", nodetest.To(id), nodetest.AtOnce, queue("scheduledFor", 8*time.Second)))
		last := w.Later(nodetest.Say("fourth", nodetest.To(id)))
		wantState(t, (<-last).Task, asking)
		texts, d := ran.all()
		if !slices.Equal(texts, []string{"first", "second", "third", "fourth"}) {
			t.Fatalf("ran %v", texts)
		}
		if d[1].Round(100*time.Millisecond) != 5*time.Second || d[2].Round(100*time.Millisecond) != 8*time.Second {
			t.Errorf("ran at %v", d)
		}
	})

	bubble(t, "a scheduled task is canceled at once, and the agent hears nothing of it", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{
			Execute: func(*nodetest.Turn) error { t.Error("executed"); return nil },
			Cancel:  func(*nodetest.Turn) error { t.Error("the agent's Cancel was called"); return nil },
		}})
		waits := w.LaterAs(queueing(), nodetest.Say("never", queue("scheduledFor", time.Hour)))
		id := mustQueue(t, w, nodetest.Say("go", nodetest.AtOnce, queue("scheduledFor", 30*time.Second))).ID
		began := time.Now()
		wantState(t, w.Cancel(id).Task, canceled)
		if time.Since(began) != 0 {
			t.Errorf("it took %v", time.Since(began))
		}
		time.Sleep(40 * time.Second)
		wantStates(t, w.States(id), submitted, canceled)
		if a := <-waits; a.Err == nil { // the patience of the test ends the wait
			t.Errorf("%s", a.JSON)
		}
	})

	bubble(t, "a scheduled turn does not stand in the way of canceling its task", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Ask(); return nil }}})
		id := w.MustSend(nodetest.Say("go")).ID
		second := w.LaterAs(queueing(), nodetest.Say("later", nodetest.To(id), queue("scheduledFor", time.Hour)))
		synctest.Wait()
		began := time.Now()
		wantState(t, w.Cancel(id).Task, canceled)
		wantErr(t, (<-second).Err, a2a.ErrUnsupportedOperation)
		if d := time.Since(began); d > time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

func TestQueueMaxAttempts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ policy, asked, want int }{
		"fewer than the policy's": {4, 2, 2},
		"more than the policy's":  {2, 5, 5},
		"one":                     {4, 1, 1},
	} {
		bubble(t, "replaces the policy's: "+name, func(t *testing.T) {
			var runs atomic.Int32
			w := nodetest.New(t, nodetest.Options{
				Policy: agent.Policy{Retry: task.Retry{MaxAttempts: c.policy, InitialDelay: time.Millisecond}},
				Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
					if c.Text() == "ask" {
						c.Ask()
						return nil
					}
					runs.Add(1)
					return errAgent
				}},
			})
			first := mustQueue(t, w, nodetest.Say("go", queue("maxAttempts", c.asked)))
			wantState(t, first, failed)
			if n := int(runs.Swap(0)); n != c.want {
				t.Errorf("%d runs, want %d", n, c.want)
			}
			id := w.MustSend(nodetest.Say("ask")).ID
			wantState(t, mustQueue(t, w, nodetest.Say("go", nodetest.To(id), queue("maxAttempts", c.asked))), failed)
			if n := int(runs.Swap(0)); n != c.want {
				t.Errorf("%d runs of a follow-up, want %d", n, c.want)
			}
			wantState(t, w.MustSend(nodetest.Say("go")), failed)
			if n := int(runs.Load()); n != c.policy {
				t.Errorf("%d runs of a message that asks for nothing, want %d", n, c.policy)
			}
		})
	}

	bubble(t, "counts neither losses nor releases", func(t *testing.T) {
		var runs atomic.Int32
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Retry: task.Retry{InitialDelay: time.Millisecond}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				if runs.Add(1) == 1 {
					c.Working()
					return c.Wait()
				}
				return errAgent
			}},
		})
		id := mustQueue(t, w, nodetest.Say("go", nodetest.AtOnce, queue("maxAttempts", 2))).ID
		synctest.Wait()
		w.Stop() // releases what runs
		next := w.NewWorker("w2", w.Store)
		w.RunWorker(next)
		time.Sleep(5 * time.Second)
		wantState(t, w.MustGet(id), failed)
		if n := runs.Load(); n != 3 {
			t.Errorf("%d runs, want the released one and two", n)
		}
	})
}
