// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"pgregory.net/rapid"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

// What an agent may put into an event, with a liking for what is awkward.

func drawEvent(t *rapid.T) a2a.Event {
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return drawMessage(t)
	case 1, 2:
		return drawTask(t)
	case 3, 4:
		return &a2a.TaskStatusUpdateEvent{
			TaskID: a2a.TaskID(drawText(t)), ContextID: drawText(t), Status: drawStatus(t), Metadata: drawMeta(t),
		}
	}
	return &a2a.TaskArtifactUpdateEvent{
		TaskID: a2a.TaskID(drawText(t)), ContextID: drawText(t), Artifact: drawArtifact(t), Metadata: drawMeta(t),
		Append: rapid.Bool().Draw(t, "append"), LastChunk: rapid.Bool().Draw(t, "last"),
	}
}

func drawTask(t *rapid.T) *a2a.Task {
	out := &a2a.Task{ID: a2a.TaskID(drawText(t)), ContextID: drawText(t), Status: drawStatus(t), Metadata: drawMeta(t)}
	for range rapid.IntRange(0, 3).Draw(t, "history") {
		out.History = append(out.History, drawMessage(t))
	}
	for range rapid.IntRange(0, 3).Draw(t, "artifacts") {
		out.Artifacts = append(out.Artifacts, drawArtifact(t))
	}
	return out
}

func drawStatus(t *rapid.T) a2a.TaskStatus {
	at := time.Unix(0, rapid.Int64Range(-1e18, 4e18).Draw(t, "at"))
	if rapid.Bool().Draw(t, "zone") {
		at = at.In(time.FixedZone("", 5*60*60+45*60))
	}
	st := a2a.TaskStatus{Timestamp: &at, State: rapid.SampledFrom([]a2a.TaskState{
		a2a.TaskStateWorking, a2a.TaskStateCompleted, a2a.TaskStateAuthRequired, a2a.TaskStateUnspecified,
	}).Draw(t, "state")}
	if rapid.Bool().Draw(t, "message") {
		st.Message = drawMessage(t)
	}
	return st
}

func drawMessage(t *rapid.T) *a2a.Message {
	return &a2a.Message{
		ID: drawText(t), TaskID: a2a.TaskID(drawText(t)), ContextID: drawText(t), Parts: drawParts(t), Metadata: drawMeta(t),
		Role:           rapid.SampledFrom([]a2a.MessageRole{a2a.MessageRoleAgent, a2a.MessageRoleUser, a2a.MessageRoleUnspecified}).Draw(t, "role"),
		Extensions:     rapid.SliceOfN(rapid.Custom(drawText), 0, 2).Draw(t, "extensions"),
		ReferenceTasks: rapid.SliceOfN(rapid.SampledFrom([]a2a.TaskID{"other", "\xff"}), 0, 2).Draw(t, "references"),
	}
}

func drawArtifact(t *rapid.T) *a2a.Artifact {
	return &a2a.Artifact{
		ID: a2a.ArtifactID(drawText(t)), Name: drawText(t), Description: drawText(t), Parts: drawParts(t), Metadata: drawMeta(t),
		Extensions: rapid.SliceOfN(rapid.Custom(drawText), 0, 2).Draw(t, "extensions"),
	}
}

func drawParts(t *rapid.T) a2a.ContentParts {
	var parts a2a.ContentParts
	for range rapid.IntRange(1, 4).Draw(t, "parts") {
		p := &a2a.Part{Metadata: drawMeta(t)}
		switch rapid.IntRange(0, 5).Draw(t, "content") {
		case 0:
			p.Content = a2a.Raw(rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "raw"))
			p.Filename, p.MediaType = drawText(t), drawText(t)
		case 1:
			p.Content = a2a.URL("https://example.com/?q=" + drawText(t))
			p.Filename, p.MediaType = drawText(t), drawText(t)
		case 2:
			p.Content = a2a.Data{Value: rapid.Custom(drawValue(2)).Filter(notNull).Draw(t, "data")}
		default:
			p.Content = a2a.Text(drawText(t))
		}
		parts = append(parts, p)
	}
	return parts
}

func notNull(v any) bool {
	b, err := json.Marshal(v)
	return err == nil && string(b) != "null"
}

func drawText(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{
			"", "", "a", "plain text", `"quoted" \ and <b>&amp;</b>`, "line\nfeed\r\ttab", "\x00\x01\x1f\x7f", "\u2028\u2029",
			"\xff", "half \xe2\x80", "\xed\xa0\x80 surrogate", "日本語 🎉 e\u0301", "\ufffd", `","metadata":{"` + task.ResumeURI + `":{"sequence":1}}}`,
		}),
		rapid.String(),
	).Draw(t, "text")
}

func drawMeta(t *rapid.T) map[string]any {
	if rapid.IntRange(0, 2).Draw(t, "metadata") > 0 {
		return nil
	}
	key := rapid.SampledFrom([]string{"", "k", "urn:x", `"`, "\u2028", "日本", "\ufffd", task.ProgressURI})
	return rapid.MapOfN(key, rapid.Custom(drawValue(2)), 0, 3).Draw(t, "pairs")
}

// coded is a value that encodes itself.
type coded struct{ N int }

func (c coded) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "{\n \"n\" : %d }", c.N), nil }

func drawValue(depth int) func(*rapid.T) any {
	return func(t *rapid.T) any {
		n := rapid.IntRange(0, 9).Draw(t, "value")
		if depth > 0 && n < 2 {
			inner := rapid.Custom(drawValue(depth - 1))
			if n == 0 {
				return rapid.SliceOfN(inner, 0, 3).Draw(t, "list")
			}
			return rapid.MapOfN(rapid.Custom(drawText).Filter(validUTF8), inner, 0, 3).Draw(t, "object")
		}
		switch n {
		case 2:
			return rapid.Float64().Filter(isNumber).Draw(t, "float")
		case 3:
			return rapid.SampledFrom([]any{
				999999999999999.0, 1e15, -1e15, 1e15 + 2, 1e20, 1e21, 1e22, 0.1, -0.5, 5e-324, math.MaxFloat64, float32(0.1),
			}).Draw(t, "edge")
		case 4:
			return rapid.SampledFrom([]any{
				0, -1, math.MaxInt, math.MinInt, int64(1<<53 + 1), uint64(math.MaxUint64), int8(-7),
				json.Number("12345678901234567890123"), json.Number("1.50"),
			}).Draw(t, "integer")
		case 5:
			return rapid.SampledFrom([]any{
				nil, true, false, []byte("bytes"), []byte(nil), json.RawMessage(`{ "raw" : [1, "\u2028"] }`), json.RawMessage(nil),
				map[string]any(nil), []any(nil), []any{}, map[string]any{}, map[string]int{"b": 1, "a": 2}, []string{"x"},
				coded{7}, &coded{8}, (*coded)(nil), struct {
					A string `json:"a,omitempty"`
					B any    `json:"b"`
				}{B: "<&>"},
			}).Draw(t, "other")
		}
		return drawText(t)
	}
}

func isNumber(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

func drawStamp(t *rapid.T) record.Stamp {
	return record.Stamp{
		Seq: rapid.Uint64().Draw(t, "sequence"), Attempt: rapid.IntRange(0, 3).Draw(t, "attempt"),
		Superseded: rapid.Bool().Draw(t, "superseded"),
	}
}

// scramble changes everything that can be reached from an event.
func scramble(ev a2a.Event) {
	switch ev := ev.(type) {
	case *a2a.Message:
		scrambleMessage(ev)
	case *a2a.Task:
		scrambleStatus(&ev.Status)
		for i, m := range ev.History {
			scrambleMessage(m)
			ev.History[i] = nil
		}
		for i, a := range ev.Artifacts {
			scrambleArtifact(a)
			ev.Artifacts[i] = nil
		}
		scrambleMeta(ev.Metadata)
		*ev = a2a.Task{}
	case *a2a.TaskStatusUpdateEvent:
		scrambleStatus(&ev.Status)
		scrambleMeta(ev.Metadata)
		*ev = a2a.TaskStatusUpdateEvent{}
	case *a2a.TaskArtifactUpdateEvent:
		scrambleArtifact(ev.Artifact)
		scrambleMeta(ev.Metadata)
		*ev = a2a.TaskArtifactUpdateEvent{}
	}
}

func scrambleStatus(st *a2a.TaskStatus) {
	*st.Timestamp = time.Unix(1, 1)
	if st.Message != nil {
		scrambleMessage(st.Message)
	}
}

func scrambleMessage(m *a2a.Message) {
	scrambleParts(m.Parts)
	scrambleMeta(m.Metadata)
	for i := range m.Extensions {
		m.Extensions[i] = "changed"
	}
	for i := range m.ReferenceTasks {
		m.ReferenceTasks[i] = "changed"
	}
	*m = a2a.Message{ID: "changed"}
}

func scrambleArtifact(a *a2a.Artifact) {
	scrambleParts(a.Parts)
	scrambleMeta(a.Metadata)
	for i := range a.Extensions {
		a.Extensions[i] = "changed"
	}
	*a = a2a.Artifact{ID: "changed"}
}

func scrambleParts(parts a2a.ContentParts) {
	for i, p := range parts {
		switch c := p.Content.(type) {
		case a2a.Raw:
			for j := range c {
				c[j] ^= 0xff
			}
		case a2a.Data:
			scrambleValue(c.Value)
		}
		scrambleMeta(p.Metadata)
		*p = a2a.Part{Content: a2a.Text("changed")}
		parts[i] = nil
	}
}

func scrambleMeta(meta map[string]any) {
	for k, v := range meta {
		scrambleValue(v)
		meta[k] = "changed"
	}
	if meta != nil {
		meta["changed"] = true
	}
}

func scrambleValue(v any) {
	switch v := v.(type) {
	case map[string]any:
		scrambleMeta(v)
	case []any:
		for i := range v {
			scrambleValue(v[i])
			v[i] = "changed"
		}
	}
}
