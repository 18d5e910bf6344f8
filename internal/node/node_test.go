// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"go.uber.org/goleak"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/node"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is an agent: "hang" hangs on its first attempt, "ask" parks, "reply"
// replies, everything else completes.
type script struct{}

func (script) Execute(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		text := ""
		for _, p := range ec.Message.Parts {
			text += p.Text()
		}
		status := func(s a2a.TaskState) bool { return yield(a2a.NewStatusUpdateEvent(ec, s, nil), nil) }
		switch {
		case text == "ask":
			status(a2a.TaskStateInputRequired)
		case text == "reply":
			yield(a2a.NewMessage(a2a.MessageRoleAgent, a2a.NewTextPart("hi")), nil)
		case text == "hang" && agent.Attempt(ctx) == 1:
			ev := a2a.NewArtifactEvent(ec, a2a.NewTextPart("lost"))
			ev.Artifact.ID = "a"
			if yield(ev, nil) && status(a2a.TaskStateWorking) {
				<-ctx.Done()
				yield(nil, context.Cause(ctx))
			}
		default:
			status(a2a.TaskStateCompleted)
		}
	}
}

func (script) Cancel(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCanceled, nil), nil)
	}
}

func build(t *testing.T, st store.Store) *node.Node {
	t.Helper()
	o := node.Options{
		Store: st, PublicURL: "http://127.0.0.1:1", Logger: slog.New(slog.DiscardHandler),
		Agents: []agent.Agent{{Card: &a2a.AgentCard{Name: "test"}, Executor: script{}, Policy: agent.Policy{
			Retry: task.Retry{MaxAttempts: 1},
		}}},
	}
	o.Worker.ID, o.Worker.Shutdown = "w", 100*time.Millisecond
	n, err := node.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// run runs a node; the answer stops it.
func run(t *testing.T, n *node.Node) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := n.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	for {
		if _, err := n.Engine().Send(t.Context(), engine.Call{}, say("ready?")); err == nil {
			break
		}
	}
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func say(text string) *a2a.SendMessageRequest {
	return &a2a.SendMessageRequest{Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text))}
}

func sayTo(id, text string) *a2a.SendMessageRequest {
	r := say(text)
	r.Message.TaskID = a2a.TaskID(id)
	return r
}

func stateOf(t *testing.T, n *node.Node, id string) string {
	t.Helper()
	b, err := n.Engine().Get(t.Context(), engine.Call{}, &a2a.GetTaskRequest{ID: a2a.TaskID(id)})
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Status struct{ State string } }
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	return got.Status.State
}

func TestPhases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New(memory.Options{})
		n := build(t, st)
		want := func(when, text string) {
			t.Helper()
			_, err := n.Engine().Send(t.Context(), engine.Call{}, say("go"))
			var e *task.Error
			if !errors.As(err, &e) || e.Kind != task.ErrUnavailable || !strings.Contains(e.Message, text) || e.RetryAfter == 0 {
				t.Errorf("%s a send is answered %v", when, err)
			}
			if _, err := n.Engine().Get(t.Context(), engine.Call{}, &a2a.GetTaskRequest{ID: "x"}); !errors.Is(err, a2a.ErrTaskNotFound) {
				t.Errorf("%s a read is answered %v", when, err)
			}
			if got := readyz(n); got != http.StatusServiceUnavailable {
				t.Errorf("%s /readyz is %d", when, got)
			}
		}
		want("before Run", "no worker runs yet")
		stop := run(t, n)
		if got := readyz(n); got != http.StatusOK {
			t.Errorf("/readyz is %d while it runs", got)
		}
		if err := n.Run(t.Context()); !errors.Is(err, node.ErrRan) {
			t.Errorf("a second Run: %v", err)
		}
		stop()
		want("after Run", "stopping")
		if err := n.Run(t.Context()); !errors.Is(err, node.ErrRan) {
			t.Errorf("a third Run: %v", err)
		}
	})
}

func readyz(n *node.Node) int {
	w := httptest.NewRecorder()
	n.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/readyz", nil))
	return w.Code
}

func TestStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := build(t, memory.New(memory.Options{}))
		stop := run(t, n)
		blocking := make(chan error, 1)
		go func() {
			_, err := n.Engine().Send(context.Background(), engine.Call{}, say("hang"))
			blocking <- err
		}()
		body := `{"jsonrpc":"2.0","id":1,"method":"SendStreamingMessage","params":{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"hang"}]}}}`
		r := httptest.NewRequest("POST", "http://127.0.0.1/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("A2A-Version", "1.0")
		w := httptest.NewRecorder()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			n.Handler().ServeHTTP(w, r)
		}()
		synctest.Wait()
		began := time.Now()
		go stop()
		<-ended
		if time.Since(began) != 0 || !strings.Contains(w.Body.String(), "TASK_STATE_WORKING") {
			t.Errorf("the stream ends after %v with %s", time.Since(began), w.Body)
		}
		var e *task.Error
		if err := <-blocking; !errors.As(err, &e) || e.Kind != task.ErrUnavailable || e.Meta["taskId"] == "" {
			t.Fatalf("the blocking caller hears %v", err)
		}
		if got := stateOf(t, n, e.Meta["taskId"]); got != "TASK_STATE_WORKING" {
			t.Errorf("its task is %s", got)
		}
	})
}

// What one process left the next one finds.
func TestRestart(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"a graceful stop", "a crash"} {
		t.Run("over SQLite the next process goes on after "+how, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "errand.db")
			open := func() (*node.Node, store.Store, func()) {
				st, err := sqlite.Open(t.Context(), path, sqlite.Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = st.Close() })
				n := build(t, st)
				return n, st, run(t, n)
			}
			n, st, stop := open()
			send := func(n *node.Node, key string, r *a2a.SendMessageRequest) engine.Reply {
				t.Helper()
				reply, err := n.Engine().Send(t.Context(), engine.Call{Key: key}, r)
				if err != nil {
					t.Fatal(err)
				}
				return reply
			}
			parked := send(n, "", say("ask")).TaskID
			asked := say("reply")
			reply := send(n, "k1", asked)
			ended := say("go")
			end := send(n, "k2", ended)
			stream, err := n.Engine().Stream(t.Context(), engine.Call{}, say("hang"))
			if err != nil {
				t.Fatal(err)
			}
			var running string
			for running == "" || stream.Cursor() < 3 {
				frames, err := stream.Next(t.Context(), 0)
				if err != nil {
					t.Fatal(err)
				}
				if running == "" {
					var f struct{ Task struct{ ID string } }
					if err := json.Unmarshal(frames[0].Event, &f); err != nil {
						t.Fatal(err)
					}
					running = f.Task.ID
				}
			}
			cursor := stream.Cursor()
			stream.Close()
			if how == "a graceful stop" {
				stop()
				if err := st.Close(); err != nil {
					t.Fatal(err)
				}
			} else {
				if err := st.Close(); err != nil { // under the feet of whoever runs
					t.Fatal(err)
				}
				stop()
			}

			n, _, stop = open()
			defer stop()
			f, err := n.Engine().Subscribe(t.Context(), engine.Call{}, &a2a.SubscribeToTaskRequest{ID: a2a.TaskID(running)}, &cursor)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			seq := cursor
			for {
				frames, err := f.Next(t.Context(), 0)
				for _, fr := range frames {
					if fr.Seq != seq+1 {
						t.Errorf("%d follows %d", fr.Seq, seq)
					}
					seq = fr.Seq
				}
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if got := stateOf(t, n, running); got != "TASK_STATE_COMPLETED" {
				t.Errorf("the task that ran is %s", got)
			}
			if again := send(n, "k1", asked); string(again.JSON) != string(reply.JSON) {
				t.Errorf("a repeat of a Message reply hears %s, was %s", again.JSON, reply.JSON)
			}
			if again := send(n, "k2", ended); string(again.JSON) != string(end.JSON) {
				t.Errorf("a repeat hears %s, was %s", again.JSON, end.JSON)
			}
			if got := stateOf(t, n, parked); got != "TASK_STATE_INPUT_REQUIRED" {
				t.Errorf("the parked task is %s", got)
			}
			if reply := send(n, "", sayTo(parked, "blue")); !strings.Contains(string(reply.JSON), "TASK_STATE_COMPLETED") {
				t.Errorf("the follow-up hears %s", reply.JSON)
			}
		})
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := build(t, memory.New(memory.Options{}))
		defer run(t, n)()
		reply, err := n.Engine().Send(t.Context(), engine.Call{}, say("go"))
		if err != nil {
			t.Fatal(err)
		}
		f, err := n.Follow(t.Context(), a2a.TaskID(reply.TaskID), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		frames, err := f.Next(t.Context(), 0)
		if err != nil || len(frames) != 2 || frames[0].Seq != 1 {
			t.Errorf("%d frames, %v", len(frames), err)
		}
		if _, err := n.Follow(t.Context(), "unknown", 0); !errors.Is(err, a2a.ErrTaskNotFound) {
			t.Errorf("%v", err)
		}
	})
}
