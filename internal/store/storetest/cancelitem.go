// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

var cancelItemRules = []rule{
	{"a parked task gets a cancel item that is ready", cancelItemParked},
	{"the commit that makes a cancel item may claim it", cancelItemClaimed},
	{"a cancel item holds back turns that are ready or come later", cancelItemHolds},
	{"a cancel item holds back a retry, which is due as it was after a refusal", cancelItemHoldsRetry},
	{"a retry that falls due behind a cancel item is not stuck", cancelItemOverdueRetry},
	{"a cancel item that fails goes on holding back", cancelItemRetries},
	{"a cancel item that ends lets the others go", cancelItemEnds},
	{"a cancel item that closes the task ends everything", cancelItemCloses},
	{"a cancel item that refuses holds back until it ends", cancelItemRefusesFirst},
	{"a request after a refusal in passing leaves one cancel item", cancelItemAskedAgain},
	{"a cancel item writes under the fence", cancelItemWrites},
	{"the end of a turn makes a cancel item if nobody else will hear", cancelItemAtTheEnd},
	{"the end of a turn holds back what is scheduled for later", cancelItemBeforeTheSchedule},
	{"the end of a turn makes no cancel item if somebody will hear", cancelItemNotNeeded},
	{"a request beside a refusal is not lost with the cancel item", cancelItemRefusedBeside},
	{"who ended the turn and who claims its cancel item have one winner", cancelItemOrTakeover},
}

// cancelParked makes a task with a cancel item that is ready.
func (w *world) cancelParked() *holder {
	w.Helper()
	h := w.running()
	h.write(records(2), w.shows("WORKING"))
	h.park()
	w.cancel(h.Head.Ref, "stop")
	return h
}

func cancelItemParked(w *world) {
	h := w.running()
	h.write(records(2), w.shows("WORKING"), folds)
	h.park()
	before := h.head()
	before.Cancel = store.CancelRequested
	w.want("a parked task: Head after the request", w.cancel(h.Head.Ref, "stop"), store.Cancellation{Head: before})
	turns := w.turns(h.Head.Ref)
	c := w.claimOne("a cancel item of a parked task is ready", h.Head.Ref)
	before.Epoch++
	before.Running = true
	w.want("the claim of a cancel item raises the epoch by one and brings the request", []any{
		c.Head, c.Item.Kind, c.Attempt, c.Failures, c.Losses, len(c.Message), string(c.Request), string(c.CancelRequest),
	}, []any{before, store.CancelItem, 1, 0, 0, 0, "stop", "stop"})
	w.want("a cancel item is no turn", w.turns(h.Head.Ref), turns)
	snap := w.load(h.Head.Ref)
	w.want("a claim tells the size of snapshot and tail", []int64{c.SnapshotBytes, c.TailBytes},
		[]int64{int64(len(snap.Snapshot.Body)), int64(len(snap.Tail[0].Body))})
	w.claimNone("a cancel item is claimed once")
}

func cancelItemClaimed(w *world) {
	ask := func(h *holder) store.Cancellation {
		w.Helper()
		out, err := w.RequestCancel(w.Context(), &store.CancelRequest{
			Ref: h.Head.Ref, Request: []byte("stop"), Claim: &store.Taker{Worker: "worker", TTL: ttl},
		})
		w.must("RequestCancel", err)
		return out
	}
	h := w.running()
	h.park()
	out := ask(h)
	if out.Claim == nil {
		w.Fatal("broken rule: Claim is granted when no other item of the agent is ready")
	}
	w.want("Cancellation.Head is the task after the commit", []any{out.Head, out.Claim.Head}, []any{h.head(), h.head()})
	w.want("a claim in RequestCancel is a claim", []any{out.Head.Running, out.Head.Epoch, out.Claim.Item.Kind, string(out.Claim.Request)},
		[]any{true, h.Head.Epoch + 1, store.CancelItem, "stop"})
	w.claimNone("a claimed cancel item is not ready")
	w.clock.advance(ttl - ms)
	w.want("a claim in RequestCancel gives a lease of the TTL asked for", w.rescue(), []string(nil))
	w.clock.advance(ms)
	w.want("a claim in RequestCancel gives a lease of the TTL asked for", w.rescue(), []string{agent})
	w.claimOne("a rescued cancel item is ready", h.Head.Ref)

	parked := w.running()
	parked.park()
	other := w.queued()
	w.want("Claim is not granted while another item of the agent is ready", ask(parked).Claim == nil, true)
	got := w.claim(agent, 10)
	w.want("what was not granted is ready", len(got), 2)
	w.want("the other item is ready too", got[0].Head.Ref == other.Ref || got[1].Head.Ref == other.Ref, true)
}

func cancelItemHolds(w *world) {
	rule := "a cancel item holds back the task's other items until it has ended"
	for _, how := range []string{"released", "lost", "queued follow-up"} {
		h := w.running()
		h.write(records(1), w.shows("WORKING"))
		switch how {
		case "released":
			h.write(ends(store.Pending))
		case "lost":
			w.clock.advance(ttl)
			w.rescue()
		case "queued follow-up":
			h.park()
			w.submit(w.next(h.head()))
		}
		turn := h.head().LastTurn
		w.cancel(h.Head.Ref, "stop")
		w.submit(w.next(h.head()))
		c := w.claimOne(rule+": "+how, h.Head.Ref)
		w.want(rule+": "+how, c.Item.Kind, store.CancelItem)
		w.claimNone(rule + ", while it runs: " + how)
		out := c.write(records(1), ends(store.Completed), refuses)
		w.want("what was held back is due: "+how, out.Due, []string{agent})
		again := w.claimOne("with a refusal the item held back becomes ready again: "+how, h.Head.Ref)
		w.want("turns run in order: "+how, again.Item, store.ItemRef{Kind: store.Execute, Turn: turn})
		w.want("the refusal is told: "+how, again.Head.Cancel, store.CancelRefused)
		again.park()
		last := w.claimOne("a turn that came while the cancel item was there runs in its turn: "+how, h.Head.Ref)
		w.want("turns run in order: "+how, last.Item.Turn, turn+1)
		last.close()
	}
}

func cancelItemHoldsRetry(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"), retries(time.Minute))
	w.cancel(h.Head.Ref, "stop")
	c := w.claimOne("a cancel item is made for a task that waits for a retry", h.Head.Ref)
	w.want("the claimed item is the cancel item", c.Item.Kind, store.CancelItem)
	w.clock.advance(30 * time.Second)
	c.write(extends(time.Hour))
	out := c.write(ends(store.Completed), refuses)
	w.want("a retry that is not due yet is not due after a refusal", out.Due, []string(nil))
	w.want("the execute item is retryable as it was", []any{h.turn().Item, h.turn().Failures}, []any{store.Retryable, 1})
	w.clock.advance(30*time.Second - ms)
	agents, next := w.promote()
	w.want("a retry is due as it was: not before", []any{len(agents), next}, []any{0, ms})
	w.claimNone("a retry is due as it was: not before")
	w.clock.advance(ms)
	agents, _ = w.promote()
	w.want("a retry is due as it was", agents, []string{agent})
	again := w.claimOne("a promoted item is ready", h.Head.Ref)
	w.want("the retry counts on", []any{again.Item, again.Attempt, again.Failures, again.Losses}, []any{h.Item, 2, 1, 0})
}

// cancelItemOverdueRetry: whether Promote makes a retry pending that is held
// back is the driver's choice; ready it is not, and afterwards it is not lost.
func cancelItemOverdueRetry(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"), retries(time.Minute))
	w.cancel(h.Head.Ref, "stop")
	w.clock.advance(time.Hour)
	w.promote()
	c := w.claimOne("a cancel item holds back a retry whose time has come", h.Head.Ref)
	w.want("a cancel item holds back a retry whose time has come", c.Item.Kind, store.CancelItem)
	w.promote()
	w.claimNone("a cancel item holds back a retry whose time has come, while it runs")
	c.write(ends(store.Completed), refuses)
	w.promote()
	again := w.claimOne("after a refusal a retry whose time has come is ready", h.Head.Ref)
	w.want("the retry counts on", []any{again.Item, again.Attempt, again.Failures}, []any{h.Item, 2, 1})
}

func cancelItemRetries(w *world) {
	h := w.cancelParked()
	w.submit(w.next(h.head()))
	c := w.claimOne("a cancel item is ready", h.Head.Ref)
	c.write(retries(time.Second))
	w.claimNone("a cancel item that waits for a retry has not ended")
	w.clock.advance(time.Second)
	agents, _ := w.promote()
	w.want("a cancel item is promoted like any other", agents, []string{agent})
	again := w.claimOne("a promoted cancel item is ready", h.Head.Ref)
	w.want("a cancel item counts its attempts", []any{again.Item, again.Attempt, again.Failures, again.Head.Epoch}, []any{c.Item, 2, 1, c.Head.Epoch + 1})
	w.want("a released cancel item is due", again.write(ends(store.Pending)).Due, []string{agent})
	third := w.claimOne("a released cancel item is ready", h.Head.Ref)
	w.want("a release costs a cancel item nothing", []any{third.Item, third.Attempt, third.Failures, third.Losses}, []any{c.Item, 3, 1, 0})
}

func cancelItemEnds(w *world) {
	for _, state := range []store.ItemState{store.Completed, store.Canceled, store.Dead} {
		h := w.cancelParked()
		w.submit(w.next(h.head()))
		c := w.claimOne("a cancel item is ready", h.Head.Ref)
		out := c.write(ends(state))
		w.want("when a cancel item has ended, what it held back is due: "+string(state), out.Due, []string{agent})
		w.want("without RefuseCancel the request stands: "+string(state), h.head().Cancel, store.CancelRequested)
		w.want("DoneTurn is set by execute items only: "+string(state), h.head().DoneTurn, 1)
		next := w.claimOne("when a cancel item has ended, what it held back is ready: "+string(state), h.Head.Ref)
		w.want("when a cancel item has ended, what it held back is ready: "+string(state), next.Item, store.ItemRef{Kind: store.Execute, Turn: 2})
		next.close()
	}
}

func cancelItemRefusesFirst(w *world) {
	h := w.cancelParked()
	w.submit(w.next(h.head()))
	c := w.claimOne("a cancel item is ready", h.Head.Ref)
	out := c.write(records(1), refuses)
	w.want("a refusal without Finish makes nothing ready", []any{out.Cancel, len(out.Due)}, []any{store.CancelRefused, 0})
	w.claimNone("a cancel item holds back the task's other items until it has ended")
	w.want("what a cancel item held back is due when it has ended", c.write(ends(store.Completed)).Due, []string{agent})
	w.want("what a cancel item held back is ready when it has ended", w.claimOne("ready", h.Head.Ref).Item.Turn, 2)
}

// cancelItemAskedAgain: the item that refused has not ended when the next
// request makes another.
func cancelItemAskedAgain(w *world) {
	for name, end := range map[string]part{"released": ends(store.Pending), "failed": retries(time.Second), "failed, and a turn came": retries(time.Second)} {
		h := w.cancelParked()
		c := w.claimOne("a cancel item is ready", h.Head.Ref)
		c.write(records(1), refuses)
		c.write(end)
		if name == "failed, and a turn came" {
			w.submit(w.next(h.head()))
		}
		w.cancel(h.Head.Ref, "stop, I said")
		c = w.claimOne("a cancel item was made and is ready: "+name, h.Head.Ref)
		w.want("the cancel item brings the new request: "+name, []any{c.Item.Kind, string(c.Request), c.Head.Cancel},
			[]any{store.CancelItem, "stop, I said", store.CancelRequested})
		w.clock.advance(time.Second)
		w.promote()
		w.claimNone("the task has one cancel item: " + name)
		w.want("its holder is the holder: "+name, c.beat().Lost, false)
		c.lastTurn = h.head().LastTurn
		c.close()
		w.promote()
		w.claimNone("a closed task has no ready item: " + name)
	}
}

func cancelItemCloses(w *world) {
	h := w.cancelParked()
	w.submit(w.next(h.head()))
	w.submit(w.next(h.head()))
	c := w.claimOne("a cancel item is ready", h.Head.Ref)
	c.lastTurn = 3
	out := c.close()
	w.want("closing clears a requested cancellation, and nothing is due", []any{out.Cancel, len(out.CancelRequest), len(out.Due)}, []any{store.CancelNone, 0, 0})
	head := h.head()
	w.want("closing: DoneTurn is LastTurn, nothing runs", []any{head.Closed, head.DoneTurn, head.Running, head.Cancel}, []any{true, 3, false, store.CancelNone})
	for n, t := range w.turns(h.Head.Ref) {
		want := store.Canceled
		if n == 0 {
			want = store.Completed
		}
		w.want("closing cancels every unfinished item and leaves those that have ended", t.Item, want)
	}
	w.clock.advance(24 * time.Hour)
	w.rescue()
	w.promote()
	w.claimNone("a closed task has no ready item")
}

func cancelItemWrites(w *world) {
	h := w.cancelParked()
	c := w.claimOne("a cancel item is ready", h.Head.Ref)
	c.write(records(3), w.shows("WORKING"), folds, notes(store.Attempt{Number: 1, Worker: "canceller", StartedAt: w.clock.Now()}))
	got := w.dump(h.Head.Ref)
	w.want("a cancel item records like an execute item", []any{got.Stored.Head.LastSeq, got.Stored.Snapshot.Seq, got.Stored.Head.State}, []any{c.seq, c.seq, "WORKING"})
	w.want("the attempts of a cancel item are its own", []any{len(got.Attempts), got.Attempts[0].Item, got.Attempts[0].Worker}, []any{1, c.Item, "canceller"})
	c.write(ends(store.Pending))
	c.fenced("the cancel item was released", "a takeover", "a takeover to the end")
}
