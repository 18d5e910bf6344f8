// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// cancelRun is a cancellation in an attempt: the executor's Cancel runs beside
// Execute, and both feed one fold. The first terminal event wins.
type cancelRun struct {
	running  bool    // asked for, and not refused
	result   *result // of Cancel, when it has returned
	refusing bool    // the agent refused, and no commit has said so yet
	grace    <-chan time.Time
}

// graceOver is the channel of the grace period; nil blocks for ever.
func (c *cancelRun) graceOver() <-chan time.Time { return c.grace }

// heard is what the store has told and the attempt has not acted on yet.
type heard struct {
	lost     bool
	lastTurn int
	cancel   bool
	data     []byte
}

// hear takes an answer of the store; the attempt acts on it in its own
// goroutine.
func (at *attempt) hear(a store.BeatAnswer) {
	at.mu.Lock()
	h := &at.heard
	h.lost = h.lost || a.Lost
	h.lastTurn = max(h.lastTurn, a.LastTurn)
	if a.Cancel == store.CancelRequested && !at.cancel.running && !at.cancel.refusing {
		h.cancel, h.data = true, a.CancelRequest
	}
	news := h.lost || h.cancel
	at.mu.Unlock()
	if news {
		at.signal()
	}
}

// hearAnswers acts on what was heard.
func (at *attempt) hearAnswers() {
	at.mu.Lock()
	h := at.heard
	at.heard = heard{}
	start := h.cancel && !at.cancel.running && !at.cancel.refusing && at.end == task.EndNone
	at.mu.Unlock()
	if h.lost {
		at.lose()
		return
	}
	at.lastTurn = max(at.lastTurn, h.lastTurn)
	if start {
		at.startCancel(h.data)
	}
}

// pulse is the attempt's heartbeat.
func (at *attempt) pulse() store.Beat {
	return store.Beat{Ref: at.ref, Epoch: at.claim.Head.Epoch, Item: at.claim.Item}
}

// ask looks at once what a heartbeat would bring.
func (at *attempt) ask() {
	answers, err := at.w.o.Queue.Heartbeat(context.Background(), at.w.o.Lease, []store.Beat{at.pulse()})
	if err != nil {
		at.log().Warn("cannot look for a cancellation; the next heartbeat will", "error", err)
		return
	}
	for _, a := range answers {
		at.hear(a)
	}
}

// startCancel calls the executor's Cancel.
func (at *attempt) startCancel(data []byte) {
	req, err := record.DecodeRequest(data)
	if err != nil {
		at.log().Error("cannot read the request of a cancellation", "error", err)
	}
	at.mu.Lock()
	at.cancel = cancelRun{running: true, grace: time.After(at.agent.Policy.CancelGrace)}
	at.mu.Unlock()
	go func() {
		res := result{err: errExited}
		defer func() { at.cancelReturned(res) }()
		res = at.iterate(func() (events, error) {
			wd, err := at.enterWorld(at.ctx, nil, req)
			if err != nil {
				return nil, err
			}
			return at.agent.Executor.Cancel(wd.ctx, wd.ec), nil
		})
	}()
}

func (at *attempt) cancelReturned(r result) {
	at.mu.Lock()
	if at.cancel.result == nil {
		at.cancel.result = &r
	}
	at.mu.Unlock()
	at.signal()
}

// cancelVerdict judges the executor's Cancel. The caller holds at.mu.
func (at *attempt) cancelVerdict() *verdict {
	r := at.cancel.result
	if r == nil && at.expired == nil {
		return nil
	}
	if r == nil {
		r = &result{err: at.expired} // the attempt has no time left for it
	}
	if errors.Is(r.err, a2a.ErrTaskNotCancelable) {
		at.cancel = cancelRun{refusing: true}
		return at.judge()
	}
	v := canceled()
	v.err, v.stack = r.err, r.stack
	at.end = task.EndTerminal
	return v
}

// cancelRest ends a task whose cancellation was asked for while its attempt was
// ending: the commit of the end has told so. Nothing runs any more, so the task
// is taken over. It is the short way only: should it never be gone, the item
// that the commit of the end left in the store tells whoever claims it, and if
// somebody has done so already the epoch refuses this write.
func (at *attempt) cancelRest() {
	at.mu.Lock()
	at.end = task.EndNone
	at.recordFinal(canceled())
	at.mu.Unlock()
	at.taking = true
	at.commit(nil)
	if at.lost {
		at.w.Ring(at.claim.Head.Agent) // for the item, which nobody was woken for
	}
}
