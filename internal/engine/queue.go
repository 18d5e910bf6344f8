// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"slices"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// queueOf reads what a message asks of the queue. The metadata of an extension
// that is not active is data like any other: it is passed on and not looked at.
func queueOf(call Call, req *a2a.SendMessageRequest) (task.Queue, error) {
	if !slices.Contains(call.Extensions, task.QueueURI) {
		return task.Queue{}, nil
	}
	return task.ParseQueue(req.Message.Metadata)
}

// mayBeWithdrawn tells whether the turn may end without the task because its
// deadline passes: of a repeat nothing is known about its deadline.
func (a *accepted) mayBeWithdrawn() bool { return a.turn > 1 && (a.timed || a.joined) }

// withdrawn tells whether a later turn was not run before its deadline.
func withdrawn(t store.Turn) bool { return t.Number > 1 && t.Expired && t.Attempt == 0 }

// checkWithdrawn is nil unless a turn will never run because its deadline has
// passed, or it could not be found out.
func (e *Engine) checkWithdrawn(ctx context.Context, ref task.Ref, turn int) error {
	t, err := e.turn(ctx, &accepted{ref: ref, turn: turn})
	if err != nil || !withdrawn(t) {
		return err
	}
	return turnExpired(ref.ID)
}

func turnExpired(id string) error {
	return &task.Error{
		Kind: a2a.ErrUnsupportedOperation, Meta: map[string]string{"taskId": id},
		Message: "the deadline of this message passed before it was executed; the task goes on without it",
	}
}

// end says how the stream ended.
func (f *Follower) end(ctx context.Context) error {
	if f.timed {
		f.timed = false
		if err := f.e.checkWithdrawn(ctx, f.ref, f.turn); err != nil {
			f.done = unread(f.ref.ID, err)
		}
	}
	return f.done
}
