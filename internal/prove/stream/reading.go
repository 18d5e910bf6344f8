// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// retryAfter is how long a reader waits before it takes a stream up again.
const retryAfter = 5 * time.Millisecond

// Reading is the stream of one task, read to its end through every break.
type Reading struct {
	Door Door
	// OnEvent is called with each event, in order, each once; it may be nil.
	OnEvent func(Event)
	// Brief keeps of each event a digest alone.
	Brief bool

	// Task is the task to read; empty: the one that the message makes.
	Task string
	// Events are all of them: the event with sequence n is Events[n-1].
	Events []Event
	State  string
	// Resumed is how often the stream was taken up again.
	Resumed int
}

// Follow sends the message, if there is no task yet, and reads until the turn
// has ended. It repeats the send, with its key, until it has seen an event;
// from then on it resumes.
func (r *Reading) Follow(ctx context.Context, m Message) error {
	for {
		var broken error
		if r.Task == "" {
			broken = r.Door.Send(ctx, m, r.take)
		} else {
			broken = r.Door.Subscribe(ctx, r.Task, len(r.Events), r.take)
		}
		if broken != nil && !errors.Is(broken, ErrBroken) {
			return fmt.Errorf("task %q after %d: %w", r.Task, len(r.Events), broken)
		}
		if terminal(r.State) {
			return nil
		}
		r.Resumed++
		if err := pause(ctx, retryAfter); err != nil {
			return fmt.Errorf("task %q stopped after %d: %w (last: %w)", r.Task, len(r.Events), err, broken)
		}
	}
}

// take accepts the next event and no other.
func (r *Reading) take(e Event) error {
	last := len(r.Events)
	switch {
	case last == 0 && e.Task == "":
		return fmt.Errorf("the first event names no task: %.200q", e.Raw)
	case last == 0:
		r.Task = e.Task
	case terminal(r.State):
		return fmt.Errorf("%d comes after the last event, %d", e.Seq, last)
	}
	switch {
	case e.Seq <= last:
		return fmt.Errorf("%d comes twice: it is shown after %d", e.Seq, last)
	case e.Seq != last+1:
		return fmt.Errorf("%d to %d are missing", last+1, e.Seq-1)
	}
	if e.State != "" {
		r.State = e.State
	}
	r.Events = append(r.Events, r.kept(e))
	if r.OnEvent != nil {
		r.OnEvent(e)
	}
	return nil
}

func (r *Reading) kept(e Event) Event {
	if !r.Brief {
		return e
	}
	sum := sha256.Sum256(e.Raw)
	return Event{Seq: e.Seq, Raw: sum[:]}
}

// Compare reads the whole task once more, over a door that does not break, and
// wants the same bytes. One who has read everything must be given nothing.
func (r *Reading) Compare(ctx context.Context, clean Door) error {
	n := 0
	err := clean.Subscribe(ctx, r.Task, 0, func(e Event) error {
		if n++; n > len(r.Events) || e.Seq != n {
			return fmt.Errorf("a replay shows %d as event %d of %d", e.Seq, n, len(r.Events))
		}
		if !bytes.Equal(r.kept(e).Raw, r.Events[n-1].Raw) {
			return fmt.Errorf("event %d was shown as\n%q\nand is\n%q", n, r.Events[n-1].Raw, r.kept(e).Raw)
		}
		return nil
	})
	if err == nil && n != len(r.Events) {
		err = fmt.Errorf("a replay shows %d events, the stream showed %d", n, len(r.Events))
	}
	if err == nil {
		err = clean.Subscribe(ctx, r.Task, n, func(e Event) error { return fmt.Errorf("%d is shown to one who has everything", e.Seq) })
	}
	if err != nil {
		return fmt.Errorf("task %s: %w", r.Task, err)
	}
	return nil
}

// CheckCount wants the task completed and its chunks to be 1, 2, … to.
func (r *Reading) CheckCount(to int) error {
	if r.State != StateCompleted {
		return fmt.Errorf("task %s ended %s", r.Task, r.State)
	}
	var chunks []string
	for _, e := range r.Events {
		chunks = append(chunks, e.Chunks...)
	}
	if err := checkNumbers(chunks, to); err != nil {
		return fmt.Errorf("task %s: %w", r.Task, err)
	}
	return nil
}

// checkNumbers wants 1, 2, … to.
func checkNumbers(chunks []string, to int) error {
	for i := range max(to, len(chunks)) {
		if i >= len(chunks) || i >= to || chunks[i] != strconv.Itoa(i+1) {
			return fmt.Errorf("chunk %d of %d is wrong: %.100q", i+1, to, chunks[min(i, len(chunks)):min(i+3, len(chunks))])
		}
	}
	return nil
}

// pause lets time pass or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
