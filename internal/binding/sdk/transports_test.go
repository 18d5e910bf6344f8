// SPDX-License-Identifier: Apache-2.0

package sdk_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/node"
)

func TestTheSDKsTransportsServeEveryBehaviour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for word, want := range map[string]a2a.TaskState{
		"echo x": a2a.TaskStateCompleted, "count to 3": a2a.TaskStateCompleted, "ask who": a2a.TaskStateInputRequired,
		"auth": a2a.TaskStateAuthRequired, "fail": a2a.TaskStateFailed, "reject": a2a.TaskStateRejected, "flaky 1": a2a.TaskStateCompleted,
		"crash": a2a.TaskStateFailed, "file": a2a.TaskStateCompleted, "data": a2a.TaskStateCompleted,
	} {
		for name, client := range w.theirs() {
			t.Run(word+" over "+name, func(t *testing.T) {
				t.Parallel()
				result, err := client.SendMessage(t.Context(), nil, text(word))
				if err != nil || stateOf(result) != want {
					t.Fatalf("sent: %+v, error %v", result, err)
				}
				got, err := client.GetTask(t.Context(), nil, &a2a.GetTaskRequest{ID: result.(*a2a.Task).ID})
				if err != nil || got.Status.State != want {
					t.Errorf("got %+v, error %v", got, err)
				}
				events, err := drained(client.SendStreamingMessage(t.Context(), nil, text(word)))
				if err != nil || len(events) < 2 || stateOf(events[len(events)-1]) != want {
					t.Errorf("streamed %+v, error %v", events, err)
				}
			})
		}
	}
}

func TestTheSDKsTransportsServeTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, client := range w.theirs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events, err := drained(client.SendStreamingMessage(t.Context(), nil, text("message hi")))
			if _, ok := events[0].(*a2a.Message); err != nil || len(events) != 1 || !ok {
				t.Errorf("a reply: %+v, error %v", events, err)
			}
			key := map[string][]string{"Idempotency-Key": {strings.ReplaceAll(name, " ", "-")}}
			later := text("hang")
			later.Config = &a2a.SendMessageConfig{ReturnImmediately: true}
			result, err := client.SendMessage(t.Context(), key, later)
			if err != nil {
				t.Fatal(err)
			}
			id := result.(*a2a.Task).ID
			again, err := client.SendMessage(t.Context(), key, later)
			if err != nil || again.(*a2a.Task).ID != id {
				t.Errorf("the key made a second task: %+v, error %v", again, err)
			}
			list, err := client.ListTasks(t.Context(), nil, &a2a.ListTasksRequest{PageSize: 100})
			if err != nil || list.TotalSize == 0 || list.PageSize != 100 {
				t.Errorf("list: %+v, error %v", list, err)
			}
			canceled, err := client.CancelTask(t.Context(), nil, &a2a.CancelTaskRequest{ID: id})
			if err != nil || stateOf(canceled) != a2a.TaskStateCanceled {
				t.Errorf("cancel: %+v, error %v", canceled, err)
			}
			all, err := drained(client.SubscribeToTask(t.Context(), map[string][]string{"Last-Event-ID": {"0"}}, &a2a.SubscribeToTaskRequest{ID: id}))
			if err != nil || len(all) < 2 {
				t.Fatalf("replay: %+v, error %v", all, err)
			}
			tail, err := drained(client.SubscribeToTask(t.Context(), map[string][]string{"Last-Event-ID": {strconv.Itoa(len(all) - 1)}}, &a2a.SubscribeToTaskRequest{ID: id}))
			if err != nil || len(tail) != 1 {
				t.Errorf("the last event again: %+v, error %v", tail, err)
			}
		})
	}
}

func TestTheSDKsTransportsKeepTheKindOfAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, client := range w.theirs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done, err := client.SendMessage(t.Context(), nil, text("echo x"))
			if err != nil {
				t.Fatal(err)
			}
			id := done.(*a2a.Task).ID
			late := text("more")
			late.Message.TaskID = id
			for what, tt := range map[string]struct {
				do   func() error
				want error
			}{
				"an unknown task": {func() error { _, err := client.GetTask(t.Context(), nil, &a2a.GetTaskRequest{ID: "x"}); return err }, a2a.ErrTaskNotFound},
				"following an unknown task": {func() error {
					_, err := drained(client.SubscribeToTask(t.Context(), nil, &a2a.SubscribeToTaskRequest{ID: "x"}))
					return err
				}, a2a.ErrTaskNotFound},
				"following an ended task": {func() error {
					_, err := drained(client.SubscribeToTask(t.Context(), nil, &a2a.SubscribeToTaskRequest{ID: id}))
					return err
				}, a2a.ErrUnsupportedOperation},
				"a message to an ended one": {func() error { _, err := client.SendMessage(t.Context(), nil, late); return err }, a2a.ErrUnsupportedOperation},
				"cancel of an ended task": {func() error {
					_, err := client.CancelTask(t.Context(), nil, &a2a.CancelTaskRequest{ID: id})
					return err
				}, a2a.ErrTaskNotCancelable},
				"a key that is none": {func() error {
					_, err := client.SendMessage(t.Context(), map[string][]string{"Idempotency-Key": {"a b"}}, text("x"))
					return err
				}, a2a.ErrInvalidParams},
				"a cursor that is none": {func() error {
					_, err := drained(client.SubscribeToTask(t.Context(), map[string][]string{"Last-Event-ID": {"x"}}, &a2a.SubscribeToTaskRequest{ID: id}))
					return err
				}, a2a.ErrInvalidParams},
				"a push configuration": {func() error {
					_, err := client.CreateTaskPushConfig(t.Context(), nil, &a2a.PushConfig{TaskID: id, URL: "http://x"})
					return err
				}, a2a.ErrPushNotificationNotSupported},
				"push configurations": {func() error {
					_, err := client.ListTaskPushConfigs(t.Context(), nil, &a2a.ListTaskPushConfigRequest{TaskID: id})
					return err
				}, a2a.ErrPushNotificationNotSupported},
				"one of them": {func() error {
					_, err := client.GetTaskPushConfig(t.Context(), nil, &a2a.GetTaskPushConfigRequest{TaskID: id, ID: "x"})
					return err
				}, a2a.ErrPushNotificationNotSupported},
				"one of them no more": {func() error {
					return client.DeleteTaskPushConfig(t.Context(), nil, &a2a.DeleteTaskPushConfigRequest{TaskID: id, ID: "x"})
				}, a2a.ErrPushNotificationNotSupported},
				"no extended card": {func() error {
					_, err := client.GetExtendedAgentCard(t.Context(), nil, &a2a.GetExtendedAgentCardRequest{})
					return err
				}, a2a.ErrUnsupportedOperation},
			} {
				if err := tt.do(); !errors.Is(err, tt.want) {
					t.Errorf("%s: %v, want %v", what, err, tt.want)
				}
			}
		})
	}
}

// Transports tell a client what is active by the CallContext, and interceptors
// see it there.
func TestActiveExtensionsStandInTheCallContext(t *testing.T) {
	t.Parallel()
	const uri = "urn:test:active"
	announce := func(o *node.Options) { o.Agents[0].Card.Capabilities.Extensions = []a2a.AgentExtension{{URI: uri}} }
	asked := a2asrv.NewServiceParams(map[string][]string{"A2A-Extensions": {"urn:other, " + uri}})
	w := newWorld(t, announce)
	ctx, cc := a2asrv.NewCallContext(t.Context(), asked)
	if _, err := w.node.RequestHandler().SendMessage(ctx, text("echo x")); err != nil {
		t.Fatal(err)
	}
	if got := cc.Extensions().ActivatedURIs(); !slices.Equal(got, []string{uri}) {
		t.Errorf("a transport sees %v", got)
	}
	var seen []string
	w = newWorld(t, announce, with(hooks{after: func(cc *a2asrv.CallContext, _ *a2asrv.Response) error {
		seen = cc.Extensions().ActivatedURIs()
		return nil
	}}))
	client := w.ours()["JSON-RPC"]
	if _, err := client.SendMessage(t.Context(), a2aclient.ServiceParams{"A2A-Extensions": {uri}}, text("echo x")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []string{uri}) {
		t.Errorf("an interceptor sees %v", seen)
	}
}

func TestATenantNamesTheAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.node.RequestHandler()
	req := text("ask x")
	req.Tenant = "twin"
	result, err := h.SendMessage(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	id := result.(*a2a.Task).ID
	if _, err := h.GetTask(t.Context(), &a2a.GetTaskRequest{ID: id, Tenant: "twin"}); err != nil {
		t.Errorf("the agent's own task: %v", err)
	}
	if _, err := h.GetTask(t.Context(), &a2a.GetTaskRequest{ID: id, Tenant: "nope"}); !errors.Is(err, a2a.ErrInvalidParams) {
		t.Errorf("an agent that there is not: %v", err)
	}
	if _, err := h.GetTask(t.Context(), &a2a.GetTaskRequest{ID: id}); !errors.Is(err, a2a.ErrTaskNotFound) {
		t.Errorf("the default agent has the task of another: %v", err)
	}
}
