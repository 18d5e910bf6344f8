// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"slices"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

var finishRules = []rule{
	{"a finished attempt gives its lease back", finishGivesBack},
	{"a retryable item is due exactly after its delay", finishRetryable},
	{"a retryable item keeps turn, message and log", finishRetryKeeps},
	{"a released item is ready at once and costs nothing", finishReleased},
	{"an item that is released until later is due then and costs nothing", finishReleasedUntil},
	{"failures, losses and releases are counted apart", finishCounts},
	{"what is due is promoted up to the limit, and the next one is told", finishPromoteLimit},
	{"promotion tells the agents that have more to do", finishPromoteAgents},
	{"a final state is final", finishFinal},
}

func finishGivesBack(w *world) {
	for name, end := range map[string]part{
		"completed": ends(store.Completed), "canceled": ends(store.Canceled), "dead": ends(store.Dead), "failed": retries(time.Hour),
	} {
		h := w.running()
		h.write(records(1), w.shows("WORKING"), end)
		w.want("Running is whether an item is claimed; Started whether one ever was: "+name,
			[]bool{h.head().Running, h.head().Started}, []bool{false, true})
		w.clock.advance(2 * ttl)
		w.want("an attempt that has ended has no lease to run out: "+name, w.rescue(), []string(nil))
	}
	w.claimNone("an attempt that has ended leaves nothing ready")
}

func finishRetryable(w *world) {
	for _, after := range []time.Duration{0, ms, time.Second, 90 * time.Minute} {
		h := w.running()
		out := h.write(records(1), w.shows("WORKING"), retries(after))
		w.want("Retryable raises Failures by one", []any{h.turn().Item, h.turn().Failures, h.turn().Attempt, h.turn().Losses}, []any{store.Retryable, 1, 1, 0})
		if after > 0 {
			w.want("a retryable item is not ready: nothing is due", out.Due, []string(nil))
			w.clock.advance(after - ms)
			agents, next := w.promote()
			w.want("an item is not promoted before its time", agents, []string(nil))
			w.want("Promote tells how long until the next one is due", next, ms)
			w.claimNone("a retryable item is not ready before its time")
			w.clock.advance(ms)
		}
		agents, next := w.promote()
		w.want("an item is promoted when its time has come", agents, []string{agent})
		w.want("Promote: 0 says that none waits", next, time.Duration(0))
		w.want("Promote makes retryable items pending", h.turn().Item, store.Pending)
		again := w.claimOne("a promoted item is ready", h.Head.Ref)
		w.want("the next attempt counts on", []int{again.Attempt, again.Failures, again.Losses}, []int{2, 1, 0})
		again.park()
	}
}

func finishRetryKeeps(w *world) {
	s := w.first()
	h := w.accepted(s)
	h.write(records(2), w.shows("WORKING"))
	w.submit(w.next(h.head()))
	h.write(records(2), retries(time.Second))
	log := w.log(s.Ref)
	w.clock.advance(time.Second)
	w.promote()
	again := w.claimOne("a promoted item is ready, and of a task only the oldest unfinished turn", s.Ref)
	w.want("an attempt runs the turn it is of", []any{again.Item, string(again.Message), again.MessageID, string(again.Request), again.TurnSeq},
		[]any{h.Item, string(s.Message), s.MessageID, string(s.Request), h.TurnSeq})
	w.want("what a failed attempt recorded stays", w.log(s.Ref), log)
}

func finishReleased(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	out := h.write(ends(store.Pending))
	w.want("a released item is due at once", out.Due, []string{agent})
	w.want("Pending: nobody runs it", []any{h.turn().Item, h.head().Running}, []any{store.Pending, false})
	again := w.claimOne("a released item is ready again at once", h.Head.Ref)
	w.want("a release counts neither as a failure nor as a loss", []int{again.Attempt, again.Failures, again.Losses}, []int{2, 0, 0})
}

func finishReleasedUntil(w *world) {
	for _, after := range []time.Duration{ms, time.Second, 90 * time.Minute} {
		h := w.running()
		out := h.write(records(1), w.shows("WORKING"), func(a *store.Append) { a.Finish = &store.Finish{State: store.Scheduled, After: after} })
		w.want("what is released until later is not due yet", out.Due, []string(nil))
		w.want("Scheduled: nobody runs it", []any{h.turn().Item, h.head().Running}, []any{store.Scheduled, false})
		w.clock.advance(after - ms)
		agents, next := w.promote()
		w.want("it is not promoted before its time", []any{agents, next}, []any{[]string(nil), ms})
		w.claimNone("it is not ready before its time")
		w.clock.advance(ms)
		agents, _ = w.promote()
		w.want("it is promoted when its time has come", agents, []string{agent})
		again := w.claimOne("what was promoted is ready", h.Head.Ref)
		w.want("a release counts neither as a failure nor as a loss", []int{again.Attempt, again.Failures, again.Losses}, []int{2, 0, 0})
		again.park()
	}
}

func finishCounts(w *world) {
	h := w.running()
	ref := h.Head.Ref
	attempts, failures, losses := 1, 0, 0
	for _, how := range []string{"fail", "lose", "release", "lose", "fail", "fail", "release", "lose"} {
		switch how {
		case "fail":
			h.write(retries(time.Second))
			w.clock.advance(time.Second)
			w.promote()
			failures++
		case "lose":
			w.clock.advance(ttl)
			w.rescue()
			losses++
		case "release":
			h.write(ends(store.Pending))
		}
		if losses < store.SuspectLosses {
			h = w.claimOne("ready again after: "+how, ref)
		} else {
			h = w.trySuspect("ready again, as a suspect, after: "+how, ref)
		}
		attempts++
		w.want("Attempt counts every run, Failures those that ended in Retryable, Losses those that were rescued",
			[]int{h.Attempt, h.Failures, h.Losses}, []int{attempts, failures, losses})
		t := h.turn()
		w.want("Turns tells the same counts", []int{t.Attempt, t.Failures, t.Losses}, []int{attempts, failures, losses})
	}
	h.park()
	next := w.accepted(w.next(h.head()))
	w.want("each item counts for itself", []int{next.Attempt, next.Failures, next.Losses}, []int{1, 0, 0})
}

func finishPromoteLimit(w *world) {
	for n := range 7 {
		w.running().write(records(1), w.shows("WORKING"), retries(time.Duration(n+1)*time.Second))
	}
	w.clock.advance(5 * time.Second)
	var counts []int
	for range 3 {
		due, err := w.Promote(w.Context(), sweep(2))
		w.must("Promote", err)
		counts = append(counts, len(due.Agents))
		next := due.Next
		// Reading: 0 is for "none waits", so one that is due already must not say 0.
		if next <= 0 || next > time.Second {
			w.Errorf("broken rule: Promote tells how long until the next one is due, 0 if none waits\none is due in at most a second, got %v", next)
		}
	}
	w.want("Promote makes at most limit items pending", counts, []int{2, 2, 1})
	w.want("what was promoted is ready", len(w.claim(agent, 10)), 5)
	_, next := w.promote()
	w.want("Promote tells how long until the next one is due", next, time.Second)
}

func finishPromoteAgents(w *world) {
	for _, a := range []string{"a", "b", "c"} {
		w.running(forAgent(a)).write(retries(time.Second))
	}
	w.running(forAgent("d")).write(retries(2 * time.Second))
	w.clock.advance(time.Second)
	agents, next := w.promote()
	slices.Sort(agents)
	w.want("Promote tells the agents that have more to do", slices.Compact(agents), []string{"a", "b", "c"})
	w.want("Promote tells how long until the next one is due", next, time.Second)
}

func finishFinal(w *world) {
	for _, state := range []store.ItemState{store.Completed, store.Canceled, store.Dead} {
		h := w.running()
		h.write(records(1), w.shows("WORKING"), ends(state))
		w.want("Finish gives the item its state", h.turn().Item, state)
		w.want("a turn that ended is done", h.head().DoneTurn, 1)
		w.clock.advance(24 * time.Hour)
		w.rescue()
		w.promote()
		w.claimNone("an item in a final state never runs again: " + string(state))
		w.want("a final state is final", h.turn().Item, state)
	}
}
