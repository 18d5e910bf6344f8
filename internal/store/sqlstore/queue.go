// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"bytes"
	"context"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// Claim takes ready items of an agent in queue order; see store.Queue.
func (s *Store) Claim(ctx context.Context, req store.ClaimRequest) (out []store.Claim, err error) {
	if req.Limit <= 0 {
		return nil, nil
	}
	err = s.committer.do(ctx, claiming, free, func(b *batch) error {
		out = nil
		return b.claims(req, &out)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (b *batch) claims(req store.ClaimRequest, out *[]store.Claim) error {
	which, from := b.s.readyItems, ready
	if req.Suspects {
		which, from = b.s.suspectItems, suspect
	} else if known := b.ready[req.Agent]; known.known && !known.any {
		return nil
	}
	refs, err := b.refs("find ready items", which, Text(req.Agent), Int(formatNow), Int(req.Limit))
	if err != nil {
		return err
	}
	for _, ref := range refs {
		r, err := b.load(ref)
		if err != nil {
			return err
		}
		if r == nil || r.current() == nil || r.current().place != from {
			return failed("find ready items", errMoved)
		}
		c, err := b.take(r, req.Taker)
		if err != nil {
			return err
		}
		*out = append(*out, c)
	}
	return nil
}

// take claims the current item of a task, with all that is needed to run it.
func (b *batch) take(r *row, t store.Taker) (store.Claim, error) {
	i := r.current()
	c := b.claim(r, i, t)
	if i.ref.Kind == store.CancelItem {
		c.Request = bytes.Clone(r.cancelRequest)
		return c, nil
	}
	return c, b.message(r, i.ref.Turn, &c)
}

func (b *batch) message(r *row, turn int, c *store.Claim) error {
	return b.query("read a message", b.s.turnOne, func(x Row) error {
		c.Message, c.MessageID, c.Request = x.Blob(0), x.Text(1), x.Blob(2)
		return nil
	}, Text(r.head.ID), Text(r.head.Tenant), Text(r.head.Principal), Int(turn))
}

// refs reads the tasks of items, after writing what the batch has so far.
func (b *batch) refs(doing string, s *Statement, args ...Value) (out []task.Ref, err error) {
	if err := b.flush(); err != nil {
		return nil, err
	}
	err = b.query(doing, s, func(x Row) error {
		out = append(out, task.Ref{ID: x.Text(0), Scope: task.Scope{Tenant: x.Text(1), Principal: x.Text(2)}})
		return nil
	}, args...)
	return out, err
}

// claim gives the current item of a task to whoever asked; the message is left
// to the caller, who may have it already.
func (b *batch) claim(r *row, i *item, t store.Taker) store.Claim {
	if i.place == suspect {
		i.tried = b.nextArrival()
	}
	i.state, i.at, i.worker, i.dirty = store.Running, after(b.now, t.TTL), t.Worker, true
	r.head.Epoch++
	r.dirty = true
	if i.expired = i.expired || i.late(b.now.UnixMilli()); !i.expired {
		i.attempt++
		r.head.Started = true
	}
	if i.ref.Kind == store.Execute && i.waited {
		i.turnSeq, i.waited = r.head.LastSeq, false
	}
	b.settle(r)
	c := store.Claim{
		Head: r.head, Item: i.ref,
		Attempt: i.attempt, Failures: i.failures, Losses: i.losses,
		Expired:       i.expired,
		TurnSeq:       i.turnSeq,
		SnapshotBytes: r.snapshotBytes, TailBytes: r.tailBytes,
		CancelRequest: r.askedToCancel(),
	}
	if i.deadline != 0 && !i.expired {
		c.Left = fromMillis(i.deadline).Sub(b.now)
	}
	return c
}

// Heartbeat renews leases. A beat of an item that is not running is lost too.
func (s *Store) Heartbeat(ctx context.Context, ttl time.Duration, beats []store.Beat) (out []store.BeatAnswer, err error) {
	err = s.committer.do(ctx, beat, free, func(b *batch) error {
		out = make([]store.BeatAnswer, len(beats))
		for n := range beats {
			if err := b.beat(&beats[n], ttl, &out[n]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (b *batch) beat(beat *store.Beat, ttl time.Duration, out *store.BeatAnswer) error {
	r, err := b.load(beat.Ref)
	if err != nil {
		return err
	}
	if r == nil || r.head.Epoch != beat.Epoch {
		*out = store.BeatAnswer{Lost: true}
		return nil
	}
	i := r.running(beat.Item)
	if i == nil {
		*out = store.BeatAnswer{Lost: true}
		return nil
	}
	i.at, i.dirty = after(b.now, ttl), true
	*out = store.BeatAnswer{LastTurn: r.head.LastTurn, Cancel: r.head.Cancel, CancelRequest: r.askedToCancel()}
	return nil
}

// Rescue makes items ready again whose lease ran out. After a stall it finds
// none until the holders have had the time to renew their leases.
func (s *Store) Rescue(ctx context.Context, limit int) (agents []string, err error) {
	err = s.committer.do(ctx, rescue, free, func(b *batch) error {
		agents = nil
		if b.stalled {
			return nil
		}
		return b.rescue(b.s.leasedOut, &agents, Int(b.now.UnixMilli()), Int(limit))
	})
	if err != nil {
		return nil, err
	}
	return agents, nil
}

func (b *batch) rescue(which *Statement, agents *[]string, args ...Value) error {
	return b.bring("find leases that ran out", which, leased, agents, func(r *row, i *item) {
		i.losses++
		r.head.Epoch++
		r.dirty = true
	}, args...)
}

// bring makes pending again what a statement finds in a place, with what else
// changes then.
func (b *batch) bring(what string, which *Statement, from place, agents *[]string, change func(*row, *item), args ...Value) error {
	refs, err := b.refs(what, which, args...)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		r, err := b.load(ref)
		if err != nil {
			return err
		}
		if r == nil || r.current() == nil || r.current().place != from {
			return failed(what, errMoved)
		}
		i := r.current()
		i.state, i.dirty = store.Pending, true
		change(r, i)
		b.settle(r)
		*agents = append(*agents, r.head.Agent)
	}
	return nil
}
