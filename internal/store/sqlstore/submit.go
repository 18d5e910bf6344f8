// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// formatNow is the format that this release writes and the newest it reads.
const formatNow = record.Format

// Submit accepts one turn; see store.Intake.
func (s *Store) Submit(ctx context.Context, sub *store.Submission) (out store.Submitted, err error) {
	size := len(sub.Message) + len(sub.Request)
	for _, o := range []*store.Opening{sub.IfClaimed, sub.IfQueued} {
		if o != nil {
			size += len(o.Batch.Body)
		}
	}
	err = s.committer.do(ctx, write, size, func(b *batch) error {
		out = store.Submitted{}
		return b.submit(sub, &out)
	})
	if err != nil {
		return store.Submitted{}, err
	}
	return out, nil
}

func (b *batch) submit(sub *store.Submission, out *store.Submitted) error {
	fresh, err := b.takeKey(sub)
	if err != nil {
		return err
	}
	if !fresh {
		return b.join(sub, out)
	}
	r, err := b.lookSubmit(sub)
	if err != nil {
		if e := b.dropKey(sub); e != nil {
			return e
		}
		return err
	}
	return b.accept(r, sub, out)
}

// lookSubmit refuses what does not fit the task; the row is nil for a new one.
func (b *batch) lookSubmit(sub *store.Submission) (*row, error) {
	var r *row
	var h store.Head // of a task that is not there
	if sub.Turn > 1 {
		var err error
		if r, err = b.load(sub.Ref); err != nil {
			return nil, err
		}
		if r == nil {
			return nil, store.ErrNotFound
		}
		h = r.head
	} else if taken := b.cache.get(sub.Ref); taken != nil || b.alone {
		// A new task is only looked for where that costs nothing, or when the
		// insert of a batch has found one.
		var err error
		if r, err = b.load(sub.Ref); err != nil {
			return nil, err
		}
		if r != nil {
			h = r.head
		}
	}
	if r != nil {
		if err := known(r.format, "the head", sub.Ref); err != nil {
			return nil, err
		}
	}
	if h.Closed {
		return nil, store.ErrClosed
	}
	if sub.Turn != h.LastTurn+1 || sub.LastSeq != h.LastSeq || sub.DoneTurn != h.DoneTurn {
		return nil, store.ErrStale
	}
	if !sub.Deadline.IsZero() && after(sub.Deadline, 0) <= b.now.UnixMilli() {
		return nil, store.ErrPastDeadline
	}
	for _, o := range []*store.Opening{sub.IfClaimed, sub.IfQueued} {
		if o == nil {
			continue
		}
		if sub.DoneTurn < sub.Turn-1 {
			return nil, fmt.Errorf("sqlstore: turn %d waits for turn %d and must not record an opening", sub.Turn, sub.DoneTurn+1)
		}
		if err := checkBatch(&o.Batch, h.LastSeq); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func checkBatch(rec *store.Batch, lastSeq uint64) error {
	if rec != nil && (rec.First != lastSeq+1 || rec.Last < rec.First) {
		return fmt.Errorf("sqlstore: a batch %d–%d cannot follow sequence %d", rec.First, rec.Last, lastSeq)
	}
	return nil
}

// accept writes what lookSubmit let through.
func (b *batch) accept(r *row, sub *store.Submission, out *store.Submitted) error {
	agent := sub.Agent
	if r != nil {
		agent = r.head.Agent
	}
	granted := false
	if sub.Claim != nil {
		// Asked first of all: it may flush, which would write a half-made task.
		busy, err := b.anyReady(agent)
		if err != nil {
			return err
		}
		granted = !busy
	}
	if r == nil {
		r = b.create(sub.Ref, sub.Agent, sub.ContextID)
	}
	i := &item{
		ref:     store.ItemRef{Kind: store.Execute, Turn: sub.Turn},
		arrival: b.nextArrival(), state: store.Pending,
		turnSeq: r.head.LastSeq, waited: sub.DoneTurn < sub.Turn-1, isNew: true,
		priority: sub.Priority, runAt: b.runNow(),
	}
	i.plan(sub, b.now)
	r.head.LastTurn, r.dirty = sub.Turn, true
	b.newTurns = append(b.newTurns, Text(sub.ID), Text(sub.Tenant), Text(sub.Principal), Int(sub.Turn),
		Text(sub.MessageID), Blob(sub.Message), Blob(sub.Request), Int(formatNow))
	out.Turn, out.TurnSeq = sub.Turn, i.turnSeq
	if i.waited {
		i.watch(false)
		b.passed = append(b.passed, passed{r, i})
	} else {
		r.turn = i
	}
	granted = granted && r.current() == i && i.state == store.Pending
	opening := sub.IfQueued
	if granted {
		opening = sub.IfClaimed
	}
	if opening != nil {
		b.record(r, &opening.Batch)
		r.show(&opening.View)
	}
	if granted {
		c := b.claim(r, i, *sub.Claim)
		c.Message, c.MessageID, c.Request = sub.Message, sub.MessageID, sub.Request
		out.Claim = &c
	} else {
		b.settle(r)
	}
	out.Head = r.head
	return nil
}

// plan gives a new item the times that its message asks for.
func (i *item) plan(sub *store.Submission, now time.Time) {
	if !sub.Deadline.IsZero() {
		i.deadline = after(sub.Deadline, 0)
	}
	if sub.ScheduledFor.IsZero() {
		return
	}
	if t := after(sub.ScheduledFor, 0); t > now.UnixMilli() {
		i.state, i.at, i.runAt = store.Scheduled, t, t
	}
}

// RequestCancel records that a cancellation was asked for; see store.Intake.
func (s *Store) RequestCancel(ctx context.Context, c *store.CancelRequest) (out store.Cancellation, err error) {
	err = s.committer.do(ctx, write, len(c.Request), func(b *batch) error {
		out = store.Cancellation{}
		return b.requestCancel(c, &out)
	})
	if err != nil {
		return store.Cancellation{}, err
	}
	return out, nil
}

func (b *batch) requestCancel(c *store.CancelRequest, out *store.Cancellation) error {
	r, err := b.load(c.Ref)
	if err != nil {
		return err
	}
	if r == nil {
		return store.ErrNotFound
	}
	if err := known(r.format, "the head", c.Ref); err != nil {
		return err
	}
	if r.head.Closed {
		out.Head = r.head
		return nil
	}
	repeat := r.head.Cancel == store.CancelRequested
	if repeat || r.head.Running || !r.head.Started {
		r.cancelRequest, r.head.Cancel, r.dirty = bytes.Clone(c.Request), store.CancelRequested, true
		if i := r.current(); i != nil && i.place == suspect {
			b.move(r, i, r.readyPlace(i))
		}
		out.Head = r.head
		return nil
	}
	if err := b.makeCancelItem(r); err != nil {
		return err
	}
	r.cancelRequest, r.head.Cancel, r.dirty = bytes.Clone(c.Request), store.CancelRequested, true
	granted := false
	if c.Claim != nil {
		busy, err := b.anyReady(r.head.Agent)
		if err != nil {
			return err
		}
		granted = !busy
	}
	if granted {
		claim := b.claim(r, r.cancel, *c.Claim)
		claim.Request = c.Request
		out.Claim = &claim
	} else {
		b.settle(r)
	}
	out.Head = r.head
	return nil
}

// makeCancelItem makes a cancel item the current one of its task.
func (b *batch) makeCancelItem(r *row) error {
	i, err := b.newCancelItem(r)
	if err != nil {
		return err
	}
	if old := r.cancel; old != nil && !old.ended() {
		old.state, old.dirty = store.Canceled, true
		b.move(r, old, nowhere)
		b.passed = append(b.passed, passed{r, old})
	}
	r.cancel, r.dirty = i, true
	if r.turn != nil {
		b.move(r, r.turn, nowhere) // held back until the cancel item has ended
		r.turn.watch(false)
	}
	return nil
}

// newCancelItem makes the item that runs the executor's Cancel. A second one of
// the same turn goes on counting attempts, so that the rows of the first one in
// the table of attempts stay.
func (b *batch) newCancelItem(r *row) (*item, error) {
	if err := b.flush(); err != nil {
		return nil, err
	}
	earlier, err := b.newestCancel(r)
	if err != nil {
		return nil, err
	}
	turn, err := b.item(r, store.ItemRef{Kind: store.Execute, Turn: r.head.LastTurn})
	if err != nil {
		return nil, err
	}
	i := &item{
		ref:     store.ItemRef{Kind: store.CancelItem, Turn: r.head.LastTurn},
		arrival: b.nextArrival(), state: store.Pending, isNew: true,
		priority: cancelPriority, runAt: b.runNow(),
	}
	if turn != nil {
		i.turnSeq = turn.turnSeq
	}
	if earlier != nil && earlier.ref == i.ref {
		i.attempt = earlier.attempt
	}
	return i, nil
}

// takeKey notes the idempotency key; fresh is false if it is known already.
func (b *batch) takeKey(sub *store.Submission) (fresh bool, err error) {
	k := sub.Key
	if k == nil {
		return true, nil
	}
	expires := Int(after(b.now, k.TTL))
	n, err := b.exec("insert an idempotency key", b.s.keys.one, Text(sub.Tenant), Text(sub.Principal), Text(sub.Agent), Text(k.Value),
		Blob(orEmpty(k.Hash)), Text(sub.ID), Int(sub.Turn), expires, expires)
	return n == 1, err
}

func (b *batch) dropKey(sub *store.Submission) error {
	if sub.Key == nil {
		return nil
	}
	_, err := b.exec("take an idempotency key back", b.s.keyDelete,
		Text(sub.Tenant), Text(sub.Principal), Text(sub.Agent), Text(sub.Key.Value))
	return err
}

// join answers a submission whose key is known: with the turn that it stands
// for, or by putting the submission in its place if it has expired.
func (b *batch) join(sub *store.Submission, out *store.Submitted) error {
	var hash []byte
	var taskID string
	var turn int
	var expires int64
	err := b.query("read an idempotency key", b.s.keyLoad, func(x Row) error {
		hash, taskID, turn, expires = x.Blob(0), x.Text(1), int(x.Int(2)), x.Int(3)
		return nil
	}, Text(sub.Tenant), Text(sub.Principal), Text(sub.Agent), Text(sub.Key.Value))
	if err != nil {
		return err
	}
	r, err := b.load(task.Ref{Scope: sub.Scope, ID: taskID})
	if err != nil {
		return err
	}
	if r == nil || r.head.Closed && expires <= b.now.UnixMilli() {
		return b.replaceKey(sub, out)
	}
	if !bytes.Equal(hash, sub.Key.Hash) {
		return store.ErrKeyConflict
	}
	if err := b.flush(); err != nil {
		return err
	}
	i, err := b.item(r, store.ItemRef{Kind: store.Execute, Turn: turn})
	if err != nil {
		return err
	}
	*out = store.Submitted{Joined: true, Head: r.head, Turn: turn}
	if i != nil {
		out.TurnSeq = i.turnSeq
	}
	return nil
}

func (b *batch) replaceKey(sub *store.Submission, out *store.Submitted) error {
	r, err := b.lookSubmit(sub)
	if err != nil {
		return err
	}
	expires := Int(after(b.now, sub.Key.TTL))
	_, err = b.exec("replace an idempotency key", b.s.keyReplace, Blob(orEmpty(sub.Key.Hash)), Text(sub.ID), Int(sub.Turn), expires, expires,
		Text(sub.Tenant), Text(sub.Principal), Text(sub.Agent), Text(sub.Key.Value))
	if err != nil {
		return err
	}
	return b.accept(r, sub, out)
}

// after is a time from now in milliseconds, rounded up: a lease holds at least
// as long as was promised.
func after(now time.Time, d time.Duration) int64 {
	t := now.Add(max(d, 0))
	ms := t.UnixMilli()
	if t.Sub(time.UnixMilli(ms)) > 0 {
		ms++
	}
	return ms
}
