// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"time"
)

// sweepLimit bounds the items of one sweep, so that a sweep stalls nobody.
const sweepLimit = 256

// maintainLoop brings back items whose lease ran out and items whose backoff
// is over.
func (w *Worker) maintainLoop(ctx context.Context) {
	sweep := time.NewTicker(w.o.Sweep)
	defer sweep.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-sweep.C:
			w.rescue(ctx)
			w.warm.sweep()
		case <-due.C:
			due.Reset(w.promote(ctx))
		case d := <-w.sooner:
			// An attempt of this replica has ended with a backoff: the timer may
			// have been set before that, for later.
			due.Reset(min(d, w.promote(ctx)))
		case <-ctx.Done():
			return
		}
	}
}

func (w *Worker) rescue(ctx context.Context) {
	agents, err := w.o.Queue.Rescue(ctx, sweepLimit)
	if err != nil {
		if ctx.Err() == nil {
			w.o.Logger.Warn("rescue failed; trying again", "error", err)
		}
		return
	}
	if len(agents) > 0 {
		w.o.Logger.Warn("rescued items whose lease ran out", "items", len(agents))
	}
	w.ringAll(agents)
}

// promote makes due items ready and tells when to look again.
func (w *Worker) promote(ctx context.Context) time.Duration {
	due, err := w.due(ctx)
	if err != nil {
		if ctx.Err() == nil {
			w.o.Logger.Warn("promote failed; trying again", "error", err)
		}
		return w.o.Poll
	}
	w.ringAll(due.Agents)
	if due.Next <= 0 || due.Next > w.o.Poll {
		return w.o.Poll
	}
	return max(due.Next, time.Millisecond)
}

func (w *Worker) ringAll(agents []string) {
	for _, name := range agents {
		w.Ring(name)
	}
	if len(agents) > 0 { // there may be suspects among what is ready now
		wake(w.suspects)
	}
}

// dueIn tells the loop that an item becomes due then.
func (w *Worker) dueIn(d time.Duration) {
	select {
	case w.sooner <- max(d, time.Millisecond):
	default: // it is about to look anyway
	}
}
