// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// ErrDeadline is why the context of an executor was cancelled whose turn has
// not ended by the deadline that the message named.
var ErrDeadline = errors.New("errand: deadline")

// limited makes the context of the executor, which knows the deadline. The
// store has told how long it is until then: the two clocks need not agree.
func (at *attempt) limited(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	if at.claim.Left <= 0 {
		return context.WithCancelCause(ctx)
	}
	at.deadline = time.Now().Add(at.claim.Left)
	ctx, release := context.WithDeadlineCause(ctx, at.deadline, ErrDeadline)
	ctx, stop := context.WithCancelCause(ctx)
	return ctx, func(cause error) {
		stop(cause)
		release()
	}
}

// deadlineTimer fires at the deadline; without one the channel blocks for ever.
func (at *attempt) deadlineTimer() (_ <-chan time.Time, stop func()) {
	if at.deadline.IsZero() {
		return nil, func() {}
	}
	t := time.NewTimer(time.Until(at.deadline))
	return t.C, func() { t.Stop() }
}

// late tells whether the deadline has passed.
func (at *attempt) late() bool { return !at.deadline.IsZero() && !time.Now().Before(at.deadline) }

// passDeadline stops an attempt whose turn has not ended in time.
func (at *attempt) passDeadline() {
	at.mu.Lock()
	if at.end == task.EndNone && at.exec == nil {
		at.expired = ErrDeadline
		at.ended = true
	}
	at.mu.Unlock()
	at.room.Broadcast()
	<-at.ctx.Done() // at the same moment, by its own clock, and so with that error
}

// overdue is the end of a turn whose deadline has passed: nothing is tried again.
func (at *attempt) overdue(err error) *verdict {
	text := "The deadline passed before the message was executed."
	if n := at.claim.Attempt; n > 0 {
		text = fmt.Sprintf("The deadline passed; attempt %d was the last.", n)
	}
	return failed(outcomeDeadline, text, err)
}

// concludeExpired records the end of a turn that waited until its deadline had
// passed. A later turn that never ran ends alone, and the task stays as it was;
// every other one ends its task.
func (at *attempt) concludeExpired() {
	if at.claim.Item.Turn == 1 || at.claim.Attempt > 0 {
		at.conclude(at.overdue(ErrDeadline))
		return
	}
	at.mu.Lock()
	at.force(at.withdrawal())
	at.mu.Unlock()
	at.conclude(ended(store.Canceled, outcomeDeadline))
}

// withdrawal is the status event that names the message of a turn that was
// withdrawn. It says the state that the task had before. The caller holds at.mu.
func (at *attempt) withdrawal() *a2a.TaskStatusUpdateEvent {
	now := at.now()
	var ev *a2a.TaskStatusUpdateEvent
	if at.opened() {
		state := at.turn.Parked
		if !task.Interrupted(state) {
			state = a2a.TaskStateInputRequired
		}
		ev = at.turn.Status(state, "The deadline of the last message passed before it was executed; the task waits as it did before.", now)
	} else {
		ev = at.turn.Status(at.state.Status.State, "", now)
		if m := at.state.Status.Message; m != nil {
			said, err := record.DecodeMessage(m.Raw)
			if err != nil {
				at.log().Error("cannot repeat the status message", "error", err)
			}
			ev.Status.Message = said
		}
	}
	ev.Metadata = task.CanceledTurns([]string{at.claim.MessageID})
	return ev
}
