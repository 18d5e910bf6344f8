// SPDX-License-Identifier: Apache-2.0

// Package wire says the abstract operations of ACTS in the words of the three
// bindings of A2A 1.0, and turns what comes back into the protocol's JSON.
package wire

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/url"
)

// Binding carries operations. An error of the agent is an *Error; any other
// error says that what came back was not what the binding allows.
type Binding interface {
	// Call runs an operation that has one answer.
	Call(ctx context.Context, operation string, params map[string]any) (*Response, error)
	// Open runs an operation that answers with a stream.
	Open(ctx context.Context, operation string, params map[string]any) (Stream, error)
	Close() error
}

// Response is an answer.
type Response struct {
	// Status is the HTTP status; over gRPC what OK is in HTTP.
	Status int
	Header http.Header
	// Raw is the decoded body as it came, nil where it is no JSON.
	Raw any
	// Body is the A2A object in it.
	Body any
}

// Stream is a sequence of events. Next returns io.EOF when the agent has ended
// it, and an *Error where the agent ends it with one.
type Stream interface {
	Next() (Event, error)
	// Status is that of the answer's head.
	Status() int
	Close()
}

// Event is one event of a stream.
type Event struct {
	// Frame is the event as it came; Body is the StreamResponse in it.
	Frame, Body any
}

// View is the event as assertions see it. They name the members of
// StreamResponse, in either spelling, or those of the one object it holds.
func (e Event) View() any {
	wrapper, ok := e.Body.(map[string]any)
	if !ok {
		return e.Body
	}
	view := map[string]any{}
	for _, v := range wrapper {
		if inner, ok := v.(map[string]any); ok && len(wrapper) == 1 {
			maps.Copy(view, inner)
		}
	}
	maps.Copy(view, wrapper)
	for name, snake := range map[string]string{"statusUpdate": "status_update", "artifactUpdate": "artifact_update"} {
		if v, ok := wrapper[name]; ok {
			view[snake] = v
		}
	}
	return view
}

// Options are what every binding needs.
type Options struct {
	HTTP    *http.Client
	Version string // the A2A-Version that requests carry
}

// Dial makes the binding of an interface of the agent card. The name is that of
// ACTS, the URL that of the card.
func Dial(name, address string, o Options) (Binding, error) {
	switch name {
	case "jsonrpc":
		return &jsonRPC{url: address, opts: o}, nil
	case "rest":
		return &rest{base: address, opts: o}, nil
	case "grpc":
		return dialGRPC(address, o)
	}
	return nil, fmt.Errorf("there is no binding %q", name)
}

// CardName is what the agent card calls a binding (4.4.6).
func CardName(binding string) string {
	switch binding {
	case "jsonrpc":
		return "JSONRPC"
	case "rest":
		return "HTTP+JSON"
	case "grpc":
		return "GRPC"
	}
	return ""
}

// Names are the bindings in the order of reports.
func Names() []string { return []string{"jsonrpc", "rest", "grpc"} }

// Request brings the parameters of a step into the form of A2A 1.0: the test
// files write the ids of a follow-up beside the message, and push configs in a
// wrapper of their own. A message gets an id.
func Request(operation string, params map[string]any) map[string]any {
	out := maps.Clone(params)
	if out == nil {
		out = map[string]any{}
	}
	switch operation {
	case "send_message", "send_streaming_message":
		msg, ok := out["message"].(map[string]any)
		if !ok {
			return out
		}
		msg = maps.Clone(msg)
		for _, key := range []string{"taskId", "contextId"} {
			if v, ok := out[key]; ok {
				msg[key] = v
				delete(out, key)
			}
		}
		if _, ok := msg["messageId"]; !ok {
			msg["messageId"] = "msg-" + rand.Text()
		}
		out["message"] = msg
	case "create_push_config":
		if config, ok := out["pushNotificationConfig"].(map[string]any); ok {
			delete(out, "pushNotificationConfig")
			maps.Copy(out, config)
		}
	}
	return out
}

// baseURL checks the URL of an interface.
func baseURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("parse the URL of the interface: %w", err)
	}
	return u, nil
}
