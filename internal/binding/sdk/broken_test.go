// SPDX-License-Identifier: Apache-2.0

package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/binding/sdk"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/task"
)

// broken is an engine that answers everything with one error, and notes the
// call.
type broken struct {
	err  error
	call engine.Call
}

func (b *broken) Admit(_ context.Context, c engine.Call) (engine.Call, error) {
	b.call = c
	return c, nil
}

func (b *broken) Send(context.Context, engine.Call, *a2a.SendMessageRequest) (engine.Reply, error) {
	return engine.Reply{}, b.err
}

func (b *broken) Stream(context.Context, engine.Call, *a2a.SendMessageRequest) (*nothing, error) {
	return &nothing{b.err}, nil
}

func (b *broken) Get(context.Context, engine.Call, *a2a.GetTaskRequest) ([]byte, error) {
	return nil, b.err
}

func (b *broken) List(context.Context, engine.Call, *a2a.ListTasksRequest) ([]byte, error) {
	return nil, b.err
}

func (b *broken) Cancel(context.Context, engine.Call, *a2a.CancelTaskRequest) ([]byte, error) {
	return nil, b.err
}

func (b *broken) Subscribe(context.Context, engine.Call, *a2a.SubscribeToTaskRequest, *uint64) (*nothing, error) {
	return nil, b.err
}

func (b *broken) ExtendedCard(context.Context, engine.Call, *a2a.GetExtendedAgentCardRequest) ([]byte, error) {
	return nil, b.err
}

// nothing follows, and fails at once.
type nothing struct{ err error }

func (n *nothing) Next(context.Context, time.Duration) ([]engine.Frame, error) { return nil, n.err }

func (n *nothing) Close() {}

// The SDK's transports tell a client the text of any error, so none of ours that
// is not for clients may reach them. The log has it.
func TestNoInternalTextReachesTheSDKsTransports(t *testing.T) {
	t.Parallel()
	const secret = "dial tcp 10.0.0.7: refused"
	for _, tt := range []struct {
		err  error
		want error
		says string
	}{
		{errors.New(secret), a2a.ErrInternalError, ""},
		{&task.Error{Kind: task.ErrUnavailable, Message: "try later", Cause: errors.New(secret)}, a2a.ErrServerError, "try later"},
		{&task.Error{Kind: task.ErrKeyConflict, Message: "used before"}, a2a.ErrInvalidParams, "used before"},
		{&task.Error{Kind: errors.New(secret)}, a2a.ErrInternalError, ""},
		{&task.Error{Kind: a2a.ErrTaskNotFound, Message: "gone", Cause: a2a.ErrUnauthorized}, a2a.ErrTaskNotFound, "gone"},
	} {
		var logged bytes.Buffer
		h := sdk.New(&broken{err: tt.err}, sdk.Options{Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		srv := httptest.NewServer(a2asrv.NewJSONRPCHandler(h))
		hc := &http.Client{Transport: &http.Transport{}}
		client := a2aclient.NewJSONRPCTransport(srv.URL, hc)
		_, got := client.GetTask(t.Context(), nil, &a2a.GetTaskRequest{ID: "x"})
		_, sent := client.SendMessage(t.Context(), nil, text("x"))
		_, streamed := drained(client.SendStreamingMessage(t.Context(), nil, text("x")))
		_, followed := drained(client.SubscribeToTask(t.Context(), nil, &a2a.SubscribeToTaskRequest{ID: "x"}))
		for op, err := range map[string]error{"get": got, "send": sent, "stream": streamed, "follow": followed} {
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), secret) {
				t.Errorf("%v: %s gives %v", tt.err, op, err)
			}
		}
		if tt.want == a2a.ErrInternalError && !strings.Contains(logged.String(), secret) {
			t.Errorf("%v is not in the log: %s", tt.err, logged.String())
		}
		hc.CloseIdleConnections()
		srv.Close()
	}
}

// What an executor may see of the headers of a call is the same over the SDK's
// transports as over ours: never credentials.
func TestAnExecutorSeesTheSameParametersAsOverOurBindings(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	for _, name := range []string{
		"A2A-Version", "Traceparent", "Tracestate", "Accept-Language", "User-Agent", "X-Request-Id", "Authorization", "Cookie", "X-Other",
	} {
		h.Set(name, "value of "+name)
	}
	h["A2a-Extensions"] = []string{"urn:a, urn:b", "urn:c"}
	b := &broken{err: errors.New("x")}
	ctx, _ := a2asrv.NewCallContext(t.Context(), a2asrv.NewServiceParams(h))
	_, _ = sdk.New(b, sdk.Options{Logger: slog.New(slog.DiscardHandler)}).GetTask(ctx, &a2a.GetTaskRequest{ID: "x"})
	if want := binding.Params(h); !reflect.DeepEqual(b.call.Params, want) {
		t.Errorf("got %v, want %v", b.call.Params, want)
	}
	if want := binding.Extensions(h); !reflect.DeepEqual(b.call.Extensions, want) {
		t.Errorf("got %v, want %v", b.call.Extensions, want)
	}
	if got := b.call.Headers["authorization"]; len(got) != 1 {
		t.Errorf("interceptors do not see the credentials: %v", b.call.Headers)
	}
}

func TestAFixedRouteServesOneAgent(t *testing.T) {
	t.Parallel()
	b := &broken{err: task.Errorf(a2a.ErrTaskNotFound, "no")}
	h := sdk.New(b, sdk.Options{Route: "one"})
	if _, err := h.GetTask(t.Context(), &a2a.GetTaskRequest{ID: "x"}); !errors.Is(err, a2a.ErrTaskNotFound) || b.call.Agent != "one" {
		t.Errorf("agent %q, error %v", b.call.Agent, err)
	}
	if _, err := h.GetTask(t.Context(), &a2a.GetTaskRequest{ID: "x", Tenant: "two"}); !errors.Is(err, a2a.ErrInvalidParams) {
		t.Errorf("another agent: %v", err)
	}
}
