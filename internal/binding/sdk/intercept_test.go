// SPDX-License-Identifier: Apache-2.0

package sdk_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/node"
)

// hooks is an interceptor of two functions.
type hooks struct {
	before func(*a2asrv.CallContext, *a2asrv.Request) (any, error)
	after  func(*a2asrv.CallContext, *a2asrv.Response) error
}

func (h hooks) Before(ctx context.Context, cc *a2asrv.CallContext, req *a2asrv.Request) (context.Context, any, error) {
	if h.before == nil {
		return ctx, nil, nil
	}
	result, err := h.before(cc, req)
	return ctx, result, err
}

func (h hooks) After(_ context.Context, cc *a2asrv.CallContext, resp *a2asrv.Response) error {
	if h.after == nil {
		return nil
	}
	return h.after(cc, resp)
}

func with(h hooks) func(*node.Options) {
	return func(o *node.Options) { o.Interceptors = []a2asrv.CallInterceptor{h} }
}

func TestAnErrorOfAnInterceptorKeepsItsKindAndNoText(t *testing.T) {
	t.Parallel()
	const secret = "dsn of the users' database"
	for _, tt := range []struct {
		what string
		err  error
		want error
		says string
	}{
		{"a plain one", errors.New(secret), a2a.ErrInternalError, ""},
		{"a wrapped one", fmt.Errorf("%s: %w", secret, a2a.ErrUnauthorized), a2a.ErrUnauthorized, "permission denied"},
		{"one for clients", a2a.NewError(a2a.ErrTaskNotCancelable, "not on Sundays"), a2a.ErrTaskNotCancelable, "not on Sundays"},
		{"a wrapped one for clients", fmt.Errorf("%s: %w", secret, a2a.NewError(a2a.ErrInvalidParams, "no such flavour")), a2a.ErrInvalidParams, "no such flavour"},
	} {
		for when, h := range map[string]hooks{
			"before": {before: func(*a2asrv.CallContext, *a2asrv.Request) (any, error) { return nil, tt.err }},
			"after":  {after: func(*a2asrv.CallContext, *a2asrv.Response) error { return tt.err }},
		} {
			t.Run(tt.what+" "+when, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, with(h))
				for name, client := range w.all() {
					_, sent := client.SendMessage(t.Context(), nil, text("echo x"))
					_, streamed := drained(client.SendStreamingMessage(t.Context(), nil, text("echo x")))
					_, got := client.GetTask(t.Context(), nil, &a2a.GetTaskRequest{ID: "x"})
					for op, err := range map[string]error{"send": sent, "stream": streamed, "get": got} {
						if err == nil || strings.Contains(err.Error(), secret) {
							t.Errorf("%s over %s: %v", op, name, err)
							continue
						}
						if strings.Contains(err.Error(), "unexpected HTTP status: 403") {
							continue // all that a2a-go's clients of JSON-RPC make of that status
						}
						if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
							t.Errorf("%s over %s: %v", op, name, err)
						}
					}
				}
			})
		}
	}
}

func TestAnInterceptorMayAnswerItself(t *testing.T) {
	t.Parallel()
	own := &a2a.Task{ID: "own", ContextID: "c", Status: a2a.TaskStatus{State: a2a.TaskStateCompleted}}
	w := newWorld(t, with(hooks{before: func(cc *a2asrv.CallContext, _ *a2asrv.Request) (any, error) {
		if cc.Method() == "SendMessage" || cc.Method() == "SendStreamingMessage" {
			return a2a.SendMessageResult(own), nil
		}
		return own, nil
	}}))
	for name, client := range w.ours() {
		sent, err := client.SendMessage(t.Context(), nil, text("echo x"))
		if err != nil || sent.(*a2a.Task).ID != "own" {
			t.Errorf("%s: sent %+v, error %v", name, sent, err)
		}
		got, err := client.GetTask(t.Context(), nil, &a2a.GetTaskRequest{ID: "own"})
		if err != nil || got.ID != "own" {
			t.Errorf("%s: got %+v, error %v", name, got, err)
		}
		events, err := drained(client.SendStreamingMessage(t.Context(), nil, text("echo x")))
		if err != nil || len(events) != 1 || events[0].(*a2a.Task).ID != "own" {
			t.Errorf("%s: streamed %+v, error %v", name, events, err)
		}
	}
}

func TestAnInterceptorMayChangeWhatPasses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with(hooks{
		before: func(_ *a2asrv.CallContext, req *a2asrv.Request) (any, error) {
			if m, ok := req.Payload.(*a2a.SendMessageRequest); ok {
				m.Message.Parts = a2a.ContentParts{a2a.NewTextPart("echo changed")}
			}
			return nil, nil
		},
		after: func(_ *a2asrv.CallContext, resp *a2asrv.Response) error {
			if e, ok := resp.Payload.(a2a.MetadataCarrier); ok && resp.Err == nil {
				e.SetMeta("seen", true)
			}
			return nil
		},
	}))
	for name, client := range w.ours() {
		sent, err := client.SendMessage(t.Context(), nil, text("echo x"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		task := sent.(*a2a.Task)
		if task.Artifacts[0].Parts[0].Text() != "changed" || task.Metadata["seen"] != true {
			t.Errorf("%s: %+v", name, task)
		}
		events, err := drained(client.SendStreamingMessage(t.Context(), nil, text("echo x")))
		if err != nil || len(events) < 3 {
			t.Fatalf("%s: %+v, error %v", name, events, err)
		}
		for _, e := range events {
			if e.Meta()["seen"] != true {
				t.Errorf("%s: %+v has passed unseen", name, e)
			}
		}
	}
}

// The ids of a stream are the sequences of the log, with interceptors or
// without, and a reader resumes by them.
func TestEventsKeepTheirSequence(t *testing.T) {
	t.Parallel()
	plain, behind := newWorld(t), newWorld(t, with(hooks{}))
	const params = `{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"count to 40"}]}}`
	ids := func(body string) string {
		var all []string
		for line := range strings.Lines(body) {
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				all = append(all, strings.TrimSpace(id))
			}
		}
		return strings.Join(all, " ")
	}
	want := ids(plain.rpc("SendStreamingMessage", params))
	body := behind.rpc("SendStreamingMessage", params)
	if got := ids(body); got != want || !strings.HasPrefix(got, "1 2 3 4 ") {
		t.Errorf("ids %q, want %q", got, want)
	}
	_, id, _ := strings.Cut(body, `"task":{"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	tail := ids(behind.rpc("SubscribeToTask", `{"id":"`+id+`"}`, "Last-Event-ID", "30"))
	if _, after, _ := strings.Cut(want, " 30 "); tail != after || tail == "" {
		t.Errorf("after 30: %q, want %q", tail, after)
	}
}

func TestASilentStreamIsKeptAliveBehindInterceptors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with(hooks{}), func(o *node.Options) { o.Binding.KeepAlive = 10 * time.Millisecond })
	body := `{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"hang"}]}}`
	resp, err := w.http.Post(w.url+"/message:stream", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() && lines.Text() != ": keep-alive" {
	}
	if lines.Text() != ": keep-alive" {
		t.Errorf("the stream ends with %q, %v", lines.Text(), lines.Err())
	}
}

func TestAKeyPassesTheInterceptors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, guarded)
	for name, client := range w.all() {
		req := text("echo x")
		var made []a2a.TaskID
		for range 2 {
			key := as("alice")
			key["Idempotency-Key"] = []string{strings.ReplaceAll(name, " ", "-")}
			result, err := client.SendMessage(t.Context(), key, req)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			made = append(made, result.(*a2a.Task).ID)
		}
		if made[0] != made[1] {
			t.Errorf("%s: two tasks", name)
		}
	}
}

// A panic in a stream is one call's misfortune, not the end of the process.
func TestAPanicOfAnInterceptorEndsItsCallAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with(hooks{after: func(_ *a2asrv.CallContext, resp *a2asrv.Response) error {
		if _, ok := resp.Payload.(*a2a.TaskArtifactUpdateEvent); ok {
			panic("secret")
		}
		return nil
	}}))
	for name, client := range w.ours() {
		events, err := drained(client.SendStreamingMessage(t.Context(), nil, text("echo x")))
		if !errors.Is(err, a2a.ErrInternalError) || strings.Contains(err.Error(), "secret") || len(events) == 0 {
			t.Errorf("%s: %d events, error %v", name, len(events), err)
		}
		if result, err := client.SendMessage(t.Context(), nil, text("echo x")); err != nil || stateOf(result) != a2a.TaskStateCompleted {
			t.Errorf("%s afterwards: %+v, error %v", name, result, err)
		}
	}
}

// An interceptor sees which agent is meant, however the request names it: it may
// decide by that who is let in.
func TestAnInterceptorSeesWhichAgentIsMeant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with(hooks{before: func(cc *a2asrv.CallContext, _ *a2asrv.Request) (any, error) {
		if cc.Tenant() == "twin" {
			return nil, a2a.ErrUnauthorized
		}
		return nil, nil
	}}))
	for _, path := range []string{"/agents/twin/message:send", "/twin/message:send", "/agents/twin/v1/message:send"} {
		body := `{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"x"}]}}`
		if strings.Contains(path, "/v1/") {
			body = strings.Replace(body, "parts", "content", 1)
		}
		resp, err := w.http.Post(w.url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

type ctxKey struct{}

// carrier carries the value of a context to the store and to nowhere.
type carrier struct{ seen chan any }

func (c carrier) Encode(ctx context.Context) (map[string]any, error) {
	c.seen <- ctx.Value(ctxKey{})
	return nil, nil
}

func (carrier) Decode(ctx context.Context, _ map[string]any) (context.Context, error) {
	return ctx, nil
}

// tagging puts a value into the context of a call.
type tagging struct {
	a2asrv.PassthroughCallInterceptor
}

func (tagging) Before(ctx context.Context, _ *a2asrv.CallContext, _ *a2asrv.Request) (context.Context, any, error) {
	return context.WithValue(ctx, ctxKey{}, "tag"), nil, nil
}

func TestTheContextOfAnInterceptorReachesTheCodec(t *testing.T) {
	t.Parallel()
	seen := make(chan any, 20)
	w := newWorld(t, func(o *node.Options) {
		o.Interceptors, o.Codec = []a2asrv.CallInterceptor{tagging{}}, carrier{seen}
	})
	for name, client := range w.ours() {
		if _, err := client.SendMessage(t.Context(), nil, text("echo x")); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := <-seen; got != "tag" {
			t.Errorf("%s: the codec sees %v", name, got)
		}
		if _, err := drained(client.SendStreamingMessage(t.Context(), nil, text("echo x"))); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := <-seen; got != "tag" {
			t.Errorf("%s: for a stream the codec sees %v", name, got)
		}
	}
}

// Those who put the SDK's own interceptors in front have the same owners.
func TestAUserOfTheSDKsOwnInterceptorsOwnsItsTasks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &a2asrv.InterceptedHandler{Handler: w.node.RequestHandler(), Interceptors: []a2asrv.CallInterceptor{door{}}}
	call := func(name string) context.Context {
		ctx, _ := a2asrv.NewCallContext(t.Context(), a2asrv.NewServiceParams(as(name)))
		return ctx
	}
	result, err := h.SendMessage(call("alice"), text("ask x"))
	if err != nil {
		t.Fatal(err)
	}
	req := &a2a.GetTaskRequest{ID: result.(*a2a.Task).ID}
	if _, err := h.GetTask(call("alice"), req); err != nil {
		t.Errorf("its owner: %v", err)
	}
	if _, err := h.GetTask(call("bob"), req); !errors.Is(err, a2a.ErrTaskNotFound) {
		t.Errorf("another: %v", err)
	}
}

// Without a name a caller would share the tasks of all who have not said who
// they are.
func TestAUserWithoutANameIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with(hooks{before: func(cc *a2asrv.CallContext, _ *a2asrv.Request) (any, error) {
		cc.User = a2asrv.NewAuthenticatedUser("", nil)
		return nil, nil
	}}))
	_, err := w.ours()["REST"].SendMessage(t.Context(), nil, text("echo x"))
	if !errors.Is(err, a2a.ErrUnauthenticated) {
		t.Error(err)
	}
}
