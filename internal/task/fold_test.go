// SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

func TestStates(t *testing.T) {
	t.Parallel()
	type facts struct{ terminal, interrupted bool }
	want := map[a2a.TaskState]facts{
		a2a.TaskStateSubmitted: {}, a2a.TaskStateWorking: {},
		a2a.TaskStateInputRequired: {interrupted: true}, a2a.TaskStateAuthRequired: {interrupted: true},
		a2a.TaskStateCompleted: {terminal: true}, a2a.TaskStateFailed: {terminal: true},
		a2a.TaskStateCanceled: {terminal: true}, a2a.TaskStateRejected: {terminal: true},
	}
	for s, f := range want {
		if !task.Known(s) || s.Terminal() != f.terminal || task.Interrupted(s) != f.interrupted || task.Settled(s) != (f.terminal || f.interrupted) {
			t.Errorf("%s: known %v, interrupted %v, settled %v", s, task.Known(s), task.Interrupted(s), task.Settled(s))
		}
	}
	for _, s := range []a2a.TaskState{"", "TASK_STATE_UNSPECIFIED", "completed", "TASK_STATE_DREAMING"} {
		if task.Known(s) || task.Settled(s) {
			t.Errorf("%q is known or settled", s)
		}
	}
}

// texts is the content of an artifact.
func texts(t *testing.T, s *scene, id string) string {
	t.Helper()
	for _, a := range s.view().Artifacts {
		if string(a.ID) == id {
			var out []string
			for _, p := range a.Parts {
				out = append(out, p.Text())
			}
			return strings.Join(out, " ")
		}
	}
	return "none"
}

func TestArtifacts(t *testing.T) {
	t.Parallel()

	t.Run("an append adds parts and metadata and keeps the name", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		first := replaced("a", "1", "2")
		first.Artifact.Name, first.Artifact.Metadata = "name", map[string]any{"k": 1, "l": 1}
		s.must(first)
		more := appended("a", "3")
		more.Artifact.Name, more.Artifact.Metadata = "another", map[string]any{"l": 2, "m": 3}
		s.must(more)
		if got := texts(t, s, "a"); got != "1 2 3" {
			t.Errorf("parts %q", got)
		}
		got := s.view().Artifacts[0]
		if d := same(map[string]any{"k": 1.0, "l": 2.0, "m": 3.0}, got.Metadata); d != "" || got.Name != "name" {
			t.Errorf("name %q, metadata (-want +got):\n%s", got.Name, d)
		}
	})

	t.Run("an update without append replaces all of it in its place", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		first := replaced("a", "1", "2")
		first.Artifact.Name, first.Artifact.Metadata = "name", map[string]any{"k": 1}
		s.must(first)
		s.must(replaced("b", "x"))
		s.must(replaced("a", "3"))
		got := s.view().Artifacts
		if len(got) != 2 || got[0].ID != "a" || got[0].Name != "" || len(got[0].Metadata) != 0 || texts(t, s, "a") != "3" {
			t.Errorf("artifacts %+v", got)
		}
	})

	t.Run("a superseded artifact is taken away and the others are still found", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		for _, id := range []a2a.ArtifactID{"a", "b", "c"} {
			s.must(replaced(id, string(id)))
		}
		for range 2 { // the second finds nothing to take
			st := s.stamp()
			raw, c := record.EncodeReset(taskID, contextID, "a", nil, st)
			s.push(raw, c, nil)
		}
		s.must(appended("c", "more"))
		if a, b, c := texts(t, s, "a"), texts(t, s, "b"), texts(t, s, "c"); a != "none" || b != "b" || c != "c more" {
			t.Errorf("a %q, b %q, c %q", a, b, c)
		}
		if _, known := s.state.Artifact("a"); known {
			t.Error("a is still known")
		}
	})

	t.Run("two tasks that begin with one change do not share their ends", func(t *testing.T) {
		t.Parallel()
		one, two := newScene(t), newScene(t)
		one.must(status(a2a.TaskStateWorking, nil))
		two.must(status(a2a.TaskStateWorking, nil))
		ev := replaced("a", "1", "2")
		ev.Artifact.Metadata = map[string]any{"k": 1}
		_, c, err := record.Encode(ev, one.stamp())
		if err != nil {
			t.Fatal(err)
		}
		c.Artifact.Parts = append(make([]task.Raw, 0, 8), c.Artifact.Parts...) // room to write into
		for _, s := range []*scene{one, two} {
			if err := s.state.Apply(c); err != nil {
				t.Fatal(err)
			}
		}
		more := appended("a", "one")
		more.Artifact.Metadata = map[string]any{"k": 2}
		one.must(more)
		two.must(appended("a", "two"))
		if a, b := texts(t, one, "a"), texts(t, two, "a"); a != "1 2 one" || b != "1 2 two" {
			t.Errorf("%q and %q", a, b)
		}
		if k := two.view().Artifacts[0].Metadata["k"]; k != 1.0 {
			t.Errorf("metadata of the other: %v", k)
		}
	})
}

func TestFreeze(t *testing.T) {
	t.Parallel()
	raw := func(id string) *task.Message {
		return &task.Message{ID: id, Raw: task.Raw(`{"messageId":"` + id + `"}`)}
	}
	working := task.Status{State: a2a.TaskStateWorking}
	setup := func(t *testing.T) *scene {
		t.Helper()
		s := newScene(t)
		ev := replaced("a", "1")
		ev.Artifact.Metadata = map[string]any{"k": 1}
		s.must(ev)
		for _, id := range []string{"m1", "m2", "m3"} { // arrays that have room to grow
			if err := s.state.Apply(&task.Change{Kind: task.KindStatus, Status: working, Opens: raw(id), Metadata: map[string]task.Raw{"k": task.Raw("1")}}); err != nil {
				t.Fatal(err)
			}
			s.must(appended("a", id))
		}
		return s
	}
	// goOn changes everything that a state holds.
	goOn := func(t *testing.T, s *task.State, with string) {
		t.Helper()
		more := &task.Artifact{ID: "a", Parts: []task.Raw{task.Raw(`{"text":"` + with + `"}`)}, Metadata: map[string]task.Raw{"k": task.Raw(`"` + with + `"`)}}
		for _, c := range []*task.Change{
			{Kind: task.KindArtifact, Append: true, Artifact: more},
			{Kind: task.KindStatus, Status: working, Opens: raw(with), Metadata: map[string]task.Raw{"k": task.Raw(`"` + with + `"`)}},
			{Kind: task.KindArtifact, Artifact: &task.Artifact{ID: with, Parts: more.Parts}},
		} {
			if err := s.Apply(c); err != nil {
				t.Fatal(err)
			}
		}
	}

	t.Run("a frozen state and its original go on apart", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		frozen, copied := s.state.Freeze(), s.state.Freeze().Thaw()
		was := fingerprint(s.state)
		goOn(t, s.state, "original")
		original := fingerprint(s.state)
		goOn(t, copied, "copy")
		if fingerprint(s.state) != original {
			t.Errorf("the copy changed the original to\n%q", fingerprint(s.state))
		}
		if fingerprint(frozen) != was {
			t.Errorf("what was frozen is now\n%q", fingerprint(frozen))
		}
		goOn(t, frozen.Thaw(), "original")
		if fingerprint(frozen) != original || frozen.Size() != s.state.Size() {
			t.Errorf("thawed, it went on to\n%q, the original to\n%q", fingerprint(frozen), original)
		}
	})

	t.Run("a thawed state knows its messages and artifacts", func(t *testing.T) {
		t.Parallel()
		s := setup(t).state.Freeze().Thaw()
		if _, known := s.Artifact("a"); !known || !s.HasMessage("m2") || s.HasMessage("m4") {
			t.Errorf("artifact %v, m2 %v, m4 %v", known, s.HasMessage("m2"), s.HasMessage("m4"))
		}
	})
}

func TestApplyRefusesWhatNoLogMayHold(t *testing.T) {
	t.Parallel()
	working := task.Status{State: a2a.TaskStateWorking}
	tests := []struct {
		name      string
		published bool
		change    task.Change
	}{
		{"a second Task", true, task.Change{Kind: task.KindTask, Status: working}},
		{"a Message after the Task", true, task.Change{Kind: task.KindMessage, Message: &task.Message{ID: "m"}}},
		{"a Message event without its message", false, task.Change{Kind: task.KindMessage}},
		{"a status before the Task", false, task.Change{Kind: task.KindStatus, Status: working}},
		{"an artifact before the Task", false, task.Change{Kind: task.KindArtifact, Artifact: &task.Artifact{ID: "a"}}},
		{"an artifact event without one", true, task.Change{Kind: task.KindArtifact}},
		{"an artifact without an id", true, task.Change{Kind: task.KindArtifact, Artifact: &task.Artifact{}}},
		{"an append to an unknown artifact", true, task.Change{Kind: task.KindArtifact, Append: true, Artifact: &task.Artifact{ID: "b"}}},
		{"a kind that is none", true, task.Change{}},
		{"a kind of another release", true, task.Change{Kind: task.KindArtifact + 1}},
		{"a Task without a state", false, task.Change{Kind: task.KindTask}},
		{"a status without a state", true, task.Change{Kind: task.KindStatus}},
		{"a status with an unknown state", true, task.Change{Kind: task.KindStatus, Status: task.Status{State: "TASK_STATE_DREAMING"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			if tt.published {
				s.must(status(a2a.TaskStateWorking, agentMessage("m1")))
			}
			was := fingerprint(s.state)
			tt.change.Opens = &task.Message{ID: "opens", Raw: task.Raw(`{}`)}
			tt.change.Metadata = map[string]task.Raw{"k": task.Raw("1")}
			if err := s.state.Apply(&tt.change); !errors.Is(err, task.ErrInvalidEvent) {
				t.Errorf("error %v", err)
			}
			if fingerprint(s.state) != was || s.state.HasMessage("opens") {
				t.Error("the state has changed")
			}
		})
	}
}
