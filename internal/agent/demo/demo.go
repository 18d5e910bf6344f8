// SPDX-License-Identifier: Apache-2.0

// Package demo is the agent that `errand dev` serves and that tests and
// benchmarks lean on. The first word of a message decides what it does; see
// Card for the words. It holds nothing in memory between two turns or two
// attempts: whatever it must know it reads from the StoredTask, so that it
// shows how an agent survives the loss of its process.
package demo

import (
	"context"
	"iter"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
)

// Executor is the demo agent as the SDK's executor.
type Executor struct{}

var _ a2asrv.AgentExecutor = (*Executor)(nil)

// New returns the demo agent's executor.
func New() *Executor { return &Executor{} }

// Agent returns the demo agent as the default agent of a registry. It keeps
// what a failed attempt recorded, because count goes on from there; every
// other word replaces its artifact under a fixed id and so repeats nothing.
func Agent() agent.Agent {
	return agent.Agent{
		Card:     Card(),
		Executor: New(),
		Policy:   agent.Policy{OnRetry: agent.KeepArtifacts},
	}
}

// Execute runs one attempt of one turn.
func (*Executor) Execute(ctx context.Context, exec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		t := &turn{exec: exec, yield: yield}
		text := textOf(exec.Message)
		if t.answersQuestion() {
			t.echo(text)
			return
		}
		t.run(ctx, text)
	}
}

// Cancel agrees at once: no word holds anything that would need undoing.
func (*Executor) Cancel(_ context.Context, exec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(exec, a2a.TaskStateCanceled, nil), nil)
	}
}

// run does what the first word of the text says.
func (t *turn) run(ctx context.Context, text string) {
	word, rest := splitWord(text)
	switch word {
	case "count":
		t.count(ctx, rest)
	case "sleep":
		t.sleep(ctx, rest)
	case "ask":
		t.park(a2a.TaskStateInputRequired, orElse(rest, "What shall I echo?"))
	case "auth":
		t.park(a2a.TaskStateAuthRequired, "Please authorize this task, then send a message to go on.")
	case "fail":
		t.end(a2a.TaskStateFailed, orElse(rest, "failed, as you asked"))
	case "reject":
		t.reject(orElse(rest, "rejected, as you asked"))
	case "flaky":
		t.flaky(ctx, rest)
	case "crash":
		t.crash()
	case "hang":
		t.hang(ctx)
	case "message":
		t.message(orElse(rest, "a message, as you asked"))
	case "file":
		t.file()
	case "data":
		t.data()
	case "echo":
		t.echo(rest)
	default:
		t.echo(text)
	}
}
