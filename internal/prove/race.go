// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Races lets cancellations race completions.
type Races struct {
	Client *Client
	Ledger *Ledger

	// delay is how long after the start of a task its cancellation is sent,
	// in nanoseconds. It follows the outcomes, so that about half are won by
	// each side: a race that one side always wins proves nothing.
	delay      atomic.Int64
	canceled   atomic.Int64
	completed  atomic.Int64
	mu         sync.Mutex
	violations []Violation
}

const (
	raceCommand  = "sleep 15ms"
	raceDelay    = 10 * time.Millisecond
	raceStep     = 100 * time.Microsecond
	racesAtATime = 8
)

// Canceled is how many races the cancellations won.
func (r *Races) Canceled() int { return int(r.canceled.Load()) }

// Completed is how many the completions won.
func (r *Races) Completed() int { return int(r.completed.Load()) }

// Violations are the races whose callers heard different things.
func (r *Races) Violations() []Violation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.violations)
}

// Run runs n races.
func (r *Races) Run(ctx context.Context, n int) error {
	r.delay.Store(int64(raceDelay))
	starts := make(chan struct{})
	faults := make([]error, racesAtATime)
	var wg sync.WaitGroup
	for i := range racesAtATime {
		wg.Go(func() {
			for range starts {
				if err := r.race(ctx); err != nil {
					faults[i] = errors.Join(faults[i], err)
				}
			}
		})
	}
	for range n {
		starts <- struct{}{}
	}
	close(starts)
	wg.Wait()
	return errors.Join(faults...)
}

// race has three callers: one streams the task, one waits for it with the same
// key, one cancels it.
func (r *Races) race(ctx context.Context) error {
	m := newMessage("", raceCommand)
	f := NewFollower(r.Client, m)
	var canceled, waited string
	var cancelErr, waitErr error
	var wg sync.WaitGroup
	f.OnFrame = func(frame Frame) {
		if frame.ID != 1 {
			return
		}
		wg.Go(func() { canceled, cancelErr = r.cancel(ctx, f.Task) })
		wg.Go(func() { waited, waitErr = r.wait(ctx, m) })
	}
	err := f.Follow(ctx)
	wg.Wait()
	if err := errors.Join(err, cancelErr, waitErr); err != nil {
		return fmt.Errorf("race of task %s: %w", f.Task, err)
	}
	r.judge(f, canceled, waited)
	if err := r.Ledger.Append(Entry{Op: opSend, Task: f.Task, Text: m.Text, Message: m.ID, Key: m.Key}); err != nil {
		return err
	}
	return r.Ledger.Append(Entry{Op: opCancel, Task: f.Task, State: canceled})
}

func (r *Races) judge(f *Follower, canceled, waited string) {
	want := stateCompleted
	if canceled != "" {
		want = stateCanceled
		r.canceled.Add(1)
		r.delay.Add(int64(raceStep))
	} else {
		r.completed.Add(1)
		if r.delay.Add(-int64(raceStep)) < 0 {
			r.delay.Store(0)
		}
	}
	if f.State == want && waited == want {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violations = append(r.violations, Violation{Kind: "race", Task: f.Task, Detail: fmt.Sprintf(
		"the cancellation was answered %q, the stream ended %s, the one who waited was told %s", canceled, f.State, waited)})
}

func (r *Races) cancel(ctx context.Context, task string) (string, error) {
	if err := wait(ctx, time.Duration(r.delay.Load())); err != nil {
		return "", err
	}
	return cancelTask(ctx, r.Client, task)
}

// wait joins the turn that the key made.
func (r *Races) wait(ctx context.Context, m Message) (string, error) {
	result, err := r.Client.CallUntilAnswered(ctx, "SendMessage", m.params(false), m.header())
	if err != nil {
		return "", err
	}
	return result.at("task").state(), nil
}
