// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

func validUTF8(s string) bool { return utf8.ValidString(s) }

// tb is what testing.T and rapid.T have in common here.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

func encode(t tb, ev a2a.Event, st record.Stamp) (task.Raw, *task.Change) {
	t.Helper()
	raw, c, err := record.Encode(ev, st)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return raw, c
}

func TestWhatParseReadsIsWhatEncodeGave(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		st := drawStamp(t)
		raw, want := encode(t, drawEvent(t), st)
		got, err := record.Parse(record.Record{Seq: st.Seq, Event: raw})
		if err != nil {
			t.Fatalf("parse %s: %v", raw, err)
		}
		if want.Kind != task.KindArtifact {
			want.Superseded = false // only an artifact is
		}
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("(-encoded +parsed):\n%s\n%s", cmp.Diff(want, got), raw)
		}
	})
}

func TestTheStampOfAMessageIsTakenAwayByItself(t *testing.T) {
	t.Parallel()
	inner := map[string]any{task.ResumeURI: map[string]any{"sequence": 1}}
	for name, m := range map[string]*a2a.Message{
		"with other metadata":              {ID: "m", Metadata: map[string]any{"k": int64(1<<53 + 1)}},
		"without other metadata":           {ID: "m"},
		"with the same key in a data part": {ID: "m", Parts: a2a.ContentParts{a2a.NewDataPart(inner)}},
		"with the same key in metadata":    {ID: "m", Metadata: map[string]any{"k": inner, "l": 1}},
	} {
		t.Run("from a message "+name, func(t *testing.T) {
			t.Parallel()
			want, err := record.AppendMessage(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			raw, _ := encode(t, m, record.Stamp{Seq: 7, Attempt: 1, Superseded: true})
			for _, event := range []string{string(raw), `{"message":` + string(want) + `}`} {
				c, err := record.Parse(record.Record{Event: task.Raw(event)})
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(string(want), string(c.Message.Raw)); d != "" {
					t.Errorf("of %s (-want +got):\n%s", event, d)
				}
			}
		})
	}
}

func TestTheWireFormIsThatOfTheSDK(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ev := drawEvent(t)
		raw, _ := encode(t, ev, drawStamp(t))
		theirs, err := json.Marshal(a2a.StreamResponse{Event: ev})
		if err != nil {
			t.Fatalf("the SDK cannot encode what we can: %v", err)
		}
		if !utf8.Valid(raw) || bytes.ContainsAny(raw, "\r\n\u2028\u2029") {
			t.Fatalf("not fit for a frame: %q", raw)
		}
		if d := cmp.Diff(normal(t, theirs), normal(t, raw)); d != "" {
			t.Fatalf("(-SDK +ours):\n%s", d)
		}
		var want, got a2a.StreamResponse
		if err := json.Unmarshal(theirs, &want); err != nil {
			t.Fatalf("the SDK cannot decode its own: %v", err)
		}
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatalf("the SDK cannot decode %s: %v", raw, err)
		}
		delete(got.Event.Meta(), task.ResumeURI)
		toMilliseconds(want.Event)
		if d := cmp.Diff(want.Event, got.Event, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("decoded (-SDK +ours):\n%s", d)
		}
	})
}

func toMilliseconds(ev a2a.Event) {
	switch ev := ev.(type) {
	case *a2a.Task:
		*ev.Status.Timestamp = ev.Status.Timestamp.UTC().Truncate(time.Millisecond)
	case *a2a.TaskStatusUpdateEvent:
		*ev.Status.Timestamp = ev.Status.Timestamp.UTC().Truncate(time.Millisecond)
	}
}

// normal is an event as plain values: no stamp, milliseconds, numbers as they
// are written.
func normal(t tb, event []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(event))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		t.Fatalf("not JSON: %v\n%q", err, event)
	}
	for _, body := range out {
		fields := body.(map[string]any)
		if meta, ok := fields["metadata"].(map[string]any); ok {
			if delete(meta, task.ResumeURI); len(meta) == 0 {
				delete(fields, "metadata")
			}
		}
		if st, ok := fields["status"].(map[string]any); ok {
			at, err := time.Parse(time.RFC3339Nano, st["timestamp"].(string))
			if err != nil {
				t.Fatalf("timestamp: %v", err)
			}
			st["timestamp"] = at.UTC().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
		}
	}
	return plain(out).(map[string]any)
}

// plain writes minus nothing as nothing.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case json.Number:
		if v == "-0" {
			return json.Number("0")
		}
	}
	return v
}

func TestEncodeKeepsNothingOfTheEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ev, st := drawEvent(t), drawStamp(t)
		raw, c := encode(t, ev, st)
		wasRaw := strings.Clone(string(raw))
		was, err := record.Parse(record.Record{Event: task.Raw(wasRaw)})
		if err != nil {
			t.Fatalf("parse: %v", err)
		}
		was.Superseded = st.Superseded && c.Kind == task.KindArtifact
		scramble(ev)
		if string(raw) != wasRaw {
			t.Fatalf("the wire form changed from\n%s to\n%s", wasRaw, raw)
		}
		if d := cmp.Diff(was, c); d != "" {
			t.Fatalf("the change changed (-was +is):\n%s", d)
		}
	})
}

func TestValuesOfAChangeCannotGrowIntoEachOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw, c := encode(t, drawEvent(t), record.Stamp{Seq: 1})
		was := string(raw)
		for _, v := range valuesOf(c) {
			_ = append(v, "overwritten"...)
		}
		if string(raw) != was {
			t.Fatalf("appending to a value changed the event to\n%s", raw)
		}
	})
}

func valuesOf(c *task.Change) []task.Raw {
	var out []task.Raw
	message := func(m *task.Message) {
		if m != nil {
			out = append(out, m.Raw)
		}
	}
	meta := func(m map[string]task.Raw) {
		for _, v := range m {
			out = append(out, v)
		}
	}
	message(c.Status.Message)
	for i := range c.History {
		message(&c.History[i])
	}
	meta(c.Metadata)
	artifacts := c.Artifacts
	if c.Artifact != nil {
		artifacts = append(artifacts, c.Artifact)
	}
	for _, a := range artifacts {
		out = append(out, a.Parts...)
		meta(a.Metadata)
	}
	return out
}

func TestAStampIsInEveryEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ev, st := drawEvent(t), drawStamp(t)
		ev.SetMeta(task.ResumeURI, "the agent's own") // it cannot have one
		raw, c := encode(t, ev, st)
		if ev.Meta()[task.ResumeURI] != "the agent's own" {
			t.Fatalf("the agent's event was changed")
		}
		var body map[string]struct {
			Metadata map[string]json.RawMessage `json:"metadata"`
		}
		if err := json.Unmarshal(raw, &body); err != nil {
			t.Fatalf("unmarshal: %v", err)
		}
		for _, b := range body {
			var got struct {
				Sequence   uint64
				Attempt    int
				Superseded bool
			}
			if err := json.Unmarshal(b.Metadata[task.ResumeURI], &got); err != nil {
				t.Fatalf("stamp %s: %v", b.Metadata[task.ResumeURI], err)
			}
			if (record.Stamp{Seq: got.Sequence, Attempt: got.Attempt, Superseded: got.Superseded}) != st {
				t.Fatalf("stamp %+v, want %+v", got, st)
			}
		}
		if n := bytes.Count(raw, []byte(`"`+task.ResumeURI+`":`)); n != 1 {
			t.Fatalf("the key stands in the event %d times: %s", n, raw)
		}
		if _, ours := c.Metadata[task.ResumeURI]; ours {
			t.Fatalf("the stamp is in the fold")
		}
		if c.Message != nil && bytes.Contains(c.Message.Raw, []byte(`"`+task.ResumeURI+`":`)) {
			t.Fatalf("the stamp is in the reply: %s", c.Message.Raw)
		}
	})
}
