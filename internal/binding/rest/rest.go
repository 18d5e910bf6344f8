// SPDX-License-Identifier: Apache-2.0

// Package rest is the HTTP+JSON binding of A2A (section 11 of the
// specification) over the engine.
package rest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/sse"
	"github.com/errand-a2a/errand/internal/task"
)

// Handler serves every path below a base path.
type Handler[F binding.Follower[engine.Frame]] struct {
	edge   *binding.Edge
	engine binding.Engine[engine.Call, engine.Reply, F]
	legacy binding.Legacy
}

// New returns the handler of every path below a base path. legacy serves those
// of 0.3.
func New[F binding.Follower[engine.Frame]](e *binding.Edge, eng binding.Engine[engine.Call, engine.Reply, F], legacy binding.Legacy) *Handler[F] {
	return &Handler[F]{edge: e, engine: eng, legacy: legacy}
}

// ask is one request on its way through the handler.
type ask struct {
	target
	query url.Values
	// route is the agent that the base path names, or nothing.
	route string
	call  engine.Call
}

// Serve answers one request to the agent that the base path names, if it names
// one. path is what follows the base path, escaped as it was sent.
func (h *Handler[F]) Serve(w http.ResponseWriter, r *http.Request, route, path string) {
	a, legacy, err := h.check(w, r, path)
	if err != nil {
		h.edge.Refuse(w, r, err)
		return
	}
	if legacy {
		h.legacy.REST(w, r, route, path)
		return
	}
	a.route = route
	switch a.resource {
	case messageStream, taskSubscribe:
		h.stream(w, r, a)
		return
	}
	result, err := h.answer(w, r, a)
	if err != nil {
		h.edge.Refuse(w, r, err)
		return
	}
	h.edge.Write(w, http.StatusOK, binding.Negotiate(r.Header), result)
}

// check finds out what is asked for, and in which version.
func (h *Handler[F]) check(w http.ResponseWriter, r *http.Request, path string) (a *ask, legacy bool, err error) {
	t, err := parse(path)
	if err != nil {
		return nil, false, err
	}
	said, err := h.edge.Dialect(binding.Version(r))
	rest, older := strings.CutPrefix(path, "/v1/")
	switch {
	case older && h.legacy != nil && said != binding.V1:
		return nil, err == nil, err
	case older:
		return nil, false, task.Errorf(binding.ErrNoSuchPath, "there is nothing at the path %s in A2A 1.0; use %s", binding.Quote(r.URL.Path), binding.Quote("/"+rest))
	case t.resource == nothing:
		return nil, false, task.Errorf(binding.ErrNoSuchPath, "there is nothing at the path %s", binding.Quote(r.URL.Path))
	case !t.resource.allows(r.Method):
		w.Header().Set("Allow", t.resource.allow())
		return nil, false, binding.NotAllowed(r.Method, t.resource.allow())
	case said == binding.V03:
		err = task.Errorf(a2a.ErrVersionNotSupported, "the path %s belongs to A2A 1.0; send A2A-Version: %s with it", binding.Quote(r.URL.Path), string(a2a.Version))
	case err == nil:
		err = h.edge.CheckUnsaid(said)
	}
	if err != nil {
		return nil, false, err
	}
	a = &ask{target: t}
	a.query, err = binding.ParseQuery(r.URL.RawQuery)
	return a, false, err
}

// admit makes the call to the agent that the paths, the query and the body
// name, and tells the caller which extensions are active.
func (h *Handler[F]) admit(w http.ResponseWriter, r *http.Request, a *ask, inBody string) error {
	inQuery, err := binding.TenantOf(a.query)
	if err != nil {
		return err
	}
	name, err := binding.SameRoute(a.route, a.tenant, inQuery, inBody)
	if err != nil {
		return err
	}
	a.call, err = h.engine.Admit(r.Context(), engine.Call{
		Agent: name, Params: binding.Params(r.Header), Extensions: binding.Extensions(r.Header), Headers: r.Header,
	})
	if err == nil {
		binding.Activated(w.Header(), a.call.Extensions)
	}
	return err
}

// answer runs an operation that has one answer.
func (h *Handler[F]) answer(w http.ResponseWriter, r *http.Request, a *ask) ([]byte, error) {
	ctx := r.Context()
	switch a.resource {
	case messageSend:
		msg, err := h.message(w, r, a)
		if err != nil {
			return nil, err
		}
		reply, err := h.engine.Send(ctx, a.call, msg)
		return reply.JSON, err
	case taskCancel:
		req, err := readBody(h.edge, w, r, func(b []byte) (*a2a.CancelTaskRequest, error) { return binding.DecodeCancelOf(a.task, b) })
		if err != nil {
			return nil, err
		}
		if err := h.admit(w, r, a, req.Tenant); err != nil {
			return nil, err
		}
		return h.engine.Cancel(ctx, a.call, req)
	}
	if err := h.admit(w, r, a, ""); err != nil {
		return nil, err
	}
	switch a.resource {
	case oneTask:
		return query(ctx, a, h.engine.Get, func(q url.Values) (*a2a.GetTaskRequest, error) { return binding.GetOf(a.task, q) })
	case taskList:
		return query(ctx, a, h.engine.List, binding.ListOf)
	case extendedCard:
		return h.engine.ExtendedCard(ctx, a.call, &a2a.GetExtendedAgentCardRequest{Tenant: a.call.Agent})
	}
	return nil, binding.PushNotSupported()
}

func query[Q any](ctx context.Context, a *ask, run func(context.Context, engine.Call, *Q) ([]byte, error), read func(url.Values) (*Q, error)) ([]byte, error) {
	req, err := read(a.query)
	if err != nil {
		return nil, err
	}
	return run(ctx, a.call, req)
}

// readBody decodes a body that may be absent. What it returns is a copy.
func readBody[Q any](e *binding.Edge, w http.ResponseWriter, r *http.Request, decode func([]byte) (*Q, error)) (*Q, error) {
	if r.Method == http.MethodGet {
		return decode(nil)
	}
	body, err := e.Read(w, r)
	if err != nil {
		return nil, err
	}
	defer e.Release(body)
	return decode(*body)
}

func (h *Handler[F]) message(w http.ResponseWriter, r *http.Request, a *ask) (*a2a.SendMessageRequest, error) {
	msg, err := readBody(h.edge, w, r, binding.DecodeSend)
	if err != nil {
		return nil, err
	}
	if err := h.admit(w, r, a, msg.Tenant); err != nil {
		return nil, err
	}
	a.call.Key, err = binding.Key(r.Header)
	return msg, err
}

// stream runs an operation that answers with a stream. Until its first event it
// can still be answered with an error and its own status.
func (h *Handler[F]) stream(w http.ResponseWriter, r *http.Request, a *ask) {
	f, resumed, err := h.follow(w, r, a)
	if err != nil {
		h.edge.Refuse(w, r, err)
		return
	}
	defer f.Close()
	begun, err := binding.Stream(h.edge, w, r, binding.Source[engine.Frame]{
		Next:      f.Next,
		Frame:     func(dst []byte, f engine.Frame) []byte { return sse.AppendEvent(dst, f.Seq, f.Event) },
		Fault:     func(dst []byte, f binding.Fault) []byte { return sse.AppendEvent(dst, 0, f.REST()) },
		KeepAlive: sse.KeepAlive,
	})
	switch {
	case begun:
	case !errors.Is(err, io.EOF):
		h.edge.Refuse(w, r, err)
	case resumed:
		// An EventSource comes back after every end, except after this status.
		w.WriteHeader(http.StatusNoContent)
	default:
		h.edge.EventStream(w)
	}
}

func (h *Handler[F]) follow(w http.ResponseWriter, r *http.Request, a *ask) (f F, resumed bool, err error) {
	if a.resource == messageStream {
		msg, err := h.message(w, r, a)
		if err != nil {
			return f, false, err
		}
		f, err = h.engine.Stream(r.Context(), a.call, msg)
		return f, false, err
	}
	req, err := readBody(h.edge, w, r, func(b []byte) (*a2a.SubscribeToTaskRequest, error) { return binding.DecodeSubscribeOf(a.task, b) })
	if err != nil {
		return f, false, err
	}
	if err := h.admit(w, r, a, req.Tenant); err != nil {
		return f, false, err
	}
	cursor, err := binding.Cursor(r.Header)
	if err != nil {
		return f, false, err
	}
	f, err = h.engine.Subscribe(r.Context(), a.call, req, cursor)
	return f, cursor != nil, err
}
