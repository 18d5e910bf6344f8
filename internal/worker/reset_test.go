// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

// resets are the artifact updates by which attempt 2 takes back what attempt 1
// has left: between its WORKING and what the agent says next.
func resets(w *nodetest.World, id a2a.TaskID) map[string]*a2a.TaskArtifactUpdateEvent {
	out := map[string]*a2a.TaskArtifactUpdateEvent{}
	begun := false
	for _, r := range w.Log(id) {
		ev := w.Event(r.Event)
		if st, ok := ev.(*a2a.TaskStatusUpdateEvent); ok && r.Attempt == 2 && st.Status.State == working {
			begun = true
			continue
		}
		up, ok := ev.(*a2a.TaskArtifactUpdateEvent)
		if !begun || !ok {
			if begun {
				break
			}
			continue
		}
		if id := string(up.Artifact.ID); out[id] == nil {
			out[id] = up
		}
	}
	return out
}

func superseded(up *a2a.TaskArtifactUpdateEvent) bool {
	stamp, _ := up.Metadata[task.ResumeURI].(map[string]any)
	return stamp["superseded"] == true
}

func TestOnRetryReset(t *testing.T) {
	t.Parallel()

	bubble(t, "attempt 2 of turn 1 supersedes what attempt 1 made", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			if c.Attempt == 1 {
				c.Artifact("a", "old")
				c.Append("a", "er")
				c.Artifact("b", "gone")
				return errAgent
			}
			if c.StoredTask == nil || len(c.StoredTask.Artifacts) != 0 {
				t.Errorf("attempt 2 is given %+v", c.StoredTask)
			}
			c.Artifact("a", "new")
			c.Complete()
			return nil
		}}})
		got := w.MustSend(nodetest.Say("go"))
		if a := artifacts(got); len(a) != 1 || a["a"] != "new" {
			t.Errorf("artifacts %v", a)
		}
		found := resets(w, got.ID)
		for _, id := range []string{"a", "b"} {
			up := found[id]
			if up == nil {
				t.Fatalf("artifact %s is not taken back: %v", id, found)
			}
			if up.Append || !up.LastChunk || len(up.Artifact.Parts) != 1 || nodetest.TextOf(up.Artifact.Parts) != "" || !superseded(up) {
				t.Errorf("artifact %s is taken back by %+v", id, up)
			}
		}
		wantStates(t, w.States(got.ID), submitted, working, completed)
	})

	bubble(t, "attempt 2 of a later turn restores what was there before the turn and leaves the rest alone", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			// Parts of 10 KiB: what is restored is larger than one event may be.
			Worker: worker.Options{Limits: worker.Limits{Event: 16 << 10}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				big := strings.Repeat("x", 10<<10)
				switch {
				case c.Text() == "first":
					c.Artifact("grown", "base")
					c.Append("grown", big)
					c.Append("grown", big)
					c.Artifact("replaced", "base")
					c.Artifact("untouched", "base")
					c.Ask()
				case c.Attempt == 1:
					c.Append("grown", "more")
					c.Artifact("replaced", "other")
					c.Artifact("made", "new")
					return errAgent
				default:
					got := artifacts(c.StoredTask)
					if got["grown"] != "base"+big+big || got["replaced"] != "base" || got["untouched"] != "base" || len(got) != 3 {
						t.Errorf("attempt 2 is given %d artifacts", len(got))
					}
					c.Append("grown", "end")
					c.Complete()
				}
				return nil
			}},
		})
		id := w.MustSend(nodetest.Say("first")).ID
		got := w.MustSend(nodetest.Say("second", nodetest.To(id)))
		wantState(t, got, completed)
		if a := artifacts(got); a["replaced"] != "base" || len(a) != 3 || len(a["grown"]) != 4+2*10<<10+3 {
			t.Errorf("artifacts of %d bytes", len(a["grown"]))
		}
		found := resets(w, id)
		if len(found) != 3 || superseded(found["grown"]) || !superseded(found["made"]) || nodetest.TextOf(found["replaced"].Artifact.Parts) != "base" {
			t.Errorf("taken back: %d artifacts", len(found))
		}
	})

	bubble(t, "a third attempt finds nothing to take back twice", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Retry: task.Retry{MaxAttempts: 5}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				switch c.Attempt {
				case 1:
					c.Artifact("a", "x")
					return errAgent
				case 2:
					return errAgent
				}
				c.Complete()
				return nil
			}},
		})
		got := w.MustSend(nodetest.Say("go"))
		updates := 0
		for _, ev := range w.Events(got.ID) {
			if _, ok := ev.(*a2a.TaskArtifactUpdateEvent); ok {
				updates++
			}
		}
		if updates != 2 || len(got.Artifacts) != 0 {
			t.Errorf("%d artifact updates, want one and its reset", updates)
		}
	})

	bubble(t, "metadata that an attempt added to an artifact is taken back too", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			meta := func(v string) {
				ev := a2a.NewArtifactEvent(c, a2a.NewTextPart("same"))
				ev.Artifact.ID = "a"
				ev.Artifact.SetMeta("v", v)
				c.Yield(ev)
			}
			switch {
			case c.Text() == "first":
				meta("base")
				c.Ask()
			case c.Attempt == 1:
				meta("other")
				return errAgent
			default:
				c.Complete()
			}
			return nil
		}}})
		id := w.MustSend(nodetest.Say("first")).ID
		got := w.MustSend(nodetest.Say("second", nodetest.To(id)))
		if v := got.Artifacts[0].Metadata["v"]; v != "base" {
			t.Errorf("metadata %v", v)
		}
	})
}

func TestOnRetryKeep(t *testing.T) {
	t.Parallel()

	bubble(t, "nothing is taken back and the agent goes on from its StoredTask", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{OnRetry: agent.KeepArtifacts, Retry: task.Retry{MaxAttempts: 10}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				done := 0
				if c.StoredTask != nil && len(c.StoredTask.Artifacts) > 0 {
					done = len(c.StoredTask.Artifacts[0].Parts)
				}
				for i := done; i < 10; i++ {
					if i == 0 {
						c.Artifact("count", "0")
					} else {
						c.Append("count", fmt.Sprint(i))
					}
					if i%3 == 2 && c.Attempt <= i/3+1 {
						return errAgent
					}
				}
				c.Complete()
				return nil
			}},
		})
		got := w.MustSend(nodetest.Say("go"))
		if a := artifacts(got); a["count"] != "0123456789" {
			t.Errorf("artifacts %v", a)
		}
	})
}

func TestAttemptNumbers(t *testing.T) {
	t.Parallel()

	bubble(t, "they count every run of the turn from 1, and StoredTask is nil on the first of the first turn only", func(t *testing.T) {
		var seen []string
		w := nodetest.New(t, nodetest.Options{
			Worker: worker.Options{Random: func() float64 { return 0 }},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				seen = append(seen, fmt.Sprintf("%s/%d/%v", c.Text(), c.Attempt, c.StoredTask != nil))
				if c.Attempt < 3 {
					return errAgent
				}
				c.Ask()
				return nil
			}},
		})
		id := w.MustSend(nodetest.Say("one")).ID
		w.MustSend(nodetest.Say("two", nodetest.To(id)))
		want := []string{"one/1/false", "one/2/true", "one/3/true", "two/1/true", "two/2/true", "two/3/true"}
		if !slices.Equal(seen, want) {
			t.Errorf("runs %v, want %v", seen, want)
		}
		for _, r := range w.Log(id) {
			if st, ok := w.Event(r.Event).(*a2a.TaskStatusUpdateEvent); ok {
				stamp := st.Metadata[task.ResumeURI].(map[string]any)
				if n, _ := stamp["attempt"].(float64); int(n) != r.Attempt || stamp["sequence"] != float64(r.Seq) {
					t.Errorf("record %+v is stamped %v", r, stamp)
				}
			}
		}
	})
}
