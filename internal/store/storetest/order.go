// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

var orderRules = []rule{
	{"the higher priority is claimed first", orderPriority},
	{"of one priority what may run earlier is claimed first, then what arrived earlier", orderTime},
	{"of one priority a clock that jumps back changes nothing", orderClock},
	{"a retry stands where its time puts it", orderRetry},
	{"what was lost or released keeps its place", orderKept},
	{"a cancel item is claimed before every message", orderCancel},
	{"a priority does not reach over to another agent or an earlier turn", orderBounds},
	{"a claim in Submit is not granted past a ready item of a lower priority", orderGrant},
}

const orderRule = "items are claimed by priority, the higher first, then by run time, then as they arrived"

func prioritized(p int) change { return func(s *store.Submission) { s.Priority = p } }

// claimedIDs claims everything that is ready, a few at a time.
func (w *world) claimedIDs() (ids []string) {
	w.Helper()
	for {
		got := w.claim(agent, 3)
		for _, h := range got {
			ids = append(ids, h.Head.ID)
		}
		if len(got) < 3 {
			return ids
		}
	}
}

func orderPriority(w *world) {
	byPriority := map[int][]string{}
	priorities := []int{0, -100, 100, 1, -1, 0, 100, -100, 7, 0}
	for _, p := range priorities {
		byPriority[p] = append(byPriority[p], w.queued(prioritized(p)).ID)
	}
	var want []string
	for _, p := range []int{100, 7, 1, 0, -1, -100} {
		want = append(want, byPriority[p]...)
	}
	w.want(orderRule, w.claimedIDs(), want)
}

func orderTime(w *world) {
	now := w.clock.Now()
	at := func(d time.Duration) string { return w.queued(scheduled(now.Add(d))).ID }
	third, fifth := at(3*time.Second), at(20*time.Second)
	first := w.queued().ID
	w.clock.advance(time.Second)
	second := w.queued().ID
	w.clock.advance(9 * time.Second)
	fourth := w.queued().ID
	past := w.queued(scheduled(now.Add(-time.Hour))).ID
	w.clock.advance(10 * time.Second)
	sixth := w.queued().ID
	w.promote()
	w.want(orderRule+"; a schedule in the past is now", w.claimedIDs(), []string{first, second, third, fourth, past, fifth, sixth})
}

func orderClock(w *world) {
	var want []string
	for range 3 {
		want = append(want, w.queued().ID, w.queued().ID)
		w.clock.advance(-time.Minute)
	}
	w.want(orderRule, w.claimedIDs(), want)
}

func orderRetry(w *world) {
	failed := w.running()
	failed.write(records(1), w.shows("WORKING"), retries(10*time.Second))
	before := w.queued().ID
	w.clock.advance(11 * time.Second)
	after := w.queued().ID
	w.promote()
	w.want(orderRule+": the run time of a retry is when it was due", w.claimedIDs(), []string{before, failed.Head.ID, after})
}

func orderKept(w *world) {
	lost, released := w.queued(prioritized(1)), w.queued()
	got := w.claim(agent, 2)
	w.clock.advance(time.Second)
	high, low := w.queued(prioritized(1)), w.queued()
	got[1].write(ends(store.Pending))
	w.clock.advance(ttl)
	w.rescue()
	w.want("what was lost or released is ready again in its place", w.claimedIDs(), []string{lost.ID, high.ID, released.ID, low.ID})
}

func orderCancel(w *world) {
	parked := w.running()
	parked.park()
	w.queued(prioritized(100))
	w.cancel(parked.Head.Ref, "please")
	got := w.claim(agent, 1)
	w.want("cancel items are claimed first", []any{got[0].Head.ID, got[0].Item.Kind}, []any{parked.Head.ID, store.CancelItem})
}

func orderBounds(w *world) {
	first := w.queued(prioritized(-5))
	w.submit(w.next(w.head(first.Ref), prioritized(100)))
	other := w.queued()
	w.queued(forAgent("other"), prioritized(100))
	got := w.claim(agent, 10)
	w.want("a later turn waits for the earlier ones, whatever its priority",
		[]any{len(got), got[0].Head.ID, got[1].Head.ID, got[1].Item.Turn}, []any{2, other.ID, first.ID, 1})
	got[1].write(records(1), w.shows("WORKING"), ends(store.Completed))
	w.queued(prioritized(99))
	w.want("when its turn has come it has its own priority", w.claim(agent, 1)[0].Head.ID, first.ID)
}

func orderGrant(w *world) {
	low := w.queued(prioritized(-100))
	s := w.first(prioritized(100), claimed)
	w.want(grantRule, w.granted(s), false)
	w.want(orderRule, w.claimedIDs(), []string{s.ID, low.ID})
}
