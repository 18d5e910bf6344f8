// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/task"
)

// Request is a SendMessageRequest in the making.
type Request = a2a.SendMessageRequest

// Say makes a request that says text.
func Say(text string, options ...func(*Request)) *Request {
	r := &Request{Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text))}
	for _, o := range options {
		o(r)
	}
	return r
}

// To makes a follow-up to a task.
func To(id a2a.TaskID) func(*Request) { return func(r *Request) { r.Message.TaskID = id } }

// ID gives the message an id.
func ID(id string) func(*Request) { return func(r *Request) { r.Message.ID = id } }

// AtOnce is returnImmediately.
func AtOnce(r *Request) { r.Config = &a2a.SendMessageConfig{ReturnImmediately: true} }

// Answer is what came of a call.
type Answer struct {
	Task    *a2a.Task
	Message *a2a.Message
	JSON    []byte
	Err     error
}

// Send sends for the unnamed owner and waits for the answer.
func (w *World) Send(r *Request) Answer { return w.SendAs(w.Call(), r) }

// SendAs sends for somebody.
func (w *World) SendAs(call engine.Call, r *Request) Answer {
	return w.SendIn(w.Context(), call, r)
}

// SendIn sends within ctx.
func (w *World) SendIn(ctx context.Context, call engine.Call, r *Request) Answer {
	reply, err := w.Engine.Send(ctx, call, r)
	if err != nil {
		return Answer{Err: err}
	}
	if reply.TaskID != "" {
		w.note(task.Ref{Scope: call.Scope, ID: reply.TaskID})
	}
	a := Answer{JSON: reply.JSON}
	var sr a2a.StreamResponse
	if err := json.Unmarshal(reply.JSON, &sr); err != nil {
		w.Fatalf("reply %s: %v", reply.JSON, err)
	}
	switch ev := sr.Event.(type) {
	case *a2a.Task:
		a.Task = ev
	case *a2a.Message:
		a.Message = ev
	default:
		w.Fatalf("reply of type %T", ev)
	}
	return a
}

// MustSend sends and wants a task.
func (w *World) MustSend(r *Request) *a2a.Task {
	w.Helper()
	a := w.Send(r)
	if a.Err != nil || a.Task == nil {
		w.Fatalf("Send %q: message %v, error %v", TextOf(r.Message.Parts), a.Message, a.Err)
	}
	return a.Task
}

// Later sends in a goroutine of its own.
func (w *World) Later(r *Request) <-chan Answer { return w.LaterAs(w.Call(), r) }

// LaterAs sends for somebody in a goroutine of its own.
func (w *World) LaterAs(call engine.Call, r *Request) <-chan Answer {
	c := make(chan Answer, 1)
	go func() { c <- w.SendAs(call, r) }()
	return c
}

// Cancel cancels a task.
func (w *World) Cancel(id a2a.TaskID) Answer {
	return w.CancelAs(w.Call(), &a2a.CancelTaskRequest{ID: id})
}

// CancelAs cancels for somebody.
func (w *World) CancelAs(call engine.Call, r *a2a.CancelTaskRequest) Answer {
	b, err := w.Engine.Cancel(w.Context(), call, r)
	return w.taskAnswer(b, err)
}

// CancelLater cancels in a goroutine of its own.
func (w *World) CancelLater(id a2a.TaskID) <-chan Answer {
	c := make(chan Answer, 1)
	go func() { c <- w.Cancel(id) }()
	return c
}

// Get gets a task.
func (w *World) Get(id a2a.TaskID) Answer {
	b, err := w.Engine.Get(w.Context(), w.Call(), &a2a.GetTaskRequest{ID: id})
	return w.taskAnswer(b, err)
}

// MustGet gets a task that is there.
func (w *World) MustGet(id a2a.TaskID) *a2a.Task {
	w.Helper()
	a := w.Get(id)
	if a.Err != nil {
		w.Fatalf("Get: %v", a.Err)
	}
	return a.Task
}

// List lists tasks.
func (w *World) List(call engine.Call, r *a2a.ListTasksRequest) (*a2a.ListTasksResponse, error) {
	b, err := w.Engine.List(w.Context(), call, r)
	if err != nil {
		return nil, err
	}
	out := new(a2a.ListTasksResponse)
	if err := json.Unmarshal(b, out); err != nil {
		w.Fatalf("list %s: %v", b, err)
	}
	return out, nil
}

func (w *World) taskAnswer(b []byte, err error) Answer {
	if err != nil {
		return Answer{Err: err}
	}
	t := new(a2a.Task)
	if err := json.Unmarshal(b, t); err != nil {
		w.Fatalf("task %s: %v", b, err)
	}
	return Answer{Task: t, JSON: b}
}

// Stream is a stream that a goroutine reads. Its fields may be read when it is
// done, and Seen before.
type Stream struct {
	mu sync.Mutex

	Frames []engine.Frame
	Events []a2a.Event
	Err    error // nil at the end of the stream
	done   chan struct{}
}

// Seen is what has been read so far.
func (s *Stream) Seen() []engine.Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Frames[:len(s.Frames):len(s.Frames)]
}

// Done is closed at the end of the stream.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Wait waits for the end of the stream.
func (s *Stream) Wait() *Stream {
	<-s.done
	return s
}

// Stream sends and reads the stream in a goroutine of its own.
func (w *World) Stream(r *Request) *Stream { return w.StreamAs(w.Call(), r) }

// StreamAs sends for somebody.
func (w *World) StreamAs(call engine.Call, r *Request) *Stream {
	f, err := w.Engine.Stream(w.Context(), call, r)
	return w.Collect(f, err)
}

// ID is the id of the task that the stream is about.
func (s *Stream) ID() a2a.TaskID {
	for _, ev := range s.Events {
		if ev, ok := ev.(a2a.TaskInfoProvider); ok {
			return ev.TaskInfo().TaskID
		}
	}
	return ""
}

// Subscribe follows a task; cursor nil begins with the Task.
func (w *World) Subscribe(id a2a.TaskID, cursor *uint64) *Stream {
	f, err := w.Engine.Subscribe(w.Context(), w.Call(), &a2a.SubscribeToTaskRequest{ID: id}, cursor)
	return w.Collect(f, err)
}

// Collect reads a follower to its end in a goroutine of its own, and checks
// that it sees every sequence after its first frame, each once and in order.
func (w *World) Collect(f *engine.Follower, err error) *Stream {
	s := &Stream{done: make(chan struct{})}
	if err != nil {
		s.Err = err
		close(s.done)
		return s
	}
	ctx := w.Context()
	go func() {
		defer close(s.done)
		defer f.Close()
		for {
			frames, err := f.Next(ctx, 0)
			for _, fr := range frames {
				w.frame(s, fr)
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				s.Err = err
				return
			}
		}
	}()
	return s
}

func (w *World) frame(s *Stream, fr engine.Frame) {
	if n := len(s.Frames); n > 0 && fr.Seq != s.Frames[n-1].Seq+1 {
		w.Errorf("frame %d follows %d", fr.Seq, s.Frames[n-1].Seq)
	}
	ev := w.Event(fr.Event)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Frames = append(s.Frames, fr)
	s.Events = append(s.Events, ev)
}

// Event decodes a StreamResponse.
func (w *World) Event(b []byte) a2a.Event {
	var sr a2a.StreamResponse
	if err := json.Unmarshal(b, &sr); err != nil {
		w.Errorf("event %s: %v", b, err)
		return nil
	}
	return sr.Event
}
