// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"github.com/a2aproject/a2a-go/v2/log"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

type traceKey struct{}

// codec carries one value of a context.
type codec struct{ fail error }

func (c codec) Encode(ctx context.Context) (map[string]any, error) {
	trace, _ := ctx.Value(traceKey{}).(string)
	return map[string]any{"trace": trace}, nil
}

func (c codec) Decode(ctx context.Context, data map[string]any) (context.Context, error) {
	return context.WithValue(ctx, traceKey{}, data["trace"]), c.fail
}

func TestTheExecutorsWorld(t *testing.T) {
	t.Parallel()

	bubble(t, "is the caller's, also in a later attempt", func(t *testing.T) {
		const ext = "urn:example:ext"
		seen := make(chan string, 4)
		var out bytes.Buffer
		w := nodetest.New(t, nodetest.Options{
			Name:   "helper",
			Card:   &a2a.AgentCard{Name: "x", Capabilities: a2a.AgentCapabilities{Extensions: []a2a.AgentExtension{{URI: ext}}}},
			Engine: engine.Options{Codec: codec{}},
			Worker: worker.Options{Codec: codec{}, Logger: slog.New(slog.NewTextHandler(&out, nil))},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				cc, _ := a2asrv.CallContextFrom(c.Ctx)
				lang, _ := cc.ServiceParams().Get("Accept-Language")
				log.Info(c.Ctx, "the executor speaks")
				seen <- fmt.Sprint(c.Tenant, cc.Tenant(), c.User.Name, c.User.Authenticated, cc.User.Attributes["team"], lang,
					cc.Extensions().ActivatedURIs(), c.Metadata["m"], c.Metadata[task.AcceptedModesKey], c.Ctx.Value(traceKey{}))
				if c.Attempt == 1 {
					return errors.New("once more")
				}
				c.Complete()
				return nil
			}},
		})
		call := w.Call()
		call.Tenant, call.Principal = "t", "ann"
		call.Extensions = []string{ext, "urn:unknown"}
		call.Params = map[string][]string{"accept-language": {"de"}}
		call.User = &record.User{Name: "ann", Authenticated: true, Attributes: map[string]any{"team": "red"}}
		req := nodetest.Say("hello")
		req.Metadata = map[string]any{"m": "v"}
		req.Config = &a2a.SendMessageConfig{AcceptedOutputModes: []string{"text/plain"}}
		a := w.SendIn(context.WithValue(t.Context(), traceKey{}, "trace-1"), call, req)
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		want := fmt.Sprint("helper", "helper", "ann", true, "red", []string{"de"}, []string{ext}, "v", []string{"text/plain"}, "trace-1")
		for attempt := 1; attempt <= 2; attempt++ {
			if got := <-seen; got != want {
				t.Errorf("attempt %d:\n got %s\nwant %s", attempt, got, want)
			}
		}
		if !strings.Contains(out.String(), "the executor speaks") || !strings.Contains(out.String(), "task=") {
			t.Errorf("the executor's log: %s", out.String())
		}
	})

	bubble(t, "has the referenced tasks that the caller may read", func(t *testing.T) {
		var related []a2a.TaskID
		w := nodetest.New(t, nodetest.Options{More: []string{"other"}, Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			related = nil
			for _, r := range c.RelatedTasks {
				related = append(related, r.ID)
				if len(r.Artifacts) != 1 || nodetest.TextOf(r.Artifacts[0].Parts) != "result" {
					t.Errorf("a referenced task came without its artifact: %+v", r)
				}
			}
			if c.Text() == "talk" {
				c.Reply("no task")
				return nil
			}
			c.Artifact("a", "result")
			c.Complete()
			return nil
		}}})
		first, second := w.MustSend(nodetest.Say("one")), w.MustSend(nodetest.Say("two"))
		foreign := w.SendAs(engine.Call{Scope: task.Scope{Principal: "eve"}}, nodetest.Say("hers"))
		elsewhere := w.SendAs(engine.Call{Agent: "other"}, nodetest.Say("of another agent"))
		req := nodetest.Say("now")
		req.Message.ReferenceTasks = []a2a.TaskID{second.ID, foreign.Task.ID, "unknown", elsewhere.Task.ID, first.ID}
		w.MustSend(req)
		if want := []a2a.TaskID{second.ID, first.ID}; !reflect.DeepEqual(related, want) {
			t.Errorf("related %v, want %v", related, want)
		}
	})

	bubble(t, "passes the interceptors, whose error fails the attempt", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Retry: task.Retry{MaxAttempts: 2, InitialDelay: time.Millisecond}},
			Worker: worker.Options{Intercept: []a2asrv.ExecutorContextInterceptor{intercept(func(ec *a2asrv.ExecutorContext) error {
				ec.Metadata = map[string]any{"added": "yes"}
				if ec.Message != nil && strings.HasPrefix(nodetest.TextOf(ec.Message.Parts), "refuse") {
					return errors.New("refused by the interceptor")
				}
				return nil
			})}},
			Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Complete(fmt.Sprint(c.Metadata["added"]))
				return nil
			}},
		})
		if got := w.MustSend(nodetest.Say("go")); nodetest.TextOf(got.Status.Message.Parts) != "yes" {
			t.Errorf("%+v", got.Status.Message)
		}
		refused := w.MustSend(nodetest.Say("refuse"))
		wantState(t, refused, failed)
		attempts, err := w.Store.Attempts(t.Context(), task.Ref{ID: string(refused.ID)})
		if err != nil || len(attempts) != 2 || !strings.Contains(attempts[0].Error, "refused by the interceptor") {
			t.Errorf("%+v, %v", attempts, err)
		}
	})

	bubble(t, "a context that cannot be restored fails the attempt", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{
			Policy: agent.Policy{Retry: task.Retry{MaxAttempts: 1}},
			Engine: engine.Options{Codec: codec{}}, Worker: worker.Options{Codec: codec{fail: errors.New("another release")}},
		})
		wantState(t, w.MustSend(nodetest.Say("go")), failed)
	})

	bubble(t, "a panic is what the application makes of it, and has its stack", func(t *testing.T) {
		for name, tt := range map[string]struct {
			handler func(any) error
			want    string
		}{
			"by itself":                  {nil, "panic: boom"},
			"an error of its own":        {func(p any) error { return fmt.Errorf("model crashed: %v", p) }, "model crashed: boom"},
			"nothing":                    {func(any) error { return nil }, "panic: boom"},
			"a handler that panics too":  {func(any) error { panic("again") }, "panic: boom"},
			"one that no retry can mend": {func(p any) error { return task.Permanent(fmt.Errorf("%v", p)) }, "boom"},
		} {
			w := nodetest.New(t, nodetest.Options{
				Policy: agent.Policy{Retry: task.Retry{MaxAttempts: 1}},
				Worker: worker.Options{OnPanic: tt.handler},
				Agent:  nodetest.Agent{Execute: func(*nodetest.Turn) error { panic("boom") }},
			})
			got := w.MustSend(nodetest.Say("go"))
			attempts, err := w.Store.Attempts(t.Context(), task.Ref{ID: string(got.ID)})
			if err != nil || len(attempts) != 1 || attempts[0].Error != tt.want || !strings.Contains(attempts[0].Stack, "world_test.go") {
				t.Errorf("%s: %+v, %v", name, attempts, err)
			}
		}
	})

	bubble(t, "Cleanup is called with what Execute was", func(t *testing.T) {
		var executed, cleaned *a2asrv.ExecutorContext
		w := nodetest.New(t, nodetest.Options{
			Engine: engine.Options{Codec: codec{}}, Worker: worker.Options{Codec: codec{}},
			Agent: nodetest.Agent{
				Execute: func(c *nodetest.Turn) error {
					executed = c.ExecutorContext
					c.Complete()
					return nil
				},
				Cleanup: func(ctx context.Context, ec *a2asrv.ExecutorContext, _ a2a.SendMessageResult, _ error) {
					cleaned = ec
					if ctx.Value(traceKey{}) != "trace-2" {
						t.Error("Cleanup has another context")
					}
				},
			},
		})
		if a := w.SendIn(context.WithValue(t.Context(), traceKey{}, "trace-2"), w.Call(), nodetest.Say("go")); a.Err != nil {
			t.Fatal(a.Err)
		}
		w.Stop()
		if cleaned == nil || cleaned != executed {
			t.Errorf("executed with %p, cleaned up with %p", executed, cleaned)
		}
	})
}

type intercept func(*a2asrv.ExecutorContext) error

func (i intercept) Intercept(ctx context.Context, ec *a2asrv.ExecutorContext) (context.Context, error) {
	return ctx, i(ec)
}
