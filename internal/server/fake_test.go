// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/binding/jsonrpc"
	"github.com/errand-a2a/errand/internal/binding/rest"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/server"
	"github.com/errand-a2a/errand/internal/task"
)

const taskJSON = `{"id":"t-1","contextId":"c-1","status":{"state":"TASK_STATE_COMPLETED","timestamp":"2026-01-02T03:04:05.000Z"}}`

// fake is an engine that answers everything with taskJSON, or with err. It
// remembers the last call.
type fake struct {
	mu     sync.Mutex
	err    error
	frames []engine.Frame
	// next, if set, is the follower's behaviour in place of frames and then EOF.
	next func(context.Context, time.Duration) ([]engine.Frame, error)
	// block, if set, is closed by Send, which then waits for release or the end of
	// its context.
	block, release chan struct{}
	// result, if set, is the answer to GetTask.
	result string
	// panics is what every call does.
	panics any

	// extended is whether there is an extended card.
	extended bool

	call   engine.Call
	req    any
	cursor *uint64
	closed int
}

func (f *fake) note(call engine.Call, req any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.call, f.req = call, req
	if f.panics != nil {
		panic(f.panics)
	}
	return f.err
}

func (f *fake) Admit(_ context.Context, call engine.Call) (engine.Call, error) {
	if call.Agent != "" && call.Agent != "helper" {
		return call, task.Invalid(a2a.ErrInvalidParams, "tenant", "there is no agent of that name here")
	}
	if len(call.Extensions) > 1 {
		call.Extensions = call.Extensions[:1] // the first is known
	}
	return call, nil
}

func (f *fake) ExtendedCard(_ context.Context, call engine.Call, req *a2a.GetExtendedAgentCardRequest) ([]byte, error) {
	if !f.extended {
		return nil, task.Errorf(a2a.ErrUnsupportedOperation, "this agent has no extended card")
	}
	return []byte(`{"name":"extended"}`), f.note(call, req)
}

func (f *fake) Send(ctx context.Context, call engine.Call, req *a2a.SendMessageRequest) (engine.Reply, error) {
	if err := f.note(call, req); err != nil {
		return engine.Reply{}, err
	}
	if f.block != nil {
		close(f.block)
		select {
		case <-f.release:
		case <-ctx.Done():
			return engine.Reply{}, context.Cause(ctx)
		}
	}
	return engine.Reply{TaskID: "t-1", JSON: []byte(`{"task":` + taskJSON + `}`)}, nil
}

func (f *fake) Get(_ context.Context, call engine.Call, req *a2a.GetTaskRequest) ([]byte, error) {
	return []byte(cmp.Or(f.result, taskJSON)), f.note(call, req)
}

func (f *fake) List(_ context.Context, call engine.Call, req *a2a.ListTasksRequest) ([]byte, error) {
	return []byte(`{"tasks":[` + taskJSON + `],"nextPageToken":"","pageSize":50,"totalSize":1}`), f.note(call, req)
}

func (f *fake) Cancel(_ context.Context, call engine.Call, req *a2a.CancelTaskRequest) ([]byte, error) {
	return []byte(taskJSON), f.note(call, req)
}

func (f *fake) Stream(_ context.Context, call engine.Call, req *a2a.SendMessageRequest) (*follower, error) {
	return f.follow(call, req, nil)
}

func (f *fake) Subscribe(_ context.Context, call engine.Call, req *a2a.SubscribeToTaskRequest, cursor *uint64) (*follower, error) {
	return f.follow(call, req, cursor)
}

func (f *fake) follow(call engine.Call, req any, cursor *uint64) (*follower, error) {
	if err := f.note(call, req); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cursor = cursor
	return &follower{fake: f, frames: f.frames}, nil
}

// last returns what the engine was asked last.
func (f *fake) last() (engine.Call, any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.call, f.req
}

func (f *fake) closings() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// follower gives its frames one by one.
type follower struct {
	fake   *fake
	frames []engine.Frame
}

func (f *follower) Next(ctx context.Context, idle time.Duration) ([]engine.Frame, error) {
	if f.fake.next != nil {
		return f.fake.next(ctx, idle)
	}
	if len(f.frames) == 0 {
		return nil, io.EOF
	}
	first := f.frames[:1]
	f.frames = f.frames[1:]
	return first, nil
}

func (f *follower) Close() {
	f.fake.mu.Lock()
	defer f.fake.mu.Unlock()
	f.fake.closed++
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// build makes the handler of a server around a fake.
func build(t testing.TB, f *fake, b binding.Options, o server.Options) http.Handler {
	t.Helper()
	if b.Log == nil {
		b.Log = silent()
	}
	if o.Log == nil {
		o.Log = silent()
	}
	e := binding.NewEdge(b)
	cards, err := binding.NewCards(e, binding.CardOptions{PublicURL: "http://public.example/base"}, nil,
		binding.Named{Card: &a2a.AgentCard{Name: "fake", Version: "1"}}, binding.Named{Name: "helper", Card: &a2a.AgentCard{Name: "second"}})
	if err != nil {
		t.Fatal(err)
	}
	o.Edge, o.Cards = e, cards
	if o.JSONRPC == nil {
		o.JSONRPC, o.REST = jsonrpc.New(e, f, nil), rest.New(e, f, nil)
	}
	h, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// fill puts in what is required.
func fill(e *binding.Edge, o server.Options) server.Options {
	o.Edge, o.Cards, o.JSONRPC, o.REST, o.Log = e, &binding.Cards{}, jsonrpc.New(e, &fake{}, nil), rest.New(e, &fake{}, nil), silent()
	return o
}

func setup(t testing.TB, f *fake) http.Handler {
	return build(t, f, binding.Options{}, server.Options{})
}

// do sends one request to a handler. Headers come as name, value.
func do(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	var src io.Reader
	if body != "" {
		src = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, src)
	if body != "" {
		r.Header.Set("Content-Type", binding.JSON)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// rpc is the body of a JSON-RPC request.
func rpc(method, params string) string {
	if params == "" {
		return `{"jsonrpc":"2.0","id":"r","method":"` + method + `"}`
	}
	return `{"jsonrpc":"2.0","id":"r","method":"` + method + `","params":` + params + `}`
}
