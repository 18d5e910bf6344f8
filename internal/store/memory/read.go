// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"slices"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// readTask runs look on a task of the caller's scope.
func (s *Store) readTask(ctx context.Context, ref task.Ref, look func(r *row)) error {
	return s.read(ctx, func() error {
		r := s.tasks[ref]
		if r == nil {
			return store.ErrNotFound
		}
		look(r)
		return nil
	})
}

// Load reads a task's head, its newest snapshot and the log after it.
func (s *Store) Load(ctx context.Context, ref task.Ref) (out store.Stored, err error) {
	err = s.readTask(ctx, ref, func(r *row) { out = r.stored() })
	return out, err
}

// Read returns the head and the batches after a sequence.
func (s *Store) Read(ctx context.Context, ref task.Ref, after uint64, maxBytes int) (head store.Head, out []store.Batch, err error) {
	err = s.readTask(ctx, ref, func(r *row) {
		head = r.head
		size := 0
		for _, b := range r.log[r.after(after):] {
			if len(out) > 0 && size+len(b.Body) > maxBytes {
				return
			}
			size += len(b.Body)
			out = append(out, cloneBatch(b))
		}
	})
	return head, out, err
}

// Turns returns the turns of a task after a number.
func (s *Store) Turns(ctx context.Context, ref task.Ref, after, limit int) (out []store.Turn, err error) {
	err = s.readTask(ctx, ref, func(r *row) {
		turns := r.turns[min(max(after, 0), len(r.turns)):]
		if limit > 0 && limit < len(turns) {
			turns = turns[:limit]
		}
		for _, t := range turns {
			out = append(out, store.Turn{
				Number:    t.ref.Turn,
				MessageID: t.messageID, Message: slices.Clone(t.message), Request: slices.Clone(t.request),
				TurnSeq: t.seq,
				Item:    t.state, Attempt: t.attempt, Failures: t.failures, Losses: t.losses,
				Expired: t.expired,
			})
		}
	})
	return out, err
}

// Attempts returns what was recorded about the attempts of a task.
func (s *Store) Attempts(ctx context.Context, ref task.Ref) (out []store.Attempt, err error) {
	err = s.readTask(ctx, ref, func(r *row) {
		out = slices.Clone(r.attempts)
		for n := range out {
			out[n].Refused = slices.Clone(out[n].Refused)
		}
	})
	return out, err
}

// Waiting returns the agents after a name that have something ready.
func (s *Store) Waiting(ctx context.Context, after string, limit int) (names []string, err error) {
	err = s.read(ctx, func() error {
		for _, lane := range []map[string]*queue{s.ready, s.suspect} {
			for name, q := range lane {
				if name > after && q.Len() > 0 {
					names = append(names, name)
				}
			}
		}
		slices.Sort(names)
		names = slices.Compact(names)
		names = names[:min(len(names), max(limit, 0))]
		return nil
	})
	return names, err
}

// Suspects returns the agents that have suspects, in the order of the first of each.
func (s *Store) Suspects(ctx context.Context, limit int) (names []string, err error) {
	err = s.read(ctx, func() error {
		var first []*row
		for _, q := range s.suspect {
			if r := q.first(); r != nil {
				first = append(first, r)
			}
		}
		slices.SortFunc(first, func(a, b *row) int {
			if triedLast(a, b) {
				return -1
			}
			return 1
		})
		for _, r := range first[:min(len(first), max(limit, 0))] {
			names = append(names, r.head.Agent)
		}
		return nil
	})
	return names, err
}
