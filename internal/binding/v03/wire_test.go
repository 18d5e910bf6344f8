// SPDX-License-Identifier: Apache-2.0

package v03_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/node"
)

const hello = `{"message":{"kind":"message","messageId":"m","role":"user","parts":[{"kind":"text","text":"echo hello"}]}}`

func TestIdsComeBackAsTheyCame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, method := range []string{"message/send", "message/stream", "tasks/get"} {
		for _, id := range []string{`9007199254740993`, `123456789012345678901234567890`, `"\u00e9"`, `null`, `1.50`} {
			got := w.do(http.MethodPost, "/", `{"jsonrpc":"2.0","method":"`+method+`","params":`+hello+`,"id":`+id+`}`)
			if !strings.Contains(got.body, `"id":`+id+`,`) {
				t.Errorf("%s with id %s is answered with %s", method, id, got.body)
			}
		}
	}
}

func TestErrorsHaveTheCodesOf03AndNoTextOfOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	message := func(rest string) string { return `{"message":{"messageId":"m","role":"user",` + rest + `}}` }
	for _, tt := range []struct {
		what, method, params string
		code                 int
		says                 string
	}{
		{"no message", "message/send", `{}`, -32602, "message: is required"},
		{"no message but a push configuration", "message/send", `{"configuration":{"pushNotificationConfig":{"url":"http://x"}}}`, -32602, "message: is required"},
		{"a push configuration", "message/stream", `{"configuration":{"pushNotificationConfig":{"url":"http://x"}},` + hello[1:], -32003, "push"},
		{"a message of a wrong type", "message/send", `{"message":7}`, -32602, "message: must not be a JSON number"},
		{"parts of a wrong type", "message/send", message(`"parts":{}`), -32602, "parts"},
		{"a part without a kind", "message/send", message(`"parts":[{"text":"x"}]`), -32602, "kind"},
		{"a part of null", "message/send", message(`"parts":[null]`), -32602, "kind"},
		{"a file that is not base64", "message/send", message(`"parts":[{"kind":"file","file":{"bytes":"*"}}]`), -32602, "base64"},
		{"no parts", "message/stream", message(`"parts":[]`), -32602, "parts"},
		{"a role of 1.0", "message/send", `{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"kind":"text","text":"x"}]}}`, -32602, "role"},
		{"an unknown task", "tasks/get", `{"id":"x"}`, -32001, "not found"},
		{"an unknown task", "tasks/cancel", `{"id":"x"}`, -32001, "not found"},
		{"an unknown task", "tasks/resubscribe", `{"id":"x"}`, -32001, "not found"},
		{"no id", "tasks/get", `{}`, -32602, "id"},
		{"an id of a wrong type", "tasks/get", `{"id":[]}`, -32602, "id: must not be a JSON array"},
		{"a negative history", "tasks/get", `{"id":"x","historyLength":-1}`, -32602, "historyLength"},
		{"a history of a wrong type", "tasks/resubscribe", `7`, -32602, "params"},
		{"push configurations", "tasks/pushNotificationConfig/set", `{}`, -32003, "push"},
		{"push configurations", "tasks/pushNotificationConfig/get", `{}`, -32003, "push"},
		{"push configurations", "tasks/pushNotificationConfig/list", `{}`, -32003, "push"},
		{"push configurations", "tasks/pushNotificationConfig/delete", `{}`, -32003, "push"},
		{"no extended card", "agent/getAuthenticatedExtendedCard", `{}`, -32004, "extended card"},
		{"a list, which is not in JSON-RPC of 0.3", "tasks/list", `{}`, -32601, "tasks/list"},
	} {
		got := w.rpc(tt.method, tt.params)
		if got.status != http.StatusOK || got.code(t) != tt.code || !strings.Contains(got.body, tt.says) ||
			strings.Contains(got.body, "Go ") || strings.Contains(got.body, "json:") || strings.Contains(got.body, "a2alegacy") ||
			strings.Contains(got.body, `"data":`) {
			t.Errorf("%s with %s: %d %s", tt.method, tt.what, got.status, got.body)
		}
	}
}

func TestUnknownMembersAreIgnored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.rpc("message/send", `{"x":1,"message":{"x":[],"messageId":"m","role":"user","parts":[{"kind":"text","text":"echo hello","x":null}]}}`)
	if !strings.Contains(got.body, `"state":"completed"`) || !strings.Contains(got.body, `"kind":"task"`) {
		t.Error(got.body)
	}
}

func TestRESTHasStatusesAndNoTextOfOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *node.Options) { o.Binding.MaxBody = 2000 })
	message := func(rest string) string { return `{"message":{"messageId":"m","role":"ROLE_USER",` + rest + `}}` }
	for _, tt := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "/v1/message:send", message(`"content":[{"text":"echo x"}]`), 200, `"TASK_STATE_COMPLETED"`},
		{"POST", "/v1/message%3Asend", message(`"content":[{"text":"echo x"}]`), 200, `"TASK_STATE_COMPLETED"`},
		{"POST", "/agents/twin/v1/message:send", message(`"content":[{"text":"echo x"}]`), 200, `"TASK_STATE_COMPLETED"`},
		{"POST", "/v1/message:send", ``, 400, "message: is required"},
		{"POST", "/v1/message:send", `{"message":[]}`, 400, "message: must not be a JSON array"},
		{"POST", "/v1/message:send", message(`"parts":[{"text":"x"}]`), 400, "message.content"},
		{"POST", "/v1/message:stream", message(`"content":[{"x":1}]`), 400, "message.content[0]"},
		{"POST", "/v1/message:send", message(`"content":[{"file":{"fileWithBytes":"*"}}]`), 400, "base64"},
		{"POST", "/v1/message:send", `{"configuration":{"pushNotification":{"url":"http://x"}},` + message(`"content":[{"text":"x"}]`)[1:], 400, "PUSH_NOTIFICATION_NOT_SUPPORTED"},
		{"POST", "/v1/message:send", `{"message":`, 400, "PARSE_ERROR"},
		{"POST", "/v1/message:send", message(`"content":[{"text":"` + strings.Repeat("x", 2000) + `"}]`), 413, "TOO_LARGE"},
		{"GET", "/v1/tasks/nope", "", 404, "TASK_NOT_FOUND"},
		{"GET", "/v1/tasks/nope:subscribe", "", 404, "TASK_NOT_FOUND"},
		{"POST", "/v1/tasks/nope:subscribe", "", 404, "TASK_NOT_FOUND"},
		{"POST", "/v1/tasks/nope:cancel", "{}", 404, "TASK_NOT_FOUND"},
		{"GET", "/v1/tasks/%ff", "", 400, "percent-encoded"},
		{"GET", "/v1/tasks/nope?historyLength=x", "", 400, "historyLength"},
		{"GET", "/v1/tasks?status=TASK_STATE_CANCELLED&pageSize=5", "", 200, `{`},
		{"GET", "/v1/tasks?status=nope", "", 400, "status"},
		{"GET", "/v1/tasks?pageSize=0", "", 400, "pageSize"},
		{"GET", "/v1/card", "", 400, "UNSUPPORTED_OPERATION"},
		{"POST", "/v1/tasks/x/pushNotificationConfigs", "{}", 400, "PUSH_NOTIFICATION_NOT_SUPPORTED"},
		{"GET", "/v1/tasks/x/pushNotificationConfigs/y", "", 400, "PUSH_NOTIFICATION_NOT_SUPPORTED"},
		{"DELETE", "/v1/tasks/x/pushNotificationConfigs/y", "", 400, "PUSH_NOTIFICATION_NOT_SUPPORTED"},
		{"GET", "/v1/message:send", "", 405, "METHOD_NOT_ALLOWED"},
		{"DELETE", "/v1/tasks/x", "", 405, "METHOD_NOT_ALLOWED"},
		{"GET", "/v1/tasks/", "", 404, "there is nothing"},
		{"GET", "/v1/nope", "", 404, "there is nothing"},
		{"GET", "/v1/tasks/x/y", "", 404, "there is nothing"},
		{"GET", "/agents/nope/v1/tasks/x", "", 400, "no agent of that name"},
	} {
		got := w.do(tt.method, tt.path, tt.body)
		if got.status != tt.status || !strings.Contains(got.body, tt.says) || strings.Contains(got.body, "Go ") || strings.Contains(got.body, "json:") {
			t.Errorf("%s %s %.60s: %d %s", tt.method, tt.path, tt.body, got.status, got.body)
		}
		if got.status >= 400 && got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: an error is %s, which a2a-go's client of 0.3 does not read", tt.method, tt.path, got.header.Get("Content-Type"))
		}
	}
	if got := w.do("POST", "/v1/message:send", "x=1", "Content-Type", "application/x-www-form-urlencoded"); got.status != http.StatusUnsupportedMediaType {
		t.Errorf("a form: %d %s", got.status, got.body)
	}
}

// The names of the two versions differ, so what is said about the version
// decides only where it contradicts them.
func TestTheVersionAndTheNamesDecideTogether(t *testing.T) {
	t.Parallel()
	modern := `{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"echo hello"}]}}`
	for _, strict := range []bool{false, true} {
		w := newWorld(t, func(o *node.Options) { o.Binding.StrictVersion = strict })
		unsaid := 0
		if strict {
			unsaid = -32009
		}
		for _, tt := range []struct {
			version, method, params string
			code                    int
			says                    string
		}{
			{"", "message/send", hello, 0, `"kind":"task"`},
			{"0.3", "message/send", hello, 0, `"kind":"task"`},
			{"0.3.0", "message/send", hello, 0, `"kind":"task"`},
			{"1.0", "message/send", hello, -32601, "SendMessage"},
			{"2.0", "message/send", hello, -32009, "0.3"},
			{"", "SendMessage", modern, unsaid, "A2A"},
			{"1.0", "SendMessage", modern, 0, `"TASK_STATE_COMPLETED"`},
			{"0.3", "SendMessage", modern, -32601, "A2A-Version: 1.0"},
			{"", "tasks/send", hello, -32601, "SendMessage"},
			{"0.3", "tasks/send", hello, -32601, "SendMessage"},
			{"", "tasks/sendSubscribe", hello, -32601, "SendStreamingMessage"},
		} {
			var headers []string
			if tt.version != "" {
				headers = []string{"A2A-Version", tt.version}
			}
			got := w.rpc(tt.method, tt.params, headers...)
			says := tt.says
			if says == "A2A" && unsaid == 0 {
				says = "TASK_STATE_COMPLETED"
			}
			if got.code(t) != tt.code || !strings.Contains(got.body, says) {
				t.Errorf("strict %t, version %q, %s: %s", strict, tt.version, tt.method, got.body)
			}
		}
		for _, tt := range []struct {
			version, path string
			status        int
		}{
			{"", "/v1/tasks", 200}, {"0.3", "/v1/tasks", 200}, {"1.0", "/v1/tasks", 404}, {"9", "/v1/tasks", 400}, {"0.3", "/tasks", 400}, {"1.0", "/tasks", 200},
		} {
			var headers []string
			if tt.version != "" {
				headers = []string{"A2A-Version", tt.version}
			}
			if got := w.do(http.MethodGet, tt.path, "", headers...); got.status != tt.status {
				t.Errorf("strict %t, version %q, %s: %d %s", strict, tt.version, tt.path, got.status, got.body)
			}
		}
	}
}

func TestAPathNamesTheAgentAndTasksStayWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, client := range w.overHTTP(w.url + "/agents/twin") {
		result, err := client.SendMessage(t.Context(), nil, text("ask x"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		id := result.(*a2a.Task).ID
		if _, err := client.GetTask(t.Context(), nil, &a2a.GetTaskRequest{ID: id}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for other, client := range w.transports() {
			if _, err := client.GetTask(t.Context(), nil, &a2a.GetTaskRequest{ID: id}); err == nil {
				t.Errorf("%s: the default agent has the task of another over %s", name, other)
			}
		}
	}
}

func TestExtensionsGoByTheirOlderHeader(t *testing.T) {
	t.Parallel()
	const uri = "urn:test:required"
	w := newWorld(t, func(o *node.Options) {
		o.Agents[0].Card.Capabilities.Extensions = []a2a.AgentExtension{{URI: uri, Required: true}}
	})
	for _, header := range []string{"X-A2A-Extensions", "A2A-Extensions"} {
		got := w.rpc("message/send", hello, header, "urn:other, "+uri)
		if got.code(t) != 0 || got.header.Get("X-A2A-Extensions") != uri {
			t.Errorf("%s: %v %s", header, got.header, got.body)
		}
	}
	if got := w.rpc("message/send", hello); got.code(t) != -32008 || !strings.Contains(got.body, uri) {
		t.Errorf("without: %s", got.body)
	}
	for name, client := range w.transports() {
		if _, err := client.SendMessage(t.Context(), map[string][]string{"A2A-Extensions": {uri}}, text("echo x")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err := client.GetExtendedAgentCard(t.Context(), map[string][]string{"A2A-Extensions": {uri}}, &a2a.GetExtendedAgentCardRequest{})
		want := a2a.ErrUnsupportedOperation
		if name == "gRPC" {
			want = a2a.ErrInternalError // see TestStatusesOfGRPC
		}
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "no extended card") { // there is none; but so far it must come
			t.Errorf("%s: %v", name, err)
		}
		if _, err := client.SendMessage(t.Context(), nil, text("echo x")); err == nil {
			t.Errorf("%s: a required extension was not asked for, and nobody minds", name)
		}
	}
}

func TestAKeyJoinsTheFirstSend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	for range 2 {
		var envelope struct{ Result struct{ ID string } }
		if err := json.Unmarshal([]byte(w.rpc("message/send", hello, "Idempotency-Key", "k").body), &envelope); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, envelope.Result.ID)
	}
	if ids[0] == "" || ids[0] != ids[1] {
		t.Errorf("two tasks, %v", ids)
	}
	if got := w.rpc("message/stream", hello, "Idempotency-Key", ""); got.code(t) != -32602 {
		t.Error(got.body)
	}
	for name, client := range w.transports() {
		req := text("echo x")
		key := map[string][]string{"Idempotency-Key": {"key-of-" + name}}
		first, err := client.SendMessage(t.Context(), key, req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		second, err := client.SendMessage(t.Context(), key, req)
		if err != nil || first.(*a2a.Task).ID != second.(*a2a.Task).ID {
			t.Errorf("%s: %+v, error %v", name, second, err)
		}
	}
}
