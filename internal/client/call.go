// SPDX-License-Identifier: Apache-2.0

package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// call is one operation in the words of both bindings.
type call struct {
	method string // JSON-RPC
	params any

	verb, path string // HTTP+JSON; path is below the interface's URL and tenant
	query      url.Values
	body       any

	stream      bool
	key         string // Idempotency-Key
	lastEventID string
}

// binding turns calls into HTTP and answers back into A2A's own JSON.
type binding interface {
	// encode returns the verb, URL and body of a call.
	encode(c call) (verb, target string, body []byte, err error)
	// answer unwraps a whole answer with a 2xx status.
	answer(body []byte) (json.RawMessage, error)
	// frame unwraps the data of one server-sent event: a StreamResponse or an *Error.
	frame(data []byte) (json.RawMessage, error)
}

func sendCall(req *a2a.SendMessageRequest, key string, stream bool) call {
	c := call{method: "SendMessage", params: req, verb: http.MethodPost, path: "/message:send", body: req, key: key}
	if stream {
		c.method, c.path, c.stream = "SendStreamingMessage", "/message:stream", true
	}
	return c
}

func getCall(req *a2a.GetTaskRequest) call {
	q := url.Values{}
	setInt(q, "historyLength", req.HistoryLength)
	return call{method: "GetTask", params: req, verb: http.MethodGet, path: "/tasks/" + url.PathEscape(string(req.ID)), query: q}
}

func listCall(req *a2a.ListTasksRequest) call {
	q := url.Values{}
	setString(q, "contextId", req.ContextID)
	setString(q, "status", string(req.Status))
	setString(q, "pageToken", req.PageToken)
	setInt(q, "historyLength", req.HistoryLength)
	if req.PageSize != 0 {
		q.Set("pageSize", strconv.Itoa(req.PageSize))
	}
	if req.StatusTimestampAfter != nil {
		q.Set("statusTimestampAfter", req.StatusTimestampAfter.UTC().Format(time.RFC3339Nano))
	}
	if req.IncludeArtifacts {
		q.Set("includeArtifacts", "true")
	}
	return call{method: "ListTasks", params: req, verb: http.MethodGet, path: "/tasks", query: q}
}

func cancelCall(req *a2a.CancelTaskRequest) call {
	return call{
		method: "CancelTask", params: req,
		verb: http.MethodPost, path: "/tasks/" + url.PathEscape(string(req.ID)) + ":cancel", body: req,
	}
}

func subscribeCall(req *a2a.SubscribeToTaskRequest, lastEventID string) call {
	return call{
		method: "SubscribeToTask", params: req, stream: true, lastEventID: lastEventID,
		verb: http.MethodPost, path: "/tasks/" + url.PathEscape(string(req.ID)) + ":subscribe",
	}
}

func setString(q url.Values, key, value string) {
	if value != "" {
		q.Set(key, value)
	}
}

func setInt(q url.Values, key string, value *int) {
	if value != nil {
		q.Set(key, strconv.Itoa(*value))
	}
}

// jsonrpc is the JSON-RPC binding: one URL, envelopes both ways.
type jsonrpc struct{ url string }

func (b jsonrpc) encode(c call) (string, string, []byte, error) {
	// One request a connection at a time needs no distinct ids.
	body, err := json.Marshal(struct {
		JSONRPC string `json:"jsonrpc"`
		ID      string `json:"id"`
		Method  string `json:"method"`
		Params  any    `json:"params"`
	}{"2.0", "1", c.method, c.params})
	if err != nil {
		return "", "", nil, fmt.Errorf("encode %s: %w", c.method, err)
	}
	return http.MethodPost, b.url, body, nil
}

func (b jsonrpc) answer(body []byte) (json.RawMessage, error) {
	var env struct {
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(body, &env); err != nil {
		return nil, fmt.Errorf("decode the JSON-RPC envelope: %w", err)
	}
	if len(env.Error) > 0 && string(env.Error) != "null" {
		return nil, streamedError(body)
	}
	if len(env.Result) == 0 {
		return nil, fmt.Errorf("the JSON-RPC envelope holds neither result nor error")
	}
	return env.Result, nil
}

func (b jsonrpc) frame(data []byte) (json.RawMessage, error) { return b.answer(data) }

// rest is the HTTP+JSON binding.
type rest struct{ base string } // the interface's URL and tenant, no slash at the end

func (b rest) encode(c call) (string, string, []byte, error) {
	target := b.base + c.path
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	if c.body == nil {
		return c.verb, target, nil, nil
	}
	body, err := json.Marshal(c.body)
	if err != nil {
		return "", "", nil, fmt.Errorf("encode %s: %w", c.method, err)
	}
	return c.verb, target, body, nil
}

func (b rest) answer(body []byte) (json.RawMessage, error) {
	if !json.Valid(body) {
		return nil, fmt.Errorf("the answer is no JSON")
	}
	return body, nil
}

func (b rest) frame(data []byte) (json.RawMessage, error) {
	var env struct {
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(data, &env); err != nil {
		return nil, fmt.Errorf("decode the event: %w", err)
	}
	if len(env.Error) > 0 {
		return nil, streamedError(data)
	}
	return data, nil
}

// streamedError reads an error that came with a 2xx status.
func streamedError(body []byte) error {
	if err := decodeError(body, 0); err != nil {
		return err
	}
	return errors.New("the error in the answer cannot be read")
}

// decodeError reads the error of either binding: a JSON-RPC envelope or a
// google.rpc.Status. It returns nil where body is neither. status is the HTTP
// status, 0 inside a stream.
func decodeError(body []byte, status int) error {
	type detail struct {
		Type   string `json:"@type"`
		Reason string `json:"reason"`
		Domain string `json:"domain"`
	}
	var env struct {
		Error *struct {
			Code    int             `json:"code"`
			Message string          `json:"message"`
			Data    json.RawMessage `json:"data"`
			Details []detail        `json:"details"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &env) != nil || env.Error == nil {
		return nil
	}
	e := &Error{Code: env.Error.Code, Message: env.Error.Message, HTTPStatus: status}
	details := env.Error.Details
	var data []detail
	if json.Unmarshal(env.Error.Data, &data) == nil {
		details = append(details, data...)
	}
	for _, d := range details {
		if d.Reason != "" && (d.Domain == "" || d.Domain == a2a.ProtocolDomain) {
			e.Reason = d.Reason
		}
	}
	if e.HTTPStatus == 0 && e.Code >= 100 && e.Code < 600 {
		e.HTTPStatus = e.Code
	}
	if e.Code == 0 {
		e.Code = status
	}
	e.Name = nameOfReason(e.Reason)
	if e.Name == "" {
		e.Name = nameOfCode(e.Code)
	}
	if e.Name == "" {
		e.Name = nameOfStatus(e.HTTPStatus)
	}
	return e
}
