// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// Append writes to a task for the holder of its epoch.
func (s *Store) Append(ctx context.Context, a *store.Append) (store.Appended, error) {
	var out store.Appended
	err := s.write(ctx, "append", appendSize(a), func(now time.Time) (func(), error) {
		r, i, err := s.lookAppend(a)
		if err != nil {
			return nil, err
		}
		return func() { out = s.append(r, i, a, now) }, nil
	})
	if err != nil {
		return store.Appended{}, err
	}
	return out, nil
}

func appendSize(a *store.Append) int {
	n := 0
	if a.Batch != nil {
		n += len(a.Batch.Body)
	}
	if a.Snapshot != nil {
		n += len(a.Snapshot.Body)
	}
	return n
}

// lookAppend refuses whoever does not hold the task. The item is the running
// one, and nil for a takeover of a task of which nothing runs.
func (s *Store) lookAppend(a *store.Append) (*row, *item, error) {
	r := s.tasks[a.Ref]
	if r == nil {
		return nil, nil, store.ErrNotFound
	}
	if r.head.Closed {
		return nil, nil, store.ErrClosed
	}
	if a.Epoch != r.head.Epoch || a.LastSeq != r.head.LastSeq {
		return nil, nil, store.ErrFenced
	}
	i := r.running(a.Item)
	if a.TakeEpoch {
		if i = r.current(); i != nil && i.state != store.Running {
			i = nil
		}
	} else if i == nil {
		// The epoch stays when an attempt ends; what it held is gone all the same.
		return nil, nil, store.ErrFenced
	}
	if a.View != nil && a.View.Closed && a.LastTurn != r.head.LastTurn {
		return nil, nil, store.ErrNewerTurn
	}
	if err := checkBatch(a.Batch, r.head.LastSeq); err != nil {
		return nil, nil, err
	}
	return r, i, nil
}

func checkBatch(b *store.Batch, lastSeq uint64) error {
	if b != nil && (b.First != lastSeq+1 || b.Last < b.First) {
		return fmt.Errorf("memory: a batch %d–%d cannot follow sequence %d", b.First, b.Last, lastSeq)
	}
	return nil
}

// append writes what lookAppend let through.
func (s *Store) append(r *row, i *item, a *store.Append, now time.Time) store.Appended {
	if a.TakeEpoch {
		r.head.Epoch++
		if i != nil {
			i.state, i.taken = store.Pending, true
		}
	} else if a.Extend > 0 {
		i.until = now.Add(a.Extend)
	}
	r.record(a.Batch)
	r.fold(a.Snapshot)
	if a.Attempt != nil {
		r.noteAttempt(*a.Attempt)
	}
	if a.RefuseCancel {
		r.head.Cancel = store.CancelRefused
	}
	if a.Finish != nil && !a.TakeEpoch {
		r.finish(i, a.Finish, now)
	}
	s.show(r, a.View)
	if r.head.Closed {
		r.end()
	}
	out := store.Appended{Epoch: r.head.Epoch, LastTurn: r.head.LastTurn, Cancel: r.head.Cancel}
	due := s.place(r, now)
	if a.Finish != nil && !a.TakeEpoch && i.ended() && r.unheard() {
		s.makeCancelItem(r, now)
		due = true
	}
	if due {
		out.Due = []string{r.head.Agent}
	}
	out.CancelRequest = r.askedToCancel()
	return out
}

// finish ends the attempt of a running item.
func (r *row) finish(i *item, f *store.Finish, now time.Time) {
	i.state = f.State
	switch f.State {
	case store.Retryable:
		i.failures++
		i.until = now.Add(max(f.After, 0))
	case store.Scheduled:
		i.until = now.Add(max(f.After, 0))
	}
	if !i.ended() {
		return
	}
	if f.EndTurn && i.ref.Kind == store.Execute {
		r.head.DoneTurn = i.ref.Turn
	}
	if i.ref.Kind == store.CancelItem {
		if held := r.current(); held != nil {
			held.taken = false
		}
	}
}

// unheard tells whether a cancellation is asked for of which no item will tell
// soon: whoever ended the last one may die before it has acted on it.
func (r *row) unheard() bool {
	i := r.current()
	return !r.head.Closed && r.head.Cancel == store.CancelRequested && (i == nil || i.state == store.Scheduled)
}

// end cancels whatever has not ended, because the log has.
func (r *row) end() {
	for _, t := range r.turns[r.head.DoneTurn:] {
		if !t.ended() {
			t.state = store.Canceled
		}
	}
	if r.cancel != nil && !r.cancel.ended() {
		r.cancel.state = store.Canceled
	}
	r.head.DoneTurn = r.head.LastTurn
	if r.head.Cancel == store.CancelRequested {
		r.head.Cancel = store.CancelNone
	}
}

// noteAttempt writes a row of the table of attempts or replaces it.
func (r *row) noteAttempt(a store.Attempt) {
	a.Refused = slices.Clone(a.Refused)
	a.StartedAt = toMillis(a.StartedAt)
	for n := len(r.attempts) - 1; n >= 0; n-- {
		if r.attempts[n].Item == a.Item && r.attempts[n].Number == a.Number {
			r.attempts[n] = a
			return
		}
	}
	r.attempts = append(r.attempts, a)
}

// askedToCancel is what RequestCancel brought while a cancellation is asked for.
func (r *row) askedToCancel() []byte {
	if r.head.Cancel != store.CancelRequested {
		return nil
	}
	return slices.Clone(r.cancelRequest)
}

func toMillis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
