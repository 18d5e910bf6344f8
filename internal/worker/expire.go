// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"

	"github.com/errand-a2a/errand/internal/store"
)

// due asks the store for what has become due. What waited until its deadline
// had passed is ended here at once, whether a slot is free or not: it is
// recorded, and not run.
func (w *Worker) due(ctx context.Context) (store.Promoted, error) {
	req := store.PromoteRequest{Limit: sweepLimit}
	if w.holdStop() {
		defer w.attempts.Done()
		by := w.taker()
		req.Expire = &by
	}
	due, err := w.o.Queue.Promote(ctx, req)
	if err != nil {
		return due, err
	}
	for i := range due.Expired {
		c := &due.Expired[i]
		w.attempts.Add(1)
		go func() {
			s := &slot{w: w, agent: c.Head.Agent}
			s.once.Do(func() {}) // it has taken none
			w.runIn(s, c, nil)
		}()
	}
	for _, ref := range due.Withdrawn {
		w.o.Hub.Nudge(ref) // the sender is told by the store
	}
	return due, nil
}

// holdStop makes a stop wait as it does for an attempt. It fails once the
// worker is stopping: what is claimed then would be claimed for nobody.
func (w *Worker) holdStop() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open {
		w.attempts.Add(1)
	}
	return w.open
}
