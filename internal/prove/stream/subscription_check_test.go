// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"fmt"
	"slices"
	"testing"
)

// countLog is the log of a task that counts to 3, as JSON.
func countLog(t *testing.T) []Event {
	t.Helper()
	meta := func(seq int) string {
		return fmt.Sprintf(`"metadata":{"https://github.com/errand-a2a/errand/ext/resume/v1":{"sequence":%d}}`, seq)
	}
	raws := []string{`{"task":{"id":"t","status":{"state":"TASK_STATE_WORKING"},` + meta(1) + `}}`}
	for i := 1; i <= 3; i++ {
		raws = append(raws, fmt.Sprintf(`{"artifactUpdate":{"taskId":"t","artifact":{"artifactId":"n","parts":[{"text":"%d"}]},"append":%t,%s}}`, i, i > 1, meta(i+1)))
	}
	raws = append(raws, `{"statusUpdate":{"taskId":"t","status":{"state":"TASK_STATE_COMPLETED"},`+meta(5)+`}}`)
	var log []Event
	for _, raw := range raws {
		log = append(log, parsed(t, raw))
	}
	return log
}

func parsed(t *testing.T, raw string) Event {
	t.Helper()
	e, err := ParseEvent([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// at3 is a right subscription that begins at 3.
func at3(t *testing.T, log []Event) *Subscription {
	t.Helper()
	return &Subscription{Tail: slices.Clone(log[3:]), Snapshot: parsed(t,
		`{"task":{"id":"t","status":{"state":"TASK_STATE_WORKING"},"artifacts":[{"artifactId":"n","parts":[{"text":"1"},{"text":"2"}]}],`+
			`"metadata":{"https://github.com/errand-a2a/errand/ext/resume/v1":{"sequence":3}}}}`)}
}

const endOfCount = `{"id":"t","status":{"state":"TASK_STATE_COMPLETED"},"artifacts":[{"artifactId":"n","parts":[{"text":"1"},{"text":"2"},{"text":"3"}]}]}`

func TestSubscriptionIsCompared(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(s *Subscription, log []Event)
		end   string
		want  string
	}{
		{"one that is right", func(*Subscription, []Event) {}, endOfCount, ""},
		{"a gap after the snapshot", func(s *Subscription, _ []Event) { s.Tail = s.Tail[1:] }, endOfCount, "5 comes where 4 should"},
		{"an event of the snapshot comes again", func(s *Subscription, log []Event) { s.Tail = log[2:] }, endOfCount, "3 comes where 4 should"},
		{"an event comes twice", func(s *Subscription, _ []Event) { s.Tail = slices.Insert(s.Tail, 1, s.Tail[0]) }, endOfCount, "4 comes where 5 should"},
		{"the end is missing", func(s *Subscription, _ []Event) { s.Tail = s.Tail[:1] }, endOfCount, "ends with 4 of 5"},
		{"other bytes", func(s *Subscription, _ []Event) { s.Tail[0].Raw = append([]byte(" "), s.Tail[0].Raw...) }, endOfCount, "event 4 was shown as"},
		{"a snapshot that is too old", func(s *Subscription, _ []Event) { s.Snapshot.Chunks = s.Snapshot.Chunks[:1] }, endOfCount, "chunk 2 of 3 is wrong"},
		{"no snapshot", func(s *Subscription, log []Event) { s.Snapshot = log[2] }, endOfCount, "is no Task"},
		{"a snapshot in another state", func(s *Subscription, log []Event) {
			s.Snapshot.Raw = []byte(`{"task":{"id":"t","status":{"state":"TASK_STATE_SUBMITTED"}}}`)
		}, endOfCount, "snapshot at 3"},
		{"a task that is not what its events say", func(*Subscription, []Event) {}, `{"id":"t","status":{"state":"TASK_STATE_COMPLETED"}}`, "the task: is shown as"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			log := countLog(t)
			s := at3(t, log)
			tt.spoil(s, log)
			err := s.Check(log, 3)
			if err == nil {
				err = CheckSnapshots(log, []*Subscription{s}, []byte(tt.end))
			}
			wantComplaint(t, err, tt.want)
		})
	}
}
