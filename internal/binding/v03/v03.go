// SPDX-License-Identifier: Apache-2.0

// Package v03 serves clients of A2A 0.3: the JSON-RPC methods, the REST paths
// below /v1, the gRPC service a2a.v1 and the members of an agent card that
// they read.
//
// The conversions between the versions are those of the official SDK. The HTTP
// servers are not: the SDK's send the headers of a stream before they know
// whether there is one, number its events at random, tell clients the texts of
// unknown errors, and have no limits (ADR 0008).
package v03

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/sse"
)

// Handler serves what the bindings of 1.0 recognise as requests of 0.3.
type Handler[F binding.Follower[engine.Frame]] struct {
	edge   *binding.Edge
	engine endings[F]
}

// New returns the handler of requests of 0.3.
func New[F binding.Follower[engine.Frame]](e *binding.Edge, eng binding.Engine[engine.Call, engine.Reply, F]) *Handler[F] {
	return &Handler[F]{edge: e, engine: endings[F]{eng}}
}

// The header of extensions had an X in 0.3.
const (
	extensions      = "A2a-Extensions"
	olderExtensions = "X-A2a-Extensions"
)

// modern gives the headers of a request under the names of 1.0.
func modern(h http.Header) http.Header {
	older := h[olderExtensions]
	if len(older) == 0 {
		return h
	}
	m := h.Clone()
	m[extensions] = append(m[extensions], older...)
	return m
}

// admit makes a call to the agent that the path names, and tells the caller
// which extensions are active.
func (h *Handler[F]) admit(w http.ResponseWriter, r *http.Request, route string) (engine.Call, error) {
	headers := modern(r.Header)
	call, err := h.engine.Admit(r.Context(), engine.Call{
		Agent: route, Params: binding.Params(headers), Extensions: binding.Extensions(headers), Headers: headers,
	})
	if err == nil && len(call.Extensions) > 0 {
		w.Header()[olderExtensions] = []string{strings.Join(call.Extensions, ", ")}
	}
	return call, err
}

// frame is an event in the form that a client of 0.3 reads.
type frame struct {
	seq  uint64
	json []byte
}

// encoder makes the JSON of an event.
type encoder func(a2a.Event) ([]byte, error)

// events gives what a follower has in the form of 0.3.
type events[F binding.Follower[engine.Frame]] struct {
	follower F
	encode   encoder
}

func (o *events[F]) next(ctx context.Context, idle time.Duration) ([]frame, error) {
	frames, err := o.follower.Next(ctx, idle)
	if len(frames) == 0 {
		return nil, err
	}
	out := make([]frame, 0, len(frames))
	for _, f := range frames {
		event, bad := decodeEvent(f.Event)
		if bad != nil {
			return out, bad
		}
		final, update := takeMark(event)
		b, bad := o.encode(event)
		if bad == nil && update {
			b, bad = setFinal(b, final)
		}
		if bad != nil {
			return out, fmt.Errorf("event %d in the form of 0.3: %w", f.Seq, bad)
		}
		out = append(out, frame{f.Seq, b})
	}
	return out, err
}

// source is how a stream of 0.3 is written.
func (o *events[F]) source(write func(dst []byte, f frame) []byte, fault func(dst []byte, f binding.Fault) []byte) binding.Source[frame] {
	return binding.Source[frame]{Next: o.next, Frame: write, Fault: fault, KeepAlive: sse.KeepAlive}
}

func decodeEvent(b []byte) (a2a.Event, error) {
	var sr a2a.StreamResponse
	if err := json.Unmarshal(b, &sr); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	return sr.Event, nil
}

// decodeReply reads the answer to a send: a Task or a Message.
func decodeReply(b []byte) (a2a.SendMessageResult, error) {
	e, err := decodeEvent(b)
	if err != nil {
		return nil, err
	}
	result, ok := e.(a2a.SendMessageResult)
	if !ok {
		return nil, errors.New("the answer is neither a task nor a message")
	}
	return result, nil
}

func decodeTask(b []byte) (*a2a.Task, error) {
	t := new(a2a.Task)
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("decode task: %w", err)
	}
	return t, nil
}
