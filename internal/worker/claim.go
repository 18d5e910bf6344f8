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

// claim takes as much as there are slots and reports whether to go on at once.
func (w *Worker) claim(ctx context.Context, name string) bool {
	const most = 64
	n := w.reserve(name, most)
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
		return false
	}
	for i := range claims {
		w.Start(&claims[i], nil)
	}
	return len(claims) == n
}
