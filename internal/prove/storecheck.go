// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
)

// storeReaders is how many tasks are read at a time.
const storeReaders = 4

// CheckFile compares the file of a server that was stopped with ledgers and
// with what GetTask had answered, where it was asked: the queue, which no client
// sees, the log as it lies there, and the file itself.
func CheckFile(ctx context.Context, path string, answers Answers, ledgers ...string) (report *Report, err error) {
	c := &storeCheck{answers: answers}
	if err := sqlite.Check(path); err != nil {
		c.add("store", "", "%v", err)
	}
	if c.store, err = sqlite.Open(ctx, path, sqlite.Options{}); err != nil {
		return nil, fmt.Errorf("check the store: %w", err)
	}
	defer func() { err = errors.Join(err, c.store.Close()) }()
	for _, ledger := range ledgers {
		entries, err := ReadLedger(ledger)
		if err != nil {
			return nil, err
		}
		c.checkAll(ctx, tellStories(entries))
	}
	return &c.report, c.checkIdle(ctx)
}

// storeCheck compares a store with stories.
type storeCheck struct {
	store   store.Store
	answers Answers

	mu     sync.Mutex
	report Report
}

func (c *storeCheck) add(kind, task, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Violations = append(c.report.Violations, Violation{kind, task, fmt.Sprintf(format, args...)})
}

func (c *storeCheck) checkAll(ctx context.Context, stories map[string]*story) {
	ids := make(chan string)
	var wg sync.WaitGroup
	for range storeReaders {
		wg.Go(func() {
			for id := range ids {
				if err := c.checkTask(ctx, stories[id]); err != nil {
					c.add("store", id, "%v", err)
				}
			}
		})
	}
	for _, id := range slices.Sorted(maps.Keys(stories)) {
		ids <- id
	}
	close(ids)
	wg.Wait()
}

// checkIdle wants a queue that has nothing for anybody.
func (c *storeCheck) checkIdle(ctx context.Context) error {
	promoted, err := c.store.Promote(ctx, store.PromoteRequest{Limit: 10})
	if err != nil {
		return fmt.Errorf("look for what is due: %w", err)
	}
	if len(promoted.Agents) > 0 || promoted.Next > 0 {
		c.add("queue", "", "%d items are due and the next is in %s, though every task is settled", len(promoted.Agents), promoted.Next)
	}
	claims, err := c.store.Claim(ctx, store.ClaimRequest{Limit: 10, Taker: store.Taker{Worker: "prove", TTL: 1}})
	if err != nil {
		return fmt.Errorf("look for what is ready: %w", err)
	}
	for _, claim := range claims {
		c.add("queue", claim.Head.ID, "its item %s %d is ready, though every task is settled", claim.Item.Kind, claim.Item.Turn)
	}
	return ctx.Err()
}

// stored is all that the store has of a task.
type stored struct {
	head     store.Head
	turns    []store.Turn
	attempts []store.Attempt
	batches  []store.Batch
	records  []record.Record
	state    *task.State // of the snapshot and the log after it
}

func (c *storeCheck) read(ctx context.Context, ref task.Ref) (*stored, error) {
	st, err := c.store.Load(ctx, ref)
	if err != nil {
		return nil, err
	}
	s := &stored{head: st.Head}
	var snapshot []byte
	if st.Snapshot != nil {
		snapshot = st.Snapshot.Body
	}
	var tail [][]byte
	for _, b := range st.Tail {
		tail = append(tail, b.Body)
	}
	if s.state, err = record.Open(ref.ID, st.Head.ContextID, snapshot, tail); err != nil {
		return nil, err
	}
	if _, s.batches, err = c.store.Read(ctx, ref, 0, math.MaxInt); err != nil {
		return nil, err
	}
	if s.turns, err = c.store.Turns(ctx, ref, 0, 0); err != nil {
		return nil, err
	}
	s.attempts, err = c.store.Attempts(ctx, ref)
	return s, err
}

func (c *storeCheck) checkTask(ctx context.Context, s *story) error {
	st, err := c.read(ctx, task.Ref{ID: s.task})
	if errors.Is(err, store.ErrNotFound) {
		c.add("lost", s.task, "%q was acknowledged and is not in the store", s.text)
		return nil
	}
	if err != nil {
		return err
	}
	report := func(kind, format string, args ...any) { c.add(kind, s.task, format, args...) }
	checkStoredLog(st, report)
	checkStoredState(st, c.answers, report)
	checkTurns(st, s, report)
	checkAttempts(st, s, report)
	return nil
}

// checkStoredLog wants batches that hold 1..n, and a log that ends where and
// when the head says.
func checkStoredLog(st *stored, report reporter) {
	next := uint64(1)
	for _, b := range st.batches {
		records, err := record.DecodeBatch(b.Body)
		if err != nil {
			report("store", "the records %d to %d: %v", b.First, b.Last, err)
			return
		}
		st.records = append(st.records, records...)
		if b.First != next || len(records) == 0 || records[0].Seq != b.First || records[len(records)-1].Seq != b.Last {
			report("gap", "the records %d to %d follow %d and hold %d", b.First, b.Last, next-1, len(records))
			return
		}
		next = b.Last + 1
	}
	if st.head.LastSeq != next-1 {
		report("gap", "the log ends with %d, its head says %d", next-1, st.head.LastSeq)
	}
	for i, r := range st.records {
		if last := i == len(st.records)-1; r.Closes && !last || last && r.Closes != st.head.Closed {
			report("terminals", "record %d of %d closes the log: %v; the head says that it is closed: %v",
				r.Seq, len(st.records), r.Closes, st.head.Closed)
		}
	}
}

// checkStoredState wants three ways to the task to lead to the same: the whole
// log, the snapshot with the log after it, and what GetTask answered.
func checkStoredState(st *stored, answers Answers, report reporter) {
	var bodies [][]byte
	for _, b := range st.batches {
		bodies = append(bodies, b.Body)
	}
	whole, err := record.Open(st.head.ID, st.head.ContextID, nil, bodies)
	if err != nil {
		report("fold", "the whole log: %v", err)
		return
	}
	want, short := wireTask(whole), wireTask(st.state)
	if canonical(short) != canonical(want) {
		report("fold", "the snapshot and the log after it are not the fold of the whole log: %.300s and %.300s", canonical(short), canonical(want))
	}
	if answer, asked := answers[st.head.ID]; asked && answer != digestOf(short) {
		report("fold", "GetTask answered another task than the store holds: %.600s", canonical(short))
	}
	if got := string(st.state.Status.State); got != st.head.State {
		report("store", "the head says %s, the fold %s", st.head.State, got)
	}
}

// wireTask is a folded task as it is answered; what cannot be read again is no
// task, and so not the one that was answered.
func wireTask(s *task.State) object {
	o, err := parseObject(record.AppendTask(nil, s, record.View{}))
	if err != nil {
		return object{"unreadable": err.Error()}
	}
	return o
}

// checkTurns wants a turn for each acknowledged message, in order and with the
// message as it was sent, no other, and nothing of the task left in the queue.
func checkTurns(st *stored, s *story, report reporter) {
	h := st.head
	if h.LastTurn != len(st.turns) || h.DoneTurn != h.LastTurn || h.Running || h.Cancel == store.CancelRequested {
		report("queue", "is settled with %d turns, of which the head knows %d and %d have ended; running %v, cancellation %d",
			len(st.turns), h.LastTurn, h.DoneTurn, h.Running, h.Cancel)
	}
	wanted := append([]Message{{ID: s.message, Text: s.text}}, s.sent...)
	refused := make(map[string]Message)
	for _, m := range s.refused {
		refused[m.ID] = m
	}
	for i, t := range st.turns {
		if t.Number != i+1 {
			report("queue", "turn %d has the number %d", i+1, t.Number)
		}
		switch t.Item {
		case store.Completed, store.Canceled, store.Dead:
		default:
			report("queue", "the item of turn %d is %s, though the task is %s", t.Number, t.Item, h.State)
		}
		m, known := Message{}, false
		if len(wanted) > 0 && wanted[0].ID == t.MessageID {
			m, known, wanted = wanted[0], true, wanted[1:]
		} else if m, known = refused[t.MessageID]; known && t.Item != store.Canceled {
			report("queue", "the message %s was refused and the item of its turn is %s", t.MessageID, t.Item)
		}
		if !known {
			report("queue", "turn %d is of the message %s, which is not the next that was acknowledged", t.Number, t.MessageID)
			continue
		}
		checkMessage(t, m, report)
	}
	if len(wanted) > 0 {
		report("queue", "the acknowledged message %s has no turn", wanted[0].ID)
	}
}

func checkMessage(t store.Turn, want Message, report reporter) {
	var got object
	if err := json.Unmarshal(t.Message, &got); err != nil {
		report("queue", "the message of turn %d: %v", t.Number, err)
		return
	}
	if got.str("messageId") != want.ID || !slices.Equal(got.texts(), []string{want.Text}) {
		report("queue", "turn %d holds the message %.300s, want %s %q", t.Number, t.Message, want.ID, want.Text)
	}
}

// checkAttempts wants every run of a turn to be counted once: each was lost,
// failed, was given back, or was the last; and each claim and each loss has
// raised the epoch by one. A cancellation raises it too, and may end a turn
// that nothing runs.
func checkAttempts(st *stored, s *story, report reporter) {
	canceled := s.canceled || s.uncancelable
	released := make(map[int]int)
	rows := make(map[store.ItemRef]map[int]bool)
	for _, a := range st.attempts {
		if rows[a.Item] == nil {
			rows[a.Item] = make(map[int]bool)
		}
		if rows[a.Item][a.Number] || a.Number < 1 {
			report("attempt", "attempt %d of %s %d is recorded twice, or never was", a.Number, a.Item.Kind, a.Item.Turn)
		}
		rows[a.Item][a.Number] = true
		if a.Item.Kind == store.Execute && a.Outcome == outcomeReleased {
			released[a.Item.Turn]++
		}
		if n := a.Item.Turn; a.Item.Kind == store.Execute && (n < 1 || n > len(st.turns) || a.Number > st.turns[n-1].Attempt) {
			report("attempt", "attempt %d of turn %d is recorded and not counted", a.Number, n)
		}
	}
	epoch := int64(0)
	for _, t := range st.turns {
		epoch += int64(t.Attempt + t.Losses)
		given := t.Losses + t.Failures + released[t.Number]
		if t.Attempt != given+1 && (!(canceled || t.Item == store.Canceled) || t.Attempt != given) {
			report("attempt", "turn %d ran %d times, of which %d were lost, %d failed and %d were given back",
				t.Number, t.Attempt, t.Losses, t.Failures, released[t.Number])
		}
	}
	if st.head.Epoch < epoch || st.head.Epoch > epoch && !canceled {
		report("attempt", "the epoch is %d after %d claims and losses", st.head.Epoch, epoch)
	}
	for _, r := range st.records {
		if n := r.Turn; n < 1 || n > len(st.turns) || r.Attempt > st.turns[n-1].Attempt && !canceled {
			report("attempt", "record %d is of attempt %d of turn %d, which was not counted", r.Seq, r.Attempt, n)
			return
		}
	}
}

// outcomeReleased is how the table of attempts calls a run that was given back.
const outcomeReleased = "released"
