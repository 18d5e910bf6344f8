// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

var scheduleRules = []rule{
	{"a scheduled item is not ready before its time, and then it is", scheduleWaits},
	{"a scheduled item is not run in the commit that accepts it", scheduleGrant},
	{"Promote tells when the first one is due and takes no more than its limit", scheduleNext},
	{"a later turn is ready when all earlier ones have ended and its time has come", scheduleLater},
	{"a later turn whose time came while it waited is ready at once", scheduleLate},
	{"a scheduled task that never ran is canceled at once", scheduleCancel},
	{"a scheduled turn of a parked task does not stand in the way of a cancel item", scheduleCancelParked},
	{"items are promoted once however many sweep", scheduleOnce},
}

const scheduleRule = "a scheduled item becomes pending when its time has come"

func scheduled(at time.Time) change { return func(s *store.Submission) { s.ScheduledFor = at } }

// in is a schedule that long from now.
func (w *world) in(d time.Duration) change { return scheduled(w.clock.Now().Add(d)) }

func scheduleWaits(w *world) {
	h := w.queued(w.in(10 * time.Second))
	item := func() store.ItemState { return w.turns(h.Ref)[0].Item }
	w.want("an item with a time to come is scheduled", item(), store.Scheduled)
	w.claimNone(scheduleRule)
	w.clock.advance(10*time.Second - ms)
	agents, next := w.promote()
	w.want(scheduleRule+", not before", []any{agents, next, item()}, []any{[]string(nil), ms, store.Scheduled})
	w.claimNone(scheduleRule)
	w.want("a scheduled item does not stand in the way of others", w.granted(w.first(claimed)), true)
	w.clock.advance(ms)
	agents, next = w.promote()
	w.want(scheduleRule, []any{agents, next, item()}, []any{[]string{agent}, time.Duration(0), store.Pending})
	w.want("a promoted item is ready", w.granted(w.first(claimed)), false)
	w.want("the first run is attempt 1", w.claim(agent, 1)[0].Attempt, 1)
}

func scheduleGrant(w *world) {
	s := w.first(w.opened, claimed, w.in(ms))
	w.want(grantRule, w.granted(s), false)
	w.want("a scheduled submission records IfQueued", string(w.log(s.Ref)[0].Body), "opening if queued")
	w.want("a time that has come is no schedule", w.granted(w.first(claimed, w.in(0))), true)
	w.want("a time that has come is no schedule", w.granted(w.first(claimed, w.in(-time.Hour))), true)
}

func scheduleNext(w *world) {
	for n := range 5 {
		w.queued(w.in(time.Duration(5-n) * time.Second))
	}
	_, next := w.promote()
	w.want("Next is how long until the first one is due", next, time.Second)
	w.clock.advance(3 * time.Second)
	for _, want := range []int{2, 1, 0} {
		due, err := w.Promote(w.Context(), sweep(2))
		w.must("Promote", err)
		w.want("Promote takes at most limit items", len(due.Agents), want)
		if due.Next <= 0 || due.Next > time.Second {
			w.Errorf("broken rule: Next is how long until Promote has something to do again\ngot %v", due.Next)
		}
	}
	w.want("what was promoted is ready", len(w.claim(agent, 10)), 3)
}

func scheduleLater(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.submit(w.next(h.head(), w.in(10*time.Second)))
	w.submit(w.next(h.head()))
	w.want("nothing is due: the turn has ended before the next one's time", h.park().Due, []string(nil))
	w.claimNone("a later turn is ready when its schedule has come")
	_, next := w.promote()
	w.want("Next: the turn that nothing but its time holds back", next, 10*time.Second)
	w.clock.advance(10 * time.Second)
	w.promote()
	second := w.claimOne("its time has come", h.Head.Ref)
	w.want("turns of a task run in order", second.Item.Turn, 2)
	w.want("the turn after a scheduled one is ready when it has ended", second.park().Due, []string{agent})
	w.want("turns of a task run in order", w.claimOne("the third turn", h.Head.Ref).Item.Turn, 3)
}

func scheduleLate(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.submit(w.next(h.head(), w.in(time.Second)))
	w.clock.advance(2 * time.Second)
	agents, _ := w.promote()
	w.want("a turn that is held back is not promoted", agents, []string(nil))
	h.beat()
	w.want("Due: the next turn is ready at once, its time has come", h.park().Due, []string{agent})
	w.want("turns of a task run in order", w.claimOne("the second turn", h.Head.Ref).Item.Turn, 2)
}

func scheduleCancel(w *world) {
	h := w.queued(w.opened, w.in(time.Hour))
	out := w.cancel(h.Ref, "please")
	w.want("nothing ever ran; the caller takes the task over", []bool{out.Head.Started, out.Head.Running}, []bool{false, false})
	by := w.hold(store.Claim{Head: out.Head})
	by.write(by.takeEnd)
	w.want("closing cancels every unfinished item", w.turns(h.Ref)[0].Item, store.Canceled)
	w.clock.advance(time.Hour)
	agents, next := w.promote()
	w.want("what was canceled is never due", []any{agents, next}, []any{[]string(nil), time.Duration(0)})
}

func scheduleCancelParked(w *world) {
	h := w.running()
	h.park()
	w.submit(w.next(h.head(), w.in(time.Hour)))
	w.cancel(h.Head.Ref, "please")
	c := w.claimOne("the cancel item is ready", h.Head.Ref)
	w.want("the cancel item is claimed", c.Item.Kind, store.CancelItem)
	w.clock.advance(2 * time.Hour)
	agents, _ := w.promote()
	w.want("a turn that a cancel item holds back is not promoted", agents, []string(nil))
	c.beat()
	out := c.write(records(1), refuses, ends(store.Completed))
	w.want("the turn whose time came meanwhile is ready when the cancellation is refused", out.Due, []string{agent})
	w.want("the turn is ready", w.claimOne("refused", h.Head.Ref).Item, store.ItemRef{Kind: store.Execute, Turn: 2})
}

func scheduleOnce(w *world) {
	const items, sweepers = 60, 12
	for range items {
		w.queued(w.in(time.Second))
	}
	w.clock.advance(time.Second)
	counts := make([]int, sweepers)
	w.parallel(sweepers, func(i int) {
		for range items {
			due, err := w.Promote(w.Context(), sweep(3))
			if err != nil {
				w.Errorf("Promote: %v", err)
			}
			counts[i] += len(due.Agents)
		}
	})
	total := 0
	for _, n := range counts {
		total += n
	}
	w.want("an item is promoted once", total, items)
}
