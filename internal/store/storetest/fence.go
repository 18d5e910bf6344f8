// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

var fenceRules = []rule{
	{"a lost holder writes nothing, before and after the next claim", fenceRescued},
	{"a holder from whom the task was taken over writes nothing", fenceTakenOver},
	{"the holder of an earlier turn writes nothing", fenceEarlierTurn},
	{"the holder before a cancel item writes nothing", fenceCancelItem},
	{"a holder whose attempt has ended writes nothing", fenceEnded},
	{"a write for an item that does not run is refused", fenceOtherItem},
	{"an epoch that was never given is refused", fenceFuture},
	{"another last sequence is refused", fenceSequence},
	{"a lost holder does not keep the lease of the next one", fenceLease},
}

// everyWrite is each thing that an append can do, alone and together.
func (h *holder) everyWrite() map[string]part {
	attempt := store.Attempt{Number: h.Attempt, Worker: "ghost", Outcome: "ghost", Error: "ghost", StartedAt: h.w.clock.Now()}
	all := map[string]part{
		"nothing":               func(*store.Append) {},
		"records":               records(2),
		"a view":                h.w.shows("GHOST"),
		"a snapshot":            folds,
		"a lease":               extends(time.Hour),
		"an attempt":            notes(attempt),
		"a retry":               retries(time.Second),
		"the end":               h.closing,
		"a takeover":            takesOver,
		"a refusal":             refuses,
		"a takeover to the end": func(a *store.Append) { h.closing(a); takesOver(a) },
		"all at once": func(a *store.Append) {
			h.closing(a)
			notes(attempt)(a)
			extends(time.Hour)(a)
		},
	}
	for _, s := range []store.ItemState{store.Pending, store.Completed, store.Canceled, store.Dead} {
		all["an item "+string(s)] = ends(s)
	}
	return all
}

// fenced tries everything that a holder can do and finds that none of it has an effect.
func (h *holder) fenced(why string, but ...string) {
	h.w.Helper()
	writes := h.everyWrite()
	for _, name := range but {
		delete(writes, name)
	}
	h.w.unchanged("a holder of an old epoch changes nothing: "+why, h.Head.Ref, func() {
		for name, p := range writes {
			_, err := h.try(p)
			h.w.refused("ErrFenced: "+why+", writing "+name, err, store.ErrFenced)
		}
		h.w.want("a heartbeat tells that the lease is lost: "+why, h.beat().Lost, true)
	})
}

func fenceRescued(w *world) {
	h := w.running()
	h.write(records(2), w.shows("WORKING"))
	w.clock.advance(ttl)
	w.rescue()
	h.fenced("the item was rescued")
	next := w.claimOne("a rescued item is ready at once, whatever the old holder tried", h.Head.Ref)
	h.fenced("the item was claimed by another")
	next.write(records(1))
	h.seq = next.seq // even with the right sequence
	h.fenced("the item was claimed by another, who has written")
	next.park()
	h.seq = next.seq
	h.fenced("the item has ended under another")
}

func fenceTakenOver(w *world) {
	h := w.running()
	h.write(records(2), w.shows("WORKING"))
	taker := w.hold(h.Claim)
	taker.seq = h.seq
	taker.write(takesOver)
	h.fenced("the task was taken over")
	taker.write(takesOver, records(1))
	h.seq = taker.seq
	h.fenced("the task was taken over and written to")
}

func fenceEarlierTurn(w *world) {
	first := w.running()
	first.write(records(1), w.shows("WORKING"))
	w.submit(w.next(first.head()))
	first.park()
	second := w.claimOne("the next turn is ready", first.Head.Ref)
	first.fenced("the next turn was claimed")
	second.write(records(3))
	first.seq = second.seq
	first.fenced("the next turn was claimed and has written")
	first.Item = second.Item
	first.fenced("the next turn was claimed, and the item named is the running one")
}

func fenceCancelItem(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"), retries(0))
	w.cancel(h.Head.Ref, "stop")
	c := w.claimOne("a cancel item is ready", h.Head.Ref)
	h.fenced("a cancel item was claimed")
	h.Item = c.Item
	h.fenced("a cancel item was claimed, and is the item named")
	w.clock.advance(ttl)
	w.rescue()
	c.fenced("the cancel item was rescued")
}

// Reading: the epoch stays when an attempt ends, so the epoch alone does not
// tell that its holder is gone. "Item is the running item this write belongs
// to": a write for an item that does not run is ErrFenced, else a repeated
// finish would count twice and an ended attempt would write into the next one.
func fenceEnded(w *world) {
	endings := map[string]part{
		"released": ends(store.Pending), "parked": ends(store.Completed), "dead": ends(store.Dead), "failed": retries(time.Hour),
	}
	for name, end := range endings {
		h := w.running()
		h.write(records(1), w.shows("WORKING"))
		w.submit(w.next(h.head()))
		h.write(end)
		h.fenced("its attempt has ended: "+name, "a takeover", "a takeover to the end")
		w.claim(agent, 10)
	}
}

func fenceOtherItem(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.submit(w.next(h.head()))
	h.lastTurn = 2
	mine := h.Item
	for _, i := range []store.ItemRef{{Kind: store.Execute, Turn: 2}, {Kind: store.Execute, Turn: 7}, {Kind: store.CancelItem, Turn: 1}, {}} {
		h.Item = i
		h.fenced("the item named does not run", "a takeover", "a takeover to the end")
	}
	h.Item = mine
	h.write(records(1))
}

func fenceFuture(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	epoch := h.Head.Epoch
	for _, e := range []int64{epoch + 1, epoch - 1, 0, -1, 1 << 40} {
		h.Head.Epoch = e
		h.fenced("the epoch is not the task's")
	}
	h.Head.Epoch = epoch
	h.write(records(1))
}

func fenceSequence(w *world) {
	h := w.running()
	h.write(records(5), w.shows("WORKING"))
	for _, seq := range []uint64{4, 6, 0, 1 << 40} {
		w.unchanged("ErrFenced: LastSeq is not the task's last sequence", h.Head.Ref, func() {
			for name, p := range h.everyWrite() {
				h.seq = seq
				_, err := h.try(p)
				w.refused("ErrFenced: LastSeq is not the task's last sequence, writing "+name, err, store.ErrFenced)
			}
		})
	}
	h.seq = 5
	h.write(records(1))
}

func fenceLease(w *world) {
	old := w.running()
	w.clock.advance(ttl)
	w.rescue()
	next := w.claimOne("a rescued item is ready at once", old.Head.Ref)
	w.clock.advance(ttl / 2)
	_, _ = old.try(extends(time.Hour))
	w.want("Lost: nothing was renewed", old.beat().Lost, true)
	w.clock.advance(ttl/2 - ms)
	w.want("the lease of the next holder is its own", w.rescue(), []string(nil))
	w.clock.advance(ms)
	w.want("a lost holder renews nothing", w.rescue(), []string{agent})
	w.want("a rescue costs the holder the lease", next.beat().Lost, true)
}
