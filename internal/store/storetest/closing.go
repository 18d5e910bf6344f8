// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

var closingRules = []rule{
	{"closing ends every turn", closingEnds},
	{"closing names the last turn, and a newer one refuses it", closingNewerTurn},
	{"only a closing append must name the last turn", closingOnly},
	{"after the end nothing is written", closingFinal},
	{"the item in Finish gets its state, the others are canceled", closingStates},
	{"closing clears a requested cancellation", closingClearsCancel},
	{"closing against a new turn has one winner", closingAgainstSubmit},
}

func closingEnds(w *world) {
	h := w.running()
	h.write(records(2), w.shows("WORKING"))
	w.submit(w.next(h.head()))
	w.submit(w.next(h.head()))
	h.lastTurn = 3
	before := h.head()
	out := h.close()
	before.State, before.Closed, before.LastSeq, before.DoneTurn, before.Running = "COMPLETED", true, 3, 3, false
	w.want("closing sets DoneTurn to LastTurn and ends the run; the epoch stays", h.head(), before)
	w.want("nothing is due after the end", out, store.Appended{Epoch: h.Head.Epoch, LastTurn: 3})
	w.want("closing cancels every unfinished item except the one in Finish", itemStates(w.turns(h.Head.Ref)),
		[]store.ItemState{store.Completed, store.Canceled, store.Canceled})
	w.claimNone("a closed task has no ready item")
	w.clock.advance(24 * time.Hour)
	w.want("a closed task has no lease", w.rescue(), []string(nil))
	_, next := w.promote()
	w.want("a closed task waits for nothing", next, time.Duration(0))
}

func itemStates(turns []store.Turn) (out []store.ItemState) {
	for _, t := range turns {
		out = append(out, t.Item)
	}
	return out
}

func closingNewerTurn(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.submit(w.next(h.head()))
	w.unchanged("ErrNewerTurn changes nothing", h.Head.Ref, func() {
		for _, last := range []int{1, 0, 3} {
			h.lastTurn = last
			_, err := h.try(h.closing)
			w.refused("ErrNewerTurn: a terminal append named a last turn that is not the last", err, store.ErrNewerTurn)
		}
		taker := w.taker(h.Head.Ref)
		taker.lastTurn = 1
		_, err := taker.try(taker.takeEnd)
		w.refused("ErrNewerTurn also for a takeover", err, store.ErrNewerTurn)
	})
	w.want("the holder goes on", h.beat().Lost, false)
	h.lastTurn = 2
	h.close()
}

func closingOnly(w *world) {
	h := w.running()
	w.submit(w.next(h.head()))
	for _, last := range []int{0, 1, 7} {
		h.lastTurn = last
		h.write(records(1), w.shows("WORKING"))
	}
	h.lastTurn = 1
	h.park()
	w.claimOne("the next turn is ready", h.Head.Ref)
}

func closingFinal(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	h.close()
	w.unchanged("after the end nothing is written", h.Head.Ref, func() {
		for name, p := range h.everyWrite() {
			_, err := h.try(p)
			w.refused("ErrClosed: the task's log has ended, writing "+name, err, store.ErrClosed)
		}
		taker := w.taker(h.Head.Ref)
		_, err := taker.try(taker.takeEnd)
		w.refused("ErrClosed: a takeover of a closed task", err, store.ErrClosed)
		w.clock.advance(10 * ttl)
		w.rescue()
		w.promote()
		w.want("a heartbeat of a closed task is lost", h.beat().Lost, true)
		w.claimNone("a closed task has no ready item")
	})
}

func closingStates(w *world) {
	for _, state := range []store.ItemState{store.Completed, store.Canceled, store.Dead} {
		for _, endTurn := range []bool{true, false} {
			h := w.running()
			h.write(records(1), w.shows("WORKING"))
			w.submit(w.next(h.head()))
			h.lastTurn = 2
			h.write(h.closing, ends(state), func(a *store.Append) { a.Finish.EndTurn = endTurn })
			w.want("the item in Finish gets the state given there, the others are canceled", itemStates(w.turns(h.Head.Ref)),
				[]store.ItemState{state, store.Canceled})
			w.want("closing sets DoneTurn to LastTurn", h.head().DoneTurn, 2)
		}
	}
	h := w.running()
	h.write(h.closing, func(a *store.Append) { a.Finish = nil })
	w.want("without Finish the running item is canceled with the rest", []any{h.turn().Item, h.head().Running}, []any{store.Canceled, false})
	w.want("without Finish the lease is gone all the same", h.beat().Lost, true)
}

func closingClearsCancel(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.cancel(h.Head.Ref, "stop")
	out := h.close()
	w.want("closing clears a requested cancellation", []any{out.Cancel, len(out.CancelRequest), h.head().Cancel}, []any{store.CancelNone, 0, store.CancelNone})
}

// closingAgainstSubmit: a message is accepted before the end, and the closing
// append is made again, or it is refused; it is never swallowed.
func closingAgainstSubmit(w *world) {
	for range 40 {
		h := w.running()
		h.write(records(1), w.shows("WORKING"))
		s := w.next(h.head())
		var errs [2]error
		w.parallel(2, func(i int) {
			if i == 0 {
				_, errs[0] = h.try(h.closing)
			} else {
				_, errs[1] = w.Submit(w.Context(), s)
			}
		})
		switch head := h.head(); {
		case errs[0] == nil:
			w.refused("a message to a task that ended is refused", errs[1], store.ErrClosed, store.ErrStale)
			w.want("a refused message is no turn", head.LastTurn, 1)
		case errs[1] == nil:
			w.refused("the end is refused if a message came before it", errs[0], store.ErrNewerTurn)
			w.want("an accepted message is a turn of an open task", []any{head.LastTurn, head.Closed}, []any{2, false})
		default:
			w.Errorf("broken rule: closing against a new turn has one winner\ngot %v", errors.Join(errs[:]...))
		}
	}
}
