// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

const toldAtTheEnd = "a turn that ends while a cancellation is asked for leaves a cancel item"

// told makes a running task whose cancellation is asked for, so that only the
// end of the turn tells its runner.
func (w *world) told() *holder {
	w.Helper()
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.cancel(h.Head.Ref, "stop")
	return h
}

func cancelItemAtTheEnd(w *world) {
	for _, state := range []store.ItemState{store.Completed, store.Canceled, store.Dead} {
		h := w.told()
		out := h.write(records(1), w.shows("INPUT_REQUIRED"), ends(state))
		w.want(toldAtTheEnd+", and is told: "+string(state), out, store.Appended{
			Epoch: h.Head.Epoch, LastTurn: 1, Cancel: store.CancelRequested, CancelRequest: []byte("stop"), Due: []string{agent},
		})
		head := h.head()
		w.want("the turn has ended all the same: "+string(state), []any{head.DoneTurn, head.Running, head.Cancel, head.Epoch},
			[]any{1, false, store.CancelRequested, h.Head.Epoch})
		w.want("a repeat makes no second one: "+string(state), w.cancel(h.Head.Ref, "stop, I said"), store.Cancellation{Head: head})
		c := w.claimOne(toldAtTheEnd+", which is ready: "+string(state), h.Head.Ref)
		w.want(toldAtTheEnd+": "+string(state),
			[]any{c.Item.Kind, c.Attempt, c.Failures, c.Losses, string(c.Request), c.TurnSeq, c.Head.Epoch},
			[]any{store.CancelItem, 1, 0, 0, "stop, I said", h.TurnSeq, h.Head.Epoch + 1})
		w.claimNone("a cancel item is claimed once: " + string(state))
		h.fenced("the cancel item was claimed")
		w.clock.advance(ttl)
		w.want("it is rescued like any other: "+string(state), w.rescue(), []string{agent})
		w.claimOne("it is rescued like any other: "+string(state), h.Head.Ref).close()
	}
}

func cancelItemBeforeTheSchedule(w *world) {
	h := w.told()
	w.submit(w.next(h.head(), func(s *store.Submission) { s.ScheduledFor = w.clock.Now().Add(time.Hour) }))
	w.want(toldAtTheEnd+", and is told", h.park().Due, []string{agent})
	c := w.claimOne(toldAtTheEnd+" if the next turn comes later", h.Head.Ref)
	w.want(toldAtTheEnd+" if the next turn comes later", c.Item.Kind, store.CancelItem)
	w.clock.advance(time.Hour)
	w.promote()
	w.claimNone("it holds back a turn whose time has come")
	w.want("its holder is the holder", c.beat().Lost, false)
	c.write(ends(store.Completed), refuses)
	w.promote()
	next := w.claimOne("what was held back is ready when the cancel item has ended", h.Head.Ref)
	w.want("what was held back is ready when the cancel item has ended", next.Item, store.ItemRef{Kind: store.Execute, Turn: 2})
}

func cancelItemNotNeeded(w *world) {
	h := w.told()
	h.write(records(1), w.shows("INPUT_REQUIRED"), ends(store.Completed), refuses)
	w.claimNone("a cancellation that is refused with the end of the turn makes no cancel item")

	h = w.told()
	h.write(retries(time.Minute))
	w.claimNone("an item that comes back tells of the cancellation itself")
	w.clock.advance(time.Minute)
	w.promote()
	h = w.claimOne("an item that comes back tells of the cancellation itself", h.Head.Ref)
	w.want("an item that comes back tells of the cancellation itself", []any{h.Item.Kind, h.Head.Cancel}, []any{store.Execute, store.CancelRequested})
	w.submit(w.next(h.head()))
	h.park()
	next := w.claimOne("a turn that is ready tells of the cancellation itself", h.Head.Ref)
	w.want("a turn that is ready tells of the cancellation itself", []any{next.Item, next.Head.Cancel},
		[]any{store.ItemRef{Kind: store.Execute, Turn: 2}, store.CancelRequested})
	next.close()
	w.clock.advance(24 * time.Hour)
	w.promote()
	w.claimNone("a closed task has no cancel item")
}

// cancelItemRefusedBeside: the refusal is recorded, the next request finds the
// cancel item running, and the item ends as it had to.
func cancelItemRefusedBeside(w *world) {
	h := w.cancelParked()
	c := w.claimOne("a cancel item is ready", h.Head.Ref)
	c.write(records(1), refuses)
	w.cancel(h.Head.Ref, "stop, I said")
	out := c.write(ends(store.Completed), notes(store.Attempt{Number: 1, Outcome: "refused"}))
	w.want("the end of a cancel item tells of a request that came after its refusal", []any{out.Cancel, string(out.CancelRequest), out.Due},
		[]any{store.CancelRequested, "stop, I said", []string{agent}})
	again := w.claimOne("the end of a cancel item that leaves a request makes another", h.Head.Ref)
	w.want("the end of a cancel item that leaves a request makes another", []any{again.Item.Kind, string(again.Request), again.Head.Cancel},
		[]any{store.CancelItem, "stop, I said", store.CancelRequested})
	again.write(ends(store.Completed), refuses, notes(store.Attempt{Number: again.Attempt, Outcome: "refused"}))
	w.want("each attempt of each cancel item keeps its row", len(w.attempts(h.Head.Ref)), 2)
	w.claimNone("a cancel item that refuses makes no other")
}

func cancelItemOrTakeover(w *world) {
	for range 30 {
		h := w.told()
		h.park()
		var took error
		var claims []*holder
		w.parallel(2, func(i int) {
			if i == 0 {
				_, took = h.try(h.takeEnd)
			} else {
				claims = w.claim(agent, 10)
			}
		})
		head := h.head()
		w.want("the epoch rises once", head.Epoch, h.Head.Epoch+int64(len(claims)))
		if took == nil {
			w.want("a takeover that closes the task takes its cancel item with it", []any{len(claims), head.Closed, head.Cancel}, []any{0, true, store.CancelNone})
			w.claimNone("a closed task has no ready item")
			continue
		}
		w.refused("ErrFenced: a claim came first", took, store.ErrFenced)
		w.want("whoever claims the cancel item holds the task", []any{len(claims), head.Closed, head.Running}, []any{1, false, true})
		claims[0].close()
	}
}
