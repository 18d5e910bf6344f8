// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"errors"
	"fmt"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// Outcomes in the table of attempts.
const (
	outcomeCompleted  = "completed"
	outcomeCanceled   = "canceled"
	outcomeFailed     = "failed"
	outcomePanic      = "panic"
	outcomeTimeout    = "timeout"
	outcomeLost       = "lost"
	outcomeInvalid    = "invalid response"
	outcomeReleased   = "released"
	outcomeTooLarge   = "too large"
	outcomeDeadline   = "deadline"
	outcomeUnreadable = "unreadable"
)

// verdict is how an attempt ends.
type verdict struct {
	finish  store.Finish
	outcome string
	err     error  // for operators
	stack   string // of a panic
	// final is a terminal state to record, with a text for clients.
	final a2a.TaskState
	text  string
}

func (v *verdict) endsTurn() bool { return v.finish.EndTurn }

func ended(state store.ItemState, outcome string) *verdict {
	return &verdict{finish: store.Finish{State: state, EndTurn: true}, outcome: outcome}
}

func failed(outcome, text string, err error) *verdict {
	v := ended(store.Dead, outcome)
	v.final, v.text, v.err = a2a.TaskStateFailed, text, err
	return v
}

// settleClaim decides claims that must not run: the runs before were lost too
// often, or a cancellation was asked for and its worker died.
func (at *attempt) settleClaim() bool {
	c, p := at.claim, at.agent.Policy
	at.mu.Lock()
	broken := at.broken
	at.mu.Unlock()
	switch {
	case broken != nil:
		at.conclude(failed(outcomeTooLarge, broken.Error(), broken))
	case c.Item.Kind == store.CancelItem:
		if c.Losses < p.Retry.MaxLosses {
			return false
		}
		at.conclude(canceled())
	case c.Head.Cancel == store.CancelRequested:
		at.conclude(canceled())
	case c.Expired:
		at.concludeExpired()
	case c.Losses > 0 && p.OnLost == agent.FailLost:
		at.conclude(failed(outcomeLost, "The server that ran the agent was lost, and this agent's work is not repeated.", nil))
	case c.Losses >= p.Retry.MaxLosses:
		at.conclude(failed(outcomeLost, fmt.Sprintf("The server that ran the agent was lost %d times; the message is not tried again.", c.Losses), nil))
	default:
		return false
	}
	return true
}

func canceled() *verdict {
	v := ended(store.Canceled, outcomeCanceled)
	v.final = a2a.TaskStateCanceled
	return v
}

// verdict says how the attempt ends, or nil while it goes on. Once it has said
// so nothing more is accepted.
func (at *attempt) verdict() *verdict {
	at.hearAnswers()
	at.mu.Lock()
	defer at.mu.Unlock()
	v := at.judge()
	at.ended = at.ended || v != nil
	return v
}

// judge is verdict for a caller that holds at.mu.
func (at *attempt) judge() *verdict {
	if at.broken != nil {
		return failed(outcomeTooLarge, at.broken.Error(), at.broken)
	}
	switch at.end {
	case task.EndTerminal:
		return at.terminal()
	case task.EndParked, task.EndReply:
		return ended(store.Completed, outcomeCompleted)
	case task.EndRetry:
		if at.cancel.running {
			return canceled()
		}
		return at.failure(errors.New("the agent said FAILED"), outcomeFailed, "")
	}
	if at.cancel.running {
		return at.cancelVerdict()
	}
	if at.expired != nil {
		return at.failure(at.expired, outcomeTimeout, "")
	}
	if at.exec == nil {
		return nil
	}
	return at.returned(*at.exec)
}

func (at *attempt) terminal() *verdict {
	if at.state.Status.State == a2a.TaskStateCanceled {
		return ended(store.Canceled, outcomeCanceled)
	}
	return ended(store.Completed, outcomeCompleted)
}

// returned judges an executor that came back without having ended the turn.
func (at *attempt) returned(r result) *verdict {
	switch {
	case at.claim.Item.Kind == store.CancelItem: // the cancellation was refused
		return &verdict{finish: store.Finish{State: store.Completed}, outcome: outcomeCompleted}
	case r.stack != "":
		return at.failure(r.err, outcomePanic, r.stack)
	case r.err != nil:
		return at.failure(r.err, outcomeFailed, "")
	case at.state.Status.State == a2a.TaskStateAuthRequired:
		return ended(store.Completed, outcomeCompleted)
	case at.late():
		return at.overdue(ErrDeadline)
	}
	return failed(outcomeInvalid, "The agent ended without a final state: invalid agent response.", errors.New("the executor returned without a final state"))
}

// failure decides between another attempt and the end.
func (at *attempt) failure(err error, outcome, stack string) *verdict {
	p := at.agent.Policy.Retry
	if n := at.req.MaxAttempts; n > 0 {
		p.MaxAttempts = n
	}
	failures := at.claim.Failures + 1
	if at.late() {
		v := at.overdue(err)
		v.stack = stack
		return v
	}
	v := failed(outcome, fmt.Sprintf("The agent failed; attempt %d was the last.", at.claim.Attempt), err)
	v.stack = stack
	if task.IsPermanent(err) {
		v.text = "The agent failed, and trying again would not help."
		return v
	}
	if p.Exhausted(failures, 0) {
		return v
	}
	after, given := task.AfterOf(err)
	if !given {
		after = p.Delay(failures, at.w.o.Random())
	}
	v.finish = store.Finish{State: store.Retryable, After: after}
	v.final = a2a.TaskStateUnspecified
	return v
}

// conclude records the end of the attempt and commits it.
func (at *attempt) conclude(v *verdict) {
	at.mu.Lock()
	at.ended = true
	if v.final != a2a.TaskStateUnspecified && !at.state.Closed() {
		at.recordFinal(v)
	}
	at.mu.Unlock()
	at.room.Broadcast()
	if v.err != nil {
		at.log().Warn("attempt failed", "outcome", v.outcome, "item", v.finish.State, "error", v.err)
	}
	if at.claim.Item.Kind == store.CancelItem {
		// Its turn is not the item's to end; closing the task ends them all.
		v.finish.EndTurn = false
		if v.finish.State == store.Canceled {
			v.finish.State = store.Completed
		}
	}
	at.commit(v)
	if at.unheard && !at.lost {
		at.cancelRest()
	}
}

// recordFinal writes the engine's own terminal event, past every limit: a task
// must end. The caller holds at.mu.
func (at *attempt) recordFinal(v *verdict) {
	at.broken = nil
	now := at.now()
	if !at.state.Exists() && at.claim.Item.Kind != store.CancelItem {
		at.force(at.turn.Submitted(now))
	}
	at.force(at.turn.Status(v.final, v.text, now))
}

// release gives the item back because the server stops; the run costs nothing.
// What it came to is settled before its context ends: an agent that answers the
// end with an error has not failed.
func (at *attempt) release() {
	at.hearAnswers()
	at.mu.Lock()
	v := at.judge()
	at.ended = true
	at.mu.Unlock()
	if v == nil {
		v = &verdict{finish: store.Finish{State: store.Pending}, outcome: outcomeReleased}
	}
	at.stop(ErrDrained)
	at.conclude(v)
}
