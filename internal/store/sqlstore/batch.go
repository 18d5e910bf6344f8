// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"errors"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// errMoved: a guarded statement met another number of rows than it must:
// somebody else writes to this database, or a new task's id is taken.
var errMoved = errors.New("rows are not what was loaded")

// batch is one transaction: what the operations have loaded and changed.
type batch struct {
	conn Conn
	s    *statements
	now  time.Time
	// alone: the batch holds one operation, which may be told that its new
	// task's id is taken.
	alone bool
	// stalled: leases may have run out because nobody could renew them.
	stalled bool

	cache   *cache
	given   given
	touched []*row
	ready   map[string]readiness
	wrote   bool
	args    []Value // scratch of one statement

	// What waits for flush: whole rows, and items of turns that have ended.
	newTurns, newLog, newSnapshots, newAttempts []Value
	newTasks, newItems                          []Value
	passed                                      []passed
	counts                                      map[counted]int64
}

// passed is an item that is no longer its task's current one but not yet written.
type passed struct {
	r *row
	i *item
}

// readiness is what a batch knows about the ready items of an agent.
type readiness struct{ known, any bool }

func (b *batch) exec(doing string, s *Statement, args ...Value) (int64, error) {
	n, err := b.conn.Exec(s, args)
	if err != nil {
		return 0, failed(doing, err)
	}
	b.wrote = b.wrote || n > 0
	return n, nil
}

func (b *batch) query(doing string, s *Statement, row func(Row) error, args ...Value) error {
	return failed(doing, b.conn.Query(s, args, row))
}

// load returns the task, or nil if there is none.
func (b *batch) load(ref task.Ref) (*row, error) {
	if r := b.cache.get(ref); r != nil {
		b.touch(r)
		return r, nil
	}
	var r *row
	err := b.query("load a task", b.s.taskLoad, func(x Row) error {
		r = &row{}
		r.format = scanHead(x, &r.head)
		r.cancelRequest, r.snapshotBytes, r.tailBytes = x.Blob(17), x.Int(18), x.Int(19)
		return nil
	}, Text(ref.ID), Text(ref.Tenant), Text(ref.Principal))
	if err != nil || r == nil {
		return nil, err
	}
	if !r.head.Closed {
		if err := b.loadItems(r); err != nil {
			return nil, err
		}
	}
	r.saved()
	b.cache.put(r)
	b.touch(r)
	return r, nil
}

func (b *batch) loadItems(r *row) (err error) {
	if r.head.Cancel != store.CancelNone {
		if r.cancel, err = b.newestCancel(r); err != nil {
			return err
		}
	}
	if r.head.DoneTurn < r.head.LastTurn {
		r.turn, err = b.item(r, store.ItemRef{Kind: store.Execute, Turn: r.head.DoneTurn + 1})
	}
	return err
}

func (b *batch) newestCancel(r *row) (i *item, err error) {
	err = b.query("load a cancel item", b.s.itemCancel, func(x Row) error {
		i = scanItem(x)
		return nil
	}, Text(r.head.ID), Text(r.head.Tenant), Text(r.head.Principal))
	return i, err
}

// item reads one item, which must not have been changed by this batch since it
// was last written.
func (b *batch) item(r *row, ref store.ItemRef) (i *item, err error) {
	err = b.query("load an item", b.s.itemOne, func(x Row) error {
		i = scanItem(x)
		return nil
	}, Text(r.head.ID), Text(r.head.Tenant), Text(r.head.Principal), Text(ref.Kind), Int(ref.Turn))
	return i, err
}

func (b *batch) touch(r *row) {
	if !r.touched {
		r.touched = true
		b.touched = append(b.touched, r)
	}
}

// create adds a task that the database does not have.
func (b *batch) create(ref task.Ref, agent, contextID string) *row {
	r := &row{head: store.Head{Ref: ref, Agent: agent, ContextID: contextID}, format: formatNow, isNew: true}
	b.cache.put(r)
	b.touch(r)
	return r
}

// given are the last of the numbers that order the queue.
type given struct{ arrival, runAt int64 }

func (b *batch) nextArrival() int64 {
	b.given.arrival++
	return b.given.arrival
}

// runNow is the run time of what may run at once. It never goes back: items of
// one priority that may are claimed as they arrived, whatever the clock did.
func (b *batch) runNow() int64 {
	b.given.runAt = max(b.given.runAt, b.now.UnixMilli())
	return b.given.runAt
}

// settle puts the current item of a task where its state belongs and takes
// whatever it displaced out of the queues. It is called at the end of every
// operation that changed an item, and tells whether the item became ready.
func (b *batch) settle(r *row) (becameReady bool) {
	i := r.current()
	for _, other := range []*item{r.turn, r.cancel} {
		if other != nil && other != i {
			b.move(r, other, nowhere)
			other.watch(false)
		}
	}
	running := i != nil && i.state == store.Running
	if r.head.Running != running {
		r.head.Running, r.dirty = running, true
	}
	if i == nil {
		return false
	}
	if i.state == store.Scheduled && i.at <= b.now.UnixMilli() {
		i.state, i.dirty = store.Pending, true
	}
	i.watch(true)
	switch i.state {
	case store.Running:
		b.move(r, i, leased)
	case store.Retryable, store.Scheduled:
		b.move(r, i, due)
	case store.Pending:
		if !i.taken {
			was := i.place
			b.move(r, i, r.readyPlace(i))
			return was != ready && was != suspect
		}
		b.move(r, i, nowhere)
	default:
		b.move(r, i, nowhere)
	}
	return false
}

func (b *batch) move(r *row, i *item, to place) {
	if i.place == to {
		return
	}
	agent := r.head.Agent
	if i.place == ready && b.ready[agent].any {
		b.ready[agent] = readiness{} // perhaps it was the only one
	}
	if to == ready {
		b.ready[agent] = readiness{known: true, any: true}
	}
	i.place, i.dirty = to, true
}

// anyReady tells whether an item of the agent can be claimed.
func (b *batch) anyReady(agent string) (bool, error) {
	if known := b.ready[agent]; known.known {
		return known.any, nil
	}
	if err := b.flush(); err != nil {
		return false, err
	}
	found := false
	err := b.query("look for ready items", b.s.readyAny, func(Row) error {
		found = true
		return nil
	}, Text(agent), Int(formatNow))
	if err != nil {
		return false, err
	}
	b.ready[agent] = readiness{known: true, any: found}
	return found, nil
}

// record adds a batch of records to the log, which may be nil.
func (b *batch) record(r *row, rec *store.Batch) {
	if rec == nil {
		return
	}
	b.newLog = append(b.newLog, Text(r.head.ID), Text(r.head.Tenant), Text(r.head.Principal),
		Int(rec.Last), Int(rec.First), Blob(orEmpty(rec.Body)), Int(formatNow))
	r.tailBytes += int64(len(rec.Body))
	r.head.LastSeq, r.dirty = rec.Last, true
}

// show gives a task the view that was recorded, unless it is nil.
func (r *row) show(v *store.View) {
	if v == nil {
		return
	}
	r.head.State, r.head.StatusAt, r.head.Listed, r.head.Closed = v.State, truncated(v.StatusAt), v.Listed, v.Closed
	r.dirty = true
}

func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
