// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func decode(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func info(reason string) string {
	return `[{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "` + reason + `", "domain": "a2a-protocol.org"}]`
}

func TestErrorsAreNamedOnlyWhereTheBindingSaysSoWithoutContradiction(t *testing.T) {
	t.Parallel()
	const foreign = `[{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TASK_NOT_FOUND", "domain": "example.org"}]`
	rpc := func(code int, details string) *Error { return rpcError(200, code, "m", decode(t, details)) }
	http := func(status int, code any, details string) *Error {
		return restError(status, code, "m", decode(t, details))
	}
	grpc := func(code codes.Code, details string) *Error { return grpcError(code, "m", decode(t, details)) }
	tests := []struct {
		name, want string
		err        *Error
	}{
		{"JSON-RPC with a reason", "TaskNotFoundError", rpc(-32001, info("TASK_NOT_FOUND"))},
		{"JSON-RPC without a reason", "TaskNotFoundError", rpc(-32001, "null")},
		{"JSON-RPC with the reason of another", "", rpc(-32001, info("TASK_NOT_CANCELABLE"))},
		{"JSON-RPC with an unknown code", "", rpc(-32099, "null")},
		{"JSON-RPC's own error", "InvalidParamsError", rpc(-32602, info("INVALID_PARAMS"))},
		{"REST", "UnsupportedOperationError", http(400, 400.0, info("UNSUPPORTED_OPERATION"))},
		{"REST with another status", "", http(409, 409.0, info("UNSUPPORTED_OPERATION"))},
		{"REST with a code that is not the status", "", http(404, 400.0, info("TASK_NOT_FOUND"))},
		{"REST with a code that is no number", "", http(404, "NOT_FOUND", info("TASK_NOT_FOUND"))},
		{"REST without a reason", "", http(404, 404.0, "null")},
		{"REST with the reason of another domain", "", http(404, 404.0, foreign)},
		{"REST, a request that is wrong", "InvalidParamsError", http(400, 400.0, "null")},
		{"gRPC", "TaskNotFoundError", grpc(codes.NotFound, info("TASK_NOT_FOUND"))},
		{"gRPC with another status", "", grpc(codes.Internal, info("TASK_NOT_FOUND"))},
		{"gRPC without a reason", "", grpc(codes.NotFound, "null")},
		{"gRPC, a request that is wrong", "InvalidParamsError", grpc(codes.InvalidArgument, "null")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.err.Name != tt.want || (tt.err.Name == "") == (tt.err.Doubt == "") {
				t.Errorf("got %q (%s), want %q", tt.err.Name, tt.err.Doubt, tt.want)
			}
		})
	}
}

func TestAServerThatBreaksDownDoesNotRefuse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  *Error
		want bool
	}{
		{"a JSON-RPC error", rpcError(200, -32001, "m", nil), true},
		{"a JSON-RPC error of no known code", rpcError(200, -31401, "m", nil), true},
		{"JSON-RPC's internal error", rpcError(200, -32603, "m", nil), false},
		{"a REST error", restError(400, 400.0, "m", nil), true},
		{"a REST error of a method that there is not", restError(501, 501.0, "m", nil), true},
		{"REST's internal error", restError(500, 500.0, "m", nil), false},
		{"REST's unavailable", restError(503, 503.0, "m", nil), false},
		{"a gRPC error", grpcError(codes.NotFound, "m", nil), true},
		{"gRPC's unauthenticated", grpcError(codes.Unauthenticated, "m", nil), true},
		{"gRPC's internal error", grpcError(codes.Internal, "m", nil), false},
		{"gRPC without a connection", grpcError(codes.Unavailable, "m", nil), false},
	}
	for _, tt := range tests {
		if got := tt.err.Refusal(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestEnvelopesOfJSONRPCAreChecked(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body, want string }{
		{"a result", `{"jsonrpc": "2.0", "id": "i", "result": {"x": 1}}`, "map[x:1] <nil>"},
		{"a result that is null", `{"jsonrpc": "2.0", "id": "i", "result": null}`, "<nil> <nil>"},
		{"an error", `{"jsonrpc": "2.0", "id": "i", "error": {"code": -32001, "message": "gone"}}`, "TaskNotFoundError, code -32001: gone"},
		{"another id", `{"jsonrpc": "2.0", "id": "j", "result": {}}`, "id j"},
		{"another version", `{"jsonrpc": "1.0", "id": "i", "result": {}}`, "jsonrpc 1.0"},
		{"both", `{"jsonrpc": "2.0", "id": "i", "result": {}, "error": {}}`, "one of result and error"},
		{"neither", `{"jsonrpc": "2.0", "id": "i"}`, "one of result and error"},
		{"an error without a code", `{"jsonrpc": "2.0", "id": "i", "error": {"message": "x"}}`, "lacks a numeric code"},
		{"no object", `[]`, "no JSON object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := fmt.Sprint(unwrapRPC(200, decode(t, tt.body), "i")); !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestParametersGetTheFormOfTheProtocol(t *testing.T) {
	t.Parallel()
	params := decode(t, `{"taskId": "t", "contextId": "c", "message": {"role": "ROLE_USER"}, "configuration": {"historyLength": 0}}`).(map[string]any)
	got := Request("send_message", params)
	msg := got["message"].(map[string]any)
	if id, _ := msg["messageId"].(string); !strings.HasPrefix(id, "msg-") {
		t.Errorf("messageId %q", id)
	}
	if msg["taskId"] != "t" || msg["contextId"] != "c" || got["taskId"] != nil || got["contextId"] != nil || got["configuration"] == nil {
		t.Errorf("got %v", got)
	}
	if before := params["message"].(map[string]any); params["taskId"] != "t" || before["messageId"] != nil {
		t.Error("the step's own parameters were changed")
	}
	own := Request("send_message", map[string]any{"message": map[string]any{"messageId": "m"}})
	if own["message"].(map[string]any)["messageId"] != "m" {
		t.Error("an id that is there was replaced")
	}
	push := Request("create_push_config", decode(t, `{"taskId": "t", "pushNotificationConfig": {"url": "u"}}`).(map[string]any))
	if want := map[string]any{"taskId": "t", "url": "u"}; !reflect.DeepEqual(push, want) {
		t.Errorf("push config %v, want %v", push, want)
	}
}

func TestRequestsOfRESTHavePathQueryAndBody(t *testing.T) {
	t.Parallel()
	b := &rest{base: "http://x/", opts: Options{Version: "1.0"}}
	tests := []struct{ operation, params, want string }{
		{"send_message", `{"message": {"messageId": "m"}}`, `POST http://x/message:send {"message":{"messageId":"m"}}`},
		{"send_streaming_message", `{}`, `POST http://x/message:stream {}`},
		{"get_task", `{"id": "a/b", "historyLength": 0}`, `GET http://x/tasks/a%2Fb?historyLength=0 `},
		{"list_tasks", `{"contextId": "c d", "includeArtifacts": false}`, `GET http://x/tasks?contextId=c+d&includeArtifacts=false `},
		{"cancel_task", `{"id": "t"}`, `POST http://x/tasks/t:cancel {}`},
		{"subscribe_to_task", `{"id": "t"}`, `POST http://x/tasks/t:subscribe {}`},
		{"get_extended_agent_card", `{}`, `GET http://x/extendedAgentCard `},
		{"create_push_config", `{"taskId": "t", "url": "u"}`, `POST http://x/tasks/t/pushNotificationConfigs {"url":"u"}`},
		{"get_push_config", `{"taskId": "t", "id": "p"}`, `GET http://x/tasks/t/pushNotificationConfigs/p `},
		{"list_push_configs", `{"taskId": "t"}`, `GET http://x/tasks/t/pushNotificationConfigs `},
		{"delete_push_config", `{"taskId": "t", "id": "p"}`, `DELETE http://x/tasks/t/pushNotificationConfigs/p `},
	}
	for _, tt := range tests {
		t.Run(tt.operation, func(t *testing.T) {
			t.Parallel()
			x, err := b.request(tt.operation, decode(t, tt.params).(map[string]any))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%s %s %s", x.method, x.url, x.body); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if x.header["A2A-Version"] != "1.0" || (len(x.body) > 0) != (x.header["Content-Type"] == "application/a2a+json") {
				t.Errorf("headers %v", x.header)
			}
		})
	}
	if _, err := b.request("list_tasks", map[string]any{"x": map[string]any{}}); err == nil {
		t.Error("an object was put into a query")
	}
}

func TestEventsAreSeenByTheirKindAndByTheirMembers(t *testing.T) {
	t.Parallel()
	view := Event{Body: decode(t, `{"statusUpdate": {"taskId": "t", "status": {"state": "X"}}}`)}.View().(map[string]any)
	for _, name := range []string{"statusUpdate", "status_update", "status", "taskId"} {
		if view[name] == nil {
			t.Errorf("%s cannot be seen", name)
		}
	}
	if view := (Event{Body: decode(t, `{"jsonrpc": "2.0", "result": {"task": {}}}`)}).View().(map[string]any); view["task"] != nil || view["jsonrpc"] != "2.0" {
		t.Errorf("a raw event is seen as %v", view)
	}
}

// serve answers every request alike.
func serve(t *testing.T, contentType, body string, status int) (string, Options) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	hc := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
		hc.CloseIdleConnections()
	})
	return "http://" + ln.Addr().String(), Options{HTTP: hc, Version: "1.0"}
}

func TestStreamsOfRESTAreRead(t *testing.T) {
	t.Parallel()
	const failure = `{"error":{"code":404,"status":"NOT_FOUND","message":"gone","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"TASK_NOT_FOUND","domain":"a2a-protocol.org"}]}}`
	tests := []struct {
		name, contentType, body string
		status                  int
		want                    string
	}{
		{"two events", eventStream, "data: {\"task\":{}}\n\ndata: {\"statusUpdate\":{}}\n\n", 200, "2 events, EOF"},
		{"an event and an error", eventStream, "data: {\"task\":{}}\n\ndata: " + failure + "\n\n", 200, "1 events, TaskNotFoundError, code 404: gone"},
		{"an event that is no JSON", eventStream, "data: x\n\n", 200, "0 events, an event is no JSON"},
		{"an event that is cut off", eventStream, "data: {\"task\":{}}", 200, "0 events, unexpected EOF"},
		{"an error in place of a stream", "application/json", failure, 404, "TaskNotFoundError, code 404: gone"},
		{"an answer in place of a stream", "application/json", "{}", 200, "want a stream of events"},
		{"an error that is none", "text/plain", "no", 500, "no error object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			base, o := serve(t, tt.contentType, tt.body, tt.status)
			b, err := Dial("rest", base, o)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if src, err := b.Open(t.Context(), "subscribe_to_task", map[string]any{"id": "t"}); err != nil {
				got = err.Error()
			} else {
				got = drain(src)
				src.Close()
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func drain(src Stream) string {
	for n := 0; ; n++ {
		if _, err := src.Next(); err != nil {
			return fmt.Sprintf("%d events, %v", n, err)
		}
	}
}

func TestStatusesOfGRPCBecomeErrorsWithDetails(t *testing.T) {
	t.Parallel()
	var e *Error
	if err := statusError(status.Error(codes.NotFound, "gone")); !errors.As(err, &e) || e.Code != "NotFound" || e.Details != nil {
		t.Errorf("got %v", err)
	}
	local := errors.New("it never left")
	if err := statusError(local); !errors.Is(err, local) {
		t.Errorf("an error of this process became %v", err)
	}
}

func TestObjectsAreCheckedAgainstTheSchema(t *testing.T) {
	t.Parallel()
	const card = `{"name": "n", "description": "d", "version": "1", "capabilities": {}, "defaultInputModes": ["t"], "defaultOutputModes": ["t"],
		"supportedInterfaces": [{"url": "u", "protocolBinding": "GRPC", "protocolVersion": "1.0"}],
		"skills": [{"id": "i", "name": "n", "description": "d", "tags": ["t"]}]}`
	const task = `{"task": {"id": "t", "status": {"state": "TASK_STATE_WORKING"}}}`
	tests := []struct{ name, typeName, object, want string }{
		{"a card", "AgentCard", card, "<nil>"},
		{"a card with members of 0.3", "AgentCard", strings.Replace(card, `"name"`, `"url": "u", "additionalInterfaces": [], "name"`, 1), "<nil>"},
		{"a card with an unknown member", "AgentCard", strings.Replace(card, `"name"`, `"colour": "red", "name"`, 1), "colour"},
		{"a card without a version", "AgentCard", strings.Replace(card, `"version": "1",`, "", 1), "version is missing"},
		{"a card with half an interface", "AgentCard", strings.Replace(card, `"url": "u", `, "", 1), "supportedInterfaces[0].url is missing"},
		{"a task", "SendMessageResponse", task, "<nil>"},
		{"a task without an id", "SendMessageResponse", strings.Replace(task, `"id": "t", `, "", 1), "task.id is missing"},
		{"a task in a state that there is not", "SendMessageResponse", strings.Replace(task, "WORKING", "DANCING", 1), "TASK_STATE_DANCING"},
		{"a type that is not at hand", "Tusk", `{}`, "not at hand"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := fmt.Sprint(CheckSchema(tt.typeName, decode(t, tt.object))); !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
