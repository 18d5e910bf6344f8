// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var reopenRules = []rule{
	{"what was committed is there after a reopen", reopenKeeps},
	{"every lease is void after a reopen", reopenLeases},
	{"a reopen that finds nothing running changes nothing", reopenIdle},
	{"the queue keeps its order", reopenQueue},
	{"retries are due as they were", reopenRetries},
	{"priorities, schedules and deadlines are kept", reopenPlans},
	{"keys are kept, and expire as they would have", reopenKeys},
	{"cancellations and cancel items are kept", reopenCancel},
	{"a listing goes on from page to page", reopenListing},
	{"the secret is the same for ever", reopenSecret},
	{"a store that was not used can be reopened", reopenEmpty},
}

func reopenKeeps(w *world) {
	var refs []task.Ref
	for n := range 10 {
		h := w.running(keyed(fmt.Sprint("key", n), "h"), ownedBy(scopes[n]))
		h.write(records(n+1), w.shows("WORKING"), notes(store.Attempt{
			Number: 1, Worker: "worker", Epoch: h.Head.Epoch, Outcome: "parked", Error: "none", Stack: "none",
			Refused: []string{"one", ""}, StartedAt: w.clock.Now(), Duration: time.Second,
		}))
		h.write(records(1), folds)
		h.write(records(n+2), func(a *store.Append) { a.Batch.Body = everyByte() })
		switch n % 3 {
		case 0:
			h.park()
		case 1:
			h.close()
		case 2:
			w.submit(w.next(h.head()))
			h.park()
			w.hold(w.claim(agent, 1)[0].Claim).park()
		}
		refs = append(refs, h.Head.Ref)
	}
	var before []dump
	for _, ref := range refs {
		before = append(before, w.dump(ref))
	}
	for range 2 {
		w.reopen()
		w.must("Ready after a reopen", w.Ready(w.Context()))
		for n, ref := range refs {
			w.want("the effect of a call survives the loss of the process", w.dump(ref), before[n])
		}
	}
	for n, ref := range refs {
		if head := before[n].Stored.Head; !head.Closed {
			h := w.accepted(w.next(head))
			w.want("epochs go on", h.Head.Epoch, head.Epoch+1)
			h.write(records(1))
			w.want("sequences go on", w.head(ref).LastSeq, head.LastSeq+1)
		}
	}
}

func reopenLeases(w *world) {
	var held []*holder
	for range 5 {
		h := w.running()
		h.write(records(2), w.shows("WORKING"), extends(24*time.Hour))
		w.submit(w.next(h.head()))
		held = append(held, h)
	}
	parked := w.cancelParked()
	c := w.claimOne("a cancel item is ready", parked.Head.Ref)
	held = append(held, c)
	var before []store.Head
	for _, h := range held {
		before = append(before, h.head())
	}
	w.reopen()
	for n, h := range held {
		want := before[n]
		want.Epoch++
		want.Running = false
		w.want("every lease is void after a reopen: epoch one higher, nothing runs, the rest as it was", h.head(), want)
		if h.Item.Kind == store.Execute {
			t := h.turn()
			w.want("a void lease is a loss", []any{t.Item, t.Attempt, t.Failures, t.Losses}, []any{store.Pending, 1, 0, 1})
		}
		h.fenced("the store was reopened")
	}
	again := w.claim(agent, 10)
	w.want("recovery is immediate: everything that ran is ready without a rescue", len(again), len(held))
	for _, h := range again {
		w.want("a void lease is a loss and nothing else", []int{h.Attempt, h.Failures, h.Losses}, []int{2, 0, 1})
		h.write(records(1))
	}
	w.want("there was nothing left to rescue", w.rescue(), []string(nil))
}

func reopenIdle(w *world) {
	queued := w.queued(forAgent("other"))
	parked := w.running()
	parked.park()
	failed := w.running()
	failed.write(records(1), w.shows("WORKING"), retries(time.Hour))
	released := w.running()
	released.write(records(1), w.shows("WORKING"), ends(store.Pending))
	taken := w.queued(forAgent("third"))
	w.hold(w.claim("third", 1)[0].Claim).write(takesOver, records(1))
	refs := []task.Ref{queued.Ref, parked.Head.Ref, failed.Head.Ref, released.Head.Ref, taken.Ref}
	var before []dump
	for _, ref := range refs {
		before = append(before, w.dump(ref))
	}
	for range 3 {
		w.reopen()
		for n, ref := range refs {
			w.want("a reopen costs nothing where nothing ran", w.dump(ref), before[n])
		}
	}
	w.claimOne("what was ready is ready after a reopen", released.Head.Ref)
	w.want("what was not ready is not ready after a reopen", len(w.claim("third", 1)), 0)
}

func reopenQueue(w *world) {
	var want []string
	for n := range 12 {
		want = append(want, w.queued().ID)
		if n%4 == 3 {
			w.clock.advance(-time.Minute) // order is order of arrival, not of a clock
			w.reopen()
		}
	}
	var got []string
	for _, h := range w.claim(agent, 100) {
		got = append(got, h.Head.ID)
	}
	w.want("items are claimed in order of arrival, across reopens", got, want)
}

func reopenPlans(w *world) {
	low, high := w.queued(), w.queued(prioritized(1))
	planned, late := w.queued(w.in(time.Minute)), w.queued(w.until(time.Minute), w.in(time.Hour))
	h := w.running(forAgent("other"))
	h.write(records(1), w.shows("WORKING"))
	w.submit(w.next(h.head(), w.until(time.Minute)))
	w.reopen()
	w.want("items are claimed in queue order after a reopen", w.claimedIDs(), []string{high.ID, low.ID})
	_, next := w.promote()
	w.want("Next is as it was", next, time.Minute)
	w.clock.advance(time.Minute)
	due := w.due()
	w.want("what expires expires after a reopen", []any{len(due.Expired), due.Withdrawn}, []any{1, []task.Ref{h.Head.Ref}})
	w.want("its deadline has passed", due.Expired[0].Head.ID, late.ID)
	w.reopen()
	w.want("a withdrawn turn stays withdrawn", w.turns(h.Head.Ref)[1].Expired, true)
	w.want("an expired claim that was lost is made again", w.due().Expired[0].Head.ID, late.ID)
	var ready []string
	for _, c := range w.claim(agent, 10) {
		ready = append(ready, c.Head.ID)
	}
	w.want("what was scheduled is ready", ready, []string{high.ID, low.ID, planned.ID})
}

func reopenRetries(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"), retries(time.Minute))
	w.clock.advance(20 * time.Second)
	w.reopen()
	agents, next := w.promote()
	w.want("a retry is due as it was", []any{len(agents), next}, []any{0, 40 * time.Second})
	w.clock.advance(time.Hour)
	w.reopen()
	w.promote() // or the driver did, when it was opened
	again := w.claimOne("a retry whose time passed while the store was closed is ready", h.Head.Ref)
	w.want("counts are kept", []int{again.Attempt, again.Failures, again.Losses}, []int{2, 1, 0})
}

func reopenKeys(w *world) {
	open := w.running(keyed("open", "h"), withTTL(time.Minute))
	closed := w.running(keyed("closed", "h"), withTTL(time.Hour))
	closed.close()
	w.reopen()
	w.clock.advance(time.Hour - ms)
	for key, h := range map[string]*holder{"open": open, "closed": closed} {
		out := w.submit(w.first(keyed(key, "h")))
		w.want("a repeat joins across a reopen: "+key, []any{out.Joined, out.Head.Ref}, []any{true, h.Head.Ref})
		_, err := w.Submit(w.Context(), w.first(keyed(key, "other")))
		w.refused("a key stands for its message across a reopen", err, store.ErrKeyConflict)
	}
	w.clock.advance(2 * ms)
	w.reopen()
	w.want("a key expires after its TTL across a reopen", w.submit(w.first(keyed("closed", "h"))).Joined, false)
	w.want("a key lives as long as its task across a reopen", w.submit(w.first(keyed("open", "h"))).Joined, true)
}

func reopenCancel(w *world) {
	running := w.running()
	w.cancel(running.Head.Ref, "stop the runner")
	w.reopen()
	h := w.claimOne("a task that ran is ready after a reopen", running.Head.Ref)
	w.want("a request to cancel is kept", []any{h.Head.Cancel, string(h.CancelRequest)}, []any{store.CancelRequested, "stop the runner"})
	h.close()

	failed := w.running()
	failed.write(records(1), w.shows("WORKING"), retries(time.Minute))
	w.cancel(failed.Head.Ref, "stop the retry")
	w.reopen()
	c := w.claimOne("a cancel item is ready after a reopen", failed.Head.Ref)
	w.want("a cancel item is kept with its request", []any{c.Item.Kind, string(c.Request)}, []any{store.CancelItem, "stop the retry"})
	w.clock.advance(time.Hour)
	w.reopen()
	w.promote()
	c = w.claimOne("a cancel item holds back a retry across a reopen", failed.Head.Ref)
	w.want("a cancel item that ran is ready after a reopen", []any{c.Item.Kind, c.Losses}, []any{store.CancelItem, 1})
	c.write(ends(store.Completed), refuses)
	w.reopen()
	w.promote()
	again := w.claimOne("what a cancel item held back is ready after it ended", failed.Head.Ref)
	w.want("a refusal is kept", []any{again.Item.Kind, again.Head.Cancel}, []any{store.Execute, store.CancelRefused})
}

func reopenListing(w *world) {
	w.listed(20)
	all := ids(w.list(store.ListQuery{Limit: 100}))
	got := store.Page{Tasks: w.pages(store.ListQuery{Limit: 6}, func(store.Page) { w.reopen() })}
	w.want("a listing goes on from page to page across reopens", ids(got), all)
}

func reopenSecret(w *world) {
	first, err := w.Secret(w.Context(), "page-token")
	w.must("Secret", err)
	for range 3 {
		w.reopen()
		again, err := w.Secret(w.Context(), "page-token")
		w.must("Secret", err)
		w.want("the secret is the same for ever", again, first)
	}
}

func reopenEmpty(w *world) {
	w.reopen()
	w.reopen()
	w.claimNone("an empty store is empty")
	w.want("a reopened store works", w.submit(w.first()).Turn, 1)
}
