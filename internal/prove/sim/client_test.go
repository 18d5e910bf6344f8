// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// letter is a message that clients send, perhaps more than once.
type letter struct {
	id        string
	key       string
	agent     string
	principal string
	to        *book // the task that it continues; nil: a new one
	queue     map[string]any
	// What the senders were told: that it was taken, that it was not, or nothing.
	taken, refused, unheard int
}

func (l *letter) request(immediate bool) *a2a.SendMessageRequest {
	m := &a2a.Message{ID: l.id, Role: a2a.MessageRoleUser, Parts: a2a.ContentParts{a2a.NewTextPart("do " + l.id)}}
	if l.to != nil {
		m.TaskID = a2a.TaskID(l.to.ref.ID)
	}
	if l.queue != nil {
		m.Metadata = map[string]any{task.QueueURI: l.queue}
	}
	return &a2a.SendMessageRequest{Message: m, Config: &a2a.SendMessageConfig{ReturnImmediately: immediate}}
}

func (l *letter) call() engine.Call {
	c := engine.Call{Scope: task.Scope{Principal: l.principal}, Agent: l.agent, Key: l.key}
	if l.queue != nil {
		c.Extensions = []string{task.QueueURI}
	}
	return c
}

// op is one call of a client.
type op struct {
	w      *world
	number int
	name   string
	what   string
	rep    *replica
	eng    *engine.Engine
	ctx    context.Context
	cancel context.CancelFunc
	letter *letter
	b      *book // what is read or cancelled
	from   *uint64
	seen   uint64 // what was committed of b when the call began

	done   bool
	cut    bool // nobody waits for the answer any more
	result string
	// cursor is the last sequence that a stream has shown; began says that it
	// has shown anything.
	cursor uint64
	began  bool
	follow bool
}

// run plays the call; it is a goroutine of its own.
func (o *op) run(play func() string) {
	result := play()
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	o.done, o.result = true, result
}

// over tells whether the call has been answered.
func (o *op) over() bool {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	return o.done
}

func (o *op) read() engine.Call {
	return engine.Call{Scope: o.b.ref.Scope, Agent: o.b.agent}
}

// send waits for the reply.
func (o *op) send(immediate bool) string {
	reply, err := o.eng.Send(o.ctx, o.letter.call(), o.letter.request(immediate))
	if err != nil {
		return o.told(err)
	}
	o.w.oracle.replied(o, reply.JSON, immediate)
	o.tally("taken")
	return "replied"
}

// stream sends and follows the turn.
func (o *op) stream() string {
	f, err := o.eng.Stream(o.ctx, o.letter.call(), o.letter.request(false))
	if err != nil {
		return o.told(err)
	}
	defer f.Close()
	o.tally("taken")
	err = o.read1(f)
	if errors.Is(err, io.EOF) {
		o.w.oracle.streamed(o)
	} else if w := o.told(err); w != "canceled" {
		return "stream: " + w
	}
	return "streamed to " + strconv.FormatUint(o.cursor, 10)
}

// subscribe follows a task.
func (o *op) subscribe() string {
	f, err := o.eng.Subscribe(o.ctx, o.read(), &a2a.SubscribeToTaskRequest{ID: a2a.TaskID(o.b.ref.ID)}, o.from)
	if err != nil {
		return short(err) + o.unexpected(err)
	}
	defer f.Close()
	if o.from != nil {
		o.cursor, o.began = *o.from, true
		o.w.count("resumed streams")
	}
	o.follow = true
	err = o.read1(f)
	if errors.Is(err, io.EOF) {
		o.w.oracle.followed(o)
		return "followed to " + strconv.FormatUint(o.cursor, 10)
	}
	return "follow: " + short(err) + o.unexpected(err)
}

// read1 reads a stream to its end, a step for each time that it is read.
func (o *op) read1(f *engine.Follower) error {
	for {
		if o.w.park(&call{label: o.name + " reads on", what: "next", rep: o.rep, op: o}).kill {
			return context.Canceled
		}
		frames, err := f.Next(o.ctx, 0)
		if err != nil {
			return err
		}
		o.w.oracle.shown(o, frames)
	}
}

// stop cancels a task.
func (o *op) stop() string {
	out, err := o.eng.Cancel(o.ctx, o.read(), &a2a.CancelTaskRequest{ID: a2a.TaskID(o.b.ref.ID)})
	o.w.oracle.canceled(o, out, err)
	return "cancel: " + short(err) + o.unexpected(err)
}

func (o *op) get() string {
	out, err := o.eng.Get(o.ctx, o.read(), &a2a.GetTaskRequest{ID: a2a.TaskID(o.b.ref.ID)})
	if err == nil {
		o.w.oracle.gotten(o, out)
	}
	return "get: " + short(err) + o.unexpected(err)
}

// spy asks for somebody else's task.
func (o *op) spy() string {
	call := o.read()
	call.Principal = "mallory"
	out, err := o.eng.Get(o.ctx, call, &a2a.GetTaskRequest{ID: a2a.TaskID(o.b.ref.ID)})
	if err == nil {
		o.w.fail("I23 scopes", "%s was shown to somebody else: %s", o.b.name, out)
	}
	_, err = o.eng.Cancel(o.ctx, call, &a2a.CancelTaskRequest{ID: a2a.TaskID(o.b.ref.ID)})
	if err == nil {
		o.w.fail("I23 scopes", "%s was cancelled by somebody else", o.b.name)
	}
	o.w.count("calls for somebody else's task")
	return "spied"
}

func (o *op) list() string {
	call := engine.Call{Scope: task.Scope{Principal: o.letter.principal}, Agent: o.letter.agent}
	out, err := o.eng.List(o.ctx, call, &a2a.ListTasksRequest{PageSize: 100, IncludeArtifacts: true})
	if err == nil {
		o.w.oracle.listed(o, out)
	}
	return "list: " + short(err) + o.unexpected(err)
}

// told notes what a sender was told by an error.
func (o *op) told(err error) string {
	var e *task.Error
	switch {
	case err == nil:
		return "ok"
	case !errors.As(err, &e):
		o.tally("unheard")
		if o.ended() || errors.Is(err, context.Canceled) {
			return "canceled"
		}
		return short(err) + o.unexpected(err)
	case strings.HasPrefix(e.Message, "the wait ended before"), strings.HasPrefix(e.Message, "the message was accepted"):
		o.tally("taken")
		return "wait ended"
	case strings.HasPrefix(e.Message, "the task ended before this message"):
		o.tally("taken")
		o.w.count("turns told that their task has ended")
		return "turn canceled"
	case strings.HasPrefix(e.Message, "the deadline of this message passed before"):
		o.tally("taken")
		o.w.count("turns told that their deadline has passed")
		return "turn withdrawn"
	case errors.Is(err, store.ErrUnknown):
		o.tally("unheard")
		o.w.count("senders told that the outcome is unknown")
		return "unknown"
	case strings.HasPrefix(e.Message, "the call ended early"), o.ended():
		o.tally("unheard")
		return "cut"
	}
	o.tally("refused")
	return "refused: " + short(err)
}

// ended tells whether nobody waits for the answer.
func (o *op) ended() bool {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	return o.cut || o.rep.dead
}

func (o *op) tally(what string) {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	l := o.letter
	switch what {
	case "taken":
		l.taken++
	case "refused":
		l.refused++
	default:
		l.unheard++
	}
}

// unexpected is a violation: everything that can go wrong here has a name.
func (o *op) unexpected(err error) string {
	var e *task.Error
	if err == nil || errors.As(err, &e) || errors.Is(err, context.Canceled) || o.ended() {
		return ""
	}
	o.w.fail("I28 errors", "%s %s was answered with an internal error: %v", o.name, o.what, err)
	return "!"
}
