// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/errand-a2a/errand/hack/acts/format"
	"github.com/errand-a2a/errand/hack/acts/wire"
)

// script is a binding whose streams give what is written down, one script after
// the other.
type script struct{ streams [][]wire.Event }

func (s *script) Call(context.Context, string, map[string]any) (*wire.Response, error) {
	return &wire.Response{Status: 200, Body: map[string]any{"task": map[string]any{"id": "t"}}}, nil
}

func (s *script) Open(context.Context, string, map[string]any) (wire.Stream, error) {
	if len(s.streams) == 0 {
		return nil, &wire.Error{Name: "TaskNotFoundError"}
	}
	next := &scripted{events: s.streams[0]}
	s.streams = s.streams[1:]
	return next, nil
}

func (s *script) Close() error { return nil }

type scripted struct{ events []wire.Event }

func (s *scripted) Next() (wire.Event, error) {
	if len(s.events) == 0 {
		return wire.Event{}, io.EOF
	}
	e := s.events[0]
	s.events = s.events[1:]
	return e, nil
}

func (s *scripted) Status() int { return 200 }
func (s *scripted) Close()      {}

func TestTestsOfConcurrentStreamsAreAbleToFail(t *testing.T) {
	t.Parallel()
	task := wire.Event{Body: map[string]any{"task": map[string]any{"id": "t"}}}
	working, artifact, done := states("WORKING")[0], wire.Event{Body: map[string]any{"artifactUpdate": map[string]any{}}}, states("COMPLETED")[0]
	whole, follow := []wire.Event{task, working, artifact, done}, []wire.Event{task, artifact, done}
	message, subscribe := "send_streaming_message", "send_message"
	tests := []struct {
		name, operation string
		run             func(context.Context, *execution) error
		streams         [][]wire.Event
		want            string
	}{
		{"the same events", message, sameEvents, [][]wire.Event{whole, follow}, "<nil>"},
		{"an event less", message, sameEvents, [][]wire.Event{whole, {task, done}}, "one stream has 2 further events, the other 1"},
		{"another event", message, sameEvents, [][]wire.Event{whole, {task, working, done}}, "further event 0 differs"},
		{"no task at first", message, sameEvents, [][]wire.Event{whole, {artifact, done}}, "the first event is not the task"},
		{"no second stream", message, sameEvents, [][]wire.Event{whole}, "subscribe: TaskNotFoundError"},
		{"no work", message, sameEvents, [][]wire.Event{{task}}, "ended before the agent worked"},
		{"one closed", message, closeOne, [][]wire.Event{whole, follow}, "<nil>"},
		{"one closed, and the other too", message, closeOne, [][]wire.Event{whole, {task, artifact}}, "without the end of the task"},
		{"come back", subscribe, resubscribe, [][]wire.Event{follow, follow}, "<nil>"},
		{"come back to nothing", subscribe, resubscribe, [][]wire.Event{follow}, "after a disconnect"},
		{"come back and hear no end", subscribe, resubscribe, [][]wire.Event{follow, {task}}, "without the end of the task"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			released := 0
			x := &execution{
				runner: &Runner{bindings: map[string]wire.Binding{"b": &script{tt.streams}}, Release: func(string) { released++ }}, binding: "b",
				test: &format.Test{Steps: []*format.Step{{ID: "s", Operation: tt.operation, Params: map[string]any{"message": map[string]any{}}}}},
			}
			if got := fmt.Sprint(tt.run(t.Context(), x)); !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if released != 1 {
				t.Errorf("the agent was let go %d times", released)
			}
		})
	}
}

func TestChecksBeyondTheDataAreAbleToFail(t *testing.T) {
	t.Parallel()
	header := func(kv ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			h.Set(kv[i], kv[i+1])
		}
		return h
	}
	tests := []struct {
		name, test, step, want string
		answer                 answer
	}{
		{"a card to be cached", "CARD-CACHE-001", "step-1", "<nil>", answer{header: header("Cache-Control", "max-age=60")}},
		{"a card with a tag", "CARD-CACHE-001", "step-1", "<nil>", answer{header: header("ETag", `"x"`)}},
		{"a card with neither", "CARD-CACHE-001", "step-1", "neither", answer{header: header("Cache-Control", "no-store")}},
		{"a type", "REST-CT-001", "send", "<nil>", answer{header: header("Content-Type", "application/a2a+json; charset=utf-8")}},
		{"another type", "REST-CT-001", "send", "want application/a2a+json", answer{header: header("Content-Type", "application/json")}},
		{"another type of JSON-RPC", "JSONRPC-CT-001", "send-raw", "want application/json", answer{header: header("Content-Type", "text/plain")}},
		{"a response that is no object of the schema", "DM-SERIAL-002", "send", "send: schema", answer{body: map[string]any{"tusk": 1}}},
		{"a card that is none", "CARD-SCHEMA-001", "step-1", "step-1: schema", answer{body: map[string]any{}}},
		{"snake case", "DM-FMT-001", "send-raw", `a member "context_id"`, answer{body: map[string]any{"result": map[string]any{"context_id": 1}}}},
		{"a status", "GRPC-STATUS-001", "get-missing", "<nil>", answer{err: &wire.Error{Code: "NotFound"}}},
		{"another status", "GRPC-STATUS-001", "get-missing", "want NOT_FOUND", answer{err: &wire.Error{Code: "Internal"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := &execution{answers: map[string]*answer{tt.step: &tt.answer}}
			if got := fmt.Sprint(specials()[tt.test].after(t.Context(), x)); !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestTheClientIsSeenToStreamOrNotTo(t *testing.T) {
	t.Parallel()
	for streaming, want := range map[bool]string{false: "<nil>", true: "the client called [SendStreamingMessage"} {
		payload := map[string]any{"capabilities": map[string]any{"streaming": streaming}}
		x := &execution{test: &format.Test{Steps: []*format.Step{{Client: &format.Client{Payload: payload}}}}}
		if got := fmt.Sprint(checkCapabilities(t.Context(), x)); !strings.Contains(got, want) {
			t.Errorf("streaming %v: got %s, want %s", streaming, got, want)
		}
	}
}
