// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/worker"
)

func TestExecutionsOfAllAgents(t *testing.T) {
	t.Parallel()

	bubble(t, "are bounded together, and a slot that one frees is another's at once", func(t *testing.T) {
		var running, most atomic.Int32
		work := func(c *nodetest.Turn) error {
			n := running.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			time.Sleep(time.Second)
			running.Add(-1)
			c.Complete()
			return nil
		}
		w := nodetest.New(t, nodetest.Options{
			Worker: worker.Options{MaxExecutions: 3, Poll: time.Hour}, More: []string{"second"}, Agent: nodetest.Agent{Execute: work},
			Resolve: func(*nodetest.World, string, string) (agent.Agent, error) {
				return nodetest.Entry(nodetest.Agent{Execute: work}), nil
			},
		})
		began := time.Now()
		var answers []<-chan nodetest.Answer
		for range 4 {
			for _, name := range []string{"", "second", "found"} {
				answers = append(answers, w.LaterAs(as("", name), nodetest.Say("go")))
			}
		}
		for _, c := range answers {
			if a := <-c; a.Err != nil {
				t.Error(a.Err)
			}
		}
		if took := time.Since(began); most.Load() != 3 || took > 6*time.Second {
			t.Errorf("%d ran at a time, %v in all", most.Load(), took)
		}
	})

	bubble(t, "keep no idle worker busy that may run one", func(t *testing.T) {
		var claims atomic.Int32
		nodetest.New(t, nodetest.Options{
			Worker: worker.Options{MaxExecutions: 1, Poll: 100 * time.Millisecond}, More: []string{"second"},
			Hooks: nodetest.Hooks{Claim: func(next func() ([]store.Claim, error)) ([]store.Claim, error) {
				if claims.Add(1) > 1000 {
					time.Sleep(time.Second) // or virtual time would never pass
				}
				return next()
			}},
		})
		time.Sleep(time.Second)
		if n := claims.Load(); n > 100 {
			t.Errorf("it has claimed %d times in a second without work", n)
		}
	})

	bubble(t, "are not bounded together by default", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			time.Sleep(time.Second)
			c.Complete()
			return nil
		}}})
		began := time.Now()
		var answers []<-chan nodetest.Answer
		for range 64 {
			answers = append(answers, w.Later(nodetest.Say("go")))
		}
		for _, c := range answers {
			<-c
		}
		if took := time.Since(began); took > 1500*time.Millisecond {
			t.Errorf("64 took %v", took)
		}
	})
}
