// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
)

// The ids of the artifacts are fixed: a later attempt replaces what an earlier
// one recorded, where a random id would leave both.
const (
	countArtifact = a2a.ArtifactID("count")
	echoArtifact  = a2a.ArtifactID("echo")
	flakyArtifact = a2a.ArtifactID("flaky")
	fileArtifact  = a2a.ArtifactID("file")
	dataArtifact  = a2a.ArtifactID("data")
)

// turn is one attempt of one turn. Its methods return false once nobody wants
// further events.
type turn struct {
	exec  *a2asrv.ExecutorContext
	yield func(a2a.Event, error) bool
	// working is set once this attempt has said so.
	working bool
}

// answersQuestion reports whether the message answers a task that ask or auth
// parked. Only the history tells: the state was changed by whoever accepted
// the message.
func (t *turn) answersQuestion() bool {
	if t.exec.StoredTask == nil {
		return false
	}
	var first *a2a.Message
	users := 0
	for _, m := range t.exec.StoredTask.History {
		if m.Role != a2a.MessageRoleUser {
			continue
		}
		if users++; first == nil {
			first = m
		}
	}
	if first == nil || (users == 1 && t.exec.Message != nil && first.ID == t.exec.Message.ID) {
		return false
	}
	word, _ := splitWord(textOf(first))
	return word == "ask" || word == "auth"
}

// begin makes the task where there is none.
func (t *turn) begin() bool {
	return t.exec.StoredTask != nil || t.yield(a2a.NewSubmittedTask(t.exec, t.exec.Message), nil)
}

// work makes the task where there is none and says that it is being worked on.
func (t *turn) work() bool {
	if t.working {
		return true
	}
	if !t.begin() {
		return false
	}
	t.working = true
	if s := t.exec.StoredTask; s != nil && s.Status.State == a2a.TaskStateWorking {
		return true
	}
	return t.status(a2a.TaskStateWorking, "")
}

func (t *turn) status(state a2a.TaskState, text string) bool {
	var msg *a2a.Message
	if text != "" {
		msg = a2a.NewMessageForTask(a2a.MessageRoleAgent, t.exec, a2a.NewTextPart(text))
	}
	return t.yield(a2a.NewStatusUpdateEvent(t.exec, state, msg), nil)
}

// artifact records a whole artifact in one event.
func (t *turn) artifact(id a2a.ArtifactID, parts ...*a2a.Part) bool {
	e := a2a.NewArtifactUpdateEvent(t.exec, id, parts...)
	e.Append, e.LastChunk, e.Artifact.Name = false, true, string(id)
	return t.yield(e, nil)
}

// end works and ends with a status and its message.
func (t *turn) end(state a2a.TaskState, text string) {
	if t.work() {
		t.status(state, text)
	}
}

// park asks the caller for something and gives the task back.
func (t *turn) park(state a2a.TaskState, text string) { t.end(state, text) }

// reject refuses the task before any work.
func (t *turn) reject(text string) {
	if t.begin() {
		t.status(a2a.TaskStateRejected, text)
	}
}

// deliver completes with one artifact.
func (t *turn) deliver(id a2a.ArtifactID, parts ...*a2a.Part) {
	if t.work() && t.artifact(id, parts...) {
		t.status(a2a.TaskStateCompleted, "")
	}
}

func (t *turn) echo(text string) { t.deliver(echoArtifact, a2a.NewTextPart(text)) }

func (t *turn) file() {
	part := a2a.NewRawPart([]byte("A file from the Errand demo agent.\n"))
	part.Filename, part.MediaType = "demo.txt", "text/plain"
	t.deliver(fileArtifact, part)
}

func (t *turn) data() {
	t.deliver(dataArtifact, a2a.NewDataPart(map[string]any{
		"agent":   "errand demo",
		"durable": true,
		"numbers": []any{1.0, 2.0, 3.0},
	}))
}

// message answers without a task.
func (t *turn) message(text string) {
	m := a2a.NewMessage(a2a.MessageRoleAgent, a2a.NewTextPart(text))
	m.ContextID = t.exec.ContextID
	if t.exec.StoredTask != nil {
		m.TaskID = t.exec.TaskID
	}
	t.yield(m, nil)
}

func (t *turn) sleep(ctx context.Context, args string) {
	d, err := parseSleep(args)
	if err != nil {
		t.reject(err.Error())
		return
	}
	if !t.work() {
		return
	}
	if err := pause(ctx, d); err != nil {
		t.yield(nil, err)
		return
	}
	t.status(a2a.TaskStateCompleted, "")
}

func (t *turn) flaky(ctx context.Context, args string) {
	failures, err := parseFlaky(args)
	if err != nil {
		t.reject(err.Error())
		return
	}
	if !t.work() {
		return
	}
	attempt := agent.Attempt(ctx)
	if attempt <= failures {
		t.yield(nil, fmt.Errorf("flaky: attempt %d of %d that fail", attempt, failures))
		return
	}
	t.deliver(flakyArtifact, a2a.NewTextPart("completed on attempt "+strconv.Itoa(attempt)))
}

func (t *turn) crash() {
	if t.work() {
		panic("demo agent: crash, as asked")
	}
}

func (t *turn) hang(ctx context.Context) {
	if !t.work() {
		return
	}
	<-ctx.Done()
	t.yield(nil, fmt.Errorf("hang: %w", context.Cause(ctx)))
}

// pause waits for d or for the end of ctx, whose cause it returns.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
