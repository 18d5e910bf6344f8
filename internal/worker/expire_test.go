// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"errors"
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

func TestDeadlineOnTheEdge(t *testing.T) {
	t.Parallel()

	bubble(t, "an event after the deadline is refused also while a commit keeps the attempt busy", func(t *testing.T) {
		gate := make(chan struct{})
		var cause error
		w := nodetest.New(t, nodetest.Options{
			Worker: worker.Options{Lease: time.Minute},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Artifact("a", "kept")
				cause = c.Wait()
				if c.Complete() {
					t.Error("an event after the deadline was taken")
				}
				close(gate)
				return nil
			}},
			Hooks: nodetest.Hooks{Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
				<-gate
				return next()
			}},
		})
		got := mustQueue(t, w, nodetest.Say("go", queue("deadline", 3*time.Second)))
		wantDeadline(t, got)
		if a := artifacts(got); !errors.Is(cause, worker.ErrDeadline) || a["a"] != "kept" {
			t.Errorf("cause %v, artifacts %v", cause, a)
		}
	})

	bubble(t, "what has expired and cannot be read is tried again at the pace of the leases, and ends when it can", func(t *testing.T) {
		var broken atomic.Bool
		var loads atomic.Int32
		w := nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Working()
				return task.RetryAfter(time.Hour, errAgent)
			}},
			Hooks: nodetest.Hooks{Load: func(_ task.Ref, next func() (store.Stored, error)) (store.Stored, error) {
				if broken.Load() {
					loads.Add(1)
					return store.Stored{}, store.ErrFormat
				}
				return next()
			}},
		})
		id := mustQueue(t, w, nodetest.Say("go", nodetest.AtOnce, queue("deadline", 2*time.Second))).ID
		synctest.Wait()
		broken.Store(true)
		time.Sleep(12 * time.Second)
		if n := loads.Load(); n < 5 || n > 60 {
			t.Errorf("tried %d times in 10 s", n)
		}
		broken.Store(false)
		time.Sleep(time.Second)
		wantDeadline(t, w.MustGet(id))
	})

	bubble(t, "of many that expire at once each ends once, and so does what comes to its end by itself then", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Working()
			time.Sleep(5 * time.Second)
			c.Complete()
			return nil
		}}})
		var answers []<-chan nodetest.Answer
		for range 300 { // more than there are slots, and than one sweep takes
			answers = append(answers, w.LaterAs(queueing(), nodetest.Say("go", queue("deadline", 5*time.Second))))
		}
		ends := map[a2a.TaskState]int{}
		for _, c := range answers {
			a := <-c
			if a.Err != nil {
				t.Fatal(a.Err)
			}
			ends[a.Task.Status.State]++
		}
		if ends[failed]+ends[completed] != 300 || ends[failed] < 236 {
			t.Errorf("ends %v", ends)
		}
	})
}
