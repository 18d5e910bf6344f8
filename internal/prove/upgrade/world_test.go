// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/agent/demo"
	"github.com/errand-a2a/errand/internal/node"
	"github.com/errand-a2a/errand/internal/prove"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
)

// world is today's server on the database of an old one.
type world struct {
	*testing.T
	golden
	store  *sqlite.Store
	node   *node.Node
	client *prove.Client
}

// open takes a fixture over. Nothing runs before run.
func open(t *testing.T, fixture string) *world {
	t.Helper()
	g, path := unpack(t, fixture)
	st, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	o := node.Options{Store: st, Agents: []agent.Agent{demo.Agent()}, PublicURL: "http://localhost", Logger: slog.New(slog.DiscardHandler)}
	o.Worker.ID, o.Worker.Shutdown = "today", time.Second
	n, err := node.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(n.Handler())
	t.Cleanup(server.Close)
	w := &world{T: t, golden: g, store: st, node: n, client: prove.NewClient(server.URL + "/")}
	t.Cleanup(w.client.Close)
	return w
}

// run starts the work and stops it with the test.
func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- w.node.Run(ctx) }()
	<-w.node.Started()
	w.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			w.Error(err)
		}
	})
}

func (w *world) call(method string, params map[string]any, m message) map[string]any {
	w.Helper()
	res, err := w.client.Call(w.Context(), method, params, m.header())
	if err != nil {
		w.Fatalf("%s: %v", method, err)
	}
	return res
}

// get gives a task in a form in which those that mean the same look the same.
func (w *world) get(id string) string {
	w.Helper()
	b, err := json.Marshal(w.call("GetTask", map[string]any{"id": id}, message{}))
	if err != nil {
		w.Fatal(err)
	}
	return w.text(b)
}

func (w *world) text(b []byte) string {
	w.Helper()
	text, err := prove.TaskText(b)
	if err != nil {
		w.Fatal(err)
	}
	return text
}

// state is the last part of the name of a task's state.
func (w *world) state(id string) string {
	w.Helper()
	h, _, err := w.store.Read(w.Context(), task.Ref{ID: id}, 0, 0)
	if err != nil {
		w.Fatal(err)
	}
	return strings.TrimPrefix(h.State, "TASK_STATE_")
}

func (w *world) turns(id string) []store.Turn {
	w.Helper()
	turns, err := w.store.Turns(w.Context(), task.Ref{ID: id}, 0, 0)
	if err != nil {
		w.Fatal(err)
	}
	return turns
}

// until waits for the tasks of that kind to be in a state.
func (w *world) until(name, state string) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		open := ""
		for n, id := range w.Open {
			if is, _, _ := strings.Cut(n, "-"); is == name && w.state(id) != state {
				open = n
			}
		}
		if open == "" {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("%s is %s and never %s", open, w.state(w.Open[open]), state)
		}
	}
}

// log gives the events of a task. They fold, as the engine and as the prover
// does it, to what the task is said to be.
func (w *world) log(id string) []string {
	w.Helper()
	head, batches, err := w.store.Read(w.Context(), task.Ref{ID: id}, 0, 1<<40)
	if err != nil {
		w.Fatal(err)
	}
	var events []string
	var folded prove.Folded
	for _, b := range batches {
		recs, err := record.DecodeBatch(b.Body)
		if err != nil {
			w.Fatalf("task %s: %v", id, err)
		}
		for _, r := range recs {
			if r.Seq != uint64(len(events)+1) || r.Closes != (head.Closed && r.Seq == head.LastSeq) {
				w.Errorf("task %s: after %d events one has the number %d, closes is %v", id, len(events), r.Seq, r.Closes)
			}
			events = append(events, compact(w.T, json.RawMessage(r.Event)))
			if r.Opens == nil {
				if err := folded.Apply(r.Event); err != nil {
					w.Errorf("task %s, event %d: %v", id, r.Seq, err)
				}
			}
		}
	}
	s, err := record.Open(id, head.ContextID, nil, bodies(batches))
	if err != nil {
		w.Fatal(err)
	}
	if got, want := w.get(id), w.text(record.AppendTask(nil, s, record.View{})); got != want {
		w.Errorf("task %s is\n%s\nits log folds to\n%s", id, got, want)
	}
	if w.onlyOneTurn(id) && folded.Text() != w.get(id) {
		w.Errorf("task %s is\n%s\nthe prover folds its log to\n%s", id, w.get(id), folded.Text())
	}
	return events
}

// onlyOneTurn: what a follow-up says rides in a record beside the event, where
// the prover's fold does not see it.
func (w *world) onlyOneTurn(id string) bool {
	turns := w.turns(id)
	return len(turns) == 1 || turns[1].Attempt == 0
}

func bodies(batches []store.Batch) (out [][]byte) {
	for _, b := range batches {
		out = append(out, b.Body)
	}
	return out
}

// compact writes JSON as encoding/json does.
func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	b, err := json.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
