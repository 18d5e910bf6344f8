// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/client"
)

// words is an agent for the official SDK's in-memory server; the first word of
// a message decides what it does.
type words struct{}

func (words) Execute(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		text := ec.Message.Parts[0].Text()
		if strings.HasPrefix(text, "message") {
			yield(a2a.NewMessage(a2a.MessageRoleAgent, a2a.NewTextPart("hi")), nil)
			return
		}
		if ec.StoredTask == nil && !yield(a2a.NewSubmittedTask(ec, ec.Message), nil) {
			return
		}
		if !yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateWorking, nil), nil) {
			return
		}
		switch {
		case strings.HasPrefix(text, "ask"):
			yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateInputRequired, a2a.NewMessage(a2a.MessageRoleAgent, a2a.NewTextPart("which?"))), nil)
			return
		case strings.HasPrefix(text, "hang"):
			<-ctx.Done()
			return
		}
		if yield(a2a.NewArtifactEvent(ec, a2a.NewTextPart(text)), nil) {
			yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCompleted, nil), nil)
		}
	}
}

func (words) Cancel(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCanceled, nil), nil)
	}
}

func sdkClient(t *testing.T, b a2a.TransportProtocol) *client.Client {
	t.Helper()
	h := a2asrv.NewHandler(words{})
	var handler http.Handler = a2asrv.NewJSONRPCHandler(h)
	if b == a2a.TransportProtocolHTTPJSON {
		handler = a2asrv.NewRESTHandler(h)
	}
	return newClient(t, cardFor(serve(t, handler), b), client.Options{})
}

func say(text, taskID string) *a2a.SendMessageRequest {
	m := a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text))
	m.TaskID = a2a.TaskID(taskID)
	return &a2a.SendMessageRequest{Message: m}
}

func TestAgainstTheOfficialServer(t *testing.T) {
	t.Parallel()
	for _, b := range bindings {
		t.Run("a blocking send returns the finished task over "+string(b), func(t *testing.T) {
			t.Parallel()
			c := sdkClient(t, b)
			r, err := c.Send(t.Context(), say("echo x", ""), client.SendOptions{})
			if err != nil || r.Kind != client.KindTask || r.State != a2a.TaskStateCompleted {
				t.Fatalf("got %+v, %v", r, err)
			}
			got, err := c.GetTask(t.Context(), r.TaskID, nil)
			if err != nil || got.State != a2a.TaskStateCompleted || got.ContextID != r.ContextID {
				t.Errorf("get: %+v, %v", got, err)
			}
			task, err := got.Task()
			if err != nil || len(task.Artifacts) != 1 {
				t.Errorf("task: %+v, %v", task, err)
			}
			if _, err := c.CancelTask(t.Context(), r.TaskID, nil); !client.IsName(err, client.TaskNotCancelable) {
				t.Errorf("cancelling what is over: %v", err)
			}
			if _, err := c.GetTask(t.Context(), "nothing", nil); !client.IsName(err, client.TaskNotFound) {
				t.Errorf("an unknown task: %v", err)
			}
			items, err := drain(c.Subscribe(t.Context(), r.TaskID, 0))
			if err != nil || len(items) != 1 {
				t.Errorf("subscribing to what is over: %q, %v", items, err)
			}
		})
		t.Run("a stream runs from the task to its end over "+string(b), func(t *testing.T) {
			t.Parallel()
			var kinds []client.Kind
			for item, err := range sdkClient(t, b).Stream(t.Context(), say("echo x", ""), client.SendOptions{}) {
				if err != nil {
					t.Fatal(err)
				}
				if item.ID != 0 {
					t.Errorf("an id that is no number became %d", item.ID)
				}
				kinds = append(kinds, item.Kind)
			}
			if len(kinds) != 4 || kinds[0] != client.KindTask || kinds[2] != client.KindArtifact {
				t.Errorf("events: %v", kinds)
			}
		})
		t.Run("a message is a reply of its own over "+string(b), func(t *testing.T) {
			t.Parallel()
			c := sdkClient(t, b)
			r, err := c.Send(t.Context(), say("message", ""), client.SendOptions{})
			if err != nil || r.Kind != client.KindMessage {
				t.Errorf("send: %+v, %v", r, err)
			}
			items, err := drain(c.Stream(t.Context(), say("message", ""), client.SendOptions{}))
			if err != nil || len(items) != 1 {
				t.Errorf("stream: %q, %v", items, err)
			}
		})
		t.Run("a task that asks is answered over "+string(b), func(t *testing.T) {
			t.Parallel()
			c := sdkClient(t, b)
			var last client.StreamItem
			for item, err := range c.Stream(t.Context(), say("ask", ""), client.SendOptions{}) {
				if err != nil {
					t.Fatal(err)
				}
				last = item
			}
			if last.State != a2a.TaskStateInputRequired {
				t.Fatalf("the stream ended with %+v", last)
			}
			r, err := c.Send(t.Context(), say("this one", last.TaskID), client.SendOptions{})
			if err != nil || r.State != a2a.TaskStateCompleted || r.TaskID != last.TaskID {
				t.Errorf("the answer: %+v, %v", r, err)
			}
			if _, err = c.Send(t.Context(), say("x", "nothing"), client.SendOptions{}); !client.IsName(err, client.TaskNotFound) {
				t.Errorf("a message to an unknown task: %v", err)
			}
		})
		t.Run("a running task is cancelled while it is watched over "+string(b), func(t *testing.T) {
			t.Parallel()
			c := sdkClient(t, b)
			var last client.StreamItem
			for item, err := range c.Stream(t.Context(), say("hang", ""), client.SendOptions{}) {
				if err != nil {
					t.Fatal(err)
				}
				if last = item; item.State == a2a.TaskStateWorking {
					if _, err := c.CancelTask(t.Context(), item.TaskID, nil); err != nil {
						t.Fatalf("cancel: %v", err)
					}
				}
			}
			if last.State != a2a.TaskStateCanceled {
				t.Errorf("the stream ended with %+v", last)
			}
		})
	}
}
