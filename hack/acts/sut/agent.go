// SPDX-License-Identifier: Apache-2.0

// Package sut is the system under test: Errand with an agent whose behaviour
// the first word of a message chooses, as the contract of ACTS has it.
package sut

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
)

// HoldKey is a key of a request's metadata. The run that finds it there stops
// once it has said that it works, until the gate of the value is opened.
const HoldKey = "acts.hold"

// longRun is longer than the second in which a test polls for WORKING.
const longRun = 2500 * time.Millisecond

// agent is the executor.
type agent struct{ gates *Gates }

// Behaviors are the prefixes that the agent understands.
func Behaviors() []string {
	var names []string
	for name := range behaviors() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

type behavior func(*run) bool

func behaviors() map[string]behavior {
	return map[string]behavior{
		"tck-complete-task":     (*run).complete,
		"tck-input-required":    func(r *run) bool { return r.park(a2a.TaskStateInputRequired, "Which one?") },
		"tck-auth-required":     func(r *run) bool { return r.park(a2a.TaskStateAuthRequired, "Please log in.") },
		"tck-reject-task":       func(r *run) bool { return r.status(a2a.TaskStateRejected, "I do not do that.") },
		"tck-task-failure":      func(r *run) bool { return r.status(a2a.TaskStateFailed, "It went wrong, as it was asked to.") },
		"tck-message-response":  (*run).reply,
		"tck-multi-turn":        (*run).multiTurn,
		"tck-cancel":            (*run).untilCanceled,
		"tck-long-running":      (*run).longRunning,
		"tck-stream-basic":      (*run).streamBasic,
		"tck-stream-chunked":    (*run).streamChunked,
		"tck-artifact-text":     func(r *run) bool { return r.deliver(a2a.NewTextPart("Generated text content")) },
		"tck-artifact-data":     func(r *run) bool { return r.deliver(a2a.NewDataPart(map[string]any{"key": "value", "n": 42})) },
		"tck-artifact-file":     func(r *run) bool { return r.deliver(filePart()) },
		"tck-artifact-file-url": func(r *run) bool { return r.deliver(fileURLPart()) },
	}
}

func filePart() *a2a.Part {
	p := a2a.NewRawPart([]byte("%PDF-1.4 an example"))
	p.Filename, p.MediaType = "document.pdf", "application/pdf"
	return p
}

func fileURLPart() *a2a.Part {
	p := a2a.NewFileURLPart("https://example.com/document.pdf", "application/pdf")
	p.Filename = "document.pdf"
	return p
}

// run is one run of the executor.
type run struct {
	*a2asrv.ExecutorContext
	ctx   context.Context
	gates *Gates
	yield func(a2a.Event, error) bool
}

func (a *agent) Execute(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		r := &run{ec, ctx, a.gates, yield}
		b, ok := behaviors()[r.word()]
		if !ok {
			r.status(a2a.TaskStateFailed, "The message does not begin with a known behaviour.")
			return
		}
		b(r)
	}
}

func (a *agent) Cancel(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCanceled, nil), nil)
	}
}

// word is the behaviour: that of the task's first message, since follow-ups
// need not repeat it.
func (r *run) word() string {
	first := r.Message
	if r.StoredTask != nil && len(r.StoredTask.History) > 0 {
		first = r.StoredTask.History[0]
	}
	word, _, _ := strings.Cut(textOf(first), " ")
	return word
}

func textOf(m *a2a.Message) string {
	if m == nil || len(m.Parts) == 0 {
		return ""
	}
	return m.Parts[0].Text()
}

// followUp tells whether the message continues a task.
func (r *run) followUp() bool {
	if r.StoredTask == nil || len(r.StoredTask.History) == 0 || r.Message == nil {
		return false
	}
	return r.StoredTask.History[0].ID != r.Message.ID
}

func (r *run) status(s a2a.TaskState, text string) bool {
	var m *a2a.Message
	if text != "" {
		m = a2a.NewMessageForTask(a2a.MessageRoleAgent, r, a2a.NewTextPart(text))
	}
	return r.yield(a2a.NewStatusUpdateEvent(r, s, m), nil)
}

// deliver completes the task with one artifact.
func (r *run) deliver(part *a2a.Part) bool {
	return r.yield(a2a.NewArtifactEvent(r, part), nil) && r.status(a2a.TaskStateCompleted, "")
}

func (r *run) complete() bool {
	return r.yield(a2a.NewArtifactEvent(r, a2a.NewTextPart("The result.")), nil) &&
		r.status(a2a.TaskStateCompleted, "Hello from the agent.")
}

// park asks once; the next message completes the task.
func (r *run) park(s a2a.TaskState, question string) bool {
	if r.followUp() {
		return r.complete()
	}
	return r.status(s, question)
}

func (r *run) reply() bool {
	return r.yield(a2a.NewMessage(a2a.MessageRoleAgent, a2a.NewTextPart("Hello, without a task.")), nil)
}

// multiTurn asks until somebody says done. It asks without words: tests count
// the messages of the history, of which only those of the user are foreseen.
func (r *run) multiTurn() bool {
	if r.followUp() && textOf(r.Message) == "done" {
		return r.complete()
	}
	return r.status(a2a.TaskStateInputRequired, "")
}

func (r *run) untilCanceled() bool {
	if !r.status(a2a.TaskStateWorking, "") {
		return false
	}
	<-r.ctx.Done()
	return false
}

// longRunning works for a while, or as long as its gate is shut.
func (r *run) longRunning() bool {
	if !r.status(a2a.TaskStateWorking, "") {
		return false
	}
	if _, held := r.Metadata[HoldKey]; !held {
		timer := time.NewTimer(longRun)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.ctx.Done():
			return false
		}
	}
	return r.wait() && r.complete()
}

func (r *run) streamBasic() bool {
	return r.status(a2a.TaskStateWorking, "") && r.wait() && r.deliver(a2a.NewTextPart("Streamed content"))
}

func (r *run) streamChunked() bool {
	if !r.status(a2a.TaskStateWorking, "") {
		return false
	}
	first := a2a.NewArtifactEvent(r, a2a.NewTextPart("first chunk, "))
	if !r.yield(first, nil) {
		return false
	}
	for _, text := range []string{"second chunk, ", "third chunk"} {
		next := a2a.NewArtifactUpdateEvent(r, first.Artifact.ID, a2a.NewTextPart(text))
		next.LastChunk = text == "third chunk"
		if !r.yield(next, nil) {
			return false
		}
	}
	return r.status(a2a.TaskStateCompleted, "")
}

// wait stands before a gate, if the request says so.
func (r *run) wait() bool {
	name, ok := r.Metadata[HoldKey].(string)
	if !ok {
		return true
	}
	select {
	case <-r.gates.gate(name):
		return true
	case <-r.ctx.Done():
		return false
	}
}
