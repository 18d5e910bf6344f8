// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"cmp"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var modelRules = []rule{
	{"a random history agrees with the model", modelAgrees},
}

// modelItem, modelTask and model are the port in its plainest words: lists
// that are searched from end to end. They know nothing of bodies.
type modelItem struct {
	ref                       store.ItemRef
	state                     store.ItemState
	attempt, failures, losses int
	until                     time.Time // end of the lease, or due
	priority                  int
	runAt                     time.Time
	arrival                   int
	deadline                  time.Time // zero: none
	expired                   bool
	tried                     int // numbers the claims as a suspect
}

type modelTask struct {
	ref     task.Ref
	agent   string
	turns   []*modelItem
	cancel  *modelItem // the one that has not ended, or nil
	request store.CancelState
	epoch   int64
	seq     uint64
	done    int
	closed  bool
	started bool
	held    []*holder // everybody who ever claimed an item of it
}

type model struct {
	tasks    []*modelTask
	arrivals int
	tries    int
}

// arrived numbers a new item that may run at once or from a time on.
func (m *model) arrived(i *modelItem, now, scheduled time.Time) {
	m.arrivals++
	i.arrival, i.state, i.runAt = m.arrivals, store.Pending, now
	if scheduled.After(now) {
		i.state, i.runAt, i.until = store.Scheduled, scheduled, scheduled
	}
}

func (i *modelItem) late(now time.Time) bool {
	return i.expired || !i.deadline.IsZero() && !now.Before(i.deadline)
}

// settle lets a turn begin that waited for more than its time.
func (t *modelTask) settle(now time.Time) {
	if t.is(store.Scheduled) && !now.Before(t.current().until) {
		t.current().state = store.Pending
	}
}

func (i *modelItem) ended() bool {
	return i.state == store.Completed || i.state == store.Canceled || i.state == store.Dead
}

// current is the only item of a task that may be ready, run or be due.
func (t *modelTask) current() *modelItem {
	switch {
	case t.closed:
		return nil
	case t.cancel != nil:
		return t.cancel
	case t.done < len(t.turns):
		return t.turns[t.done]
	}
	return nil
}

func (t *modelTask) is(s store.ItemState) bool { i := t.current(); return i != nil && i.state == s }

// suspect tells whether the current item was lost too often to be claimed with the others.
func (t *modelTask) suspect() bool {
	i := t.current()
	return i.losses >= store.SuspectLosses && (i == t.cancel || t.request != store.CancelRequested)
}

// ready are the tasks of an agent whose item can be claimed, in queue order.
func (m *model) ready(agent string) (out []*modelTask) { return m.lane(agent, false) }

// lane is one of the two lanes of ready items of an agent.
func (m *model) lane(agent string, suspects bool) (out []*modelTask) {
	for _, t := range m.tasks {
		if t.agent == agent && t.is(store.Pending) && t.suspect() == suspects {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *modelTask) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	return out
}

// before is the order of a lane.
func (t *modelTask) before(other *modelTask) bool {
	x, y := t.current(), other.current()
	tried := 0
	if t.suspect() {
		tried = cmp.Compare(y.tried, x.tried)
	}
	return cmp.Or(tried, cmp.Compare(y.priority, x.priority), x.runAt.Compare(y.runAt), cmp.Compare(x.arrival, y.arrival)) < 0
}

func (m *model) find(ref task.Ref) *modelTask {
	for _, t := range m.tasks {
		if t.ref == ref {
			return t
		}
	}
	return nil
}

// claimed moves the current item on as a claim does.
func (m *model) claimed(t *modelTask, now, until time.Time) {
	i := t.current()
	if i.state == store.Pending && t.suspect() {
		m.tries++
		i.tried = m.tries
	}
	i.state, i.until = store.Running, until
	t.epoch++
	if i.expired = i.late(now); i.expired {
		return
	}
	i.attempt++
	t.started = true
}

// accepts tells what a write must be answered.
func (t *modelTask) accepts(a *store.Append) error {
	i := t.current()
	switch {
	case t.closed:
		return store.ErrClosed
	case a.Epoch != t.epoch || a.LastSeq != t.seq:
		return store.ErrFenced
	case !a.TakeEpoch && (!t.is(store.Running) || i.ref != a.Item):
		return store.ErrFenced
	case a.View != nil && a.View.Closed && a.LastTurn != len(t.turns):
		return store.ErrNewerTurn
	}
	return nil
}

// write changes the task as an accepted append does.
func (m *model) write(t *modelTask, a *store.Append, now time.Time) {
	i := t.current()
	if a.TakeEpoch {
		t.epoch++
	} else if a.Extend > 0 {
		i.until = now.Add(a.Extend)
	}
	if a.Batch != nil {
		t.seq = a.Batch.Last
	}
	if a.RefuseCancel {
		t.request = store.CancelRefused
	}
	if f := a.Finish; f != nil && !a.TakeEpoch {
		t.finish(i, f, now)
	}
	if a.View != nil && a.View.Closed {
		t.close()
	}
	t.settle(now)
	if a.Finish != nil && !a.TakeEpoch && i.ended() && t.unheard() {
		m.cancels(t, now)
	}
}

// unheard tells whether a cancellation is asked for and no item will tell of it
// soon.
func (t *modelTask) unheard() bool {
	return !t.closed && t.request == store.CancelRequested && (t.current() == nil || t.is(store.Scheduled))
}

// cancels gives the task a cancel item.
func (m *model) cancels(t *modelTask, now time.Time) {
	t.cancel = &modelItem{ref: store.ItemRef{Kind: store.CancelItem}, priority: 1 << 20}
	m.arrived(t.cancel, now, time.Time{})
}

func (t *modelTask) finish(i *modelItem, f *store.Finish, now time.Time) {
	i.state = f.State
	if f.State == store.Retryable {
		i.failures++
		i.until = now.Add(f.After)
	}
	if i == t.cancel && i.ended() {
		t.cancel = nil
	}
	if f.EndTurn {
		t.done = i.ref.Turn
	}
}

func (t *modelTask) close() {
	t.closed, t.done, t.cancel = true, len(t.turns), nil
	for _, i := range t.turns {
		if !i.ended() {
			i.state = store.Canceled
		}
	}
	if t.request == store.CancelRequested {
		t.request = store.CancelNone
	}
}

// rescue and promote return how many items they made pending.
func (m *model) rescue(now time.Time) (n int) {
	for _, t := range m.tasks {
		if t.is(store.Running) && !now.Before(t.current().until) {
			t.current().state = store.Pending
			t.current().losses++
			t.epoch++
			n++
		}
	}
	return n
}

func (m *model) promote(now time.Time) (n int) {
	for _, t := range m.tasks {
		if i := t.current(); (t.is(store.Retryable) || t.is(store.Scheduled)) && !now.Before(i.until) {
			i.state, i.runAt = store.Pending, i.until
			n++
		}
	}
	return n
}

// expire withdraws the turns that never ran and are held back past their
// deadline, and names the tasks whose current item has passed its own.
func (m *model) expire(now time.Time) (current, withdrawn map[task.Ref]bool) {
	current, withdrawn = map[task.Ref]bool{}, map[task.Ref]bool{}
	for _, t := range m.tasks {
		for _, i := range t.turns {
			switch {
			case t.closed || i.ended() || i.state == store.Running || i.deadline.IsZero() || !i.late(now):
			case i == t.current():
				current[t.ref] = true
			case i.ref.Turn > 1 && i.attempt == 0 && !i.expired:
				i.expired, withdrawn[t.ref] = true, true
			}
		}
	}
	return current, withdrawn
}

// next is how long until a sweep has something to do again.
func (m *model) next(now time.Time) (next time.Duration) {
	sooner := func(t time.Time) {
		if d := max(t.Sub(now), time.Nanosecond); next == 0 || d < next {
			next = d
		}
	}
	for _, t := range m.tasks {
		if t.is(store.Retryable) || t.is(store.Scheduled) {
			sooner(t.current().until)
		}
		for _, i := range t.turns {
			told := i.ref.Turn == 1 || i.attempt > 0 || i.expired
			if !t.closed && !i.ended() && i.state != store.Running && !i.deadline.IsZero() && (i == t.current() || !told) {
				sooner(i.deadline)
			}
		}
	}
	return next
}

// check compares a task with what the store says about it.
func (t *modelTask) check(rt *rapid.T, w *world) {
	got, err := w.Load(w.Context(), t.ref)
	if err != nil {
		rt.Fatalf("Load: %v", err)
	}
	h := got.Head
	type head struct {
		Epoch                    int64
		LastSeq                  uint64
		LastTurn, DoneTurn       int
		Closed, Running, Started bool
		Cancel                   store.CancelState
	}
	have := head{h.Epoch, h.LastSeq, h.LastTurn, h.DoneTurn, h.Closed, h.Running, h.Started, h.Cancel}
	want := head{t.epoch, t.seq, len(t.turns), t.done, t.closed, t.is(store.Running), t.started, t.request}
	if have != want {
		rt.Fatalf("the head of %s does not agree with the model\nwant %+v\n got %+v", t.ref.ID, want, have)
	}
	turns, err := w.Turns(w.Context(), t.ref, 0, 0)
	if err != nil || len(turns) != len(t.turns) {
		rt.Fatalf("Turns: %d turns, want %d, error %v", len(turns), len(t.turns), err)
	}
	for n, i := range t.turns {
		g := turns[n]
		heldBack := t.cancel != nil && i.state == store.Retryable // whether Promote touches it is open
		if g.Attempt != i.attempt || g.Failures != i.failures || g.Losses != i.losses || g.Expired != i.expired || g.Item != i.state && !heldBack {
			rt.Fatalf("turn %d of %s does not agree with the model\nwant %+v\n got %+v", n+1, t.ref.ID, *i, g)
		}
	}
}
