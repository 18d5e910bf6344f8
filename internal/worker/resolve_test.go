// SPDX-License-Identifier: Apache-2.0

package worker_test

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

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

// speaker is an agent that says who it is.
func speaker(who string) agent.Agent {
	return nodetest.Entry(nodetest.Agent{Execute: func(c *nodetest.Turn) error {
		c.Complete(who)
		return nil
	}})
}

func as(tenant, name string) engine.Call {
	return engine.Call{Scope: task.Scope{Tenant: tenant}, Agent: name}
}

func TestAgentsFoundAtRunTime(t *testing.T) {
	t.Parallel()

	bubble(t, "are found by tenant and name, beside the fixed ones", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Resolve: func(_ *nodetest.World, tenant, name string) (agent.Agent, error) {
			if name == "nobody" {
				return agent.Agent{}, fmt.Errorf("asked the directory: %w", agent.ErrUnknown)
			}
			return speaker(tenant + "'s " + name), nil
		}})
		for tenant, name := range map[string]string{"red": "cook", "blue": "cook", "green": "baker"} {
			a := w.SendAs(as(tenant, name), nodetest.Say("go"))
			if a.Err != nil || nodetest.TextOf(a.Task.Status.Message.Parts) != tenant+"'s "+name {
				t.Errorf("%s of %s: %s, %v", name, tenant, a.JSON, a.Err)
			}
		}
		if got := w.MustSend(nodetest.Say("go")); got.Status.State != completed {
			t.Errorf("the fixed agent: %v", got.Status)
		}
		var refused *task.Error
		if a := w.SendAs(as("red", "nobody"), nodetest.Say("go")); !errors.As(a.Err, &refused) || refused.Field != "tenant" {
			t.Errorf("an unknown agent: %v", a.Err)
		}
		if a := w.SendAs(as("red", "tasks"), nodetest.Say("go")); !errors.Is(a.Err, a2a.ErrInvalidParams) {
			t.Errorf("a reserved name: %v", a.Err)
		}
	})

	bubble(t, "have their tasks to themselves", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Resolve: func(_ *nodetest.World, tenant, name string) (agent.Agent, error) { return speaker(name), nil }})
		made := w.SendAs(as("", "cook"), nodetest.Say("go"))
		for _, call := range []engine.Call{as("", ""), as("", "baker"), as("red", "cook")} {
			follow := nodetest.Say("more", nodetest.To(made.Task.ID))
			_, get := w.Engine.Get(t.Context(), call, &a2a.GetTaskRequest{ID: made.Task.ID})
			_, cancel := w.Engine.Cancel(t.Context(), call, &a2a.CancelTaskRequest{ID: made.Task.ID})
			_, subscribe := w.Engine.Subscribe(t.Context(), call, &a2a.SubscribeToTaskRequest{ID: made.Task.ID}, new(uint64))
			for op, err := range map[string]error{"get": get, "cancel": cancel, "subscribe": subscribe, "send": w.SendAs(call, follow).Err} {
				if !errors.Is(err, a2a.ErrTaskNotFound) {
					t.Errorf("%s by %+v: %v", op, call, err)
				}
			}
			if list, err := w.List(call, &a2a.ListTasksRequest{}); err != nil || len(list.Tasks) != 0 {
				t.Errorf("list by %+v: %v, %v", call, list, err)
			}
		}
	})

	bubble(t, "are run by a worker that has never heard their name", func(t *testing.T) {
		st := memory.New(memory.Options{})
		defer st.Close()
		resolve := func(_ *nodetest.World, _, name string) (agent.Agent, error) { return speaker(name), nil }
		idle := nodetest.New(t, nodetest.Options{Store: st, Resolve: resolve, Idle: true, Quiet: true})
		var waiting []<-chan nodetest.Answer
		for i := range 300 { // more than a page of the census
			waiting = append(waiting, idle.LaterAs(as("", fmt.Sprintf("agent-%d", i)), nodetest.Say("go")))
		}
		synctest.Wait()
		list, err := st.Waiting(t.Context(), "", 1000)
		if err != nil || len(list) != len(waiting) {
			t.Fatalf("%d agents wait, %v", len(list), err)
		}
		nodetest.New(t, nodetest.Options{Store: st, Resolve: resolve})
		time.Sleep(5 * time.Second)
		if list, err = st.Waiting(t.Context(), "", 1000); err != nil || len(list) != 0 {
			t.Errorf("%d agents still wait, %v", len(list), err)
		}
		_ = idle // it has accepted them and hears of nothing
	})

	bubble(t, "are looked for page by page", func(t *testing.T) {
		st := memory.New(memory.Options{})
		defer st.Close()
		resolve := func(_ *nodetest.World, _, name string) (agent.Agent, error) { return speaker(name), nil }
		nodetest.New(t, nodetest.Options{Store: st, Resolve: resolve, Idle: true, Quiet: true}).LaterAs(as("", "z"), nodetest.Say("go"))
		synctest.Wait()
		nodetest.New(t, nodetest.Options{Store: crowded{st}, Resolve: resolve})
		synctest.Wait()
		if list, err := st.Waiting(t.Context(), "", 10); err != nil || len(list) != 0 {
			t.Errorf("%v still wait behind a page of others, %v", list, err)
		}
		time.Sleep(time.Second)
	})

	bubble(t, "one that cannot be found for a while costs an attempt, and nothing else", func(t *testing.T) {
		var asked atomic.Int32
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{}, Resolve: func(_ *nodetest.World, _, name string) (agent.Agent, error) {
				if asked.Add(1) == 2 { // the first is the acceptance
					return agent.Agent{}, errors.New("the directory is away")
				}
				return speaker(name), nil
			},
		})
		a := w.SendAs(as("", "cook"), nodetest.Say("go"))
		if a.Err != nil || a.Task.Status.State != completed {
			t.Fatalf("%s, %v", a.JSON, a.Err)
		}
		attempts, err := w.Store.Attempts(t.Context(), task.Ref{ID: string(a.Task.ID)})
		if err != nil || len(attempts) == 0 || !strings.Contains(attempts[0].Error, "the directory is away") {
			t.Errorf("%+v, %v", attempts, err)
		}
	})

	bubble(t, "a call whose agent cannot be found out is refused as temporary", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Resolve: func(*nodetest.World, string, string) (agent.Agent, error) {
			return agent.Agent{}, errors.New("secret text")
		}})
		a := w.SendAs(as("", "cook"), nodetest.Say("go"))
		if !errors.Is(a.Err, task.ErrUnavailable) || strings.Contains(a.Err.Error(), "secret") {
			t.Errorf("%v", a.Err)
		}
	})

	bubble(t, "no more than 64 of a name run at a time, and the rest follows", func(t *testing.T) {
		var running, most atomic.Int32
		w := nodetest.New(t, nodetest.Options{Worker: worker.Options{Poll: time.Minute}, Resolve: func(*nodetest.World, string, string) (agent.Agent, error) {
			return nodetest.Entry(nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				n := running.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				time.Sleep(time.Second)
				running.Add(-1)
				c.Complete()
				return nil
			}}), nil
		}})
		began := time.Now()
		var answers []<-chan nodetest.Answer
		for range 200 {
			answers = append(answers, w.LaterAs(as("", "cook"), nodetest.Say("go")))
		}
		for _, c := range answers {
			if a := <-c; a.Err != nil {
				t.Error(a.Err)
			}
		}
		if most.Load() != 64 || time.Since(began) > 5*time.Second {
			t.Errorf("%d ran at a time, %v in all", most.Load(), time.Since(began))
		}
		w.Stop()
		if used := w.Worker.Stats(); used["cook"] != 0 {
			t.Errorf("%v", used)
		}
		if _, there := w.Worker.Stats()["cook"]; there {
			t.Error("the name is remembered")
		}
	})
}

// crowded has a page of agents in front whose work others have taken meanwhile.
type crowded struct{ store.Store }

func (c crowded) Waiting(ctx context.Context, after string, limit int) ([]string, error) {
	if after != "" {
		return c.Store.Waiting(ctx, after, limit)
	}
	var names []string
	for i := range limit {
		names = append(names, fmt.Sprintf("a-%03d", i))
	}
	return names, nil
}

var _ store.Census = (*memory.Store)(nil)
