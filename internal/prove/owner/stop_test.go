// SPDX-License-Identifier: Apache-2.0

package owner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

var errLate = errors.New("late")

// kinds are the writes that a worker tries after it was stopped for three
// leases, by what its executor does then.
var kinds = map[string]func(*nodetest.Turn) error{
	"status":    func(c *nodetest.Turn) error { c.Status(a2a.TaskStateWorking, "late"); return nil },
	"artifact":  func(c *nodetest.Turn) error { c.Artifact("late", "late"); return nil },
	"completed": func(c *nodetest.Turn) error { c.Complete("late"); return nil },
	"failed":    func(c *nodetest.Turn) error { c.Status(a2a.TaskStateFailed, "late"); return nil },
	"park":      func(c *nodetest.Turn) error { c.Ask("late"); return nil },
	"nack":      func(*nodetest.Turn) error { return errLate },
	"dead":      func(*nodetest.Turn) error { return task.Permanent(errLate) },
	"panic":     func(*nodetest.Turn) error { panic(errLate) },
	"no result": func(*nodetest.Turn) error { return nil },
	// These two go on. At every other stop the heartbeat asks next whether the
	// tasks are the worker's; otherwise the worker is drained, and gives them back.
	"hang 1": nil,
	"hang 2": nil,
}

// goesOn are the kinds after which the run is not over by itself.
var goesOn = []string{"status", "artifact"}

// stopped is the story of one stop: a worker holds a task of each kind, is
// stopped for three leases, and goes on beside its successor.
type stopped struct {
	*testing.T
	*nodetest.World
	number int
	phase  phase

	mu     sync.Mutex
	kindOf map[a2a.TaskID]string
	causes map[a2a.TaskID]error // why the context of the first run ended
	second map[a2a.TaskID]int   // how often the successor ran it

	held   sync.WaitGroup // first runs that are under way
	resume chan struct{}  // closed when the first owner goes on
	finish chan struct{}  // closed when the successor may end its runs
	ended  sync.WaitGroup // first runs whose context has ended
}

// phase is how far the successor is when the first owner goes on.
type phase int

const (
	claimed phase = iota // it has claimed, and written nothing: only the epoch tells them apart
	writing              // it has written
	done                 // it has completed the task
	phases
)

// Each kind of write of a worker that was stopped for three leases is refused,
// whatever its successor has done meanwhile; nothing of it is in the log; its
// executor is told; and the successor completes the task, once.
func TestAStoppedWorkerWritesNothingMore(t *testing.T) {
	t.Parallel()
	const inOneWorld = 12
	began := time.Now()
	var refused tally
	t.Cleanup(func() {
		t.Logf("%d stops of a worker on each store, refusals by kind of write: %v; %v", *stops, refused.read(), time.Since(began).Round(time.Millisecond))
	})
	for name, open := range drivers {
		for from := 0; from < *stops; from += inOneWorld {
			t.Run(fmt.Sprintf("on %s, from stop %d on", name, from+1), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := open(t)
					t.Cleanup(func() { _ = s.Close() })
					st := &stopped{T: t}
					st.World = nodetest.New(t, nodetest.Options{
						Store: s, Idle: true, Patience: time.Hour,
						Worker: worker.Options{Lease: lease, Sweep: 100 * time.Millisecond},
						Policy: agent.Policy{OnRetry: agent.KeepArtifacts},
						Agent:  nodetest.Agent{Execute: func(c *nodetest.Turn) error { return st.execute(c) }},
					})
					for n := from; n < min(from+inOneWorld, *stops) && !t.Failed(); n++ {
						st.stop(n, &refused)
					}
				})
			})
		}
	}
}

type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what]++
}

func (c *tally) read() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}

func (s *stopped) stop(n int, refused *tally) {
	s.number, s.phase = n, phase(n%int(phases))
	s.kindOf, s.causes, s.second = map[a2a.TaskID]string{}, map[a2a.TaskID]error{}, map[a2a.TaskID]int{}
	s.resume, s.finish = make(chan struct{}), make(chan struct{})
	s.held.Add(len(kinds))
	s.ended.Add(len(kinds))
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		s.MustSend(nodetest.Say(kind, nodetest.AtOnce))
	}
	g := newGate(s.World.Store)
	first := s.NewWorker("first", g)
	stopFirst := s.RunWorker(first)
	s.held.Wait()
	synctest.Wait()
	g.shut()
	successor := newGate(s.World.Store)
	if s.phase == claimed {
		successor.hold()
	}
	stopSecond := s.RunWorker(s.NewWorker("second", successor))
	time.Sleep(3 * lease)
	if s.phase == done {
		close(s.finish)
	}
	time.Sleep(lease)
	close(s.resume)
	synctest.Wait() // every run of the first owner stands before the gate with its write
	g.open()
	synctest.Wait()
	if n%2 == 0 {
		g.openBeats()
		time.Sleep(lease)
	}
	s.drain(g, stopFirst)
	successor.letGo()
	if s.phase != done {
		close(s.finish)
	}
	s.ended.Wait()
	time.Sleep(time.Second)
	synctest.Wait()
	stopSecond()
	if g.rescued() > 0 {
		s.T.Errorf("stop %d: the first owner rescued its own", n)
	}
	s.judge(g, refused)
}

// drain stops the first owner, which tries to give back what has not ended.
func (s *stopped) drain(g *gate, stop func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stop()
	}()
	time.Sleep(10 * time.Millisecond) // longer than the shutdown time: what runs is released
	synctest.Wait()
	g.openBeats()
	<-ended
}

// execute is what the agent does, in the first run and in the successor's.
func (s *stopped) execute(c *nodetest.Turn) error {
	kind := c.Text()
	if c.Attempt > 1 {
		return s.takeOver(c)
	}
	s.mu.Lock()
	s.kindOf[c.TaskID] = kind
	s.mu.Unlock()
	c.Artifact("a", "first")
	s.held.Done()
	go func() {
		defer s.ended.Done()
		<-c.Ctx.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.causes[c.TaskID] = context.Cause(c.Ctx)
	}()
	<-s.resume
	if write := kinds[kind]; write != nil {
		err := write(c)
		if !slices.Contains(goesOn, kind) {
			return err
		}
	}
	<-c.Ctx.Done()
	return nil
}

func (s *stopped) takeOver(c *nodetest.Turn) error {
	s.mu.Lock()
	s.second[c.TaskID]++
	finish := s.finish
	s.mu.Unlock()
	if s.phase != claimed {
		c.Append("a", "second")
	}
	select {
	case <-finish:
		c.Complete("second")
	case <-c.Ctx.Done():
	}
	return nil
}

// judge looks at what came of every kind.
func (s *stopped) judge(g *gate, refused *tally) {
	for id, kind := range s.kindOf {
		what := fmt.Sprintf("stop %d, phase %d, %s", s.number, s.phase, kind)
		err, tried := g.came(nodetest.Ref(id))
		want := store.ErrFenced
		if s.phase == done {
			want = store.ErrClosed
		}
		cause := worker.ErrLost
		if kinds[kind] == nil {
			kind = "release"
			cause = worker.ErrDrained
			if s.number%2 == 0 {
				kind, cause = "heartbeat", worker.ErrLost
			}
		}
		switch lost, answered := g.deaf(nodetest.Ref(id)); {
		case kind != "heartbeat" && (!tried || !errors.Is(err, want)):
			s.T.Errorf("%s: the write was tried: %v, and answered %v, want %v", what, tried, err, want)
		case kind == "heartbeat" && (!answered || !lost):
			s.T.Errorf("%s: it was answered: %v, lost: %v", what, answered, lost)
		default:
			refused.add(kind)
		}
		if !errors.Is(s.causes[id], cause) {
			s.T.Errorf("%s: the executor's context ended with %v, want %v", what, s.causes[id], cause)
		}
		s.outcome(what, id)
	}
	if len(s.kindOf) != len(kinds) {
		s.T.Errorf("stop %d: %d tasks ran, want %d", s.number, len(s.kindOf), len(kinds))
	}
}

// outcome: the successor completed the task, once, and nothing late is in it.
func (s *stopped) outcome(what string, id a2a.TaskID) {
	turn := s.Turns(id)[0]
	if s.second[id] != 1 || turn.Item != store.Completed || turn.Losses != 1 || turn.Attempt != 2 || turn.Failures != 0 {
		s.T.Errorf("%s: the successor ran it %d times: %+v", what, s.second[id], turn)
	}
	terminal := 0
	for _, r := range s.Log(id) {
		if strings.Contains(string(r.Event), "late") {
			s.T.Errorf("%s: the log has %s", what, r.Event)
		}
		if r.Closes {
			terminal++
		}
	}
	if terminal != 1 {
		s.T.Errorf("%s: %d terminal events", what, terminal)
	}
	for _, a := range s.Attempts(id) {
		if a.Worker == "first" {
			s.T.Errorf("%s: the old owner wrote %+v", what, a)
		}
	}
}
