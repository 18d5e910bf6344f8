// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2aclient/agentcard"

	"github.com/errand-a2a/errand/internal/task"
)

// clients returns the SDK's client over each binding.
func clients(t *testing.T, f *fake) map[string]a2aclient.Transport {
	t.Helper()
	srv := httptest.NewServer(setup(t, f))
	t.Cleanup(srv.Close)
	base, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]a2aclient.Transport{
		"JSON-RPC": a2aclient.NewJSONRPCTransport(srv.URL, srv.Client()),
		"REST":     a2aclient.NewRESTTransport(base, srv.Client()),
	}
}

func versioned() a2aclient.ServiceParams { return a2aclient.ServiceParams{"A2A-Version": {"1.0"}} }

func hello() *a2a.SendMessageRequest {
	return &a2a.SendMessageRequest{Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart("hi"), a2a.NewDataPart(map[string]any{"a_b": nil}), a2a.NewRawPart([]byte{1, 2}))}
}

func TestTheSDKsClientUnderstandsAnswers(t *testing.T) {
	t.Parallel()
	f := &fake{frames: twoFrames()}
	for name, c := range clients(t, f) {
		ctx := t.Context()
		if res, err := c.SendMessage(ctx, versioned(), hello()); err != nil || res.TaskInfo().TaskID != "t-1" {
			t.Errorf("%s: SendMessage: %v, %v", name, res, err)
		}
		if got, err := c.GetTask(ctx, versioned(), &a2a.GetTaskRequest{ID: "t-1"}); err != nil || got.Status.State != a2a.TaskStateCompleted {
			t.Errorf("%s: GetTask: %v, %v", name, got, err)
		}
		if got, err := c.ListTasks(ctx, versioned(), &a2a.ListTasksRequest{PageSize: 5}); err != nil || len(got.Tasks) != 1 || got.TotalSize != 1 {
			t.Errorf("%s: ListTasks: %v, %v", name, got, err)
		}
		if got, err := c.CancelTask(ctx, versioned(), &a2a.CancelTaskRequest{ID: "t-1"}); err != nil || got.ID != "t-1" {
			t.Errorf("%s: CancelTask: %v, %v", name, got, err)
		}
		for op, events := range map[string]iter.Seq2[a2a.Event, error]{
			"SendStreamingMessage": c.SendStreamingMessage(ctx, versioned(), hello()),
			"SubscribeToTask":      c.SubscribeToTask(ctx, versioned(), &a2a.SubscribeToTaskRequest{ID: "t-1"}),
		} {
			n := 0
			for ev, err := range events {
				if n++; err != nil || ev.TaskInfo().TaskID != "t-1" {
					t.Errorf("%s: %s: %v, %v", name, op, ev, err)
				}
			}
			if n != 2 {
				t.Errorf("%s: %s: %d events", name, op, n)
			}
		}
	}
}

func TestTheSDKsClientUnderstandsErrors(t *testing.T) {
	t.Parallel()
	for _, kind := range []error{
		a2a.ErrTaskNotFound, a2a.ErrTaskNotCancelable, a2a.ErrUnsupportedOperation, a2a.ErrUnsupportedContentType, a2a.ErrInvalidAgentResponse,
		a2a.ErrInvalidParams, a2a.ErrInternalError, a2a.ErrVersionNotSupported, a2a.ErrExtensionSupportRequired,
	} {
		for name, c := range clients(t, &fake{err: task.Errorf(kind, "a text for the client")}) {
			ctx := t.Context()
			var found []error
			_, err := c.SendMessage(ctx, versioned(), hello())
			found = append(found, err)
			_, err = c.GetTask(ctx, versioned(), &a2a.GetTaskRequest{ID: "t"})
			found = append(found, err)
			_, err = c.ListTasks(ctx, versioned(), &a2a.ListTasksRequest{})
			found = append(found, err)
			_, err = c.CancelTask(ctx, versioned(), &a2a.CancelTaskRequest{ID: "t"})
			found = append(found, err)
			for _, events := range []iter.Seq2[a2a.Event, error]{
				c.SendStreamingMessage(ctx, versioned(), hello()), c.SubscribeToTask(ctx, versioned(), &a2a.SubscribeToTaskRequest{ID: "t"}),
			} {
				err := errors.New("an empty stream without an error")
				for _, err = range events {
				}
				found = append(found, err)
			}
			for i, err := range found {
				if !errors.Is(err, kind) || !strings.Contains(err.Error(), "a text for the client") {
					t.Errorf("%s: call %d: %v, want %v", name, i, err, kind)
				}
			}
		}
	}
}

func TestTheSDKsClientUnderstandsWhatIsOff(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t, &fake{}) {
		ctx := t.Context()
		_, get := c.GetTaskPushConfig(ctx, versioned(), &a2a.GetTaskPushConfigRequest{TaskID: "t", ID: "c"})
		_, list := c.ListTaskPushConfigs(ctx, versioned(), &a2a.ListTaskPushConfigRequest{TaskID: "t"})
		_, create := c.CreateTaskPushConfig(ctx, versioned(), &a2a.PushConfig{TaskID: "t", URL: "https://x"})
		remove := c.DeleteTaskPushConfig(ctx, versioned(), &a2a.DeleteTaskPushConfigRequest{TaskID: "t", ID: "c"})
		for op, err := range map[string]error{"get": get, "list": list, "create": create, "delete": remove} {
			if !errors.Is(err, a2a.ErrPushNotificationNotSupported) {
				t.Errorf("%s: %s: %v", name, op, err)
			}
		}
		if _, err := c.GetExtendedAgentCard(ctx, versioned(), &a2a.GetExtendedAgentCardRequest{}); !errors.Is(err, a2a.ErrUnsupportedOperation) {
			t.Errorf("%s: extended card: %v", name, err)
		}
	}
}

func TestTheSDKFindsTheCard(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(setup(t, &fake{}))
	t.Cleanup(srv.Close)
	card, err := (&agentcard.Resolver{Client: http.DefaultClient}).Resolve(t.Context(), srv.URL)
	if err != nil || card.Name != "fake" || card.SupportedInterfaces[0].URL != "http://public.example/base" || !card.Capabilities.Streaming {
		t.Errorf("%+v, %v", card, err)
	}
}
