// SPDX-License-Identifier: Apache-2.0

package sut

import (
	"errors"
	"io"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/errand-a2a/errand/hack/acts/match"
	"github.com/errand-a2a/errand/hack/acts/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started returns a server and its JSON-RPC binding.
func started(t *testing.T) (*Server, wire.Binding) {
	t.Helper()
	s, err := Start(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	hc := &http.Client{Transport: &http.Transport{}}
	b, err := wire.Dial("jsonrpc", s.URL, wire.Options{HTTP: hc, Version: "1.0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		hc.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the store is left behind: %v", err)
		}
	})
	return s, b
}

func params(text string, more ...any) map[string]any {
	p := map[string]any{"message": map[string]any{"role": "ROLE_USER", "parts": []any{map[string]any{"text": text}}}}
	for i := 0; i < len(more); i += 2 {
		p[more[i].(string)] = more[i+1]
	}
	return wire.Request("send_message", p)
}

func at(t *testing.T, v any, path string) any {
	t.Helper()
	p, err := match.ParsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	return p.One(v)
}

func TestEachBehaviourEndsAsTheContractSays(t *testing.T) {
	t.Parallel()
	_, b := started(t)
	want := map[string][2]string{ // the path of something that must be there, and the state
		"tck-complete-task x":     {"task.status.message", "COMPLETED"},
		"tck-input-required x":    {"task.status.message", "INPUT_REQUIRED"},
		"tck-auth-required x":     {"task.status.message", "AUTH_REQUIRED"},
		"tck-reject-task x":       {"task.status.message", "REJECTED"},
		"tck-task-failure x":      {"task.status.message", "FAILED"},
		"tck-multi-turn x":        {"task.id", "INPUT_REQUIRED"},
		"tck-long-running x":      {"task.artifacts[0]", "COMPLETED"},
		"tck-stream-basic x":      {"task.artifacts[0]", "COMPLETED"},
		"tck-stream-chunked x":    {"task.artifacts[0].parts[2]", "COMPLETED"},
		"tck-artifact-text x":     {"task.artifacts[0].parts[0].text", "COMPLETED"},
		"tck-artifact-data x":     {"task.artifacts[0].parts[0].data.key", "COMPLETED"},
		"tck-artifact-file x":     {"task.artifacts[0].parts[0].raw", "COMPLETED"},
		"tck-artifact-file-url x": {"task.artifacts[0].parts[0].url", "COMPLETED"},
		"something else":          {"task.status.message", "FAILED"},
	}
	if n := len(Behaviors()); n != len(want)+1 { // with tck-message-response and tck-cancel, without the last
		t.Errorf("%d behaviours, %d are tried", n, len(want)+1)
	}
	for text, w := range want {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			r, err := b.Call(t.Context(), "send_message", params(text))
			if err != nil {
				t.Fatal(err)
			}
			if _, missing := at(t, r.Body, w[0]).(match.Missing); missing || at(t, r.Body, "task.status.state") != "TASK_STATE_"+w[1] {
				t.Errorf("got %s", match.Show(r.Body))
			}
		})
	}
	t.Run("tck-message-response x", func(t *testing.T) {
		t.Parallel()
		r, err := b.Call(t.Context(), "send_message", params("tck-message-response x"))
		if err != nil || at(t, r.Body, "message.role") != "ROLE_AGENT" {
			t.Errorf("got %v, %v", r, err)
		}
	})
	t.Run("tck-cancel x", func(t *testing.T) {
		t.Parallel()
		now := map[string]any{"returnImmediately": true}
		r, err := b.Call(t.Context(), "send_message", params("tck-cancel x", "configuration", now))
		if err != nil {
			t.Fatal(err)
		}
		r, err = b.Call(t.Context(), "cancel_task", map[string]any{"id": at(t, r.Body, "task.id")})
		if err != nil || at(t, r.Body, "status.state") != "TASK_STATE_CANCELED" {
			t.Errorf("got %v, %v", r, err)
		}
	})
}

func TestFollowUpsAreUnderstoodWithoutTheFirstWord(t *testing.T) {
	t.Parallel()
	_, b := started(t)
	for _, talk := range [][][2]string{
		{{"tck-multi-turn x", "INPUT_REQUIRED"}, {"more", "INPUT_REQUIRED"}, {"done", "COMPLETED"}},
		{{"tck-input-required x", "INPUT_REQUIRED"}, {"this one", "COMPLETED"}},
		{{"tck-auth-required x", "AUTH_REQUIRED"}, {"here I am", "COMPLETED"}},
	} {
		var id any
		for _, turn := range talk {
			p := params(turn[0])
			if id != nil {
				p = params(turn[0], "taskId", id)
			}
			r, err := b.Call(t.Context(), "send_message", p)
			if err != nil {
				t.Fatal(err)
			}
			if id = at(t, r.Body, "task.id"); at(t, r.Body, "task.status.state") != "TASK_STATE_"+turn[1] {
				t.Errorf("%v: %s", turn, match.Show(r.Body))
			}
		}
	}
}

func TestAGateHoldsARunUntilItIsOpened(t *testing.T) {
	t.Parallel()
	s, b := started(t)
	src, err := b.Open(t.Context(), "send_streaming_message", params("tck-stream-basic x", "metadata", map[string]any{HoldKey: "g"}))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var task any
	next := func() any {
		e, err := src.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if id := at(t, e.Body, "task.id"); id != any(match.Missing{}) {
			task = id
		}
		return at(t, e.View(), "status.state")
	}
	for next() != "TASK_STATE_WORKING" {
	}
	r, err := b.Call(t.Context(), "get_task", map[string]any{"id": task})
	if err != nil || at(t, r.Body, "status.state") != "TASK_STATE_WORKING" {
		t.Errorf("behind the gate: %v, %v", r, err)
	}
	s.Gates.Open("g")
	var last any
	for state := next(); state != nil; state = next() {
		last = state
	}
	if last != "TASK_STATE_COMPLETED" {
		t.Errorf("the last state is %v", last)
	}
}
