// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
)

func TestRefusedClaims(t *testing.T) {
	t.Parallel()

	bubble(t, "a store that refuses claims is asked again after a poll and not without a pause", func(t *testing.T) {
		var down atomic.Bool
		var asked atomic.Int32
		gate := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Concurrency: 1},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				<-gate
				c.Complete()
				return nil
			}},
			Hooks: nodetest.Hooks{Claim: func(next func() ([]store.Claim, error)) ([]store.Claim, error) {
				// The time stands still while somebody asks without a pause.
				if down.Load() && asked.Add(1) < 1000 {
					return nil, store.ErrUnavailable
				}
				return next()
			}},
		})
		for range 4 {
			w.MustSend(nodetest.Say("go", nodetest.AtOnce))
		}
		synctest.Wait()
		down.Store(true)
		close(gate) // the slot is free, and three wait for it
		time.Sleep(time.Second)
		down.Store(false)
		if n := asked.Load(); n > 25 {
			t.Errorf("the store was asked %d times in a second, with a poll of 50ms", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := w.Worker.Stats()[""]; n != 0 {
			t.Errorf("%d slots are in use at the end", n)
		}
	})
}
