// SPDX-License-Identifier: Apache-2.0

package v03_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
)

// Each word of the demo agent, sent by the SDK's clients of 1.0 and of 0.3 to
// wait for its end, with what becomes of it.
func TestEveryBehaviourOfTheDemoAgentIsTheSameInEveryBinding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		text  string
		state a2a.TaskState
		texts string
	}{
		{"echo hello", a2a.TaskStateCompleted, "hello"},
		{"anything else", a2a.TaskStateCompleted, "anything else"},
		{"count to 3", a2a.TaskStateCompleted, "1 2 3"},
		{"sleep 1ms", a2a.TaskStateCompleted, ""},
		{"ask who", a2a.TaskStateInputRequired, ""},
		{"auth", a2a.TaskStateAuthRequired, ""},
		{"fail bad", a2a.TaskStateFailed, ""},
		{"reject no", a2a.TaskStateRejected, ""},
		{"flaky 1", a2a.TaskStateCompleted, ""},
		{"crash", a2a.TaskStateFailed, ""},
	} {
		for name, client := range w.doors() {
			t.Run(name+" does "+tt.text, func(t *testing.T) {
				t.Parallel()
				result, err := client.SendMessage(t.Context(), nil, text(tt.text))
				if err != nil {
					t.Fatal(err)
				}
				sent, ok := result.(*a2a.Task)
				if !ok || sent.Status.State != tt.state {
					t.Fatalf("sent: %+v", result)
				}
				got, err := client.GetTask(t.Context(), nil, &a2a.GetTaskRequest{ID: sent.ID})
				if err != nil || got.Status.State != tt.state || got.ContextID != sent.ContextID || len(got.History) == 0 {
					t.Fatalf("got %+v, error %v", got, err)
				}
				if tt.texts != "" && textsOf(got.Artifacts) != tt.texts {
					t.Errorf("artifacts say %q, want %q", textsOf(got.Artifacts), tt.texts)
				}
				streamed := stream(t, client, text(tt.text))
				last := streamed[len(streamed)-1]
				if _, ok := streamed[0].(*a2a.Task); !ok || stateOf(last) != tt.state {
					t.Errorf("the stream begins with %T and ends with %+v", streamed[0], last)
				}
			})
		}
	}
}

func stateOf(e a2a.Event) a2a.TaskState {
	switch v := e.(type) {
	case *a2a.Task:
		return v.Status.State
	case *a2a.TaskStatusUpdateEvent:
		return v.Status.State
	}
	return a2a.TaskStateUnspecified
}

func stream(t *testing.T, client a2aclient.Transport, req *a2a.SendMessageRequest) []a2a.Event {
	t.Helper()
	var events []a2a.Event
	for e, err := range client.SendStreamingMessage(t.Context(), nil, req) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		t.Fatal("the stream has no event")
	}
	return events
}

func TestAMessageIsAReplyWithoutATask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, client := range w.doors() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := client.SendMessage(t.Context(), nil, text("message hi"))
			if m, ok := result.(*a2a.Message); err != nil || !ok || m.Role != a2a.MessageRoleAgent || m.Parts[0].Text() != "hi" {
				t.Errorf("%+v, error %v", result, err)
			}
			events := stream(t, client, text("message hi"))
			if m, ok := events[0].(*a2a.Message); !ok || len(events) != 1 || m.Parts[0].Text() != "hi" {
				t.Errorf("%+v", events)
			}
		})
	}
}

func TestFilesAndDataArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, client := range w.doors() {
		for _, word := range []string{"file", "data"} {
			t.Run(word+" over "+name, func(t *testing.T) {
				t.Parallel()
				result, err := client.SendMessage(t.Context(), nil, text(word))
				if err != nil {
					t.Fatal(err)
				}
				got := result.(*a2a.Task).Artifacts
				if len(got) != 1 || len(got[0].Parts) == 0 {
					t.Fatalf("artifacts %+v", got)
				}
				part := got[0].Parts[0]
				if word == "file" && len(part.Raw()) == 0 || word == "data" && part.Data() == nil {
					t.Errorf("part %+v", part)
				}
			})
		}
	}
}

func TestAQuestionIsAnsweredOnTheSameTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, client := range w.doors() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := client.SendMessage(t.Context(), nil, text("ask who"))
			if err != nil {
				t.Fatal(err)
			}
			asked := result.(*a2a.Task)
			next := text("me")
			next.Message.TaskID = asked.ID
			events := stream(t, client, next)
			if stateOf(events[len(events)-1]) != a2a.TaskStateCompleted {
				t.Errorf("ends with %+v", events[len(events)-1])
			}
		})
	}
}

func TestASendThatDoesNotWaitIsFollowedAndCanceled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, client := range w.doors() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := text("hang")
			req.Config = &a2a.SendMessageConfig{ReturnImmediately: true}
			result, err := client.SendMessage(t.Context(), nil, req)
			if err != nil {
				t.Fatal(err)
			}
			id := result.(*a2a.Task).ID
			first := make(chan a2a.Event, 1)
			last := make(chan a2a.Event, 1)
			go func() {
				var e a2a.Event
				for next, err := range client.SubscribeToTask(t.Context(), nil, &a2a.SubscribeToTaskRequest{ID: id}) {
					if err != nil {
						break
					}
					if e == nil {
						first <- next
					}
					e = next
				}
				last <- e
			}()
			if task, ok := (<-first).(*a2a.Task); !ok || task.ID != id {
				t.Errorf("following begins with %+v", task)
			}
			canceled, err := client.CancelTask(t.Context(), nil, &a2a.CancelTaskRequest{ID: id})
			if err != nil || canceled.Status.State != a2a.TaskStateCanceled {
				t.Errorf("canceled %+v, error %v", canceled, err)
			}
			if e := <-last; stateOf(e) != a2a.TaskStateCanceled {
				t.Errorf("following ends with %+v", e)
			}
			if _, err := client.CancelTask(t.Context(), nil, &a2a.CancelTaskRequest{ID: id}); err != nil {
				t.Errorf("canceled again: %v", err)
			}
		})
	}
}

// In 0.3 a task can be followed as long as it has not ended, also where nothing
// of it runs.
func TestAParkedTaskCanBeFollowedAcrossItsTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, client := range w.transports() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, err := client.SendMessage(t.Context(), nil, text("ask who"))
			if err != nil {
				t.Fatal(err)
			}
			id := asked.(*a2a.Task).ID
			var events []a2a.Event
			for e, err := range client.SubscribeToTask(t.Context(), nil, &a2a.SubscribeToTaskRequest{ID: id}) {
				if err != nil {
					t.Fatal(err)
				}
				if events = append(events, e); len(events) > 1 {
					continue
				}
				if stateOf(e) != a2a.TaskStateInputRequired {
					t.Fatalf("a parked task cannot be followed: %+v", e)
				}
				next := text("ask again")
				next.Message.TaskID = id
				if _, err := client.SendMessage(t.Context(), nil, next); err != nil {
					t.Fatal(err)
				}
			}
			if last := events[len(events)-1]; stateOf(last) != a2a.TaskStateCompleted {
				t.Errorf("ends with %+v", last)
			}
		})
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, client := range w.transports() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done, err := client.SendMessage(t.Context(), nil, text("echo x"))
			if err != nil {
				t.Fatal(err)
			}
			id := done.(*a2a.Task).ID
			late := text("more")
			late.Message.TaskID = id
			empty := &a2a.SendMessageRequest{Message: a2a.NewMessage(a2a.MessageRoleUser)}
			push := text("x")
			push.Config = &a2a.SendMessageConfig{PushConfig: &a2a.PushConfig{URL: "http://x"}}
			for what, tt := range map[string]struct {
				do   func() error
				want error
			}{
				"an unknown task": {func() error {
					_, err := client.GetTask(t.Context(), nil, &a2a.GetTaskRequest{ID: "nope"})
					return err
				}, a2a.ErrTaskNotFound},
				"cancel of an unknown task": {func() error {
					_, err := client.CancelTask(t.Context(), nil, &a2a.CancelTaskRequest{ID: "nope"})
					return err
				}, a2a.ErrTaskNotFound},
				"cancel of an ended task": {func() error {
					_, err := client.CancelTask(t.Context(), nil, &a2a.CancelTaskRequest{ID: id})
					return err
				}, a2a.ErrTaskNotCancelable},
				"following an unknown task": {func() error {
					return firstError(client.SubscribeToTask(t.Context(), nil, &a2a.SubscribeToTaskRequest{ID: "nope"}))
				}, a2a.ErrTaskNotFound},
				"following an ended task": {func() error {
					return firstError(client.SubscribeToTask(t.Context(), nil, &a2a.SubscribeToTaskRequest{ID: id}))
				}, a2a.ErrUnsupportedOperation},
				"a message to an ended task": {func() error {
					_, err := client.SendMessage(t.Context(), nil, late)
					return err
				}, a2a.ErrUnsupportedOperation},
				"a stream to an ended task": {func() error { return firstError(client.SendStreamingMessage(t.Context(), nil, late)) }, a2a.ErrUnsupportedOperation},
				"a message without parts": {func() error {
					_, err := client.SendMessage(t.Context(), nil, empty)
					return err
				}, a2a.ErrInvalidParams},
				"a push configuration in a message": {func() error {
					_, err := client.SendMessage(t.Context(), nil, push)
					return err
				}, a2a.ErrPushNotificationNotSupported},
				"a push configuration": {func() error {
					_, err := client.CreateTaskPushConfig(t.Context(), nil, &a2a.PushConfig{TaskID: id, URL: "http://x"})
					return err
				}, a2a.ErrPushNotificationNotSupported},
				"a list of push configurations": {func() error {
					_, err := client.ListTaskPushConfigs(t.Context(), nil, &a2a.ListTaskPushConfigRequest{TaskID: id})
					return err
				}, a2a.ErrPushNotificationNotSupported},
				"the extended card that there is none of": {func() error {
					_, err := client.GetExtendedAgentCard(t.Context(), nil, &a2a.GetExtendedAgentCardRequest{})
					return err
				}, a2a.ErrUnsupportedOperation},
			} {
				if name == "gRPC" && (tt.want == a2a.ErrUnsupportedOperation || tt.want == a2a.ErrPushNotificationNotSupported) {
					tt.want = a2a.ErrInternalError // this client knows the statuses of 1.0 alone: see TestStatusesOfGRPC
				}
				if err := tt.do(); !errors.Is(err, tt.want) || strings.Contains(err.Error(), "Go struct") {
					t.Errorf("%s: %v, want %v", what, err, tt.want)
				}
			}
		})
	}
}

func firstError(events func(func(a2a.Event, error) bool)) (first error) {
	for _, err := range events {
		if err != nil {
			return err
		}
	}
	return nil
}
