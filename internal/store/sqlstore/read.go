// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// errEnough ends a query whose rest is not wanted.
var errEnough = errors.New("enough")

// view is one moment of the database.
type view struct {
	conn Conn
	s    *statements
}

// read runs look on one moment of the database.
func (s *Store) read(ctx context.Context, doing string, look func(v view) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if s.committer.closed() {
		return store.ErrStopped
	}
	err := s.db.Read(ctx, func(conn Conn) error {
		if err := conn.Begin(); err != nil {
			return failed("begin", err)
		}
		err := look(view{conn, s.s})
		return errors.Join(err, failed("end a read", conn.Rollback()))
	})
	var f *failure
	if errors.As(err, &f) {
		return fmt.Errorf("%s: %w: %w", doing, store.ErrUnavailable, err)
	}
	return err
}

func (v view) query(doing string, s *Statement, row func(Row) error, args ...Value) error {
	err := v.conn.Query(s, args, row)
	if err == nil || errors.Is(err, errEnough) {
		return nil
	}
	if errors.Is(err, store.ErrFormat) {
		return err
	}
	return failed(doing, err)
}

func known(format int64, what string, ref task.Ref) error {
	if format > formatNow {
		return fmt.Errorf("%w: %s of task %s has format %d, this release reads up to %d",
			store.ErrFormat, what, ref.ID, format, formatNow)
	}
	return nil
}

func (v view) head(ref task.Ref) (h store.Head, err error) {
	found := false
	err = v.query("read a task", v.s.head, func(x Row) error {
		found = true
		return known(scanHead(x, &h), "the head", ref)
	}, Text(ref.ID), Text(ref.Tenant), Text(ref.Principal))
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return h, err
}

// stored adds the content to a head that was read in the same moment.
func (v view) stored(h store.Head) (store.Stored, error) {
	out := store.Stored{Head: h}
	after := uint64(0)
	err := v.query("read a snapshot", v.s.snapshot, func(x Row) error {
		after = uint64(x.Int(0))
		out.Snapshot = &store.Snapshot{Seq: after, Body: orEmpty(x.Blob(1))}
		return known(x.Int(2), "the snapshot", h.Ref)
	}, Text(h.ID), Text(h.Tenant), Text(h.Principal))
	if err != nil || after >= h.LastSeq {
		return out, err
	}
	out.Tail, err = v.log(h.Ref, after, math.MaxInt)
	return out, err
}

func (v view) log(ref task.Ref, after uint64, maxBytes int) (out []store.Batch, err error) {
	size := 0
	err = v.query("read the log", v.s.log, func(x Row) error {
		b := store.Batch{First: uint64(x.Int(0)), Last: uint64(x.Int(1)), Body: orEmpty(x.Blob(2))}
		if len(out) > 0 && size+len(b.Body) > maxBytes {
			return errEnough
		}
		size += len(b.Body)
		out = append(out, b)
		return known(x.Int(3), fmt.Sprintf("record %d", b.First), ref)
	}, Text(ref.ID), Text(ref.Tenant), Text(ref.Principal), Int(after))
	return out, err
}

// Load reads a task's head, its newest snapshot and the log after it.
func (s *Store) Load(ctx context.Context, ref task.Ref) (out store.Stored, err error) {
	err = s.read(ctx, "load", func(v view) error {
		h, err := v.head(ref)
		if err != nil {
			return err
		}
		out, err = v.stored(h)
		return err
	})
	if err != nil {
		return store.Stored{}, err
	}
	return out, nil
}

// Read returns the head and the batches after a sequence.
func (s *Store) Read(ctx context.Context, ref task.Ref, after uint64, maxBytes int) (h store.Head, out []store.Batch, err error) {
	err = s.read(ctx, "read", func(v view) (err error) {
		if h, err = v.head(ref); err != nil || after >= h.LastSeq {
			return err
		}
		out, err = v.log(ref, after, maxBytes)
		return err
	})
	if err != nil {
		return store.Head{}, nil, err
	}
	return h, out, nil
}

// Turns returns the turns of a task after a number.
func (s *Store) Turns(ctx context.Context, ref task.Ref, after, limit int) (out []store.Turn, err error) {
	if limit <= 0 {
		limit = math.MaxInt
	}
	err = s.read(ctx, "turns", func(v view) error {
		if _, err := v.head(ref); err != nil {
			return err
		}
		return v.query("read turns", v.s.turns, func(x Row) error {
			t := store.Turn{
				Number: int(x.Int(0)), MessageID: x.Text(1), Message: x.Blob(2), Request: x.Blob(3),
				Item: store.ItemState(x.Text(5)), Attempt: int(x.Int(6)), Failures: int(x.Int(7)), Losses: int(x.Int(8)),
				TurnSeq: uint64(x.Int(9)), Expired: x.Int(10) != 0,
			}
			out = append(out, t)
			return known(x.Int(4), fmt.Sprintf("turn %d", t.Number), ref)
		}, Text(ref.ID), Text(ref.Tenant), Text(ref.Principal), Int(after), Int(limit))
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Attempts returns what was recorded about the attempts of a task.
func (s *Store) Attempts(ctx context.Context, ref task.Ref) (out []store.Attempt, err error) {
	err = s.read(ctx, "attempts", func(v view) error {
		if _, err := v.head(ref); err != nil {
			return err
		}
		return v.query("read attempts", v.s.attempts, func(x Row) error {
			refused, err := splitRefused(x.Text(8))
			out = append(out, store.Attempt{
				Item:   store.ItemRef{Kind: store.Kind(x.Text(0)), Turn: int(x.Int(1))},
				Number: int(x.Int(2)), Worker: x.Text(3), Epoch: x.Int(4), Outcome: x.Text(5),
				Error: x.Text(6), Stack: x.Text(7), Refused: refused,
				StartedAt: fromMillis(x.Int(9)), Duration: time.Duration(x.Int(10)),
			})
			return err
		}, Text(ref.ID), Text(ref.Tenant), Text(ref.Principal))
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Waiting returns the agents after a name that have something ready: one seek
// in the claim index and one in that of the suspects for each, however much they
// have.
func (s *Store) Waiting(ctx context.Context, after string, limit int) (names []string, err error) {
	err = s.read(ctx, "waiting", func(v view) error {
		for len(names) < limit {
			next, found := "", false
			for _, first := range []*Statement{v.s.readyAgent, v.s.suspectAfter} {
				err := v.query("find an agent with ready items", first, func(x Row) error {
					if name := x.Text(0); !found || name < next {
						next, found = name, true
					}
					return nil
				}, Text(after), Int(formatNow))
				if err != nil {
					return err
				}
			}
			if !found {
				return nil
			}
			after, names = next, append(names, next)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return names, nil
}

// Suspects returns the agents that have suspects, in the order of the first of
// each: one seek for each agent.
func (s *Store) Suspects(ctx context.Context, limit int) (names []string, err error) {
	var all []firstSuspect
	err = s.read(ctx, "suspects", func(v view) error {
		which, after := v.s.suspectOf, "" // no name comes before the empty one
		for {
			n := len(all)
			err := v.query("find an agent with suspects", which, func(x Row) error {
				all = append(all, firstSuspect{x.Text(0), x.Int(1), x.Int(2), x.Int(3), x.Int(4)})
				return nil
			}, Text(after), Int(formatNow))
			if err != nil {
				return err
			}
			switch {
			case len(all) > n:
				after = all[n].agent
			case which == v.s.suspectAfter:
				return nil
			}
			which = v.s.suspectAfter
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b firstSuspect) int {
		return cmp.Or(cmp.Compare(b.tried, a.tried), cmp.Compare(b.priority, a.priority),
			cmp.Compare(a.runAt, b.runAt), cmp.Compare(a.arrival, b.arrival))
	})
	for _, f := range all[:min(len(all), max(limit, 0))] {
		names = append(names, f.agent)
	}
	return names, nil
}

// firstSuspect is the suspect that an agent's claim would take first.
type firstSuspect struct {
	agent                           string
	tried, priority, runAt, arrival int64
}

// Secret returns the store's own random key of a name.
func (s *Store) Secret(ctx context.Context, name string) (secret []byte, err error) {
	err = s.read(ctx, "secret", func(v view) error {
		return v.query("read a secret", v.s.secret, func(x Row) error {
			secret = x.Blob(0)
			return nil
		}, Text(name))
	})
	if err == nil && secret == nil {
		err = fmt.Errorf("%w: no secret is named %q", store.ErrNotFound, name)
	}
	return secret, err
}
