// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

func TestAmendAddsMetadataAndNothingElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		st := drawStamp(t)
		ev := rapid.Custom(drawEvent).Filter(func(ev a2a.Event) bool { _, is := ev.(*a2a.Message); return !is }).Draw(t, "event")
		raw, _ := encode(t, ev, st)
		want := parse(t, raw)
		for _, more := range []map[string]any{drawMeta(t), task.CanceledTurns([]string{"m1"}), task.CanceledTurns([]string{"m1", "m2"})} {
			delete(more, task.ResumeURI)
			amended, added, err := record.Amend(record.Record{Event: raw}, more)
			if err != nil {
				t.Fatalf("amend: %v", err)
			}
			got := parse(t, amended)
			if want.Metadata == nil && len(added) > 0 {
				want.Metadata = map[string]task.Raw{}
			}
			maps.Copy(want.Metadata, added)
			if d := cmp.Diff(want, got); d != "" || len(added) != len(more) {
				t.Fatalf("%d of %d added (-want +got):\n%s", len(added), len(more), d)
			}
			// As if the event had come with it.
			for k, v := range more {
				ev.SetMeta(k, v)
			}
			if whole, _ := encode(t, ev, st); string(whole) != string(amended) {
				t.Fatalf("amended to\n%s\nencoded with it\n%s", amended, whole)
			}
			raw = amended
		}
	})
}

func parse(t tb, raw task.Raw) *task.Change {
	t.Helper()
	c, err := record.Parse(record.Record{Event: raw})
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return c
}

func TestAmendRefusesWhatWeDidNotWrite(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"", "{}", `{"statusUpdate":{"metadata":{}}}`, `{"statusUpdate":{"metadata":{"k":1, "` + task.ResumeURI + `":{"sequence":1}}}}`} {
		if _, _, err := record.Amend(record.Record{Event: task.Raw(event)}, task.CanceledTurns([]string{"m"})); !errors.Is(err, record.ErrCorrupt) {
			t.Errorf("%s: %v", event, err)
		}
	}
}
