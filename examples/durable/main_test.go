// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
)

// start serves the agent from the file and returns a client and a stop.
func start(t *testing.T, path string) (*a2aclient.Client, func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, ln, path) }()
	url := "http://" + ln.Addr().String()
	client, err := a2aclient.NewFromEndpoints(t.Context(), []*a2a.AgentInterface{
		a2a.NewAgentInterface(url, a2a.TransportProtocolJSONRPC),
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
		_ = client.Destroy()
	}
}

func TestAnAgentOfTheSDKKeepsItsTasksOverARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tasks.db")
	client, stop := start(t, path)
	id := shout(t, client, "hello")
	stop()

	client, stop = start(t, path)
	defer stop()
	task, err := client.GetTask(t.Context(), &a2a.GetTaskRequest{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	if got := task.Artifacts[0].Parts[0].Text(); got != "HELLO" {
		t.Errorf("the artifact after the restart is %q, want HELLO", got)
	}
	if task.Status.State != a2a.TaskStateCompleted {
		t.Errorf("the state after the restart is %s, want completed", task.Status.State)
	}
}

// shout sends a text, trying again while the server is not up yet.
func shout(t *testing.T, client *a2aclient.Client, text string) a2a.TaskID {
	t.Helper()
	req := &a2a.SendMessageRequest{Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text))}
	var res a2a.SendMessageResult
	var err error
	for range 1000 {
		if res, err = client.SendMessage(t.Context(), req); err == nil {
			break
		}
	}
	task, ok := res.(*a2a.Task)
	if !ok {
		t.Fatalf("the reply is %T (%v), want a task", res, err)
	}
	return task.ID
}
