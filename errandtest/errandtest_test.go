// SPDX-License-Identifier: Apache-2.0

package errandtest_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"go.uber.org/goleak"

	"github.com/errand-a2a/errand"
	"github.com/errand-a2a/errand/errandtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clerk answers in an artifact, asks back, talks, or fails.
type clerk struct{}

func (clerk) Execute(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		said := ec.Message.Parts[0].Text()
		switch said {
		case "ask":
			yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateInputRequired, nil), nil)
		case "talk":
			yield(a2a.NewMessage(a2a.MessageRoleAgent, a2a.NewTextPart("just talk")), nil)
		case "break":
			yield(nil, errors.New("broken"))
		case "silent":
		default:
			if yield(a2a.NewArtifactEvent(ec, a2a.NewTextPart(strings.ToUpper(said))), nil) {
				yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCompleted, nil), nil)
			}
		}
	}
}

func (clerk) Cancel(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCanceled, nil), nil)
	}
}

func say(text string) *a2a.Message {
	return a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text))
}

func TestExecute(t *testing.T) {
	t.Parallel()
	t.Run("a turn that completes", func(t *testing.T) {
		t.Parallel()
		s := errandtest.Execute(t, clerk{}, say("hello"))
		if s.Text() != "HELLO" || s.Task.Status.State != a2a.TaskStateCompleted || len(s.Events) != 3 {
			t.Errorf("%q, %+v, %d events", s.Text(), s.Task.Status, len(s.Events))
		}
	})
	t.Run("a conversation", func(t *testing.T) {
		t.Parallel()
		s := errandtest.Execute(t, clerk{}, say("ask"))
		if s.Task.Status.State != a2a.TaskStateInputRequired {
			t.Fatalf("%+v", s.Task.Status)
		}
		s.Next(say("bob"))
		states := s.States()
		if s.Text() != "BOB" || !slices.Contains(states, a2a.TaskStateInputRequired) || states[len(states)-1] != a2a.TaskStateCompleted || len(s.Task.History) != 2 {
			t.Errorf("%q, %v, %d messages", s.Text(), states, len(s.Task.History))
		}
	})
	t.Run("a message in place of a task", func(t *testing.T) {
		t.Parallel()
		s := errandtest.Execute(t, clerk{}, say("talk"))
		if s.Task != nil || s.Message == nil || s.Text() != "just talk" {
			t.Errorf("%+v", s)
		}
	})
	t.Run("an executor that breaks, or says nothing, has failed", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"break", "silent"} {
			if s := errandtest.Execute(t, clerk{}, say(text)); s.Task.Status.State != a2a.TaskStateFailed {
				t.Errorf("%s: %+v", text, s.Task.Status)
			}
		}
	})
}

func TestNewServer(t *testing.T) {
	t.Parallel()
	named := errand.Agent{Name: "second", Card: &a2a.AgentCard{Name: "second"}, Executor: clerk{}}
	s := errandtest.NewServer(t, errand.Options{}, errand.Agent{Card: &a2a.AgentCard{Name: "first"}, Executor: clerk{}}, named)
	for _, name := range []string{"", "second"} {
		res, err := s.Client(name).SendMessage(t.Context(), &a2a.SendMessageRequest{Message: say("hello")})
		task, ok := res.(*a2a.Task)
		if err != nil || !ok || task.Status.State != a2a.TaskStateCompleted {
			t.Errorf("agent %q: %+v, %v", name, res, err)
			continue
		}
		_, err = s.Client("second").GetTask(t.Context(), &a2a.GetTaskRequest{ID: task.ID})
		if found := err == nil; found != (name == "second") || !found && !errors.Is(err, a2a.ErrTaskNotFound) {
			t.Errorf("a task of %q, asked for from the second: %v", name, err)
		}
	}
}
