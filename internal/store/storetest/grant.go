// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var grantRules = []rule{
	{"the claim is not granted while another item of the agent is ready", grantBehindReady},
	{"the claim is not granted while another owner's item of the agent is ready", grantBehindForeign},
	{"items of another agent do not stand in the way", grantOtherAgent},
	{"items that run, wait or are not due do not stand in the way", grantNotReady},
	{"the claim of a turn held back by a cancel item is not granted", grantHeld},
	{"the lease of a claim in Submit lasts as long as was asked", grantLease},
	{"of concurrent submissions nobody overtakes a ready item", grantRace},
}

const grantRule = "the claim is granted when the turn is ready and no other item of the agent is ready"

func (w *world) granted(s *store.Submission) bool {
	w.Helper()
	out := w.submit(s)
	w.want("Running and Started tell whether the commit claimed the item",
		[]bool{out.Head.Running, out.Head.Started}, []bool{out.Claim != nil, out.Claim != nil})
	return out.Claim != nil
}

func grantBehindReady(w *world) {
	old := w.queued()
	s := w.first(w.opened, claimed)
	w.want(grantRule, w.granted(s), false)
	w.want("a submission that is not claimed records IfQueued", string(w.log(s.Ref)[0].Body), "opening if queued")
	got := w.claim(agent, 10)
	if len(got) != 2 || got[0].Head.Ref != old.Ref || got[1].Head.Ref != s.Ref {
		w.Errorf("broken rule: nothing overtakes what waits: items are claimed in order of arrival\ngot %s", idsOf(got))
	}
	w.want(grantRule, w.granted(w.first(claimed)), true)
}

func grantBehindForeign(w *world) {
	w.queued(ownedBy(task.Scope{Tenant: "another", Principal: "somebody"}))
	w.want(grantRule+": whoever owns it", w.granted(w.first(claimed)), false)
}

func grantOtherAgent(w *world) {
	w.queued(forAgent("Agent"))
	w.queued(forAgent("agent "))
	w.want(grantRule, w.granted(w.first(claimed)), true)
}

func grantNotReady(w *world) {
	running := w.running()
	running.write(records(1), w.shows("WORKING"))
	w.submit(w.next(running.head())) // waits behind the running turn
	w.want(grantRule+": running and waiting items are not ready", w.granted(w.first(claimed)), true)

	failed := w.running()
	failed.write(records(1), w.shows("WORKING"), retries(time.Minute))
	w.want(grantRule+": an item that is not due is not ready", w.granted(w.first(claimed)), true)

	parked := w.running()
	parked.park()
	w.want(grantRule+": a parked task has no ready item", w.granted(w.first(claimed)), true)

	w.clock.advance(time.Minute)
	agents, _ := w.promote()
	w.want("Promote makes what is due pending", agents, []string{agent})
	w.want(grantRule+": a promoted item is ready", w.granted(w.first(claimed)), false)
}

func grantHeld(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	h.park()
	if w.cancel(h.Head.Ref, "please").Claim != nil {
		w.Fatal("broken rule: Cancellation.Claim is set when the request asked to claim")
	}
	c := w.claimOne("a cancel item of a parked task is ready", h.Head.Ref)
	w.want("the claimed item is the cancel item", c.Item.Kind, store.CancelItem)
	out := w.submit(w.next(h.head(), claimed))
	w.want("a cancel item holds back the task's other items until it has ended", out.Claim == nil, true)
	w.want(grantRule+": an item that is held back is not ready", w.granted(w.first(claimed)), true)
}

func grantLease(w *world) {
	s := w.first(claimed)
	s.Claim.TTL = 7 * time.Second
	w.submit(s)
	w.clock.advance(7*time.Second - ms)
	w.want("a claim in Submit gives a lease of the TTL asked for", w.rescue(), []string(nil))
	w.clock.advance(ms)
	w.want("a claim in Submit gives a lease of the TTL asked for", w.rescue(), []string{agent})
}

// grantRace: a claim may be granted to many, one after the other, but only
// while nothing waits; what is not granted is there for Claim.
func grantRace(w *world) {
	const n = 48
	granted := make([]bool, n)
	subs := make([]*store.Submission, n)
	for i := range subs {
		subs[i] = w.first(w.opened)
		if i%3 != 0 {
			claimed(subs[i])
		}
	}
	w.parallel(n, func(i int) {
		out, err := w.Submit(w.Context(), subs[i])
		if err != nil {
			w.Errorf("Submit: %v", err)
		}
		granted[i] = out.Claim != nil
	})
	waiting := map[task.Ref]bool{}
	for i, s := range subs {
		if granted[i] {
			w.want("a granted claim records IfClaimed", string(w.log(s.Ref)[0].Body), "opening if claimed")
			continue
		}
		waiting[s.Ref] = true
		w.want("a claim that is not granted records IfQueued", string(w.log(s.Ref)[0].Body), "opening if queued")
	}
	for _, h := range w.claim(agent, n) {
		w.want("what was not granted is ready, once", waiting[h.Head.Ref], true)
		delete(waiting, h.Head.Ref)
	}
	w.want("what was not granted is ready", len(waiting), 0)
}
