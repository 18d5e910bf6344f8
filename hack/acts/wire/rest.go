// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// rest is the HTTP+JSON binding (section 11).
type rest struct {
	base string
	opts Options
}

func (b *rest) Close() error { return nil }

// request says an operation as method, path, query and body (5.3, 11.3, 11.5).
func (b *rest) request(operation string, params map[string]any) (exchange, error) {
	p := maps.Clone(params)
	take := func(key string) string {
		s, _ := p[key].(string)
		delete(p, key)
		return url.PathEscape(s)
	}
	x := exchange{method: http.MethodGet, header: map[string]string{"A2A-Version": b.opts.Version}}
	path := ""
	switch operation {
	case "send_message":
		x.method, path = http.MethodPost, "/message:send"
	case "send_streaming_message":
		x.method, path = http.MethodPost, "/message:stream"
	case "get_task":
		path = "/tasks/" + take("id")
	case "list_tasks":
		path = "/tasks"
	case "cancel_task":
		x.method, path = http.MethodPost, "/tasks/"+take("id")+":cancel"
	case "subscribe_to_task":
		x.method, path = http.MethodPost, "/tasks/"+take("id")+":subscribe"
	case "get_extended_agent_card":
		path = "/extendedAgentCard"
	case "create_push_config":
		x.method, path = http.MethodPost, "/tasks/"+take("taskId")+"/pushNotificationConfigs"
	case "get_push_config":
		path = "/tasks/" + take("taskId") + "/pushNotificationConfigs/" + take("id")
	case "list_push_configs":
		path = "/tasks/" + take("taskId") + "/pushNotificationConfigs"
	case "delete_push_config":
		x.method, path = http.MethodDelete, "/tasks/"+take("taskId")+"/pushNotificationConfigs/"+take("id")
	default:
		return x, fmt.Errorf("HTTP+JSON has no operation %s", operation)
	}
	x.url = strings.TrimSuffix(b.base, "/") + path
	return x, x.parameters(p)
}

// parameters puts what is not in the path into the body, or into the query of a
// method that has no body.
func (x *exchange) parameters(p map[string]any) error {
	if x.method == http.MethodPost {
		body, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
		x.body = body
		x.header["Content-Type"] = "application/a2a+json"
		return nil
	}
	query := url.Values{}
	for _, key := range slices.Sorted(maps.Keys(p)) {
		switch v := p[key].(type) {
		case string, bool, int64, uint64, float64:
			query.Set(key, fmt.Sprint(v))
		default:
			return fmt.Errorf("parameter %s cannot be said in a query", key)
		}
	}
	if len(query) > 0 {
		x.url += "?" + query.Encode()
	}
	return nil
}

func (b *rest) Call(ctx context.Context, operation string, params map[string]any) (*Response, error) {
	if operation == "get_agent_card" {
		return getCard(ctx, b.base, b.opts)
	}
	x, err := b.request(operation, params)
	if err != nil {
		return nil, err
	}
	resp, err := x.do(ctx, b.opts.HTTP)
	if err != nil {
		return nil, err
	}
	r, err := read(resp)
	if err != nil {
		return nil, err
	}
	r.Body = r.Raw
	if r.Status >= 300 {
		return r, RESTError(r.Status, r.Raw)
	}
	return r, nil
}

func (b *rest) Open(ctx context.Context, operation string, params map[string]any) (Stream, error) {
	x, err := b.request(operation, params)
	if err != nil {
		return nil, err
	}
	x.header["Accept"] = eventStream
	ctx, cancel := context.WithCancel(ctx)
	resp, err := x.do(ctx, b.opts.HTTP)
	if err != nil {
		cancel()
		return nil, err
	}
	if isEventStream(resp.Header) && resp.StatusCode == http.StatusOK {
		return openEvents(resp, cancel, unwrapREST), nil
	}
	defer cancel()
	r, err := read(resp)
	if err != nil {
		return nil, err
	}
	if r.Status >= 300 {
		return nil, RESTError(r.Status, r.Raw)
	}
	return nil, fmt.Errorf("want a stream of events, got HTTP status %d and type %q", r.Status, r.Header.Get("Content-Type"))
}

// unwrapREST finds an error in a stream, whose status has been sent long ago.
func unwrapREST(frame any) (any, error) {
	m, ok := frame.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("an event is no JSON object")
	}
	if failure, ok := m["error"].(map[string]any); ok {
		code, _ := failure["code"].(float64)
		return nil, RESTError(int(code), frame)
	}
	return frame, nil
}

// RESTError reads google.rpc.Status in JSON (11.6).
func RESTError(status int, raw any) error {
	m, _ := raw.(map[string]any)
	failure, ok := m["error"].(map[string]any)
	if !ok {
		return fmt.Errorf("the answer, with HTTP status %d, has no error object", status)
	}
	message, ok := failure["message"].(string)
	if !ok {
		return fmt.Errorf("the error object lacks a message")
	}
	return restError(status, failure["code"], message, failure["details"])
}
