// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/record"
)

// FuzzRequest reads any bytes as each request. What is accepted means what the
// bytes say.
func FuzzRequest(f *testing.F) {
	n, yes := int32(0), true
	for _, m := range []proto.Message{
		&a2apb.SendMessageRequest{Tenant: "x", Message: &a2apb.Message{MessageId: "m", Role: a2apb.Role_ROLE_USER, Parts: []*a2apb.Part{
			{Content: &a2apb.Part_Text{Text: "hi"}}, {Content: &a2apb.Part_Raw{Raw: []byte{1}}, Filename: "f"}, {Content: &a2apb.Part_Url{Url: "u"}},
		}}, Configuration: &a2apb.SendMessageConfiguration{HistoryLength: &n, ReturnImmediately: true, AcceptedOutputModes: []string{"text/plain"}}},
		&a2apb.GetTaskRequest{Id: "t", HistoryLength: &n},
		&a2apb.ListTasksRequest{PageSize: &n, IncludeArtifacts: &yes, Status: a2apb.TaskState_TASK_STATE_WORKING},
		&a2apb.CancelTaskRequest{Id: "t", Tenant: "x"},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		fuzzSend(t, wire)
		get, list, cancel := &a2apb.GetTaskRequest{}, &a2apb.ListTasksRequest{}, &a2apb.CancelTaskRequest{}
		if q := accepted(t, wire, get, binding.DecodeGet); q != nil {
			if string(q.ID) != get.GetId() || q.Tenant != get.GetTenant() || !sameInt(q.HistoryLength, get.HistoryLength) {
				t.Errorf("%v is read as %+v", get, q)
			}
		}
		if q := accepted(t, wire, list, binding.DecodeList); q != nil {
			if q.Tenant != list.GetTenant() || q.ContextID != list.GetContextId() || q.PageToken != list.GetPageToken() || q.PageSize != int(list.GetPageSize()) ||
				list.PageSize != nil && q.PageSize == 0 || q.IncludeArtifacts != list.GetIncludeArtifacts() || !sameInt(q.HistoryLength, list.HistoryLength) ||
				(q.StatusTimestampAfter != nil) != (list.StatusTimestampAfter != nil) ||
				q.StatusTimestampAfter != nil && !q.StatusTimestampAfter.Equal(list.GetStatusTimestampAfter().AsTime()) ||
				q.Status != "" && q.Status.String() != list.GetStatus().String() {
				t.Errorf("%v is read as %+v", list, q)
			}
		}
		if q := accepted(t, wire, cancel, binding.DecodeCancel); q != nil {
			if string(q.ID) != cancel.GetId() || q.Tenant != cancel.GetTenant() || len(q.Metadata) != len(cancel.GetMetadata().GetFields()) {
				t.Errorf("%v is read as %+v", cancel, q)
			}
		}
		accepted(t, wire, &a2apb.SubscribeToTaskRequest{}, binding.DecodeSubscribe)
		accepted(t, wire, &a2apb.TaskPushNotificationConfig{}, decodeTenant)
		accepted(t, wire, &a2apb.ListTaskPushNotificationConfigsRequest{}, decodeTenant)
	})
}

// accepted decodes a request, or gives nil.
func accepted[Q any](t *testing.T, wire []byte, m proto.Message, decode func([]byte) (*Q, error)) *Q {
	t.Helper()
	if proto.Unmarshal(wire, m) != nil {
		return nil
	}
	body, err := decodable(m)
	var q *Q
	if err == nil {
		q, err = decode(body)
	}
	if err == nil {
		return q
	}
	if f := binding.Explain(err); f.HTTP != 400 {
		t.Errorf("%v is refused with %v", m, err)
	}
	return nil
}

func sameInt(a *int, b *int32) bool {
	return (a == nil) == (b == nil) && (a == nil || *a == int(*b))
}

// fuzzSend wants a message that is written to be read as the same.
func fuzzSend(t *testing.T, wire []byte) {
	m := &a2apb.SendMessageRequest{}
	q := accepted(t, wire, m, binding.DecodeSend)
	if q == nil {
		return
	}
	if q.Tenant != m.GetTenant() || q.Message.ID != m.GetMessage().GetMessageId() || len(q.Message.Parts) != len(m.GetMessage().GetParts()) ||
		q.Config != nil && !sameInt(q.Config.HistoryLength, m.GetConfiguration().HistoryLength) {
		t.Errorf("%v is read as %+v", m, q)
	}
	stored, err := record.AppendMessage(nil, q.Message)
	if err != nil {
		return // null for data, or an empty URL
	}
	again := &a2apb.SendMessageRequest{Message: converted(t, stored, &a2apb.Message{}).(*a2apb.Message)}
	body, err := decodable(again)
	if err != nil {
		t.Fatalf("%s: %v", stored, err)
	}
	second, err := binding.DecodeSend(body)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if d := cmp.Diff(q.Message, second.Message, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s (-first +second):\n%s", body, d)
	}
}

// FuzzAnswer converts any JSON. What the SDK reads as an event and the log takes,
// gRPC says too.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING","timestamp":"2026-05-04T03:02:01.987Z","message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"x"}]}},"history":[{"messageId":"u","role":"ROLE_USER","parts":[{"raw":"AQI="}]}],"artifacts":[{"artifactId":"a","parts":[{"data":[1,null]}],"metadata":{"k":[1]}}],"metadata":{"k":1}}}`,
		`{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"data":1e400},{"url":"u","mediaType":"x/y"}],"extensions":["urn:x"]}}`,
		`{"artifactUpdate":{"taskId":"t","contextId":"c","artifact":{"artifactId":"a","parts":[{"data":"\ud800"}]},"append":true,"lastChunk":true}}`,
		`{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_FAILED","timestamp":"2026-05-04T03:02:01Z"},"metadata":{"a":{"a":{}}}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		if binding.Validate(answer) == nil {
			_, _ = encode(answer, &a2apb.Task{})
			_, _ = encode(answer, &a2apb.ListTasksResponse{})
			_, _ = encode(answer, &a2apb.AgentCard{})
		}
		var sr a2a.StreamResponse
		if json.Unmarshal(answer, &sr) != nil || sr.Event == nil {
			return
		}
		setTime(sr.Event)
		stored, _, err := record.Encode(sr.Event, record.Stamp{Seq: 3})
		if err != nil {
			return
		}
		if got := converted(t, stored, &a2apb.StreamResponse{}).(*a2apb.StreamResponse); unstamp(got) != 3 {
			t.Errorf("%s is read as %v", stored, got)
		}
	})
}

// setTime does what the log does, which takes the time from the clock.
func setTime(ev a2a.Event) {
	at := time.UnixMilli(1)
	switch ev := ev.(type) {
	case *a2a.Task:
		ev.Status.Timestamp = &at
	case *a2a.TaskStatusUpdateEvent:
		ev.Status.Timestamp = &at
	}
}
