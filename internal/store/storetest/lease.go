// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var leaseRules = []rule{
	{"a lease holds until its time is over, not longer", leaseEdge},
	{"each claim has the lease that it asked for", leaseLength},
	{"a rescued item is ready at once, and the loss is counted", leaseRescue},
	{"at most limit items are rescued", leaseRescueLimit},
	{"a heartbeat renews from now on", leaseHeartbeat},
	{"heartbeats are answered in order", leaseBeatsInOrder},
	{"a heartbeat tells of new turns and cancellations", leaseBeatTells},
	{"a heartbeat for an item that does not run is lost", leaseBeatEnded},
	{"an append renews the lease if it says so", leaseExtend},
	{"a lease that ran out holds until it is rescued", leaseLate},
	{"the lease of a cancel item is like any other", leaseCancelItem},
}

// leaseEdge: a lease of ttl taken at t is valid while now is before t+ttl.
func leaseEdge(w *world) {
	h := w.running()
	w.clock.advance(ttl - ms)
	w.want("a lease is not rescued before its time is over", w.rescue(), []string(nil))
	w.want("the holder is the holder", h.beat().Lost, false)
	w.clock.advance(ttl - ms)
	w.want("a lease is not rescued before its time is over", w.rescue(), []string(nil))
	w.clock.advance(ms)
	w.want("a lease is rescued when its time is over", w.rescue(), []string{agent})
}

func leaseLength(w *world) {
	for n := 5; n >= 1; n-- {
		w.queued()
		_, err := w.Claim(w.Context(), store.ClaimRequest{
			Agent: agent, Limit: 1, Taker: store.Taker{Worker: fmt.Sprint(n), TTL: time.Duration(n) * time.Second},
		})
		w.must("Claim", err)
	}
	for n := 1; n <= 5; n++ {
		w.clock.advance(time.Second - ms)
		w.want("a claim gives a lease of its TTL: not yet over", w.rescue(), []string(nil))
		w.clock.advance(ms)
		w.want("a claim gives a lease of its TTL: over", w.rescue(), []string{agent})
	}
}

func leaseRescue(w *world) {
	h := w.running()
	h.write(records(2), w.shows("WORKING"))
	w.submit(w.next(h.head()))
	before := h.head()
	w.clock.advance(ttl)
	w.want("Rescue returns the agents that have more to do", w.rescue(), []string{agent})
	after := h.head()
	before.Epoch++
	before.Running = false
	w.want("a rescue raises the epoch by one and ends the run, and changes nothing else of the head", after, before)
	t := h.turn()
	w.want("a rescue raises the item's losses by one", []any{t.Item, t.Attempt, t.Failures, t.Losses}, []any{store.Pending, 1, 0, 1})
	w.want("what was rescued is not rescued again", w.rescue(), []string(nil))
	again := w.claimOne("a rescued item is ready at once", h.Head.Ref)
	w.want("the claim tells the loss", []int{again.Attempt, again.Failures, again.Losses}, []int{2, 0, 1})
	again.write(records(1))
	w.want("the log goes on where the lost attempt left it", again.head().LastSeq, uint64(3))
}

func leaseRescueLimit(w *world) {
	for _, a := range []string{"a", "b", "c", "d", "e"} {
		w.running(forAgent(a))
	}
	w.clock.advance(ttl)
	w.running(forAgent("alive"))
	got := map[string]int{}
	var counts []int
	for range 4 {
		agents, err := w.Rescue(w.Context(), 2)
		w.must("Rescue", err)
		counts = append(counts, len(agents))
		for _, a := range agents {
			got[a]++
		}
	}
	w.want("Rescue makes at most limit items ready, and none twice", counts, []int{2, 2, 1, 0})
	w.want("Rescue names the agents of what it made ready", got, map[string]int{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1})
	for _, a := range []string{"a", "b", "c", "d", "e"} {
		w.want("what was rescued is ready", len(w.claim(a, 5)), 1)
	}
}

func leaseHeartbeat(w *world) {
	h := w.running()
	for range 5 {
		w.clock.advance(ttl - ms)
		w.want("a heartbeat in time is not lost", h.beat().Lost, false)
		w.want("a heartbeat keeps the lease", w.rescue(), []string(nil))
	}
	_, err := w.Heartbeat(w.Context(), time.Second, []store.Beat{{Ref: h.Head.Ref, Epoch: h.Head.Epoch, Item: h.Item}})
	w.must("Heartbeat", err)
	w.clock.advance(time.Second - ms)
	w.want("a heartbeat renews for the time that it names, from now on", w.rescue(), []string(nil))
	w.clock.advance(ms)
	w.want("a heartbeat renews for the time that it names, from now on", w.rescue(), []string{agent})
	w.want("a heartbeat after the rescue is lost", h.beat().Lost, true)
}

func leaseBeatsInOrder(w *world) {
	var beats []store.Beat
	var want []store.BeatAnswer
	for n := range 40 {
		h := w.running()
		h.write(records(1), w.shows("WORKING"))
		b := store.Beat{Ref: h.Head.Ref, Epoch: h.Head.Epoch, Item: h.Item}
		answer := store.BeatAnswer{LastTurn: 1}
		switch n % 4 {
		case 1:
			w.submit(w.next(h.head()))
			answer.LastTurn = 2
		case 2:
			b.Epoch--
			answer = store.BeatAnswer{Lost: true}
		case 3:
			request := fmt.Sprintf("stop %d", n)
			w.cancel(h.Head.Ref, request)
			answer.Cancel, answer.CancelRequest = store.CancelRequested, []byte(request)
		}
		beats, want = append(beats, b), append(want, answer)
	}
	beats = append(beats, store.Beat{Ref: w.ref(), Epoch: 1, Item: store.ItemRef{Kind: store.Execute, Turn: 1}})
	want = append(want, store.BeatAnswer{Lost: true})
	w.clock.advance(ttl - ms)
	got, err := w.Heartbeat(w.Context(), ttl, beats)
	w.must("Heartbeat", err)
	for n := range got {
		if got[n].Lost { // what else a lost one is told is open
			got[n] = store.BeatAnswer{Lost: true}
		}
	}
	w.want("the answers are in the order of the beats", got, want)
	w.clock.advance(ms)
	w.want("those that were lost, and they alone, were not renewed", len(w.rescue()), 10)
}

func leaseBeatTells(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.want("a heartbeat tells LastTurn", h.beat(), store.BeatAnswer{LastTurn: 1})
	w.submit(w.next(h.head()))
	w.cancel(h.Head.Ref, "stop")
	w.want("a heartbeat tells of a new turn and a cancellation", h.beat(),
		store.BeatAnswer{LastTurn: 2, Cancel: store.CancelRequested, CancelRequest: []byte("stop")})
	w.cancel(h.Head.Ref, "stop, I said")
	w.want("a heartbeat brings the newest request", string(h.beat().CancelRequest), "stop, I said")
	h.write(ends(store.Pending), refuses)
	again := w.claimOne("released", h.Head.Ref)
	w.want("a heartbeat tells that the cancellation was refused", again.beat(), store.BeatAnswer{LastTurn: 2, Cancel: store.CancelRefused})
}

// Reading: the port says Lost for an epoch that is not the task's; an item that
// does not run has no lease, so that answering anything else would let its
// holder go on.
func leaseBeatEnded(w *world) {
	for _, state := range []store.ItemState{store.Pending, store.Completed, store.Dead} {
		h := w.running()
		h.write(records(1), w.shows("WORKING"), ends(state))
		w.want("a heartbeat for an attempt that has ended is lost", h.beat().Lost, true)
		w.claim(agent, 10)
	}
	h := w.running()
	h.close()
	w.want("a heartbeat for a task that has ended is lost", h.beat().Lost, true)
	other := w.running()
	other.Head.Ref.Scope = task.Scope{Tenant: "another"}
	w.want("a heartbeat under another scope is lost", other.beat().Lost, true)
}

func leaseExtend(w *world) {
	h := w.running()
	w.clock.advance(ttl / 2)
	h.write(records(1), w.shows("WORKING"))
	w.clock.advance(ttl/2 - ms)
	w.want("the lease holds", w.rescue(), []string(nil))
	h.write(extends(4 * time.Second))
	w.clock.advance(4*time.Second - ms)
	w.want("Extend renews the lease for that long from now", w.rescue(), []string(nil))
	h.write(records(1), extends(3*time.Second))
	w.clock.advance(2 * time.Second)
	h.write(records(1)) // Extend 0 leaves it
	w.clock.advance(time.Second - ms)
	w.want("Extend renews the lease for that long from now", w.rescue(), []string(nil))
	w.clock.advance(ms)
	w.want("Extend 0 leaves the lease as it is", w.rescue(), []string{agent})
}

// leaseLate: the fence is the epoch, not the time. Until somebody takes the
// task away, its holder is the only one who can write.
func leaseLate(w *world) {
	h := w.running()
	w.clock.advance(10 * ttl)
	w.claimNone("an item whose lease ran out is not ready before it is rescued")
	h.write(records(1), w.shows("WORKING"))
	w.want("Lost says that the epoch is not the task's any more; it still is", h.beat().Lost, false)
	w.want("a heartbeat renews the lease also when it is late", w.rescue(), []string(nil))
	w.clock.advance(ttl)
	h.write(extends(ttl))
	w.want("Extend renews the lease also when it is late", w.rescue(), []string(nil))
	w.clock.advance(ttl)
	h.park()
	w.want("an attempt may end after its lease ran out, and there is nothing to rescue", w.rescue(), []string(nil))
}

func leaseCancelItem(w *world) {
	h := w.running()
	h.park()
	w.cancel(h.Head.Ref, "stop")
	c := w.claimOne("a cancel item of a parked task is ready", h.Head.Ref)
	w.clock.advance(ttl - ms)
	w.want("the lease of a cancel item holds", w.rescue(), []string(nil))
	w.want("a cancel item is kept by heartbeats", c.beat(), store.BeatAnswer{LastTurn: 1, Cancel: store.CancelRequested, CancelRequest: []byte("stop")})
	w.clock.advance(ttl)
	w.want("the lease of a cancel item runs out", w.rescue(), []string{agent})
	w.want("a rescue raises the epoch by one", c.head().Epoch, c.Head.Epoch+1)
	again := w.claimOne("a rescued cancel item is ready at once", h.Head.Ref)
	w.want("the loss of a cancel item is counted", []any{again.Item, again.Attempt, again.Losses}, []any{c.Item, 2, 1})
	again.write(extends(time.Minute))
	w.clock.advance(time.Minute - ms)
	w.want("the lease of a cancel item is kept by appends", w.rescue(), []string(nil))
}
