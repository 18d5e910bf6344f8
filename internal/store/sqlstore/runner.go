// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// runner executes batches on the one writing connection. Only the committer's
// goroutine uses it.
type runner struct {
	db    Database
	s     *statements
	o     Options
	cache *cache
	stall *stallGuard
	ready *readyError

	conn    Conn // nil: the database must be opened again
	stuck   bool // the database is open, and nothing can be committed
	again   *time.Timer
	backoff time.Duration
	given   given
	steps   *steps
	set     time.Duration // how far the clock was set since the leases were last moved after it

	id [16]byte // of the last batch: 8 random bytes, then a counter
	b  batch    // used again and again for its slices
}

// maxTries bounds how often the same operations are run because the connection
// broke or rows had moved.
const maxTries = 3

// commitError is an error of a COMMIT whose outcome is unknown.
type commitError struct{ err error }

func (e *commitError) Error() string { return "commit: " + e.err.Error() }
func (e *commitError) Unwrap() error { return e.err }

// run answers every operation in op.err. Without operations it tries to open
// the database, or whether it commits again.
func (r *runner) run(ops []*op) {
	began := r.o.Clock()
	r.stall.begin(began)
	if r.clock(); r.set != 0 && r.conn != nil {
		r.follow()
	}
	switch {
	case r.conn != nil && len(ops) == 0:
		r.probe()
	case r.conn != nil:
		r.transact(ops, false)
	case len(ops) == 0:
		if r.reopen(0) == nil && r.stuck {
			r.probe()
		}
	default:
		fill(ops, fmt.Errorf("%w: %w", store.ErrUnavailable, r.ready.get()))
	}
	r.cache.trim()
	r.tellStall(began, ops)
}

// tellStall says what a batch has meant for leases. Heartbeats come first in it.
func (r *runner) tellStall(began time.Time, ops []*op) {
	now := r.o.Clock()
	beats, failed := len(ops) > 0 && ops[0].cl == beat, slices.ContainsFunc(ops, (*op).unserved)
	r.stall.end(began, now, beats && ops[0].err == nil)
	switch {
	case beats && failed:
		r.stall.miss()
	case len(ops) > 0 && !failed:
		r.stall.served(now)
	}
}

// unserved reports whether the database failed the operation.
func (o *op) unserved() bool {
	return errors.Is(o.err, store.ErrFull) || errors.Is(o.err, store.ErrUnavailable) || errors.Is(o.err, store.ErrUnknown)
}

func fill(ops []*op, err error) {
	for _, o := range ops {
		o.err = err
	}
}

// transact runs operations in one transaction, and if one of them spoils it,
// each in its own. careful makes them look at what is otherwise found out by
// the way.
func (r *runner) transact(ops []*op, careful bool) {
	for try := 1; ; try++ {
		err := r.once(ops, careful)
		if err == nil {
			return
		}
		var unknown *commitError
		class := r.db.Class(err)
		switch {
		case errors.As(err, &unknown): // whatever its class
			committed, e := r.resolve(err)
			if e != nil {
				fill(ops, fmt.Errorf("%w: %w", store.ErrUnknown, errors.Join(err, e)))
				return
			}
			if committed {
				return // with the answers that the operations have given
			}
		case errors.Is(err, errMoved) || class == Deterministic:
			if len(ops) > 1 {
				for n := range ops {
					r.transact(ops[n:n+1], true)
				}
				return
			}
			if class == Deterministic || try == maxTries {
				fill(ops, err)
				return
			}
			careful = true
		case class == Full:
			fill(ops, fmt.Errorf("%w: %w", store.ErrFull, err))
			r.doubt()
			return
		case class == Busy:
			fill(ops, fmt.Errorf("%w: %w", store.ErrUnavailable, err))
			return
		default:
			if e := r.renew(err); e != nil {
				fill(ops, fmt.Errorf("%w: %w", store.ErrUnavailable, errors.Join(err, e)))
				return
			}
		}
		if try == maxTries || r.stuck {
			fill(ops, fmt.Errorf("%w: %w", store.ErrUnavailable, err))
			r.doubt()
			return
		}
	}
}

// once runs operations in one transaction. With an error nothing was written,
// except that the outcome of a commitError is unknown.
func (r *runner) once(ops []*op, careful bool) error {
	if r.conn == nil {
		return failed("begin", errNotOpen)
	}
	b := &r.b
	b.reset(r, careful)
	if err := r.conn.Begin(); err != nil {
		return failed("begin", err)
	}
	err := b.all(ops)
	if err == nil && b.wrote {
		err = b.mark(&r.id)
	}
	if err != nil || !b.wrote {
		return r.rollback(b, err)
	}
	if err := r.conn.Commit(); err != nil {
		if c := r.db.Class(err); c == Full || c == Deterministic {
			return r.rollback(b, failed("commit", err))
		}
		b.forget()
		return &commitError{err}
	}
	r.given = b.given
	b.keep()
	r.unstick()
	return nil
}

// doubt asks whether anything can be committed after a batch that could not:
// much may not fit where little does.
func (r *runner) doubt() {
	if !r.stuck && r.conn != nil {
		r.probe()
	}
}

// probe commits the mark of an empty batch, which is the least that can be
// committed. While even that fails the store is not ready, and tries again after
// a while by itself: nobody need send anything to one that says so.
func (r *runner) probe() {
	err := r.conn.Begin()
	if err == nil {
		r.b.reset(r, false)
		err = r.b.mark(&r.id)
	}
	if err == nil {
		err = r.conn.Commit()
	}
	if err == nil {
		r.unstick()
		return
	}
	if !r.stuck {
		r.o.Logger.Error("store: nothing can be committed; trying again until it can", "error", err)
	}
	r.stuck = true
	if c := r.db.Class(err); c == Broken || r.conn.Rollback() != nil {
		if r.renew(err) != nil {
			return // which has arranged to be called again
		}
	}
	r.ready.set(err)
	r.backoff = min(max(2*r.backoff, 50*time.Millisecond), time.Second)
	r.again.Reset(r.backoff)
}

// unstick: something was committed.
func (r *runner) unstick() {
	if r.stuck {
		r.stuck, r.backoff = false, 0
		r.ready.set(nil)
		r.o.Logger.Info("store: commits succeed again")
	}
}

// rollback ends a transaction that is not to be committed, because of err or,
// if err is nil, because it has only read.
func (r *runner) rollback(b *batch, err error) error {
	if err == nil {
		b.keep()
	} else {
		b.forget()
	}
	if e := r.conn.Rollback(); e != nil {
		// Whatever the reason was, this connection is of no use any more.
		if renewed := r.renew(failed("rollback", e)); renewed != nil && err == nil {
			return nil // what was read stays true
		}
	}
	return err
}

// renew opens the database again after an error that broke the connection.
func (r *runner) renew(cause error) error {
	if !r.stuck { // then it has been said, and is tried again and again
		r.o.Logger.Warn("store: the connection broke; the database is opened again", "error", cause)
	}
	r.conn = nil
	r.ready.set(cause)
	return r.reopen(r.o.Patience)
}

// resolve finds out whether the last batch was committed.
func (r *runner) resolve(cause error) (committed bool, err error) {
	last := r.id
	if err := r.renew(cause); err != nil {
		return false, err
	}
	mark, _, err := r.last()
	if err != nil {
		return false, err
	}
	committed = string(mark) == string(last[:])
	if committed || !r.stuck {
		r.o.Logger.Warn("store: the outcome of a commit was unknown", "committed", committed)
	}
	return committed, nil
}

// last reads the mark of the last batch that was committed.
func (r *runner) last() (id []byte, g given, err error) {
	err = r.conn.Query(r.s.batchLast, nil, func(x Row) error {
		id, g = x.Blob(0), given{x.Int(1), x.Int(2)}
		return nil
	})
	return id, g, failed("read the mark of the last batch", err)
}

// reopen opens the database, again and again for as long as patience says. When
// it gives up, it will be called once more after a while.
func (r *runner) reopen(patience time.Duration) error {
	r.cache.clear()
	wait := 10 * time.Millisecond
	deadline := time.Now().Add(patience)
	for {
		conn, err := r.db.Writer(context.Background())
		if err == nil {
			r.conn = conn
			if _, g, e := r.last(); e == nil {
				r.given = given{max(r.given.arrival, g.arrival), max(r.given.runAt, g.runAt)}
				if !r.stuck {
					r.backoff = 0
					r.ready.set(nil)
				}
				return nil
			} else {
				r.conn, err = nil, e
			}
		}
		r.ready.set(err)
		if !time.Now().Add(wait).Before(deadline) {
			r.backoff = min(max(2*r.backoff, 100*time.Millisecond), 5*time.Second)
			r.again.Reset(r.backoff)
			r.o.Logger.Error("store: the database cannot be opened", "error", err, "again_in", r.backoff)
			return err
		}
		time.Sleep(wait)
		wait *= 2
	}
}

var errNotOpen = errors.New("the database is not open")

// all runs the operations; an error ends the batch, a refusal only the operation.
func (b *batch) all(ops []*op) error {
	for _, o := range ops {
		o.err = o.run(b)
		if o.err == nil {
			continue
		}
		var f *failure
		if errors.As(o.err, &f) || errors.Is(o.err, errMoved) {
			return o.err
		}
	}
	if err := b.flush(); err != nil {
		return err
	}
	return b.writeCounts()
}

// mark writes the id of the batch: who finds it knows that all of it was committed.
func (b *batch) mark(id *[16]byte) error {
	binary.BigEndian.PutUint64(id[8:], binary.BigEndian.Uint64(id[8:])+1)
	n, err := b.exec("mark the batch", b.s.batchMark, Blob(append([]byte(nil), id[:]...)), Int(b.given.arrival), Int(b.given.runAt))
	if err == nil && n != 1 {
		return failed("mark the batch", errors.New("the table of batches is empty"))
	}
	return err
}

func (b *batch) reset(r *runner, careful bool) {
	b.conn, b.s, b.cache = r.conn, r.s, r.cache
	b.now, b.given = r.clock(), r.given
	b.alone, b.wrote, b.stalled = careful, false, r.stall.active(b.now) || r.set != 0
	if b.ready == nil {
		b.ready = map[string]readiness{}
	}
	clear(b.ready)
	if b.counts == nil {
		b.counts = map[counted]int64{}
	}
	clear(b.counts)
	clear(b.touched)
	b.touched = b.touched[:0]
	b.passed = b.passed[:0]
	for _, rows := range []*[]Value{&b.newTasks, &b.newItems, &b.newTurns, &b.newLog, &b.newSnapshots, &b.newAttempts} {
		clear(*rows)
		*rows = (*rows)[:0]
	}
}

// keep leaves the rows in the cache, except those that nobody will write again.
func (b *batch) keep() {
	for _, r := range b.touched {
		r.touched = false
		if r.head.Closed {
			b.cache.drop(r.head.Ref)
		}
	}
}

// forget takes rows that were not committed out of the cache.
func (b *batch) forget() {
	for _, r := range b.touched {
		b.cache.drop(r.head.Ref)
	}
}

// readyError is why the store cannot commit, nil if it can.
type readyError struct {
	mu  sync.Mutex
	err error
}

func (e *readyError) set(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
}

func (e *readyError) get() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}
