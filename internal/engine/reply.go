// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// Send accepts a message and answers with what became of it: at once if the
// configuration says returnImmediately, otherwise when its turn has ended or
// asks for authorization. The work goes on if ctx ends first.
func (e *Engine) Send(ctx context.Context, call Call, req *a2a.SendMessageRequest) (Reply, error) {
	acc, err := e.accept(ctx, call, req, false)
	if err != nil {
		return Reply{}, err
	}
	defer acc.lis.Close()
	view := record.View{}
	immediate := false
	if req.Config != nil {
		view.History = req.Config.HistoryLength
		immediate = req.Config.ReturnImmediately
	}
	var s *task.State
	if immediate {
		s, err = e.published(ctx, acc)
	} else {
		s, err = e.settled(ctx, acc)
	}
	if err != nil {
		return Reply{}, err
	}
	reply := Reply{JSON: record.AppendReply(make([]byte, 0, s.Size()+256), s, view)}
	if s.Reply == nil {
		reply.TaskID = s.ID
	}
	return reply, nil
}

// published gives the task as soon as it is there to be seen.
func (e *Engine) published(ctx context.Context, acc *accepted) (*task.State, error) {
	if acc.state != nil && acc.state.Exists() {
		return acc.state, nil
	}
	return e.await(ctx, acc, wait{
		eager:  true,
		live:   func(live.Tail) *task.State { return nil },
		stored: func(_ store.Head, s *task.State) bool { return s.Exists() || s.Reply != nil },
	})
}

// settled waits for the end of the turn.
func (e *Engine) settled(ctx context.Context, acc *accepted) (*task.State, error) {
	s, err := e.await(ctx, acc, wait{live: acc.settledBy, stored: acc.settledIn})
	if err != nil || acc.turn == 1 || !s.Closed() {
		return s, err
	}
	turns, err := e.Reader.Turns(ctx, acc.ref, acc.turn-1, 1)
	if err != nil {
		return nil, e.storeError("read turn", err)
	}
	if len(turns) > 0 && turns[0].Item == store.Canceled && turns[0].Attempt == 0 {
		return nil, turnCanceled(acc.ref.ID, s)
	}
	return s, nil
}

func turnCanceled(id string, s *task.State) error {
	return &task.Error{
		Kind:    a2a.ErrUnsupportedOperation,
		Meta:    map[string]string{"taskId": id, "state": string(s.Status.State)},
		Message: "the task ended before this message was executed; send it again in a new task",
	}
}

// settledBy says whether a commit that was published answers the call.
func (a *accepted) settledBy(t live.Tail) *task.State {
	s := t.Settled
	if s == nil {
		return nil
	}
	if s.Closed() || t.DoneTurn >= a.turn {
		return s
	}
	if n := len(t.Records); s.Status.State == a2a.TaskStateAuthRequired && n > 0 && t.Records[n-1].Turn == a.turn {
		return s
	}
	return nil
}

// settledIn says the same of a task as it was read. A task that is still at
// auth-required answers only for the turn that runs.
func (a *accepted) settledIn(h store.Head, s *task.State) bool {
	if s.Closed() || h.DoneTurn >= a.turn {
		return true
	}
	return s.Status.State == a2a.TaskStateAuthRequired && h.DoneTurn == a.turn-1 && s.Seq > a.cursor && h.Running
}

// wait is what a call waits for.
type wait struct {
	// live gives the answer that a published commit is, or nil.
	live func(live.Tail) *task.State
	// stored says whether the task as it was read is the answer.
	stored func(store.Head, *task.State) bool
	// eager reads the task at the beginning and after every commit.
	eager bool
}

// await waits until a published commit or the stored task is the answer.
func (e *Engine) await(ctx context.Context, acc *accepted, w wait) (*task.State, error) {
	look := w.eager || !acc.fresh
	for {
		if look {
			head, s, err := e.open(ctx, acc.ref)
			if err != nil {
				return nil, err
			}
			if w.stored(head, s) {
				return s, nil
			}
		}
		select {
		case <-acc.lis.Bell():
		case <-ctx.Done():
			return nil, stillRunning(ctx, acc.ref.ID)
		}
		tails, lagged := acc.lis.Take()
		for _, t := range tails {
			if s := w.live(t); s != nil {
				return s, nil
			}
		}
		look = w.eager || lagged
	}
}

// stillRunning tells a caller whose wait ended that its work did not.
func stillRunning(ctx context.Context, id string) error {
	return &task.Error{
		Kind: task.ErrUnavailable, RetryAfter: time.Second, Cause: context.Cause(ctx),
		Meta:    map[string]string{"taskId": id},
		Message: "the wait ended before the task did; the task goes on, follow it with its id " + id,
	}
}
