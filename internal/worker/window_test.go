// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

// held is a store whose appends wait, all or from some moment on.
type held struct {
	nodetest.Hooks
	on   atomic.Bool
	gate chan struct{}
}

func newHeld() *held {
	h := &held{gate: make(chan struct{})}
	h.Append = func(_ *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
		if h.on.Load() {
			<-h.gate
		}
		return next()
	}
	return h
}

func TestWindow(t *testing.T) {
	t.Parallel()

	bubble(t, "256 events that are not committed block the next one until a commit", func(t *testing.T) {
		var yielded atomic.Int32
		h := newHeld()
		h.on.Store(true)
		w := nodetest.New(t, nodetest.Options{Hooks: h.Hooks, Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			for c.Working() && yielded.Add(1) < 1000 {
			}
			c.Complete()
			return nil
		}}})
		answer := w.Later(nodetest.Say("go"))
		synctest.Wait()
		// The first WORKING makes two events: the Task before it.
		if n := yielded.Load(); n != 255 {
			t.Errorf("%d yields returned before a commit, want 255", n)
		}
		if n := w.Hub.Listeners(); n != 1 {
			t.Errorf("%d listeners", n)
		}
		close(h.gate)
		got := (<-answer).Task
		wantState(t, got, completed)
		if n := len(w.Log(got.ID)); n != 1002 {
			t.Errorf("%d records, want 1002", n)
		}
	})

	bubble(t, "1 MiB that is not committed blocks the next event, whatever its size", func(t *testing.T) {
		var yielded atomic.Int32
		h := newHeld()
		h.on.Store(true)
		w := nodetest.New(t, nodetest.Options{Hooks: h.Hooks, Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			for range 10 {
				c.Artifact("a", strings.Repeat("x", 300<<10))
				yielded.Add(1)
			}
			c.Complete()
			return nil
		}}})
		answer := w.Later(nodetest.Say("go"))
		synctest.Wait()
		if n := yielded.Load(); n != 4 { // the fourth passes 1 MiB, the fifth waits
			t.Errorf("%d yields of 300 KiB returned before a commit, want 4", n)
		}
		close(h.gate)
		wantState(t, (<-answer).Task, completed)
	})

	bubble(t, "a blocked yield ends with the attempt", func(t *testing.T) {
		h := newHeld()
		h.on.Store(true)
		returned := make(chan bool, 1)
		w := nodetest.New(t, nodetest.Options{
			Hooks: h.Hooks, Worker: worker.Options{Sweep: time.Hour},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				for c.Working() {
				}
				returned <- true
				return nil
			}},
		})
		w.Later(nodetest.Say("go", nodetest.AtOnce))
		synctest.Wait()
		go w.Stop()
		time.Sleep(time.Second) // the shutdown time is over, the commit still hangs
		close(h.gate)
		<-returned
	})

	bubble(t, "progress is dropped while the window is full, and never blocks", func(t *testing.T) {
		h := newHeld()
		h.on.Store(true)
		w := nodetest.New(t, nodetest.Options{Hooks: h.Hooks, Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			for i := range 254 {
				c.Artifact(fmt.Sprint(i), "x")
			}
			for p := 1; p <= 100; p++ {
				agent.Progress(c.Ctx, p)
			}
			c.Complete()
			return nil
		}}})
		answer := w.Later(nodetest.Say("go"))
		synctest.Wait()
		close(h.gate)
		got := (<-answer).Task
		wantState(t, got, completed)
		if n := len(w.Log(got.ID)); n != 257 {
			t.Errorf("%d records, want 257: the Task, 254 artifacts, one progress, the end", n)
		}
	})
}

// eventOf gives an artifact event whose record is exactly size bytes.
func eventOf(t *testing.T, c *nodetest.Turn, seq uint64, size int) a2a.Event {
	t.Helper()
	ev := a2a.NewArtifactEvent(c, a2a.NewTextPart(""))
	ev.Artifact.ID = "a"
	raw, _, err := record.Encode(ev, record.Stamp{Seq: seq, Attempt: 1})
	if err != nil {
		t.Fatal(err)
	}
	ev.Artifact.Parts[0] = a2a.NewTextPart(strings.Repeat("x", size-len(raw)))
	return ev
}

func TestSizes(t *testing.T) {
	t.Parallel()

	for _, delta := range []int{0, 1} {
		bubble(t, fmt.Sprintf("an event of 1 MiB and %d bytes", delta), func(t *testing.T) {
			w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Artifact("before", "kept")
				if went := c.Yield(eventOf(t, c, 3, 1<<20+delta)); went != (delta == 0) {
					t.Errorf("the yield says %v", went)
				}
				c.Complete()
				return nil
			}}})
			got := w.MustSend(nodetest.Say("go"))
			want := completed
			if delta > 0 {
				want = failed
				if !strings.Contains(statusText(got), "1048577 bytes; at most 1048576 are allowed") {
					t.Errorf("the reason given: %q", statusText(got))
				}
				if turn := w.Turns(got.ID)[0]; turn.Item != store.Dead || turn.Attempt != 1 {
					t.Errorf("turn %+v", turn)
				}
			}
			wantState(t, got, want)
			if artifacts(got)["before"] != "kept" || len(got.Artifacts) != 2-delta {
				t.Errorf("%d artifacts", len(got.Artifacts))
			}
		})

		bubble(t, fmt.Sprintf("a task of its limit and %d bytes", delta), func(t *testing.T) {
			const limit = 64 << 10
			w := nodetest.New(t, nodetest.Options{
				Worker: worker.Options{Limits: worker.Limits{Task: limit}},
				Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
					msg, err := record.AppendMessage(nil, c.Message)
					if err != nil {
						t.Error(err)
					}
					c.Working()
					// The folded task holds the user's message; the event is added to it.
					c.Yield(eventOf(t, c, 3, limit-len(msg)+delta))
					c.Complete()
					return nil
				}},
			})
			got := w.MustSend(nodetest.Say("go"))
			if delta == 0 {
				// The task may be as large as that; the next event makes it larger.
				if len(got.Artifacts) != 1 {
					t.Errorf("an event up to the limit is refused: %q", statusText(got))
				}
			} else if len(got.Artifacts) != 0 {
				t.Error("an event past the limit is taken")
			}
			if got.Status.State != failed && delta > 0 || !strings.Contains(statusText(got), "The task would grow to") && got.Status.State == failed {
				t.Errorf("%s: %q", got.Status.State, statusText(got))
			}
		})

		bubble(t, fmt.Sprintf("a message of 1 MiB and %d bytes", delta), func(t *testing.T) {
			w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Working()
				c.Complete()
				return nil
			}}})
			for _, options := range [][]func(*nodetest.Request){nil, {nodetest.AtOnce}} {
				say := nodetest.Say("", options...)
				raw, err := record.AppendMessage(nil, say.Message)
				if err != nil {
					t.Fatal(err)
				}
				say.Message.Parts[0] = a2a.NewTextPart(strings.Repeat("x", 1<<20-len(raw)+delta))
				a := w.Send(say)
				if delta > 0 {
					wantErr(t, a.Err, task.ErrTooLarge)
					continue
				}
				if a.Err != nil {
					t.Fatal(a.Err)
				}
				w.Until("the turn has ended", func() bool { return w.Head(a.Task.ID).Closed })
				if got := w.MustGet(a.Task.ID); got.Status.State != completed {
					t.Errorf("a message that was accepted ends as %s: %q", got.Status.State, statusText(got))
				}
			}
		})
	}

	bubble(t, "a task that is full can still be cancelled, parked by the engine's own events, and ended", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Worker: worker.Options{Limits: worker.Limits{Task: 2048}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Artifact("a", strings.Repeat("x", 4096))
				return nil
			}},
		})
		got := w.MustSend(nodetest.Say("go"))
		wantState(t, got, failed)
		wantStates(t, w.States(got.ID), submitted, failed)
	})
}

func TestSnapshots(t *testing.T) {
	t.Parallel()

	bubble(t, "are written in proportion to the log, and with the log after them they are the task", func(t *testing.T) {
		var snapshots, snapBytes, logBytes int
		w := nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				for i := range 2000 {
					if i == 0 {
						c.Artifact("a", "begin")
					}
					c.Append("a", strings.Repeat("x", 100))
					if i%10 == 0 {
						pause(c.Ctx, time.Millisecond)
					}
				}
				c.Ask()
				return nil
			}},
			Hooks: nodetest.Hooks{Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
				if a.Snapshot != nil {
					snapshots++
					snapBytes += len(a.Snapshot.Body)
				}
				if a.Batch != nil {
					logBytes += len(a.Batch.Body)
				}
				return next()
			}},
		})
		w.MustSend(nodetest.Say("go"))
		if snapshots < 3 || snapBytes > 3*logBytes {
			t.Errorf("%d snapshots of %d bytes for a log of %d bytes", snapshots, snapBytes, logBytes)
		}
	})
}
