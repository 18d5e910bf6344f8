// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/engine"
)

// Intercepted is an engine behind call interceptors. It takes and gives what
// the engine does, so that our bindings need not know of them, at the price of
// decoding and encoding every answer once more.
type Intercepted[F Follower] struct {
	engine Engine[F]
	chain  *a2asrv.InterceptedHandler
}

// Intercept puts interceptors before an engine. They see all headers of a call,
// credentials too, and the user that they set on the CallContext becomes the
// owner of the call.
func Intercept[F Follower](e Engine[F], log *slog.Logger, interceptors ...a2asrv.CallInterceptor) *Intercepted[F] {
	inner := &handler[F]{engine: e, inner: true, o: Options{Explain: func(_ context.Context, err error) error { return err }}}
	return &Intercepted[F]{engine: e, chain: &a2asrv.InterceptedHandler{Handler: inner, Interceptors: interceptors, Logger: log}}
}

// Admit is the engine's: which agent is meant and which extensions are active
// does not depend on who calls.
func (i *Intercepted[F]) Admit(ctx context.Context, call engine.Call) (engine.Call, error) {
	return i.engine.Admit(ctx, call)
}

// enter makes the context in which a call passes the interceptors.
func (i *Intercepted[F]) enter(ctx context.Context, call engine.Call) (context.Context, *passage) {
	headers := make(map[string][]string, len(call.Headers))
	ctx, cc := a2asrv.NewCallContext(ctx, a2asrv.NewServiceParams(headersOf(call, headers)))
	if u := call.User; u != nil {
		cc.User = &a2asrv.User{Name: u.Name, Authenticated: u.Authenticated, Attributes: u.Attributes}
	}
	before := *cc.User
	before.Attributes = maps.Clone(before.Attributes)
	p := &passage{call: call, cc: cc, before: &before}
	return context.WithValue(ctx, passageKey{}, p), p
}

// headersOf gives the headers as the SDK's interceptors look for them: each
// extension by itself.
func headersOf(call engine.Call, dst map[string][]string) map[string][]string {
	for name, values := range call.Headers {
		dst[strings.ToLower(name)] = values
	}
	if uris := extensions(dst); len(uris) > 0 {
		dst[extensionsHeader] = uris
	}
	return dst
}

// Send passes a message and its answer through the interceptors.
func (i *Intercepted[F]) Send(ctx context.Context, call engine.Call, req *a2a.SendMessageRequest) (engine.Reply, error) {
	ctx, _ = i.enter(ctx, call)
	result, err := i.chain.SendMessage(ctx, sendTo(call, req))
	if err != nil {
		return engine.Reply{}, adopt(err)
	}
	b, err := encodeEvent(result)
	if err != nil {
		return engine.Reply{}, err
	}
	reply := engine.Reply{JSON: b}
	if t, ok := result.(*a2a.Task); ok {
		reply.TaskID = string(t.ID)
	}
	return reply, nil
}

// sendTo names the agent in the request, however it was named: interceptors
// decide by what stands there.
func sendTo(call engine.Call, req *a2a.SendMessageRequest) *a2a.SendMessageRequest {
	if req == nil {
		req = &a2a.SendMessageRequest{}
	}
	r := *req
	r.Tenant = call.Agent
	return &r
}

// Stream passes a message through the interceptors, and each event of its turn.
func (i *Intercepted[F]) Stream(ctx context.Context, call engine.Call, req *a2a.SendMessageRequest) (*Stream, error) {
	return i.follow(ctx, call, nil, func(ctx context.Context) iter.Seq2[a2a.Event, error] {
		return i.chain.SendStreamingMessage(ctx, sendTo(call, req))
	})
}

// Subscribe passes a subscription through the interceptors, and each event.
func (i *Intercepted[F]) Subscribe(ctx context.Context, call engine.Call, req *a2a.SubscribeToTaskRequest, cursor *uint64) (*Stream, error) {
	r := *req
	r.Tenant = call.Agent
	return i.follow(ctx, call, cursor, func(ctx context.Context) iter.Seq2[a2a.Event, error] { return i.chain.SubscribeToTask(ctx, &r) })
}

// Get passes a question about a task through the interceptors, and its answer.
func (i *Intercepted[F]) Get(ctx context.Context, call engine.Call, req *a2a.GetTaskRequest) ([]byte, error) {
	r := *req
	r.Tenant = call.Agent
	return pass(ctx, i, call, &r, i.chain.GetTask)
}

// List does the same for a listing.
func (i *Intercepted[F]) List(ctx context.Context, call engine.Call, req *a2a.ListTasksRequest) ([]byte, error) {
	r := *req
	r.Tenant = call.Agent
	return pass(ctx, i, call, &r, i.chain.ListTasks)
}

// Cancel does the same for a cancellation.
func (i *Intercepted[F]) Cancel(ctx context.Context, call engine.Call, req *a2a.CancelTaskRequest) ([]byte, error) {
	r := *req
	r.Tenant = call.Agent
	return pass(ctx, i, call, &r, i.chain.CancelTask)
}

func pass[Q, A any, F Follower](ctx context.Context, i *Intercepted[F], call engine.Call, req *Q, run func(context.Context, *Q) (*A, error)) ([]byte, error) {
	ctx, _ = i.enter(ctx, call)
	answer, err := run(ctx, req)
	if err != nil {
		return nil, adopt(err)
	}
	if answer == nil {
		return nil, errNothingLeft
	}
	return json.Marshal(answer)
}

// ExtendedCard passes the card through the interceptors. Of the JSON that was
// rendered it replaces what they have changed, since it holds more than the
// SDK's type does: what clients of other versions read.
func (i *Intercepted[F]) ExtendedCard(ctx context.Context, call engine.Call, req *a2a.GetExtendedAgentCardRequest) ([]byte, error) {
	r := *req
	r.Tenant = call.Agent
	ctx, p := i.enter(ctx, call)
	card, err := i.chain.GetExtendedAgentCard(ctx, &r)
	if err != nil {
		return nil, adopt(err)
	}
	if card == nil {
		return nil, errNothingLeft
	}
	if p.raw == nil { // the interceptors have answered themselves
		return json.Marshal(card)
	}
	return patch(p.raw, card)
}

func patch(raw []byte, card *a2a.AgentCard) ([]byte, error) {
	var was a2a.AgentCard
	var whole map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(raw, &was), json.Unmarshal(raw, &whole)); err != nil {
		return nil, fmt.Errorf("decode a card: %w", err)
	}
	before, err1 := members(&was)
	after, err2 := members(card)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("encode a card: %w", err)
	}
	changed := false
	for name := range before {
		if _, left := after[name]; !left {
			delete(whole, name)
			changed = true
		}
	}
	for name, value := range after {
		if !bytes.Equal(value, before[name]) {
			whole[name] = value
			changed = true
		}
	}
	if !changed {
		return raw, nil
	}
	return json.Marshal(whole)
}

func members(card *a2a.AgentCard) (map[string]json.RawMessage, error) {
	b, err := json.Marshal(card)
	if err != nil {
		return nil, err
	}
	var m map[string]json.RawMessage
	return m, json.Unmarshal(b, &m)
}

// errNothingLeft is for the log: the caller of an interceptor's fault learns
// nothing about it.
var errNothingLeft = errors.New("an interceptor left neither an answer nor an error")

// encodeEvent makes the JSON of a StreamResponse, which that of an answer to a
// send is too.
func encodeEvent(e a2a.Event) ([]byte, error) {
	switch v := e.(type) {
	case nil:
		return nil, errNothingLeft
	case *a2a.Task:
		if v == nil {
			return nil, errNothingLeft
		}
	case *a2a.Message:
		if v == nil {
			return nil, errNothingLeft
		}
	}
	b, err := json.Marshal(a2a.StreamResponse{Event: e})
	if err != nil {
		return nil, fmt.Errorf("encode an event: %w", err)
	}
	return b, nil
}
