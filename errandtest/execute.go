// SPDX-License-Identifier: Apache-2.0

package errandtest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand"
)

// Session is a conversation with an executor.
type Session struct {
	// Events are what a client sees of all turns so far: the Task first, then
	// its updates; or one Message. Each is recorded already.
	Events []a2a.Event
	// Task is the task after the last turn; nil if the answer was a Message.
	Task *a2a.Task
	// Message is the answer of an executor that makes no task.
	Message *a2a.Message

	tb      testing.TB
	handler a2asrv.RequestHandler
}

// patience bounds a turn: a test that hangs says nothing.
const patience = time.Minute

// Execute runs an executor on a message until its turn has ended: the task is
// done, or waits for the next message. Attempts that fail are not repeated;
// NewServer runs an agent with its policy.
func Execute(tb testing.TB, e a2asrv.AgentExecutor, msg *a2a.Message) *Session {
	tb.Helper()
	agent := agentOf(e)
	agent.Policy.Retry.MaxAttempts = 1
	x, err := errand.New(tb.Context(), errand.Options{
		Store: errand.Memory(), ShutdownTimeout: time.Millisecond, Logger: slog.New(slog.NewTextHandler(tb.Output(), nil)),
	}, agent)
	if err != nil {
		tb.Fatalf("errandtest: %v", err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	ran := make(chan error, 1)
	go func() { ran <- x.Run(ctx) }()
	tb.Cleanup(func() {
		stop()
		if err := errors.Join(<-ran, x.Close()); err != nil {
			tb.Errorf("errandtest: stop: %v", err)
		}
	})
	<-x.Started()
	s := &Session{tb: tb, handler: x.RequestHandler()}
	s.turn(msg)
	return s
}

// Next sends another message to the task, which waits for one, and runs its turn.
func (s *Session) Next(msg *a2a.Message) *Session {
	s.tb.Helper()
	if s.Task == nil {
		s.tb.Fatalf("errandtest: there is no task to go on with")
	}
	m := *msg
	m.TaskID, m.ContextID = s.Task.ID, s.Task.ContextID
	s.turn(&m)
	return s
}

func (s *Session) turn(msg *a2a.Message) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(s.tb.Context(), patience)
	defer cancel()
	if err := s.collect(ctx, msg); err != nil {
		s.tb.Fatalf("errandtest: send: %v", err)
	}
	var id a2a.TaskID
	switch ev := s.Events[len(s.Events)-1].(type) {
	case *a2a.Message:
		s.Message = ev
		return
	case *a2a.Task:
		id = ev.ID
	default:
		id = ev.TaskInfo().TaskID
	}
	var err error
	if s.Task, err = s.handler.GetTask(ctx, &a2a.GetTaskRequest{ID: id}); err != nil {
		s.tb.Fatalf("errandtest: read the task: %v", err)
	}
}

func (s *Session) collect(ctx context.Context, msg *a2a.Message) error {
	n := len(s.Events)
	for ev, err := range s.handler.SendStreamingMessage(ctx, &a2a.SendMessageRequest{Message: msg}) {
		if err != nil {
			return err
		}
		s.Events = append(s.Events, ev)
	}
	if len(s.Events) == n {
		return errors.New("no event of the turn")
	}
	return nil
}

// States lists the states that the task went through, in order.
func (s *Session) States() []a2a.TaskState {
	var states []a2a.TaskState
	for _, ev := range s.Events {
		switch ev := ev.(type) {
		case *a2a.Task:
			states = append(states, ev.Status.State)
		case *a2a.TaskStatusUpdateEvent:
			states = append(states, ev.Status.State)
		}
	}
	return states
}

// Text joins the text of all artifacts of the task as they are at the end, or
// of the Message that was the answer.
func (s *Session) Text() string {
	if s.Task == nil {
		return text(s.Message.Parts)
	}
	all := ""
	for _, a := range s.Task.Artifacts {
		all += text(a.Parts)
	}
	return all
}

func text(parts a2a.ContentParts) string {
	all := ""
	for _, p := range parts {
		all += p.Text()
	}
	return all
}
