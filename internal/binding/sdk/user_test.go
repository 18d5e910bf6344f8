// SPDX-License-Identifier: Apache-2.0

package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/node"
)

// door lets in whoever gives a name.
type door struct {
	a2asrv.PassthroughCallInterceptor
}

func (door) Before(ctx context.Context, cc *a2asrv.CallContext, _ *a2asrv.Request) (context.Context, any, error) {
	values, _ := cc.ServiceParams().Get("authorization")
	if len(values) != 1 || !strings.HasPrefix(values[0], "Name ") {
		return ctx, nil, a2a.ErrUnauthenticated
	}
	cc.User = a2asrv.NewAuthenticatedUser(strings.TrimPrefix(values[0], "Name "), map[string]any{"team": "t"})
	return ctx, nil, nil
}

func as(name string) a2aclient.ServiceParams {
	return a2aclient.ServiceParams{"Authorization": {"Name " + name}}
}

func guarded(o *node.Options) { o.Interceptors = []a2asrv.CallInterceptor{door{}} }

// Foreign is answered like unknown, on every operation of every binding.
func TestTheTasksOfAUserAreNotThereForAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, guarded)
	clients := w.all()
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			owner := "alice of " + name
			asked, err := client.SendMessage(t.Context(), as(owner), text("ask who"))
			if err != nil {
				t.Fatal(err)
			}
			id := asked.(*a2a.Task).ID
			next := text("me")
			next.Message.TaskID = id
			for what, do := range map[string]func(a2aclient.ServiceParams) error{
				"get": func(p a2aclient.ServiceParams) error {
					_, err := client.GetTask(t.Context(), p, &a2a.GetTaskRequest{ID: id})
					return err
				},
				"cancel": func(p a2aclient.ServiceParams) error {
					_, err := client.CancelTask(t.Context(), p, &a2a.CancelTaskRequest{ID: id})
					return err
				},
				"send": func(p a2aclient.ServiceParams) error { _, err := client.SendMessage(t.Context(), p, next); return err },
				"stream": func(p a2aclient.ServiceParams) error {
					_, err := drained(client.SendStreamingMessage(t.Context(), p, next))
					return err
				},
				"follow": func(p a2aclient.ServiceParams) error {
					_, err := drained(client.SubscribeToTask(t.Context(), p, &a2a.SubscribeToTaskRequest{ID: id}))
					return err
				},
				"resume": func(p a2aclient.ServiceParams) error {
					p["Last-Event-ID"] = []string{"0"}
					_, err := drained(client.SubscribeToTask(t.Context(), p, &a2a.SubscribeToTaskRequest{ID: id}))
					return err
				},
			} {
				if err := do(as("bob")); !errors.Is(err, a2a.ErrTaskNotFound) {
					t.Errorf("%s by another: %v", what, err)
				}
				if err := do(a2aclient.ServiceParams{}); err == nil {
					t.Errorf("%s by nobody: no error", what)
				}
			}
			for other, client := range clients {
				if got, err := client.GetTask(t.Context(), as(owner), &a2a.GetTaskRequest{ID: id}); err != nil || got.ID != id {
					t.Errorf("its owner over %s: %v", other, err)
				}
				list, err := client.ListTasks(t.Context(), as(owner), &a2a.ListTasksRequest{PageSize: 10})
				if other != "0.3 JSON-RPC" && (err != nil || len(list.Tasks) != 1 || list.Tasks[0].ID != id) {
					t.Errorf("its owner lists over %s: %+v, error %v", other, list, err)
				}
				list, err = client.ListTasks(t.Context(), as("bob"), &a2a.ListTasksRequest{PageSize: 10})
				if other != "0.3 JSON-RPC" && (err != nil || len(list.Tasks) != 0) {
					t.Errorf("another lists over %s: %+v, error %v", other, list, err)
				}
			}
		})
	}
}

func TestALiveStreamIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, guarded)
	for name, client := range w.all() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hanging := text("hang")
			hanging.Config = &a2a.SendMessageConfig{ReturnImmediately: true}
			result, err := client.SendMessage(t.Context(), as("alice"), hanging)
			if err != nil {
				t.Fatal(err)
			}
			follow := &a2a.SubscribeToTaskRequest{ID: result.(*a2a.Task).ID}
			var last a2a.Event
			for e, err := range client.SubscribeToTask(t.Context(), as("alice"), follow) {
				if err != nil {
					t.Fatal(err)
				}
				if last == nil { // it runs now
					if _, err := drained(client.SubscribeToTask(t.Context(), as("bob"), follow)); !errors.Is(err, a2a.ErrTaskNotFound) {
						t.Errorf("another follows: %v", err)
					}
					if _, err := client.CancelTask(t.Context(), as("alice"), &a2a.CancelTaskRequest{ID: follow.ID}); err != nil {
						t.Error(err)
					}
				}
				last = e
			}
			if stateOf(last) != a2a.TaskStateCanceled {
				t.Errorf("ends with %+v", last)
			}
		})
	}
}

// userOf is an executor that says who called.
type userOf struct{}

func (userOf) Execute(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewMessage(a2a.MessageRoleAgent, a2a.NewTextPart(fmt.Sprintf("%s %t %v", ec.User.Name, ec.User.Authenticated, ec.User.Attributes))), nil)
	}
}

func (userOf) Cancel(context.Context, *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(func(a2a.Event, error) bool) {}
}

func TestTheExecutorLearnsWhoCalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, guarded, func(o *node.Options) { o.Agents[0].Executor = userOf{} })
	for name, client := range w.all() {
		result, err := client.SendMessage(t.Context(), as("alice"), text("x"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := result.(*a2a.Message).Parts[0].Text(); got != "alice true map[team:t]" {
			t.Errorf("%s: the executor sees %q", name, got)
		}
	}
}

func TestTheExtendedCardIsForThoseWhoAreKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, guarded, func(o *node.Options) {
		o.Agents[0].ExtendedCard = a2asrv.ExtendedAgentCardProducerFn(func(context.Context, *a2a.GetExtendedAgentCardRequest) (*a2a.AgentCard, error) {
			return &a2a.AgentCard{Name: "extended", Description: "d", Version: "1", Skills: []a2a.AgentSkill{{ID: "s", Name: "s", Description: "d", Tags: []string{"t"}}}, Capabilities: a2a.AgentCapabilities{ExtendedAgentCard: true}}, nil
		})
	})
	for name, client := range w.all() {
		if name == "the SDK's gRPC" {
			continue // a2a-go's handler tells its RequestHandler nothing of the metadata of this call
		}
		card, err := client.GetExtendedAgentCard(t.Context(), as("alice"), &a2a.GetExtendedAgentCardRequest{})
		if err != nil || card.Name != "extended" || len(card.SupportedInterfaces) == 0 {
			t.Errorf("%s: %+v, error %v", name, card, err)
		}
		if _, err := client.GetExtendedAgentCard(t.Context(), nil, &a2a.GetExtendedAgentCardRequest{}); err == nil {
			t.Errorf("%s: nobody gets the card", name)
		}
	}
	// What 0.3 reads of a card is not in the SDK's type and survives all the same.
	got := w.rpc("agent/getAuthenticatedExtendedCard", `{}`, "Authorization", "Name alice")
	if !strings.Contains(got, `"preferredTransport":"JSONRPC"`) {
		t.Error(got)
	}
}

// rpc posts a request to our JSON-RPC and gives the body of the answer.
func (w *world) rpc(method, params string, headers ...string) string {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return string(b)
}
