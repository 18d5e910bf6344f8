// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var deadlineRules = []rule{
	{"a deadline that has passed is refused, unless the key is known", deadlinePast},
	{"a claim tells how long it is until the deadline", deadlineLeft},
	{"an item that waits is claimed as expired when its deadline has passed, whatever is ready", deadlineWaiting},
	{"a scheduled item and one that waits for a retry expire too", deadlineLater},
	{"an item that runs does not expire, and one that was lost does", deadlineRunning},
	{"an item that somebody took the task over from does not expire", deadlineTaken},
	{"an expired claim is no run", deadlineNoRun},
	{"an expired claim that is lost is made again", deadlineLost},
	{"a turn that waits for another is withdrawn, once, and claimed as expired in its order", deadlineBehind},
	{"a turn that a cancel item holds back is withdrawn only if it never ran", deadlineHeld},
	{"the deadline of a turn that has ended is nothing", deadlineEnded},
	{"a sweep without a taker leaves them", deadlineNobody},
	{"Promote takes no more than its limit and tells when the next deadline is", deadlineNext},
	{"items expire once however many sweep", deadlineOnce},
}

const deadlineRule = "an item that waits until its deadline has passed is claimed as expired"

// until is a deadline that long from now.
func (w *world) until(d time.Duration) change {
	return func(s *store.Submission) { s.Deadline = w.clock.Now().Add(d) }
}

// expired sweeps and wants the current item of one task to be claimed.
func (w *world) expired(rule string, of store.Head) *holder {
	w.Helper()
	due := w.due()
	if len(due.Expired) != 1 || due.Expired[0].Head.Ref != of.Ref || !due.Expired[0].Expired {
		w.Fatalf("broken rule: %s\nwant the item of %s to have expired, got %+v", rule, of.ID, due)
	}
	return w.hold(due.Expired[0])
}

// unexpired sweeps and wants nothing to have expired.
func (w *world) unexpired(rule string) {
	w.Helper()
	if due := w.due(); len(due.Expired)+len(due.Withdrawn) > 0 {
		w.Fatalf("broken rule: %s\ngot %+v", rule, due)
	}
}

func deadlinePast(w *world) {
	for _, d := range []time.Duration{0, -time.Hour} {
		s := w.first(keyed("key", "h"), w.until(d))
		_, err := w.Submit(w.Context(), s)
		w.refused("ErrPastDeadline: the deadline has passed already", err, store.ErrPastDeadline)
		_, err = w.Load(w.Context(), s.Ref)
		w.refused("a refusal changes nothing", err, store.ErrNotFound)
	}
	kept := w.submit(w.first(keyed("key", "h"), w.until(time.Second)))
	w.clock.advance(time.Minute)
	again := w.submit(w.first(keyed("key", "h"), w.until(-59*time.Second)))
	w.want("a repeat joins, also when the deadline has passed", []any{again.Joined, again.Head.ID}, []any{true, kept.Head.ID})
}

func deadlineLeft(w *world) {
	h := w.running(w.until(time.Hour))
	w.want("Left is how long it is until the deadline", []any{h.Left, h.Expired}, []any{time.Hour, false})
	h.write(ends(store.Pending))
	w.clock.advance(time.Minute)
	again := w.claimOne("released", h.Head.Ref)
	w.want("Left is how long it is until the deadline, at each claim", []any{again.Left, again.Expired}, []any{59 * time.Minute, false})
	w.want("Left is 0 without a deadline", w.running().Left, time.Duration(0))
}

func deadlineWaiting(w *world) {
	high := w.queued(prioritized(100))
	low := w.queued(prioritized(-100), w.until(time.Second))
	w.clock.advance(time.Second - ms)
	w.unexpired(deadlineRule + ", not before")
	w.clock.advance(ms)
	h := w.expired(deadlineRule, low)
	h.fails()
	w.unexpired("an item expires once")
	w.claimOne("others are left alone", high.Ref)

	slow := w.queued(w.until(time.Second))
	w.clock.advance(time.Second)
	c := w.claimOne("Claim gives what has expired as Promote does", slow.Ref)
	w.want("Claim: an item whose deadline has passed is claimed as expired", []any{c.Expired, c.Attempt, c.Head.Started}, []any{true, 0, false})
	c.fails()
}

// fails ends the task as a worker does whose item has expired.
func (h *holder) fails() {
	h.w.Helper()
	h.write(h.closing, ends(store.Dead))
	h.w.want("the item is dead and its turn has expired", []any{h.turn().Item, h.turn().Expired}, []any{store.Dead, true})
}

func deadlineLater(w *world) {
	planned := w.queued(w.in(time.Hour), w.until(time.Second))
	failed := w.running(w.until(2 * time.Second))
	failed.write(records(1), w.shows("WORKING"), retries(time.Hour))
	w.clock.advance(time.Second)
	w.expired(deadlineRule+", also a scheduled one", planned).fails()
	w.clock.advance(time.Second)
	h := w.expired(deadlineRule+", also one that waits for a retry", failed.Head)
	w.want("Attempt is not raised", []int{h.Attempt, h.Failures}, []int{1, 1})
	h.fails()
}

func deadlineRunning(w *world) {
	h := w.running(w.until(time.Second))
	h.write(records(1), w.shows("WORKING"))
	w.clock.advance(2 * time.Second)
	w.unexpired("who runs a turn watches its deadline")
	h.write(records(1))
	h.beat()
	w.clock.advance(ttl)
	w.want("the lease ran out", w.rescue(), []string{agent})
	lost := w.expired(deadlineRule+", also one that was lost", h.Head)
	w.want("Attempt and Losses are those of the run", []int{lost.Attempt, lost.Losses}, []int{1, 1})
	h.fenced("the item was rescued")
	lost.fails()
}

func deadlineTaken(w *world) {
	h := w.running(w.until(time.Second))
	h.write(takesOver, records(1), w.shows("WORKING"))
	w.clock.advance(time.Minute)
	due := w.due()
	w.want("who took the task over holds it", []any{len(due.Expired), due.Next}, []any{0, time.Duration(0)})
}

func deadlineNoRun(w *world) {
	q := w.queued(w.until(time.Second))
	w.clock.advance(time.Second)
	h := w.expired(deadlineRule, q)
	head := h.head()
	w.want("an expired claim raises the epoch, gives a lease, and is not a start",
		[]any{head.Epoch, head.Running, head.Started, h.Left}, []any{q.Epoch + 1, true, false, time.Duration(0)})
	w.want("an expired claim counts no attempt", []any{h.turn().Attempt, h.turn().Expired}, []any{0, true})
	w.want("an expired claim brings the message", string(h.Message), "message of "+q.ID+" turn 1")
	w.want("the lease holds", h.beat().Lost, false)
	h.fails()
}

func deadlineLost(w *world) {
	q := w.queued(w.until(time.Second))
	w.clock.advance(time.Second)
	h := w.expired(deadlineRule, q)
	w.clock.advance(ttl)
	w.want("the lease of an expired claim runs out", w.rescue(), []string{agent})
	again := w.expired("an expired claim that was lost is made again", q)
	w.want("it is a loss and no attempt", []int{again.Attempt, again.Losses}, []int{0, 1})
	h.fenced("the item was rescued")
	again.fails()
}

func deadlineBehind(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.submit(w.next(h.head(), w.until(time.Second)))
	w.submit(w.next(h.head()))
	_, next := w.promote()
	w.want("Next: a turn that waits has a deadline too", next, time.Second)
	w.clock.advance(time.Second)
	due := w.due()
	w.want("a turn that waits is withdrawn when its deadline has passed",
		[]any{len(due.Expired), due.Withdrawn, w.turns(h.Head.Ref)[1].Expired}, []any{0, []task.Ref{h.Head.Ref}, true})
	w.unexpired("a turn is withdrawn once")
	w.want("nobody else notices", []any{h.beat().Lost, h.head().DoneTurn}, []any{false, 0})
	h.park()
	second := w.expired("a withdrawn turn is claimed as expired when nothing holds it back", h.Head)
	w.want("turns of a task end in order", []any{second.Item.Turn, second.Attempt}, []any{2, 0})
	w.want("the turn after it goes on", second.write(records(1), w.shows("INPUT_REQUIRED"), ends(store.Canceled)).Due, []string{agent})
	w.want("the turn that never ran is canceled", []any{second.turn().Item, second.turn().Attempt}, []any{store.Canceled, 0})
	third := w.claimOne("the third turn", h.Head.Ref)
	w.want("the third turn runs", []any{third.Item.Turn, third.Expired, third.Attempt}, []any{3, false, 1})
}

func deadlineHeld(w *world) {
	parked, retried := w.running(), w.running(w.until(time.Second))
	retried.write(records(1), w.shows("WORKING"), retries(time.Hour))
	parked.park()
	w.submit(w.next(parked.head(), w.until(time.Second)))
	w.cancel(parked.Head.Ref, "please")
	w.cancel(retried.Head.Ref, "please")
	w.clock.advance(time.Second)
	due := w.due()
	w.want("only a turn that never ran is withdrawn", []any{len(due.Expired), due.Withdrawn}, []any{0, []task.Ref{parked.Head.Ref}})
	w.want("what is held back does not keep the sweep busy", due.Next, time.Duration(0))
	for _, c := range w.claim(agent, 10) {
		w.want("the cancel items are ready", []any{c.Item.Kind, c.Expired}, []any{store.CancelItem, false})
		c.write(records(1), refuses, ends(store.Completed))
	}
	due = w.due()
	w.want("when nothing holds them back they expire", len(due.Expired), 2)
}

func deadlineEnded(w *world) {
	parked := w.running(w.until(time.Second))
	parked.park()
	closed := w.running(w.until(time.Second))
	w.submit(w.next(closed.head(), w.until(time.Second)))
	w.submit(w.next(closed.head(), w.until(time.Second)))
	closed.lastTurn = 3
	closed.close()
	taken := w.queued(w.until(time.Second))
	by := w.hold(store.Claim{Head: taken})
	by.write(by.takeEnd)
	w.clock.advance(time.Hour)
	_, next := w.promote()
	w.want("nothing is to come", next, time.Duration(0))
	w.unexpired("a turn that has ended does not expire")
	w.want("a turn that was canceled with its task has not expired", w.turns(closed.Head.Ref)[1].Expired, false)
}

func deadlineNobody(w *world) {
	q := w.queued(w.until(time.Second))
	w.clock.advance(time.Second)
	due, err := w.Promote(w.Context(), store.PromoteRequest{Limit: 10})
	w.must("Promote", err)
	w.want("without a taker nothing is claimed, and there is nothing to do", due, store.Promoted{})
	w.expired(deadlineRule, q).fails()
}

func deadlineNext(w *world) {
	for n := range 5 {
		w.queued(w.until(time.Duration(5-n) * time.Second))
	}
	_, next := w.promote()
	w.want("Next is how long until the first deadline", next, time.Second)
	w.clock.advance(3 * time.Second)
	for _, want := range []int{2, 1, 0} {
		due, err := w.Promote(w.Context(), sweep(2))
		w.must("Promote", err)
		w.want("Promote takes at most limit items", len(due.Expired), want)
		if due.Next <= 0 || due.Next > time.Second {
			w.Errorf("broken rule: Next is how long until Promote has something to do again\ngot %v", due.Next)
		}
	}
}

func deadlineOnce(w *world) {
	const items, sweepers = 60, 12
	for range items {
		w.queued(w.until(time.Second))
	}
	w.clock.advance(time.Second)
	counts := make([]int, sweepers)
	w.parallel(sweepers, func(i int) {
		for range items {
			due, err := w.Promote(w.Context(), sweep(3))
			if err != nil {
				w.Errorf("Promote: %v", err)
			}
			counts[i] += len(due.Expired)
		}
	})
	total := 0
	for _, n := range counts {
		total += n
	}
	w.want("an item is claimed as expired once", total, items)
}
