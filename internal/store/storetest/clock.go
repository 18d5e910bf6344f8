// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"math"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

var clockRules = []rule{
	{"a clock that jumps ahead loses nothing for good", clockAhead},
	{"a holder that beats after the jump keeps its task", clockAheadBeat},
	{"a clock that jumps back steals nothing", clockBack},
	{"a lease that is renewed after the jump back counts from there", clockBackRenew},
	{"a retry is due by the clock, wherever it jumps", clockRetry},
	{"work is found whatever the clock did", clockWork},
	{"a time without end never comes", clockForever},
	{"a listing holds every committed task whatever the clock did", clockList},
}

func clockAhead(w *world) {
	held := map[string]*holder{}
	for range 5 {
		h := w.running()
		h.write(records(1), w.shows("WORKING"))
		held[h.Head.ID] = h
	}
	w.clock.advance(time.Hour)
	w.want("every lease that ran out is rescued", len(w.rescue()), 5)
	got := w.claim(agent, 10)
	w.want("everything rescued is ready", len(got), 5)
	for _, h := range got {
		held[h.Head.ID].fenced("the clock jumped and the item was rescued")
		h.park()
	}
}

func clockAheadBeat(w *world) {
	a, b := w.running(), w.running()
	w.clock.advance(time.Hour)
	w.want("the epoch is the task's until the rescue", a.beat().Lost, false)
	w.want("only what nobody renewed is rescued", len(w.rescue()), 1)
	a.write(records(1), w.shows("WORKING"))
	b.fenced("the clock jumped and the item was rescued")
}

func clockBack(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.clock.advance(-time.Hour)
	w.want("nothing is rescued before its time", w.rescue(), []string(nil))
	w.clock.advance(ttl)
	w.want("the lease ends at a time of the clock: not yet", w.rescue(), []string(nil))
	h.write(records(1))
	w.claimNone("an item under a lease is not ready")
	w.clock.advance(time.Hour)
	w.want("when the clock has come there, the lease is over: nothing is stuck", w.rescue(), []string{agent})
}

func clockBackRenew(w *world) {
	a, b := w.running(), w.running()
	w.clock.advance(-time.Hour)
	a.beat()
	b.write(extends(ttl))
	w.clock.advance(ttl - ms)
	w.want("a renewal counts from the now of the renewal", w.rescue(), []string(nil))
	w.clock.advance(ms)
	w.want("a renewal counts from the now of the renewal, also when it is earlier than the lease was", len(w.rescue()), 2)
	fresh := w.claim(agent, 10)
	w.want("what was rescued is ready", len(fresh), 2)
	w.clock.advance(ttl)
	w.want("a lease taken after the jump counts from there", len(w.rescue()), 2)
}

func clockRetry(w *world) {
	h := w.running()
	h.write(retries(time.Minute))
	w.clock.advance(-time.Hour)
	agents, next := w.promote()
	w.want("a retry is not promoted before its time", agents, []string(nil))
	w.want("Promote tells how long until the next one is due", next, time.Hour+time.Minute)
	w.clock.advance(2 * time.Hour)
	agents, _ = w.promote()
	w.want("a retry whose time has passed is promoted", agents, []string{agent})
	w.claimOne("a promoted item is ready", h.Head.Ref)
}

func clockWork(w *world) {
	want := map[string]bool{}
	for n, jump := range []time.Duration{0, -time.Hour, 2 * time.Hour, -24 * time.Hour, 48 * time.Hour, -3 * 365 * 24 * time.Hour} {
		w.clock.advance(jump)
		want[w.queued().ID] = true
		if n%2 == 0 {
			h := w.running(forAgent("other"))
			h.write(records(1), w.shows("WORKING"))
			h.write(records(1), ends(store.Pending))
			w.want("released work is found", len(w.claim("other", 1)), 1)
		}
	}
	for _, h := range w.claim(agent, 10) {
		delete(want, h.Head.ID)
		h.write(records(1), w.shows("WORKING"))
		h.close()
	}
	w.want("accepted work is found", len(want), 0)
}

// clockForever: the longest duration is what callers write for "never".
func clockForever(w *world) {
	const forever = time.Duration(math.MaxInt64)
	century := func() { w.clock.advance(100 * 365 * 24 * time.Hour) }
	failed := w.running()
	failed.write(retries(forever))
	kept := w.running(keyed("kept", "h"), withTTL(forever))
	kept.close()
	s := w.first(claimed)
	s.Claim.TTL = forever
	leased := w.hold(*w.submit(s).Claim)
	for range 2 {
		w.want("a lease without end does not run out", w.rescue(), []string(nil))
		agents, next := w.promote()
		w.want("a retry that is never due is not promoted, and it waits", []any{len(agents), next > 0}, []any{0, true})
		w.want("a key without end is kept", w.submit(w.first(keyed("kept", "h"))).Joined, true)
		leased.write(extends(forever))
		century()
	}
	w.want("a lease that was extended without end does not run out", w.rescue(), []string(nil))
	_, err := w.Heartbeat(w.Context(), forever, []store.Beat{{Ref: leased.Head.Ref, Epoch: leased.Head.Epoch, Item: leased.Item}})
	w.must("Heartbeat", err)
	w.want("a lease that was renewed without end does not run out", w.rescue(), []string(nil))
	w.want("the holder is the holder", leased.beat().Lost, false)
}

func clockList(w *world) {
	for _, jump := range []time.Duration{0, time.Hour, -2 * time.Hour, 30 * time.Minute} {
		w.clock.advance(jump)
		w.running().write(records(1), w.shows("WORKING"))
	}
	page, err := w.List(w.Context(), store.ListQuery{Scope: mine, Agent: agent, Limit: 10, Total: true})
	w.must("List", err)
	w.want("Until zero is now, and at least every committed task", []int{len(page.Tasks), page.Total}, []int{4, 4})
	again, err := w.List(w.Context(), store.ListQuery{Scope: mine, Agent: agent, Limit: 10, Until: page.Until, Total: true})
	w.must("List", err)
	w.want("Page.Until is the bound that was used", []int{len(again.Tasks), again.Total}, []int{4, 4})
}
