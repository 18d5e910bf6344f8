// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"context"
	"iter"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
)

// Agent is an executor as functions. What Execute and Cancel return is yielded
// as the error; nil says that the iterator ends without one.
type Agent struct {
	Execute func(*Turn) error
	// Cancel yields CANCELED if it is nil.
	Cancel func(*Turn) error
	// Cleanup, if set, is the executor's.
	Cleanup func(ctx context.Context, ec *a2asrv.ExecutorContext, result a2a.SendMessageResult, err error)
}

// Turn is one run of an executor.
type Turn struct {
	*a2asrv.ExecutorContext
	Ctx     context.Context
	Attempt int
	yield   func(a2a.Event, error) bool
}

// Yield yields an event and reports whether to go on.
func (t *Turn) Yield(ev a2a.Event) bool { return t.yield(ev, nil) }

// Status yields a status event, with a message if there is a text.
func (t *Turn) Status(s a2a.TaskState, text ...string) bool {
	var m *a2a.Message
	if len(text) > 0 {
		m = a2a.NewMessageForTask(a2a.MessageRoleAgent, t, a2a.NewTextPart(strings.Join(text, " ")))
	}
	return t.Yield(a2a.NewStatusUpdateEvent(t, s, m))
}

// Working yields a WORKING event.
func (t *Turn) Working() bool { return t.Status(a2a.TaskStateWorking) }

// Complete yields a COMPLETED event.
func (t *Turn) Complete(text ...string) bool { return t.Status(a2a.TaskStateCompleted, text...) }

// Ask yields an INPUT_REQUIRED event.
func (t *Turn) Ask(text ...string) bool { return t.Status(a2a.TaskStateInputRequired, text...) }

// Artifact yields an artifact of one text part.
func (t *Turn) Artifact(id, text string) bool {
	ev := a2a.NewArtifactEvent(t, a2a.NewTextPart(text))
	ev.Artifact.ID = a2a.ArtifactID(id)
	return t.Yield(ev)
}

// Append yields one more text part of an artifact.
func (t *Turn) Append(id, text string) bool {
	return t.Yield(a2a.NewArtifactUpdateEvent(t, a2a.ArtifactID(id), a2a.NewTextPart(text)))
}

// Reply yields a Message.
func (t *Turn) Reply(text string) bool {
	return t.Yield(a2a.NewMessage(a2a.MessageRoleAgent, a2a.NewTextPart(text)))
}

// Text is the text of the user's message.
func (t *Turn) Text() string {
	if t.Message == nil {
		return ""
	}
	return TextOf(t.Message.Parts)
}

// Wait waits until the executor's context ends and returns why.
func (t *Turn) Wait() error {
	<-t.Ctx.Done()
	return context.Cause(t.Ctx)
}

// TextOf joins the texts of parts.
func TextOf(parts a2a.ContentParts) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text())
	}
	return b.String()
}

func (a Agent) executor() a2asrv.AgentExecutor {
	if a.Execute == nil {
		a.Execute = func(t *Turn) error {
			t.Complete()
			return nil
		}
	}
	if a.Cancel == nil {
		a.Cancel = func(t *Turn) error {
			t.Status(a2a.TaskStateCanceled)
			return nil
		}
	}
	if a.Cleanup != nil {
		return cleaner{executor{a}}
	}
	return executor{a}
}

type executor struct{ a Agent }

type cleaner struct{ executor }

func (c cleaner) Cleanup(ctx context.Context, ec *a2asrv.ExecutorContext, result a2a.SendMessageResult, err error) {
	c.a.Cleanup(ctx, ec, result, err)
}

func (e executor) Execute(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return run(ctx, ec, e.a.Execute)
}

func (e executor) Cancel(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return run(ctx, ec, e.a.Cancel)
}

func run(ctx context.Context, ec *a2asrv.ExecutorContext, f func(*Turn) error) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		t := &Turn{ExecutorContext: ec, Ctx: ctx, Attempt: agent.Attempt(ctx), yield: yield}
		if err := f(t); err != nil {
			yield(nil, err)
		}
	}
}

// StoredTaskHistory is the history that the executor is given.
func (t *Turn) StoredTaskHistory() []*a2a.Message {
	if t.StoredTask == nil {
		return nil
	}
	return t.StoredTask.History
}
