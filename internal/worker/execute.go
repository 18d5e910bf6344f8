// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

type events = iter.Seq2[a2a.Event, error]

// execute runs the executor to its end.
func (at *attempt) execute() {
	res := result{err: errExited}
	defer func() {
		at.mu.Lock()
		at.exec = &res
		at.mu.Unlock()
		at.signal()
	}()
	res = at.iterate(func() (events, error) {
		wd, err := at.enterWorld(at.ctx, at.turn.Message, at.req)
		if err != nil {
			return nil, err
		}
		at.mu.Lock()
		at.world = wd
		at.mu.Unlock()
		return at.agent.Executor.Execute(wd.ctx, wd.ec), nil
	})
}

// errExited is left standing by an executor that calls runtime.Goexit.
var errExited = errors.New("the executor ended its goroutine")

// iterate feeds an iterator of the executor into the attempt. A panic is an
// error with a stack.
func (at *attempt) iterate(begin func() (events, error)) (res result) {
	defer func() {
		if p := recover(); p != nil {
			stack := string(debug.Stack())
			res = result{err: at.w.panicked(p), stack: stack}
		}
	}()
	all, err := begin()
	if err != nil {
		return result{err: err}
	}
	// Called as a function: an iterator that goes on after its end is refused
	// event by event, where a range statement would make it panic.
	all(func(ev a2a.Event, err error) bool {
		switch {
		case res.err != nil:
			return false
		case err != nil:
			res.err = err
			return false
		case ev == nil:
			return true
		}
		return at.accept(ev)
	})
	return res
}

// panicked makes an error of a panic; the application may have its own.
func (w *Worker) panicked(p any) (err error) {
	defer func() {
		if recover() != nil || err == nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if w.o.OnPanic != nil {
		return w.o.OnPanic(p)
	}
	return nil
}

// limitTimer fires when a timeout of the policy may have come; nil and a
// channel that blocks for ever where the policy has none.
func (at *attempt) limitTimer() (*time.Timer, <-chan time.Time) {
	d, ok := at.untilLimit()
	if !ok {
		return nil, nil
	}
	t := time.NewTimer(max(d, 0))
	return t, t.C
}

func (at *attempt) untilLimit() (time.Duration, bool) {
	p := at.agent.Policy
	at.mu.Lock()
	defer at.mu.Unlock()
	now := at.w.o.Now()
	d, ok := time.Duration(0), false
	if p.AttemptTimeout > 0 {
		d, ok = at.began.Add(p.AttemptTimeout).Sub(now), true
	}
	if p.InactivityTimeout > 0 {
		if i := at.lastAt.Add(p.InactivityTimeout).Sub(now); !ok || i < d {
			d, ok = i, true
		}
	}
	return d, ok
}

// checkLimits stops an attempt that has taken too long.
func (at *attempt) checkLimits(t *time.Timer) {
	d, ok := at.untilLimit()
	if !ok || at.claim.Item.Kind == store.CancelItem {
		return
	}
	if d > 0 {
		t.Reset(d)
		return
	}
	cause := ErrInactive
	if p := at.agent.Policy; p.AttemptTimeout > 0 && at.w.o.Now().Sub(at.began) >= p.AttemptTimeout {
		cause = ErrTimeout
	}
	at.mu.Lock()
	if at.end == task.EndNone && at.exec == nil {
		at.expired = cause
		at.ended = true
	}
	at.mu.Unlock()
	at.room.Broadcast()
	at.stop(cause)
}

// cleanup calls the executor's Cleanup, once an attempt, after its last commit
// and, if it comes to an end at all, after the executor has.
func (at *attempt) cleanup(done <-chan struct{}) {
	at.await(done)
	cleaner, ok := at.agent.Executor.(a2asrv.AgentExecutionCleaner)
	if !ok {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			at.log().Error("panic in Cleanup", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	at.mu.Lock()
	wd := at.world
	at.mu.Unlock()
	if wd == nil { // a cancel item, or the executor was never entered
		var err error
		if wd, err = at.enterWorld(at.ctx, at.turn.Message, at.req); err != nil {
			at.log().Error("cannot restore the caller's context for Cleanup", "error", err)
			return
		}
	}
	result, err := at.outcome()
	cleaner.Cleanup(wd.ctx, wd.ec, result, err)
}

// await waits for the executor, as long as the grace period.
func (at *attempt) await(done <-chan struct{}) {
	select {
	case <-done:
		return
	default:
	}
	timer := time.NewTimer(at.agent.Policy.CancelGrace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		at.log().Error("the executor does not end although its context was cancelled")
	}
}

// outcome is what Cleanup is told.
func (at *attempt) outcome() (a2a.SendMessageResult, error) {
	at.mu.Lock()
	defer at.mu.Unlock()
	var err error
	switch {
	case at.lost:
		err = ErrLost
	case at.expired != nil:
		err = at.expired
	case at.exec != nil:
		err = at.exec.err
	}
	if at.state.Reply != nil {
		m := new(a2a.Message)
		if json.Unmarshal(at.state.Reply.Raw, m) == nil {
			return m, err
		}
	}
	if at.state.Exists() {
		return at.view.task(at.state), err
	}
	return nil, err
}
