// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/record"
)

func TestAppendString(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"plain text stays", "plain text", `"plain text"`},
		{"nothing is two quotes", "", `""`},
		{"quote and backslash are escaped", `a"b\c`, `"a\"b\\c"`},
		{"what may not break a line is escaped", "a\nb\rc\td", `"a\nb\rc\td"`},
		{"other control characters are numbers", "\x00\x1f\x08", `"\u0000\u001f\u0008"`},
		{"delete stays", "\x7f", "\"\x7f\""},
		{"line separators of JavaScript are escaped", "a\u2028b\u2029", `"a\u2028b\u2029"`},
		{"HTML is not escaped", "<b>&</b>", `"<b>&</b>"`},
		{"other scripts stay", "日本語 🎉", `"日本語 🎉"`},
		{"each byte that is not UTF-8 is replaced", "a\xff\xfeb", "\"a\ufffd\ufffdb\""},
		{"half a character at the end is replaced", "a\xe2\x80", "\"a\ufffd\ufffd\""},
		{"a replacement character stays", "\ufffd", "\"\ufffd\""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := string(record.AppendString([]byte("x"), tt.in)); got != "x"+tt.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

// Eight bytes are looked at together: none may hide another.
func TestEveryByteAtEveryPlace(t *testing.T) {
	t.Parallel()
	for b := range 256 {
		for at := range 20 {
			for _, beside := range []byte{'a', 0x20, 0x7f} {
				in := bytes.Repeat([]byte{beside}, 20)
				in[at] = byte(b)
				got := record.AppendString(nil, string(in))
				var back string
				if err := json.Unmarshal(got, &back); err != nil || back != string([]rune(string(in))) {
					t.Fatalf("%q is written as %q and read as %q, %v", in, got, back, err)
				}
			}
		}
	}
}

func TestAppendTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 3, 2, 1, 987_654_321, time.FixedZone("", -90*60))
	if got := string(record.AppendTime(nil, at)); got != `"2026-05-04T04:32:01.987Z"` {
		t.Errorf("got %s", got)
	}
	if got := string(record.AppendTime(nil, at.Truncate(time.Second))); got != `"2026-05-04T04:32:01.000Z"` {
		t.Errorf("a whole second is %s", got)
	}
}

// nest makes a list of a list of a … of v.
func nest(depth int, v any) any {
	for range depth {
		v = []any{map[string]any{"in": v}}
	}
	return v
}

func TestValuesOfMetadata(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		value any
		want  string
	}{
		{"null", nil, "null"},
		{"an integer as float64 has no exponent below 1e15", 999999999999999.0, "999999999999999"},
		{"an integer at 1e15 keeps every digit", 1e15, "1000000000000000"},
		{"an integer at -1e15 keeps every digit", -1e15, "-1000000000000000"},
		{"the largest exact integer keeps every digit", float64(1 << 53), "9007199254740992"},
		{"an integer beyond int64 keeps every digit", 9.5e18, "9500000000000000000"},
		{"a very large number has an exponent", 1e21, "1e+21"},
		{"a fraction", 0.5, "0.5"},
		{"an int64 beyond float64 keeps every digit", int64(1<<53 + 1), "9007199254740993"},
		{"a json.Number is written as it is", json.Number("12345678901234567890123"), "12345678901234567890123"},
		{"the keys of an object are in order", map[string]any{"b": 1, "a": map[string]any{"d": []any{true, nil}, "c": "x"}}, `{"a":{"c":"x","d":[true,null]},"b":1}`},
		{"a nil object is null", map[string]any(nil), "null"},
		{"a nil list is null", []any(nil), "null"},
		{"a raw value is made compact", json.RawMessage(" { \"a\" : 1 }\n"), `{"a":1}`},
		{"a nil raw value is null", json.RawMessage(nil), "null"},
		{"bytes are base64", []byte("hi?"), `"aGk/"`},
		{"a struct", struct {
			A string `json:"a"`
		}{"<"}, `{"a":"<"}`},
		{"deep values", nest(40, "x"), strings.Repeat(`[{"in":`, 40) + `"x"` + strings.Repeat(`}]`, 40)},
	}
	for _, tt := range tests {
		t.Run(tt.name+" in metadata", func(t *testing.T) {
			t.Parallel()
			raw, c := encode(t, status(map[string]any{"k": tt.value}), record.Stamp{Seq: 1})
			if got := string(c.Metadata["k"]); got != tt.want || !strings.Contains(string(raw), `"k":`+tt.want) {
				t.Errorf("got %s in %s", got, raw)
			}
		})
		if tt.want == "null" {
			continue
		}
		t.Run(tt.name+" in a data part", func(t *testing.T) {
			t.Parallel()
			got, err := record.AppendPart(nil, a2a.NewDataPart(tt.value))
			if want := `{"data":` + tt.want + `}`; err != nil || string(got) != want {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

func status(meta map[string]any) *a2a.TaskStatusUpdateEvent {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	return &a2a.TaskStatusUpdateEvent{
		TaskID: "task", ContextID: "context", Metadata: meta,
		Status: a2a.TaskStatus{State: a2a.TaskStateWorking, Timestamp: &at},
	}
}

func TestWhatCannotBeEncodedIsAnError(t *testing.T) {
	t.Parallel()
	cycle := map[string]any{}
	cycle["again"] = []any{cycle}
	loop := map[string]any{}
	loop["again"] = loop
	ring := []any{nil}
	ring[0] = ring
	good := a2a.NewTextPart("x")
	chunk := func(p ...*a2a.Part) a2a.Event {
		return &a2a.TaskArtifactUpdateEvent{Artifact: &a2a.Artifact{ID: "a", Parts: p}}
	}
	said := func(p *a2a.Part) *a2a.Message { return &a2a.Message{ID: "m", Parts: a2a.ContentParts{p}} }
	spoken := func(m *a2a.Message) a2a.Event {
		ev := status(nil)
		ev.Status.Message = m
		return ev
	}
	whole := func(change func(*a2a.Task)) a2a.Event {
		out := &a2a.Task{ID: "task", Status: status(nil).Status}
		change(out)
		return out
	}
	tests := []struct {
		name  string
		event a2a.Event
		text  string
	}{
		{"no event", nil, "event type <nil>"},
		{"a status without a timestamp", &a2a.TaskStatusUpdateEvent{}, "without a timestamp"},
		{"a Task without a timestamp", &a2a.Task{}, "without a timestamp"},
		{"an artifact update without an artifact", &a2a.TaskArtifactUpdateEvent{}, "without an artifact"},
		{"not a number", status(map[string]any{"k": math.NaN()}), `metadata["k"]: value of type float64: json: unsupported value: NaN`},
		{"infinity", status(map[string]any{"k": math.Inf(-1)}), `metadata["k"]`},
		{"not a number, deep inside", status(map[string]any{"k": nest(3, math.NaN())}), "NaN"},
		{"a channel", status(map[string]any{"k": make(chan int)}), "chan int"},
		{"a cycle", status(map[string]any{"k": cycle}), "cycle"},
		{"a cycle of objects", status(map[string]any{"k": loop}), "cycle"},
		{"a cycle of lists", status(map[string]any{"k": ring}), "cycle"},
		{"a number that is none", status(map[string]any{"k": json.Number("one")}), "invalid number"},
		{"a raw value that is no JSON", status(map[string]any{"k": json.RawMessage("{")}), `metadata["k"]`},
		{"a raw value that is not UTF-8", status(map[string]any{"k": json.RawMessage("\"\xff\"")}), "not UTF-8"},
		{"a key that is not UTF-8", status(map[string]any{"\xff": 1}), `key "\xff"`},
		{"a key that is not UTF-8, deep inside", status(map[string]any{"k": map[string]any{"\xff": 1}}), `key "\xff"`},
		{"a nil part", chunk(good, nil), `artifact "a": parts[1]: a part without content`},
		{"a part without content", chunk(&a2a.Part{}), "parts[0]: a part without content"},
		{"a part with an empty url", chunk(a2a.NewFileURLPart("", "text/plain")), "an empty url"},
		{"a part with null for data", chunk(a2a.NewDataPart(nil)), "null for data"},
		{"a part with a nil pointer for data", chunk(a2a.NewDataPart((*int)(nil))), "null for data"},
		{"data that is not a number", chunk(a2a.NewDataPart(math.NaN())), "data: value of type float64"},
		{"metadata of a part", chunk(&a2a.Part{Content: a2a.Text("x"), Metadata: map[string]any{"k": math.NaN()}}), "parts[0]: metadata"},
		{"metadata of an artifact", &a2a.TaskArtifactUpdateEvent{Artifact: &a2a.Artifact{ID: "a", Metadata: map[string]any{"k": math.NaN()}}}, `artifact "a": metadata["k"]`},
		{"metadata of an artifact update", &a2a.TaskArtifactUpdateEvent{Artifact: &a2a.Artifact{ID: "a"}, Metadata: map[string]any{"k": math.NaN()}}, `metadata["k"]`},
		{"a part of a status message", spoken(said(nil)), "status.message: parts[0]"},
		{"metadata of a status message", spoken(&a2a.Message{Metadata: map[string]any{"k": math.NaN()}}), "status.message: metadata"},
		{"a part of a message", said(nil), "parts[0]"},
		{"metadata of a message", &a2a.Message{Metadata: map[string]any{"k": math.NaN()}}, "metadata"},
		{"a nil message in a history", whole(func(t *a2a.Task) { t.History = []*a2a.Message{said(good), nil} }), "history[1]: a nil message"},
		{"a part in a history", whole(func(t *a2a.Task) { t.History = []*a2a.Message{said(nil)} }), "history[0]: parts[0]"},
		{"an artifact of a Task", whole(func(t *a2a.Task) { t.Artifacts = []*a2a.Artifact{{ID: "a", Parts: a2a.ContentParts{nil}}} }), "artifacts[0]: parts[0]"},
		{"metadata of a Task", whole(func(t *a2a.Task) { t.Metadata = map[string]any{"k": math.NaN()} }), `metadata["k"]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			raw, c, err := record.Encode(tt.event, record.Stamp{Seq: 1})
			if err == nil || !strings.Contains(err.Error(), tt.text) || raw != nil || c != nil {
				t.Errorf("error %v, want one with %q; %s", err, tt.text, raw)
			}
		})
	}

	t.Run("a message that is nil", func(t *testing.T) {
		t.Parallel()
		if _, err := record.AppendMessage(nil, nil); err == nil {
			t.Error("no error")
		}
	})
}

func TestBytesThatAreNotUTF8AreTheSameInFoldAndLog(t *testing.T) {
	t.Parallel()
	_, c := encode(t, &a2a.TaskArtifactUpdateEvent{Artifact: &a2a.Artifact{
		ID: "a\xff", Name: "n\xff\xfe", Description: "d\xff", Extensions: []string{"x\xff"}, Parts: a2a.ContentParts{a2a.NewTextPart("")},
	}}, record.Stamp{Seq: 1})
	a := c.Artifact
	if a.ID != "a\ufffd" || a.Name != "n\ufffd\ufffd" || a.Description != "d\ufffd" || a.Extensions[0] != "x\ufffd" {
		t.Errorf("folded as %+v", a)
	}
}

// Encode is called for every event of every task. Not parallel: AllocsPerRun
// counts what others allocate.
func TestEncodeAllocatesLittle(t *testing.T) {
	limit := func(name string, ev a2a.Event, most float64) {
		got := testing.AllocsPerRun(100, func() {
			if _, _, err := record.Encode(ev, record.Stamp{Seq: 1234, Attempt: 1}); err != nil {
				t.Error(err)
			}
		})
		if got > most {
			t.Errorf("%s takes %v allocations, at most %v are allowed", name, got, most)
		}
	}
	limit("a chunk", benchChunk(), 3)
	limit("a status", benchStatus(), 2)
	ev := benchStatus()
	ev.Status.Message = &a2a.Message{ID: "m", Parts: a2a.ContentParts{a2a.NewTextPart(strings.Repeat("long ", 500))}}
	limit("a status with a message", ev, 3)
	chunk := benchChunk()
	chunk.Artifact.Parts = a2a.ContentParts{a2a.NewTextPart(strings.Repeat("long ", 5000))}
	limit("a long chunk", chunk, 3)
}
