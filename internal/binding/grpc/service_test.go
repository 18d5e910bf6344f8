// SPDX-License-Identifier: Apache-2.0

package grpc_test

import (
	"errors"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2agrpc/v1"
	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	"github.com/google/go-cmp/cmp"
	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/errand-a2a/errand/internal/task"
)

// sdkClient is the official client, from an interface as a card has it.
func sdkClient(t *testing.T, addr, tenant string) *a2aclient.Client {
	t.Helper()
	i := a2a.NewAgentInterface(addr, a2a.TransportProtocolGRPC)
	i.Tenant = tenant
	c, err := a2aclient.NewFromEndpoints(t.Context(), []*a2a.AgentInterface{i}, a2agrpc.WithGRPCTransport(gogrpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Destroy() })
	return c
}

func sdkSay(text string) *a2a.SendMessageRequest {
	return &a2a.SendMessageRequest{Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text))}
}

func collect(t *testing.T, events iter.Seq2[a2a.Event, error]) []a2a.Event {
	t.Helper()
	var out []a2a.Event
	for ev, err := range events {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ev)
	}
	return out
}

// Every operation, as the official client asks for it.
func TestOfficialClient(t *testing.T) {
	t.Parallel()
	w := serve(t)
	for _, way := range ways {
		for _, tenant := range []string{"", "other"} {
			t.Run("it is served "+way+" by agent "+strconv.Quote(tenant), func(t *testing.T) {
				t.Parallel()
				officialClient(t, sdkClient(t, w.addrs[way], tenant))
			})
		}
	}
}

func officialClient(t *testing.T, c *a2aclient.Client) {
	ctx := t.Context()
	res, err := c.SendMessage(ctx, sdkSay("echo hello"))
	if err != nil {
		t.Fatal(err)
	}
	done := res.(*a2a.Task)
	if done.Status.State != a2a.TaskStateCompleted || done.Artifacts[0].Parts[0].Text() != "hello" {
		t.Errorf("sent: %+v", done)
	}
	if res, err = c.SendMessage(ctx, sdkSay("message hi")); err != nil || res.(*a2a.Message).Parts[0].Text() != "hi" {
		t.Errorf("a reply: %v, %v", res, err)
	}
	events := collect(t, c.SendStreamingMessage(ctx, sdkSay("count to 3")))
	if _, ok := events[0].(*a2a.Task); !ok {
		t.Errorf("a stream begins with %T", events[0])
	}
	if last := events[len(events)-1].(*a2a.TaskStatusUpdateEvent); last.Status.State != a2a.TaskStateCompleted {
		t.Errorf("a stream ends with %v", last.Status.State)
	}
	got, err := c.GetTask(ctx, &a2a.GetTaskRequest{ID: done.ID})
	if err != nil || got.ID != done.ID {
		t.Errorf("got %+v, %v", got, err)
	}
	list, err := c.ListTasks(ctx, &a2a.ListTasksRequest{ContextID: done.ContextID})
	if err != nil || len(list.Tasks) != 1 || list.TotalSize != 1 || list.PageSize != 50 || len(list.Tasks[0].Artifacts) != 0 {
		t.Errorf("listed %+v, %v", list, err)
	}
	hang := sdkSay("hang")
	hang.Config = &a2a.SendMessageConfig{ReturnImmediately: true}
	if res, err = c.SendMessage(ctx, hang); err != nil {
		t.Fatal(err)
	}
	id := res.(*a2a.Task).ID
	for ev, err := range c.SubscribeToTask(ctx, &a2a.SubscribeToTaskRequest{ID: id}) {
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := ev.(*a2a.Task); ok { // the first
			if got, err := c.CancelTask(ctx, &a2a.CancelTaskRequest{ID: id}); err != nil || got.Status.State != a2a.TaskStateCanceled {
				t.Errorf("canceled %+v, %v", got, err)
			}
		}
	}
	officialErrors(t, c, done.ID)
}

func officialErrors(t *testing.T, c *a2aclient.Client, done a2a.TaskID) {
	ctx := t.Context()
	_, noTask := c.GetTask(ctx, &a2a.GetTaskRequest{ID: "none"})
	_, ended := c.CancelTask(ctx, &a2a.CancelTaskRequest{ID: done})
	_, noCard := c.GetExtendedAgentCard(ctx, &a2a.GetExtendedAgentCardRequest{})
	_, create := c.CreateTaskPushConfig(ctx, &a2a.PushConfig{TaskID: done, URL: "https://example.com"})
	_, get := c.GetTaskPushConfig(ctx, &a2a.GetTaskPushConfigRequest{TaskID: done, ID: "p"})
	_, list := c.ListTaskPushConfigs(ctx, &a2a.ListTaskPushConfigRequest{TaskID: done})
	remove := c.DeleteTaskPushConfig(ctx, &a2a.DeleteTaskPushConfigRequest{TaskID: done, ID: "p"})
	var subscribe error
	for _, err := range c.SubscribeToTask(ctx, &a2a.SubscribeToTaskRequest{ID: done}) {
		subscribe = err
	}
	for _, tt := range []struct {
		name      string
		got, want error
	}{
		{"GetTask of no task", noTask, a2a.ErrTaskNotFound},
		{"CancelTask of an ended task", ended, a2a.ErrTaskNotCancelable},
		{"SubscribeToTask of an ended task", subscribe, a2a.ErrUnsupportedOperation},
		{"GetExtendedAgentCard without one", noCard, a2a.ErrUnsupportedOperation},
		{"CreateTaskPushConfig", create, a2a.ErrPushNotificationNotSupported},
		{"GetTaskPushConfig", get, a2a.ErrPushNotificationNotSupported},
		{"ListTaskPushConfigs", list, a2a.ErrPushNotificationNotSupported},
		{"DeleteTaskPushConfig", remove, a2a.ErrPushNotificationNotSupported},
	} {
		if !errors.Is(tt.got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

// Fields that the SDK's own server drops or misreads.
func TestFields(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world, c a2apb.A2AServiceClient) {
		sent, err := c.SendMessage(t.Context(), &a2apb.SendMessageRequest{Tenant: "other", Message: say("ask why").GetMessage()})
		if err != nil {
			t.Fatal(err)
		}
		id := sent.GetTask().GetId()
		t.Run("the tenant counts in every operation", func(t *testing.T) { tenantEverywhere(t, c, id) })
		t.Run("numbers are checked as over JSON", func(t *testing.T) { numbersChecked(t, c, id) })
		t.Run("a listing takes all filters", func(t *testing.T) { listing(t, c) })
		t.Run("data of every kind goes both ways", func(t *testing.T) { dataBothWays(t, c) })
	})
}

func tenantEverywhere(t *testing.T, c a2apb.A2AServiceClient, id string) {
	ctx := t.Context()
	ops := map[string]func(tenant string) error{
		"GetTask": func(tenant string) error {
			_, err := c.GetTask(ctx, &a2apb.GetTaskRequest{Tenant: tenant, Id: id})
			return err
		},
		"SubscribeToTask": func(tenant string) error {
			s, err := c.SubscribeToTask(ctx, &a2apb.SubscribeToTaskRequest{Tenant: tenant, Id: id})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
		"SendMessage": func(tenant string) error {
			r := say("because")
			r.Tenant, r.Message.TaskId = tenant, id
			r.Configuration = &a2apb.SendMessageConfiguration{HistoryLength: proto.Int32(0)}
			_, err := c.SendMessage(ctx, r)
			return err
		},
		"CancelTask": func(tenant string) error {
			_, err := c.CancelTask(ctx, &a2apb.CancelTaskRequest{Tenant: tenant, Id: id})
			return err
		},
	}
	for name, op := range ops {
		wantReason(t, op(""), codes.NotFound, "TASK_NOT_FOUND")
		if got := wantReason(t, op("nobody"), codes.InvalidArgument, "INVALID_PARAMS"); got.field != "tenant" {
			t.Errorf("%s of an unknown agent: %+v", name, got)
		}
	}
	mine, err := c.ListTasks(ctx, &a2apb.ListTasksRequest{Tenant: "other"})
	if err != nil || !slices.ContainsFunc(mine.GetTasks(), func(t *a2apb.Task) bool { return t.GetId() == id }) {
		t.Errorf("listed %v, %v", mine, err)
	}
	others, err := c.ListTasks(ctx, &a2apb.ListTasksRequest{})
	if err != nil || slices.ContainsFunc(others.GetTasks(), func(t *a2apb.Task) bool { return t.GetId() == id }) {
		t.Errorf("listed %v, %v", others, err)
	}
	for _, name := range []string{"GetTask", "SubscribeToTask", "CancelTask"} {
		if err := ops[name]("other"); err != nil {
			t.Errorf("%s of its own agent: %v", name, err)
		}
	}
	unknown := &a2apb.GetExtendedAgentCardRequest{Tenant: "nobody"}
	_, err = c.GetExtendedAgentCard(ctx, unknown)
	wantReason(t, err, codes.InvalidArgument, "INVALID_PARAMS")
	_, err = c.ListTaskPushNotificationConfigs(ctx, &a2apb.ListTaskPushNotificationConfigsRequest{Tenant: "nobody", TaskId: id})
	wantReason(t, err, codes.InvalidArgument, "INVALID_PARAMS")
}

func numbersChecked(t *testing.T, c a2apb.A2AServiceClient, id string) {
	ctx := t.Context()
	for _, n := range []int32{0, -1, 101} {
		_, err := c.ListTasks(ctx, &a2apb.ListTasksRequest{PageSize: proto.Int32(n)})
		if got := wantReason(t, err, codes.InvalidArgument, "INVALID_PARAMS"); got.field != "pageSize" {
			t.Errorf("page size %d: %+v", n, got)
		}
	}
	_, get := c.GetTask(ctx, &a2apb.GetTaskRequest{Id: id, HistoryLength: proto.Int32(-1)})
	_, list := c.ListTasks(ctx, &a2apb.ListTasksRequest{HistoryLength: proto.Int32(-1)})
	r := say("echo")
	r.Configuration = &a2apb.SendMessageConfiguration{HistoryLength: proto.Int32(-1)}
	_, send := c.SendMessage(ctx, r)
	for i, err := range []error{get, list, send} {
		if got := wantReason(t, err, codes.InvalidArgument, "INVALID_PARAMS"); !strings.HasSuffix(got.field, "historyLength") {
			t.Errorf("history length, case %d: %+v", i, got)
		}
	}
	_, unknown := c.ListTasks(ctx, &a2apb.ListTasksRequest{Status: 99})
	if got := wantReason(t, unknown, codes.InvalidArgument, "INVALID_PARAMS"); got.field != "status" {
		t.Errorf("an unknown state: %+v", got)
	}
	r = say("echo")
	r.Configuration = &a2apb.SendMessageConfiguration{TaskPushNotificationConfig: &a2apb.TaskPushNotificationConfig{Url: "https://example.com"}}
	_, push := c.SendMessage(ctx, r)
	wantReason(t, push, codes.FailedPrecondition, "PUSH_NOTIFICATION_NOT_SUPPORTED")
	_, none := c.SendMessage(ctx, &a2apb.SendMessageRequest{})
	if got := wantReason(t, none, codes.InvalidArgument, "INVALID_PARAMS"); got.field != "message" {
		t.Errorf("no message: %+v", got)
	}
	r = say("echo history")
	r.Configuration = &a2apb.SendMessageConfiguration{HistoryLength: proto.Int32(0)}
	if sent, err := c.SendMessage(ctx, r); err != nil || len(sent.GetTask().GetHistory()) != 0 {
		t.Errorf("history of length 0: %v, %v", sent, err)
	}
}

func listing(t *testing.T, c a2apb.A2AServiceClient) {
	ctx := t.Context()
	r := say("echo 1")
	r.Message.ContextId = a2a.NewMessageID()
	var ids []string
	for range 5 {
		r.Message.MessageId = a2a.NewMessageID()
		sent, err := c.SendMessage(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, sent.GetTask().GetId())
	}
	q := &a2apb.ListTasksRequest{ContextId: r.GetMessage().GetContextId(), PageSize: proto.Int32(2), IncludeArtifacts: proto.Bool(true)}
	var seen []string
	for {
		page, err := c.ListTasks(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		if page.GetTotalSize() != 5 || page.GetPageSize() != 2 {
			t.Errorf("a page says %d in all, %d a page", page.GetTotalSize(), page.GetPageSize())
		}
		for _, got := range page.GetTasks() {
			seen = append(seen, got.GetId())
			if len(got.GetArtifacts()) != 1 {
				t.Errorf("artifacts were asked for: %v", got)
			}
		}
		if q.PageToken = page.GetNextPageToken(); q.GetPageToken() == "" {
			break
		}
	}
	slices.Sort(seen)
	slices.Sort(ids)
	if !slices.Equal(seen, ids) {
		t.Errorf("listed %v of %v", seen, ids)
	}
	count := func(q *a2apb.ListTasksRequest) int {
		q.ContextId = r.GetMessage().GetContextId()
		page, err := c.ListTasks(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		return len(page.GetTasks())
	}
	if n := count(&a2apb.ListTasksRequest{Status: a2apb.TaskState_TASK_STATE_WORKING}); n != 0 {
		t.Errorf("%d are working", n)
	}
	if n := count(&a2apb.ListTasksRequest{StatusTimestampAfter: timestamppb.New(time.Now().Add(time.Hour))}); n != 0 {
		t.Errorf("%d of the future", n)
	}
	if n := count(&a2apb.ListTasksRequest{StatusTimestampAfter: timestamppb.New(time.Now().Add(-time.Hour))}); n != 5 {
		t.Errorf("%d of the last hour", n)
	}
	_, err := c.ListTasks(ctx, &a2apb.ListTasksRequest{PageToken: "forged"})
	wantReason(t, err, codes.InvalidArgument, "INVALID_PARAMS")
}

func dataBothWays(t *testing.T, c a2apb.A2AServiceClient) {
	values := []any{1.5, "text", true, []any{1.0, nil, "x"}, map[string]any{"k": []any{}}, []any{}, map[string]any{}}
	r := say("echo data")
	r.Metadata = &structpb.Struct{Fields: map[string]*structpb.Value{"request": structpb.NewBoolValue(true)}}
	for _, v := range values {
		pv, err := structpb.NewValue(v)
		if err != nil {
			t.Fatal(err)
		}
		r.Message.Parts = append(r.Message.Parts, &a2apb.Part{Content: &a2apb.Part_Data{Data: pv}})
	}
	r.Message.Parts = append(r.Message.Parts, &a2apb.Part{Content: &a2apb.Part_Raw{Raw: []byte("\x00\xff")}, Filename: "f.bin"},
		&a2apb.Part{Content: &a2apb.Part_Url{Url: "https://example.com"}, Metadata: r.GetMetadata()})
	sent, err := c.SendMessage(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.GetTask(t.Context(), &a2apb.GetTaskRequest{Id: sent.GetTask().GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r.GetMessage().GetParts(), got.GetHistory()[0].GetParts(), protocmp.Transform()); d != "" {
		t.Errorf("(-sent +got):\n%s", d)
	}
}

// A stream says the place of each event.
func TestSequenceOfEachEvent(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, _ *world, c a2apb.A2AServiceClient) {
		events := streamed(t, c, "count to 3")
		for i, ev := range events {
			if got := sequenceOf(ev); got != uint64(i+1) {
				t.Errorf("event %d says %d", i+1, got)
			}
		}
	})
}

// streamed sends a message and reads its stream to the end.
func streamed(t *testing.T, c a2apb.A2AServiceClient, text string) []*a2apb.StreamResponse {
	t.Helper()
	s, err := c.SendStreamingMessage(t.Context(), say(text))
	if err != nil {
		t.Fatal(err)
	}
	events, err := readAll(s)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func readAll(s gogrpc.ServerStreamingClient[a2apb.StreamResponse]) (events []*a2apb.StreamResponse, err error) {
	for {
		ev, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, ev)
	}
}

func sequenceOf(ev *a2apb.StreamResponse) uint64 {
	var meta *structpb.Struct
	switch p := ev.GetPayload().(type) {
	case *a2apb.StreamResponse_Task:
		meta = p.Task.GetMetadata()
	case *a2apb.StreamResponse_Message:
		meta = p.Message.GetMetadata()
	case *a2apb.StreamResponse_StatusUpdate:
		meta = p.StatusUpdate.GetMetadata()
	case *a2apb.StreamResponse_ArtifactUpdate:
		meta = p.ArtifactUpdate.GetMetadata()
	}
	return uint64(meta.GetFields()[task.ResumeURI].GetStructValue().GetFields()["sequence"].GetNumberValue())
}
