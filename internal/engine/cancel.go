// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// Cancel asks for a cancellation and waits for its outcome: the CANCELED task,
// or TaskNotCancelable if the task ended otherwise or the agent refused. After
// the grace period it takes the task over and writes CANCELED itself.
func (e *Engine) Cancel(ctx context.Context, call Call, req *a2a.CancelTaskRequest) ([]byte, error) {
	call, err := e.Admit(ctx, call)
	if err != nil {
		return nil, err
	}
	head, err := e.head(ctx, call, req.ID)
	if err != nil {
		return nil, err
	}
	c := &cancellation{e: e, ref: head.Ref, agent: head.Agent, lis: e.Hub.Listen(head.Ref)}
	defer c.lis.Close()
	data, err := e.request(ctx, call, req.Metadata)
	if err != nil {
		return nil, err
	}
	if c.data, err = record.EncodeRequest(data); err != nil {
		return nil, task.Invalid(a2a.ErrInvalidParams, "metadata", "%s", err)
	}
	// The worker has the grace period; what it needs beyond that to notice and
	// to commit is left to it before the task is taken from it.
	grace := time.NewTimer(call.agent.Policy.CancelGrace + 2*time.Second)
	defer grace.Stop()
	return c.run(ctx, grace.C)
}

// cancellation is one call of Cancel.
type cancellation struct {
	e     *Engine
	ref   task.Ref
	agent string
	data  []byte
	lis   *live.Listener
}

func (c *cancellation) run(ctx context.Context, grace <-chan time.Time) ([]byte, error) {
	head, err := c.request(ctx)
	if err != nil {
		return nil, err
	}
	late := false
	for !head.Closed {
		if head.Cancel == store.CancelRefused {
			return nil, c.notCancelable(head, "the agent does not cancel this task")
		}
		// Who was too late once tries at every news: a busy task is hard to catch.
		if late || !head.Started {
			if err := c.takeOver(ctx, head); err != nil {
				return nil, err
			}
		} else if late, err = c.wait(ctx, grace); err != nil {
			return nil, err
		}
		if head, _, err = c.e.Reader.Read(ctx, c.ref, ^uint64(0), 0); err != nil {
			return nil, c.outcomeError("read task", err)
		}
	}
	if head.State != string(a2a.TaskStateCanceled) {
		return nil, c.notCancelable(head, "the task has ended")
	}
	_, s, err := c.e.open(ctx, c.ref)
	if err != nil {
		return nil, err
	}
	return record.AppendTask(nil, s, record.View{}), nil
}

// wait waits for news of the task or for the end of the grace period.
func (c *cancellation) wait(ctx context.Context, grace <-chan time.Time) (late bool, err error) {
	select {
	case <-c.lis.Bell():
		c.lis.Take()
		return false, nil
	case <-grace:
		return true, nil
	case <-ctx.Done():
	case <-c.e.Stopped:
	}
	return false, stillRunning(ctx, c.ref.ID)
}

func (c *cancellation) notCancelable(h store.Head, text string) error {
	return &task.Error{
		Kind: a2a.ErrTaskNotCancelable, Message: text + "; its state is " + h.State,
		Meta: map[string]string{"taskId": c.ref.ID, "state": h.State},
	}
}

// request records the wish and tells or starts whoever fulfils it.
func (c *cancellation) request(ctx context.Context) (store.Head, error) {
	req := &store.CancelRequest{Ref: c.ref, Request: c.data}
	taker, reserved := c.e.Worker.Reserve(c.agent)
	if reserved {
		req.Claim = &taker
	}
	res, err := c.e.Intake.RequestCancel(ctx, req)
	if reserved && (err != nil || res.Claim == nil) {
		c.e.Worker.Release(c.agent)
	}
	switch {
	case errors.Is(err, store.ErrUnknown):
		return store.Head{}, &task.Error{
			Kind: task.ErrUnavailable, Cause: err, RetryAfter: time.Second,
			Message: "it is unknown whether the cancellation is recorded; ask again",
		}
	case err != nil:
		return store.Head{}, c.e.storeError("request cancel", err)
	case res.Claim != nil:
		c.e.Worker.Start(res.Claim, nil)
	case res.Head.Running:
		c.e.Worker.Hint(c.ref)
	default:
		c.e.Worker.Ring(c.agent)
	}
	return res.Head, nil
}

// takeOver writes CANCELED in place of whoever holds the task as head has it.
// Losing the race to somebody else is not an error: the caller looks again.
func (c *cancellation) takeOver(ctx context.Context, head store.Head) error {
	a, err := c.closing(ctx, head)
	if err != nil {
		return err
	}
	_, err = c.e.Intake.Append(ctx, a.op)
	switch {
	case err == nil:
		c.e.Hub.Publish(c.ref, live.Tail{Records: []record.Record{a.rec}, DoneTurn: head.LastTurn})
		return nil
	case errors.Is(err, store.ErrUnknown):
		c.e.Hub.Nudge(c.ref) // it may be there: followers look, as we do
		if h, _, rerr := c.e.Reader.Read(ctx, c.ref, ^uint64(0), 0); rerr == nil && h.Closed {
			return nil
		}
		return c.outcomeError("cancel", err)
	case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrNewerTurn), errors.Is(err, store.ErrClosed):
		return nil
	}
	return c.outcomeError("cancel", err)
}

// outcomeError is what a caller hears whose wish is recorded already: that the
// store cannot tell now what became of it. To ask again is always right.
func (c *cancellation) outcomeError(doing string, err error) error {
	err = c.e.storeError(doing, err)
	var told *task.Error
	if errors.As(err, &told) && told.Kind == task.ErrUnavailable {
		told.Message = "the cancellation is recorded, but its outcome cannot be told now; ask again"
		told.Meta = map[string]string{"taskId": c.ref.ID}
	}
	return err
}

// unsaid are the turns, from the current one on, whose messages the task does
// not show: its last event has to name them.
func (c *cancellation) unsaid(ctx context.Context, head store.Head, current int) ([]store.Turn, error) {
	turns, err := c.e.Reader.Turns(ctx, c.ref, current-1, 0)
	if err != nil || len(turns) == 0 || turns[0].Unsaid(head.LastSeq) {
		return turns, err
	}
	if current > 1 {
		// A Cancel of the agent may have recorded something before the turn was
		// opened. A task that cannot be read is canceled all the same.
		if _, s, err := c.e.open(ctx, c.ref); err == nil && !s.HasMessage(turns[0].MessageID) {
			return turns, nil
		}
	}
	return turns[1:], nil
}

type closing struct {
	op  *store.Append
	rec record.Record
}

func (c *cancellation) closing(ctx context.Context, head store.Head) (*closing, error) {
	now := c.e.now()
	turn := min(head.DoneTurn+1, head.LastTurn)
	ev := &a2a.TaskStatusUpdateEvent{
		TaskID: a2a.TaskID(head.ID), ContextID: head.ContextID,
		Status: a2a.TaskStatus{State: a2a.TaskStateCanceled, Timestamp: &now},
	}
	unsaid, err := c.unsaid(ctx, head, turn)
	if err != nil {
		return nil, c.outcomeError("read turns", err)
	}
	ev.Metadata = task.CanceledTurns(store.MessageIDs(unsaid))
	seq := head.LastSeq + 1
	raw, change, err := record.Encode(ev, record.Stamp{Seq: seq})
	if err != nil {
		return nil, &internalError{"encode CANCELED", err}
	}
	rec := record.Record{Seq: seq, Turn: turn, Closes: true, Event: raw}
	return &closing{rec: rec, op: &store.Append{
		Ref: c.ref, Epoch: head.Epoch, LastSeq: head.LastSeq, TakeEpoch: true, LastTurn: head.LastTurn,
		Batch: &store.Batch{First: seq, Last: seq, Body: record.EncodeBatch([]record.Record{rec})},
		View: &store.View{
			State: string(a2a.TaskStateCanceled), StatusAt: change.Status.At, Listed: true, Closed: true,
		},
	}}, nil
}
