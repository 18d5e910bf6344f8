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
		select {
		case <-bell:
		case <-poll.C:
		case <-ctx.Done():
			return
		}
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

// reserveWaiting reserves slots for what the bell has counted, or one to look
// with. What is counted during the claim is counted for the next.
func (w *Worker) reserveWaiting(name string) int {
	w.mu.Lock()
	want := max(w.waiting[name], 1)
	w.mu.Unlock()
	n := w.reserve(name, want)
	if n > 0 {
		w.mu.Lock()
		w.waiting[name] = max(w.waiting[name]-n, 0)
		w.mu.Unlock()
	}
	return n
}

// note counts items that may be waiting for a claim.
func (w *Worker) note(name string, items int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[name] = min(w.waiting[name]+items, mostClaims)
}
