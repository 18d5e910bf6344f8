// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
)

// jsonRPC is the JSON-RPC binding (section 9).
type jsonRPC struct {
	url  string
	opts Options
}

func rpcMethod(operation string) string {
	switch operation {
	case "send_message":
		return "SendMessage"
	case "send_streaming_message":
		return "SendStreamingMessage"
	case "get_task":
		return "GetTask"
	case "list_tasks":
		return "ListTasks"
	case "cancel_task":
		return "CancelTask"
	case "subscribe_to_task":
		return "SubscribeToTask"
	case "get_extended_agent_card":
		return "GetExtendedAgentCard"
	case "create_push_config":
		return "CreateTaskPushNotificationConfig"
	case "get_push_config":
		return "GetTaskPushNotificationConfig"
	case "list_push_configs":
		return "ListTaskPushNotificationConfigs"
	case "delete_push_config":
		return "DeleteTaskPushNotificationConfig"
	}
	return ""
}

func (b *jsonRPC) Close() error { return nil }

// request makes the envelope and tells its id.
func (b *jsonRPC) request(operation string, params map[string]any, accept string) (exchange, string, error) {
	method := rpcMethod(operation)
	if method == "" {
		return exchange{}, "", fmt.Errorf("JSON-RPC has no operation %s", operation)
	}
	id := "acts-" + rand.Text()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	if err != nil {
		return exchange{}, "", fmt.Errorf("encode the request: %w", err)
	}
	header := map[string]string{"Content-Type": "application/json", "Accept": accept, "A2A-Version": b.opts.Version}
	return exchange{http.MethodPost, b.url, header, body}, id, nil
}

func (b *jsonRPC) Call(ctx context.Context, operation string, params map[string]any) (*Response, error) {
	if operation == "get_agent_card" {
		return getCard(ctx, b.url, b.opts)
	}
	x, id, err := b.request(operation, params, "application/json")
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
	r.Body, err = unwrapRPC(r.Status, r.Raw, id)
	return r, err
}

func (b *jsonRPC) Open(ctx context.Context, operation string, params map[string]any) (Stream, error) {
	x, id, err := b.request(operation, params, eventStream)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	resp, err := x.do(ctx, b.opts.HTTP)
	if err != nil {
		cancel()
		return nil, err
	}
	if isEventStream(resp.Header) {
		return openEvents(resp, cancel, func(frame any) (any, error) { return unwrapRPC(resp.StatusCode, frame, id) }), nil
	}
	defer cancel()
	r, err := read(resp)
	if err != nil {
		return nil, err
	}
	if _, err := unwrapRPC(r.Status, r.Raw, id); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("want a stream of events, got an answer of type %q", r.Header.Get("Content-Type"))
}

// unwrapRPC checks an envelope and returns its result, or its error as an *Error.
func unwrapRPC(status int, raw any, id string) (any, error) {
	env, ok := raw.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the answer, with HTTP status %d, is no JSON object", status)
	}
	if env["jsonrpc"] != "2.0" || env["id"] != id {
		return nil, fmt.Errorf("the answer has jsonrpc %v and id %v, the request 2.0 and %s", env["jsonrpc"], env["id"], id)
	}
	result, has := env["result"]
	failure, failed := env["error"]
	if has == failed {
		return nil, fmt.Errorf("the answer must have one of result and error")
	}
	if has {
		return result, nil
	}
	return nil, RPCError(status, failure)
}

// RPCError reads the error object of an envelope.
func RPCError(status int, v any) error {
	m, _ := v.(map[string]any)
	code, ok := m["code"].(float64)
	message, isText := m["message"].(string)
	if !ok || !isText {
		return fmt.Errorf("the error object lacks a numeric code or a message")
	}
	return rpcError(status, int(code), message, m["data"])
}
