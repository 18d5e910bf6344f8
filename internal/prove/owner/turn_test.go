// SPDX-License-Identifier: Apache-2.0

package owner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/worker"
)

// turnsAtOnce is how many tasks one stop holds: each is a turn of its own.
const turnsAtOnce = 10

// A worker is stopped in turn 1, its successor parks the task, the answer begins
// turn 2, and only then the first one goes on: with the question that it was
// about to write, or before it has asked.
func TestAHolderOfAnEarlierTurnIsRefused(t *testing.T) {
	t.Parallel()
	for when, asked := range map[string]bool{"about to write its question": true, "before it has asked": false} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, s store.Store) {
				began := time.Now()
				rounds := max(*stops/turnsAtOnce, 1)
				for range rounds {
					earlierTurn(t, s, asked)
				}
				t.Logf("%d stops, %d stale writes refused in turn 2; %v of virtual time", rounds, rounds*turnsAtOnce, time.Since(began))
			})
		})
	}
}

func earlierTurn(t *testing.T, s store.Store, asked bool) {
	var g *gate
	var reached atomic.Int32
	resume, finish, causes := make(chan struct{}), make(chan struct{}), make(chan error, turnsAtOnce)
	w := nodetest.New(t, nodetest.Options{
		Store: s, Idle: true, Patience: time.Hour,
		Worker: worker.Options{Lease: lease, Sweep: 100 * time.Millisecond},
		Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			switch {
			case c.Text() == "answer":
				c.Working()
				reached.Add(1)
				select {
				case <-finish:
					c.Complete("answered")
				case <-c.Ctx.Done():
				}
			case c.Attempt > 1:
				c.Ask("second")
			default:
				c.Working()
				reached.Add(1)
				<-resume
				c.Ask("late")
				go func() {
					<-c.Ctx.Done()
					causes <- context.Cause(c.Ctx)
				}()
			}
			return nil
		}},
	})
	all := func(what string) {
		t.Helper()
		w.Until(what, func() bool { return reached.Load() == turnsAtOnce })
		reached.Store(0)
	}
	var ids []a2a.TaskID
	for range turnsAtOnce {
		ids = append(ids, w.MustSend(nodetest.Say("question", nodetest.AtOnce)).ID)
	}
	g = newGate(s)
	stopFirst := w.RunWorker(w.NewWorker("first", g))
	all("turn 1 runs")
	synctest.Wait()
	g.shut()
	if asked {
		close(resume)
		synctest.Wait() // the question stands before the gate
	}
	stopSecond := w.RunWorker(w.NewWorker("second", s))
	time.Sleep(3 * lease)
	for _, id := range ids {
		w.Until("it is parked", func() bool { h := w.Head(id); return h.DoneTurn == 1 })
		w.MustSend(nodetest.Say("answer", nodetest.To(id), nodetest.AtOnce))
	}
	all("turn 2 runs")
	synctest.Wait()
	if !asked {
		close(resume)
		synctest.Wait()
	}
	g.openBeats()
	for range ids {
		if err := <-causes; !errors.Is(err, worker.ErrLost) {
			t.Errorf("the executor's context ended with %v", err)
		}
	}
	close(finish)
	time.Sleep(time.Second)
	for _, id := range ids {
		if err, tried := g.came(nodetest.Ref(id)); !tried || !errors.Is(err, store.ErrFenced) {
			t.Errorf("the write of turn 1 was tried: %v, and answered %v", tried, err)
		}
		got, text := w.MustGet(id), fmt.Sprint(w.Events(id))
		if got.Status.State != a2a.TaskStateCompleted || strings.Contains(text, "late") {
			t.Errorf("the task is %s: %s", got.Status.State, text)
		}
		if turns := w.Turns(id); len(turns) != 2 || turns[0].Losses != 1 || turns[1].Losses != 0 || turns[1].Attempt != 1 {
			t.Errorf("turns %+v", turns)
		}
	}
	stopFirst()
	stopSecond()
}
