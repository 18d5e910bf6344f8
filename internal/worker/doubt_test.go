// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

// story is a task's life; every append of it has an uncertain outcome once.
type story struct {
	agent nodetest.Agent
	play  func(*testing.T, *nodetest.World) a2a.TaskID
	want  []a2a.TaskState
	runs  int // of the executor
}

func stories(runs *atomic.Int32) map[string]story {
	chunks := func(c *nodetest.Turn) {
		for i := range 5 {
			c.Artifact(fmt.Sprint("a", i), "x")
			pause(c.Ctx, 10*time.Millisecond) // a commit each
		}
	}
	say := func(t *testing.T, w *nodetest.World, r *nodetest.Request, want a2a.TaskState) a2a.TaskID {
		a := w.Send(r)
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		wantState(t, a.Task, want)
		return a.Task.ID
	}
	return map[string]story{
		"chunks and an end": {
			agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { runs.Add(1); chunks(c); c.Complete(); return nil }},
			play: func(t *testing.T, w *nodetest.World) a2a.TaskID {
				return say(t, w, nodetest.Say("go"), completed)
			},
			want: []a2a.TaskState{submitted, completed}, runs: 1,
		},
		"parking and a follow-up": {
			agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				runs.Add(1)
				if c.StoredTask == nil {
					c.Status(authing)
					pause(c.Ctx, 10*time.Millisecond) // the end of the turn is a commit without a record
					return nil
				}
				c.Ask()
				return nil
			}},
			play: func(t *testing.T, w *nodetest.World) a2a.TaskID {
				s := w.Stream(nodetest.Say("go"))
				if s.Wait().Err != nil {
					t.Fatal(s.Err)
				}
				w.Until("the turn has ended", func() bool { return w.Head(s.ID()).DoneTurn == 1 })
				return say(t, w, nodetest.Say("more", nodetest.To(s.ID())), asking)
			},
			want: []a2a.TaskState{submitted, authing, working, asking}, runs: 2,
		},
		"an error and a retry": {
			agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				runs.Add(1)
				if c.Attempt == 1 {
					c.Working()
					pause(c.Ctx, 10*time.Millisecond)
					return errAgent
				}
				c.Complete()
				return nil
			}},
			play: func(t *testing.T, w *nodetest.World) a2a.TaskID {
				return say(t, w, nodetest.Say("go"), completed)
			},
			want: []a2a.TaskState{submitted, working, working, completed}, runs: 2,
		},
		"a turn behind a running one": {
			agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				runs.Add(1)
				c.Working()
				pause(c.Ctx, 50*time.Millisecond)
				c.Ask()
				return nil
			}},
			play: func(t *testing.T, w *nodetest.World) a2a.TaskID {
				id := say(t, w, nodetest.Say("1", nodetest.AtOnce), submitted)
				return say(t, w, nodetest.Say("2", nodetest.To(id)), asking)
			},
			want: []a2a.TaskState{submitted, working, asking, working, working, asking}, runs: 2,
		},
		"a cancellation of a running task": {
			agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { runs.Add(1); c.Working(); return c.Wait() }},
			play: func(t *testing.T, w *nodetest.World) a2a.TaskID {
				id := say(t, w, nodetest.Say("1", nodetest.AtOnce), submitted)
				synctest.Wait()
				a := w.Cancel(id)
				if a.Err != nil {
					t.Fatal(a.Err)
				}
				return id
			},
			want: []a2a.TaskState{submitted, working, canceled}, runs: 1,
		},
		"a cancellation of a parked task": {
			agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { runs.Add(1); c.Ask(); return nil }},
			play: func(t *testing.T, w *nodetest.World) a2a.TaskID {
				id := say(t, w, nodetest.Say("1"), asking)
				if a := w.Cancel(id); a.Err != nil {
					t.Fatal(a.Err)
				}
				return id
			},
			want: []a2a.TaskState{submitted, asking, canceled}, runs: 1,
		},
		"a refused cancellation": {
			agent: nodetest.Agent{
				Execute: func(c *nodetest.Turn) error { runs.Add(1); c.Ask(); return nil },
				Cancel:  func(*nodetest.Turn) error { return a2a.ErrTaskNotCancelable },
			},
			play: func(t *testing.T, w *nodetest.World) a2a.TaskID {
				id := say(t, w, nodetest.Say("1"), asking)
				wantErr(t, w.Cancel(id).Err, a2a.ErrTaskNotCancelable)
				return say(t, w, nodetest.Say("2", nodetest.To(id)), asking)
			},
			want: []a2a.TaskState{submitted, asking, working, asking}, runs: 2,
		},
		"a cancellation of a task that never ran": {
			agent: nodetest.Agent{},
			play: func(t *testing.T, w *nodetest.World) a2a.TaskID {
				w.Stop()
				id := say(t, w, nodetest.Say("1", nodetest.AtOnce), submitted)
				s := w.Subscribe(id, nil)
				a := w.Cancel(id)
				if a.Err != nil { // the caller is told, and may ask again
					a = w.Cancel(id)
				}
				if a.Err != nil {
					t.Fatal(a.Err)
				}
				if s.Wait().Err != nil {
					t.Error(s.Err)
				}
				return id
			},
			want: []a2a.TaskState{submitted, canceled},
		},
	}
}

func TestCommitsInDoubt(t *testing.T) {
	t.Parallel()
	var none atomic.Int32
	for name := range stories(&none) {
		for _, how := range []string{"the reply is lost", "it fails first", "the reply is lost and the store is gone for a while"} {
			bubble(t, name+", and each append in turn: "+how, func(t *testing.T) {
				for nth := int32(1); ; nth++ {
					if !playInDoubt(t, name, how, nth) {
						if nth == 1 {
							t.Error("nothing was appended")
						}
						return
					}
				}
			})
		}
	}
}

// playInDoubt plays a story and reports whether it had an nth append.
func playInDoubt(t *testing.T, name, how string, nth int32) bool {
	var runs, appends, lost atomic.Int32
	st := stories(&runs)[name]
	hit := func(op string) bool { return op == "append" && appends.Load() == nth }
	var m memory.Options
	m.Fault = func(op string) error {
		if op != "append" {
			return nil
		}
		appends.Add(1)
		if how == "it fails first" && hit(op) {
			lost.Add(1)
			return store.ErrUnavailable
		}
		return nil
	}
	m.Lose = func(op string) error {
		if how == "it fails first" || !hit(op) {
			return nil
		}
		lost.Add(1)
		return store.ErrUnknown
	}
	var again atomic.Bool
	var log bytes.Buffer
	w := nodetest.New(t, nodetest.Options{
		Agent: st.agent, Memory: m,
		Worker: worker.Options{
			Random: func() float64 { return 0 }, Heartbeat: time.Hour, Lease: 10 * time.Second,
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		},
		Hooks: nodetest.Hooks{Append: func(_ *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
			if again.CompareAndSwap(true, false) {
				return store.Appended{}, store.ErrUnavailable
			}
			out, err := next()
			again.Store(err == store.ErrUnknown && how == "the reply is lost and the store is gone for a while")
			return out, err
		}},
	})
	id := st.play(t, w)
	time.Sleep(time.Second)
	synctest.Wait()
	if got := w.States(id); !slices.Equal(got, st.want) {
		t.Errorf("append %d: states %v, want %v", nth, got, st.want)
	}
	if n := int(runs.Load()); n != st.runs {
		t.Errorf("append %d: the executor ran %d times, want %d", nth, n, st.runs)
	}
	w.Stop()
	// Where the next turn has begun by then nobody can tell the two apart.
	if name != "a turn behind a running one" && strings.Contains(log.String(), "lost the task") {
		t.Errorf("append %d: the worker takes itself for lost: %s", nth, &log)
	}
	return lost.Load() > 0
}

func TestInDoubtAndOvertaken(t *testing.T) {
	t.Parallel()

	bubble(t, "the callers of a turn are answered although its end was in doubt and the next turn has begun", func(t *testing.T) {
		hold := make(chan struct{})
		var w *nodetest.World
		var once sync.Once
		second := make(chan (<-chan nodetest.Answer), 1)
		w = nodetest.New(t, nodetest.Options{
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Working()
				if c.Text() == "2" {
					<-hold
				}
				pause(c.Ctx, 10*time.Millisecond)
				c.Ask("re " + c.Text())
				return nil
			}},
			Hooks: nodetest.Hooks{Append: func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error) {
				out, err := next()
				if a.Finish != nil {
					once.Do(func() {
						id := a2a.TaskID(a.ID)
						second <- w.Later(nodetest.Say("2", nodetest.To(id)))
						w.Until("the next turn runs", func() bool { return w.Head(id).Running })
						out, err = store.Appended{}, store.ErrUnknown
					})
				}
				return out, err
			}},
		})
		s := w.Stream(nodetest.Say("1"))
		synctest.Wait()
		list, err := w.List(w.Call(), &a2a.ListTasksRequest{})
		if err != nil || len(list.Tasks) != 1 {
			t.Fatal(list, err)
		}
		<-s.Done()
		if s.Err != nil || len(s.Events) != 3 {
			t.Errorf("%d events, %v", len(s.Events), s.Err)
		}
		close(hold)
		if a := <-<-second; a.Err != nil || statusText(a.Task) != "re 2" {
			t.Errorf("%s, %v", a.JSON, a.Err)
		}
	})
}

// Half of all answers are lost, of every kind of call.
func TestEverythingInDoubt(t *testing.T) {
	t.Parallel()
	bubble(t, "tasks end, their logs are whole, and no caller waits for ever", func(t *testing.T) {
		dice := rand.New(rand.NewPCG(1, 2)) // under the store's mutex
		flip := func(string) error {
			if dice.IntN(2) == 0 {
				return store.ErrUnknown
			}
			return nil
		}
		w := nodetest.New(t, nodetest.Options{
			Memory:   memory.Options{Lose: flip},
			Patience: time.Hour,
			Policy:   agent.Policy{Retry: task.Retry{MaxLosses: task.Unlimited}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				for i := range 20 {
					c.Artifact(fmt.Sprint(i), "x")
					pause(c.Ctx, 7*time.Millisecond)
				}
				c.Complete()
				return nil
			}},
		})
		for i := range 40 {
			call := w.Call()
			call.Key = fmt.Sprint("key", i)
			say := nodetest.Say("go", nodetest.ID("m"))
			a := w.SendAs(call, say)
			for tries := 0; a.Err != nil && tries < 10; tries++ {
				a = w.SendAs(call, say)
			}
			if a.Err != nil {
				t.Fatal(a.Err)
			}
			wantState(t, a.Task, completed)
			if len(a.Task.Artifacts) != 20 {
				t.Errorf("%d artifacts", len(a.Task.Artifacts))
			}
		}
	})
}
