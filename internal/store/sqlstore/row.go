// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"bytes"
	"math"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// row is a task as the committer works on it: its head, and of its items the
// only ones that can be ready, running or due.
type row struct {
	head          store.Head
	format        int64
	cancelRequest []byte
	snapshotBytes int64
	tailBytes     int64

	cancel *item // the cancel item that has not ended, or one that ended lately; nil: there is none
	turn   *item // the execute item of turn DoneTurn+1; nil: there is none

	isNew, dirty bool
	touched      bool // by the batch that runs
	was          was
}

// was is what the database has: the guard of the update, and what tells
// whether the index of listings must be touched.
type was struct {
	epoch   int64
	lastSeq uint64
	view    store.View
}

// place is where an item stands: in one of the queues or in none.
type place int64

const (
	nowhere place = iota
	ready         // can be claimed
	leased        // running
	due           // retryable or scheduled
	suspect       // can be claimed by who asks for suspects
)

// cancelPriority is above every priority that a message can have: somebody
// waits for the outcome of a cancellation, and not for long.
const cancelPriority = math.MaxInt32

// item is a work item.
type item struct {
	ref                       store.ItemRef
	state                     store.ItemState
	place                     place
	taken                     bool // pending but not ready: somebody took the task over from it
	arrival                   int64
	attempt, failures, losses int
	at                        int64 // the end of its lease, or when it is due
	priority                  int
	runAt                     int64 // its place in the queue, after the priority
	deadline                  int64 // 0: none
	watched                   bool  // Promote looks at it when its deadline has passed
	expired                   bool  // it has passed before the turn ended
	turnSeq                   uint64
	waited                    bool // turnSeq is not known before the first claim
	worker                    string
	tried                     int64 // numbers the claims of suspects; 0: it was never claimed as one

	isNew, dirty bool
}

func (i *item) ended() bool {
	return i.state == store.Completed || i.state == store.Canceled || i.state == store.Dead
}

// watch keeps the item where its state belongs: among those that Promote looks
// at when their deadline has passed, or not. One that is held back can only be
// told then that it will never run, and only once.
func (i *item) watch(current bool) {
	w := i.deadline != 0 && !i.ended() && i.state != store.Running && !i.taken &&
		(current || i.withdrawable() && !i.expired)
	if i.watched != w {
		i.watched, i.dirty = w, true
	}
}

// withdrawable is whether the item's turn can be canceled without its task.
func (i *item) withdrawable() bool {
	return i.ref.Kind == store.Execute && i.ref.Turn > 1 && i.attempt == 0
}

// late tells whether the item's deadline has passed.
func (i *item) late(now int64) bool { return i.deadline != 0 && i.deadline <= now }

// current is the only item of a task that can be ready, running or due: the
// cancel item until it has ended, otherwise that of the oldest unfinished turn.
func (r *row) current() *item {
	switch {
	case r.head.Closed:
		return nil
	case r.cancel != nil && !r.cancel.ended():
		return r.cancel
	}
	return r.turn
}

// running returns the current item if it is claimed and is the one named.
func (r *row) running(ref store.ItemRef) *item {
	i := r.current()
	if i == nil || i.state != store.Running || i.ref != ref {
		return nil
	}
	return i
}

// readyPlace is where an item waits that can be claimed: in the quarantine if its
// processes may have died of it. One that will not be run is not suspected of
// anything.
func (r *row) readyPlace(i *item) place {
	if i.losses >= store.SuspectLosses && (i.ref.Kind == store.CancelItem || r.head.Cancel != store.CancelRequested) {
		return suspect
	}
	return ready
}

// askedToCancel is what RequestCancel brought while a cancellation is asked for.
func (r *row) askedToCancel() []byte {
	if r.head.Cancel != store.CancelRequested {
		return nil
	}
	return bytes.Clone(r.cancelRequest)
}

func (r *row) view() store.View {
	return store.View{State: r.head.State, StatusAt: r.head.StatusAt, Listed: r.head.Listed, Closed: r.head.Closed}
}

// saved notes that the database has what the row has.
func (r *row) saved() {
	r.isNew, r.dirty = false, false
	r.was = was{r.head.Epoch, r.head.LastSeq, r.view()}
}

func scanHead(x Row, h *store.Head) (format int64) {
	h.Ref = task.Ref{ID: x.Text(0), Scope: task.Scope{Tenant: x.Text(1), Principal: x.Text(2)}}
	h.Agent, h.ContextID = x.Text(3), x.Text(4)
	h.State, h.StatusAt = x.Text(5), fromMillis(x.Int(6))
	h.Listed, h.Closed = x.Int(7) != 0, x.Int(8) != 0
	h.LastSeq, h.Epoch = uint64(x.Int(9)), x.Int(10)
	h.LastTurn, h.DoneTurn = int(x.Int(11)), int(x.Int(12))
	h.Running, h.Started = x.Int(13) != 0, x.Int(14) != 0
	h.Cancel = store.CancelState(x.Int(15))
	return x.Int(16)
}

func scanItem(x Row) *item {
	return &item{
		ref:   store.ItemRef{Kind: store.Kind(x.Text(0)), Turn: int(x.Int(1))},
		state: store.ItemState(x.Text(2)), place: place(x.Int(3)), taken: x.Int(4) != 0,
		arrival: x.Int(5), attempt: int(x.Int(6)), failures: int(x.Int(7)), losses: int(x.Int(8)),
		at: x.Int(9), turnSeq: uint64(x.Int(10)), waited: x.Int(11) != 0, worker: x.Text(12),
		priority: int(x.Int(13)), runAt: x.Int(14), deadline: x.Int(15), watched: x.Int(16) != 0, expired: x.Int(17) != 0,
		tried: x.Int(18),
	}
}

func toMillis(t time.Time) int64 { return t.UnixMilli() }

// fromMillis gives back the zero time too, which is a number like any other.
func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func truncated(t time.Time) time.Time { return fromMillis(toMillis(t)) }
