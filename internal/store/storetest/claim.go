// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var claimRules = []rule{
	{"items are claimed in order of arrival, up to the limit", claimOrder},
	{"a claim takes the items of its agent only, byte by byte", claimAgent},
	{"a claim serves every owner", claimEveryOwner},
	{"a claim raises epoch and attempt by one and brings the turn", claimBrings},
	{"a claim tells the size of snapshot and tail", claimSizes},
	{"of a task only the oldest unfinished turn is ready", claimOldestTurn},
	{"the next turn is ready in the commit that ends the one before", claimNextTurn},
	{"an item is claimed once", claimOnce},
	{"the epoch rises at claims, rescues and takeovers, and never otherwise", claimEpoch},
	{"no items is not an error", claimNothing},
}

func claimOrder(w *world) {
	var want []string
	for range 25 {
		want = append(want, w.queued().ID)
	}
	var got []string
	for _, limit := range []int{1, 2, 7, 10, 10, 10} {
		for _, h := range w.claim(agent, limit) {
			got = append(got, h.Head.ID)
		}
	}
	w.want("Claim takes items in queue order: of one owner, as they arrived", got, want)
}

func claimAgent(w *world) {
	owner := map[string]string{}
	for _, a := range hostile {
		owner[w.queued(forAgent(a)).ID] = a
	}
	w.claimNone("Claim takes the items of one agent: this one has none")
	for _, a := range hostile {
		got := w.claim(a, 100)
		if len(got) != 1 || owner[got[0].Head.ID] != a || got[0].Head.Agent != a {
			w.Errorf("broken rule: Claim takes the items of one agent, names compared byte by byte\n%q claimed %s", a, idsOf(got))
		}
	}
}

func claimEveryOwner(w *world) {
	want := map[task.Ref]bool{}
	for _, tenant := range []string{"", "a", "b"} {
		for _, principal := range []string{"", "a", "b"} {
			want[w.queued(ownedBy(task.Scope{Tenant: tenant, Principal: principal}), named("same id")).Ref] = true
		}
	}
	for _, h := range w.claim(agent, 100) {
		w.want("a claim brings the task's owner", want[h.Head.Ref], true)
		delete(want, h.Head.Ref)
	}
	w.want("Claim takes items of every owner", len(want), 0)
}

func claimBrings(w *world) {
	s := w.first(w.opened)
	queued := w.submit(s)
	got := w.claim(agent, 1)[0]
	head := queued.Head
	head.Epoch++
	head.Running, head.Started = true, true
	w.want("Claim: head after the claim, attempt 1, and what the turn was submitted with", got.Claim, store.Claim{
		Head: head, Item: store.ItemRef{Kind: store.Execute, Turn: 1}, Attempt: 1,
		Message: s.Message, MessageID: s.MessageID, Request: s.Request,
		TurnSeq: 0, TailBytes: int64(len(s.IfQueued.Batch.Body)),
	})
	w.want("Claim.Head is the head that is read", got.head(), head)
	w.want("Turns: the item runs its first attempt", []any{got.turn().Item, got.turn().Attempt}, []any{store.Running, 1})

	got.write(ends(store.Pending))
	again := w.claimOne("a released item is ready again at once", s.Ref)
	w.want("each claim raises epoch and attempt by one", []int64{again.Head.Epoch, int64(again.Attempt)}, []int64{head.Epoch + 1, 2})
}

func claimSizes(w *world) {
	h := w.running()
	h.write(records(3), w.shows("WORKING"))
	h.write(records(2), folds)
	snap := w.load(h.Head.Ref).Snapshot
	h.write(records(4))
	h.write(records(1))
	tail := 0
	for _, b := range w.load(h.Head.Ref).Tail {
		tail += len(b.Body)
	}
	h.write(ends(store.Pending))
	again := w.claimOne("a released item is ready again at once", h.Head.Ref)
	w.want("SnapshotBytes and TailBytes are the size of the newest snapshot and of the log after it",
		[]int64{again.SnapshotBytes, again.TailBytes}, []int64{int64(len(snap.Body)), int64(tail)})
	again.write(records(1), folds, ends(store.Pending))
	third := w.claimOne("a released item is ready again at once", h.Head.Ref)
	w.want("TailBytes: nothing after the snapshot", third.TailBytes, int64(0))
}

func claimOldestTurn(w *world) {
	rule := "of a task only the oldest unfinished turn is ready"
	first := w.first()
	w.submit(first)
	for range 2 {
		w.submit(w.next(w.head(first.Ref)))
	}
	h := w.claimOne(rule, first.Ref)
	w.want(rule, h.Item.Turn, 1)
	w.claimNone(rule + ", and it runs")
	h.write(retries(time.Minute))
	w.claimNone(rule + ", and it is not due")
	w.clock.advance(time.Minute)
	w.promote()
	h = w.claimOne(rule, first.Ref)
	w.want(rule, h.Item.Turn, 1)
	h.write(ends(store.Pending))
	h = w.claimOne(rule, first.Ref)
	w.want(rule, h.Item.Turn, 1)
	w.clock.advance(ttl)
	w.rescue()
	h = w.claimOne(rule, first.Ref)
	w.want(rule, h.Item.Turn, 1)
}

func claimNextTurn(w *world) {
	for _, state := range []store.ItemState{store.Completed, store.Canceled, store.Dead} {
		h := w.running()
		h.write(records(1), w.shows("WORKING"))
		w.submit(w.next(h.head()))
		w.submit(w.next(h.head()))
		for turn := 2; turn <= 3; turn++ {
			out := h.write(records(1), w.shows("WORKING"), ends(state))
			w.want("Due names the agent that has more to do: the next turn is ready", out.Due, []string{agent})
			w.want("EndTurn sets DoneTurn to the item's turn", h.head().DoneTurn, turn-1)
			w.want("the item that ended has the state given", h.turn().Item, state)
			h = w.claimOne("EndTurn makes the next turn's item ready: after "+string(state), h.Head.Ref)
			w.want("turns of a task run in order", h.Item.Turn, turn)
		}
		w.want("nothing is due: no turn waits", h.write(records(1), w.shows("WORKING"), ends(state)).Due, []string(nil))
		w.claimNone("a task without unfinished turns has no ready item")
	}
}

func claimOnce(w *world) {
	w.queued()
	w.want("the item is ready", len(w.claim(agent, 10)), 1)
	w.claimNone("a claimed item is not ready")
	w.clock.advance(ttl - ms)
	w.rescue()
	w.claimNone("an item under a lease is not ready")
}

func claimEpoch(w *world) {
	s := w.first(w.opened)
	epoch := w.submit(s).Head.Epoch
	check := func(what string, rise int64) {
		w.Helper()
		epoch += rise
		w.want(fmt.Sprintf("every claim, rescue and takeover adds one to the epoch, nothing else does: %s", what), w.head(s.Ref).Epoch, epoch)
	}
	w.submit(w.next(w.head(s.Ref)))
	check("a follow-up", 0)
	h := w.claimOne("ready", s.Ref)
	check("a claim", 1)
	h.write(records(2), w.shows("WORKING"), folds, notes(store.Attempt{Number: 1}), extends(ttl))
	check("an append", 0)
	h.beat()
	check("a heartbeat", 0)
	w.cancel(s.Ref, "please")
	check("a request to cancel", 0)
	w.rescue()
	w.promote()
	check("a rescue and a promotion that find nothing", 0)
	h.write(retries(time.Second), refuses)
	check("a failed attempt", 0)
	w.clock.advance(time.Second)
	w.promote()
	check("a promotion", 0)
	w.claimOne("promoted", s.Ref)
	check("a claim", 1)
	w.clock.advance(ttl)
	w.rescue()
	check("a rescue", 1)
	h = w.claimOne("rescued", s.Ref)
	check("a claim", 1)
	h.write(ends(store.Pending))
	check("a release", 0)
	h = w.claimOne("released", s.Ref)
	check("a claim", 1)
	h.park()
	check("the end of a turn", 0)
	h = w.claimOne("the second turn", s.Ref)
	check("a claim", 1)
	out := h.write(takesOver, records(1))
	check("a takeover", 1)
	w.want("Appended.Epoch is the one after the commit", out.Epoch, epoch)
}

func claimNothing(w *world) {
	claims, err := w.Claim(w.Context(), store.ClaimRequest{Agent: "nobody", Limit: 5, Taker: store.Taker{Worker: "w", TTL: ttl}})
	w.must("Claim: no items is not an error", err)
	w.want("Claim: no items", len(claims), 0)
	w.want("Rescue: nothing to rescue", w.rescue(), []string(nil))
	agents, next := w.promote()
	w.want("Promote: nothing waits", []any{len(agents), next}, []any{0, time.Duration(0)})
	answers, err := w.Heartbeat(w.Context(), ttl, nil)
	w.must("Heartbeat without beats", err)
	w.want("Heartbeat without beats", len(answers), 0)
}
