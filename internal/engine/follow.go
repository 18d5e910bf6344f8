// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"io"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// readAhead bounds what a follower reads from the log at once, in bytes.
const readAhead = 256 << 10

// Follower reads a task's events in order, each once: from the log as far as
// it goes and then as they are committed. It is not safe for concurrent use.
type Follower struct {
	e   *Engine
	ref task.Ref
	lis *live.Listener
	// cursor is the sequence of the last event given.
	cursor uint64
	// turn ends the stream with that turn; 0 follows to the end of the task.
	turn int
	// pauses ends a stream of the whole task where the task waits; last is the
	// turn of the last event given, at first of the one that is under way.
	pauses bool
	last   int
	// behind is set while the log may hold events after the cursor that the
	// listener did not give.
	behind bool
	// timed is set while the turn may be withdrawn because its deadline passes.
	timed bool
	first *Frame
	done  error // io.EOF, or how the stream ended
}

// Stream accepts a message and follows its turn.
func (e *Engine) Stream(ctx context.Context, call Call, req *a2a.SendMessageRequest) (*Follower, error) {
	acc, err := e.accept(ctx, call, req, true)
	if err != nil {
		return nil, err
	}
	f := &Follower{e: e, ref: acc.ref, lis: acc.lis, cursor: acc.cursor, turn: acc.turn, behind: !acc.fresh, timed: acc.mayBeWithdrawn()}
	if acc.joined {
		err = f.rejoin(ctx, acc)
	} else if acc.state != nil && acc.state.Exists() && acc.turn > 1 {
		f.open(acc.state)
	}
	if err != nil {
		f.Close()
		return nil, unread(acc.ref.ID, err)
	}
	return f, nil
}

// rejoin begins a repeat of a follow-up with the Task as it was before the
// turn. The first turn begins with its Task by itself.
func (f *Follower) rejoin(ctx context.Context, acc *accepted) error {
	if acc.turn == 1 {
		return nil
	}
	s, err := f.e.prefix(ctx, acc.ref, func(r record.Record) bool { return r.Seq <= acc.cursor })
	if err != nil {
		return err
	}
	f.open(s)
	return nil
}

// prefix folds the records of a task that are to be kept, which are its first.
func (e *Engine) prefix(ctx context.Context, ref task.Ref, keep func(record.Record) bool) (*task.State, error) {
	var s *task.State
	for {
		var after uint64
		if s != nil {
			after = s.Seq
		}
		head, batches, err := e.Reader.Read(ctx, ref, after, readAhead)
		if err != nil {
			return nil, e.storeError("read log", err)
		}
		if s == nil {
			s = task.NewState(head.ID, head.ContextID)
		}
		for _, b := range batches {
			recs, err := record.DecodeBatch(b.Body)
			if err != nil {
				return nil, &internalError{"decode log of task " + ref.ID, err}
			}
			n := len(recs)
			for n > 0 && !keep(recs[n-1]) {
				n--
			}
			if err := record.Fold(s, recs[:n]); err != nil {
				return nil, &internalError{"fold task " + ref.ID, err}
			}
			if n < len(recs) {
				return s, nil
			}
		}
		if s.Seq >= head.LastSeq || len(batches) == 0 {
			return s, nil
		}
	}
}

// Subscribe follows a task to its end. Without a cursor it begins with the
// Task and a task that has ended is refused; with one it begins right after
// it, whatever the state, and has no Task in front.
func (e *Engine) Subscribe(ctx context.Context, call Call, req *a2a.SubscribeToTaskRequest, cursor *uint64) (*Follower, error) {
	call, err := e.Admit(ctx, call)
	if err != nil {
		return nil, err
	}
	ref := task.Ref{Scope: call.Scope, ID: string(req.ID)}
	f := &Follower{e: e, ref: ref, lis: e.Hub.Listen(ref), pauses: e.CloseInterrupted}
	if cursor == nil {
		err = f.subscribe(ctx, call, req.ID)
	} else {
		err = f.resume(ctx, call, req.ID, *cursor)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *Follower) subscribe(ctx context.Context, call Call, id a2a.TaskID) error {
	head, s, err := f.e.load(ctx, call, id)
	if err != nil {
		return err
	}
	if head.Closed {
		return &task.Error{
			Kind: a2a.ErrUnsupportedOperation, Meta: map[string]string{"taskId": head.ID, "state": head.State},
			Message: "the task has ended: use GetTask, or subscribe with Last-Event-ID to replay its events",
		}
	}
	f.open(s)
	f.pauseAt(head)
	return nil
}

// pauseAt ends the stream of a task that waits with what is there; otherwise
// the turn that is next to end is the one to look for.
func (f *Follower) pauseAt(head store.Head) {
	f.last = min(head.DoneTurn+1, head.LastTurn)
	if f.pauses && head.DoneTurn == head.LastTurn && f.cursor == head.LastSeq {
		f.done = io.EOF
	}
}

func (f *Follower) resume(ctx context.Context, call Call, id a2a.TaskID, cursor uint64) error {
	head, err := f.e.head(ctx, call, id)
	if err != nil {
		return err
	}
	if cursor > head.LastSeq {
		return task.Invalid(a2a.ErrInvalidParams, "Last-Event-ID", "%d is after the last event of the task, %d", cursor, head.LastSeq)
	}
	f.cursor, f.behind = cursor, true
	f.pauseAt(head)
	if head.Closed && cursor == head.LastSeq {
		f.done = io.EOF
	}
	return nil
}

// open puts the Task in front of the stream.
func (f *Follower) open(s *task.State) {
	f.cursor = s.Seq
	f.first = &Frame{Seq: s.Seq, Event: record.AppendTaskFrame(make([]byte, 0, s.Size()+256), s, record.View{Stamp: &record.Stamp{Seq: s.Seq}})}
}

// Close ends the following. It may be called twice.
func (f *Follower) Close() { f.lis.Close() }

// Cursor is the sequence of the last event given.
func (f *Follower) Cursor() uint64 { return f.cursor }

// Next waits for events, at most idle (0: as long as it takes), and gives all
// that are there. It gives nothing and no error when idle has passed, io.EOF
// at the end of the stream, and a task.Error where the turn was never run.
func (f *Follower) Next(ctx context.Context, idle time.Duration) ([]Frame, error) {
	if f.first != nil {
		frames := []Frame{*f.first}
		f.first = nil
		return frames, nil
	}
	var timer *time.Timer
	for {
		if f.done != nil {
			return nil, f.end(ctx)
		}
		frames, err := f.gather(ctx)
		if err != nil || len(frames) > 0 {
			return frames, err
		}
		if f.done != nil {
			continue
		}
		if timer == nil {
			timer = newTimer(idle)
			defer timer.Stop()
		}
		select {
		case <-f.lis.Bell():
		case <-timer.C:
			return nil, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func newTimer(idle time.Duration) *time.Timer {
	if idle <= 0 {
		idle = 1<<63 - 1
	}
	return time.NewTimer(idle)
}

// gather takes what the listener has, or reads the log where it has a gap.
func (f *Follower) gather(ctx context.Context) ([]Frame, error) {
	var frames []Frame
	if f.behind {
		return f.read(ctx)
	}
	tails, lagged := f.lis.Take()
	for _, t := range tails {
		for n, r := range t.Records {
			switch {
			case r.Seq <= f.cursor:
			case r.Seq != f.cursor+1:
				f.behind = true
			default:
				frames = f.give(frames, r, t.Shared(n))
			}
			if f.behind || f.done != nil {
				break
			}
		}
		f.behind = f.behind || f.cursor < t.Seq && f.done == nil
		if f.behind || f.done != nil {
			break
		}
		f.checkTurn(t.DoneTurn)
	}
	if lagged && f.done == nil {
		f.behind = true
	}
	if len(frames) == 0 && f.behind && f.done == nil {
		return f.read(ctx)
	}
	return frames, nil
}

// read goes on from the log. It stays behind until the log has nothing more,
// so that whatever is committed meanwhile is either read or published later.
func (f *Follower) read(ctx context.Context) ([]Frame, error) {
	head, batches, err := f.e.Reader.Read(ctx, f.ref, f.cursor, readAhead)
	if err != nil {
		err = f.e.storeError("read log", err)
		if f.turn > 0 {
			err = unread(f.ref.ID, err)
		}
		return nil, err
	}
	var frames []Frame
	for _, b := range batches {
		recs, err := record.DecodeBatch(b.Body)
		if err != nil {
			return nil, &internalError{"decode log of task " + f.ref.ID, err}
		}
		for _, r := range recs {
			if r.Seq > f.cursor && f.done == nil {
				frames = f.give(frames, r, nil)
			}
		}
	}
	if f.cursor >= head.LastSeq {
		f.behind = false
		f.checkTurn(head.DoneTurn)
		if f.timed && f.done == nil {
			f.done = unread(f.ref.ID, f.e.checkWithdrawn(ctx, f.ref, f.turn))
		}
	}
	return frames, nil
}

// give takes the record after the cursor, unless the stream ends before it.
func (f *Follower) give(frames []Frame, r record.Record, shared *record.Shared) []Frame {
	if f.turn > 0 && r.Turn > f.turn {
		f.done = io.EOF
		return frames
	}
	f.cursor, f.last = r.Seq, r.Turn
	if r.Closes {
		f.done = io.EOF
		if r.Turn < f.turn {
			f.done = turnCanceled(f.ref.ID, a2a.TaskStateUnspecified)
		}
	}
	return append(frames, Frame{Seq: r.Seq, Event: r.Event, Shared: shared})
}

// checkTurn ends the stream when its turn has and everything was given; one of
// the whole task, if it is to end where the task waits, when the last turn has.
func (f *Follower) checkTurn(done int) {
	ends := f.turn > 0 && done >= f.turn || f.pauses && f.turn == 0 && f.last > 0 && done >= f.last
	if ends && f.done == nil {
		f.done = io.EOF
	}
}
