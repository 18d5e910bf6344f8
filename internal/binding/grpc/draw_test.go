// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"encoding/json"
	"math"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"
)

// What clients and agents may say, with a liking for what is awkward: as
// messages of protobuf, and as values of the SDK.

func drawText(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "plain text", `"quoted" \ <b>&`, "line\nfeed\r\ttab", "\x00\x1f\x7f", "\u2028", "日本語 🎉", "\ufffd", "null"}),
		rapid.String(),
	).Draw(t, "text")
}

func drawProtoValue(depth int) *rapid.Generator[*structpb.Value] {
	return rapid.Custom(func(t *rapid.T) *structpb.Value {
		n := rapid.IntRange(0, 6).Draw(t, "value")
		switch {
		case n == 0 && depth > 0:
			return structpb.NewListValue(&structpb.ListValue{Values: rapid.SliceOfN(drawProtoValue(depth-1), 0, 3).Draw(t, "list")})
		case n == 1 && depth > 0:
			return structpb.NewStructValue(&structpb.Struct{Fields: drawProtoFields(t, depth-1, 0)})
		case n == 2:
			return structpb.NewNullValue()
		case n == 3:
			return structpb.NewBoolValue(rapid.Bool().Draw(t, "bool"))
		case n == 4:
			return structpb.NewNumberValue(rapid.OneOf(
				rapid.SampledFrom([]float64{0, -1, 0.1, 1e15, 1e21, 1 << 53, 5e-324, math.MaxFloat64, -math.MaxFloat64}),
				rapid.Float64().Filter(func(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }),
			).Draw(t, "number"))
		}
		return structpb.NewStringValue(drawText(t))
	})
}

func drawProtoFields(t *rapid.T, depth, least int) map[string]*structpb.Value {
	return rapid.MapOfN(rapid.Custom(drawText), drawProtoValue(depth), least, 3).Draw(t, "fields")
}

// drawProtoMeta draws metadata. An empty one is as good as none.
func drawProtoMeta(t *rapid.T) *structpb.Struct {
	if rapid.IntRange(0, 2).Draw(t, "metadata") > 0 {
		return nil
	}
	return &structpb.Struct{Fields: drawProtoFields(t, 2, 1)}
}

func drawProtoPart(t *rapid.T) *a2apb.Part {
	p := &a2apb.Part{Filename: drawText(t), MediaType: drawText(t), Metadata: drawProtoMeta(t)}
	switch rapid.IntRange(0, 3).Draw(t, "content") {
	case 0:
		p.Content = &a2apb.Part_Raw{Raw: rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "raw")}
	case 1:
		p.Content = &a2apb.Part_Url{Url: "https://example.com/" + drawText(t)}
	case 2:
		// null is read, but a part that has nothing but null is nothing.
		p.Content = &a2apb.Part_Data{Data: drawProtoValue(3).Filter(func(v *structpb.Value) bool {
			_, null := v.GetKind().(*structpb.Value_NullValue)
			return !null
		}).Draw(t, "data")}
	default:
		p.Content = &a2apb.Part_Text{Text: drawText(t)}
	}
	return p
}

func drawProtoMessage(t *rapid.T) *a2apb.Message {
	return &a2apb.Message{
		MessageId: drawText(t), ContextId: drawText(t), TaskId: drawText(t),
		Role:             rapid.SampledFrom([]a2apb.Role{a2apb.Role_ROLE_USER, a2apb.Role_ROLE_AGENT}).Draw(t, "role"),
		Parts:            rapid.SliceOfN(rapid.Custom(drawProtoPart), 1, 4).Draw(t, "parts"),
		Metadata:         drawProtoMeta(t),
		Extensions:       rapid.SliceOfN(rapid.Custom(drawText), 0, 2).Draw(t, "extensions"),
		ReferenceTaskIds: rapid.SliceOfN(rapid.Custom(drawText), 0, 2).Draw(t, "references"),
	}
}

func drawProtoStatus(t *rapid.T) *a2apb.TaskStatus {
	at := time.UnixMilli(rapid.Int64Range(-62135596800000, 253402300799999).Draw(t, "at"))
	s := &a2apb.TaskStatus{State: a2apb.TaskState(rapid.IntRange(1, 8).Draw(t, "state")), Timestamp: timestamppb.New(at)}
	if rapid.Bool().Draw(t, "message") {
		s.Message = drawProtoMessage(t)
	}
	return s
}

func drawProtoArtifact(t *rapid.T) *a2apb.Artifact {
	return &a2apb.Artifact{
		ArtifactId: drawText(t), Name: drawText(t), Description: drawText(t), Metadata: drawProtoMeta(t),
		Parts:      rapid.SliceOfN(rapid.Custom(drawProtoPart), 1, 3).Draw(t, "parts"),
		Extensions: rapid.SliceOfN(rapid.Custom(drawText), 0, 2).Draw(t, "extensions"),
	}
}

func drawProtoEvent(t *rapid.T) *a2apb.StreamResponse {
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return &a2apb.StreamResponse{Payload: &a2apb.StreamResponse_Message{Message: drawProtoMessage(t)}}
	case 1:
		return &a2apb.StreamResponse{Payload: &a2apb.StreamResponse_Task{Task: &a2apb.Task{
			Id: drawText(t), ContextId: drawText(t), Status: drawProtoStatus(t), Metadata: drawProtoMeta(t),
			History:   rapid.SliceOfN(rapid.Custom(drawProtoMessage), 0, 2).Draw(t, "history"),
			Artifacts: rapid.SliceOfN(rapid.Custom(drawProtoArtifact), 0, 2).Draw(t, "artifacts"),
		}}}
	case 2:
		return &a2apb.StreamResponse{Payload: &a2apb.StreamResponse_StatusUpdate{StatusUpdate: &a2apb.TaskStatusUpdateEvent{
			TaskId: drawText(t), ContextId: drawText(t), Status: drawProtoStatus(t), Metadata: drawProtoMeta(t),
		}}}
	}
	return &a2apb.StreamResponse{Payload: &a2apb.StreamResponse_ArtifactUpdate{ArtifactUpdate: &a2apb.TaskArtifactUpdateEvent{
		TaskId: drawText(t), ContextId: drawText(t), Artifact: drawProtoArtifact(t), Metadata: drawProtoMeta(t),
		Append: rapid.Bool().Draw(t, "append"), LastChunk: rapid.Bool().Draw(t, "last"),
	}}}
}

// drawValue draws what an executor may put into a data part, encoded by itself
// or not.
func drawValue(t *rapid.T) any {
	return rapid.SampledFrom([]any{
		1, -2.5, "text", true, []any{1, nil, "x"}, map[string]any{"k": []any{}}, []any{}, uint64(math.MaxUint64),
		json.Number("1e400"), json.Number("-1e400"), json.Number("12345678901234567890123"), []any{json.Number("1e999"), 1},
		json.RawMessage(`{"a":1,"a":2}`), json.RawMessage(`"\ud800"`), json.RawMessage(`{"\ud800":{"deep":[1e999]}}`), json.RawMessage(` [ 1 ] `),
	}).Draw(t, "value")
}

func drawAwkwardEvent(t *rapid.T) a2a.Event {
	parts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *a2a.Part { return a2a.NewDataPart(drawValue(t)) }), 1, 3).Draw(t, "parts")
	meta := map[string]any{"k": drawValue(t)}
	at := time.UnixMilli(1)
	if rapid.Bool().Draw(t, "artifact") {
		return &a2a.TaskArtifactUpdateEvent{TaskID: "t", ContextID: "c", Artifact: &a2a.Artifact{ID: "a", Parts: parts, Metadata: meta}}
	}
	return &a2a.TaskStatusUpdateEvent{TaskID: "t", ContextID: "c", Metadata: meta, Status: a2a.TaskStatus{
		State: a2a.TaskStateWorking, Timestamp: &at, Message: &a2a.Message{ID: "m", Role: a2a.MessageRoleAgent, Parts: parts},
	}}
}
