// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// heartbeatLoop renews the leases of everything that runs here, and learns of
// cancellations and of queued turns by the answers.
func (w *Worker) heartbeatLoop(ctx context.Context) {
	tick := time.NewTicker(w.o.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.beat(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (w *Worker) beat(ctx context.Context) {
	w.mu.Lock()
	attempts := make([]*attempt, 0, len(w.running))
	beats := make([]store.Beat, 0, len(w.running))
	for _, at := range w.running {
		attempts = append(attempts, at)
		beats = append(beats, at.pulse())
	}
	w.mu.Unlock()
	if len(beats) == 0 {
		return
	}
	answers, err := w.o.Queue.Heartbeat(ctx, w.o.Lease, beats)
	if err != nil {
		if ctx.Err() == nil {
			w.o.Logger.Warn("heartbeat failed; leases are not renewed", "items", len(beats), "error", err)
		}
		return
	}
	for i, a := range answers {
		attempts[i].hear(a)
	}
}
