// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

// progress is how far a task has come.
type progress struct {
	seq     uint64
	closed  bool
	epoch   int64
	attempt int
}

func (p progress) further(q progress) progress {
	return progress{max(p.seq, q.seq), p.closed || q.closed, max(p.epoch, q.epoch), max(p.attempt, q.attempt)}
}

// diary is what was asked of a store and what it has answered.
type diary struct {
	mu       sync.Mutex
	tried    map[string]progress
	answered map[string]progress
	sealed   map[string]progress // what was answered when the power ended
	done     int                 // answers
}

func newDiary(tried, answered map[string]progress) *diary {
	return &diary{tried: maps.Clone(tried), answered: maps.Clone(answered)}
}

func (d *diary) try(id string, p progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tried[id] = d.tried[id].further(p)
}

func (d *diary) answer(id string, p progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answered[id] = d.answered[id].further(p)
	d.done++
}

// show counts everything that was read as answered: a client may have seen it.
func (d *diary) show(found map[string]progress) {
	for id, p := range found {
		d.answer(id, p)
	}
}

func (d *diary) seal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sealed = maps.Clone(d.answered)
}

// bodyOf is what stands in the log of a task from a sequence on: short, long,
// or longer than a page.
func bodyOf(id string, first uint64) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%s/%d ", id, first), 1+int(first*37%400))
}

func messageOf(id string) []byte { return bytes.Repeat([]byte(id+" "), 1+len(id)*7%60) }

// survey reads everything that a store has and returns how far each task has
// come, and what is not whole.
func survey(ctx context.Context, s *Store) (map[string]progress, []string) {
	found := map[string]progress{}
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	rows := func(sql string, each func(x sqlstore.Row)) {
		err := s.db.Read(ctx, func(c sqlstore.Conn) error {
			return c.Query(&sqlstore.Statement{ID: -1, SQL: sql}, nil, func(x sqlstore.Row) error { each(x); return nil })
		})
		if err != nil {
			complain("%.60s: %v", sql, err)
		}
	}
	rows("PRAGMA integrity_check", func(x sqlstore.Row) {
		if x.Text(0) != "ok" {
			complain("integrity: %s", x.Text(0))
		}
	})
	rows("SELECT id, attempt, place, state FROM items", func(x sqlstore.Row) {
		found[x.Text(0)] = progress{attempt: int(x.Int(1))}
		if ready := x.Text(3) == string(store.Pending); ready != (x.Int(2) == 1) || !ready && x.Text(3) != string(store.Completed) {
			complain("half: the item of %s is %s and in place %d", x.Text(0), x.Text(3), x.Int(2))
		}
	})
	for _, table := range []string{"tasks WHERE ''=", "turns WHERE ''=", "keys WHERE ''=", "(SELECT DISTINCT id FROM items) WHERE ''="} {
		rows("SELECT COUNT(*) FROM "+table+"''", func(x sqlstore.Row) {
			if x.Int(0) != int64(len(found)) {
				complain("half: %d items and %d in %.6s", len(found), x.Int(0), table)
			}
		})
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		p, err := readWhole(ctx, s, id)
		if err != nil {
			complain("half: task %s: %v", id, err)
		}
		found[id] = found[id].further(p)
	}
	return found, wrong
}

// readWhole reads one task and compares every body with what was sent.
func readWhole(ctx context.Context, s *Store, id string) (progress, error) {
	head, log, err := s.Read(ctx, ref(id), 0, 1<<30)
	if err != nil {
		return progress{}, err
	}
	p := progress{seq: head.LastSeq, closed: head.Closed, epoch: head.Epoch}
	next := uint64(1)
	for _, b := range log {
		if b.First != next || !bytes.Equal(b.Body, bodyOf(id, b.First)) {
			return p, fmt.Errorf("the log from %d to %d with %d bytes, after %d", b.First, b.Last, len(b.Body), next-1)
		}
		next = b.Last + 1
	}
	stored, err := s.Load(ctx, ref(id))
	switch {
	case err != nil:
		return p, err
	case next != head.LastSeq+1:
		return p, fmt.Errorf("the log ends at %d and the head says %d", next-1, head.LastSeq)
	case head.Running:
		return p, errors.New("it runs, and whoever ran it is gone")
	case head.Closed && (stored.Snapshot == nil || stored.Snapshot.Seq != head.LastSeq):
		return p, errors.New("it is closed without a snapshot of its end")
	case stored.Snapshot != nil && !bytes.Equal(stored.Snapshot.Body, bodyOf(id, stored.Snapshot.Seq)):
		return p, errors.New("the snapshot is another one")
	}
	turns, err := s.Turns(ctx, ref(id), 0, 0)
	if err != nil || len(turns) != 1 || !bytes.Equal(turns[0].Message, messageOf(id)) {
		return p, fmt.Errorf("%d turns (%w)", len(turns), err)
	}
	return p, nil
}

// compare says what was answered and is not there, and what is there and was
// never asked for.
func compare(found, answered, tried map[string]progress) []string {
	var wrong []string
	for id, a := range answered {
		f, there := found[id]
		if !there || f.further(a) != f {
			wrong = append(wrong, fmt.Sprintf("lost: %s was answered at %+v and is at %+v", id, a, f))
		}
	}
	for id, f := range found {
		if a, asked := tried[id]; !asked || f.seq > a.seq || f.closed && !a.closed {
			wrong = append(wrong, fmt.Sprintf("invented: %s is at %+v and was asked for %+v", id, f, a))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// errand works on one task from its acceptance to its end, mostly.
type errand struct {
	s     *Store
	d     *diary
	id    string
	draw  func(n int) int
	claim *store.Claim
	at    progress
}

func (e *errand) run(ctx context.Context) error {
	if err := e.accept(ctx); err != nil {
		return err
	}
	for range e.draw(4) {
		if err := e.append(ctx, false); err != nil {
			return err
		}
	}
	if e.draw(5) == 0 {
		return nil // stays open
	}
	return e.append(ctx, true)
}

// accept submits the task; half of them are claimed in the same commit.
func (e *errand) accept(ctx context.Context) error {
	sub := submission(e.id)
	sub.Agent, sub.Message = e.id, messageOf(e.id) // of whose agent nothing else is ready
	sub.Key = &store.Key{Value: e.id, Hash: []byte(e.id), TTL: time.Hour}
	opening := &store.Opening{Batch: store.Batch{First: 1, Last: 1, Body: bodyOf(e.id, 1)}, View: store.View{State: "WORKING", Listed: true}}
	sub.IfClaimed, sub.IfQueued = opening, opening
	if e.draw(2) == 0 {
		sub.Claim = nil
	}
	e.d.try(e.id, progress{seq: 1})
	res, err := e.s.Submit(ctx, sub)
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	e.claim, e.at = res.Claim, progress{seq: 1, epoch: res.Head.Epoch}
	if res.Claim == nil {
		e.d.answer(e.id, e.at)
		claims, err := e.s.Claim(ctx, store.ClaimRequest{Agent: e.id, Limit: 1, Taker: store.Taker{Worker: "worker", TTL: ttl}})
		if err != nil || len(claims) != 1 {
			return fmt.Errorf("claim: %d, %w", len(claims), err)
		}
		e.claim = &claims[0]
	}
	e.at.epoch, e.at.attempt = e.claim.Head.Epoch, e.claim.Attempt
	e.d.answer(e.id, e.at)
	return nil
}

func (e *errand) append(ctx context.Context, last bool) error {
	first := e.at.seq + 1
	to := progress{seq: e.at.seq + 3, closed: last, epoch: e.at.epoch, attempt: e.at.attempt}
	a := &store.Append{
		Ref: ref(e.id), Epoch: e.at.epoch, LastSeq: e.at.seq, LastTurn: 1, Item: e.claim.Item, Extend: ttl,
		Batch: &store.Batch{First: first, Last: to.seq, Body: bodyOf(e.id, first)},
	}
	if last || e.draw(4) == 0 {
		a.Snapshot = &store.Snapshot{Seq: to.seq, Body: bodyOf(e.id, to.seq)}
	}
	if last {
		a.Extend, a.Finish = 0, &store.Finish{State: store.Completed, EndTurn: true}
		a.View = &store.View{State: "COMPLETED", StatusAt: time.Now(), Listed: true, Closed: true}
	}
	e.d.try(e.id, to)
	if _, err := e.s.Append(ctx, a); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	e.at = to
	e.d.answer(e.id, to)
	return nil
}
