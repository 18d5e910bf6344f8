// SPDX-License-Identifier: Apache-2.0

package v03

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/sse"
	"github.com/errand-a2a/errand/internal/task"
)

// The methods of A2A 0.3 (section 7 of its specification) beside those about
// push notifications.
const (
	messageSend      = "message/send"
	messageStream    = "message/stream"
	tasksGet         = "tasks/get"
	tasksCancel      = "tasks/cancel"
	tasksResubscribe = "tasks/resubscribe"
	extendedCard     = "agent/getAuthenticatedExtendedCard"

	pushSet    = "tasks/pushNotificationConfig/set"
	pushGet    = "tasks/pushNotificationConfig/get"
	pushList   = "tasks/pushNotificationConfig/list"
	pushDelete = "tasks/pushNotificationConfig/delete"
)

// request is an envelope that the binding of 1.0 has checked already.
type request struct {
	method string
	params []byte
	// id is as the client wrote it.
	id []byte
	// decoded is called once params is needed no more.
	decoded func()
}

func parse(body []byte) *request {
	req := &request{id: []byte("null")}
	binding.Members(body, []string{"method", "id", "params"}, func(name string, value []byte) {
		switch name {
		case "method":
			req.method, _ = binding.Text(value)
		case "id":
			req.id = append([]byte(nil), value...)
		default:
			req.params = value
		}
	})
	return req
}

func (q *request) streaming() bool { return q.method == messageStream || q.method == tasksResubscribe }

// opening is the envelope up to its payload: result or error.
func (q *request) opening(member string) []byte {
	b := make([]byte, 0, len(q.id)+40)
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = append(b, q.id...)
	return append(b, member...)
}

func closing() []byte { return []byte{'}'} }

func (q *request) fault(dst []byte, f binding.Fault) []byte {
	return sse.AppendEvent(dst, 0, q.opening(`,"error":`), rpcError(f), closing())
}

// rpcError is an error object without data. a2a-go's client of 0.3 reads data
// as an object and its successor's as an array, and each takes an answer with
// the other for no answer at all.
func rpcError(f binding.Fault) []byte {
	b, err := json.Marshal(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{f.Code, f.Message})
	if err != nil { // a number and a string: it cannot be
		return []byte(`{"code":-32603,"message":"internal error"}`)
	}
	return b
}

// JSONRPC answers a request of 0.3 to the agent that the path names. Nothing
// points into the body after decoded was called.
func (h *Handler[F]) JSONRPC(w http.ResponseWriter, r *http.Request, route string, body []byte, decoded func()) {
	req := parse(body)
	req.decoded = decoded
	if req.streaming() {
		f, err := h.follow(w, r, route, req)
		decoded()
		h.stream(w, r, req, f, err)
		return
	}
	result, err := h.answer(w, r, route, req)
	if err != nil {
		h.fail(w, r, req, err)
		return
	}
	h.edge.Write(w, http.StatusOK, binding.JSON, req.opening(`,"result":`), result, closing())
}

// answer runs a method that has one answer.
func (h *Handler[F]) answer(w http.ResponseWriter, r *http.Request, route string, req *request) ([]byte, error) {
	call, err := h.admit(w, r, route)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	switch req.method {
	case messageSend:
		msg, err := decodeSend(req.params)
		if err != nil {
			return nil, err
		}
		if call.Key, err = binding.Key(r.Header); err != nil {
			return nil, err
		}
		req.decoded()
		reply, err := h.engine.Send(ctx, call, msg)
		if err != nil {
			return nil, err
		}
		result, err := decodeReply(reply.JSON)
		if err != nil {
			return nil, err
		}
		return encodeEvent(result)
	case tasksGet:
		return about(ctx, call, req, a2av0.ToV1GetTaskRequest, h.engine.Get)
	case tasksCancel:
		return about(ctx, call, req, a2av0.ToV1CancelTaskRequest, h.engine.Cancel)
	case extendedCard:
		return h.engine.ExtendedCard(ctx, call, &a2a.GetExtendedAgentCardRequest{Tenant: route})
	case pushSet, pushGet, pushList, pushDelete:
		return nil, binding.PushNotSupported()
	}
	return nil, task.Errorf(a2a.ErrMethodNotFound, "there is no method %s in A2A 0.3", binding.Quote(req.method))
}

// about runs a method about one task, which it answers with.
func about[L, Q any](ctx context.Context, call engine.Call, req *request, convert func(*L) *Q, run func(context.Context, engine.Call, *Q) ([]byte, error)) ([]byte, error) {
	older, err := decodeParams[L](req.params)
	if err != nil {
		return nil, err
	}
	b, err := run(ctx, call, convert(older))
	if err != nil {
		return nil, err
	}
	t, err := decodeTask(b)
	if err != nil {
		return nil, err
	}
	return encodeEvent(t)
}

func encodeEvent(e a2a.Event) ([]byte, error) {
	older, err := a2av0.FromV1Event(e)
	if err != nil {
		return nil, err
	}
	return json.Marshal(older)
}

func (h *Handler[F]) follow(w http.ResponseWriter, r *http.Request, route string, req *request) (f *ending[F], err error) {
	call, err := h.admit(w, r, route)
	if err != nil {
		return f, err
	}
	if req.method == messageStream {
		msg, err := decodeSend(req.params)
		if err != nil {
			return f, err
		}
		if call.Key, err = binding.Key(r.Header); err != nil {
			return f, err
		}
		return h.engine.Stream(r.Context(), call, msg)
	}
	id, err := decodeWith(req.params, a2av0.ToV1SubscribeToTaskRequest)
	if err != nil {
		return f, err
	}
	cursor, err := binding.Cursor(r.Header)
	if err != nil {
		return f, err
	}
	return h.engine.Subscribe(r.Context(), call, id, cursor)
}

// stream runs a method that answers with a stream.
func (h *Handler[F]) stream(w http.ResponseWriter, r *http.Request, req *request, f *ending[F], err error) {
	if err != nil {
		h.fail(w, r, req, err)
		return
	}
	defer f.Close()
	opening, tail := req.opening(`,"result":`), closing()
	o := events[*ending[F]]{follower: f, encode: encodeEvent}
	write := func(dst []byte, f frame) []byte { return sse.AppendEvent(dst, f.seq, opening, f.json, tail) }
	begun, err := binding.Stream(h.edge, w, r, o.source(write, req.fault))
	switch {
	case begun:
	case errors.Is(err, io.EOF):
		h.edge.EventStream(w) // nothing left to tell
	default:
		h.fail(w, r, req, err)
	}
}

// fail answers with an error. To a streaming method that is a stream of this one
// event, as in 1.0: clients take anything else for a broken one.
func (h *Handler[F]) fail(w http.ResponseWriter, r *http.Request, req *request, err error) {
	f := h.edge.Explain(w, r, err)
	f.Headers(w.Header())
	if req.streaming() && !f.Transport {
		h.edge.EventStream(w)
		_, _ = w.Write(req.fault(nil, f)) // nobody else is to be told that the client is gone
		return
	}
	status := http.StatusOK
	if f.Transport {
		status = f.HTTP
	}
	h.edge.Write(w, status, binding.JSON, req.opening(`,"error":`), rpcError(f), closing())
}
