// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// Sizes of a log that is not worth a snapshot, in bytes: of a task that goes
// on, and of one that has ended. Folding the short log of a small task costs
// less over its life than writing everything twice.
const (
	minSnapshot   = 16 << 10
	closeSnapshot = 4 << 10
)

// commitBatch is what one commit records.
type commitBatch struct {
	recs    []record.Record
	bytes   int
	view    *store.View
	snap    *store.Snapshot
	settled *task.State
	closes  bool
	refuse  bool // RefuseCancel
}

// take moves what is pending into a batch. Whatever depends on the state is
// made here, while nobody can fold in more.
func (at *attempt) take(f *verdict) *commitBatch {
	at.mu.Lock()
	defer at.mu.Unlock()
	refuse := at.cancel.refusing
	if len(at.pending) == 0 && f == nil && !refuse {
		return nil
	}
	if f == nil && (at.end != task.EndNone || at.broken != nil) {
		// The end came after the verdict was asked for: the next round commits it
		// together with the ack.
		return nil
	}
	b := &commitBatch{recs: at.pending, bytes: at.bytes, closes: at.state.Closed(), refuse: refuse}
	at.pending = nil
	at.flight = len(b.recs)
	if len(b.recs) > 0 {
		b.view = &store.View{
			State: string(at.state.Status.State), StatusAt: at.state.Status.At,
			Listed: at.state.Exists(), Closed: b.closes,
		}
	}
	at.snapshot(b)
	waits := at.state.Status.State == a2a.TaskStateAuthRequired
	if (f != nil && f.endsTurn() || waits || b.closes) && at.w.o.Hub.Listening(at.ref) {
		b.settled = at.state.Freeze()
	}
	return b
}

// snapshot is written when the log since the last one outweighs it, and at the
// end of a task that is not small, so that the total stays in proportion to
// the log.
func (at *attempt) snapshot(b *commitBatch) {
	if len(b.recs) == 0 || at.state.Reply != nil {
		return
	}
	at.tailBytes += int64(b.bytes)
	if b.closes && at.snapBytes == 0 && at.tailBytes < closeSnapshot {
		return
	}
	if !b.closes && at.tailBytes < max(at.snapBytes, minSnapshot) {
		return
	}
	body := record.EncodeSnapshot(at.state)
	b.snap = &store.Snapshot{Seq: at.state.Seq, Body: body}
	at.snapBytes, at.tailBytes = int64(len(body)), 0
}

// commit appends what is pending, with f as the end of the attempt if it is
// not nil, and goes on trying until it is in the log or the task is somebody
// else's.
func (at *attempt) commit(f *verdict) {
	b := at.take(f)
	if b == nil {
		return
	}
	// What was tried once may be in the log already: it is not encoded again
	// unless the store says that it is not there.
	unwritten := true
	for try := 0; ; try++ {
		if unwritten {
			if err := at.annotate(b); err != nil {
				at.log().Warn("cannot read the queued turns; trying again", "error", err)
				if !at.pause(try) {
					return
				}
				continue
			}
			unwritten = false
		}
		ans, err := at.w.o.Queue.Append(context.Background(), at.operation(b, f))
		switch {
		case err == nil:
			at.landed(b, f, ans)
			return
		case errors.Is(err, store.ErrNewerTurn):
			at.relearn()
			unwritten = true
		case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrNotFound):
			in, head, rerr := false, store.Head{}, error(nil)
			if try > 0 {
				in, head, rerr = at.isIn(b, f)
			}
			switch {
			case in:
				ans := store.Appended{LastTurn: at.lastTurn, Due: []string{at.claim.Head.Agent}}
				if f != nil { // nobody else would hear of a cancellation; while it runs the heartbeat does
					ans.Cancel = head.Cancel
				}
				at.landed(b, f, ans)
			case rerr == nil:
				at.lose()
			case at.pause(try):
				continue
			}
			return
		case errors.Is(err, store.ErrStopped):
			at.lose()
			return
		default:
			if try == 0 {
				at.log().Warn("commit failed; trying again", "error", err)
			}
			if !at.pause(try) {
				return
			}
		}
	}
}

// pause waits before the next try; it gives up when the server stops.
func (at *attempt) pause(try int) bool {
	wait := min(10*time.Millisecond<<min(try, 10), time.Second)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-at.w.draining:
		at.lose()
		return false
	}
}

func (at *attempt) operation(b *commitBatch, f *verdict) *store.Append {
	op := &store.Append{
		Ref: at.ref, Epoch: at.claim.Head.Epoch, LastSeq: at.committed, LastTurn: at.lastTurn,
		Item: at.claim.Item, View: b.view, Snapshot: b.snap, RefuseCancel: b.refuse,
	}
	if n := len(b.recs); n > 0 {
		op.Batch = &store.Batch{First: b.recs[0].Seq, Last: b.recs[n-1].Seq, Body: record.EncodeBatch(b.recs)}
	}
	if at.taking {
		op.TakeEpoch = true
		return op
	}
	if f == nil {
		op.Extend = at.w.o.Lease
		return op
	}
	op.Finish = &f.finish
	op.Attempt = at.account(f)
	return op
}

// account is the row of the table of attempts; a clean run needs none.
func (at *attempt) account(f *verdict) *store.Attempt {
	at.mu.Lock()
	defer at.mu.Unlock()
	if at.claim.Expired || f.outcome == outcomeCompleted && len(at.refused) == 0 {
		return nil // an expired claim is no run
	}
	row := &store.Attempt{
		Item: at.claim.Item, Number: at.claim.Attempt, Worker: at.w.o.ID, Epoch: at.claim.Head.Epoch,
		Outcome: f.outcome, Stack: f.stack, Refused: at.refused,
		StartedAt: at.began, Duration: at.w.o.Now().Sub(at.began),
	}
	if f.err != nil {
		row.Error = f.err.Error()
	}
	return row
}

// landed publishes what was committed. Only now may anybody see it.
func (at *attempt) landed(b *commitBatch, f *verdict, ans store.Appended) {
	if n := len(b.recs); n > 0 {
		at.committed = b.recs[n-1].Seq
	}
	at.mu.Lock()
	at.flight = 0
	at.bytes -= b.bytes
	if b.refuse {
		at.cancel.refusing = false
	}
	returned := at.exec != nil
	at.mu.Unlock()
	if f != nil && returned {
		at.slot.free()
	}
	if f != nil && f.finish.State == store.Retryable {
		at.w.dueIn(f.finish.After)
	}
	at.room.Broadcast()
	done := at.claim.Head.DoneTurn
	switch {
	case b.closes:
		done = at.lastTurn
	case f != nil && f.finish.EndTurn:
		done = at.claim.Item.Turn
	}
	if f != nil {
		at.lastTurn = max(at.lastTurn, ans.LastTurn)
		at.unheard = !b.closes && ans.Cancel == store.CancelRequested && f.finish.State != store.Pending
		// Before anybody can answer what is published: the answer is the next turn.
		at.keepWarm(f)
	}
	if len(b.recs) > 0 || f != nil {
		at.w.o.Hub.Publish(at.ref, live.Tail{Records: b.recs, DoneTurn: done, Seq: at.committed, Settled: b.settled})
	}
	if b.refuse {
		at.w.o.Hub.Nudge(at.ref)
	}
	if !at.unheard { // else nobody need be woken for what cancelRest is about to end
		for _, name := range ans.Due {
			at.w.Ring(name)
		}
	}
	if f == nil {
		at.hear(store.BeatAnswer{LastTurn: ans.LastTurn, Cancel: ans.Cancel, CancelRequest: ans.CancelRequest})
	}
}

// lose ends the attempt without another write: the task has another owner, or
// the store is gone. A write of ours may stand all the same, unpublished.
func (at *attempt) lose() {
	at.lost = true
	at.stop(ErrLost)
	at.w.o.Hub.Nudge(at.ref)
	at.log().Warn("lost the task; nothing more is written")
}

// isIn finds out whether a write whose commit was in doubt stands: the epoch is
// still ours, and the log goes on with its very bytes (others write too under
// our epoch: a message to a parked task opens its turn while a cancellation
// runs) or, if it had no records, the item does not run any more.
func (at *attempt) isIn(b *commitBatch, f *verdict) (bool, store.Head, error) {
	head, batches, err := at.w.o.Reader.Read(context.Background(), at.ref, at.committed, 1)
	if err != nil {
		return false, head, err
	}
	epoch := at.claim.Head.Epoch
	if at.taking {
		epoch++
	}
	if len(b.recs) == 0 {
		return head.Epoch == epoch && head.LastSeq == at.committed && f != nil && !head.Running, head, nil
	}
	in := head.Epoch == epoch && head.LastSeq == b.recs[len(b.recs)-1].Seq &&
		len(batches) > 0 && bytes.Equal(batches[0].Body, record.EncodeBatch(b.recs))
	return in, head, nil
}

// relearn reads how many turns there are: one was accepted meanwhile.
func (at *attempt) relearn() {
	head, _, err := at.w.o.Reader.Read(context.Background(), at.ref, ^uint64(0), 0)
	if err == nil {
		at.lastTurn = max(at.lastTurn, head.LastTurn)
	}
}

// annotate names the messages of the turns that the end of the task cancels in
// its terminal event. The event is encoded again: the commit that would have
// shown it was refused, or was not tried yet.
func (at *attempt) annotate(b *commitBatch) error {
	after := at.own
	if at.claim.Item.Kind == store.CancelItem {
		after-- // nobody has opened the current turn if it had to wait
	}
	if !b.closes || len(b.recs) == 0 || at.state.Reply != nil || at.lastTurn <= max(after, at.annotated) {
		return nil
	}
	turns, err := at.w.o.Reader.Turns(context.Background(), at.ref, after, 0)
	if err != nil {
		return fmt.Errorf("read turns: %w", err)
	}
	if len(turns) > 0 && after < at.own && !turns[0].Unsaid(at.claim.Head.LastSeq) && at.state.HasMessage(turns[0].MessageID) {
		turns = turns[1:]
	}
	at.annotated = at.lastTurn
	if len(turns) == 0 {
		return nil
	}
	last := &b.recs[len(b.recs)-1]
	raw, added, err := record.Amend(*last, task.CanceledTurns(store.MessageIDs(turns)))
	if err != nil {
		return err
	}
	last.Event = raw
	at.mu.Lock()
	at.state.Amend(added)
	at.mu.Unlock()
	if b.snap != nil {
		b.snap = &store.Snapshot{Seq: at.state.Seq, Body: record.EncodeSnapshot(at.state)}
	}
	if b.settled != nil {
		b.settled = at.state.Freeze()
	}
	return nil
}
