// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"encoding/json"

	"github.com/errand-a2a/errand/internal/store"
)

// Append writes to a task for the holder of its epoch; see store.Append.
func (s *Store) Append(ctx context.Context, a *store.Append) (out store.Appended, err error) {
	size := 0
	if a.Batch != nil {
		size += len(a.Batch.Body)
	}
	if a.Snapshot != nil {
		size += len(a.Snapshot.Body)
	}
	if a.Attempt != nil {
		size += len(a.Attempt.Error) + len(a.Attempt.Stack)
	}
	err = s.committer.do(ctx, write, size, func(b *batch) error {
		out = store.Appended{}
		return b.append(a, &out)
	})
	if err != nil {
		return store.Appended{}, err
	}
	return out, nil
}

// lookAppend refuses whoever does not hold the task. The item is the running
// one, and nil for a takeover of a task of which nothing runs.
func (b *batch) lookAppend(a *store.Append) (*row, *item, error) {
	r, err := b.load(a.Ref)
	if err != nil {
		return nil, nil, err
	}
	if r == nil {
		return nil, nil, store.ErrNotFound
	}
	if err := known(r.format, "the head", a.Ref); err != nil {
		return nil, nil, err
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

func (b *batch) append(a *store.Append, out *store.Appended) error {
	r, i, err := b.lookAppend(a)
	if err != nil {
		return err
	}
	r.dirty = true
	if a.TakeEpoch {
		r.head.Epoch++
		if i != nil {
			i.state, i.taken, i.dirty = store.Pending, true, true
		}
	} else if a.Extend > 0 {
		i.at, i.dirty = after(b.now, a.Extend), true
	}
	b.record(r, a.Batch)
	if err := b.fold(r, a.Snapshot); err != nil {
		return err
	}
	if a.Attempt != nil {
		b.noteAttempt(r, a.Attempt)
	}
	if a.RefuseCancel {
		r.head.Cancel = store.CancelRefused
	}
	if a.Finish != nil && !a.TakeEpoch {
		if err := b.finish(r, i, a.Finish); err != nil {
			return err
		}
	}
	r.show(a.View)
	if r.head.Closed {
		if err := b.end(r); err != nil {
			return err
		}
	}
	due := b.settle(r)
	if a.Finish != nil && !a.TakeEpoch && i.ended() && r.unheard() {
		if err := b.makeCancelItem(r); err != nil {
			return err
		}
		due = b.settle(r)
	}
	if due {
		out.Due = []string{r.head.Agent}
	}
	out.Epoch, out.LastTurn, out.Cancel = r.head.Epoch, r.head.LastTurn, r.head.Cancel
	out.CancelRequest = r.askedToCancel()
	return nil
}

// fold replaces the snapshot unless it is nil.
func (b *batch) fold(r *row, snap *store.Snapshot) error {
	if snap == nil {
		return nil
	}
	b.newSnapshots = append(b.newSnapshots, Text(r.head.ID), Text(r.head.Tenant), Text(r.head.Principal),
		Int(snap.Seq), Blob(orEmpty(snap.Body)), Int(formatNow))
	r.snapshotBytes, r.tailBytes = int64(len(snap.Body)), 0
	if snap.Seq >= r.head.LastSeq {
		return nil
	}
	if err := b.flush(); err != nil {
		return err
	}
	return b.query("measure the log", b.s.tailBytes, func(x Row) error {
		r.tailBytes, r.dirty = x.Int(0), true
		return nil
	}, Text(r.head.ID), Text(r.head.Tenant), Text(r.head.Principal), Int(snap.Seq))
}

// finish ends the attempt of a running item.
func (b *batch) finish(r *row, i *item, f *store.Finish) error {
	i.state, i.dirty = f.State, true
	switch f.State {
	case store.Retryable:
		i.failures++
		i.at = after(b.now, f.After)
	case store.Scheduled:
		i.at = after(b.now, f.After)
	}
	if !i.ended() {
		return nil
	}
	if i.ref.Kind == store.CancelItem {
		if r.turn != nil {
			r.turn.taken, r.turn.dirty = false, true
		}
		return nil
	}
	if !f.EndTurn {
		return nil
	}
	return b.advance(r, i.ref.Turn)
}

// advance makes the item of the turn after the one that has ended the current one.
func (b *batch) advance(r *row, done int) error {
	r.head.DoneTurn = done
	b.move(r, r.turn, nowhere)
	b.passed = append(b.passed, passed{r, r.turn})
	r.turn = nil
	if done >= r.head.LastTurn {
		return nil
	}
	if err := b.flush(); err != nil {
		return err
	}
	var err error
	r.turn, err = b.item(r, store.ItemRef{Kind: store.Execute, Turn: done + 1})
	return err
}

// unheard tells whether a cancellation is asked for of which no item will tell
// soon: whoever ended the last one may die before it has acted on it.
func (r *row) unheard() bool {
	i := r.current()
	return !r.head.Closed && r.head.Cancel == store.CancelRequested && (i == nil || i.state == store.Scheduled)
}

// end cancels whatever has not ended, because the log has.
func (b *batch) end(r *row) error {
	if r.head.DoneTurn+1 < r.head.LastTurn {
		if err := b.flush(); err != nil {
			return err
		}
		_, err := b.exec("cancel waiting turns", b.s.itemsEnd,
			Text(r.head.ID), Text(r.head.Tenant), Text(r.head.Principal), Int(r.head.DoneTurn+1))
		if err != nil {
			return err
		}
	}
	for _, i := range []*item{r.turn, r.cancel} {
		if i == nil {
			continue
		}
		if !i.ended() {
			i.state, i.dirty = store.Canceled, true
		}
		b.move(r, i, nowhere)
		i.watch(false)
	}
	r.head.DoneTurn, r.dirty = r.head.LastTurn, true
	if r.head.Cancel == store.CancelRequested {
		r.head.Cancel = store.CancelNone
	}
	return nil
}

// noteAttempt writes a row of the table of attempts or replaces it.
func (b *batch) noteAttempt(r *row, a *store.Attempt) {
	b.newAttempts = append(b.newAttempts, Text(r.head.ID), Text(r.head.Tenant), Text(r.head.Principal),
		Text(a.Item.Kind), Int(a.Item.Turn), Int(a.Number), Text(a.Worker), Int(a.Epoch), Text(a.Outcome),
		Text(a.Error), Text(a.Stack), Text(joinRefused(a.Refused)), Int(toMillis(a.StartedAt)), Int(int64(a.Duration)))
}

// Refused texts are kept as a JSON array, none as "".
func joinRefused(refused []string) string {
	if len(refused) == 0 {
		return ""
	}
	text, _ := json.Marshal(refused) // strings always encode
	return string(text)
}

func splitRefused(text string) (refused []string, err error) {
	if text == "" {
		return nil, nil
	}
	return refused, json.Unmarshal([]byte(text), &refused)
}
