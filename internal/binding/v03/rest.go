// SPDX-License-Identifier: Apache-2.0

package v03

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2apb/v0/pbjson"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/sse"
	"github.com/errand-a2a/errand/internal/task"
)

// resource is what a path below /v1 names.
type resource int

const (
	nothing resource = iota
	send
	sendStream
	taskList
	oneTask
	taskCancel
	taskSubscribe
	push
	card
)

// allow lists the methods of a resource. Subscribing is POST in the
// specification of 0.3 and GET in its proto.
func (r resource) allow() string {
	switch r {
	case send, sendStream, taskCancel:
		return "POST"
	case taskSubscribe:
		return "GET, POST"
	case push:
		return "GET, HEAD, POST, DELETE"
	}
	return "GET, HEAD"
}

func (r resource) allows(method string) bool {
	for m := range strings.SplitSeq(r.allow(), ", ") {
		if m == method {
			return true
		}
	}
	return false
}

// target reads a path as it stands in the request line.
func target(path string) (resource, a2a.TaskID, error) {
	rest, ok := strings.CutPrefix(path, "/v1/")
	if !ok {
		return nothing, "", nil
	}
	raw := strings.Split(rest, "/")
	switch {
	case len(raw) == 1:
		return named(raw[0]), "", nil
	case raw[0] == "tasks" && len(raw) == 2:
		r, id := verb(raw[1])
		if id == "" {
			return nothing, "", nil
		}
		name, err := url.PathUnescape(id)
		if err != nil || !utf8.ValidString(name) {
			return r, "", task.Invalid(a2a.ErrInvalidParams, "id", "the path must be percent-encoded UTF-8")
		}
		return r, a2a.TaskID(name), nil
	case (raw[0] == "tasks" || raw[0] == "task") && len(raw) <= 4 && raw[2] == "pushNotificationConfigs":
		return push, "", nil
	}
	return nothing, "", nil
}

func named(raw string) resource {
	name, err := url.PathUnescape(raw)
	if err != nil {
		return nothing
	}
	switch name {
	case "message:send":
		return send
	case "message:stream":
		return sendStream
	case "tasks":
		return taskList
	case "card":
		return card
	}
	return nothing
}

func verb(raw string) (resource, string) {
	if id, ok := strings.CutSuffix(raw, ":cancel"); ok {
		return taskCancel, id
	}
	if id, ok := strings.CutSuffix(raw, ":subscribe"); ok {
		return taskSubscribe, id
	}
	return oneTask, raw
}

// REST answers a request below the base path of an agent; path is /v1/….
func (h *Handler[F]) REST(w http.ResponseWriter, r *http.Request, route, path string) {
	res, id, err := target(path)
	switch {
	case err != nil:
	case res == nothing:
		err = task.Errorf(binding.ErrNoSuchPath, "there is nothing at the path %s in A2A 0.3", binding.Quote(r.URL.Path))
	case !res.allows(r.Method):
		h.edge.NotAllowed(w, r, res.allow())
		return
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	if res == sendStream || res == taskSubscribe {
		h.restStream(w, r, route, res, id)
		return
	}
	result, err := h.restAnswer(w, r, route, res, id)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.edge.Write(w, http.StatusOK, binding.JSON, result)
}

// refuse answers with an error.
func (h *Handler[F]) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := h.edge.Explain(w, r, err)
	f.Headers(w.Header())
	h.edge.Write(w, f.HTTP, binding.JSON, restError(f))
}

// restError is an error in two forms at once: 0.3 asks for that of JSON-RPC or an
// equivalent, and some of its clients know errors by that code alone, while
// others read google.rpc.Status, as in 1.0.
func restError(f binding.Fault) []byte {
	b := append(strconv.AppendInt([]byte(`{"code":`), int64(f.Code), 10), `,"message":`...)
	text, err := json.Marshal(f.Message)
	if err != nil { // a string: it cannot be
		text = []byte(`""`)
	}
	return append(append(append(b, text...), ','), f.REST()[1:]...)
}

func (h *Handler[F]) restAnswer(w http.ResponseWriter, r *http.Request, route string, res resource, id a2a.TaskID) ([]byte, error) {
	if res == send {
		call, msg, err := h.restMessage(w, r, route)
		if err != nil {
			return nil, err
		}
		reply, err := h.engine.Send(r.Context(), call, msg)
		if err != nil {
			return nil, err
		}
		result, err := decodeReply(reply.JSON)
		if err != nil {
			return nil, err
		}
		return pbjson.ToProtoSendMessageResult(result)
	}
	if r.Method == http.MethodPost {
		if err := h.skipBody(w, r); err != nil {
			return nil, err
		}
	}
	call, err := h.admit(w, r, route)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	switch res {
	case taskCancel:
		return protoTask(h.engine.Cancel(ctx, call, &a2a.CancelTaskRequest{ID: id}))
	case card:
		return h.engine.ExtendedCard(ctx, call, &a2a.GetExtendedAgentCardRequest{Tenant: route})
	case push:
		return nil, binding.PushNotSupported()
	}
	q, err := binding.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	if res == taskList {
		return h.restList(r, call, q)
	}
	req, err := binding.GetOf(id, q)
	if err != nil {
		return nil, err
	}
	return protoTask(h.engine.Get(ctx, call, req))
}

func protoTask(b []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	t, err := decodeTask(b)
	if err != nil {
		return nil, err
	}
	return pbjson.ToProtoTask(t)
}

func (h *Handler[F]) restList(r *http.Request, call engine.Call, q url.Values) ([]byte, error) {
	if states := q["status"]; len(states) == 1 { // the proto of 0.3 spells one of them with two l
		q["status"] = []string{string(pbjson.DecodeTaskState(pbjson.TaskState(states[0])))}
	}
	req, err := binding.ListOf(q)
	if err != nil {
		return nil, err
	}
	b, err := h.engine.List(r.Context(), call, req)
	if err != nil {
		return nil, err
	}
	var list a2a.ListTasksResponse
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("decode list of tasks: %w", err)
	}
	return pbjson.ToProtoListTasksResponse(&list)
}

// skipBody reads a body that says nothing, within the limits of any other.
func (h *Handler[F]) skipBody(w http.ResponseWriter, r *http.Request) error {
	body, err := h.edge.Read(w, r)
	if err != nil {
		return err
	}
	h.edge.Release(body)
	return nil
}

func (h *Handler[F]) restMessage(w http.ResponseWriter, r *http.Request, route string) (call engine.Call, msg *a2a.SendMessageRequest, err error) {
	body, err := h.edge.Read(w, r)
	if err != nil {
		return call, nil, err
	}
	msg, err = decodeProto(*body)
	h.edge.Release(body)
	if err != nil {
		return call, nil, err
	}
	if call, err = h.admit(w, r, route); err != nil {
		return call, nil, err
	}
	call.Key, err = binding.Key(r.Header)
	return call, msg, err
}

// restStream runs an operation that answers with a stream. Until its first
// event it can still be answered with an error and its own status.
func (h *Handler[F]) restStream(w http.ResponseWriter, r *http.Request, route string, res resource, id a2a.TaskID) {
	f, resumed, err := h.restFollow(w, r, route, res, id)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	defer f.Close()
	o := events[*ending[F]]{follower: f, encode: pbjson.ToProtoStreamEvent}
	write := func(dst []byte, f frame) []byte { return sse.AppendEvent(dst, f.seq, f.json) }
	fault := func(dst []byte, f binding.Fault) []byte { return sse.AppendEvent(dst, 0, restError(f)) }
	begun, err := binding.Stream(h.edge, w, r, o.source(write, fault))
	switch {
	case begun:
	case !errors.Is(err, io.EOF):
		h.refuse(w, r, err)
	case resumed:
		w.WriteHeader(http.StatusNoContent) // an EventSource comes back after every other end
	default:
		h.edge.EventStream(w)
	}
}

func (h *Handler[F]) restFollow(w http.ResponseWriter, r *http.Request, route string, res resource, id a2a.TaskID) (f *ending[F], resumed bool, err error) {
	if res == sendStream {
		call, msg, err := h.restMessage(w, r, route)
		if err != nil {
			return f, false, err
		}
		f, err = h.engine.Stream(r.Context(), call, msg)
		return f, false, err
	}
	if r.Method == http.MethodPost {
		if err := h.skipBody(w, r); err != nil {
			return f, false, err
		}
	}
	call, err := h.admit(w, r, route)
	if err != nil {
		return f, false, err
	}
	cursor, err := binding.Cursor(r.Header)
	if err != nil {
		return f, false, err
	}
	f, err = h.engine.Subscribe(r.Context(), call, &a2a.SubscribeToTaskRequest{ID: id}, cursor)
	return f, cursor != nil, err
}
