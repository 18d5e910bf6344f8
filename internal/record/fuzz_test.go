// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

// sealed makes of any bytes some that pass the format number and the checksum.
func sealed(body []byte) []byte { return seal(append([]byte{record.Format}, body...)) }

func FuzzDecodeBatch(f *testing.F) {
	for _, r := range readers() {
		f.Add(unsealed(r.stored)[1:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := record.DecodeBatch(body); err != nil && !errors.Is(err, record.ErrCorrupt) && !errors.Is(err, record.ErrFormat) {
			t.Fatalf("error %v", err)
		}
		recs, err := record.DecodeBatch(sealed(body))
		if err != nil {
			if !errors.Is(err, record.ErrCorrupt) {
				t.Fatalf("error %v", err)
			}
			return
		}
		again, err := record.DecodeBatch(record.EncodeBatch(recs))
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if d := cmp.Diff(recs, again); d != "" {
			t.Fatalf("(-first +second):\n%s", d)
		}
		_ = record.Fold(task.NewState("task", "context"), recs)
	})
}

func FuzzDecodeSnapshot(f *testing.F) {
	for _, r := range readers() {
		f.Add(unsealed(r.stored)[1:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := record.DecodeSnapshot(body); err != nil && !errors.Is(err, record.ErrCorrupt) && !errors.Is(err, record.ErrFormat) {
			t.Fatalf("error %v", err)
		}
		s, err := record.DecodeSnapshot(sealed(body))
		if err != nil {
			if !errors.Is(err, record.ErrCorrupt) {
				t.Fatalf("error %v", err)
			}
			return
		}
		again, err := record.DecodeSnapshot(record.EncodeSnapshot(s))
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		checkSame(t, s, again)
		record.AppendTask(nil, s, record.View{})
		_ = s.Freeze().Thaw().Apply(&task.Change{Kind: task.KindArtifact, Artifact: &task.Artifact{ID: "a"}})
	})
}

func FuzzParse(f *testing.F) {
	for _, e := range wireSeeds {
		f.Add([]byte(e))
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		c, err := record.Parse(record.Record{Seq: 1, Event: event})
		if err != nil {
			if !errors.Is(err, record.ErrCorrupt) {
				t.Fatalf("error %v", err)
			}
			return
		}
		s := task.NewState("task", "context")
		if s.Apply(c) != nil {
			return
		}
		if b := record.AppendReply(nil, s, record.View{}); !json.Valid(b) {
			t.Fatalf("%q is shown as %q", event, b)
		}
		again, err := record.DecodeSnapshot(record.EncodeSnapshot(s))
		if err != nil {
			t.Fatalf("snapshot: %v", err)
		}
		if d := cmp.Diff(s, again, cmpopts.IgnoreUnexported(task.State{}), cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("snapshot (-folded +read):\n%s", d)
		}
	})
}

// wireSeeds lead the fuzzer to each kind of event.
var wireSeeds = []string{
	`{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING","timestamp":"2026-05-04T03:02:01.987Z","message":{"messageId":"m"}},"history":[{"messageId":"u"}],"artifacts":[{"artifactId":"a","name":"n","parts":[{"text":"x"}],"extensions":["urn:x"],"metadata":{"k":[1]}}],"metadata":{"k":1,"` + task.ResumeURI + `":{"sequence":1}}}}`,
	`{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"x"}],"metadata":{"k":1,"` + task.ResumeURI + `":{"sequence":1,"attempt":2}}}}`,
	`{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[],"metadata":{"` + task.ResumeURI + `":{"sequence":1}}}}`,
	`{"statusUpdate":{"taskId":"t","status":{"state":"TASK_STATE_FAILED","timestamp":"2026-05-04T03:02:01Z"}}}`,
	`{"artifactUpdate":{"artifact":{"artifactId":"a","parts":[]},"append":true,"metadata":{"` + task.ResumeURI + `":{"sequence":1,"superseded":true}}}}`,
	`{"task":{"status":{"state":"TASK_STATE_WORKING","timestamp":"2026-05-04T03:02:01.98765+05:45"}}}`,
	`{"artifactUpdate":{"artifact":{"artifactId":"a","name":"n","parts":[{"text":"y"}],"metadata":{"k":2}},"append":true}}`,
	`{"statusUpdate":{"status":{"state":"TASK_STATE_INPUT_REQUIRED","timestamp":"2026-05-04T03:02:02Z","message":{"messageId":"m2"}},"metadata":{"k":[2]}}}`,
	`{}`, `null`, `{"message":null}`, `{"task":{"status":{"message":null},"history":[null],"artifacts":[null]}}`,
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\n\r\t\x00\x7f", "\u2028\u2029\ufffd", "\xff\xe2\x80", "日本語 🎉", "<&>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := record.AppendString([]byte("x"), s)[1:]
		if bytes.ContainsAny(b, "\u2028\u2029\r\n") {
			t.Fatalf("%q is written as %q", s, b)
		}
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q is written as %q: %v", s, b, err)
		}
		if want := string([]rune(s)); got != want { // s itself, if it is UTF-8
			t.Fatalf("%q is written as %q and read as %q", s, b, got)
		}
	})
}
