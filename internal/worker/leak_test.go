// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

// Not parallel: goroutines are counted for the whole process.
func TestNothingLeaks(t *testing.T) {
	const rounds = 200 // of five interactions
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Patience: 10 * time.Minute,
			Policy:   agent.Policy{Retry: task.Retry{MaxAttempts: 1}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				switch c.Text() {
				case "message":
					c.Reply("hi")
				case "fail":
					return errAgent
				case "ask":
					c.Ask("what?")
				case "hang":
					c.Working()
					return c.Wait()
				default:
					c.Complete()
				}
				return nil
			}},
		})
		synctest.Wait()
		before := runtime.NumGoroutine()
		for range rounds {
			w.Send(nodetest.Say("message"))
			w.Send(nodetest.Say("fail"))
			w.Send(nodetest.Say("ask"))
			id := w.MustSend(nodetest.Say("hang", nodetest.AtOnce)).ID
			w.Cancel(id)
			w.Stream(nodetest.Say("done")).Wait()
		}
		time.Sleep(20 * time.Second) // longer than any memory is kept
		synctest.Wait()
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("%d goroutines, %d before", n, before)
		}
		if n := w.Hub.Listeners(); n != 0 {
			t.Errorf("%d listeners", n)
		}
		if n := w.Worker.Running(); n != 0 {
			t.Errorf("%d attempts are known to the heartbeat", n)
		}
		if n := w.Worker.Stats()[""]; n != 0 {
			t.Errorf("%d slots", n)
		}
		if tasks, bytes := w.Worker.WarmTasks(); tasks != 0 || bytes != 0 {
			t.Errorf("%d warm tasks, %d bytes", tasks, bytes)
		}
	})
}

func TestWarmTasks(t *testing.T) {
	t.Parallel()

	bubble(t, "they are bounded in bytes", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Worker: worker.Options{Warm: 256 << 10},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Artifact("a", strings.Repeat("x", 10<<10))
				c.Ask()
				return nil
			}},
		})
		for range 50 {
			w.MustSend(nodetest.Say("go"))
			if _, bytes := w.Worker.WarmTasks(); bytes > 256<<10 {
				t.Fatalf("%d bytes are kept", bytes)
			}
		}
		if tasks, _ := w.Worker.WarmTasks(); tasks == 0 {
			t.Error("nothing is kept")
		}
	})

	bubble(t, "one is not used when the log has moved on", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			if n := len(c.StoredTaskHistory()); n != 0 && n != 3 {
				t.Errorf("the turn sees %d messages", n)
			}
			c.Ask("what?")
			return nil
		}}})
		id := w.MustSend(nodetest.Say("1")).ID
		// Somebody else runs a turn in between.
		w.Stop()
		next := w.NewWorker("w2", w.Store)
		stop := w.RunWorker(next)
		w.MustSend(nodetest.Say("2", nodetest.To(id)))
		stop()
		wantStates(t, w.States(id), submitted, asking, submitted, asking)
	})

	bubble(t, "an executor that changes its StoredTask changes nothing of the task", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			if s := c.StoredTask; s != nil {
				s.History = nil
				s.Status.State = failed
				s.Artifacts[0].Parts[0] = a2a.NewTextPart("changed")
				s.Artifacts = append(s.Artifacts, &a2a.Artifact{ID: "b"})
			} else {
				c.Artifact("a", "x")
			}
			c.Ask()
			return nil
		}}})
		id := w.MustSend(nodetest.Say("1")).ID
		for range 3 {
			got := w.MustSend(nodetest.Say("again", nodetest.To(id)))
			if a := artifacts(got); len(a) != 1 || a["a"] != "x" {
				t.Errorf("artifacts %v", a)
			}
		}
	})
}

func TestSlots(t *testing.T) {
	t.Parallel()

	bubble(t, "an agent never runs more than its concurrency, and the rest waits its turn", func(t *testing.T) {
		var now, most atomic.Int32
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Concurrency: 3},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				pause(c.Ctx, 10*time.Millisecond)
				now.Add(-1)
				c.Complete()
				return nil
			}},
		})
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() { w.MustSend(nodetest.Say("go")) })
		}
		group.Wait()
		if most.Load() != 3 {
			t.Errorf("%d ran at a time, want 3", most.Load())
		}
	})

	bubble(t, "they come back when Submit, Claim, RequestCancel or the work fails", func(t *testing.T) {
		var down atomic.Value
		down.Store("")
		broken := errors.New("broken")
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Concurrency: 2, Retry: task.Retry{MaxAttempts: 1}},
			Memory: memory.Options{Fault: func(op string) error {
				if op == down.Load() {
					return broken
				}
				return nil
			}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				if c.Text() == "panic" {
					panic("now")
				}
				c.Ask()
				return nil
			}},
		})
		id := w.MustSend(nodetest.Say("go")).ID
		for _, op := range []string{"submit", "cancel", "claim"} {
			down.Store(op)
			for range 10 {
				switch op {
				case "submit":
					if a := w.Send(nodetest.Say("go")); a.Err == nil || strings.Contains(a.Err.Error(), "store") {
						t.Logf("the caller hears %v", a.Err)
					}
					w.Send(nodetest.Say("go", nodetest.To(id)))
				case "cancel":
					w.Cancel(id)
				case "claim":
					time.Sleep(100 * time.Millisecond)
				}
			}
			down.Store("")
			synctest.Wait()
			if n := w.Worker.Stats()[""]; n != 0 {
				t.Errorf("%d slots are taken after %s failed", n, op)
			}
		}
		for range 10 {
			w.Send(nodetest.Say("panic"))
		}
		wantState(t, w.MustSend(nodetest.Say("go")), asking)
	})

	bubble(t, "a store that is away while a turn begins costs no attempt", func(t *testing.T) {
		var away atomic.Int32
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Retry: task.Retry{MaxAttempts: 1}},
			Worker: worker.Options{WarmFor: time.Millisecond, Sweep: 50 * time.Millisecond},
			Hooks: nodetest.Hooks{Load: func(_ task.Ref, next func() (store.Stored, error)) (store.Stored, error) {
				if away.Add(-1) >= 0 {
					return store.Stored{}, store.ErrUnavailable
				}
				return next()
			}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Ask(); return nil }},
		})
		id := w.MustSend(nodetest.Say("1")).ID
		time.Sleep(time.Second) // nothing is warm any more
		away.Store(5)
		w.MustSend(nodetest.Say("2", nodetest.To(id)))
		if turn := w.Turns(id)[1]; turn.Attempt != 1 || turn.Failures != 0 || away.Load() > 0 {
			t.Errorf("turn %+v", turn)
		}
	})

	bubble(t, "an item of a task that cannot be read is given back", func(t *testing.T) {
		var unreadable atomic.Bool
		unreadable.Store(true)
		w := nodetest.New(t, nodetest.Options{
			Idle: true,
			Hooks: nodetest.Hooks{Load: func(_ task.Ref, next func() (store.Stored, error)) (store.Stored, error) {
				if unreadable.Load() {
					return store.Stored{}, fmt.Errorf("snapshot: %w", store.ErrFormat)
				}
				return next()
			}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Ask(); return nil }},
		})
		id := w.MustSend(nodetest.Say("1", nodetest.AtOnce)).ID
		w.MustSend(nodetest.Say("2", nodetest.To(id), nodetest.AtOnce, func(*nodetest.Request) { unreadable.Store(false) }))
		unreadable.Store(true)
		w.Run()
		time.Sleep(2 * time.Second)
		if n := w.Worker.Stats()[""]; n != 0 {
			t.Errorf("%d slots", n)
		}
		unreadable.Store(false)
		w.Until("both turns have ended", func() bool { return w.Head(id).DoneTurn == 2 })
	})
}

func TestCleanup(t *testing.T) {
	t.Parallel()

	for how, run := range map[string]func(*nodetest.Turn) error{
		"completes": func(c *nodetest.Turn) error { c.Complete(); return nil },
		"fails":     func(*nodetest.Turn) error { return task.Permanent(errAgent) },
		"panics":    func(*nodetest.Turn) error { panic(errAgent) },
		"parks":     func(c *nodetest.Turn) error { c.Ask(); return nil },
		"replies":   func(c *nodetest.Turn) error { c.Reply("hi"); return nil },
	} {
		bubble(t, "is called once, after the last commit, with the result, when the agent "+how, func(t *testing.T) {
			var calls atomic.Int32
			var w *nodetest.World
			w = nodetest.New(t, nodetest.Options{
				Policy: agent.Policy{Retry: task.Retry{MaxAttempts: 1}},
				Agent: nodetest.Agent{Execute: run, Cleanup: func(_ context.Context, ec *a2asrv.ExecutorContext, result a2a.SendMessageResult, err error) {
					calls.Add(1)
					if h := w.Head(ec.TaskID); h.Running || h.DoneTurn != 1 {
						t.Errorf("head %+v", h)
					}
					_, isMessage := result.(*a2a.Message)
					if result == nil || isMessage != (how == "replies") || (err != nil) != (how == "fails" || how == "panics") {
						t.Errorf("result %T, error %v", result, err)
					}
					if how == "panics" {
						panic("in Cleanup")
					}
				}},
			})
			w.Send(nodetest.Say("go"))
			synctest.Wait()
			if calls.Load() != 1 {
				t.Errorf("%d calls", calls.Load())
			}
		})
	}
}
