// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"

	"github.com/errand-a2a/errand"
)

func TestAFailedRunIsContinuedWithTheStepThatFailed(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var calls []string
	r := researcher{steps: []string{"read", "compare", "write"}}
	r.do = func(_ context.Context, step string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, step)
		if step == "compare" && len(calls) == 2 {
			return "", errand.RetryAfter(time.Millisecond, errors.New("the library is closed"))
		}
		return "I did: " + step, nil
	}
	task := research(t, r)

	if got, want := fmt.Sprint(calls), "[read compare compare write]"; got != want {
		t.Errorf("the steps were done as %s, want %s: a recorded step is not repeated", got, want)
	}
	var parts []string
	for _, p := range task.Artifacts[0].Parts {
		parts = append(parts, p.Text())
	}
	if got, want := strings.Join(parts, "; "), "I did: read; I did: compare; I did: write"; got != want {
		t.Errorf("the report is %q, want %q", got, want)
	}
}

// research runs the agent on one message, over HTTP and on a file.
func research(t *testing.T, r researcher) *a2a.Task {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	e, err := errand.New(ctx, errand.Options{Store: errand.SQLite(filepath.Join(t.TempDir(), "r.db"))}, agent(r))
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }()
	<-e.Started()
	srv := httptest.NewServer(e)
	t.Cleanup(func() {
		srv.Close()
		cancel()
		if err := errors.Join(<-ran, e.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	client, err := a2aclient.NewFromEndpoints(ctx, []*a2a.AgentInterface{
		a2a.NewAgentInterface(srv.URL, a2a.TransportProtocolHTTPJSON),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Destroy() })
	req := &a2a.SendMessageRequest{Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart("go"))}
	res, err := client.SendMessage(ctx, req)
	task, ok := res.(*a2a.Task)
	if !ok {
		t.Fatalf("the reply is %T (%v), want a task", res, err)
	}
	return task
}
