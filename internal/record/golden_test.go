// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

var update = flag.Bool("update", false, "write the wire form's golden files again, and those of a new stored format")

type goldenEvent struct {
	name  string
	raw   task.Raw
	event a2a.Event // nil: not made from one
}

func goldenEvents(t *testing.T) []goldenEvent {
	t.Helper()
	at := time.Date(2026, 5, 4, 3, 2, 1, 987_000_000, time.UTC)
	user := &a2a.Message{ID: "user-1", TaskID: "task", ContextID: "context", Role: a2a.MessageRoleUser, Parts: a2a.ContentParts{a2a.NewTextPart("count to 3")}}
	full := &a2a.Message{
		ID: "agent-1", TaskID: "task", ContextID: "context", Role: a2a.MessageRoleAgent, Parts: a2a.ContentParts{a2a.NewTextPart("Which one?")},
		Extensions: []string{"urn:x"}, ReferenceTasks: []a2a.TaskID{"other"}, Metadata: map[string]any{"b": 1, "a": []any{true, nil}},
	}
	all := &a2a.Artifact{
		ID: "report", Name: "Report", Description: "All kinds of parts", Extensions: []string{"urn:x", "urn:y"},
		Metadata: map[string]any{"pages": 3.0},
		Parts: a2a.ContentParts{
			a2a.NewTextPart("line\n\"quoted\" \u2028"),
			{Content: a2a.Raw{0, 1, 254, 255}, Filename: "a.bin", MediaType: "application/octet-stream"},
			{Content: a2a.URL("https://example.com/a.pdf"), Filename: "a.pdf", MediaType: "application/pdf"},
			a2a.NewDataPart(map[string]any{"n": 1e15, "list": []any{1.5, "x"}}),
			{Content: a2a.Text("marked"), MediaType: "text/markdown", Metadata: map[string]any{"k": "v"}},
		},
	}
	update := func(a *a2a.Artifact, appends, last bool) a2a.Event {
		return &a2a.TaskArtifactUpdateEvent{TaskID: "task", ContextID: "context", Artifact: a, Append: appends, LastChunk: last}
	}
	status := func(state a2a.TaskState, m *a2a.Message, meta map[string]any) a2a.Event {
		return &a2a.TaskStatusUpdateEvent{TaskID: "task", ContextID: "context", Status: a2a.TaskStatus{State: state, Timestamp: &at, Message: m}, Metadata: meta}
	}
	events := []goldenEvent{
		{name: "task_submitted", event: &a2a.Task{ID: "task", ContextID: "context", Status: a2a.TaskStatus{State: a2a.TaskStateSubmitted, Timestamp: &at}, History: []*a2a.Message{user}}},
		{name: "task_full", event: &a2a.Task{
			ID: "task", ContextID: "context", Status: a2a.TaskStatus{State: a2a.TaskStateInputRequired, Timestamp: &at, Message: full},
			History: []*a2a.Message{user, full}, Artifacts: []*a2a.Artifact{all, {ID: "b", Parts: a2a.ContentParts{a2a.NewTextPart("")}}}, Metadata: map[string]any{"k": "v"},
		}},
		{name: "message", event: full},
		{name: "message_plain", event: &a2a.Message{ID: "m", ContextID: "context", Role: a2a.MessageRoleAgent, Parts: a2a.ContentParts{a2a.NewTextPart("hello")}}},
		{name: "status_working", event: status(a2a.TaskStateWorking, nil, nil)},
		{name: "status_progress", event: status(a2a.TaskStateWorking, nil, map[string]any{task.ProgressURI: map[string]any{"percent": 40}})},
		{name: "status_message", event: status(a2a.TaskStateInputRequired, full, nil)},
		{name: "status_completed", event: status(a2a.TaskStateCompleted, nil, task.CanceledTurns([]string{"m2", "m3"}))},
		{name: "artifact_parts", event: update(all, false, false)},
		{name: "artifact_append", event: update(&a2a.Artifact{ID: "count", Parts: a2a.ContentParts{a2a.NewTextPart("2")}}, true, false)},
		{name: "artifact_last", event: update(&a2a.Artifact{ID: "count", Parts: a2a.ContentParts{a2a.NewTextPart("3")}}, true, true)},
	}
	var old *task.Artifact
	for i, e := range events {
		raw, c := encode(t, e.event, record.Stamp{Seq: uint64(i + 1), Attempt: i % 2})
		if events[i].raw = raw; e.name == "artifact_parts" {
			old = c.Artifact
		}
	}
	reset, _ := record.EncodeReset("task", "context", "report", old, record.Stamp{Seq: 12, Attempt: 2})
	gone, _ := record.EncodeReset("task", "context", "count", nil, record.Stamp{Seq: 13, Attempt: 2})
	return append(events, goldenEvent{name: "reset", raw: reset}, goldenEvent{name: "reset_superseded", raw: gone})
}

func TestWireFormIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	for _, e := range goldenEvents(t) {
		t.Run("the wire form of "+e.name+" is the golden one", func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", "wire", e.name+".json")
			if *update {
				write(t, path, append(e.raw, '\n'))
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(bytes.TrimSpace(want)), string(e.raw)); d != "" {
				t.Errorf("clients see another form (-golden +encoded):\n%s", d)
			}
			var sr a2a.StreamResponse
			if err := json.Unmarshal(e.raw, &sr); err != nil {
				t.Errorf("the SDK cannot read it: %v", err)
			}
		})
	}
}

// goldenRecords do not go through Encode: that the wire form grows a field
// does not change how records are stored.
func goldenRecords() []record.Record {
	return []record.Record{
		{Seq: 300, Turn: 2, Event: task.Raw(`{"statusUpdate":{"taskId":"task"}}`), Opens: &task.Message{ID: "user-2", Raw: task.Raw(`{"messageId":"user-2"}`)}},
		{Seq: 301, Turn: 2, Attempt: 1, Event: task.Raw(`{"artifactUpdate":{"artifact":{"artifactId":"日本"}}}`)},
		{Seq: 302, Turn: 2, Attempt: 300, Event: task.Raw(`{}`), Closes: true},
	}
}

func goldenState() *task.State {
	return task.Restore(task.State{
		ID: "task", ContextID: "context", Seq: 302,
		Status: task.Status{
			State: a2a.TaskStateInputRequired, At: time.Date(2026, 5, 4, 3, 2, 1, 987_000_000, time.UTC),
			Message: &task.Message{ID: "agent-1", Raw: task.Raw(`{"messageId":"agent-1"}`)},
		},
		History: []task.Message{{ID: "user-1", Raw: task.Raw(`{"messageId":"user-1"}`)}, {ID: "user-2", Raw: task.Raw(`{"messageId":"user-2"}`)}},
		Artifacts: []*task.Artifact{
			{
				ID: "report", Name: "Report", Description: "日本", Extensions: []string{"urn:x", "urn:y"},
				Metadata: map[string]task.Raw{"b": task.Raw(`1`), "a": task.Raw(`{"c":[]}`)},
				Parts:    []task.Raw{task.Raw(`{"text":"1"}`), task.Raw(`{"text":"2"}`)},
			},
			{ID: "b", Parts: []task.Raw{task.Raw(`{"url":"https://example.com"}`)}},
		},
		Metadata: map[string]task.Raw{"k": task.Raw(`"v"`), "": task.Raw(`null`)},
	})
}

func goldenReply() *task.State {
	return task.Restore(task.State{ID: "task", ContextID: "context", Seq: 1, Reply: &task.Message{ID: "m", Raw: task.Raw(`{"messageId":"m"}`)}})
}

func goldenRequest() record.Request {
	return record.Request{
		Metadata: map[string]any{"k": []any{1.5, "x", nil}}, Params: map[string][]string{"a2a-extensions": {"urn:x", "urn:y"}},
		Extensions: []string{"urn:x"}, Accepts: []string{"text/plain"}, Context: map[string]any{"trace": "1"}, MaxAttempts: 3,
		User: &record.User{Name: "ann", Authenticated: true, Attributes: map[string]any{"team": "red"}}, Parked: a2a.TaskStateAuthRequired,
	}
}

func goldenMessage() *a2a.Message {
	return &a2a.Message{
		ID: "user-1", TaskID: "task", ContextID: "context", Role: a2a.MessageRoleUser, Extensions: []string{"urn:x"},
		ReferenceTasks: []a2a.TaskID{"other"}, Metadata: map[string]any{"k": 1.5},
		Parts: a2a.ContentParts{a2a.NewTextPart("日本 \u2028"), a2a.NewRawPart([]byte{0, 255}), a2a.NewFileURLPart("https://x", "a/b"), a2a.NewDataPart([]any{true})},
	}
}

// storedForms are all that this package writes into a database. What has no
// format number in itself stands in a row with one.
func storedForms(t *testing.T) map[string][]byte {
	t.Helper()
	request, err := record.EncodeRequest(goldenRequest())
	if err != nil {
		t.Fatal(err)
	}
	message, err := record.AppendMessage(nil, goldenMessage())
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"batch":          record.EncodeBatch(goldenRecords()),
		"batch_empty":    record.EncodeBatch(nil),
		"snapshot":       record.EncodeSnapshot(goldenState()),
		"snapshot_reply": record.EncodeSnapshot(goldenReply()),
		"request":        request,
		"message":        message,
	}
}

func TestStoredFormIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	for name, stored := range storedForms(t) {
		t.Run("the stored form of a "+name+" is the golden one", func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", "stored", fmt.Sprintf("%s.%d.hex", name, record.Format))
			if _, err := os.Stat(path); *update && errors.Is(err, fs.ErrNotExist) {
				write(t, path, []byte(hex.Dump(stored)))
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), hex.Dump(stored)); d != "" {
				t.Errorf("Databases hold the golden bytes. Whoever changes how records are stored gives record.Format a new number, "+
					"keeps reading the old one, and runs this test with -update, which writes files for the new number and never "+
					"touches those of an old one (-golden +encoded):\n%s", d)
			}
		})
	}
}

func TestGoldenBytesAreRead(t *testing.T) {
	t.Parallel()
	read := func(t *testing.T, name string) []byte {
		t.Helper()
		dump, err := os.ReadFile(filepath.Join("testdata", "stored", name))
		if err != nil {
			t.Fatal(err)
		}
		return undump(t, dump)
	}

	t.Run("format 1 of a batch", func(t *testing.T) {
		t.Parallel()
		got, err := record.DecodeBatch(read(t, "batch.1.hex"))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(goldenRecords(), got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
	for name, want := range map[string]*task.State{"snapshot.1.hex": goldenState(), "snapshot_reply.1.hex": goldenReply()} {
		t.Run("format 1 of "+name, func(t *testing.T) {
			t.Parallel()
			got, err := record.DecodeSnapshot(read(t, name))
			if err != nil {
				t.Fatal(err)
			}
			checkSame(t, want, got)
		})
	}

	t.Run("format 1 of a request and of a message", func(t *testing.T) {
		t.Parallel()
		request, err := record.DecodeRequest(read(t, "request.1.hex"))
		if err != nil {
			t.Fatal(err)
		}
		message, err := record.DecodeMessage(read(t, "message.1.hex"))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]any{goldenRequest(), goldenMessage()}, []any{request, message}); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// undump reads what hex.Dump writes.
func undump(t *testing.T, dump []byte) []byte {
	t.Helper()
	var out []byte
	for line := range bytes.Lines(dump) {
		digits := bytes.ReplaceAll(line[10:58], []byte(" "), nil)
		b, err := hex.DecodeString(string(digits))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}
