// SPDX-License-Identifier: Apache-2.0

// Package jsonrpc is the JSON-RPC 2.0 binding of A2A (section 9 of the
// specification) over the engine.
package jsonrpc

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/sse"
	"github.com/errand-a2a/errand/internal/task"
)

// New returns the handler of the base path.
func New[F binding.Follower[engine.Frame]](e *binding.Edge, eng binding.Engine[engine.Call, engine.Reply, F]) http.Handler {
	return &handler[F]{edge: e, engine: eng}
}

type handler[F binding.Follower[engine.Frame]] struct {
	edge   *binding.Edge
	engine binding.Engine[engine.Call, engine.Reply, F]
}

// ServeHTTP answers one request. An error is HTTP 200 with an error object,
// unless it says something to those who see HTTP alone (binding.Kind.Transport).
func (h *handler[F]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	if err == nil {
		err = h.check(r, req)
	}
	if err != nil {
		h.edge.Release(body)
		h.fail(w, r, req, err)
		return
	}
	if req.method == sendStreamingMessage || req.method == subscribeToTask {
		follow, err := h.prepareStream(r, req)
		h.edge.Release(body)
		h.stream(w, r, req, follow, err)
		return
	}
	ask, err := h.prepare(r, req)
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

// check decides between versions and methods, before any parameter is read.
func (h *handler[F]) check(r *http.Request, req *request) error {
	version := binding.Version(r)
	err := h.edge.CheckVersion(version)
	successor, legacy := successorOf(req.method)
	if legacy && (err != nil || version == "") {
		return binding.Legacy(req.method, successor)
	}
	// What was gone before 0.3 is unknown in every version, so none need be said.
	if err != nil && (successor == "" || legacy || version != "") {
		return err
	}
	switch {
	case known(req.method):
		return nil
	case successor != "":
		return task.Errorf(a2a.ErrMethodNotFound, "there is no method %s in A2A 1.0; use %s", binding.Quote(req.method), successor)
	}
	return task.Errorf(a2a.ErrMethodNotFound, "there is no method %s", binding.Quote(req.method))
}

// answer asks the engine, with nothing left of the body.
type answer func(context.Context) ([]byte, error)

// prepare decodes an operation that has one answer.
func (h *handler[F]) prepare(r *http.Request, req *request) (answer, error) {
	switch req.method {
	case sendMessage:
		msg, call, err := decodeSend(r, req.params)
		return func(ctx context.Context) ([]byte, error) {
			reply, err := h.engine.Send(ctx, call, msg)
			return reply.JSON, err
		}, err
	case getTask:
		q, err := binding.DecodeGet(req.params)
		return about(r, q, q.Tenant, err, h.engine.Get)
	case listTasks:
		q, err := binding.DecodeList(req.params)
		return about(r, q, q.Tenant, err, h.engine.List)
	case cancelTask:
		q, err := binding.DecodeCancel(req.params)
		return about(r, q, q.Tenant, err, h.engine.Cancel)
	}
	tenant, err := binding.DecodeTenant(req.params)
	if err == nil {
		err = binding.CheckRoute(tenant)
	}
	switch {
	case err != nil:
		return nil, err
	case req.method == getExtendedAgentCard:
		return nil, binding.ExtendedCardNotSupported()
	}
	return nil, binding.PushNotSupported()
}

// about is a question about tasks, to the agent that it names.
func about[Q any](r *http.Request, q *Q, tenant string, err error, ask func(context.Context, engine.Call, *Q) ([]byte, error)) (answer, error) {
	if err == nil {
		err = binding.CheckRoute(tenant)
	}
	call := engine.Call{Params: binding.Params(r.Header)}
	return func(ctx context.Context) ([]byte, error) { return ask(ctx, call, q) }, err
}

func decodeSend(r *http.Request, params []byte) (*a2a.SendMessageRequest, engine.Call, error) {
	msg, err := binding.DecodeSend(params)
	if err != nil {
		return nil, engine.Call{}, err
	}
	if err := binding.CheckRoute(msg.Tenant); err != nil {
		return nil, engine.Call{}, err
	}
	key, err := binding.Key(r.Header)
	return msg, engine.Call{Key: key, Params: binding.Params(r.Header)}, err
}

// stream runs an operation that answers with a stream.
func (h *handler[F]) stream(w http.ResponseWriter, r *http.Request, req *request, follow func(context.Context) (F, error), err error) {
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

func (h *handler[F]) prepareStream(r *http.Request, req *request) (func(context.Context) (F, error), error) {
	if req.method == sendStreamingMessage {
		msg, call, err := decodeSend(r, req.params)
		return func(ctx context.Context) (F, error) { return h.engine.Stream(ctx, call, msg) }, err
	}
	sub, err := binding.DecodeSubscribe(req.params)
	if err != nil {
		return nil, err
	}
	if err := binding.CheckRoute(sub.Tenant); err != nil {
		return nil, err
	}
	cursor, err := binding.Cursor(r.Header)
	call := engine.Call{Params: binding.Params(r.Header)}
	return func(ctx context.Context) (F, error) { return h.engine.Subscribe(ctx, call, sub, cursor) }, err
}

// fail answers with an error. To a streaming method that is a stream of this one
// event: a2a-go's client takes anything else for a stream that ended well.
func (h *handler[F]) fail(w http.ResponseWriter, r *http.Request, req *request, err error) {
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
