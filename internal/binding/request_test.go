// SPDX-License-Identifier: Apache-2.0

package binding_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/task"
)

func decodeSend(t *testing.T, in string) (*a2a.SendMessageRequest, error) {
	t.Helper()
	if err := binding.Validate([]byte(in)); err != nil {
		t.Fatalf("%s: %v", in, err)
	}
	return binding.DecodeSend([]byte(in))
}

func TestDecodeSendReadsEveryField(t *testing.T) {
	t.Parallel()
	n := 3
	want := &a2a.SendMessageRequest{
		Tenant: "x",
		Config: &a2a.SendMessageConfig{AcceptedOutputModes: []string{"text/plain", "a/b"}, ReturnImmediately: true, HistoryLength: &n},
		Message: &a2a.Message{
			ID: "m", ContextID: "c", TaskID: "t", Role: a2a.MessageRoleUser, Extensions: []string{"e"}, ReferenceTasks: []a2a.TaskID{"r1", "r2"},
			Metadata: map[string]any{"k": []any{1.5, "x", nil, map[string]any{"a_b": true}}},
			Parts: a2a.ContentParts{
				{Content: a2a.Text("hi \"é😀\n"), MediaType: "text/plain", Metadata: map[string]any{"p": "q"}},
				{Content: a2a.Raw{0, 1, 0xff, 0xfe}, Filename: "f"},
				{Content: a2a.URL("https://x/y")},
				{Content: a2a.Data{Value: map[string]any{"task_id": 1.0, "deep": []any{}}}},
				{Content: a2a.Data{Value: nil}},
				{Content: a2a.Text("")},
			},
		},
		Metadata: map[string]any{"m": "n"},
	}
	camel := `{"tenant":"x","configuration":{"acceptedOutputModes":["text/plain","a/b"],"returnImmediately":true,"historyLength":3},
	"message":{"messageId":"m","contextId":"c","taskId":"t","role":"ROLE_USER","extensions":["e"],"referenceTaskIds":["r1","r2"],"metadata":{"k":[1.5,"x",null,{"a_b":true}]},
	"parts":[{"text":"hi \"é\ud83d\ude00\n","mediaType":"text/plain","metadata":{"p":"q"}},{"raw":"AAH//g==","filename":"f"},{"url":"https:\/\/x/y"},
	{"data":{"task_id":1,"deep":[]}},{"data":null},{"text":""}]},"metadata":{"m":"n"}}`
	snake := strings.NewReplacer("messageId", "message_id", "contextId", "context_id", "taskId", "task_id", "referenceTaskIds", "reference_task_ids",
		"mediaType", "media_type", "acceptedOutputModes", "accepted_output_modes", "returnImmediately", "return_immediately", "historyLength", "history_length",
		"AAH//g==", "AAH__g").Replace(camel)
	escaped := strings.NewReplacer(`"message"`, `"\u006dessage"`, `"taskId"`, `"task\u0049d"`).Replace(camel)
	for name, in := range map[string]string{"camelCase": camel, "snake_case and URL base64 without padding": snake, "escaped keys": escaped} {
		got, err := decodeSend(t, in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAKeyInOtherCaseIsAnotherKey(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`{"message":{"taskId":"real","TASKID":"variant","parts":[]}}`,
		`{"message":{"TaskId":"variant","taskId":"real"}}`,
		`{"message":{"taskId":"real","Task_Id":"variant","taskid":"variant"},"MESSAGE":{"taskId":"variant"}}`,
	} {
		got, err := decodeSend(t, in)
		if err != nil || got.Message.TaskID != "real" {
			t.Errorf("%s: task %q, error %v", in, got.Message.TaskID, err)
		}
	}
}

func TestNullIsAsGoodAsAbsent(t *testing.T) {
	t.Parallel()
	got, err := decodeSend(t, `{"message":{"messageId":null,"parts":null,"metadata":null,"role":null,"extensions":null},"configuration":null,"tenant":null,"metadata":null}`)
	if diff := cmp.Diff(&a2a.SendMessageRequest{Message: &a2a.Message{}}, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func field(err error) string {
	var e *task.Error
	if !errors.As(err, &e) || !errors.Is(err, a2a.ErrInvalidParams) || !strings.HasPrefix(e.Error(), e.Field+": ") {
		return ""
	}
	return e.Field
}

// badInputs are JSON that is well-formed and wrong, and the field to blame.
var badInputs = map[string][]struct{ in, field string }{
	"send": {
		{`[]`, "params"}, {`"x"`, "params"}, {`7`, "params"}, {`{}`, "message"}, {`{"message":null}`, "message"},
		{`{"message":"x"}`, "message"}, {`{"message":[]}`, "message"}, {`{"message":{},"tenant":5}`, "tenant"},
		{`{"message":{},"metadata":[]}`, "metadata"}, {`{"message":{"messageId":5}}`, "message.messageId"},
		{`{"message":{"message_id":{}}}`, "message.messageId"}, {`{"message":{"taskId":true}}`, "message.taskId"},
		{`{"message":{"contextId":["c"]}}`, "message.contextId"}, {`{"message":{"role":"user"}}`, "message.role"},
		{`{"message":{"role":1}}`, "message.role"}, {`{"message":{"parts":{}}}`, "message.parts"},
		{`{"message":{"parts":[{"text":"a"},null]}}`, "message.parts[1]"}, {`{"message":{"parts":["hi"]}}`, "message.parts[0]"},
		{`{"message":{"parts":[{}]}}`, "message.parts[0]"}, {`{"message":{"parts":[{"text":"a","url":"b"}]}}`, "message.parts[0]"},
		{`{"message":{"parts":[{"text":"a","data":null}]}}`, "message.parts[0]"}, {`{"message":{"parts":[{"text":null}]}}`, "message.parts[0]"},
		{`{"message":{"parts":[{"kind":"text"}]}}`, "message.parts[0]"}, {`{"message":{"parts":[{"text":"a"},{"text":5}]}}`, "message.parts[1].text"},
		{`{"message":{"parts":[{"raw":"%%%"}]}}`, "message.parts[0].raw"}, {`{"message":{"parts":[{"raw":[1]}]}}`, "message.parts[0].raw"},
		{`{"message":{"parts":[{"url":""}]}}`, "message.parts[0].url"}, {`{"message":{"parts":[{"data":1e999}]}}`, "message.parts[0].data"},
		{`{"message":{"parts":[{"text":"a","metadata":"x"}]}}`, "message.parts[0].metadata"},
		{`{"message":{"parts":[{"text":"a","media_type":1}]}}`, "message.parts[0].mediaType"},
		{`{"message":{"metadata":{"a":[1e999]}}}`, "message.metadata"}, {`{"message":{"extensions":"e"}}`, "message.extensions"},
		{`{"message":{"extensions":["e",null]}}`, "message.extensions[1]"}, {`{"message":{"referenceTaskIds":[1]}}`, "message.referenceTaskIds[0]"},
		{`{"message":{"taskId":"a","task_id":"b"}}`, "message.taskId"}, {`{"message":{"task_id":null,"taskId":"b"}}`, "message.taskId"},
		{`{"message":{},"configuration":5}`, "configuration"}, {`{"message":{},"configuration":{"historyLength":-1}}`, "configuration.historyLength"},
		{`{"message":{},"configuration":{"historyLength":"5"}}`, "configuration.historyLength"},
		{`{"message":{},"configuration":{"history_length":1.5}}`, "configuration.historyLength"},
		{`{"message":{},"configuration":{"historyLength":2147483648}}`, "configuration.historyLength"},
		{`{"message":{},"configuration":{"historyLength":1e400}}`, "configuration.historyLength"},
		{`{"message":{},"configuration":{"returnImmediately":"true"}}`, "configuration.returnImmediately"},
		{`{"message":{},"configuration":{"returnImmediately":1}}`, "configuration.returnImmediately"},
		{`{"message":{},"configuration":{"acceptedOutputModes":["a",5]}}`, "configuration.acceptedOutputModes[1]"},
	},
	"get": {
		{`{}`, "id"}, {`{"id":""}`, "id"}, {`{"id":5}`, "id"}, {`{"id":"a","historyLength":-5}`, "historyLength"},
		{`{"id":"a","historyLength":true}`, "historyLength"}, {`{"id":"a","historyLength":[]}`, "historyLength"}, {`{"id":"a","tenant":{}}`, "tenant"}, {`[]`, "params"},
	},
	"list": {
		{`{"pageSize":0}`, "pageSize"}, {`{"page_size":0}`, "pageSize"}, {`{"pageSize":101}`, "pageSize"}, {`{"pageSize":-1}`, "pageSize"},
		{`{"pageSize":"10"}`, "pageSize"}, {`{"pageSize":1.5}`, "pageSize"}, {`{"historyLength":-1}`, "historyLength"}, {`{"status":"TASK_STATE_RUNNING"}`, "status"},
		{`{"status":"completed"}`, "status"}, {`{"status":3}`, "status"}, {`{"statusTimestampAfter":"yesterday"}`, "statusTimestampAfter"},
		{`{"statusTimestampAfter":"2026-13-01T00:00:00Z"}`, "statusTimestampAfter"}, {`{"status_timestamp_after":1700000000}`, "statusTimestampAfter"},
		{`{"statusTimestampAfter":""}`, "statusTimestampAfter"}, {`{"includeArtifacts":"yes"}`, "includeArtifacts"}, {`{"contextId":1}`, "contextId"}, {`{"pageToken":{}}`, "pageToken"},
	},
	"cancel":    {{`{}`, "id"}, {`{"id":null}`, "id"}, {`{"id":"a","metadata":5}`, "metadata"}},
	"subscribe": {{`{}`, "id"}, {`{"id":[]}`, "id"}},
}

func decodeBy(op string, b []byte) error {
	var err error
	switch op {
	case "send":
		_, err = binding.DecodeSend(b)
	case "get":
		_, err = binding.DecodeGet(b)
	case "list":
		_, err = binding.DecodeList(b)
	case "cancel":
		_, err = binding.DecodeCancel(b)
	case "subscribe":
		_, err = binding.DecodeSubscribe(b)
	}
	return err
}

func TestEveryBadInputNamesItsField(t *testing.T) {
	t.Parallel()
	for op, inputs := range badInputs {
		for _, tt := range inputs {
			if err := binding.Validate([]byte(tt.in)); err != nil {
				t.Fatalf("%s: %v", tt.in, err)
			}
			err := decodeBy(op, []byte(tt.in))
			if got := field(err); got != tt.field {
				t.Errorf("%s %s: blames %q, want %q (%v)", op, tt.in, got, tt.field, err)
			}
		}
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	t.Parallel()
	for op, in := range map[string]string{
		"send":      `{"x":[{"message":5}],"message":{"kind":"message","parts":[{"kind":"text","text":"a","x":{"y":"}]"}}]},"taskId":"t"}`,
		"get":       `{"x":"\"}","id":"a","ID":5}`,
		"list":      `{"y":[],"PageSize":0}`,
		"cancel":    `{"id":"a","z":"]"}`,
		"subscribe": `{"metadata":5,"id":"a"}`,
	} {
		if err := decodeBy(op, []byte(in)); err != nil {
			t.Errorf("%s %s: %v", op, in, err)
		}
	}
}

func TestAPushConfigInAMessageIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"taskPushNotificationConfig", "task_push_notification_config"} {
		_, err := decodeSend(t, `{"message":{},"configuration":{"`+name+`":{"url":"https://x"}}}`)
		if !errors.Is(err, a2a.ErrPushNotificationNotSupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListReadsTheSameFromJSONAndQuery(t *testing.T) {
	t.Parallel()
	n, at := 0, time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	want := &a2a.ListTasksRequest{ContextID: "c d", Status: a2a.TaskStateWorking, PageSize: 100, PageToken: "t/+", HistoryLength: &n, StatusTimestampAfter: &at, IncludeArtifacts: true}
	fromJSON, err := binding.DecodeList([]byte(`{"contextId":"c d","status":"TASK_STATE_WORKING","pageSize":1e2,"page_token":"t/+","historyLength":0,"statusTimestampAfter":"2026-01-02T04:04:05.678+01:00","include_artifacts":true}`))
	if diff := cmp.Diff(want, fromJSON); err != nil || diff != "" {
		t.Errorf("JSON: %v\n%s", err, diff)
	}
	for _, raw := range []string{
		"contextId=c+d&status=TASK_STATE_WORKING&pageSize=100&pageToken=t%2F%2B&historyLength=0&statusTimestampAfter=2026-01-02T03:04:05.678Z&includeArtifacts=true&other=x",
		"context_id=c%20d&status=TASK_STATE_WORKING&page_size=100&page_token=t%2F%2B&history_length=0&status_timestamp_after=2026-01-02T04:04:05.678%2B01:00&include_artifacts=true&PAGESIZE=0",
		"contextId=c+d&status=TASK_STATE_WORKING&pageSize=100&pageToken=t%2F%2B&historyLength=0&lastUpdatedAfter=2026-01-02T03:04:05.678Z&includeArtifacts=true",
	} {
		q, err := binding.ParseQuery(raw)
		if err != nil {
			t.Fatal(err)
		}
		got, err := binding.ListOf(q)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", raw, err, diff)
		}
	}
	for _, in := range []string{``, `{}`, `{"status":""}`, `{"status":"TASK_STATE_UNSPECIFIED","pageSize":null}`} {
		got, err := binding.DecodeList([]byte(in))
		if diff := cmp.Diff(&a2a.ListTasksRequest{}, got); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", in, err, diff)
		}
	}
}

func TestEveryBadQueryParameterIsNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ raw, field string }{
		{"pageSize=0", "pageSize"}, {"pageSize=101", "pageSize"}, {"pageSize=", "pageSize"}, {"pageSize=ten", "pageSize"}, {"pageSize=+5", "pageSize"},
		{"pageSize=%2B5", "pageSize"}, {"page_size=1.0", "pageSize"}, {"pageSize=5&page_size=5", "pageSize"}, {"pageSize=5&pageSize=5", "pageSize"},
		{"pageSize=99999999999", "pageSize"}, {"historyLength=-1", "historyLength"}, {"historyLength=x", "historyLength"}, {"status=RUNNING", "status"},
		{"statusTimestampAfter=now", "statusTimestampAfter"}, {"statusTimestampAfter=", "statusTimestampAfter"}, {"lastUpdatedAfter=1", "lastUpdatedAfter"},
		{"includeArtifacts=1", "includeArtifacts"}, {"includeArtifacts=TRUE", "includeArtifacts"}, {"contextId=%ff", "contextId"},
		{"contextId=a&context_id=b", "contextId"}, {"a=%zz", "query"}, {"a=1;b=2", "query"},
	} {
		q, err := binding.ParseQuery(tt.raw)
		if err == nil {
			_, err = binding.ListOf(q)
		}
		if got := field(err); got != tt.field {
			t.Errorf("%s: blames %q, want %q (%v)", tt.raw, got, tt.field, err)
		}
	}
	if _, err := binding.GetOf("t", url.Values{"historyLength": {"-1"}}); field(err) != "historyLength" {
		t.Errorf("GetTask: %v", err)
	}
	if _, err := binding.TenantOf(url.Values{"tenant": {"a", "b"}}); field(err) != "tenant" {
		t.Errorf("tenant: %v", err)
	}
}

// Where both read a request, this decoder and encoding/json with the SDK's types
// read the same.
func FuzzDecodeSend(f *testing.F) {
	for _, s := range []string{
		`{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"a\u0041"},{"data":{"x":[1,null]}},{"raw":"AAE="},{"url":"u"}],"metadata":{"k":1e3}},"configuration":{"historyLength":2,"returnImmediately":true}}`,
		`{"message":{"task_id":"x","extensions":["a"],"referenceTaskIds":["b"]},"tenant":"t","metadata":{}}`,
		`{ "message" : { "parts" : [ ] } , "x" : "}" }`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if binding.Validate(in) != nil {
			return
		}
		got, err := binding.DecodeSend(in)
		if err != nil {
			return
		}
		var want a2a.SendMessageRequest
		if json.Unmarshal(in, &want) != nil || foldsKeys(in) {
			return
		}
		if want.Message == nil {
			t.Fatalf("%s: a message out of nothing", in)
		}
		if diff := cmp.Diff(normal(t, &want), normal(t, got)); diff != "" {
			t.Fatalf("%s\n(-encoding/json +ours):\n%s", in, diff)
		}
	})
}

// normal evens out null and empty, which encoding/json tells apart and the
// protocol does not.
func normal(t *testing.T, req *a2a.SendMessageRequest) string {
	t.Helper()
	if len(req.Message.Parts) == 0 {
		req.Message.Parts = nil
	}
	b, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// foldsKeys tells whether a key is only a variant of one that matters: there the
// two must differ.
func foldsKeys(in []byte) bool {
	low := strings.ToLower(string(in))
	for _, name := range strings.Fields("message configuration metadata tenant messageId role parts contextId taskId extensions referenceTaskIds text raw url data mediaType filename acceptedOutputModes returnImmediately historyLength") {
		if strings.Count(low, strings.ToLower(name)) != strings.Count(string(in), name) {
			return true
		}
	}
	return strings.Contains(low, "_") || strings.Contains(low, `\u`) || strings.ContainsAny(low, "\u017f\u212a")
}

func BenchmarkDecodeSend(b *testing.B) {
	in := []byte(`{"message":{"messageId":"0199a0e4-6f6f-7c53-a3f1-5c4c0d4ff6a1","role":"ROLE_USER","parts":[{"text":"` + strings.Repeat("some words ", 40) + `"}]},"configuration":{"historyLength":10}}`)
	b.Run("ours, strict", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(in)))
		for b.Loop() {
			if err := binding.Validate(in); err != nil {
				b.Fatal(err)
			}
			if _, err := binding.DecodeSend(in); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(in)))
		for b.Loop() {
			if err := json.Unmarshal(in, new(a2a.SendMessageRequest)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
