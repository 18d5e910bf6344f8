// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/errand-a2a/errand/internal/prove"
)

// Subscription is what one who subscribed without a cursor was given.
type Subscription struct {
	// Snapshot is the Task that came first, and Tail is what followed.
	Snapshot Event
	Tail     []Event
	// Refused says that the task had ended before.
	Refused bool
}

// Subscribe reads a subscription to its end. opened is called with the first
// event, or with the refusal. A connection that breaks before is made again: a
// busy machine does not always open one in time.
func Subscribe(ctx context.Context, d Door, task string, opened func()) (*Subscription, error) {
	s := &Subscription{}
	err := d.Subscribe(ctx, task, Begin, func(e Event) error {
		if s.Snapshot.Raw == nil {
			s.Snapshot = e
			opened()
		} else {
			s.Tail = append(s.Tail, e)
		}
		return nil
	})
	if errors.Is(err, ErrBroken) && s.Snapshot.Raw == nil && ctx.Err() == nil {
		return Subscribe(ctx, d, task, opened)
	}
	if err == ErrEnded && s.Snapshot.Raw == nil { //nolint:errorlint // it is that one or it is none
		s.Refused = true
		opened()
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("subscribe to task %s: %w", task, err)
	}
	return s, nil
}

// Check compares with the log of the task, which holds its events from 1 on,
// and wants the snapshot and the tail to be the numbers 1 to `to`.
func (s *Subscription) Check(log []Event, to int) error {
	if s.Snapshot.Task == "" {
		return fmt.Errorf("the first event is no Task: %.200q", s.Snapshot.Raw)
	}
	at := s.Snapshot.Seq
	chunks := slices.Clone(s.Snapshot.Chunks)
	for i, e := range s.Tail {
		if want := at + i + 1; e.Seq != want {
			return fmt.Errorf("the snapshot is at %d, and %d comes where %d should", at, e.Seq, want)
		}
		if e.Seq > len(log) || !bytes.Equal(e.Raw, log[e.Seq-1].Raw) {
			return fmt.Errorf("event %d was shown as\n%s", e.Seq, e.Raw)
		}
		chunks = append(chunks, e.Chunks...)
	}
	if at+len(s.Tail) != len(log) {
		return fmt.Errorf("the stream ends with %d of %d", at+len(s.Tail), len(log))
	}
	if err := checkNumbers(chunks, to); err != nil {
		return fmt.Errorf("snapshot at %d and tail: %w", at, err)
	}
	return nil
}

// CheckSnapshots folds a log, as JSON, and wants each snapshot to be what the
// fold is at its sequence, and the task to be what it is in the end.
func CheckSnapshots(log []Event, subs []*Subscription, task []byte) error {
	subs = slices.SortedFunc(slices.Values(subs), func(a, b *Subscription) int { return cmp.Compare(a.Snapshot.Seq, b.Snapshot.Seq) })
	var folded prove.Folded
	for i, e := range log {
		if err := folded.Apply(e.Raw); err != nil {
			return fmt.Errorf("event %d: %w", i+1, err)
		}
		for ; len(subs) > 0 && subs[0].Snapshot.Seq == i+1; subs = subs[1:] {
			var snapshot struct{ Task json.RawMessage }
			if err := json.Unmarshal(subs[0].Snapshot.Raw, &snapshot); err != nil {
				return fmt.Errorf("snapshot at %d: %w", i+1, err)
			}
			if err := sameTask(snapshot.Task, &folded); err != nil {
				return fmt.Errorf("snapshot at %d: %w", i+1, err)
			}
		}
	}
	if len(subs) > 0 {
		return fmt.Errorf("a snapshot is at %d of %d", subs[0].Snapshot.Seq, len(log))
	}
	if err := sameTask(task, &folded); err != nil {
		return fmt.Errorf("the task: %w", err)
	}
	return nil
}

func sameTask(shown []byte, folded *prove.Folded) error {
	got, err := prove.TaskText(shown)
	if err != nil {
		return err
	}
	if want := folded.Text(); got != want {
		return fmt.Errorf("is shown as\n%s\nand the events say\n%s", got, want)
	}
	return nil
}
