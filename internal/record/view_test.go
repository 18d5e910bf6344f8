// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

func TestView(t *testing.T) {
	t.Parallel()
	messages := func(ids ...string) []task.Message {
		var out []task.Message
		for _, id := range ids {
			out = append(out, task.Message{ID: id, Raw: task.Raw(`{"messageId":"` + id + `"}`)})
		}
		return out
	}
	setup := func() *task.State {
		return task.Restore(task.State{
			ID: "task", ContextID: "context", Status: task.Status{State: a2a.TaskStateWorking},
			History: messages("m1", "m2", "m3"), Metadata: map[string]task.Raw{"k": task.Raw("1")},
			Artifacts: []*task.Artifact{{ID: "a", Parts: []task.Raw{task.Raw(`{"text":"x"}`)}}},
		})
	}
	decode := func(t *testing.T, b []byte) (*a2a.Task, map[string]json.RawMessage) {
		t.Helper()
		out, fields := new(a2a.Task), map[string]json.RawMessage{}
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &fields); err != nil {
			t.Fatal(err)
		}
		return out, fields
	}
	n := func(n int) *int { return &n }
	for _, tt := range []struct {
		name  string
		limit *int
		want  string
	}{
		{"no limit shows the whole history", nil, "m1 m2 m3"},
		{"a limit of none leaves the history out", n(0), ""},
		{"a negative limit leaves the history out", n(-1), ""},
		{"a limit of one shows the last message", n(1), "m3"},
		{"a limit of two shows the last two in order", n(2), "m2 m3"},
		{"a limit of all shows all", n(3), "m1 m2 m3"},
		{"a limit above all shows all", n(100), "m1 m2 m3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, fields := decode(t, record.AppendTask(nil, setup(), record.View{History: tt.limit}))
			var ids []string
			for _, m := range got.History {
				ids = append(ids, m.ID)
			}
			if _, there := fields["history"]; strings.Join(ids, " ") != tt.want || there != (tt.want != "") {
				t.Errorf("history %q, field there: %v", ids, there)
			}
		})
	}

	t.Run("artifacts are left out when they are not wanted", func(t *testing.T) {
		t.Parallel()
		got, fields := decode(t, record.AppendTask(nil, setup(), record.View{NoArtifacts: true}))
		if _, there := fields["artifacts"]; there || len(got.History) != 3 {
			t.Errorf("fields %v", fields)
		}
		if got, _ := decode(t, record.AppendTask(nil, setup(), record.View{})); len(got.Artifacts) != 1 {
			t.Errorf("artifacts %v", got.Artifacts)
		}
	})

	t.Run("the stamp stands beside the task's metadata", func(t *testing.T) {
		t.Parallel()
		st := &record.Stamp{Seq: 7, Attempt: 2}
		got, _ := decode(t, record.AppendTask(nil, setup(), record.View{Stamp: st}))
		want := map[string]any{"k": 1.0, task.ResumeURI: map[string]any{"sequence": 7.0, "attempt": 2.0}}
		if d := cmp.Diff(want, got.Metadata); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		s := setup()
		s.Metadata = nil
		got, _ = decode(t, record.AppendTask(nil, s, record.View{Stamp: st}))
		if delete(want, "k"); cmp.Diff(want, got.Metadata) != "" {
			t.Errorf("alone: %v", got.Metadata)
		}
		if got, fields := decode(t, record.AppendTask(nil, s, record.View{})); fields["metadata"] != nil || got.Metadata != nil {
			t.Errorf("neither: %s", fields["metadata"])
		}
	})

	t.Run("a frame and a reply carry the task", func(t *testing.T) {
		t.Parallel()
		for _, b := range [][]byte{record.AppendTaskFrame(nil, setup(), record.View{}), record.AppendReply(nil, setup(), record.View{})} {
			var sr a2a.StreamResponse
			if err := json.Unmarshal(b, &sr); err != nil {
				t.Fatal(err)
			}
			if got, ok := sr.Event.(*a2a.Task); !ok || got.ID != "task" || len(got.Artifacts) != 1 {
				t.Errorf("got %s", b)
			}
		}
	})

	t.Run("the reply of a Message is that message without a stamp", func(t *testing.T) {
		t.Parallel()
		_, c := encode(t, &a2a.Message{ID: "m", Role: a2a.MessageRoleAgent, Parts: a2a.ContentParts{a2a.NewTextPart("hi")}}, record.Stamp{Seq: 1})
		s := task.NewState("task", "context")
		apply(t, s, c)
		want := `{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"hi"}]}}`
		if got := string(record.AppendReply(nil, s, record.View{})); got != want {
			t.Errorf("got %s", got)
		}
	})
}

func TestAnyViewIsReadByTheSDK(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ev := drawTask(t)
		if !task.Known(ev.Status.State) {
			ev.Status.State = a2a.TaskStateRejected
		}
		dropRepeats(ev)
		raw, c := encode(t, ev, record.Stamp{Seq: 1})
		s := task.NewState(string(ev.ID), ev.ContextID)
		apply(t, s, c)
		var event a2a.StreamResponse
		if err := json.Unmarshal(raw, &event); err != nil {
			t.Fatalf("event: %v", err)
		}
		delete(event.Event.Meta(), task.ResumeURI)
		var got a2a.StreamResponse
		if err := json.Unmarshal(record.AppendTaskFrame([]byte(nil), s, record.View{}), &got); err != nil {
			t.Fatalf("view: %v", err)
		}
		if d := cmp.Diff(event.Event, got.Event, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("(-event +view):\n%s", d)
		}
	})
}

// dropRepeats makes ids unique, as the rules do before anything is encoded.
func dropRepeats(ev *a2a.Task) {
	for i, m := range ev.History {
		m.ID = string(rune('a' + i))
	}
	for i, a := range ev.Artifacts {
		a.ID = a2a.ArtifactID(rune('a' + i))
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) (*task.State, *task.Artifact) {
		t.Helper()
		s := task.NewState("task", "context")
		for _, ev := range []a2a.Event{
			&a2a.Task{ID: "task", ContextID: "context", Status: status(nil).Status},
			&a2a.TaskArtifactUpdateEvent{Artifact: &a2a.Artifact{
				ID: "a", Name: "n", Description: "d", Extensions: []string{"urn:x"}, Metadata: map[string]any{"k": 1},
				Parts: a2a.ContentParts{a2a.NewTextPart("before")},
			}},
		} {
			_, c := encode(t, ev, record.Stamp{Seq: s.Seq + 1})
			apply(t, s, c)
		}
		old, _ := s.Freeze().Thaw().Artifact("a")
		_, c := encode(t, &a2a.TaskArtifactUpdateEvent{Append: true, Artifact: &a2a.Artifact{
			ID: "a", Metadata: map[string]any{"l": 2}, Parts: a2a.ContentParts{a2a.NewTextPart("failed")},
		}}, record.Stamp{Seq: s.Seq + 1})
		apply(t, s, c)
		return s, old
	}
	parse := func(t *testing.T, raw task.Raw, c *task.Change) *a2a.TaskArtifactUpdateEvent {
		t.Helper()
		got, err := record.Parse(record.Record{Event: raw})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c, got); d != "" {
			t.Errorf("(-change +parsed):\n%s", d)
		}
		var sr a2a.StreamResponse
		if err := json.Unmarshal(raw, &sr); err != nil {
			t.Fatal(err)
		}
		return sr.Event.(*a2a.TaskArtifactUpdateEvent)
	}

	t.Run("an artifact gets back what it was, for us and for a stock client", func(t *testing.T) {
		t.Parallel()
		s, old := setup(t)
		raw, c := record.EncodeReset("task", "context", "a", old, record.Stamp{Seq: 4, Attempt: 2})
		ev := parse(t, raw, c)
		if ev.Append || !ev.LastChunk || ev.TaskID != "task" || ev.ContextID != "context" || ev.Artifact.Name != "n" || len(ev.Artifact.Parts) != 1 || ev.Artifact.Parts[0].Text() != "before" {
			t.Errorf("event %s", raw)
		}
		if stamp := ev.Metadata[task.ResumeURI].(map[string]any); stamp["superseded"] != nil || stamp["attempt"] != 2.0 {
			t.Errorf("stamp %v", stamp)
		}
		apply(t, s, c)
		now, _ := s.Artifact("a")
		if d := cmp.Diff(old, now); d != "" {
			t.Errorf("(-before +now):\n%s", d)
		}
	})

	t.Run("an artifact that was not there is taken away from our fold and emptied for a stock client", func(t *testing.T) {
		t.Parallel()
		s, _ := setup(t)
		raw, c := record.EncodeReset("task", "context", "a", nil, record.Stamp{Seq: 4, Attempt: 2})
		ev := parse(t, raw, c)
		if ev.Append || !ev.LastChunk || len(ev.Artifact.Parts) != 1 || ev.Artifact.Parts[0].Content != a2a.Text("") {
			t.Errorf("event %s", raw)
		}
		if stamp := ev.Metadata[task.ResumeURI].(map[string]any); stamp["superseded"] != true {
			t.Errorf("stamp %v", stamp)
		}
		apply(t, s, c)
		if _, known := s.Artifact("a"); known || len(s.Artifacts) != 0 {
			t.Error("the artifact is still there")
		}
	})
}
