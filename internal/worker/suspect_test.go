// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"context"
	"fmt"
	"slices"
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

// diary notes what an agent does, in virtual time.
type diary struct {
	mu      sync.Mutex
	began   time.Time
	lines   []string
	running map[string]bool
	most    int
}

func newDiary() *diary { return &diary{began: time.Now(), running: map[string]bool{}} }

func (d *diary) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%v %s", time.Since(d.began).Round(time.Second), what))
}

func (d *diary) enter(name string) {
	d.note(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running[name] = true
	d.most = max(d.most, len(d.running))
}

func (d *diary) leave(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.running, name)
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// works is an agent that sleeps for as long as its message says.
func (d *diary) works(c *nodetest.Turn) error {
	var long time.Duration
	var name string
	if _, err := fmt.Sscan(c.Text(), &name, (*seconds)(&long)); err != nil {
		return err
	}
	d.enter(name)
	defer d.leave(name)
	select {
	case <-time.After(long):
		c.Complete()
	case <-c.Ctx.Done():
	}
	return nil
}

type seconds time.Duration

func (s *seconds) Scan(state fmt.ScanState, _ rune) error {
	tok, err := state.Token(true, nil)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(string(tok))
	*s = seconds(d)
	return err
}

// suspected makes tasks whose items are suspects, and a world that does not run.
func suspected(t *testing.T, o nodetest.Options, messages ...string) (*nodetest.World, []a2a.TaskID) {
	t.Helper()
	o.Idle = true
	w := nodetest.New(t, o)
	var ids []a2a.TaskID
	for _, m := range messages {
		ids = append(ids, w.MustSend(nodetest.Say(m, nodetest.AtOnce)).ID)
	}
	loseAll(t, w.Store, "", store.SuspectLosses)
	return w, ids
}

// loseAll has a process that dies claim all that is ready of an agent, n times.
func loseAll(t *testing.T, s store.Store, of string, n int) {
	t.Helper()
	for range n {
		for _, suspects := range []bool{false, true} {
			_, err := s.Claim(t.Context(), store.ClaimRequest{Agent: of, Limit: 100, Suspects: suspects, Taker: store.Taker{Worker: "dead", TTL: time.Second}})
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if _, err := s.Rescue(t.Context(), 1000); err != nil {
			t.Fatal(err)
		}
	}
}

// runFor runs the world's worker for a while and stops it.
func runFor(t *testing.T, w *nodetest.World, d time.Duration) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	if err := w.Worker.Run(ctx); err != nil {
		t.Error(err)
	}
}

func wantDiary(t *testing.T, d *diary, want ...string) {
	t.Helper()
	if got := d.read(); !slices.Equal(got, want) {
		t.Errorf("it went\n%q, want\n%q", got, want)
	}
}

func TestSuspects(t *testing.T) {
	t.Parallel()

	bubble(t, "run one after the other, each as soon as the one before has ended", func(t *testing.T) {
		var d *diary
		w, ids := suspected(t, nodetest.Options{
			Worker: worker.Options{Poll: time.Hour},
			Agent:  nodetest.Agent{Execute: func(c *nodetest.Turn) error { return d.works(c) }},
		}, "a 2s", "b 3s", "c 1s")
		d = newDiary()
		w.Run()
		time.Sleep(10 * time.Second)
		wantDiary(t, d, "0s a", "2s b", "5s c")
		for _, id := range ids {
			wantState(t, w.MustGet(id), completed)
			if turn := w.Turns(id)[0]; turn.Losses != store.SuspectLosses || turn.Attempt != store.SuspectLosses+1 {
				t.Errorf("turn %+v", turn)
			}
		}
	})

	bubble(t, "run beside one another once each has been on probation for long enough", func(t *testing.T) {
		var d *diary
		w, ids := suspected(t, nodetest.Options{
			Worker: worker.Options{Poll: time.Hour, Probation: 10 * time.Second}, Patience: time.Hour,
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { return d.works(c) }},
		}, "a 5m", "b 5m", "c 4s", "d 5m")
		d = newDiary()
		w.Run()
		time.Sleep(10 * time.Minute)
		wantDiary(t, d, "0s a", "10s b", "20s c", "24s d")
		for _, id := range ids {
			wantState(t, w.MustGet(id), completed)
		}
	})

	bubble(t, "of all agents run one at a time: it is the process that dies", func(t *testing.T) {
		var d *diary
		w, _ := suspected(t, nodetest.Options{
			More:   []string{"second"},
			Worker: worker.Options{Poll: time.Hour},
			Agent:  nodetest.Agent{Execute: func(c *nodetest.Turn) error { return d.works(c) }},
			Resolve: func(*nodetest.World, string, string) (agent.Agent, error) {
				return nodetest.Entry(nodetest.Agent{Execute: func(c *nodetest.Turn) error { return d.works(c) }}), nil
			},
		}, "a 2s")
		for _, name := range []string{"second", "found"} {
			if a := w.SendAs(as("", name), nodetest.Say(name+" 2s", nodetest.AtOnce)); a.Err != nil {
				t.Fatal(a.Err)
			}
			loseAll(t, w.Store, name, store.SuspectLosses)
		}
		d = newDiary()
		w.Run()
		time.Sleep(10 * time.Second)
		wantDiary(t, d, "0s a", "2s second", "4s found")
	})

	bubble(t, "begin with the one that ran when the process died", func(t *testing.T) {
		var d *diary
		w, _ := suspected(t, nodetest.Options{
			Worker: worker.Options{Poll: time.Hour},
			Agent:  nodetest.Agent{Execute: func(c *nodetest.Turn) error { return d.works(c) }},
		}, "a 1s", "b 1s", "c 1s")
		for range 2 { // a and b, of which b came last
			if _, err := w.Store.Claim(t.Context(), store.ClaimRequest{Limit: 1, Suspects: true, Taker: store.Taker{Worker: "dead", TTL: time.Second}}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		d = newDiary()
		w.Options.Worker.Sweep = time.Second
		w.Run()
		time.Sleep(10 * time.Second)
		wantDiary(t, d, "0s c", "1s b", "2s a")
	})

	bubble(t, "do not hold up the others, which run beside them", func(t *testing.T) {
		var d *diary
		w, _ := suspected(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { return d.works(c) }},
		}, "a 20s", "b 20s")
		d = newDiary()
		w.Run()
		time.Sleep(time.Second)
		began := time.Now()
		wantState(t, w.MustSend(nodetest.Say("c 1s")), completed)
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v beside a suspect", took)
		}
	})

	bubble(t, "that are rescued run without waiting for a poll", func(t *testing.T) {
		var d *diary
		w, ids := suspected(t, nodetest.Options{
			Worker: worker.Options{Poll: time.Hour, Sweep: time.Second},
			Agent:  nodetest.Agent{Execute: func(c *nodetest.Turn) error { return d.works(c) }},
		}, "a 1s")
		loseAll(t, w.Store, "", 2)
		got, err := w.Store.Claim(t.Context(), store.ClaimRequest{Limit: 1, Suspects: true, Taker: store.Taker{Worker: "dead", TTL: 500 * time.Millisecond}})
		if err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		d = newDiary()
		w.Run()
		time.Sleep(4 * time.Second)
		wantDiary(t, d, "1s a")
		wantState(t, w.MustGet(ids[0]), completed)
	})

	bubble(t, "are cancelled while they wait, at once", func(t *testing.T) {
		d := newDiary()
		w, ids := suspected(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: d.works},
		}, "a 1h", "b 1h")
		w.Run()
		time.Sleep(time.Second)
		began := time.Now()
		for _, id := range []a2a.TaskID{ids[1], ids[0]} {
			a := w.Cancel(id)
			if a.Err != nil {
				t.Fatal(a.Err)
			}
			wantState(t, a.Task, canceled)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})

	bubble(t, "of an agent that never gives up run as the others do", func(t *testing.T) {
		var d *diary
		w, _ := suspected(t, nodetest.Options{
			Policy: agent.Policy{Retry: task.Retry{MaxLosses: agent.Unlimited}, Concurrency: 3},
			Worker: worker.Options{Poll: time.Hour},
			Agent:  nodetest.Agent{Execute: func(c *nodetest.Turn) error { return d.works(c) }},
		}, "a 2s", "b 2s", "c 2s", "d 2s")
		d = newDiary()
		runFor(t, w, 10*time.Second)
		lines := d.read()
		slices.Sort(lines)
		if want := []string{"0s a", "0s b", "0s c", "2s d"}; !slices.Equal(lines, want) {
			t.Errorf("it went %q, want %q", lines, want)
		}
	})

	bubble(t, "that were lost max_losses times end dead and are not run", func(t *testing.T) {
		d := newDiary()
		w, ids := suspected(t, nodetest.Options{Agent: nodetest.Agent{Execute: d.works}}, "a 1s", "b 1s")
		loseAll(t, w.Store, "", 10-store.SuspectLosses)
		w.Run()
		time.Sleep(time.Second)
		wantDiary(t, d)
		for _, id := range ids {
			wantState(t, w.MustGet(id), failed)
			if turn := w.Turns(id)[0]; turn.Item != store.Dead || turn.Losses != 10 {
				t.Errorf("turn %+v", turn)
			}
		}
	})

	bubble(t, "do not keep a server from stopping", func(t *testing.T) {
		d := newDiary()
		w, ids := suspected(t, nodetest.Options{Agent: nodetest.Agent{Execute: d.works}}, "a 1h", "b 1h")
		w.Run()
		time.Sleep(time.Second)
		began := time.Now()
		w.Stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		if turn := w.Turns(ids[0])[0]; turn.Item != store.Pending || turn.Losses != store.SuspectLosses {
			t.Errorf("turn %+v", turn)
		}
	})
}

// One slot, a lane of others that never ends and suspects that are many: each
// has every second run.
func TestSuspectsAndOthersTakeTurns(t *testing.T) {
	t.Parallel()

	for name, o := range map[string]nodetest.Options{
		"at the last slot of an agent": {Policy: agent.Policy{Concurrency: 1}},
		"at the last slot of all":      {Worker: worker.Options{MaxExecutions: 1}},
	} {
		bubble(t, name, func(t *testing.T) {
			var d *diary
			o.Agent = nodetest.Agent{Execute: func(c *nodetest.Turn) error { return d.works(c) }}
			o.Worker.Poll = time.Hour
			w, _ := suspected(t, o, "suspect 1s", "suspect 1s", "suspect 1s", "suspect 1s")
			for range 8 {
				w.MustSend(nodetest.Say("other 1s", nodetest.AtOnce))
			}
			d = newDiary()
			runFor(t, w, 30*time.Second)
			lines := d.read()
			if len(lines) != 12 || d.most != 1 {
				t.Fatalf("%d ran, %d at a time: %q", len(lines), d.most, lines)
			}
			suspects := 0
			for n, line := range lines[:9] {
				if _, who, _ := cut(line); who == "suspect" {
					suspects++
				}
				if n%2 == 1 && suspects < n/2 {
					t.Errorf("after %d runs there were %d of suspects: %q", n+1, suspects, lines)
				}
			}
			if suspects != 4 {
				t.Errorf("of the first 9 runs %d are of suspects: %q", suspects, lines)
			}
			if last := lines[11]; last != "11s other" {
				t.Errorf("the last: %q", last)
			}
		})
	}
}

func cut(line string) (at, who string, ok bool) {
	_, err := fmt.Sscan(line, &at, &who)
	return at, who, err == nil
}
