// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var cancelRules = []rule{
	{"a task that never ran only notes the request", cancelNeverRan},
	{"a running task only notes the request, and its runner is told", cancelRunning},
	{"a lost or failed attempt hands the request on", cancelHandedOn},
	{"a repeat changes nothing but the request", cancelRepeat},
	{"a closed task is not changed", cancelClosed},
	{"an unknown task is ErrNotFound", cancelUnknown},
	{"a running attempt may refuse and end", cancelRefusedByRunner},
	{"a running attempt may refuse and go on", cancelRefusedInPassing},
	{"a refused cancellation can be asked for again", cancelAgain},
	{"concurrent requests make one cancel item", cancelRace},
	{"a request beside the last append is never lost", cancelBesideFinish},
}

const openIsRequested = "whatever the case, an open task has Cancel == CancelRequested afterwards"

func cancelNeverRan(w *world) {
	s := w.first(w.opened)
	before := w.submit(s).Head
	out, err := w.RequestCancel(w.Context(), &store.CancelRequest{
		Ref: s.Ref, Request: []byte("stop"), Claim: &store.Taker{Worker: "worker", TTL: ttl},
	})
	w.must("RequestCancel", err)
	before.Cancel = store.CancelRequested
	w.want("a task that never ran: the request is noted, the caller takes the task over", out, store.Cancellation{Head: before})
	w.want(openIsRequested, w.head(s.Ref), before)
	h := w.claimOne("no cancel item is made for a task that never ran", s.Ref)
	w.want("no cancel item is made for a task that never ran", []any{h.Item.Kind, string(h.Message)}, []any{store.Execute, string(s.Message)})
	w.want("a claim brings the request to cancel", []any{h.Head.Cancel, string(h.CancelRequest), string(h.Request)},
		[]any{store.CancelRequested, "stop", string(s.Request)})
}

func cancelRunning(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.submit(w.next(h.head()))
	before := h.head()
	out := w.cancel(h.Head.Ref, "stop")
	before.Cancel = store.CancelRequested
	w.want("a running task: the request is noted and nothing else", out, store.Cancellation{Head: before})
	w.claimNone("no cancel item is made while an item runs")
	w.want("an append tells the cancellation", h.write(records(1)),
		store.Appended{Epoch: h.Head.Epoch, LastTurn: 2, Cancel: store.CancelRequested, CancelRequest: []byte("stop")})
	w.want("a heartbeat tells the cancellation", h.beat(),
		store.BeatAnswer{LastTurn: 2, Cancel: store.CancelRequested, CancelRequest: []byte("stop")})
}

func cancelHandedOn(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.cancel(h.Head.Ref, "stop")
	check := func(how string) {
		w.Helper()
		h = w.claimOne("ready again after: "+how, h.Head.Ref)
		w.want("the next claim tells the cancellation after: "+how, []any{h.Item.Kind, h.Head.Cancel, string(h.CancelRequest)},
			[]any{store.Execute, store.CancelRequested, "stop"})
	}
	w.clock.advance(ttl)
	w.rescue()
	check("a loss")
	out := h.write(retries(time.Second))
	w.want("the append that ends the attempt tells the cancellation", []any{out.Cancel, string(out.CancelRequest)}, []any{store.CancelRequested, "stop"})
	w.clock.advance(time.Second)
	w.promote()
	check("a failure")
	h.write(ends(store.Pending))
	check("a release")
}

func cancelRepeat(w *world) {
	never := w.queued(forAgent("other")).Ref
	running := w.running()
	parked := w.running()
	parked.park()
	for name, ref := range map[string]task.Ref{"never ran": never, "running": running.Head.Ref, "parked": parked.Head.Ref} {
		w.cancel(ref, "first")
		before := w.dump(ref)
		for _, request := range []string{"second", "third"} {
			out := w.cancel(ref, request)
			w.want("a repeat answers with the head: "+name, out, store.Cancellation{Head: before.Stored.Head})
		}
		w.want("a repeat changes nothing but Request: "+name, w.dump(ref), before)
	}
	c := w.claimOne("a repeat makes no second cancel item", parked.Head.Ref)
	w.want("a cancel item brings the newest request", []string{string(c.Request), string(c.CancelRequest)}, []string{"third", "third"})
	w.want("a heartbeat brings the newest request", string(running.beat().CancelRequest), "third")
	w.cancel(parked.Head.Ref, "fourth")
	w.want("the holder of a cancel item is told the newest request", string(c.beat().CancelRequest), "fourth")
	w.claimNone("a repeat makes no second cancel item")
}

func cancelClosed(w *world) {
	h := w.running()
	h.close()
	w.unchanged("a closed task is not changed", h.Head.Ref, func() {
		out, err := w.RequestCancel(w.Context(), &store.CancelRequest{
			Ref: h.Head.Ref, Request: []byte("stop"), Claim: &store.Taker{Worker: "worker", TTL: ttl},
		})
		w.must("RequestCancel: a closed task is not an error", err)
		w.want("the answer's Head says Closed and that nothing was asked for", out, store.Cancellation{Head: h.head()})
		w.want("the answer's Head says Closed and that nothing was asked for", []any{out.Head.Closed, out.Head.Cancel}, []any{true, store.CancelNone})
	})
	w.claimNone("a closed task gets no cancel item")
}

func cancelUnknown(w *world) {
	_, err := w.RequestCancel(w.Context(), &store.CancelRequest{Ref: w.ref(), Request: []byte("stop")})
	w.refused("ErrNotFound: no such task", err, store.ErrNotFound)
}

func refuses(a *store.Append) { a.RefuseCancel = true }

func cancelRefusedByRunner(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.cancel(h.Head.Ref, "stop")
	out := h.write(records(1), w.shows("INPUT_REQUIRED"), ends(store.Completed), refuses)
	w.want("RefuseCancel: Cancel becomes CancelRefused, and there is no request any more",
		[]any{out.Cancel, len(out.CancelRequest), h.head().Cancel}, []any{store.CancelRefused, 0, store.CancelRefused})
	next := w.accepted(w.next(h.head()))
	w.want("a claim tells that the cancellation was refused", []any{next.Head.Cancel, len(next.CancelRequest)}, []any{store.CancelRefused, 0})
}

func cancelRefusedInPassing(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.cancel(h.Head.Ref, "stop")
	before := h.head()
	out := h.write(refuses)
	before.Cancel = store.CancelRefused
	w.want("RefuseCancel without Finish changes Cancel alone", h.head(), before)
	w.want("Appended tells the refusal, and no request any more", out, store.Appended{Epoch: h.Head.Epoch, LastTurn: 1, Cancel: store.CancelRefused})
	w.want("the attempt goes on, and is told the refusal", h.beat(), store.BeatAnswer{LastTurn: 1, Cancel: store.CancelRefused})
	w.cancel(h.Head.Ref, "stop, I said")
	w.want("a request after a refusal reaches the running attempt", h.write(records(1)),
		store.Appended{Epoch: h.Head.Epoch, LastTurn: 1, Cancel: store.CancelRequested, CancelRequest: []byte("stop, I said")})
}

func cancelAgain(w *world) {
	h := w.running()
	h.park()
	for n := range 6 {
		if n == 3 { // the same with a turn more
			w.accepted(w.next(h.head())).park()
		}
		out := w.cancel(h.Head.Ref, "stop")
		w.want(openIsRequested+": also after a refusal", out.Head.Cancel, store.CancelRequested)
		c := w.claimOne("a request after a refusal makes a new cancel item", h.Head.Ref)
		w.want("a request after a refusal makes a new cancel item", []any{c.Item.Kind, string(c.Request)}, []any{store.CancelItem, "stop"})
		c.write(notes(store.Attempt{Number: c.Attempt, Outcome: "refused"}), ends(store.Completed), refuses)
		w.want("Cancel becomes CancelRefused", h.head().Cancel, store.CancelRefused)
		// Reading: which Turn a cancel item names is open; each of its runs must keep its own row.
		w.want("each attempt of each cancel item keeps its row", len(w.attempts(h.Head.Ref)), n+1)
	}
	running := w.accepted(w.next(h.head()))
	w.cancel(running.Head.Ref, "stop now")
	w.want("a request after a refusal reaches a running attempt", running.beat(),
		store.BeatAnswer{LastTurn: 3, Cancel: store.CancelRequested, CancelRequest: []byte("stop now")})
}

func cancelRace(w *world) {
	h := w.running()
	h.park()
	const n = 16
	var outs [n]store.Cancellation
	w.parallel(n, func(i int) {
		out, err := w.RequestCancel(w.Context(), &store.CancelRequest{
			Ref: h.Head.Ref, Request: []byte("stop"), Claim: &store.Taker{Worker: "worker", TTL: ttl},
		})
		if err != nil {
			w.Errorf("RequestCancel: %v", err)
		}
		outs[i] = out
	})
	claims := 0
	for _, out := range outs {
		if out.Claim != nil {
			claims++
		}
		w.want(openIsRequested, out.Head.Cancel, store.CancelRequested)
	}
	w.want("concurrent requests make one cancel item, claimed once", claims, 1)
	w.claimNone("concurrent requests make one cancel item")
	w.want("concurrent requests raise the epoch once, for the claim", h.head().Epoch, h.Head.Epoch+1)
}

// cancelBesideFinish: the append that ends the attempt tells its runner and makes
// a cancel item, or the request finds the task parked and makes one.
func cancelBesideFinish(w *world) {
	for range 30 {
		h := w.running()
		var told store.Appended
		var asked store.Cancellation
		w.parallel(2, func(i int) {
			var err error
			if i == 0 {
				told, err = h.try(records(1), w.shows("INPUT_REQUIRED"), ends(store.Completed))
			} else {
				asked, err = w.RequestCancel(w.Context(), &store.CancelRequest{Ref: h.Head.Ref, Request: []byte("stop")})
			}
			if err != nil {
				w.Errorf("cancel beside finish: %v", err)
			}
		})
		w.want(openIsRequested, h.head().Cancel, store.CancelRequested)
		got := w.claim(agent, 10)
		if len(got) == 0 {
			w.Fatal("broken rule: whatever the order, a cancellation that is asked for beside the end of a turn makes a cancel item")
		}
		w.want("a running task tells its runner", told.Cancel == store.CancelRequested, asked.Head.Running)
		w.want("the task gets one cancel item, whoever came first", []any{len(got), got[0].Head.Ref, got[0].Item.Kind}, []any{1, h.Head.Ref, store.CancelItem})
	}
}
