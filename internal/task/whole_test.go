// SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

func TestATaskEventOfATaskThatExists(t *testing.T) {
	t.Parallel()
	working := a2a.TaskStatus{State: a2a.TaskStateWorking}
	with := func(a *a2a.Artifact, change func(*a2a.Artifact)) *a2a.Artifact {
		change(a)
		return a
	}
	tests := []struct {
		name string
		ev   *a2a.Task
		want string
	}{
		{"what it does not change is not recorded", &a2a.Task{Status: a2a.TaskStatus{State: a2a.TaskStateWorking, Message: agentMessage("said")}, Artifacts: []*a2a.Artifact{artifact("a", "x", "y")}}, ""},
		{"a status without its message is the same status", &a2a.Task{Status: working}, ""},
		{"a state that changes is a status", &a2a.Task{Status: a2a.TaskStatus{State: a2a.TaskStateAuthRequired}}, "status auth-required"},
		{"a message that changes is a status", &a2a.Task{Status: a2a.TaskStatus{State: a2a.TaskStateWorking, Message: agentMessage("new")}}, "status working"},
		{"metadata is a status", &a2a.Task{Status: working, Metadata: map[string]any{"k": 1}}, "status working"},
		{"no state is SUBMITTED", &a2a.Task{}, "status submitted"},
		{"parts that were added are appended", &a2a.Task{Status: working, Artifacts: []*a2a.Artifact{artifact("a", "x", "y", "z", "z")}}, "append a"},
		{"a part that changed replaces the whole", &a2a.Task{Status: working, Artifacts: []*a2a.Artifact{artifact("a", "x", "Y")}}, "replace a"},
		{"a part that is gone replaces the whole", &a2a.Task{Status: working, Artifacts: []*a2a.Artifact{artifact("a", "x")}}, "replace a"},
		{"a name replaces the whole", &a2a.Task{Status: working, Artifacts: []*a2a.Artifact{with(artifact("a", "x", "y"), func(a *a2a.Artifact) { a.Name = "n" })}}, "replace a"},
		{"a description replaces the whole", &a2a.Task{Status: working, Artifacts: []*a2a.Artifact{with(artifact("a", "x", "y"), func(a *a2a.Artifact) { a.Description = "d" })}}, "replace a"},
		{"extensions replace the whole", &a2a.Task{Status: working, Artifacts: []*a2a.Artifact{with(artifact("a", "x", "y"), func(a *a2a.Artifact) { a.Extensions = []string{"urn:x"} })}}, "replace a"},
		{"metadata of an artifact replaces the whole", &a2a.Task{Status: working, Artifacts: []*a2a.Artifact{with(artifact("a", "x", "y"), func(a *a2a.Artifact) { a.Metadata = map[string]any{"k": 1} })}}, "replace a"},
		{"metadata that is gone replaces the whole", &a2a.Task{Status: working, Artifacts: []*a2a.Artifact{artifact("marked", "x")}}, "replace marked"},
		{"an artifact that is new is one update", &a2a.Task{Status: working, Artifacts: []*a2a.Artifact{artifact("b", "x", "y")}}, "replace b"},
		{"an artifact that it leaves out stays", &a2a.Task{Status: working, Artifacts: []*a2a.Artifact{artifact("b", "x")}}, "replace b"},
		{"the status comes last", &a2a.Task{Status: a2a.TaskStatus{State: a2a.TaskStateCompleted}, Artifacts: []*a2a.Artifact{artifact("b", "x"), artifact("a", "x", "y", "z")}}, "replace b, append a, status completed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.must(status(a2a.TaskStateWorking, agentMessage("said")))
			s.must(replaced("a", "x", "y"))
			s.must(&a2a.TaskArtifactUpdateEvent{Artifact: with(artifact("marked", "x"), func(a *a2a.Artifact) { a.Metadata = map[string]any{"k": 1} })})
			events, _ := s.must(tt.ev)
			if got := kinds(events); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for _, ev := range events {
				if more, ok := ev.(*a2a.TaskArtifactUpdateEvent); ok && more.Append && len(more.Artifact.Parts) != len(tt.ev.Artifacts[len(tt.ev.Artifacts)-1].Parts)-2 {
					t.Errorf("appended %d parts", len(more.Artifact.Parts))
				}
			}
			if _, there := s.state.Artifact("a"); !there {
				t.Error("artifact a is gone")
			}
		})
	}

	t.Run("a part that cannot be encoded is refused", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.must(replaced("a", "x"))
		bad := &a2a.Artifact{ID: "a", Parts: a2a.ContentParts{{}}}
		if _, _, err := s.yield(&a2a.Task{Status: working, Artifacts: []*a2a.Artifact{bad}}); !errors.Is(err, task.ErrInvalidEvent) || !strings.Contains(err.Error(), `artifact "a"`) {
			t.Errorf("error %v", err)
		}
	})
}

func TestHistory(t *testing.T) {
	t.Parallel()
	ids := func(s *scene) string {
		var out []string
		for _, m := range s.view().History {
			out = append(out, m.ID)
		}
		return strings.Join(out, " ")
	}
	working := func(id string) a2a.Event { return status(a2a.TaskStateWorking, agentMessage(id)) }
	tests := []struct {
		name string
		play func(*scene)
		want string
	}{
		{"the history of a first Task has the user's message in front", func(s *scene) {
			s.must(&a2a.Task{History: []*a2a.Message{agentMessage("m1"), nil, agentMessage("m2")}})
		}, "user-1 m1 m2"},
		{"the history of a first Task that has the user's message stays in order", func(s *scene) {
			s.must(&a2a.Task{History: []*a2a.Message{agentMessage("before"), userMessage("user-1"), agentMessage("m2")}})
		}, "before user-1 m2"},
		{"a message id stands in the history of a Task once", func(s *scene) {
			s.must(&a2a.Task{History: []*a2a.Message{agentMessage("m1"), userMessage("user-1"), agentMessage("m1")}})
		}, "m1 user-1"},
		{"a message of a Task without an id gets one", func(s *scene) {
			s.must(&a2a.Task{History: []*a2a.Message{agentMessage("")}})
		}, "user-1 task-1-1-1"},
		{"the status message moves into the history when the next status comes", func(s *scene) {
			s.must(working("m1"))
			s.must(working("m2"))
			s.must(status(a2a.TaskStateWorking, nil))
		}, "user-1 m1 m2"},
		{"the status message does not move while it is said again", func(s *scene) {
			s.must(working("m1"))
			s.must(working("m1"))
			s.must(working("m1"))
		}, "user-1"},
		{"an artifact does not move the status message", func(s *scene) {
			s.must(working("m1"))
			s.must(replaced("a", "x"))
		}, "user-1"},
		{"a message id stands in the history once", func(s *scene) {
			for _, id := range []string{"m1", "m2", "m1", "m2", "m3"} {
				s.must(working(id))
			}
		}, "user-1 m1 m2"},
		{"a follow-up moves the question into the history and then the answer", func(s *scene) {
			s.must(status(a2a.TaskStateInputRequired, agentMessage("question")))
			s.followUp("user-2")
		}, "user-1 question user-2"},
		{"a progress moves nothing", func(s *scene) {
			s.must(working("m1"))
			s.progress(10)
			s.progress(20)
		}, "user-1"},
		{"a Message on the published task stands in its status alone", func(s *scene) {
			s.must(working("m1"))
			s.must(agentMessage("m2"))
		}, "user-1 m1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			tt.play(s)
			if got := ids(s); got != tt.want {
				t.Errorf("history %q, want %q", got, tt.want)
			}
			var ref reference
			for _, rec := range s.log {
				ref.add(t, rec)
			}
			ref.check(t, s.state)
			for _, id := range strings.Fields(tt.want) {
				if !s.state.HasMessage(id) {
					t.Errorf("HasMessage(%q) is false", id)
				}
			}
			if s.state.HasMessage("nobody's") {
				t.Error("HasMessage knows a message that never was")
			}
		})
	}
}

// progress records a progress as the worker does.
func (s *scene) progress(percent int) []a2a.Event {
	s.Helper()
	events, err := s.turn.Progress(s.state, percent, s.tick())
	if err != nil {
		s.Fatalf("progress was refused: %v", err)
	}
	s.record(events...)
	return events
}

func TestProgress(t *testing.T) {
	t.Parallel()
	percent := func(s *scene) any {
		m, _ := s.view().Metadata[task.ProgressURI].(map[string]any)
		return m["percent"]
	}

	t.Run("a progress publishes the task and says that it is working", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		if got := kinds(s.progress(40)); got != "task submitted, status working" || percent(s) != 40.0 {
			t.Errorf("got %q, %v percent", got, percent(s))
		}
		if s.progress(41); percent(s) != 41.0 {
			t.Errorf("then %v percent", percent(s))
		}
	})

	t.Run("a progress keeps the status message", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.must(status(a2a.TaskStateWorking, agentMessage("m1")))
		was := string(s.state.Status.Message.Raw)
		s.progress(40)
		if m := s.state.Status.Message; m == nil || m.ID != "m1" || string(m.Raw) != was {
			t.Errorf("status message %+v, was %s", m, was)
		}
	})

	t.Run("a progress keeps auth-required", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.must(status(a2a.TaskStateAuthRequired, nil))
		if got := kinds(s.progress(40)); got != "status auth-required" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("a progress that finds an unreadable status message is an error", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.must(status(a2a.TaskStateWorking, agentMessage("m1")))
		s.state.Status.Message.Raw = task.Raw("{")
		if _, err := s.turn.Progress(s.state, 1, s.now); err == nil {
			t.Error("no error")
		}
	})
}

func TestStatusOfTheEngine(t *testing.T) {
	t.Parallel()
	s := published(t)
	s.record(s.turn.Status(a2a.TaskStateFailed, "The agent took too long.", s.tick()))
	got := s.view().Status
	if m := got.Message; m == nil || m.Parts[0].Text() != "The agent took too long." || m.Role != a2a.MessageRoleAgent || m.ID == "" {
		t.Errorf("status message %+v", m)
	}
	if got.State != a2a.TaskStateFailed || !got.Timestamp.Equal(s.now) {
		t.Errorf("status %+v", got)
	}
	if task.CanceledTurns(nil) != nil {
		t.Error("metadata about no canceled turns")
	}
	if d := same(map[string]any{task.CanceledTurnsKey: []string{"m2", "m3"}}, task.CanceledTurns([]string{"m2", "m3"})); d != "" {
		t.Error(d)
	}
}
