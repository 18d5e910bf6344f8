// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/server"
	"github.com/errand-a2a/errand/internal/task"
)

const message = `{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"hi"}]}}`

// operations is every call of both bindings that reaches an engine.
var operations = []struct {
	name               string
	rpc                string
	method, path, body string
	streaming          bool
	result             string
}{
	{"send", rpc("SendMessage", message), "POST", "/message:send", message, false, `{"task":` + taskJSON + `}`},
	{"stream", rpc("SendStreamingMessage", message), "POST", "/message:stream", message, true, ""},
	{"get", rpc("GetTask", `{"id":"t-1"}`), "GET", "/tasks/t-1", "", false, taskJSON},
	{"list", rpc("ListTasks", ""), "GET", "/tasks", "", false, `{"tasks":[` + taskJSON + `],"nextPageToken":"","pageSize":50,"totalSize":1}`},
	{"cancel", rpc("CancelTask", `{"id":"t-1"}`), "POST", "/tasks/t-1:cancel", "", false, taskJSON},
	{"subscribe", rpc("SubscribeToTask", `{"id":"t-1"}`), "POST", "/tasks/t-1:subscribe", "", true, ""},
	{"subscribe by GET", rpc("SubscribeToTask", `{"id":"t-1"}`), "GET", "/tasks/t-1:subscribe", "", true, ""},
}

type rpcAnswer struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Code    int               `json:"code"`
		Message string            `json:"message"`
		Data    []json.RawMessage `json:"data"`
	} `json:"error"`
}

func decodeRPC(t *testing.T, w *httptest.ResponseRecorder) rpcAnswer {
	t.Helper()
	body := w.Body.String()
	if w.Header().Get("Content-Type") == "text/event-stream" {
		data, ok := strings.CutPrefix(body, "data: ")
		if data, ok2 := strings.CutSuffix(data, "\n\n"); ok && ok2 && !strings.Contains(data, "\n") {
			body = data
		} else {
			t.Fatalf("not one frame: %q", body)
		}
	}
	var a rpcAnswer
	if err := json.Unmarshal([]byte(body), &a); err != nil || a.JSONRPC != "2.0" {
		t.Fatalf("%v: %q", err, body)
	}
	return a
}

type restError struct {
	Error struct {
		Code    int               `json:"code"`
		Status  string            `json:"status"`
		Message string            `json:"message"`
		Details []json.RawMessage `json:"details"`
	} `json:"error"`
}

func decodeREST(t *testing.T, w *httptest.ResponseRecorder) restError {
	t.Helper()
	var a restError
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Header().Get("Content-Type") != binding.JSON {
		t.Fatalf("%v: %s %q", err, w.Header().Get("Content-Type"), w.Body)
	}
	return a
}

// reasonOf returns the reason of the ErrorInfo, which must come first.
func reasonOf(t *testing.T, details []json.RawMessage) string {
	t.Helper()
	var info struct {
		Type   string `json:"@type"`
		Reason string `json:"reason"`
		Domain string `json:"domain"`
	}
	if len(details) == 0 || json.Unmarshal(details[0], &info) != nil || info.Type != "type.googleapis.com/google.rpc.ErrorInfo" || info.Domain != "a2a-protocol.org" {
		t.Errorf("no ErrorInfo: %s", details)
	}
	return info.Reason
}

func TestAnswersAreTheEnginesBytes(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		if op.streaming {
			continue
		}
		h := setup(t, &fake{})
		w := do(h, "POST", "/", op.rpc)
		if want := `{"jsonrpc":"2.0","id":"r","result":` + op.result + `}`; w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %s", op.name, w.Code, w.Header(), w.Body)
		}
		w = do(h, op.method, op.path, op.body)
		if w.Code != 200 || w.Body.String() != op.result || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %s", op.name, w.Code, w.Header(), w.Body)
		}
		if got := w.Header().Get("Content-Length"); got != fmt.Sprint(len(op.result)) {
			t.Errorf("%s: Content-Length %q", op.name, got)
		}
	}
}

func TestEveryErrorOfTheEngineInBothBindings(t *testing.T) {
	t.Parallel()
	for _, kind := range []error{
		a2a.ErrTaskNotFound, a2a.ErrTaskNotCancelable, a2a.ErrPushNotificationNotSupported, a2a.ErrUnsupportedOperation, a2a.ErrUnsupportedContentType,
		a2a.ErrInvalidAgentResponse, a2a.ErrExtendedCardNotConfigured, a2a.ErrExtensionSupportRequired, a2a.ErrVersionNotSupported, a2a.ErrParseError,
		a2a.ErrInvalidRequest, a2a.ErrMethodNotFound, a2a.ErrInvalidParams, a2a.ErrInternalError, a2a.ErrServerError, a2a.ErrUnauthenticated, a2a.ErrUnauthorized,
		task.ErrUnavailable, task.ErrKeyConflict, task.ErrTooLarge, task.ErrInvalidEvent, task.ErrClosed, nil,
	} {
		want, ok := binding.KindOf(kind)
		err, text := error(task.Errorf(kind, "a text for the client")), "a text for the client"
		if !ok {
			want, _ = binding.KindOf(a2a.ErrInternalError)
			err, text = errors.New("secret"), "internal error"
		}
		for _, op := range operations {
			h := setup(t, &fake{err: err})
			name := fmt.Sprintf("%v from %s", kind, op.name)

			w := do(h, "POST", "/", op.rpc)
			a := decodeRPC(t, w)
			status := 200
			if want.Transport {
				status = want.HTTP
			}
			if w.Code != status || string(a.ID) != `"r"` || a.Result != nil || a.Error == nil || a.Error.Code != want.Code || a.Error.Message != text || reasonOf(t, a.Error.Data) != want.Reason {
				t.Errorf("%s by JSON-RPC: %d %s", name, w.Code, w.Body)
			}
			if stream := w.Header().Get("Content-Type") == "text/event-stream"; stream != (op.streaming && !want.Transport) {
				t.Errorf("%s by JSON-RPC: a stream: %v", name, stream)
			}

			w2 := do(h, op.method, op.path, op.body)
			b := decodeREST(t, w2).Error
			if w2.Code != want.HTTP || b.Code != want.HTTP || b.Status != want.Status || b.Message != text || reasonOf(t, b.Details) != want.Reason {
				t.Errorf("%s by REST: %d %s", name, w2.Code, w2.Body)
			}
			if later := w.Header().Get("Retry-After") != "" && w2.Header().Get("Retry-After") != ""; later != (kind == task.ErrUnavailable) {
				t.Errorf("%s: Retry-After: %v", name, later)
			}
		}
	}
}

func TestWhatIsReadReachesTheEngine(t *testing.T) {
	t.Parallel()
	seven := 7
	for _, tt := range []struct {
		name               string
		rpc                string
		method, path, body string
		want               any
	}{
		{"get", rpc("GetTask", `{"id":"a/b:c","history_length":7}`), "GET", "/tasks/a%2Fb:c?historyLength=7", "", &a2a.GetTaskRequest{ID: "a/b:c", HistoryLength: &seven}},
		{"list", rpc("ListTasks", `{"contextId":"c","pageSize":5}`), "GET", "/tasks?context_id=c&pageSize=5", "", &a2a.ListTasksRequest{ContextID: "c", PageSize: 5}},
		{"cancel with metadata", rpc("CancelTask", `{"id":"x","metadata":{"why":"no"}}`), "POST", "/tasks/x:cancel", `{"metadata":{"why":"no"}}`,
			&a2a.CancelTaskRequest{ID: "x", Metadata: map[string]any{"why": "no"}}},
		{"cancel with the id again", rpc("CancelTask", `{"id":"x"}`), "POST", "/tasks/x:cancel", `{"id":"x"}`, &a2a.CancelTaskRequest{ID: "x"}},
		{"subscribe", rpc("SubscribeToTask", `{"id":"x"}`), "POST", "/tasks/x:subscribe", `{}`, &a2a.SubscribeToTaskRequest{ID: "x"}},
	} {
		f := &fake{}
		h := setup(t, f)
		do(h, "POST", "/", tt.rpc)
		if _, got := f.last(); !cmp.Equal(tt.want, got) {
			t.Errorf("%s by JSON-RPC: %s", tt.name, cmp.Diff(tt.want, got))
		}
		f.req = nil
		do(h, tt.method, tt.path, tt.body)
		if _, got := f.last(); !cmp.Equal(tt.want, got) {
			t.Errorf("%s by REST: %s", tt.name, cmp.Diff(tt.want, got))
		}
	}
}

// differs compares calls. The headers are there for interceptors, whole.
func differs(want, got engine.Call) string {
	if got.Headers["Cookie"] == nil {
		return "no headers"
	}
	got.Headers = nil
	return cmp.Diff(want, got, cmpopts.IgnoreUnexported(engine.Call{}))
}

func TestKeyAndParametersReachTheEngine(t *testing.T) {
	t.Parallel()
	headers := []string{"Idempotency-Key", "k-1", "Traceparent", "00-1", "Authorization", "Bearer secret", "Cookie", "secret", "A2A-Version", "1.0"}
	want := engine.Call{Key: "k-1", Params: map[string][]string{"traceparent": {"00-1"}, "a2a-version": {"1.0"}}}
	for _, op := range operations[:2] {
		f := &fake{}
		h := setup(t, f)
		do(h, "POST", "/", op.rpc, headers...)
		if got, _ := f.last(); differs(want, got) != "" {
			t.Errorf("%s by JSON-RPC: %s", op.name, differs(want, got))
		}
		f.call = engine.Call{}
		do(h, op.method, op.path, op.body, headers...)
		if got, _ := f.last(); differs(want, got) != "" {
			t.Errorf("%s by REST: %s", op.name, differs(want, got))
		}
	}
}

// refusals are what a binding answers without its engine.
func TestRefusalsOfBothBindings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		method  string
		target  string
		body    string
		headers []string
		status  int
		code    int // of JSON-RPC; 0 for REST
		reason  string
		text    string
	}{
		{"no JSON", "POST", "/", `{this is not valid json`, nil, 200, -32700, "PARSE_ERROR", "byte 1"},
		{"no JSON", "POST", "/message:send", `{this is not valid json`, nil, 400, 0, "PARSE_ERROR", "byte 1"},
		{"a key twice", "POST", "/", `{"jsonrpc":"2.0","id":1,"id":2,"method":"ListTasks"}`, nil, 200, -32700, "PARSE_ERROR", `"id" stands twice`},
		{"a key twice, deep", "POST", "/message:send", `{"message":{"metadata":{"a":{"b":1,"b":2}}}}`, nil, 400, 0, "PARSE_ERROR", `"b" stands twice`},
		{"bytes after it", "POST", "/message:send", message + `x`, nil, 400, 0, "PARSE_ERROR", "more follows"},
		{"a batch", "POST", "/", `[` + rpc("ListTasks", "") + `]`, nil, 200, -32600, "INVALID_REQUEST", "batch"},
		{"no method", "POST", "/", `{"jsonrpc":"2.0","id":1,"params":{}}`, nil, 200, -32600, "INVALID_REQUEST", "method"},
		{"an unknown method", "POST", "/", rpc("DoSomethingUnsupported", `{}`), nil, 200, -32601, "METHOD_NOT_FOUND", "DoSomethingUnsupported"},
		{"a wrong type", "POST", "/", rpc("GetTask", `{"id":5}`), nil, 200, -32602, "INVALID_PARAMS", "id: must be a string"},
		{"positional params", "POST", "/", rpc("GetTask", `["t"]`), nil, 200, -32602, "INVALID_PARAMS", "params: must be an object"},
		{"page size 0", "POST", "/", rpc("ListTasks", `{"pageSize":0}`), nil, 200, -32602, "INVALID_PARAMS", "pageSize: must be between 1 and 100"},
		{"page size 0", "GET", "/tasks?pageSize=0", "", nil, 400, 0, "INVALID_PARAMS", "pageSize: must be between 1 and 100"},
		{"a negative history", "GET", "/tasks/t?historyLength=-1", "", nil, 400, 0, "INVALID_PARAMS", "historyLength"},
		{"no message", "POST", "/message:stream", `{}`, nil, 400, 0, "INVALID_PARAMS", "message: is required"},
		{"no body", "POST", "/message:send", ``, nil, 400, 0, "INVALID_PARAMS", "message: is required"},
		{"no body", "POST", "/", ``, nil, 200, -32700, "PARSE_ERROR", "empty"},
		{"another id in the body", "POST", "/tasks/x:cancel", `{"id":"y"}`, nil, 400, 0, "INVALID_PARAMS", "id:"},
		{"an id that is no text", "GET", "/tasks/%FF", "", nil, 400, 0, "INVALID_PARAMS", "id:"},

		{"text/plain", "POST", "/", rpc("ListTasks", ""), []string{"Content-Type", "text/plain"}, 415, -32600, "UNSUPPORTED_MEDIA_TYPE", "text/plain"},
		{"text/plain", "POST", "/message:send", message, []string{"Content-Type", "text/plain"}, 415, 0, "UNSUPPORTED_MEDIA_TYPE", "text/plain"},
		{"gzip", "POST", "/message:send", message, []string{"Content-Encoding", "gzip"}, 415, 0, "UNSUPPORTED_MEDIA_TYPE", "gzip"},
		{"gzip", "POST", "/", message, []string{"Content-Encoding", "gzip"}, 415, -32600, "UNSUPPORTED_MEDIA_TYPE", "gzip"},
		{"a large body", "POST", "/", strings.Repeat(" ", 4<<20) + "{}", nil, 413, -32602, "TOO_LARGE", "4194304"},
		{"a large body", "POST", "/message:send", strings.Repeat(" ", 4<<20) + "{}", nil, 413, 0, "TOO_LARGE", "4194304"},

		{"a bad key", "POST", "/", rpc("SendMessage", message), []string{"Idempotency-Key", "a b"}, 200, -32602, "INVALID_PARAMS", "Idempotency-Key"},
		{"a bad key", "POST", "/message:send", message, []string{"Idempotency-Key", strings.Repeat("x", 256)}, 400, 0, "INVALID_PARAMS", "Idempotency-Key"},
		{"a bad cursor", "POST", "/", rpc("SubscribeToTask", `{"id":"t"}`), []string{"Last-Event-ID", "x"}, 200, -32602, "INVALID_PARAMS", "Last-Event-ID"},
		{"a bad cursor", "GET", "/tasks/t:subscribe", "", []string{"Last-Event-ID", "-1"}, 400, 0, "INVALID_PARAMS", "Last-Event-ID"},

		{"another version", "POST", "/", rpc("SendMessage", message), []string{"A2A-Version", "99.0"}, 200, -32009, "VERSION_NOT_SUPPORTED", "99.0"},
		{"another version", "POST", "/", rpc("SendStreamingMessage", message), []string{"A2A-Version", "99.0"}, 200, -32009, "VERSION_NOT_SUPPORTED", "99.0"},
		{"another version", "POST", "/message:send", message, []string{"A2A-Version", "0.5"}, 400, 0, "VERSION_NOT_SUPPORTED", "A2A-Version with 1.0"},
		{"a method of 1.0 under 0.3", "POST", "/", rpc("GetTask", `{}`), []string{"A2A-Version", "0.3"}, 200, -32601, "METHOD_NOT_FOUND", "A2A-Version: 1.0"},
		{"a path of 1.0 under 0.3", "GET", "/tasks/t", "", []string{"A2A-Version", "0.3.0"}, 400, 0, "VERSION_NOT_SUPPORTED", "A2A-Version: 1.0"},
		{"another version as a parameter", "GET", "/tasks/t?A2A-Version=0.5", "", nil, 400, 0, "VERSION_NOT_SUPPORTED", "0.5"},
		{"another version as a parameter", "POST", "/?A2A-Version=0.5", rpc("ListTasks", ""), nil, 200, -32009, "VERSION_NOT_SUPPORTED", "0.5"},
		{"a method of 0.3 under 1.0", "POST", "/", rpc("tasks/get", `{}`), []string{"A2A-Version", "1.0"}, 200, -32601, "METHOD_NOT_FOUND", "use GetTask"},
		{"a method older than versions", "POST", "/", rpc("tasks/send", `{}`), nil, 200, -32601, "METHOD_NOT_FOUND", "use SendMessage"},
		{"a streaming method older than versions", "POST", "/", rpc("tasks/sendSubscribe", `{}`), nil, 200, -32601, "METHOD_NOT_FOUND", "use SendStreamingMessage"},
		{"a path of 0.3 under 1.0", "POST", "/v1/message:send", message, []string{"A2A-Version", "1.0"}, 404, 0, "METHOD_NOT_FOUND", "use \"/message:send\""},

		{"an unknown agent", "POST", "/", rpc("SendMessage", `{"tenant":"billing",`+message[1:]), nil, 200, -32602, "INVALID_PARAMS", "tenant:"},
		{"an unknown agent", "POST", "/", rpc("GetExtendedAgentCard", `{"tenant":"billing"}`), nil, 200, -32602, "INVALID_PARAMS", "tenant:"},
		{"an unknown agent in the path", "GET", "/billing/tasks", "", nil, 400, 0, "INVALID_PARAMS", "tenant:"},
		{"an unknown agent in the query", "GET", "/tasks/t?tenant=billing", "", nil, 400, 0, "INVALID_PARAMS", "tenant:"},
		{"an unknown agent in the body", "POST", "/tasks/t:cancel", `{"tenant":"billing"}`, nil, 400, 0, "INVALID_PARAMS", "tenant:"},
		{"two agents", "POST", "/a/message:send?tenant=b", message, nil, 400, 0, "INVALID_PARAMS", "two agents"},

		{"push", "POST", "/", rpc("CreateTaskPushNotificationConfig", `{"taskId":"t","url":"https://x"}`), nil, 200, -32003, "PUSH_NOTIFICATION_NOT_SUPPORTED", "push"},
		{"push", "POST", "/", rpc("GetTaskPushNotificationConfig", `{}`), nil, 200, -32003, "PUSH_NOTIFICATION_NOT_SUPPORTED", "push"},
		{"push", "POST", "/", rpc("ListTaskPushNotificationConfigs", `{}`), nil, 200, -32003, "PUSH_NOTIFICATION_NOT_SUPPORTED", "push"},
		{"push", "POST", "/", rpc("DeleteTaskPushNotificationConfig", ``), nil, 200, -32003, "PUSH_NOTIFICATION_NOT_SUPPORTED", "push"},
		{"push", "POST", "/tasks/t/pushNotificationConfigs", `{"url":"https://x"}`, nil, 400, 0, "PUSH_NOTIFICATION_NOT_SUPPORTED", "push"},
		{"push", "GET", "/tasks/t/pushNotificationConfigs", "", nil, 400, 0, "PUSH_NOTIFICATION_NOT_SUPPORTED", "push"},
		{"push", "GET", "/tasks/t/pushNotificationConfigs/c", "", nil, 400, 0, "PUSH_NOTIFICATION_NOT_SUPPORTED", "push"},
		{"push", "DELETE", "/tasks/t/pushNotificationConfigs/c", "", nil, 400, 0, "PUSH_NOTIFICATION_NOT_SUPPORTED", "push"},
		{"push in a message", "POST", "/message:send", `{"configuration":{"taskPushNotificationConfig":{"url":"x"}},` + message[1:], nil, 400, 0, "PUSH_NOTIFICATION_NOT_SUPPORTED", "push"},
		{"the extended card", "POST", "/", rpc("GetExtendedAgentCard", ""), nil, 200, -32004, "UNSUPPORTED_OPERATION", "extended card"},
		{"the extended card", "GET", "/extendedAgentCard", "", nil, 400, 0, "UNSUPPORTED_OPERATION", "extended card"},

		{"GET at the base path", "GET", "/", "", nil, 405, -32600, "METHOD_NOT_ALLOWED", "use POST"},
		{"GET of a verb", "GET", "/tasks/t:cancel", "", nil, 405, 0, "METHOD_NOT_ALLOWED", "use POST"},
		{"DELETE of a task", "DELETE", "/tasks/t", "", nil, 405, 0, "METHOD_NOT_ALLOWED", "GET"},
		{"an unknown path", "GET", "/nothing", "", nil, 404, 0, "METHOD_NOT_FOUND", "/nothing"},
		{"an unknown path", "GET", "/livez/x", "", nil, 404, 0, "METHOD_NOT_FOUND", "/livez/x"},
		{"a reserved path", "GET", "/admin/tasks", "", nil, 404, 0, "METHOD_NOT_FOUND", "/admin/tasks"},
	} {
		f := &fake{}
		w := do(setup(t, f), tt.method, tt.target, tt.body, tt.headers...)
		name := fmt.Sprintf("%s: %s %s %.60s", tt.name, tt.method, tt.target, tt.body)
		if _, asked := f.last(); asked != nil {
			t.Errorf("%s: the engine was asked", name)
		}
		if w.Code == 405 && w.Header().Get("Allow") == "" {
			t.Errorf("%s: no Allow", name)
		}
		if tt.code != 0 {
			a := decodeRPC(t, w)
			if w.Code != tt.status || a.Error == nil || a.Error.Code != tt.code || !strings.Contains(a.Error.Message, tt.text) || reasonOf(t, a.Error.Data) != tt.reason {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
			continue
		}
		a := decodeREST(t, w)
		if w.Code != tt.status || !strings.Contains(a.Error.Message, tt.text) || reasonOf(t, a.Error.Details) != tt.reason {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestStrictVersionSaysWhatToSend(t *testing.T) {
	t.Parallel()
	h := build(t, &fake{}, binding.Options{StrictVersion: true}, server.Options{})
	for _, w := range []*httptest.ResponseRecorder{do(h, "POST", "/", rpc("ListTasks", "")), do(h, "GET", "/tasks", "")} {
		if !strings.Contains(w.Body.String(), "VERSION_NOT_SUPPORTED") || !strings.Contains(w.Body.String(), "A2A-Version: 1.0") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	for _, w := range []*httptest.ResponseRecorder{do(h, "POST", "/", rpc("ListTasks", ""), "A2A-Version", "1.0"), do(h, "GET", "/tasks?A2A-Version=1.0", "")} {
		if w.Code != 200 || strings.Contains(w.Body.String(), "error") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

func TestRESTAnswersInTheTypeThatIsAskedFor(t *testing.T) {
	t.Parallel()
	h := setup(t, &fake{})
	for accept, want := range map[string]string{
		"":                                      "application/json",
		"*/*":                                   "application/json",
		"text/event-stream":                     "application/json",
		"application/a2a+json":                  "application/a2a+json",
		"text/html, application/a2a+json;q=0.9": "application/a2a+json",
	} {
		for _, path := range []string{"/tasks/t", "/nothing"} {
			w := do(h, "GET", path, "", "Accept", accept)
			if got := w.Header().Get("Content-Type"); got != want {
				t.Errorf("%q %s: %s, want %s", accept, path, got, want)
			}
		}
	}
}

func TestRESTAnswersInTheTypeThatWasSent(t *testing.T) {
	t.Parallel()
	h := setup(t, &fake{})
	for sent, want := range map[string]string{"application/json": "application/json", "application/a2a+json": "application/a2a+json"} {
		for _, path := range []string{"/message:send", "/tasks/t:nothing"} {
			if got := do(h, "POST", path, message, "Content-Type", sent).Header().Get("Content-Type"); got != want {
				t.Errorf("%s to %s: answered in %s", sent, path, got)
			}
		}
		if got := do(h, "POST", "/message:send", message, "Content-Type", sent, "Accept", "*/*").Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%s, accepting everything: answered in %s", sent, got)
		}
	}
}

func TestHEADIsGETWithoutABody(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(setup(t, &fake{}))
	t.Cleanup(srv.Close)
	res, err := http.Head(srv.URL + "/tasks/t-1")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 || res.ContentLength != int64(len(taskJSON)) {
		t.Errorf("status %d, length %d", res.StatusCode, res.ContentLength)
	}
}

// A buffer that one request gave back must not shine through in another.
func TestPooledBodiesDoNotMix(t *testing.T) {
	t.Parallel()
	f := &fake{}
	h := setup(t, f)
	for i := range 100 {
		text := strings.Repeat(string(rune('a'+i%26)), 50+i)
		do(h, "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"`+text+`","parts":[{"text":"`+text+`"},{"data":"`+text+`"}]}}}`)
		_, req := f.last()
		do(h, "POST", "/", rpc("GetTask", `{"id":"`+strings.Repeat("#", 300)+`"}`))
		m := req.(*a2a.SendMessageRequest).Message
		if m.ID != text || m.Parts[0].Text() != text || m.Parts[1].Data() != text {
			t.Fatalf("%d: %+v", i, m)
		}
	}
}

type nobody struct{ header http.Header }

func (w nobody) Header() http.Header         { return w.header }
func (w nobody) Write(b []byte) (int, error) { return len(b), nil }
func (w nobody) WriteHeader(int)             {}

func BenchmarkSend(b *testing.B) {
	h := setup(b, &fake{})
	for _, op := range []struct{ name, path, body string }{{"jsonrpc", "/", rpc("SendMessage", message)}, {"rest", "/message:send", message}} {
		b.Run(op.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("POST", op.path, strings.NewReader(op.body))
				r.Header.Set("Content-Type", binding.JSON)
				h.ServeHTTP(nobody{http.Header{}}, r)
			}
		})
	}
}
