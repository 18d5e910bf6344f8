// SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// published is a scene whose task clients can see.
func published(t *testing.T) *scene {
	t.Helper()
	s := newScene(t)
	s.must(status(a2a.TaskStateWorking, nil))
	return s
}

// kinds tells the events of one decision apart.
func kinds(events []a2a.Event) string {
	var out []string
	for _, ev := range events {
		switch ev := ev.(type) {
		case *a2a.Task:
			out = append(out, "task "+short(ev.Status.State))
		case *a2a.Message:
			out = append(out, "message")
		case *a2a.TaskStatusUpdateEvent:
			out = append(out, "status "+short(ev.Status.State))
		case *a2a.TaskArtifactUpdateEvent:
			how := "replace "
			if ev.Append {
				how = "append "
			}
			out = append(out, how+string(ev.Artifact.ID))
		}
	}
	return strings.Join(out, ", ")
}

func short(s a2a.TaskState) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(string(s), "TASK_STATE_"), "_", "-"))
}

func TestMessageOfTheAgent(t *testing.T) {
	t.Parallel()

	t.Run("a Message before anything is published is the reply and there is no task", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		m := &a2a.Message{Parts: a2a.ContentParts{a2a.NewTextPart("hello")}}
		events, end := s.must(m)
		want := []a2a.Event{&a2a.Message{ID: "task-1-1-1", ContextID: contextID, Role: a2a.MessageRoleAgent, Parts: m.Parts}}
		if d := same(want, events); d != "" || end != task.EndReply {
			t.Errorf("end %d (-want +got):\n%s", end, d)
		}
		if s.state.Exists() || !s.state.Closed() || s.state.Reply == nil {
			t.Errorf("exists %v, closed %v, reply %v", s.state.Exists(), s.state.Closed(), s.state.Reply)
		}
		if m.ID != "" || m.ContextID != "" || m.Role != "" {
			t.Errorf("the executor's own message was changed: %+v", m)
		}
	})

	t.Run("a Message on the published new task completes it", func(t *testing.T) {
		t.Parallel()
		s := published(t)
		events, end := s.must(agentMessage("m1"))
		if got := kinds(events); got != "status completed" || end != task.EndTerminal {
			t.Errorf("got %q, end %d", got, end)
		}
		if m := s.view().Status.Message; m == nil || m.ID != "m1" || m.TaskID != taskID || m.ContextID != contextID {
			t.Errorf("status message %+v", m)
		}
	})

	for _, tt := range []struct {
		name         string
		parked, want a2a.TaskState
	}{
		{"a Message in a follow-up restores input-required", a2a.TaskStateInputRequired, a2a.TaskStateInputRequired},
		{"a Message in a follow-up restores auth-required", a2a.TaskStateAuthRequired, a2a.TaskStateAuthRequired},
		{"a Message in a follow-up to a task that was not parked waits for input", a2a.TaskStateWorking, a2a.TaskStateInputRequired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.must(status(tt.parked, agentMessage("question")))
			s.followUp("user-2")
			events, end := s.must(agentMessage("aside"))
			if got := kinds(events); got != "status "+short(tt.want) || end != task.EndParked {
				t.Errorf("got %q, end %d", got, end)
			}
			if m := s.view().Status.Message; m == nil || m.ID != "aside" {
				t.Errorf("status message %+v", m)
			}
		})
	}
}

func TestFirstUpdateMakesTheTask(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		event a2a.Event
		want  string
	}{
		{"a first status comes after Task SUBMITTED", status(a2a.TaskStateWorking, nil), "task submitted, status working"},
		{"a first status SUBMITTED that says nothing more is the Task", status(a2a.TaskStateSubmitted, nil), "task submitted"},
		{"a first status SUBMITTED with a message is recorded after the Task", status(a2a.TaskStateSubmitted, agentMessage("m")), "task submitted, status submitted"},
		{"a first status SUBMITTED with metadata is recorded after the Task", &a2a.TaskStatusUpdateEvent{Status: a2a.TaskStatus{State: a2a.TaskStateSubmitted}, Metadata: map[string]any{"k": 1}}, "task submitted, status submitted"},
		{"a first terminal status comes after Task SUBMITTED", status(a2a.TaskStateRejected, nil), "task submitted, status rejected"},
		{"a first artifact comes after Task SUBMITTED", replaced("a", "x"), "task submitted, replace a"},
		{"a first Task is the Task", &a2a.Task{Status: a2a.TaskStatus{State: a2a.TaskStateWorking}}, "task working"},
		{"a first Task without a state is SUBMITTED", &a2a.Task{}, "task submitted"},
		{"a first Task may be terminal", &a2a.Task{Status: a2a.TaskStatus{State: a2a.TaskStateCompleted}}, "task completed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			events, _ := s.must(tt.event)
			if got := kinds(events); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			got := s.view()
			if len(got.History) != 1 || got.History[0].ID != "user-1" || got.ID != taskID || got.ContextID != contextID {
				t.Errorf("task %s of %s with history %v", got.ID, got.ContextID, got.History)
			}
			if !got.Status.Timestamp.Equal(s.now) {
				t.Errorf("the status is of %v, the clock says %v", got.Status.Timestamp, s.now)
			}
		})
	}

	t.Run("a Task that nobody sent a message for has no history", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.turn.Message = nil
		s.must(status(a2a.TaskStateWorking, nil))
		if got := s.view().History; len(got) != 0 {
			t.Errorf("history %v", got)
		}
	})
}

func TestEndOfATurn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		state       a2a.TaskState
		retryFailed bool
		want        task.End
		name        string
	}{
		{a2a.TaskStateCompleted, false, task.EndTerminal, "completed ends the task"},
		{a2a.TaskStateFailed, false, task.EndTerminal, "failed is the agent's verdict and ends the task"},
		{a2a.TaskStateCanceled, false, task.EndTerminal, "canceled ends the task"},
		{a2a.TaskStateRejected, false, task.EndTerminal, "rejected ends the task"},
		{a2a.TaskStateInputRequired, false, task.EndParked, "input-required ends the turn"},
		{a2a.TaskStateAuthRequired, false, task.EndNone, "auth-required does not end the turn"},
		{a2a.TaskStateWorking, false, task.EndNone, "working does not end the turn"},
		{a2a.TaskStateSubmitted, false, task.EndNone, "submitted does not end the turn"},
		{a2a.TaskStateFailed, true, task.EndRetry, "failed under RetryFailed is an attempt that failed"},
		{a2a.TaskStateRejected, true, task.EndTerminal, "rejected under RetryFailed ends the task"},
	}
	for _, tt := range tests {
		for _, first := range []bool{true, false} {
			for _, whole := range []bool{true, false} {
				name := tt.name
				ev := a2a.Event(status(tt.state, nil))
				if whole {
					name, ev = name+", said by a Task", &a2a.Task{Status: a2a.TaskStatus{State: tt.state}}
				}
				if first {
					name += ", as the first event"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					s := newScene(t)
					s.turn.RetryFailed = tt.retryFailed
					if !first {
						s.must(replaced("a", "x"))
					}
					had := len(s.log)
					_, end := s.must(ev)
					if end != tt.want {
						t.Fatalf("end %d, want %d", end, tt.want)
					}
					if tt.want == task.EndRetry && len(s.log) != had {
						t.Errorf("a failed attempt recorded %d events", len(s.log)-had)
					}
					if closed := tt.want == task.EndTerminal; s.state.Closed() != closed {
						t.Errorf("Closed is %v", s.state.Closed())
					}
					checkEnded(t, s, tt.want != task.EndNone)
				})
			}
		}
	}
}

// checkEnded sees that a turn that has ended takes nothing more, and one that
// has not does.
func checkEnded(t *testing.T, s *scene, ended bool) {
	t.Helper()
	_, err := s.turn.Progress(s.state, 1, s.tick())
	if errors.Is(err, task.ErrInvalidEvent) != ended {
		t.Errorf("progress: %v", err)
	}
	if err == nil && !s.state.Exists() {
		t.Error("a turn goes on, and its task does not exist")
	}
	for _, ev := range []a2a.Event{
		status(a2a.TaskStateWorking, nil), replaced("b", "late"),
		&a2a.Task{Status: a2a.TaskStatus{State: a2a.TaskStateWorking}}, agentMessage("late"),
	} {
		if _, _, err := s.yield(ev); errors.Is(err, task.ErrInvalidEvent) != ended {
			t.Errorf("%s: %v", kinds([]a2a.Event{ev}), err)
		}
	}
}

func TestEventsAgainstTheRulesAreRefused(t *testing.T) {
	t.Parallel()
	valid := replaced("a", "x")
	other := func(ev a2a.TaskArtifactUpdateEvent) *a2a.TaskArtifactUpdateEvent {
		ev.Artifact = valid.Artifact
		return &ev
	}
	completed := a2a.TaskStatus{State: a2a.TaskStateCompleted}
	tests := []struct {
		name  string
		event a2a.Event
		text  string
	}{
		{"nothing at all", nil, "event of type <nil>"},
		{"a nil Message", (*a2a.Message)(nil), "a nil Message"},
		{"a nil Task", (*a2a.Task)(nil), "a nil Task"},
		{"a nil status", (*a2a.TaskStatusUpdateEvent)(nil), "a nil status update"},
		{"a nil artifact update", (*a2a.TaskArtifactUpdateEvent)(nil), "without an artifact"},
		{"a Message for another task", &a2a.Message{TaskID: "another"}, `a Message for task "another"`},
		{"a Message for another context", &a2a.Message{ContextID: "another"}, `a Message for context "another"`},
		{"a status for another task", &a2a.TaskStatusUpdateEvent{TaskID: "another", Status: completed}, `for task "another"`},
		{"a status for another context", &a2a.TaskStatusUpdateEvent{ContextID: "another", Status: completed}, `for context "another"`},
		{"a status without a state", &a2a.TaskStatusUpdateEvent{}, "TASK_STATE_UNSPECIFIED"},
		{"a status with an unknown state", status("TASK_STATE_DREAMING", nil), "TASK_STATE_DREAMING"},
		{"an artifact for another task", other(a2a.TaskArtifactUpdateEvent{TaskID: "another"}), `for task "another"`},
		{"an artifact for another context", other(a2a.TaskArtifactUpdateEvent{ContextID: "another"}), `for context "another"`},
		{"an artifact update without an artifact", &a2a.TaskArtifactUpdateEvent{}, "without an artifact"},
		{"an artifact without an id", replaced("", "x"), "without an id"},
		{"an artifact without parts", replaced("a"), "without parts"},
		{"an append to an unknown artifact", appended("unknown", "x"), `unknown artifact "unknown"`},
		{"a Task of another id", &a2a.Task{ID: "another", Status: completed}, `for task "another"`},
		{"a Task of another context", &a2a.Task{ContextID: "another", Status: completed}, `for context "another"`},
		{"a Task with an unknown state", &a2a.Task{Status: a2a.TaskStatus{State: "TASK_STATE_DREAMING"}}, "TASK_STATE_DREAMING"},
		{"a Task with a nil artifact", &a2a.Task{Status: completed, Artifacts: []*a2a.Artifact{nil}}, "artifacts[0]"},
		{"a Task with an artifact without an id", &a2a.Task{Status: completed, Artifacts: []*a2a.Artifact{artifact("a", "x"), artifact("", "x")}}, "artifacts[1]"},
		{"a Task with an artifact without parts", &a2a.Task{Status: completed, Artifacts: []*a2a.Artifact{artifact("a")}}, "artifacts[0]"},
		{"a Task with two artifacts of one id", &a2a.Task{Status: completed, Artifacts: []*a2a.Artifact{artifact("a", "x"), artifact("a", "y")}}, `artifacts[1] has the id of another, "a"`},
	}
	for _, tt := range tests {
		for _, on := range []struct {
			name  string
			setup func(*testing.T) *scene
		}{
			{" is refused", func(t *testing.T) *scene { return newScene(t) }},
			{" is refused on a published task", published},
		} {
			t.Run(tt.name+on.name, func(t *testing.T) {
				t.Parallel()
				s := on.setup(t)
				was := fingerprint(s.state)
				events, end, err := s.yield(tt.event)
				if !errors.Is(err, task.ErrInvalidEvent) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %v, want one about %q", err, tt.text)
				}
				if len(events) != 0 || end != task.EndNone || fingerprint(s.state) != was {
					t.Errorf("%d events, end %d, state changed: %v", len(events), end, fingerprint(s.state) != was)
				}
				if _, end := s.must(status(a2a.TaskStateCompleted, nil)); end != task.EndTerminal {
					t.Errorf("afterwards the turn ended with %d", end)
				}
			})
		}
	}
}

func TestIDsThatAreLeftOut(t *testing.T) {
	t.Parallel()

	t.Run("ids that an event leaves out are filled in", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		for _, ev := range []a2a.Event{
			&a2a.TaskStatusUpdateEvent{Status: a2a.TaskStatus{State: a2a.TaskStateWorking}}, replaced("a", "x"),
			&a2a.Task{Status: a2a.TaskStatus{State: a2a.TaskStateCompleted}},
		} {
			events, _ := s.must(ev)
			for _, ev := range events {
				if info := ev.TaskInfo(); info.TaskID != taskID || info.ContextID != contextID {
					t.Errorf("%T has %+v", ev, info)
				}
			}
		}
	})

	t.Run("each message without an id gets one of its own, another in each attempt", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		seen := map[string]bool{}
		for range 2 {
			for range 3 {
				s.must(status(a2a.TaskStateWorking, agentMessage("")))
				seen[s.state.Status.Message.ID] = true
			}
			s.retry()
		}
		if len(seen) != 6 || !seen["task-1-1-1"] || !seen["task-1-2-3"] {
			t.Errorf("ids %v", seen)
		}
	})
}
