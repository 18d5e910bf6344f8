// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

func TestFailure(t *testing.T) {
	t.Parallel()

	bubble(t, "an error keeps the events before it and is followed by attempt 2 after the backoff", func(t *testing.T) {
		var times []time.Time
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{OnRetry: agent.KeepArtifacts, Retry: task.Retry{InitialDelay: 8 * time.Second}},
			Worker: worker.Options{Random: func() float64 { return 0.5 }},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				times = append(times, time.Now())
				if c.Attempt == 1 {
					for range 50 {
						c.Artifact(a2a.NewMessageID(), "chunk")
					}
					return errAgent
				}
				c.Complete()
				return nil
			}},
		})
		got := w.MustSend(nodetest.Say("go"))
		wantState(t, got, completed)
		if len(got.Artifacts) != 50 {
			t.Errorf("%d artifacts of 50 are kept", len(got.Artifacts))
		}
		if d := times[1].Sub(times[0]); d < 4*time.Second || d > 4100*time.Millisecond {
			t.Errorf("the second attempt came after %v; half of 8 s was drawn", d)
		}
		wantStates(t, w.States(got.ID), submitted, working, completed)
	})

	bubble(t, "max_attempts failures end in a dead letter and FAILED, and say nothing of the error", func(t *testing.T) {
		var attempts []int
		w := nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				attempts = append(attempts, c.Attempt)
				c.Working()
				return errAgent
			}},
		})
		s := w.Stream(nodetest.Say("go"))
		if s.Wait().Err != nil {
			t.Fatal(s.Err)
		}
		if fmt.Sprint(attempts) != "[1 2 3 4]" {
			t.Errorf("attempts %v, want 4", attempts)
		}
		wantStates(t, nodetest.StatesOf(s.Events), submitted, working, working, working, working, working, working, working, failed)
		rows := w.Attempts(s.ID())
		if len(rows) != 4 || rows[3].Outcome != "failed" || rows[3].Error != errAgent.Error() {
			t.Errorf("the table of attempts has %+v", rows)
		}
		if turn := w.Turns(s.ID())[0]; turn.Item != store.Dead {
			t.Errorf("the item is %s", turn.Item)
		}
		noSecret(t, w, s)
	})

	bubble(t, "a panic is a failure whose stack stands in the table of attempts and nowhere else", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Retry: task.Retry{MaxAttempts: 2}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Working()
				panic(errAgent)
			}},
		})
		s := w.Stream(nodetest.Say("go")).Wait()
		states := nodetest.StatesOf(s.Events)
		if s.Err != nil || states[len(states)-1] != failed {
			t.Fatalf("states %v, %v", states, s.Err)
		}
		rows := w.Attempts(s.ID())
		if len(rows) != 2 {
			t.Fatalf("%d rows, want 2", len(rows))
		}
		for _, r := range rows {
			if r.Outcome != "panic" || !strings.Contains(r.Stack, "retry_test.go") || !strings.Contains(r.Error, "secret") {
				t.Errorf("row %+v", r)
			}
		}
		noSecret(t, w, s)
	})

	bubble(t, "an executor that ends its goroutine has failed", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Retry: task.Retry{MaxAttempts: 2}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				runtime.Goexit()
				return nil
			}},
		})
		got := w.MustSend(nodetest.Say("go"))
		wantState(t, got, failed)
		if rows := w.Attempts(got.ID); len(rows) != 2 || rows[0].Outcome != "failed" {
			t.Errorf("rows %+v", rows)
		}
	})

	bubble(t, "Permanent fails the turn at once", func(t *testing.T) {
		runs := 0
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(*nodetest.Turn) error {
			runs++
			return task.Permanent(fmt.Errorf("wrapped: %w", errAgent))
		}}})
		got := w.MustSend(nodetest.Say("go"))
		wantState(t, got, failed)
		if runs != 1 || strings.Contains(statusText(got), "secret") {
			t.Errorf("%d runs; the client is told %q", runs, statusText(got))
		}
	})

	bubble(t, "RetryAfter sets the delay", func(t *testing.T) {
		began := time.Now()
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			if c.Attempt == 1 {
				return task.RetryAfter(30*time.Second, errAgent)
			}
			c.Complete()
			return nil
		}}})
		wantState(t, w.MustSend(nodetest.Say("go")), completed)
		if d := time.Since(began); d < 30*time.Second || d > 31*time.Second {
			t.Errorf("it ran again after %v", d)
		}
	})

	bubble(t, "FAILED and REJECTED are verdicts that are not retried", func(t *testing.T) {
		for _, state := range []a2a.TaskState{failed, rejected} {
			runs := 0
			w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				runs++
				c.Status(state, "because")
				return nil
			}}})
			got := w.MustSend(nodetest.Say("go"))
			wantState(t, got, state)
			if runs != 1 || statusText(got) != "because" || w.Turns(got.ID)[0].Item != store.Completed {
				t.Errorf("%d runs, %q", runs, statusText(got))
			}
		}
	})

	bubble(t, "retry_failed makes FAILED a failed attempt, and REJECTED stays a verdict", func(t *testing.T) {
		for _, state := range []a2a.TaskState{failed, rejected} {
			runs := 0
			w := nodetest.New(t, nodetest.Options{
				Policy: agent.Policy{RetryFailed: true, Retry: task.Retry{MaxAttempts: 3}},
				Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
					runs++
					c.Status(state)
					return nil
				}},
			})
			got := w.MustSend(nodetest.Say("go"))
			wantState(t, got, state)
			if want := map[a2a.TaskState]int{failed: 3, rejected: 1}[state]; runs != want {
				t.Errorf("%s: %d runs, want %d", state, runs, want)
			}
		}
	})

	bubble(t, "a failed follow-up ends the task as FAILED once its attempts are used up", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Retry: task.Retry{MaxAttempts: 2}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				if c.Text() == "first" {
					c.Ask("what?")
					return nil
				}
				return errAgent
			}},
		})
		first := w.MustSend(nodetest.Say("first"))
		got := w.MustSend(nodetest.Say("second", nodetest.To(first.ID)))
		wantState(t, got, failed)
		wantStates(t, w.States(first.ID), submitted, asking, working, working, failed)
	})
}

// noSecret looks for the agent's words in everything that a client can see.
func noSecret(t *testing.T, w *nodetest.World, s *nodetest.Stream) {
	t.Helper()
	for _, f := range s.Frames {
		if strings.Contains(string(f.Event), "secret") || strings.Contains(string(f.Event), ".go:") {
			t.Errorf("a frame says %s", f.Event)
		}
	}
	if b := w.Get(s.ID()).JSON; strings.Contains(string(b), "secret") || strings.Contains(string(b), ".go:") {
		t.Errorf("GetTask says %s", b)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()

	bubble(t, "an attempt that takes too long is cancelled with that cause and retried, its events kept", func(t *testing.T) {
		var causes []error
		var mu sync.Mutex
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{AttemptTimeout: 5 * time.Second, OnRetry: agent.KeepArtifacts, Retry: task.Retry{MaxAttempts: 2}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Artifact(fmt.Sprint("a", c.Attempt), "x")
				err := c.Wait()
				mu.Lock()
				defer mu.Unlock()
				causes = append(causes, err)
				return err
			}},
		})
		began := time.Now()
		got := w.MustSend(nodetest.Say("go"))
		wantState(t, got, failed)
		synctest.Wait()
		if len(causes) != 2 || !errors.Is(causes[0], worker.ErrTimeout) || !errors.Is(causes[1], worker.ErrTimeout) {
			t.Errorf("causes %v", causes)
		}
		if d := time.Since(began); d < 10*time.Second || d > 12*time.Second {
			t.Errorf("two attempts of 5 s took %v", d)
		}
		if a := artifacts(got); len(a) != 2 {
			t.Errorf("artifacts %v", a)
		}
		if rows := w.Attempts(got.ID); len(rows) != 2 || rows[0].Outcome != "timeout" {
			t.Errorf("rows %+v", rows)
		}
	})

	bubble(t, "silence longer than the inactivity timeout is a failure, and events put it off", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{InactivityTimeout: time.Second},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				for range 10 {
					c.Working()
					if !pause(c.Ctx, 900*time.Millisecond) {
						t.Error("an agent that speaks was cancelled")
					}
				}
				if c.Attempt == 1 {
					return c.Wait()
				}
				c.Complete()
				return nil
			}},
		})
		got := w.MustSend(nodetest.Say("go"))
		wantState(t, got, completed)
		if rows := w.Attempts(got.ID); len(rows) != 1 || rows[0].Outcome != "timeout" || !strings.Contains(rows[0].Error, "inactivity") {
			t.Errorf("rows %+v", rows)
		}
	})

	bubble(t, "an executor that ignores its context is left behind after the grace period", func(t *testing.T) {
		release := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{AttemptTimeout: time.Second, CancelGrace: 2 * time.Second, Retry: task.Retry{MaxAttempts: 1}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				<-release
				c.Complete()
				return nil
			}},
		})
		wantState(t, w.MustSend(nodetest.Say("go")), failed)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := w.Worker.Stats()[""]; n != 0 {
			t.Errorf("%d slots are taken by an executor that hangs", n)
		}
		close(release)
		synctest.Wait()
	})
}

// pause sleeps and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
