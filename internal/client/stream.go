// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"strconv"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/uuid"

	"github.com/errand-a2a/errand/internal/sse"
)

// StreamItem is one event of a stream.
type StreamItem struct {
	// ID is the event's number in its task, 0 where the agent does not number.
	ID uint64
	Reply
}

// Stream sends a message and yields the events of the turn it starts. It ends
// after a Message, after a terminal state, or in an interrupted state when the
// agent closes the stream there; a connection that breaks before that is
// replaced and nobody sees it but the Hooks. A yielded error is the last item.
func (c *Client) Stream(ctx context.Context, req *a2a.SendMessageRequest, o SendOptions) iter.Seq2[StreamItem, error] {
	return func(yield func(StreamItem, error) bool) {
		f := &follower{c: c, yield: yield, patience: patience{limit: c.opts.GiveUp}}
		f.send = sendCall(c.prepare(req), cmp.Or(o.IdempotencyKey, uuid.NewString()), true)
		f.run(ctx)
	}
}

// Subscribe yields the events of a task that exists. With after 0 the first is
// the Task as it is; otherwise an agent that numbers events, as Errand does,
// goes on with after+1. It ends as Stream does, and of a task that is over it
// yields the Task.
func (c *Client) Subscribe(ctx context.Context, taskID string, after uint64) iter.Seq2[StreamItem, error] {
	return func(yield func(StreamItem, error) bool) {
		f := &follower{c: c, yield: yield, patience: patience{limit: c.opts.GiveUp}, task: taskID, subscribed: true}
		f.cursor, f.numbered = after, after > 0
		f.run(ctx)
	}
}

// follower carries one stream over its connections.
type follower struct {
	c        *Client
	yield    func(StreamItem, error) bool
	patience patience

	send       call   // what Stream sends; unused when subscribed
	subscribed bool   // the caller asked for a subscription, which crosses turns
	task       string // known once an event named it

	cursor   uint64 // the last number seen, if numbered
	numbered bool
	gap      bool // the last connection ended at a gap behind cursor
	sparse   bool // the agent's numbers have gaps of their own

	state  a2a.TaskState
	opened bool // some connection was answered
	down   bool // Reconnecting was reported and Resumed was not
}

// verdict is what became of a connection.
type verdict int

const (
	broken verdict = iota // another one should follow
	over                  // the stream is complete, or the caller left
	failed                // the error is the caller's
)

var (
	errSilent = errors.New("nothing came, not even a keep-alive")
	errGap    = errors.New("events are missing")
	errClosed = errors.New("the agent closed the stream early")
	errPolled = errors.New("the task goes on and cannot be subscribed to")
)

func (f *follower) run(ctx context.Context) {
	for {
		v, err := f.connect(ctx)
		switch {
		case v == over:
			return
		case ctx.Err() != nil:
			f.yield(StreamItem{}, contextError(ctx))
			return
		case v == failed:
			f.yield(StreamItem{}, err)
			return
		}
		f.down = true
		if err := f.c.pause(ctx, &f.patience, err); err != nil {
			f.yield(StreamItem{}, err)
			return
		}
	}
}

// next is the call of the next connection. A send is repeated, with its key,
// until an event proves that it arrived and names the task.
func (f *follower) next() call {
	if f.task == "" {
		return f.send
	}
	last := ""
	if f.numbered {
		last = strconv.FormatUint(f.cursor, 10)
	}
	return subscribeCall(&a2a.SubscribeToTaskRequest{Tenant: f.c.iface.Tenant, ID: a2a.TaskID(f.task)}, last)
}

func (f *follower) connect(parent context.Context) (verdict, error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	sending := f.task == ""
	resp, err := f.c.open(ctx, f.next())
	if err != nil {
		return f.refused(parent, err, sending)
	}
	defer func() { _ = resp.Body.Close() }()
	f.opened = true
	f.patience.alive()
	if resp.StatusCode == http.StatusNoContent {
		return f.look(parent, errClosed)
	}
	if mt, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mt != "text/event-stream" {
		return f.single(parent, resp, sending)
	}
	w := &watchdog{body: resp.Body, idle: f.c.opts.Idle, bark: func() { cancel(errSilent) }}
	defer w.stop()
	return f.read(ctx, parent, w, sending)
}

// read takes the events of one connection.
func (f *follower) read(ctx, parent context.Context, w *watchdog, sending bool) (verdict, error) {
	r := sse.NewReader(w, sse.Options{MaxEvent: f.c.opts.MaxAnswer, OnComment: func([]byte) { w.arm(); f.flows() }})
	for first := true; ; first = false {
		ev, err := r.Next()
		if err != nil {
			return f.ended(ctx, parent, err, first)
		}
		raw, err := f.c.binding.frame(ev.Data)
		if err != nil {
			return f.refused(parent, f.c.frameError(err), sending && first)
		}
		reply, err := parseReply(raw)
		if err != nil {
			return failed, f.c.badAnswer(err)
		}
		item := StreamItem{Reply: reply}
		if id, err := strconv.ParseUint(ev.ID, 10, 64); err == nil && ev.HasID {
			item.ID = id
		}
		switch f.place(item, first) {
		case duplicate:
			continue
		case hole:
			return broken, fmt.Errorf("%w between %d and %d", errGap, f.cursor, item.ID)
		}
		f.flows()
		if f.deliver(item, sending) {
			return over, nil
		}
	}
}

// ended decides what the end of a connection means.
func (f *follower) ended(ctx, parent context.Context, err error, empty bool) (verdict, error) {
	var large *sse.TooLargeError
	switch {
	case errors.As(err, &large):
		return failed, f.c.badAnswer(err)
	case Interrupted(f.state) && (err == io.EOF || !f.subscribed) && parent.Err() == nil:
		// However a send's stream broke here: what it had to say is said.
		return over, nil
	case errors.Is(context.Cause(ctx), errSilent):
		return broken, errSilent
	case err != io.EOF:
		return broken, &UnreachableError{URL: f.c.iface.URL, Sent: true, Err: err}
	case empty && f.task != "":
		// Errand closes at once when a task is over and its log has no more.
		return f.look(parent, errClosed)
	}
	return broken, errClosed
}

// placing is where an event's number puts it.
type placing int

const (
	fresh placing = iota
	duplicate
	hole
)

// place compares an event's number with the cursor. A snapshot may jump: the
// log behind it was pruned. An agent that shows the same gap twice numbers its
// events sparsely, and gaps mean nothing from then on.
func (f *follower) place(item StreamItem, first bool) placing {
	if item.ID == 0 || !f.numbered {
		return fresh
	}
	if item.ID <= f.cursor {
		return duplicate
	}
	if item.ID == f.cursor+1 || f.sparse || first && item.Kind == KindTask {
		f.gap = f.gap && item.ID != f.cursor+1
		return fresh
	}
	if first && f.gap {
		f.sparse = true
		return fresh
	}
	f.gap = true
	return hole
}

// deliver hands an event to the caller and reports whether it was the last.
func (f *follower) deliver(item StreamItem, sending bool) bool {
	if item.ID != 0 {
		f.cursor, f.numbered = item.ID, true
	}
	if item.Kind != KindMessage {
		f.task = item.TaskID
	}
	if item.Kind == KindTask || item.Kind == KindStatus {
		f.state = item.State
	}
	f.patience.calm()
	if !f.yield(item, nil) || item.Kind == KindMessage || f.state.Terminal() {
		return true
	}
	// A send's own stream would close here. The subscription that has replaced
	// it would not: it goes on into turns that nobody asked for.
	return !sending && !f.subscribed && Interrupted(f.state)
}

// flows notes that a connection works again.
func (f *follower) flows() {
	if f.down && f.c.opts.Hooks.Resumed != nil {
		f.c.opts.Hooks.Resumed(f.cursor)
	}
	f.down = false
}

// refused decides what an error means with which a connection was answered, or
// was not.
func (f *follower) refused(ctx context.Context, err error, sending bool) (verdict, error) {
	if !sending && IsName(err, UnsupportedOperation, TaskNotFound, MethodNotFound) {
		// The task may be over, or the agent streams running tasks only.
		return f.look(ctx, err)
	}
	if repeatable(err, true, f.opened || f.patience.tries > 0) {
		return broken, err
	}
	return failed, err
}

// look asks for the task where its stream cannot be had. A task that has
// settled ends the stream, any other is looked at again later.
func (f *follower) look(ctx context.Context, cause error) (verdict, error) {
	raw, err := f.c.once(ctx, getCall(&a2a.GetTaskRequest{Tenant: f.c.iface.Tenant, ID: a2a.TaskID(f.task)}))
	task, err := f.c.taskReply(raw, err)
	if err != nil {
		if repeatable(err, true, f.opened) {
			return broken, err
		}
		return failed, err
	}
	f.opened = true
	f.patience.alive()
	if !Settled(task.State) {
		if IsName(cause, UnsupportedOperation, TaskNotFound, MethodNotFound) {
			cause = errPolled
		}
		return broken, cause
	}
	f.yield(StreamItem{Reply: task.Reply()}, nil)
	return over, nil
}

// single takes an answer that is no stream: an early error, or the one event of
// an agent that does not stream.
func (f *follower) single(ctx context.Context, resp *http.Response, sending bool) (verdict, error) {
	raw, err := f.c.readAnswer(ctx, resp)
	if err != nil {
		return f.refused(ctx, err, sending)
	}
	reply, err := parseReply(raw)
	if err != nil {
		return failed, f.c.badAnswer(err)
	}
	if f.deliver(StreamItem{Reply: reply}, sending) || Interrupted(f.state) {
		return over, nil
	}
	return broken, errClosed
}
