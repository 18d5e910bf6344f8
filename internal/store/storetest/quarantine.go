// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var quarantineRules = []rule{
	{"an item is a suspect from the third loss on, and not before", quarantineFrom},
	{"a claim takes suspects only if it asks for them, and then nothing else", quarantineLanes},
	{"suspects are claimed in queue order, the one that was claimed last first", quarantineOrder},
	{"a suspect stays one until its turn has ended", quarantineStays},
	{"a suspect does not stand in the way of a claim in Submit", quarantineGrant},
	{"the agents that have suspects are told, the one of the last claim first", quarantineCensus},
	{"a suspect can be cancelled, and its cancel item is ready with the others", quarantineCancel},
	{"a lost item whose cancellation is asked for is no suspect", quarantineCancelled},
	{"a suspect whose deadline passes is claimed as expired", quarantineDeadline},
}

// suspects claims from the quarantine.
func (w *world) suspects(of string, limit int) []*holder {
	w.Helper()
	claims, err := w.Claim(w.Context(), store.ClaimRequest{
		Agent: of, Limit: limit, Suspects: true, Taker: store.Taker{Worker: "worker", TTL: ttl},
	})
	w.must("Claim", err)
	var out []*holder
	for _, c := range claims {
		out = append(out, w.hold(c))
	}
	return out
}

// trySuspect claims the only ready item of the usual agent, which must be a
// suspect and of that task.
func (w *world) trySuspect(rule string, ref task.Ref) *holder {
	w.Helper()
	w.claimNone(rule)
	got := w.suspects(agent, 10)
	if len(got) != 1 || got[0].Head.Ref != ref {
		w.Fatalf("broken rule: %s\nwant the item of %s to be the only suspect, claimed %s", rule, ref.ID, idsOf(got))
	}
	return got[0]
}

// suspected makes a task whose item was lost often enough.
func (w *world) suspected(changes ...change) store.Head {
	w.Helper()
	h := w.running(append([]change{forAgent("losing")}, changes...)...)
	h.write(records(1), w.shows("WORKING"))
	w.loseAgain(h)
	return h.head()
}

// loseAgain loses a running item until it is a suspect.
func (w *world) loseAgain(h *holder) {
	w.Helper()
	for {
		w.clock.advance(ttl)
		w.must("Rescue", func() error { _, err := w.Rescue(w.Context(), 100); return err }())
		if h.turn().Losses == store.SuspectLosses {
			return
		}
		if got := w.claim(h.Head.Agent, 10); len(got) != 1 || got[0].Head.Ref != h.Head.Ref {
			w.Fatalf("a lost item is ready again: claimed %s", idsOf(got))
		}
	}
}

func idList(hs []*holder) (out []string) {
	for _, h := range hs {
		out = append(out, h.Head.ID)
	}
	return out
}

func quarantineFrom(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	for losses := 1; losses <= store.SuspectLosses+2; losses++ {
		before := h.head().Epoch
		w.clock.advance(ttl)
		w.want("Rescue names the agent of a suspect too", w.rescue(), []string{agent})
		w.want("a suspect's rescue raises the epoch as any other", h.head().Epoch, before+1)
		var again *holder
		if losses < store.SuspectLosses {
			w.want("an item of fewer losses is no suspect", len(w.suspects(agent, 10)), 0)
			again = w.claimOne("an item of fewer losses is ready with the others", h.Head.Ref)
		} else {
			again = w.trySuspect("an item of as many losses or more is a suspect", h.Head.Ref)
		}
		w.want("the claim tells the losses", []int{again.Attempt, again.Losses, again.Failures}, []int{losses + 1, losses, 0})
		h.fenced("a suspect that was claimed again")
		h = again
	}
	h.write(records(1), w.shows("WORKING"))
	h.close()
}

func quarantineLanes(w *world) {
	s := w.suspected()
	n := w.queued(forAgent("losing"))
	w.want("a claim takes the others", idList(w.claim("losing", 10)), []string{n.ID})
	w.want("a claim for suspects takes suspects", idList(w.suspects("losing", 10)), []string{s.ID})
	w.want("there is no other suspect", len(w.suspects("losing", 10)), 0)
	w.want("suspects are of their agent", len(w.suspects("Losing", 10)), 0)
}

func quarantineOrder(w *world) {
	var hs []*holder
	for _, p := range []int{0, 1, 0, 2, 0} {
		hs = append(hs, w.running(prioritized(p)))
	}
	for range store.SuspectLosses {
		w.claim(agent, 10)
		w.clock.advance(ttl)
		w.rescue()
	}
	w.claimNone("all are suspects")
	ids := func(order ...int) (out []string) {
		for _, n := range order {
			out = append(out, hs[n].Head.ID)
		}
		return out
	}
	w.want("a claim takes up to Limit suspects, in queue order", idList(w.suspects(agent, 2)), ids(3, 1))
	w.want("in queue order", idList(w.suspects(agent, 1)), ids(0))
	w.clock.advance(ttl)
	w.rescue()
	w.want("the one that was claimed last first, then those that never were", idList(w.suspects(agent, 10)), ids(0, 1, 3, 2, 4))
	w.clock.advance(ttl)
	w.rescue()
	w.want("the one that was claimed last first", idList(w.suspects(agent, 10)), ids(4, 2, 3, 1, 0))
}

func quarantineStays(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.submit(w.next(h.head()))
	w.loseAgain(h)
	h = w.trySuspect("lost", h.Head.Ref)
	h.write(ends(store.Pending))
	h = w.trySuspect("a released suspect is a suspect", h.Head.Ref)
	w.want("a suspect that fails is not due", h.write(retries(time.Minute)).Due, []string(nil))
	w.want("a suspect that waits for its retry is not ready", len(w.suspects(agent, 10)), 0)
	w.clock.advance(time.Minute)
	agents, _ := w.promote()
	w.want("Promote names the agent of a suspect too", agents, []string{agent})
	h = w.trySuspect("a promoted suspect is a suspect", h.Head.Ref)
	out := h.write(records(1), w.shows("WORKING"), ends(store.Completed))
	w.want("the next turn is due", out.Due, []string{agent})
	w.claimOne("the next turn is no suspect: it has lost nothing", h.Head.Ref)
}

func quarantineGrant(w *world) {
	s := w.suspected()
	h := w.accepted(w.first(forAgent("losing")))
	w.want("the claim is granted beside suspects", h.Attempt, 1)
	w.want("the suspect is where it was", idList(w.suspects("losing", 10)), []string{s.ID})
}

func quarantineCensus(w *world) {
	told := func(limit int) []string {
		w.Helper()
		names, err := w.Suspects(w.Context(), limit)
		w.must("Suspects", err)
		return names
	}
	w.queued(forAgent("busy"))
	w.want("no agent has suspects", told(10), []string(nil))
	for _, a := range []string{"b", "", "a", "ä"} {
		w.suspected(forAgent(a))
		w.suspected(forAgent(a))
	}
	w.want("each agent is told once, by the queue order of the first suspect of each", told(10), []string{"b", "", "a", "ä"})
	w.want("at most limit", told(2), []string{"b", ""})
	w.want("a limit of none", told(0), []string(nil))
	w.want("Waiting names the agents that have suspects only", w.waiting("", 10), []string{"a", "b", "busy", "ä"})
	w.want("Waiting goes on after a name", w.waiting("a", 1), []string{"b"})
	w.suspects("ä", 1)
	last := w.suspects("a", 2)
	w.want("an agent whose suspects are claimed is not told", told(10), []string{"b", "", "ä"})
	w.clock.advance(ttl)
	w.rescue()
	w.want("the agent of the suspect that was claimed last comes first", told(10), []string{"a", "ä", "b", ""})
	w.want("and that suspect is the one that is claimed", idList(w.suspects("a", 1)), idList(last[1:]))
}

func quarantineCancel(w *world) {
	s := w.suspected()
	w.want("asking to cancel a suspect is accepted", w.cancel(s.Ref, "stop").Head.Cancel, store.CancelRequested)
	w.want("a cancel item holds its suspect back", len(w.suspects("losing", 10)), 0)
	c := w.claim("losing", 10)
	w.want("the cancel item of a suspect is no suspect", []any{len(c), c[0].Item.Kind, c[0].Head.Ref}, []any{1, store.CancelItem, s.Ref})
	w.want("a refused cancellation makes the suspect ready", c[0].write(ends(store.Completed), refuses).Due, []string{"losing"})
	h := w.suspects("losing", 10)
	w.want("it is a suspect again", idList(h), []string{s.ID})
	h[0].write(ends(store.Pending))
	w.cancel(s.Ref, "stop, I said")
	for losses := 1; losses <= store.SuspectLosses; losses++ {
		w.want("the cancel item is ready", len(w.claim("losing", 10)), 1)
		w.clock.advance(ttl)
		w.rescue()
	}
	w.want("a cancel item that was lost as often is a suspect", len(w.claim("losing", 10)), 0)
	c = w.suspects("losing", 10)
	w.want("a cancel item that was lost as often is a suspect", []any{len(c), c[0].Item.Kind, c[0].Losses}, []any{1, store.CancelItem, store.SuspectLosses})
	c[0].close()
}

func quarantineCancelled(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	for losses := 1; losses <= store.SuspectLosses+1; losses++ {
		if losses == store.SuspectLosses {
			w.cancel(h.Head.Ref, "stop")
		}
		w.clock.advance(ttl)
		w.rescue()
		h = w.claimOne("what will not be run is suspected of nothing", h.Head.Ref)
		w.want("the claim tells the losses", h.Losses, losses)
	}
	w.want("the claim tells that it is to be cancelled", h.Head.Cancel, store.CancelRequested)
}

func quarantineDeadline(w *world) {
	s := w.suspected(w.until(time.Hour))
	w.clock.advance(time.Hour)
	due := w.due()
	if len(due.Expired) != 1 || due.Expired[0].Head.Ref != s.Ref {
		w.Fatalf("broken rule: Promote claims the items whose deadline has passed, suspects too\ngot %+v", due)
	}
	w.want("what has expired is not in the quarantine", len(w.suspects("losing", 10)), 0)
	w.hold(due.Expired[0]).close()
}
