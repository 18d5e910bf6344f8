// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// claimLoop fills the free slots of one agent whenever its bell rings, and
// looks by itself once a poll interval because a ring may be lost.
func (w *Worker) claimLoop(ctx context.Context, name string) {
	bell := w.bells[name]
	poll := time.NewTicker(w.o.Poll)
	defer poll.Stop()
	for {
		for w.claim(ctx, name) && ctx.Err() == nil {
		}
		if !awake(ctx, bell, poll.C) {
			return
		}
	}
}

// awake waits for a bell or the next look without one; false: it is over. A ring
// goes before a look, so that nothing that a worker does hangs on chance.
func awake(ctx context.Context, bell <-chan struct{}, poll <-chan time.Time) bool {
	select {
	case <-bell:
		return true
	default:
	}
	select {
	case <-bell:
	case <-poll:
	case <-ctx.Done():
		return false
	}
	return true
}

// censusPage bounds the names that are asked for at once.
const censusPage = 256

// claimOthersLoop does the same for the agents beyond the fixed set, whose
// names only the store knows: a name that was never used here may have work
// that another process has accepted.
func (w *Worker) claimOthersLoop(ctx context.Context) {
	poll := time.NewTicker(w.o.Poll)
	defer poll.Stop()
	for {
		w.claimOthers(ctx)
		if !awake(ctx, w.others, poll.C) {
			return
		}
	}
}

func (w *Worker) claimOthers(ctx context.Context) {
	for after := ""; ctx.Err() == nil; {
		names, err := w.o.Census.Waiting(ctx, after, censusPage)
		if err != nil {
			if ctx.Err() == nil {
				w.o.Logger.Warn("cannot ask which agents have work; trying again", "error", err)
			}
			return
		}
		for _, name := range names {
			if _, fixed := w.bells[name]; fixed {
				continue
			}
			for w.claim(ctx, name) && ctx.Err() == nil {
			}
		}
		if len(names) < censusPage {
			return
		}
		after = names[len(names)-1]
	}
}

// mostClaims bounds one claim, and what the bell counts as waiting.
const mostClaims = 64

// claim takes what may be waiting, as far as there are slots, and reports
// whether to go on at once. It reserves no more than that: a slot that is
// reserved here for nothing sends a new message into the queue that could
// have been run in the commit that accepts it.
func (w *Worker) claim(ctx context.Context, name string) bool {
	n := w.reserveWaiting(name)
	if n == 0 {
		return false
	}
	claims, err := w.o.Queue.Claim(ctx, store.ClaimRequest{Agent: name, Limit: n, Taker: w.taker()})
	for range n - len(claims) {
		w.Release(name)
	}
	if err != nil {
		if ctx.Err() == nil {
			w.o.Logger.Warn("claim failed; trying again", "agent", name, "error", err)
		}
		w.note(name, n)
		w.hush(name)
		return false
	}
	for i := range claims {
		w.Start(&claims[i], nil)
	}
	if len(claims) < n {
		return false
	}
	w.note(name, mostClaims) // there may be any number more
	return true
}

// hush takes back the ring of slots that were given back because the store has
// refused a claim: who is waiting is waiting still, and to ask again at once
// would be to do nothing else until the store is there. The poll asks again.
func (w *Worker) hush(name string) {
	bell, fixed := w.bells[name]
	if !fixed {
		bell = w.others
	}
	select {
	case <-bell:
	default:
	}
}

// reserveWaiting reserves slots for what the bell has counted, or one to look
// with. What is counted during the claim is counted for the next.
func (w *Worker) reserveWaiting(name string) int {
	w.mu.Lock()
	want := max(w.waiting[name], 1)
	_, fixed := w.bells[name]
	w.mu.Unlock()
	if !fixed {
		want = claimOthersAtOnce
	}
	n := w.reserve(name, want)
	if n > 0 && fixed {
		w.mu.Lock()
		w.waiting[name] = max(w.waiting[name]-n, 0)
		w.mu.Unlock()
	}
	return n
}

// claimOthersAtOnce is how many items of an agent beyond the fixed set are
// claimed at once. The store says that it has some, and not how many.
const claimOthersAtOnce = 8

// note counts items that may be waiting for a claim. Those of agents beyond the
// fixed set are not counted: their names are without a bound.
func (w *Worker) note(name string, items int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, fixed := w.bells[name]; !fixed {
		return
	}
	w.waiting[name] = min(w.waiting[name]+items, mostClaims)
}
