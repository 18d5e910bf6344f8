// SPDX-License-Identifier: Apache-2.0

// Package jsonrpc is the JSON-RPC 2.0 binding of A2A (section 9 of the
// specification) over the engine.
package jsonrpc

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/sse"
	"github.com/errand-a2a/errand/internal/task"
)

// Handler serves the base path.
type Handler[F binding.Follower[engine.Frame]] struct {
	edge   *binding.Edge
	engine binding.Engine[engine.Call, engine.Reply, F]
	legacy binding.Legacy
}

// New returns the handler of the base path. legacy serves requests of 0.3.
func New[F binding.Follower[engine.Frame]](e *binding.Edge, eng binding.Engine[engine.Call, engine.Reply, F], legacy binding.Legacy) *Handler[F] {
	return &Handler[F]{edge: e, engine: eng, legacy: legacy}
}

// Serve answers one request to the agent that the path names, if it names one.
// An error is HTTP 200 with an error object, unless it says something to those
// who see HTTP alone (binding.Kind.Transport).
func (h *Handler[F]) Serve(w http.ResponseWriter, r *http.Request, route string) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		h.fail(w, r, &request{}, binding.NotAllowed(r.Method, http.MethodPost))
		return
	}
	body, err := h.edge.Read(w, r)
	if err != nil {
		h.fail(w, r, &request{}, err)
		return
	}
	// What is decoded is copied and so is the id: nothing points into the body
	// once the engine has the request.
	req, err := parse(*body)
	legacy := false
	if err == nil {
		req.route = route
		legacy, err = h.check(r, req)
	}
	if err != nil {
		h.edge.Release(body)
		h.fail(w, r, req, err)
		return
	}
	if legacy {
		release := sync.OnceFunc(func() { h.edge.Release(body) })
		defer release()
		h.legacy.JSONRPC(w, r, route, *body, release)
		return
	}
	if req.method == sendStreamingMessage || req.method == subscribeToTask {
		follow, err := h.prepareStream(w, r, req)
		h.edge.Release(body)
		h.stream(w, r, req, follow, err)
		return
	}
	ask, err := h.prepare(w, r, req)
	h.edge.Release(body) // a blocking call may last
	var result []byte
	if err == nil {
		result, err = ask(r.Context())
	}
	if err != nil {
		h.fail(w, r, req, err)
		return
	}
	h.edge.Write(w, http.StatusOK, binding.JSON, req.opening(`,"result":`), result, closing())
}

// check decides between versions and methods, before any parameter is read. It
// reports whether this is a request of 0.3.
func (h *Handler[F]) check(r *http.Request, req *request) (legacy bool, err error) {
	said, err := h.edge.Dialect(binding.Version(r))
	if err != nil {
		return false, err
	}
	successor, legacy := successorOf(req.method)
	legacy = legacy && h.legacy != nil
	switch {
	case legacy && said != binding.V1:
		return true, nil
	case said == binding.V03 && known(req.method):
		return false, task.Errorf(a2a.ErrMethodNotFound, "there is no method %s in A2A 0.3; send A2A-Version: %s with it", binding.Quote(req.method), string(a2a.Version))
	case known(req.method):
		return false, h.edge.CheckUnsaid(said)
	case successor != "":
		return false, task.Errorf(a2a.ErrMethodNotFound, "there is no method %s in A2A 1.0; use %s", binding.Quote(req.method), successor)
	}
	return false, task.Errorf(a2a.ErrMethodNotFound, "there is no method %s", binding.Quote(req.method))
}

// admit makes the call of a request to the agent that the path or the
// parameters name, and tells the caller which extensions are active.
func (h *Handler[F]) admit(w http.ResponseWriter, r *http.Request, req *request, tenant string) (engine.Call, error) {
	route, err := binding.SameRoute(req.route, tenant)
	if err != nil {
		return engine.Call{}, err
	}
	call, err := h.engine.Admit(r.Context(), engine.Call{
		Agent: route, Params: binding.Params(r.Header), Extensions: binding.Extensions(r.Header), Headers: r.Header,
	})
	if err == nil {
		binding.Activated(w.Header(), call.Extensions)
	}
	return call, err
}

// answer asks the engine, with nothing left of the body.
type answer func(context.Context) ([]byte, error)

// prepare decodes an operation that has one answer.
func (h *Handler[F]) prepare(w http.ResponseWriter, r *http.Request, req *request) (answer, error) {
	switch req.method {
	case sendMessage:
		msg, call, err := h.decodeSend(w, r, req)
		return func(ctx context.Context) ([]byte, error) {
			reply, err := h.engine.Send(ctx, call, msg)
			return reply.JSON, err
		}, err
	case getTask:
		return prepareAbout(h, w, r, req, binding.DecodeGet, func(q *a2a.GetTaskRequest) string { return q.Tenant }, h.engine.Get)
	case listTasks:
		return prepareAbout(h, w, r, req, binding.DecodeList, func(q *a2a.ListTasksRequest) string { return q.Tenant }, h.engine.List)
	case cancelTask:
		return prepareAbout(h, w, r, req, binding.DecodeCancel, func(q *a2a.CancelTaskRequest) string { return q.Tenant }, h.engine.Cancel)
	}
	tenant, err := binding.DecodeTenant(req.params)
	if err != nil {
		return nil, err
	}
	call, err := h.admit(w, r, req, tenant)
	switch {
	case err != nil:
		return nil, err
	case req.method == getExtendedAgentCard:
		return func(ctx context.Context) ([]byte, error) {
			return h.engine.ExtendedCard(ctx, call, &a2a.GetExtendedAgentCardRequest{Tenant: tenant})
		}, nil
	}
	return nil, binding.PushNotSupported()
}

// prepareAbout prepares a question about tasks.
func prepareAbout[Q any, F binding.Follower[engine.Frame]](h *Handler[F], w http.ResponseWriter, r *http.Request, req *request,
	decode func([]byte) (*Q, error), tenant func(*Q) string, ask func(context.Context, engine.Call, *Q) ([]byte, error)) (answer, error) {
	q, err := decode(req.params)
	if err != nil {
		return nil, err
	}
	call, err := h.admit(w, r, req, tenant(q))
	return func(ctx context.Context) ([]byte, error) { return ask(ctx, call, q) }, err
}

func (h *Handler[F]) decodeSend(w http.ResponseWriter, r *http.Request, req *request) (*a2a.SendMessageRequest, engine.Call, error) {
	msg, err := binding.DecodeSend(req.params)
	if err != nil {
		return nil, engine.Call{}, err
	}
	call, err := h.admit(w, r, req, msg.Tenant)
	if err != nil {
		return nil, call, err
	}
	call.Key, err = binding.Key(r.Header)
	return msg, call, err
}

// stream runs an operation that answers with a stream.
func (h *Handler[F]) stream(w http.ResponseWriter, r *http.Request, req *request, follow func(context.Context) (F, error), err error) {
	var f F
	if err == nil {
		f, err = follow(r.Context())
	}
	if err != nil {
		h.fail(w, r, req, err)
		return
	}
	defer f.Close()
	opening, tail := req.opening(`,"result":`), closing()
	begun, err := binding.Stream(h.edge, w, r, binding.Source[engine.Frame]{
		Next: f.Next,
		Frame: func(dst []byte, f engine.Frame) []byte {
			return sse.AppendEvent(dst, f.Seq, opening, f.Event, tail)
		},
		Fault:     req.frame,
		KeepAlive: sse.KeepAlive,
	})
	switch {
	case begun:
	case errors.Is(err, io.EOF):
		h.edge.EventStream(w) // nothing left to tell
	default:
		h.fail(w, r, req, err)
	}
}

func (h *Handler[F]) prepareStream(w http.ResponseWriter, r *http.Request, req *request) (func(context.Context) (F, error), error) {
	if req.method == sendStreamingMessage {
		msg, call, err := h.decodeSend(w, r, req)
		return func(ctx context.Context) (F, error) { return h.engine.Stream(ctx, call, msg) }, err
	}
	sub, err := binding.DecodeSubscribe(req.params)
	if err != nil {
		return nil, err
	}
	call, err := h.admit(w, r, req, sub.Tenant)
	if err != nil {
		return nil, err
	}
	cursor, err := binding.Cursor(r.Header)
	return func(ctx context.Context) (F, error) { return h.engine.Subscribe(ctx, call, sub, cursor) }, err
}

// fail answers with an error. To a streaming method that is a stream of this one
// event: a2a-go's client takes anything else for a stream that ended well.
func (h *Handler[F]) fail(w http.ResponseWriter, r *http.Request, req *request, err error) {
	f := h.edge.Explain(w, r, err)
	f.Headers(w.Header())
	if req.streaming() && !f.Transport {
		h.edge.EventStream(w)
		_, _ = w.Write(req.frame(nil, f)) // nobody else is to be told that the client is gone
		return
	}
	status := http.StatusOK
	if f.Transport {
		status = f.HTTP
	}
	h.edge.Write(w, status, binding.JSON, req.opening(`,"error":`), f.RPC(), closing())
}
