// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// Promote does what has become due; see store.Promoted.
func (s *Store) Promote(ctx context.Context, req store.PromoteRequest) (out store.Promoted, err error) {
	err = s.committer.do(ctx, write, free, func(b *batch) error {
		out = store.Promoted{}
		return b.promote(req, &out)
	})
	if err != nil {
		return store.Promoted{}, err
	}
	return out, nil
}

func (b *batch) promote(req store.PromoteRequest, out *store.Promoted) error {
	became := func(_ *row, i *item) { i.runAt = i.at }
	err := b.bring("find due items", b.s.dueItems, due, &out.Agents, became, Int(b.now.UnixMilli()), Int(req.Limit))
	if err != nil {
		return err
	}
	if req.Expire != nil {
		if err := b.expire(req, out); err != nil {
			return err
		}
	}
	if err := b.flush(); err != nil {
		return err
	}
	if err := b.next(out, b.s.dueNext); err != nil || req.Expire == nil {
		return err
	}
	return b.next(out, b.s.lateNext, Int(formatNow))
}

// next keeps how long it is until the first of an index is due.
func (b *batch) next(out *store.Promoted, first *Statement, args ...Value) error {
	return b.query("find what is due next", first, func(x Row) error {
		d := max(fromMillis(x.Int(0)).Sub(b.now), time.Nanosecond)
		if out.Next == 0 || d < out.Next {
			out.Next = d
		}
		return nil
	}, args...)
}

// expire looks at the items whose deadline has passed while they waited.
func (b *batch) expire(req store.PromoteRequest, out *store.Promoted) error {
	type late struct {
		task task.Ref
		item store.ItemRef
	}
	var all []late
	if err := b.flush(); err != nil {
		return err
	}
	err := b.query("find items past their deadline", b.s.lateItems, func(x Row) error {
		all = append(all, late{
			task.Ref{ID: x.Text(0), Scope: task.Scope{Tenant: x.Text(1), Principal: x.Text(2)}},
			store.ItemRef{Kind: store.Kind(x.Text(3)), Turn: int(x.Int(4))},
		})
		return nil
	}, Int(b.now.UnixMilli()), Int(formatNow), Int(req.Limit))
	if err != nil {
		return err
	}
	for _, l := range all {
		r, err := b.load(l.task)
		if err != nil {
			return err
		}
		if r == nil || r.head.Closed {
			return failed("find items past their deadline", errMoved)
		}
		if i := r.current(); i != nil && i.ref == l.item {
			c, err := b.take(r, *req.Expire)
			if err != nil {
				return err
			}
			out.Expired = append(out.Expired, c)
			continue
		}
		if err := b.withdraw(r, l.item); err != nil {
			return err
		}
		out.Withdrawn = append(out.Withdrawn, l.task)
	}
	return nil
}

// withdraw notes that a turn that is held back will never run.
func (b *batch) withdraw(r *row, ref store.ItemRef) error {
	i := r.turn
	if i == nil || i.ref != ref {
		// Only the oldest unfinished turn is part of the row.
		var err error
		if i, err = b.item(r, ref); err != nil {
			return err
		}
		if i == nil {
			return failed("withdraw a turn", errMoved)
		}
		b.passed = append(b.passed, passed{r, i})
	}
	i.expired, i.dirty = true, true
	i.watch(false)
	return nil
}
