// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

var appendRules = []rule{
	{"records follow each other without gap", appendRecords},
	{"a batch that leaves a gap or repeats a sequence is refused", appendGap},
	{"an append without a batch records nothing", appendNoBatch},
	{"a view replaces the one before, and nil leaves it", appendView},
	{"a snapshot replaces the one before, and nil leaves it", appendSnapshot},
	{"a snapshot of an earlier sequence leaves the tail after it", appendEarlierSnapshot},
	{"all parts of an append are one commit", appendWhole},
	{"an append answers where the task stands", appendAnswers},
	{"an append to an unknown task is ErrNotFound", appendUnknown},
	{"of concurrent appends from one place one is written", appendRace},
}

func appendRecords(w *world) {
	h := w.running(w.opened)
	var want []store.Batch
	want = append(want, w.log(h.Head.Ref)...)
	for _, n := range []int{1, 3, 1, 10, 2} {
		a := h.draft(records(n), w.shows("WORKING"))
		h.write(records(n), w.shows("WORKING"))
		want = append(want, *a.Batch)
		w.want("LastSeq is the sequence of the last record", h.head().LastSeq, a.Batch.Last)
	}
	w.want("Read: the batches as they were written, in order", w.log(h.Head.Ref), want)
	w.want("Load: without a snapshot the tail is the whole log", w.load(h.Head.Ref).Tail, want)
}

func appendGap(w *world) {
	h := w.running()
	h.write(records(3), w.shows("WORKING"))
	for _, b := range []store.Batch{{First: 5, Last: 6}, {First: 3, Last: 3}, {First: 3, Last: 4}, {First: 1, Last: 4}, {First: 0, Last: 4}, {First: 4, Last: 3}, {First: 4, Last: 0}} {
		w.unchanged("Batch.First is LastSeq+1 and Last not less: sequences have no gap and no repeat", h.Head.Ref, func() {
			// Reading: the port names no refusal for a caller's mistake; any error will do.
			if _, err := h.try(func(a *store.Append) { b.Body = []byte("wrong"); a.Batch = &b }, w.shows("WRONG"), folds); err == nil {
				w.Errorf("broken rule: Batch.First is LastSeq+1 and Last not less\nafter sequence 3 a batch %d to %d was accepted", b.First, b.Last)
			}
		})
	}
	h.seq = 3
	h.write(records(1))
}

func appendNoBatch(w *world) {
	h := w.running()
	h.write(records(2), w.shows("WORKING"))
	log := w.log(h.Head.Ref)
	h.write()
	h.write(w.shows("PAUSED"))
	h.write(folds)
	h.write(extends(ttl))
	h.write(notes(store.Attempt{Number: 1, Outcome: "noted"}))
	w.want("Batch nil writes no record", w.log(h.Head.Ref), log)
	w.want("Batch nil leaves LastSeq", h.head().LastSeq, uint64(2))
	h.write(records(1))
	w.want("records follow each other without gap", h.head().LastSeq, uint64(3))
}

func appendView(w *world) {
	h := w.running()
	view := func(listed bool, state string) store.View {
		return store.View{State: state, StatusAt: w.clock.Now(), Listed: listed}
	}
	put := func(v store.View) part { return func(a *store.Append) { a.View = &v } }
	var last store.View
	for _, v := range []store.View{view(false, "SUBMITTED"), view(true, "WORKING"), view(true, "a word nobody knows ✓")} {
		w.clock.advance(3 * ms)
		v.StatusAt = w.clock.Now()
		h.write(records(1), put(v))
		last = v
		w.clock.advance(3 * ms)
		h.write(records(1))
		got := h.head()
		w.want("View is what an append changes of the head; View nil leaves it",
			store.View{State: got.State, StatusAt: got.StatusAt, Listed: got.Listed, Closed: got.Closed}, last)
	}
}

func appendSnapshot(w *world) {
	h := w.running()
	h.write(records(2), w.shows("WORKING"))
	w.want("Snapshot nil: none yet", w.load(h.Head.Ref).Snapshot, (*store.Snapshot)(nil))
	for range 3 {
		folded := h.draft(records(2), folds).Snapshot
		h.write(records(2), folds)
		got := w.load(h.Head.Ref)
		w.want("Snapshot replaces the stored one", got.Snapshot, folded)
		w.want("Tail is the log after the snapshot: nothing", len(got.Tail), 0)
		tail := []store.Batch{*h.draft(records(3)).Batch}
		h.write(records(3))
		got = w.load(h.Head.Ref)
		w.want("Snapshot nil leaves the stored one", got.Snapshot, folded)
		w.want("Tail is the log after the snapshot", got.Tail, tail)
	}
	w.want("a snapshot takes nothing from the log", w.log(h.Head.Ref)[0].First, uint64(1))
	w.want("a snapshot takes nothing from the log", len(w.log(h.Head.Ref)), 7)
}

func appendEarlierSnapshot(w *world) {
	h := w.running()
	for range 4 {
		h.write(records(2), w.shows("WORKING"))
	}
	h.write(records(2), func(a *store.Append) {
		a.Snapshot = &store.Snapshot{Seq: 4, Body: []byte("folded at 4")}
	})
	got := w.load(h.Head.Ref)
	w.want("a snapshot is the folded task at its sequence", got.Snapshot, &store.Snapshot{Seq: 4, Body: []byte("folded at 4")})
	w.want("Tail is the log after the snapshot", got.Tail, w.log(h.Head.Ref)[2:])
	tail := 0
	for _, b := range got.Tail {
		tail += len(b.Body)
	}
	h.write(ends(store.Pending))
	again := w.claimOne("a released item is ready again at once", h.Head.Ref)
	w.want("TailBytes is the size of the log after the snapshot", again.TailBytes, int64(tail))
}

func appendWhole(w *world) {
	h := w.running()
	at := store.Attempt{
		Item: h.Item, Number: 1, Worker: "worker", Epoch: h.Head.Epoch, Outcome: "failed",
		Error: "an error", StartedAt: w.clock.Now(), Duration: time.Second,
	}
	parts := []part{records(3), w.shows("WORKING"), folds, notes(at), extends(time.Hour), retries(time.Minute)}
	draft := h.draft(parts...)
	h.write(parts...)
	got := w.dump(h.Head.Ref)
	w.want("records, snapshot and attempt are written in one commit", []any{got.Log, got.Stored.Snapshot, got.Attempts},
		[]any{[]store.Batch{*draft.Batch}, draft.Snapshot, []store.Attempt{at}})
	w.want("view and finish are written in the same commit", []any{got.Stored.Head.State, got.Turns[0].Item, got.Stored.Head.Running},
		[]any{"WORKING", store.Retryable, false})
}

func appendAnswers(w *world) {
	h := w.running()
	out := h.write(records(1), w.shows("WORKING"))
	w.want("Appended: epoch, last turn, no cancellation, nothing due", out, store.Appended{Epoch: h.Head.Epoch, LastTurn: 1})
	w.submit(w.next(h.head()))
	w.cancel(h.Head.Ref, "please stop")
	want := store.Appended{Epoch: h.Head.Epoch, LastTurn: 2, Cancel: store.CancelRequested, CancelRequest: []byte("please stop")}
	for name, p := range map[string]part{"records": records(1), "nothing": extends(0), "a lease": extends(ttl), "a snapshot": folds} {
		w.want("an append tells LastTurn and the cancellation, and what it brought: writing "+name, h.write(p), want)
	}
}

func appendUnknown(w *world) {
	ghost := w.hold(store.Claim{Head: store.Head{Ref: w.ref(), Epoch: 1, LastTurn: 1}, Item: store.ItemRef{Kind: store.Execute, Turn: 1}})
	for _, p := range []part{records(1), takesOver, ghost.closing} {
		_, err := ghost.try(p)
		w.refused("ErrNotFound: no such task", err, store.ErrNotFound)
	}
	_, err := w.Load(w.Context(), ghost.Head.Ref)
	w.refused("a refusal makes no task", err, store.ErrNotFound)
}

func appendRace(w *world) {
	h := w.running()
	const rounds, n = 20, 8
	for range rounds {
		var won [n]bool
		draft := h.draft(records(2), w.shows("WORKING"))
		w.parallel(n, func(i int) {
			a := *draft
			_, err := w.Append(w.Context(), &a)
			won[i] = err == nil
			if err != nil && !errors.Is(err, store.ErrFenced) {
				w.Errorf("broken rule: another last sequence is ErrFenced\ngot %v", err)
			}
		})
		wins := 0
		for _, ok := range won {
			if ok {
				wins++
			}
		}
		w.want("of appends that name the same last sequence one is written", wins, 1)
		h.seq = draft.Batch.Last
	}
	next := uint64(1)
	for _, b := range w.log(h.Head.Ref) {
		w.want("records follow each other without gap", b.First, next)
		next = b.Last + 1
	}
	w.want("what was acknowledged is there, once", next, uint64(2*rounds+1))
}
