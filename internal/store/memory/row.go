// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"container/heap"
	"slices"
	"sort"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// row is a task with everything that belongs to it.
type row struct {
	head          store.Head
	snapshot      *store.Snapshot
	log           []store.Batch
	tail          int   // index in log of the first batch after the snapshot
	tailBytes     int64 // of log[tail:]
	turns         []*turn
	timed         []*turn // those with a deadline that have not ended
	cancel        *item   // the newest cancel item, ended or not; nil: never one
	cancelRequest []byte
	attempts      []store.Attempt

	// Where the row stands in a queue; see Store.place.
	in       *queue
	pos      int
	at       time.Time
	priority int
	runAt    time.Time
	arrival  int64
	tried    int64
}

type turn struct {
	item
	message   []byte
	messageID string
	request   []byte
	seq       uint64 // store.Submitted.TurnSeq
	waited    bool   // seq is not known before the first claim

	row      *row
	deadline time.Time // zero: none
	expired  bool      // it has passed before the turn ended
	watchPos int       // in Store.watched, from 1; 0: not there
}

type item struct {
	ref                       store.ItemRef
	arrival                   int64
	state                     store.ItemState
	attempt, failures, losses int
	until                     time.Time // the end of its lease while running, when it is due while retryable or scheduled
	priority                  int
	runAt                     time.Time // its place in the queue, after the priority
	taken                     bool      // pending but not ready: somebody took the task over from it
	tried                     int64     // numbers the claims of suspects; 0: it was never claimed as one
}

func (i *item) ended() bool {
	return i.state == store.Completed || i.state == store.Canceled || i.state == store.Dead
}

// current is the only item of a task that can be ready, running or due: the
// cancel item until it has ended, otherwise that of the oldest unfinished turn.
func (r *row) current() *item {
	switch {
	case r.head.Closed:
		return nil
	case r.cancel != nil && !r.cancel.ended():
		return r.cancel
	case r.head.DoneTurn < len(r.turns):
		return &r.turns[r.head.DoneTurn].item
	}
	return nil
}

// running returns the current item if it is claimed and is the one named.
func (r *row) running(ref store.ItemRef) *item {
	i := r.current()
	if i == nil || i.state != store.Running || i.ref != ref {
		return nil
	}
	return i
}

// place puts the task's current item where its state belongs: among the ready
// items of its agent, the leases or what is due later. It is called at the end of
// every commit that touched an item and tells whether the item became ready.
func (s *Store) place(r *row, now time.Time) (due bool) {
	wasReady := r.in != nil && (r.in == s.ready[r.head.Agent] || r.in == s.suspect[r.head.Agent])
	if r.in != nil {
		heap.Remove(r.in, r.pos)
	}
	s.watch(r)
	i := r.current()
	r.head.Running = i != nil && i.state == store.Running
	if i == nil {
		return false
	}
	if i.state == store.Scheduled && !now.Before(i.until) {
		i.state = store.Pending
	}
	r.priority, r.runAt, r.arrival, r.tried, r.at = i.priority, i.runAt, i.arrival, i.tried, i.until
	switch {
	case i.state == store.Running:
		heap.Push(s.leases, r)
	case i.state == store.Retryable || i.state == store.Scheduled:
		heap.Push(s.later, r)
	case i.state == store.Pending && !i.taken:
		if r.suspects(i) {
			heap.Push(queueOf(s.suspect, r.head.Agent, triedLast), r)
		} else {
			heap.Push(s.readyOf(r.head.Agent), r)
		}
		return !wasReady
	}
	return false
}

// suspects tells whether the item's processes may have died of it. One that
// will not be run is not suspected of anything.
func (r *row) suspects(i *item) bool {
	return i.losses >= store.SuspectLosses && (i.ref.Kind == store.CancelItem || r.head.Cancel != store.CancelRequested)
}

func (s *Store) readyOf(agent string) *queue { return queueOf(s.ready, agent, inOrder) }

func queueOf(queues map[string]*queue, agent string, less func(a, b *row) bool) *queue {
	q := queues[agent]
	if q == nil {
		q = &queue{less: less}
		queues[agent] = q
	}
	return q
}

// runNow is the run time of what may run at once. It never goes back: items of
// one priority that may are claimed as they arrived, whatever the clock did.
func (s *Store) runNow(now time.Time) time.Time {
	if now.After(s.newest) {
		s.newest = now
	}
	return s.newest
}

// nextArrival numbers a new item.
func (s *Store) nextArrival() int64 {
	s.arrival++
	return s.arrival
}

// record writes a batch, which may be nil.
func (r *row) record(b *store.Batch) {
	if b == nil {
		return
	}
	r.log = append(r.log, cloneBatch(*b))
	r.tailBytes += int64(len(b.Body))
	r.head.LastSeq = b.Last
}

// fold replaces the snapshot unless it is nil.
func (r *row) fold(snap *store.Snapshot) {
	if snap == nil {
		return
	}
	r.snapshot = cloneSnapshot(snap)
	r.tail = r.after(snap.Seq)
	r.tailBytes = 0
	for _, b := range r.log[r.tail:] {
		r.tailBytes += int64(len(b.Body))
	}
}

// after is the index of the first batch that holds a record after seq.
func (r *row) after(seq uint64) int {
	return sort.Search(len(r.log), func(i int) bool { return r.log[i].Last > seq })
}

func (r *row) stored() store.Stored {
	return store.Stored{
		Head:     r.head,
		Snapshot: cloneSnapshot(r.snapshot),
		Tail:     cloneBatches(r.log[r.tail:]),
	}
}

// queue is a heap of tasks, each of which knows its place, so that it can leave.
type queue struct {
	rows []*row
	less func(a, b *row) bool
}

// inOrder is the order in which ready items are claimed.
func inOrder(a, b *row) bool {
	if a.priority != b.priority {
		return a.priority > b.priority
	}
	if !a.runAt.Equal(b.runAt) {
		return a.runAt.Before(b.runAt)
	}
	return a.arrival < b.arrival
}

// triedLast is the order in which suspects are claimed: what ran when a process
// died runs first and so alone among them.
func triedLast(a, b *row) bool {
	if a.tried != b.tried {
		return a.tried > b.tried
	}
	return inOrder(a, b)
}

func byTime(a, b *row) bool {
	if !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	}
	return a.arrival < b.arrival
}

func (q *queue) first() *row {
	if len(q.rows) == 0 {
		return nil
	}
	return q.rows[0]
}

// Len, Less, Swap, Push and Pop are for container/heap.
func (q *queue) Len() int           { return len(q.rows) }
func (q *queue) Less(i, j int) bool { return q.less(q.rows[i], q.rows[j]) }

func (q *queue) Swap(i, j int) {
	q.rows[i], q.rows[j] = q.rows[j], q.rows[i]
	q.rows[i].pos, q.rows[j].pos = i, j
}

func (q *queue) Push(x any) {
	r := x.(*row)
	r.in, r.pos = q, len(q.rows)
	q.rows = append(q.rows, r)
}

func (q *queue) Pop() any {
	last := len(q.rows) - 1
	r := q.rows[last]
	q.rows[last] = nil
	q.rows = q.rows[:last]
	r.in = nil
	return r
}

func cloneBatch(b store.Batch) store.Batch {
	b.Body = slices.Clone(b.Body)
	return b
}

func cloneBatches(in []store.Batch) []store.Batch {
	out := make([]store.Batch, len(in))
	for i, b := range in {
		out[i] = cloneBatch(b)
	}
	return out
}

func cloneSnapshot(s *store.Snapshot) *store.Snapshot {
	if s == nil {
		return nil
	}
	return &store.Snapshot{Seq: s.Seq, Body: slices.Clone(s.Body)}
}
