// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// attempt is one run of a work item. Executors push events from their
// goroutines through accept; the attempt's own goroutine commits them.
type attempt struct {
	w     *Worker
	slot  *slot
	agent *agent.Agent
	claim *store.Claim
	ref   task.Ref
	began time.Time
	// deadline is when the turn must have ended; zero: never.
	deadline time.Time
	given    *record.Given // nil: decode what the claim holds
	req      record.Request

	// ctx is the executor's; stop cancels it with the reason.
	ctx  context.Context
	stop context.CancelCauseFunc
	wake chan struct{} // something to commit or to look at
	poke chan struct{} // look at the store for a cancellation

	mu      sync.Mutex
	room    *sync.Cond // the window has room, or the attempt is over
	turn    *task.Turn
	state   *task.State // with everything accepted, committed or not
	view    *view       // the state as executors see it
	world   *world      // what Execute was called with
	pending []record.Record
	bytes   int // of pending and of what is being committed
	flight  int // records being committed
	end     task.End
	ended   bool  // nothing more is accepted
	broken  error // the turn must fail with this: a limit was exceeded
	refused []string
	percent int
	lastAt  time.Time // of the last event, for the inactivity timeout
	exec    *result   // of Execute, when it has returned
	expired error     // a timeout of the policy
	heard   heard
	cancel  cancelRun

	// Only the attempt's goroutine uses what follows.
	committed uint64 // last sequence in the store
	lastTurn  int
	snapBytes int64
	tailBytes int64
	annotated int  // the last turn that the terminal event accounts for
	lost      bool // another owner has the task
	unheard   bool // the attempt has ended, and only then was a cancellation heard of
	taking    bool // what is committed takes the task over, for the lease is given back
	own       int  // the turn that the records belong to
}

// result is how an iterator of an executor ended.
type result struct {
	err   error
	stack string
}

func newAttempt(w *Worker, a *agent.Agent, c *store.Claim, s *slot) *attempt {
	at := &attempt{
		w: w, slot: s, agent: a, claim: c, ref: c.Head.Ref, began: w.o.Now(),
		wake: make(chan struct{}, 1), poke: make(chan struct{}, 1),
		committed: c.Head.LastSeq, lastTurn: c.Head.LastTurn,
		snapBytes: c.SnapshotBytes, tailBytes: c.TailBytes, percent: -1,
	}
	at.own = c.Item.Turn
	if c.Item.Kind == store.CancelItem {
		at.own = min(c.Head.DoneTurn+1, c.Head.LastTurn)
	}
	at.room = sync.NewCond(&at.mu)
	at.ctx, at.stop = at.limited(context.Background())
	at.lastAt = at.began
	return at
}

// log is the logger of the attempt; most attempts have nothing to log.
func (at *attempt) log() *slog.Logger {
	return at.w.o.Logger.With("task", at.ref.ID, "turn", at.claim.Item.Turn, "attempt", at.claim.Attempt)
}

// run does the whole attempt. It returns when its last commit is made, or when
// it has learned that the task is not its own any more.
func (at *attempt) run() {
	at.w.enter(at)
	defer at.w.leave(at)
	defer at.stop(ErrEnded)
	if err := at.prepare(); err != nil {
		at.abandon(err)
		return
	}
	if at.settleClaim() {
		return
	}
	done := make(chan struct{})
	if at.claim.Item.Kind == store.CancelItem {
		at.exec = &result{} // nothing executes
		close(done)
		at.startCancel(at.claim.Request)
	} else {
		go func() {
			defer close(done)
			at.execute()
		}()
	}
	at.supervise()
	at.close()
	at.stop(ErrEnded)
	at.cleanup(done)
}

// supervise commits what is accepted and watches the clock until the attempt
// is over.
func (at *attempt) supervise() {
	first := time.NewTimer(at.w.o.FirstEvent)
	defer first.Stop()
	limit, limited := at.limitTimer()
	if limit != nil {
		defer limit.Stop()
	}
	overdue, stopClock := at.deadlineTimer()
	defer stopClock()
	for {
		switch at.next(first.C, limited, overdue) {
		case somethingToCommit:
			at.linger()
		case somebodyAsks:
			at.ask()
		case silenceTooLong:
			at.publish()
		case limitPassed:
			at.checkLimits(limit)
		case deadlinePassed:
			at.passDeadline()
		case graceOver:
			at.cancelReturned(result{err: errors.New("the grace period is over")})
		case workerStops:
			at.release()
			return
		}
		if at.step() {
			return
		}
	}
}

// linger lets an executor that is in the middle of yielding go on, so that a
// short turn is one commit and not two, and what it says after its end is
// refused in time for the table of attempts. It waits for nobody.
func (at *attempt) linger() {
	for n, extra := -1, 3; ; runtime.Gosched() {
		at.mu.Lock()
		now, over, back := len(at.pending), at.end != task.EndNone, at.exec != nil
		at.mu.Unlock()
		if over {
			extra--
		}
		if back || extra == 0 || !over && (now == n || now >= at.w.o.Limits.WindowEvents/2) {
			return
		}
		n = now
	}
}

// step commits what there is and reports whether the attempt is over.
func (at *attempt) step() bool {
	if at.lost {
		return true
	}
	if v := at.verdict(); v != nil {
		at.conclude(v)
		return true
	}
	at.commit(nil)
	return at.lost
}

func (at *attempt) signal() {
	select {
	case at.wake <- struct{}{}:
	default:
	}
}

// look makes the attempt ask the store about a cancellation.
func (at *attempt) look() {
	select {
	case at.poke <- struct{}{}:
	default:
	}
}

// close refuses everything that is still yielded and lets blocked yields go.
func (at *attempt) close() {
	at.mu.Lock()
	at.ended = true
	at.mu.Unlock()
	at.room.Broadcast()
}

func (at *attempt) now() time.Time { return at.w.o.Now().UTC().Truncate(time.Millisecond) }

// publish records Task SUBMITTED if the executor has said nothing yet.
func (at *attempt) publish() {
	at.mu.Lock()
	defer at.mu.Unlock()
	if !at.state.Exists() && at.state.Reply == nil && !at.ended && at.end == task.EndNone {
		at.record(at.turn.Submitted(at.now()), record.Stamp{}, nil)
	}
}

// accept takes an event of an executor. It blocks while the window is full and
// reports whether to go on.
func (at *attempt) accept(ev a2a.Event) bool {
	at.mu.Lock()
	defer at.mu.Unlock()
	for !at.ended && at.overWindow() {
		at.room.Wait()
	}
	if at.ended || at.broken != nil || at.late() {
		at.refuse(fmt.Sprintf("%T after the end of the attempt", ev))
		return false
	}
	at.lastAt = at.w.o.Now()
	events, end, err := at.turn.Accept(at.state, ev, at.now())
	if err != nil {
		at.refuse(err.Error())
		return at.end == task.EndNone
	}
	for _, e := range events {
		if err := at.record(e, record.Stamp{}, nil); err != nil && end != task.EndNone {
			// The turn believes that it has ended, and the log does not say so.
			at.broken = task.Errorf(task.ErrInvalidEvent, "The agent ended with an event that cannot be recorded.")
		}
		if at.broken != nil {
			at.signal()
			return false
		}
	}
	if end != task.EndNone {
		at.end = end
	}
	at.signal()
	return end == task.EndNone
}

func (at *attempt) overWindow() bool {
	n := len(at.pending) + at.flight
	return n >= at.w.o.Limits.WindowEvents || at.bytes >= at.w.o.Limits.WindowBytes
}

// record encodes an event with the next sequence and folds it in. The caller
// holds at.mu. An event that cannot be encoded is refused.
func (at *attempt) record(ev a2a.Event, st record.Stamp, opens *task.Message) error {
	st.Seq, st.Attempt = at.state.Seq+1, at.claim.Attempt
	raw, change, err := record.Encode(ev, st)
	if err != nil {
		at.refuse(err.Error())
		return err
	}
	at.push(raw, change, opens)
	return nil
}

// push folds an encoded event in and queues it for the next commit.
func (at *attempt) push(raw task.Raw, change *task.Change, opens *task.Message) {
	if err := at.withinLimits(raw, change); err != nil {
		at.broken = err
		return
	}
	if err := at.fold(raw, change, opens); err != nil {
		at.refuse(err.Error())
	}
}

func (at *attempt) fold(raw task.Raw, change *task.Change, opens *task.Message) error {
	change.Opens = opens
	if err := at.state.Apply(change); err != nil {
		return err
	}
	at.pending = append(at.pending, record.Record{
		Seq: at.state.Seq, Turn: at.own, Attempt: at.claim.Attempt,
		Closes: at.state.Closed(), Event: raw, Opens: opens,
	})
	at.bytes += len(raw)
	return nil
}

func (at *attempt) withinLimits(raw task.Raw, change *task.Change) error {
	lim, size := at.w.o.Limits, len(raw)
	if change.Kind == task.KindTask {
		size -= min(len(at.claim.Message)+taskFrame, size) // the caller's, which was taken
	}
	if size > lim.Event {
		return task.Errorf(task.ErrTooLarge, "The agent sent an event of %d bytes; at most %d are allowed.", len(raw), lim.Event)
	}
	if n := at.state.Size() + len(raw); n > lim.Task {
		return task.Errorf(task.ErrTooLarge, "The task would grow to %d bytes; at most %d are allowed.", n, lim.Task)
	}
	return nil
}

// taskFrame is what a Task event has around the user's message, and some.
const taskFrame = 1 << 10

// force records an event of the engine's own, past every limit.
func (at *attempt) force(ev a2a.Event) {
	raw, change, err := record.Encode(ev, record.Stamp{Seq: at.state.Seq + 1, Attempt: at.claim.Attempt})
	if err == nil {
		err = at.fold(raw, change, nil)
	}
	if err != nil { // the engine's own events are always valid
		at.log().Error("cannot record an event of the engine", "error", err)
	}
}

// maxRefused bounds what is kept about events that broke the rules.
const maxRefused = 16

// refuse keeps why an event was not recorded. It stands in the table of
// attempts if the attempt has not ended yet, and in any case in the log.
func (at *attempt) refuse(why string) {
	if len(at.refused) < maxRefused {
		at.refused = append(at.refused, why)
		at.log().Warn("refused an event of the agent", "reason", why)
	}
}

// report takes a progress of the executor.
func (at *attempt) report(percent int) {
	at.mu.Lock()
	defer at.mu.Unlock()
	if percent <= at.percent || at.ended || at.end != task.EndNone || at.overWindow() {
		return
	}
	events, err := at.turn.Progress(at.state, percent, at.now())
	if err != nil {
		return
	}
	at.percent = percent
	at.lastAt = at.w.o.Now()
	for _, e := range events {
		at.record(e, record.Stamp{}, nil)
	}
	at.signal()
}
