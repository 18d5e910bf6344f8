// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// Promote does what has become due; see store.Promoted.
func (s *Store) Promote(ctx context.Context, req store.PromoteRequest) (store.Promoted, error) {
	var out store.Promoted
	err := s.write(ctx, "promote", 0, func(now time.Time) (func(), error) {
		late := req.Expire != nil && s.watched.late(now)
		if !s.later.due(now) && !late {
			out.Next = s.next(req, now)
			return nil, nil
		}
		return func() {
			for len(out.Agents) < req.Limit && s.later.due(now) {
				r := s.later.first()
				i := r.current()
				i.state, i.runAt = store.Pending, i.until
				s.place(r, now)
				out.Agents = append(out.Agents, r.head.Agent)
			}
			for n := 0; req.Expire != nil && n < req.Limit && s.watched.late(now); n++ {
				s.expire(s.watched[0], *req.Expire, now, &out)
			}
			out.Next = s.next(req, now)
		}, nil
	})
	if err != nil {
		return store.Promoted{}, err
	}
	return out, nil
}

// expire deals with a turn that waited until its deadline had passed.
func (s *Store) expire(t *turn, by store.Taker, now time.Time, out *store.Promoted) {
	if t.row.current() == &t.item {
		out.Expired = append(out.Expired, s.claim(t.row, by, now))
		return
	}
	t.expired = true
	s.watchTurn(t)
	out.Withdrawn = append(out.Withdrawn, t.row.head.Ref)
}

// next is how long until there is something to do again.
func (s *Store) next(req store.PromoteRequest, now time.Time) time.Duration {
	next := s.later.next(now)
	if req.Expire == nil || len(s.watched) == 0 {
		return next
	}
	if d := max(s.watched[0].deadline.Sub(now), time.Nanosecond); next == 0 || d < next {
		next = d
	}
	return next
}

// late tells whether the turn's deadline has passed.
func (t *turn) late(now time.Time) bool { return !t.deadline.IsZero() && !now.Before(t.deadline) }

// watch keeps the turns of a task where they belong: among those that Promote
// looks at when their deadline has passed, or not.
func (s *Store) watch(r *row) {
	for _, t := range r.timed {
		s.watchTurn(t)
	}
	r.timed = slices.DeleteFunc(r.timed, func(t *turn) bool { return t.ended() })
}

// watchTurn: one that is held back can only be told that it will never run, and
// only once.
func (s *Store) watchTurn(t *turn) {
	current := t.row.current() == &t.item
	wait := !t.row.head.Closed && !t.ended() && t.state != store.Running && !t.taken
	watched := wait && (current || t.ref.Turn > 1 && t.attempt == 0 && !t.expired)
	switch {
	case watched && t.watchPos == 0:
		heap.Push(&s.watched, t)
	case !watched && t.watchPos > 0:
		heap.Remove(&s.watched, t.watchPos-1)
	}
}

// watch is a heap of turns by their deadline, each of which knows its place.
type watch []*turn

func (w watch) late(now time.Time) bool { return len(w) > 0 && w[0].late(now) }

// Len, Less, Swap, Push and Pop are for container/heap.
func (w watch) Len() int           { return len(w) }
func (w watch) Less(i, j int) bool { return w[i].deadline.Before(w[j].deadline) }

func (w watch) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].watchPos, w[j].watchPos = i+1, j+1
}

// Push adds a turn at the end.
func (w *watch) Push(x any) {
	t := x.(*turn)
	*w = append(*w, t)
	t.watchPos = len(*w)
}

// Pop takes the last one.
func (w *watch) Pop() any {
	last := len(*w) - 1
	t := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	t.watchPos = 0
	return t
}
