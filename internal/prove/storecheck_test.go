// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent/demo"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
)

func TestCheckFileFindsNothingInAnHonestStore(t *testing.T) {
	t.Parallel()
	k := keep(t)
	report, err := CheckFile(t.Context(), k.path, k.answers, k.ledger)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Violations {
		t.Error(v)
	}
	if len(k.answers) != 5 {
		t.Errorf("GetTask was asked for %d tasks", len(k.answers))
	}
}

// No client sees such a task: nothing of it was published.
func TestCheckFileFindsAnItemOfATaskThatNobodyKnows(t *testing.T) {
	t.Parallel()
	k := keep(t)
	st, err := sqlite.Open(t.Context(), k.path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ghost := &store.Submission{Ref: task.Ref{ID: "ghost"}, Agent: demo.Agent().Name, ContextID: "c", Turn: 1, MessageID: "m", Message: []byte("{}")}
	_, err = st.Submit(t.Context(), ghost)
	if err := errors.Join(err, st.Close()); err != nil {
		t.Fatal(err)
	}
	report, err := CheckFile(t.Context(), k.path, k.answers, k.ledger)
	if err != nil {
		t.Fatal(err)
	}
	if !found(report, "queue", "ghost") || len(report.Violations) != 1 {
		t.Errorf("found %v", report.Violations)
	}
}

func TestCheckFileFindsAFileThatIsDamaged(t *testing.T) {
	t.Parallel()
	k := keep(t)
	data, err := os.ReadFile(k.path)
	if err != nil {
		t.Fatal(err)
	}
	// A list of free pages that is longer than there are free pages: nothing but a
	// look through the whole file sees it.
	const freePages = 36 // where the header counts them
	data[freePages+3]++
	if err := os.WriteFile(k.path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := CheckFile(t.Context(), k.path, k.answers, k.ledger)
	if err != nil {
		t.Fatal(err)
	}
	if !found(report, "store", "") {
		t.Errorf("not found: %v", report.Violations)
	}
}

func TestCheckFileFindsWhatIsDoctored(t *testing.T) {
	t.Parallel()
	k := keep(t)
	st, err := sqlite.Open(t.Context(), k.path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	turn := func(change func(*store.Turn)) func(*doctored) {
		return func(d *doctored) {
			d.turns = func(turns []store.Turn) []store.Turn {
				change(&turns[0])
				return turns
			}
		}
	}
	turns := func(change func([]store.Turn) []store.Turn) func(*doctored) {
		return func(d *doctored) { d.turns = change }
	}
	head := func(change func(*store.Head)) func(*doctored) {
		return func(d *doctored) { d.stored = func(s *store.Stored) { change(&s.Head) } }
	}
	batches := func(change func([]store.Batch) []store.Batch) func(*doctored) {
		return func(d *doctored) { d.batches = change }
	}
	attempts := func(change func([]store.Attempt) []store.Attempt) func(*doctored) {
		return func(d *doctored) { d.attempts = change }
	}
	first := store.ItemRef{Kind: store.Execute, Turn: 1}
	tests := []struct {
		name, kind, task string
		doctor           func(*doctored)
	}{
		{"a lost task", "lost", k.asked, func(d *doctored) { d.fault = store.ErrNotFound }},
		{"a task that cannot be read", "store", k.asked, func(d *doctored) { d.fault = store.ErrFormat }},
		{"an item that is still pending", "queue", k.asked, turn(func(t *store.Turn) { t.Item = store.Pending })},
		{"an item that still runs", "queue", k.asked, turn(func(t *store.Turn) { t.Item = store.Running })},
		{"an item that waits for a retry", "queue", k.failed, turn(func(t *store.Turn) { t.Item = store.Retryable })},
		{"an item that waits for its time", "queue", k.failed, turn(func(t *store.Turn) { t.Item = store.Scheduled })},
		{"a turn that is missing", "queue", k.asked, turns(func(t []store.Turn) []store.Turn { return t[:1] })},
		{"a turn that is there twice", "queue", k.asked, turns(func(t []store.Turn) []store.Turn { return append(t, t[1]) })},
		{"turns in another order", "queue", k.asked, turns(func(t []store.Turn) []store.Turn {
			t[0], t[1] = t[1], t[0]
			return t
		})},
		{"a turn that nobody asked for", "queue", k.asked, func(d *doctored) {
			d.turns = func(t []store.Turn) []store.Turn {
				return append(t, store.Turn{Number: 3, MessageID: "ghost", Item: store.Completed, Attempt: 1})
			}
			d.stored = func(s *store.Stored) { s.Head.LastTurn, s.Head.DoneTurn = 3, 3 }
		}},
		{"a turn with a wrong number", "queue", k.asked, turn(func(t *store.Turn) { t.Number = 7 })},
		{"a message of somebody else", "queue", k.asked, turn(func(t *store.Turn) { t.MessageID = "ghost" })},
		{"a message that says something else", "queue", k.asked, turn(func(t *store.Turn) {
			t.Message = bytes.Replace(t.Message, []byte("ask who"), []byte("ask how"), 1)
		})},
		{"a message that cannot be read", "queue", k.asked, turn(func(t *store.Turn) { t.Message = nil })},
		{"a head that counts another number of turns", "queue", k.asked, head(func(h *store.Head) { h.LastTurn++ })},
		{"a turn that never ended", "queue", k.asked, head(func(h *store.Head) { h.DoneTurn-- })},
		{"a head that says that it runs", "queue", k.asked, head(func(h *store.Head) { h.Running = true })},
		{"a cancellation that nobody carried out", "queue", k.asked, head(func(h *store.Head) { h.Cancel = store.CancelRequested })},
		{"an item that is ready", "queue", "ghost", func(d *doctored) {
			d.ready = []store.Claim{{Head: store.Head{Ref: task.Ref{ID: "ghost"}}}}
		}},
		{"an item that will be due", "queue", "", func(d *doctored) { d.due = time.Second }},
		{"an attempt that was counted twice", "attempt", k.asked, turn(func(t *store.Turn) { t.Attempt++ })},
		{"an attempt that was not counted", "attempt", k.failed, turn(func(t *store.Turn) { t.Attempt-- })},
		{"a loss that was not one", "attempt", k.asked, turn(func(t *store.Turn) { t.Losses++ })},
		{"an attempt of a canceled turn that was counted twice", "attempt", k.canceled, turn(func(t *store.Turn) { t.Attempt += 2 })},
		{"an attempt that is recorded twice", "attempt", k.failed, attempts(func(a []store.Attempt) []store.Attempt {
			return append(a, a[0])
		})},
		{"an attempt that is recorded and was never counted", "attempt", k.asked, attempts(func(a []store.Attempt) []store.Attempt {
			return append(a, store.Attempt{Item: first, Number: 2, Outcome: "failed"})
		})},
		{"a run that was given back and not counted", "attempt", k.asked, attempts(func(a []store.Attempt) []store.Attempt {
			return append(a, store.Attempt{Item: first, Number: 1, Outcome: outcomeReleased})
		})},
		{"a claim that raised no epoch", "attempt", k.asked, head(func(h *store.Head) { h.Epoch-- })},
		{"an owner that nobody knows of", "attempt", k.asked, head(func(h *store.Head) { h.Epoch++ })},
		{"records that are missing", "gap", k.asked, batches(func(b []store.Batch) []store.Batch { return slices.Delete(b, 1, 2) })},
		{"records that are there twice", "gap", k.asked, batches(func(b []store.Batch) []store.Batch { return append(b, b[1]) })},
		{"a log that ends early", "gap", k.asked, batches(func(b []store.Batch) []store.Batch { return b[:len(b)-1] })},
		{"a body that does not hold what its row says", "gap", k.asked, batches(func(b []store.Batch) []store.Batch {
			b[1].Body = b[0].Body
			return b
		})},
		{"a body that was damaged", "store", k.asked, batches(func(b []store.Batch) []store.Batch {
			b[0].Body[9]++
			return b
		})},
		{"a log that does not fold", "fold", k.asked, batches(func(b []store.Batch) []store.Batch {
			return recode(b, func(r *record.Record) { r.Event = task.Raw(`{"statusUpdate":{"status":{}}}`) })
		})},
		{"a record of an attempt that was never counted", "attempt", k.asked, batches(func(b []store.Batch) []store.Batch {
			return recode(b, func(r *record.Record) { r.Attempt = 2 })
		})},
		{"a record of a turn that is not there", "attempt", k.asked, batches(func(b []store.Batch) []store.Batch {
			return recode(b, func(r *record.Record) { r.Turn = 3 })
		})},
		{"a closed log that is open", "terminals", k.asked, head(func(h *store.Head) { h.Closed = false })},
		{"a head of another state", "store", k.asked, head(func(h *store.Head) { h.State = stateFailed })},
		{"a snapshot that is not the fold", "fold", k.asked, func(d *doctored) {
			d.stored = func(s *store.Stored) { withSnapshot(s, func(state *task.State) { state.Artifacts = nil }) }
		}},
	}
	stories := k.stories(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := &doctored{Store: st, task: tt.task}
			tt.doctor(d)
			if report := k.inspect(t, d, stories); !found(report, tt.kind, tt.task) {
				t.Errorf("not found: %v", report.Violations)
			}
		})
	}
	t.Run("a snapshot that is not the fold, though nobody asked for the task", func(t *testing.T) {
		t.Parallel()
		d := &doctored{Store: st, task: k.asked}
		d.stored = func(s *store.Stored) { withSnapshot(s, func(state *task.State) { state.Artifacts = nil }) }
		if report := (&kept{}).inspect(t, d, stories); !found(report, "fold", k.asked) {
			t.Errorf("not found: %v", report.Violations)
		}
	})
	t.Run("and nothing in a snapshot that is the fold", func(t *testing.T) {
		t.Parallel()
		d := &doctored{Store: st, task: k.asked, stored: func(s *store.Stored) { withSnapshot(s, func(*task.State) {}) }}
		if report := k.inspect(t, d, stories); len(report.Violations) > 0 {
			t.Error(report.Violations)
		}
	})
}

func TestCheckFileComparesWithTheLedgerAndTheAnswers(t *testing.T) {
	t.Parallel()
	k := keep(t)
	st, err := sqlite.Open(t.Context(), k.path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close() //nolint:errcheck // it was only read
	entries, err := ReadLedger(k.ledger)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("a message that has no turn", func(t *testing.T) {
		more := append(slices.Clip(entries), Entry{Op: opFollowUp, Task: k.asked, Text: "x", Message: "m-x"})
		if report := k.inspect(t, st, tellStories(more)); !found(report, "queue", k.asked) {
			t.Errorf("not found: %v", report.Violations)
		}
	})
	t.Run("a message that was refused and was executed", func(t *testing.T) {
		changed := slices.Clone(entries)
		for i, e := range changed {
			if e.Op == opFollowUp && e.Task == k.asked {
				changed[i].Op = opRefused
			}
		}
		if report := k.inspect(t, st, tellStories(changed)); !found(report, "queue", k.asked) {
			t.Errorf("not found: %v", report.Violations)
		}
	})
	t.Run("a task that GetTask told otherwise", func(t *testing.T) {
		other := &kept{answers: Answers{k.asked: digestOf(object{"state": string(a2a.TaskStateFailed)})}}
		if report := other.inspect(t, st, tellStories(entries)); !found(report, "fold", k.asked) {
			t.Errorf("not found: %v", report.Violations)
		}
	})
}
