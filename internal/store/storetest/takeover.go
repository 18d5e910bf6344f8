// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var takeoverRules = []rule{
	{"a takeover ends a task that never ran", takeoverQueued},
	{"a takeover ends a task that runs", takeoverRunning},
	{"a takeover ends a task that waits", takeoverWaiting},
	{"a takeover that does not close leaves the item pending and not ready", takeoverOpen},
	{"a takeover from another epoch or sequence is refused", takeoverFenced},
	{"of concurrent takeovers one succeeds", takeoverRace},
	{"cancel against complete has one winner", takeoverAgainstFinish},
}

// taker writes to a task that it read and does not hold.
func (w *world) taker(ref task.Ref) *holder {
	w.Helper()
	return w.hold(store.Claim{Head: w.head(ref)})
}

func (h *holder) takeEnd(a *store.Append) {
	h.closing(a)
	takesOver(a)
	a.Finish = nil
	a.View.State = "CANCELED"
}

// ended checks a task that was closed by a takeover.
func (w *world) ended(how string, before store.Head, out store.Appended) {
	w.Helper()
	want := before
	want.Epoch++
	want.LastSeq++
	want.State, want.StatusAt, want.Listed, want.Closed = "CANCELED", w.clock.Now(), true, true
	want.DoneTurn, want.Running, want.Cancel = want.LastTurn, false, store.CancelNone
	w.want("a takeover raises the epoch by one and closes the task: "+how, w.head(before.Ref), want)
	w.want("Appended after a takeover: "+how, out, store.Appended{Epoch: want.Epoch, LastTurn: want.LastTurn})
	w.clock.advance(24 * time.Hour)
	w.want("a task that was taken over has no lease: "+how, w.rescue(), []string(nil))
	agents, next := w.promote()
	w.want("a task that was taken over has no retry: "+how, []any{len(agents), next}, []any{0, time.Duration(0)})
	w.claimNone("a task that was taken over and closed has no ready item: " + how)
}

func takeoverQueued(w *world) {
	s := w.first(w.opened)
	w.submit(s)
	w.cancel(s.Ref, "stop")
	before := w.head(s.Ref)
	taker := w.taker(s.Ref)
	w.ended("never ran", before, taker.write(taker.takeEnd))
	w.want("closing cancels every unfinished item", w.turns(s.Ref)[0].Item, store.Canceled)
	w.want("a takeover is no run", []any{w.turns(s.Ref)[0].Attempt, w.head(s.Ref).Started}, []any{0, false})
}

func takeoverRunning(w *world) {
	h := w.running()
	h.write(records(2), w.shows("WORKING"))
	w.submit(w.next(h.head()))
	w.cancel(h.Head.Ref, "stop")
	before := h.head()
	taker := w.taker(h.Head.Ref)
	w.ended("running", before, taker.write(taker.takeEnd))
	for _, t := range w.turns(h.Head.Ref) {
		w.want("closing cancels every unfinished item; a takeover is neither failure nor loss",
			[]any{t.Item, t.Failures, t.Losses}, []any{store.Canceled, 0, 0})
	}
	w.unchanged("the holder from whom a task was taken changes nothing", h.Head.Ref, func() {
		for name, p := range h.everyWrite() {
			_, err := h.try(p)
			w.refused("a lost holder of a closed task is refused, writing "+name, err, store.ErrFenced, store.ErrClosed)
		}
		w.want("its lease is lost", h.beat().Lost, true)
	})
}

func takeoverWaiting(w *world) {
	parked := w.running()
	parked.park()
	before := parked.head()
	taker := w.taker(before.Ref)
	w.ended("parked", before, taker.write(taker.takeEnd))

	failed := w.running()
	failed.write(records(1), w.shows("WORKING"), retries(time.Minute))
	before = failed.head()
	taker = w.taker(before.Ref)
	w.ended("retryable", before, taker.write(taker.takeEnd))

	for _, claimed := range []bool{false, true} {
		h := w.cancelParked()
		if claimed {
			w.claimOne("a cancel item is ready", h.Head.Ref)
		}
		before = h.head()
		taker = w.taker(before.Ref)
		w.ended("with a cancel item", before, taker.write(taker.takeEnd))
	}
}

func takeoverOpen(w *world) {
	h := w.running()
	h.write(records(2), w.shows("WORKING"))
	before := h.head()
	taker := w.taker(h.Head.Ref)
	out := taker.write(takesOver, records(1))
	want := before
	want.Epoch++
	want.LastSeq++
	want.Running = false
	w.want("a takeover raises the epoch and ends the run", h.head(), want)
	w.want("Appended.Epoch is the one after the commit", out.Epoch, want.Epoch)
	t := h.turn()
	w.want("a running item becomes pending; that is neither failure nor loss", []any{t.Item, t.Attempt, t.Failures, t.Losses}, []any{store.Pending, 1, 0, 0})
	w.claimNone("an item from which its task was taken is not ready")
	w.clock.advance(10 * ttl)
	w.want("it has no lease that could run out", w.rescue(), []string(nil))
	w.claimNone("an item from which its task was taken is not ready")
	h.fenced("the task was taken over")
	before = h.head()
	w.ended("taken over twice", before, taker.write(taker.takeEnd))
}

func takeoverFenced(w *world) {
	h := w.running()
	h.write(records(3), w.shows("WORKING"))
	for name, spoil := range map[string]part{
		"an older epoch":    func(a *store.Append) { a.Epoch-- },
		"a newer epoch":     func(a *store.Append) { a.Epoch++ },
		"an older sequence": func(a *store.Append) { a.LastSeq--; a.Batch.First--; a.Batch.Last-- },
		"a newer sequence":  func(a *store.Append) { a.LastSeq++; a.Batch.First++; a.Batch.Last++ },
	} {
		w.unchanged("a takeover is fenced like any write: "+name, h.Head.Ref, func() {
			taker := w.taker(h.Head.Ref)
			_, err := taker.try(taker.takeEnd, spoil)
			w.refused("ErrFenced: the caller takes over from whoever held (Epoch, LastSeq): "+name, err, store.ErrFenced)
		})
	}
	w.want("a takeover that was refused takes nothing", h.beat().Lost, false)
	h.write(records(1))
}

func takeoverRace(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	const n = 16
	var won [n]bool
	draft := w.taker(h.Head.Ref).draft(takesOver, records(1))
	w.parallel(n, func(i int) {
		a := *draft
		_, err := w.Append(w.Context(), &a)
		won[i] = err == nil
		if err != nil && !errors.Is(err, store.ErrFenced) {
			w.Errorf("broken rule: a takeover from an old epoch is ErrFenced\ngot %v", err)
		}
	})
	wins := 0
	for _, ok := range won {
		if ok {
			wins++
		}
	}
	w.want("of concurrent takeovers from one head one succeeds", wins, 1)
	w.want("one takeover is one epoch and one record", []any{h.head().Epoch, h.head().LastSeq}, []any{h.Head.Epoch + 1, uint64(2)})
}

func takeoverAgainstFinish(w *world) {
	for range 40 {
		h := w.running()
		h.write(records(1), w.shows("WORKING"))
		taker := w.taker(h.Head.Ref)
		var errs [2]error
		w.parallel(2, func(i int) {
			if i == 0 {
				_, errs[0] = h.try(h.closing)
			} else {
				_, errs[1] = taker.try(taker.takeEnd)
			}
		})
		w.want("cancel against complete has one winner", (errs[0] == nil) != (errs[1] == nil), true)
		want, loser := "COMPLETED", errs[1]
		if errs[0] != nil {
			want, loser = "CANCELED", errs[0]
		}
		w.refused("the loser is told", loser, store.ErrFenced, store.ErrClosed)
		log := w.log(h.Head.Ref)
		w.want("there is one terminal record, and it is the last", []any{h.head().State, h.head().LastSeq, log[len(log)-1].Last, len(log)},
			[]any{want, uint64(2), uint64(2), 2})
	}
}
