// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// maxStale bounds how often a follow-up is tried again because the task moved
// on between reading its head and the commit.
const maxStale = 64

// accepted is a turn that the store has taken.
type accepted struct {
	ref    task.Ref
	turn   int
	joined bool
	// cursor is where the turn's events begin: the sequence before its first.
	cursor uint64
	head   store.Head
	// state is the task right after the commit, where it is known without
	// asking the store: of a new task that was published, and of a follow-up
	// that was read whole.
	state *task.State
	// fresh is set when lis has heard everything after cursor.
	fresh bool
	// timed is set when the turn has a deadline.
	timed bool
	lis   *live.Listener
}

// draft is a message on its way into the store.
type draft struct {
	call      Call
	agent     *agent.Agent
	req       *a2a.SendMessageRequest
	msg       *a2a.Message // with the ids filled in
	key       *store.Key
	immediate bool
	whole     bool // a follow-up wants the folded task
	queue     task.Queue
	data      record.Request
}

// accept makes or continues a task. The listener of the answer must be closed.
func (e *Engine) accept(ctx context.Context, call Call, req *a2a.SendMessageRequest, whole bool) (*accepted, error) {
	if err := e.Gate(); err != nil {
		return nil, err
	}
	call, err := e.Admit(ctx, call)
	if err != nil {
		return nil, err
	}
	if err := validateSend(req); err != nil {
		return nil, err
	}
	if err := call.agent.CheckModes(req); err != nil {
		return nil, err
	}
	d := &draft{call: call, agent: call.agent, req: req, whole: whole}
	if d.queue, err = queueOf(call, req); err != nil {
		return nil, err
	}
	if d.data, err = e.request(ctx, call, req.Metadata); err != nil {
		return nil, err
	}
	if req.Config != nil {
		d.data.Accepts = req.Config.AcceptedOutputModes
	}
	d.data.MaxAttempts = d.queue.MaxAttempts
	d.immediate = req.Config != nil && req.Config.ReturnImmediately && !whole
	m := *req.Message
	d.msg = &m
	if err := e.makeKey(d); err != nil {
		return nil, err
	}
	if m.TaskID == "" {
		return e.acceptNew(ctx, d)
	}
	return e.acceptFollowUp(ctx, d)
}

// makeKey hashes the message as the client sent it.
func (e *Engine) makeKey(d *draft) error {
	value := ""
	switch {
	case d.call.Key != "":
		value = "k:" + d.call.Key
	case d.agent.Policy.MessageIDKey:
		value = "m:" + d.req.Message.ID
	}
	body, err := record.AppendMessage(nil, d.req.Message)
	if err != nil {
		return task.Invalid(a2a.ErrInvalidParams, "message", "%s", err)
	}
	if len(body) > e.Limits.Event {
		return task.Invalid(task.ErrTooLarge, "message", "%d bytes; at most %d are allowed", len(body), e.Limits.Event)
	}
	if value == "" {
		return nil
	}
	sum := sha256.Sum256(body)
	d.key = &store.Key{Value: value, Hash: sum[:], TTL: e.KeyTTL}
	return nil
}

func (e *Engine) acceptNew(ctx context.Context, d *draft) (*accepted, error) {
	id := a2a.NewTaskID()
	d.msg.TaskID = id
	if d.msg.ContextID == "" {
		d.msg.ContextID = a2a.NewContextID()
	}
	sub, err := d.submission(task.Ref{Scope: d.call.Scope, ID: string(id)}, 1, a2a.TaskStateUnspecified)
	if err != nil {
		return nil, err
	}
	turn := task.Turn{TaskID: string(id), ContextID: sub.ContextID, Number: 1, Message: d.msg}
	queued, err := e.opening(sub, turn.Submitted(e.now()), nil)
	if err != nil {
		return nil, err
	}
	var claimed *opening
	if d.immediate {
		claimed = queued
	}
	return e.submit(ctx, d, sub, task.NewState(string(id), sub.ContextID), queued, claimed)
}

func (e *Engine) acceptFollowUp(ctx context.Context, d *draft) (*accepted, error) {
	for range maxStale {
		head, state, err := e.readFollowUp(ctx, d)
		if err != nil {
			return nil, err
		}
		if d.req.Message.ContextID != "" && d.req.Message.ContextID != head.ContextID {
			return nil, task.Invalid(a2a.ErrInvalidParams, "message.contextId", "is not the context of the task; leave it out or send the task's")
		}
		d.msg.ContextID = head.ContextID
		acc, err := e.submitFollowUp(ctx, d, head, state)
		if !errors.Is(err, store.ErrStale) {
			return acc, err
		}
	}
	return nil, &task.Error{
		Kind: task.ErrUnavailable, RetryAfter: time.Second,
		Message: "the task changes too fast to take another message; try again",
	}
}

// readFollowUp reads the task that a message continues. A closed one is still
// submitted to when there is a key: the message may be a repeat.
func (e *Engine) readFollowUp(ctx context.Context, d *draft) (head store.Head, state *task.State, err error) {
	if d.whole {
		head, state, err = e.load(ctx, d.call, d.msg.TaskID)
	} else {
		head, err = e.head(ctx, d.call, d.msg.TaskID)
	}
	if err == nil && head.Closed && d.key == nil {
		err = ended(head)
	}
	return head, state, err
}

func ended(h store.Head) error {
	return &task.Error{
		Kind: a2a.ErrUnsupportedOperation, Meta: map[string]string{"taskId": h.ID, "state": h.State},
		Message: "the task has ended and takes no more messages; send a new message with its contextId",
	}
}

// submitFollowUp opens the turn in the commit that accepts it if nothing is
// ahead of it; otherwise whoever claims it does.
func (e *Engine) submitFollowUp(ctx context.Context, d *draft, head store.Head, state *task.State) (*accepted, error) {
	sub, err := d.submission(head.Ref, head.LastTurn+1, a2a.TaskState(head.State))
	if err != nil {
		return nil, err
	}
	sub.LastSeq, sub.DoneTurn = head.LastSeq, head.DoneTurn
	var queued, claimed *opening
	if head.DoneTurn == head.LastTurn && head.Cancel != store.CancelRequested && !head.Closed && !head.Running {
		rider := &task.Message{ID: d.msg.ID, Raw: sub.Message}
		turn := task.Turn{TaskID: head.ID, ContextID: head.ContextID, Number: sub.Turn}
		if queued, err = e.opening(sub, turn.Status(a2a.TaskStateSubmitted, "", e.now()), rider); err != nil {
			return nil, err
		}
		if claimed, err = e.opening(sub, turn.Status(a2a.TaskStateWorking, "", e.now()), rider); err != nil {
			return nil, err
		}
	}
	return e.submit(ctx, d, sub, state, queued, claimed)
}

// opening is a record that a commit makes when it accepts a turn.
type opening struct {
	stored store.Opening
	record record.Record
	change *task.Change
}

func (e *Engine) opening(sub *store.Submission, ev a2a.Event, rider *task.Message) (*opening, error) {
	seq := sub.LastSeq + 1
	raw, change, err := record.Encode(ev, record.Stamp{Seq: seq})
	if err != nil {
		return nil, task.Invalid(a2a.ErrInvalidParams, "message", "%s", err)
	}
	change.Opens = rider
	o := &opening{change: change}
	o.record = record.Record{Seq: seq, Turn: sub.Turn, Event: raw, Opens: rider}
	o.stored = store.Opening{
		Batch: store.Batch{First: seq, Last: seq, Body: record.EncodeBatch([]record.Record{o.record})},
		View:  store.View{State: string(change.Status.State), StatusAt: change.Status.At, Listed: true},
	}
	return o, nil
}

func (o *opening) wish() *store.Opening {
	if o == nil {
		return nil
	}
	return &o.stored
}

// submission is what every accepted message has in common.
func (d *draft) submission(ref task.Ref, turn int, parked a2a.TaskState) (*store.Submission, error) {
	body, err := record.AppendMessage(nil, d.msg)
	if err != nil {
		return nil, task.Invalid(a2a.ErrInvalidParams, "message", "%s", err)
	}
	d.data.Parked = parked
	data, err := record.EncodeRequest(d.data)
	if err != nil {
		return nil, task.Invalid(a2a.ErrInvalidParams, "metadata", "%s", err)
	}
	return &store.Submission{
		Ref: ref, Agent: d.call.Agent, ContextID: d.msg.ContextID, Turn: turn,
		Message: body, MessageID: d.msg.ID, Request: data, Key: d.key,
		Priority: d.queue.Priority, ScheduledFor: d.queue.ScheduledFor, Deadline: d.queue.Deadline,
	}, nil
}

// submit commits a turn and starts it if the commit claimed it. state is the
// task before the turn, nil if it was not read.
func (e *Engine) submit(ctx context.Context, d *draft, sub *store.Submission, state *task.State, queued, claimed *opening) (*accepted, error) {
	sub.IfQueued, sub.IfClaimed = queued.wish(), claimed.wish()
	taker, reserved := e.Worker.Reserve(sub.Agent)
	if reserved {
		sub.Claim = &taker
	}
	acc := &accepted{ref: sub.Ref, fresh: true, timed: !sub.Deadline.IsZero(), lis: e.Hub.Listen(sub.Ref)}
	res, err := e.Intake.Submit(ctx, sub)
	if reserved && (err != nil || res.Claim == nil) {
		e.Worker.Release(sub.Agent)
	}
	if err != nil {
		acc.lis.Close()
		if errors.Is(err, store.ErrUnknown) {
			e.Hub.Nudge(sub.Ref) // the opening may be there for followers
		}
		return nil, e.submitError(sub, err)
	}
	acc.turn, acc.cursor, acc.head = res.Turn, res.TurnSeq, res.Head
	if res.Joined {
		e.join(acc, res)
		return acc, nil
	}
	made := queued
	if res.Claim != nil {
		made = claimed
	}
	acc.state = state
	if made != nil {
		e.Hub.Publish(sub.Ref, live.Tail{Records: []record.Record{made.record}, DoneTurn: sub.DoneTurn})
		if state != nil {
			if err := state.Apply(made.change); err != nil {
				acc.lis.Close()
				return nil, &internalError{"fold the opening of a turn", err}
			}
		}
	}
	if sub.Turn > 1 && made == nil {
		acc.fresh, acc.cursor = false, sub.LastSeq
	}
	if res.Claim != nil {
		e.Worker.Start(res.Claim, &record.Given{Message: d.msg, Request: d.data})
	} else {
		e.Worker.Ring(sub.Agent)
	}
	return acc, nil
}

// join follows the turn that the first submission with the key made.
func (e *Engine) join(acc *accepted, res store.Submitted) {
	if res.Head.Ref != acc.ref {
		acc.lis.Close()
		acc.ref = res.Head.Ref
		acc.lis = e.Hub.Listen(acc.ref)
	}
	acc.joined, acc.fresh = true, false
}

func (e *Engine) submitError(sub *store.Submission, err error) error {
	switch {
	case errors.Is(err, store.ErrStale):
		return err
	case errors.Is(err, store.ErrClosed):
		return ended(store.Head{Ref: sub.Ref})
	case errors.Is(err, store.ErrPastDeadline):
		return task.PastDeadline()
	}
	return e.storeError("submit", err)
}
