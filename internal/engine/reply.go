// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"errors"
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
		return Reply{}, unread(acc.ref.ID, err)
	}
	reply := Reply{JSON: record.AppendReply(sized(s, view), s, view)}
	if s.Reply == nil {
		reply.TaskID = s.ID
	}
	return reply, nil
}

// sized makes room for an answer that shows a task, as far as it is easily told:
// a long history that is not shown costs nothing.
func sized(s *task.State, v record.View) []byte {
	if v.History != nil && *v.History < len(s.History) {
		return make([]byte, 0, 1024)
	}
	return make([]byte, 0, s.Size()+256)
}

// published gives the task as soon as it is there to be seen.
func (e *Engine) published(ctx context.Context, acc *accepted) (*task.State, error) {
	if acc.state != nil && acc.state.Exists() {
		return acc.state, nil
	}
	return e.await(ctx, acc, wait{
		look: true,
		live: func(live.Tail) (*task.State, bool) { return nil, true },
		stored: func(_ context.Context, _ store.Head, s *task.State) (*task.State, error) {
			if s.Exists() || s.Reply != nil {
				return s, nil
			}
			return nil, nil
		},
	})
}

// settled waits for the end of the turn.
func (e *Engine) settled(ctx context.Context, acc *accepted) (*task.State, error) {
	s, err := e.await(ctx, acc, wait{
		look: !acc.fresh,
		live: acc.settledBy,
		stored: func(ctx context.Context, h store.Head, s *task.State) (*task.State, error) {
			return e.settledIn(ctx, acc, h, s)
		},
	})
	if err != nil || acc.turn == 1 || !s.Closed() && !acc.mayBeWithdrawn() {
		return s, err
	}
	t, err := e.turn(ctx, acc)
	if err != nil {
		return nil, err
	}
	if withdrawn(t) {
		return nil, turnExpired(acc.ref.ID)
	}
	if t.Item == store.Canceled && t.Attempt == 0 {
		return nil, turnCanceled(acc.ref.ID, s.Status.State)
	}
	return s, nil
}

// turn reads the turn that a call is about.
func (e *Engine) turn(ctx context.Context, acc *accepted) (store.Turn, error) {
	turns, err := e.Reader.Turns(ctx, acc.ref, acc.turn-1, 1)
	if err != nil {
		return store.Turn{}, e.storeError("read turn", err)
	}
	if len(turns) == 0 {
		return store.Turn{Number: acc.turn}, nil
	}
	return turns[0], nil
}

func turnCanceled(id string, state a2a.TaskState) error {
	meta := map[string]string{"taskId": id}
	if state != a2a.TaskStateUnspecified {
		meta["state"] = string(state)
	}
	return &task.Error{
		Kind: a2a.ErrUnsupportedOperation, Meta: meta,
		Message: "the task ended before this message was executed; send it again in a new task",
	}
}

// settledBy gives the answer that a published commit is, or says that the
// stored task may be it: the commit was made before anybody listened, and
// brings no task, or it belongs to a later turn.
func (a *accepted) settledBy(t live.Tail) (s *task.State, look bool) {
	last := record.Record{}
	if n := len(t.Records); n > 0 {
		last = t.Records[n-1]
	}
	s = t.Settled
	switch {
	case last.Turn > a.turn || t.DoneTurn > a.turn && !last.Closes:
		return nil, true
	case t.DoneTurn >= a.turn || last.Closes:
		return s, s == nil
	case s == nil:
		return nil, last.Turn == a.turn && bytes.Contains(last.Event, authRequired)
	case s.Status.State == a2a.TaskStateAuthRequired && last.Turn == a.turn:
		return s, false
	}
	return nil, false
}

// authRequired stands in the events that may answer a call before its turn has
// ended. It also stands in others, which costs a look.
var authRequired = []byte(a2a.TaskStateAuthRequired)

// settledIn gives the answer that the task as it was read is, or nil.
func (e *Engine) settledIn(ctx context.Context, acc *accepted, h store.Head, s *task.State) (*task.State, error) {
	if acc.mayBeWithdrawn() && h.DoneTurn < acc.turn {
		if err := e.checkWithdrawn(ctx, acc.ref, acc.turn); err != nil {
			return nil, err
		}
	}
	switch {
	case s.Closed() || h.DoneTurn >= acc.turn:
		if h.LastTurn == acc.turn {
			return s, nil
		}
		// A later turn may have gone on from there.
		return e.prefix(ctx, acc.ref, func(r record.Record) bool { return r.Turn <= acc.turn })
	case s.Status.State != a2a.TaskStateAuthRequired || h.DoneTurn != acc.turn-1 || !h.Running:
		return nil, nil
	}
	// Only the running turn's own auth-required is an answer, not what it found.
	t, err := e.turn(ctx, acc)
	if err != nil || t.Attempt == 0 || s.Seq <= t.TurnSeq {
		return nil, err
	}
	return s, nil
}

// wait is what a call waits for.
type wait struct {
	// look reads the task at the beginning.
	look bool
	// live gives the answer that a published commit is, or says whether to look.
	live func(live.Tail) (s *task.State, look bool)
	// stored gives the answer that the task as it was read is, or nil.
	stored func(context.Context, store.Head, *task.State) (*task.State, error)
}

// await waits until a published commit or the stored task is the answer.
func (e *Engine) await(ctx context.Context, acc *accepted, w wait) (*task.State, error) {
	look := w.look
	for {
		if look {
			head, s, err := e.open(ctx, acc.ref)
			if err == nil {
				s, err = w.stored(ctx, head, s)
			}
			if err != nil || s != nil {
				return s, err
			}
		}
		select {
		case <-acc.lis.Bell():
		case <-ctx.Done():
			return nil, stillRunning(ctx, acc.ref.ID)
		case <-e.Stopped:
			return nil, stillRunning(ctx, acc.ref.ID)
		}
		tails, lagged := acc.lis.Take()
		look = lagged
		for _, t := range tails {
			s, unsure := w.live(t)
			if s != nil {
				return s, nil
			}
			if unsure {
				look = true
				break
			}
		}
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

// unread is the answer to a caller whose message was accepted and whose task
// could not be read after that. It must not say, as for a message that could not
// be stored, that nothing was accepted: the caller would send it again.
func unread(id string, err error) error {
	var known *task.Error
	if !errors.As(err, &known) || known.Kind != task.ErrUnavailable || known.Meta["taskId"] != "" {
		return err
	}
	return &task.Error{
		Kind: task.ErrUnavailable, RetryAfter: time.Second, Cause: known.Cause,
		Meta:    map[string]string{"taskId": id},
		Message: "the message was accepted, and its task cannot be read now; the task goes on, follow it with its id " + id,
	}
}
