// SPDX-License-Identifier: Apache-2.0

package owner

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
)

// racesAtATime is how many races run beside one another.
const racesAtATime = 64

// duels finds the duel of a task when its executor begins.
type duels struct {
	mu  sync.Mutex
	all map[string]*duel // by the text of the message

	// lead is how long after the cancellation the completion begins, on average.
	// It follows the outcomes, so that about half are won by each side: a race
	// that one side always wins proves nothing.
	lead atomic.Int64
}

func (d *duels) adjust(winner string) {
	const least = int64(100 * time.Microsecond)
	lead := d.lead.Load()
	if winner == "completed" {
		lead += lead/8 + least
	} else {
		lead -= lead / 8
	}
	d.lead.Store(lead) // another that adjusted at the same moment is as good
}

type duel struct {
	began  chan a2a.TaskID
	finish chan struct{}
}

func (d *duels) add(text string) *duel {
	d.mu.Lock()
	defer d.mu.Unlock()
	one := &duel{began: make(chan a2a.TaskID, 1), finish: make(chan struct{})}
	d.all[text] = one
	return one
}

func (d *duels) take(text string) *duel {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all[text]
}

// A cancellation meets the completion of its task: one terminal event, and all
// who ask hear the same: who cancels, who has sent and waits, who repeats the
// message with its key, who follows, and who gets the task afterwards.
func TestCancelAgainstComplete(t *testing.T) {
	t.Parallel()
	for name, open := range drivers {
		t.Run("on "+name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() { _ = s.Close() })
			raceOn(t, s)
		})
	}
}

func raceOn(t *testing.T, s store.Store) {
	seed := rand.Uint64()
	all := &duels{all: map[string]*duel{}}
	w := nodetest.New(t, nodetest.Options{
		Store: s, Worker: nodetest.RealTime, Patience: 10 * time.Minute,
		Policy: agent.Policy{Concurrency: 2 * racesAtATime},
		Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			d := all.take(c.Text())
			c.Working()
			d.began <- c.TaskID
			select {
			case <-d.finish:
				c.Complete()
			case <-c.Ctx.Done():
			}
			return nil
		}},
	})
	began := time.Now()
	var won tally
	var group sync.WaitGroup
	for lane := range racesAtATime {
		group.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(lane)))
			for n := lane; n < *races && !t.Failed(); n += racesAtATime {
				won.add(race(t, w, all, a2a.NewMessageID(), random))
			}
		})
	}
	group.Wait()
	got := won.read()
	t.Logf("%d races, seed %d: %v; %v", *races, seed, got, time.Since(began).Round(time.Millisecond))
	if min(got["canceled"], got["completed"]) < *races/50 {
		t.Errorf("one side has won nearly every race: nothing raced")
	}
}

// race lets both sides go at drawn moments and tells who has won.
func race(t *testing.T, w *nodetest.World, all *duels, text string, random *rand.Rand) string {
	d := all.add(text)
	call := engine.Call{Key: text}
	say := func() <-chan nodetest.Answer {
		return w.LaterAs(call, nodetest.Say(text, nodetest.ID(text)))
	}
	sent := say()
	id := <-d.began
	for !w.Head(id).Listed {
		time.Sleep(time.Millisecond) // until there is something to follow
	}
	follower := w.Subscribe(id, nil)
	repeated := say()
	cancel := make(chan nodetest.Answer, 1)
	go func() { cancel <- w.Cancel(id) }()
	if lead := all.lead.Load(); lead > 0 {
		time.Sleep(time.Duration(random.Int64N(2 * lead)))
	}
	close(d.finish)
	canceled := <-cancel
	states := nodetest.StatesOf(follower.Wait().Events)
	heard := []a2a.TaskState{states[len(states)-1]}
	for _, answer := range []nodetest.Answer{<-sent, <-repeated, w.Get(id)} {
		if answer.Err != nil {
			t.Errorf("race of %s: %v", id, answer.Err)
			return "error"
		}
		heard = append(heard, answer.Task.Status.State)
	}
	want, winner := a2a.TaskStateCanceled, "canceled"
	defer func() { all.adjust(winner) }()
	if errors.Is(canceled.Err, a2a.ErrTaskNotCancelable) {
		want, winner = a2a.TaskStateCompleted, "completed"
	} else if canceled.Err != nil || canceled.Task.Status.State != want {
		t.Errorf("race of %s: the cancellation was answered %+v, %v", id, canceled.Task, canceled.Err)
	}
	for _, state := range heard {
		if state != want || follower.Err != nil {
			t.Errorf("race of %s: who cancelled heard that it was %s; the follower, the sender, the repeat and the reader heard %v, %v", id, winner, heard, follower.Err)
			break
		}
	}
	terminal := 0
	for _, state := range nodetest.StatesOf(w.Events(id)) {
		if state.Terminal() {
			terminal++
		}
	}
	if terminal != 1 {
		t.Errorf("race of %s: %d terminal events", id, terminal)
	}
	return winner
}
