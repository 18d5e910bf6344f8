// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"slices"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// Claim takes ready items of an agent in queue order; see store.Queue.
func (s *Store) Claim(ctx context.Context, req store.ClaimRequest) ([]store.Claim, error) {
	var out []store.Claim
	err := s.write(ctx, "claim", 0, func(now time.Time) (func(), error) {
		q := s.ready[req.Agent]
		if req.Suspects {
			q = s.suspect[req.Agent]
		}
		if q == nil || q.Len() == 0 || req.Limit <= 0 {
			return nil, nil
		}
		return func() {
			for r := q.first(); r != nil && len(out) < req.Limit; r = q.first() {
				out = append(out, s.claim(r, req.Taker, now))
			}
		}, nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// claim gives the current item of a task to whoever asked. One whose deadline
// has passed is not run.
func (s *Store) claim(r *row, by store.Taker, now time.Time) store.Claim {
	i := r.current()
	t := r.turns[i.ref.Turn-1]
	if r.in != nil && r.in == s.suspect[r.head.Agent] {
		i.tried = s.nextArrival()
	}
	i.state, i.until = store.Running, now.Add(by.TTL)
	r.head.Epoch++
	expired := i == &t.item && (t.expired || t.late(now))
	if expired {
		t.expired = true
	} else {
		i.attempt++
		r.head.Started = true
	}
	s.place(r, now)
	if i == &t.item && t.waited {
		t.seq, t.waited = r.head.LastSeq, false
	}
	c := store.Claim{
		Head: r.head, Item: i.ref,
		Attempt: i.attempt, Failures: i.failures, Losses: i.losses,
		Expired:       expired,
		TurnSeq:       t.seq,
		TailBytes:     r.tailBytes,
		CancelRequest: r.askedToCancel(),
	}
	if r.snapshot != nil {
		c.SnapshotBytes = int64(len(r.snapshot.Body))
	}
	if i == &t.item && !t.deadline.IsZero() && !expired {
		c.Left = t.deadline.Sub(now)
	}
	if i.ref.Kind == store.CancelItem {
		c.Request = slices.Clone(r.cancelRequest)
	} else {
		c.Message, c.MessageID, c.Request = slices.Clone(t.message), t.messageID, slices.Clone(t.request)
	}
	return c
}

// Heartbeat renews leases. A beat of an item that is not running is lost too.
func (s *Store) Heartbeat(ctx context.Context, ttl time.Duration, beats []store.Beat) ([]store.BeatAnswer, error) {
	out := make([]store.BeatAnswer, len(beats))
	err := s.write(ctx, "heartbeat", 0, func(now time.Time) (func(), error) {
		return func() {
			for n, b := range beats {
				out[n] = s.beat(b, now, ttl)
			}
		}, nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Store) beat(b store.Beat, now time.Time, ttl time.Duration) store.BeatAnswer {
	r := s.tasks[b.Ref]
	if r == nil || r.head.Epoch != b.Epoch {
		return store.BeatAnswer{Lost: true}
	}
	i := r.running(b.Item)
	if i == nil {
		return store.BeatAnswer{Lost: true}
	}
	i.until = now.Add(ttl)
	s.place(r, now)
	return store.BeatAnswer{LastTurn: r.head.LastTurn, Cancel: r.head.Cancel, CancelRequest: r.askedToCancel()}
}

// Rescue makes items ready again whose lease ran out: a lease of ttl that was
// given at t holds while now is before t+ttl.
func (s *Store) Rescue(ctx context.Context, limit int) ([]string, error) {
	var agents []string
	err := s.write(ctx, "rescue", 0, func(now time.Time) (func(), error) {
		if !s.leases.due(now) {
			return nil, nil
		}
		return func() {
			for len(agents) < limit && s.leases.due(now) {
				r := s.leases.first()
				i := r.current()
				i.state = store.Pending
				i.losses++
				r.head.Epoch++
				s.place(r, now)
				agents = append(agents, r.head.Agent)
			}
		}, nil
	})
	if err != nil {
		return nil, err
	}
	return agents, nil
}

// due tells whether the time of the first one has come.
func (q *queue) due(now time.Time) bool {
	r := q.first()
	return r != nil && !now.Before(r.at)
}

// next is how long until the first one is due; 0 is for none, so one that is
// due already says the shortest time there is.
func (q *queue) next(now time.Time) time.Duration {
	r := q.first()
	if r == nil {
		return 0
	}
	return max(r.at.Sub(now), time.Nanosecond)
}
