// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// cancelPriority is above every priority that a message can have: somebody
// waits for the outcome of a cancellation, and not for long.
const cancelPriority = math.MaxInt

type keyID struct {
	task.Scope
	agent, value string
}

type keyRow struct {
	hash  []byte
	until time.Time
	row   *row
	turn  int
}

// Submit accepts one turn.
func (s *Store) Submit(ctx context.Context, sub *store.Submission) (store.Submitted, error) {
	var out store.Submitted
	err := s.write(ctx, "submit", len(sub.Message)+len(sub.Request), func(now time.Time) (func(), error) {
		if joined, err := s.join(sub, now); joined != nil || err != nil {
			if joined != nil {
				out = *joined
			}
			return nil, err
		}
		r, err := s.lookSubmit(sub, now)
		if err != nil {
			return nil, err
		}
		return func() { out = s.accept(r, sub, now) }, nil
	})
	if err != nil {
		return store.Submitted{}, err
	}
	return out, nil
}

// join answers a submission whose key is known; nil, nil means that it is not.
func (s *Store) join(sub *store.Submission, now time.Time) (*store.Submitted, error) {
	if sub.Key == nil {
		return nil, nil
	}
	k, ok := s.keys[keyID{sub.Scope, sub.Agent, sub.Key.Value}]
	if !ok || k.row.head.Closed && !now.Before(k.until) {
		return nil, nil
	}
	if !bytes.Equal(k.hash, sub.Key.Hash) {
		return nil, store.ErrKeyConflict
	}
	return &store.Submitted{
		Joined: true, Head: k.row.head, Turn: k.turn, TurnSeq: k.row.turns[k.turn-1].seq,
	}, nil
}

// lookSubmit refuses what does not fit the task; the row is nil for a new one.
func (s *Store) lookSubmit(sub *store.Submission, now time.Time) (*row, error) {
	r := s.tasks[sub.Ref]
	var h store.Head // of a task that is not there
	switch {
	case r != nil:
		h = r.head
	case sub.Turn > 1:
		return nil, store.ErrNotFound
	}
	if h.Closed {
		return nil, store.ErrClosed
	}
	if sub.Turn != h.LastTurn+1 || sub.LastSeq != h.LastSeq || sub.DoneTurn != h.DoneTurn {
		return nil, store.ErrStale
	}
	if !sub.Deadline.IsZero() && !now.Before(sub.Deadline) {
		return nil, store.ErrPastDeadline
	}
	for _, o := range []*store.Opening{sub.IfClaimed, sub.IfQueued} {
		if o == nil {
			continue
		}
		if sub.DoneTurn < sub.Turn-1 {
			return nil, fmt.Errorf("memory: turn %d waits for turn %d and must not record an opening", sub.Turn, sub.DoneTurn+1)
		}
		if err := checkBatch(&o.Batch, h.LastSeq); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// accept writes what lookSubmit let through.
func (s *Store) accept(r *row, sub *store.Submission, now time.Time) store.Submitted {
	if r == nil {
		r = &row{head: store.Head{Ref: sub.Ref, Agent: sub.Agent, ContextID: sub.ContextID}}
		s.tasks[sub.Ref] = r
	}
	t := &turn{
		item: item{
			ref:     store.ItemRef{Kind: store.Execute, Turn: sub.Turn},
			arrival: s.nextArrival(), state: store.Pending, priority: sub.Priority, runAt: s.runNow(now),
		},
		row: r, deadline: sub.Deadline,
		message: slices.Clone(sub.Message), messageID: sub.MessageID, request: slices.Clone(sub.Request),
		seq: r.head.LastSeq, waited: sub.DoneTurn < sub.Turn-1,
	}
	if sub.ScheduledFor.After(now) {
		t.state, t.until, t.runAt = store.Scheduled, sub.ScheduledFor, sub.ScheduledFor
	}
	r.turns = append(r.turns, t)
	if !t.deadline.IsZero() {
		r.timed = append(r.timed, t)
	}
	r.head.LastTurn = sub.Turn
	if sub.Key != nil {
		s.keys[keyID{sub.Scope, sub.Agent, sub.Key.Value}] = keyRow{
			hash: slices.Clone(sub.Key.Hash), until: now.Add(sub.Key.TTL), row: r, turn: sub.Turn,
		}
	}
	s.place(r, now)
	out := store.Submitted{Turn: sub.Turn, TurnSeq: t.seq}
	opening := sub.IfQueued
	granted := s.grants(r, &t.item, sub.Claim)
	if granted {
		opening = sub.IfClaimed
	}
	if opening != nil {
		r.record(&opening.Batch)
		s.show(r, &opening.View)
	}
	if granted {
		c := s.claim(r, *sub.Claim, now)
		out.Claim = &c
	}
	out.Head = r.head
	return out
}

// grants tells whether a commit that made an item may claim it: the item is
// ready and no other one of the agent is.
func (s *Store) grants(r *row, i *item, taker *store.Taker) bool {
	q := s.readyOf(r.head.Agent)
	return taker != nil && r.current() == i && r.in == q && q.Len() == 1
}

// RequestCancel records that a cancellation was asked for.
func (s *Store) RequestCancel(ctx context.Context, c *store.CancelRequest) (store.Cancellation, error) {
	var out store.Cancellation
	err := s.write(ctx, "cancel", len(c.Request), func(now time.Time) (func(), error) {
		r := s.tasks[c.Ref]
		if r == nil {
			return nil, store.ErrNotFound
		}
		if r.head.Closed {
			out.Head = r.head
			return nil, nil
		}
		return func() { out = s.requestCancel(r, c, now) }, nil
	})
	if err != nil {
		return store.Cancellation{}, err
	}
	return out, nil
}

func (s *Store) requestCancel(r *row, c *store.CancelRequest, now time.Time) store.Cancellation {
	r.cancelRequest = slices.Clone(c.Request)
	repeat := r.head.Cancel == store.CancelRequested
	r.head.Cancel = store.CancelRequested
	if repeat || r.head.Running || !r.head.Started {
		if r.in != nil && r.in == s.suspect[r.head.Agent] {
			s.place(r, now) // it is suspected of nothing any more
		}
		return store.Cancellation{Head: r.head}
	}
	s.makeCancelItem(r, now)
	var out store.Cancellation
	if s.grants(r, r.cancel, c.Claim) {
		claim := s.claim(r, *c.Claim, now)
		out.Claim = &claim
	}
	out.Head = r.head
	return out
}

// makeCancelItem makes the item that runs the executor's Cancel. A second one of
// the same turn goes on counting attempts, so that the rows of the first one in
// the table of attempts stay.
func (s *Store) makeCancelItem(r *row, now time.Time) {
	ref, attempt := store.ItemRef{Kind: store.CancelItem, Turn: r.head.LastTurn}, 0
	if r.cancel != nil && r.cancel.ref == ref {
		attempt = r.cancel.attempt
	}
	r.cancel = &item{ref: ref, arrival: s.nextArrival(), state: store.Pending, attempt: attempt, priority: cancelPriority, runAt: s.runNow(now)}
	s.place(r, now)
}
