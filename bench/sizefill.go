// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
)

// What a large store holds. All finished tasks but a twentieth are of one
// tenant and one agent, which is the hard case for its listing.
const (
	fillers      = 512 // goroutines
	smallTenant  = 50  // tasks of each other tenant
	perContext   = 4   // tasks of an ordinary conversation
	largeOneIn   = 20  // this part of the tasks is in one conversation
	laterOneIn   = 10  // this part of what waits is scheduled for next month
	historyDays  = 180
	keyOneIn     = 10 // this part of the messages has an idempotency key
	fillLease    = time.Hour
	sizeWorker   = "bench"
	largeContext = math.MaxUint64
)

// world is one store of a known content. What the i-th task is follows from i.
type world struct {
	path              string
	finished, waiting int
	began             time.Time
	took              time.Duration // to fill it
	made              int64         // tasks
	form              *forms
}

// kinds of names that are made from a number.
const (
	taskName uint64 = iota
	contextName
	messageName
)

// name is a UUID of version 7 as the engine makes them: in the order of time.
func (w *world) name(kind, i uint64) string {
	ms, r := uint64(w.at(i).UnixMilli()), mix(i<<2|kind)
	return fmt.Sprintf("%08x-%04x-7%03x-%04x-%012x", ms>>16, ms&0xffff, i&0xfff, r>>48&0x3fff|0x8000, r&(1<<48-1))
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// at is when the i-th task ended: evenly over the history.
func (w *world) at(i uint64) time.Time {
	if i == largeContext {
		i = 0
	}
	step := historyDays * 24 * time.Hour / time.Duration(max(w.finished+w.waiting, 1))
	return w.began.Add(-historyDays*24*time.Hour + time.Duration(i)*step).Truncate(time.Millisecond)
}

func (w *world) ref(i uint64) task.Ref {
	return task.Ref{ID: w.name(taskName, i), Scope: w.scope(i)}
}

// scope is the large tenant's, which is that of callers without credentials,
// so that the program can show it; or one of many small ones.
func (w *world) scope(i uint64) task.Scope {
	if i < uint64(w.finished) && i%20 == 7 {
		return w.small(i / 20)
	}
	return task.Scope{}
}

func (w *world) small(n uint64) task.Scope {
	return task.Scope{Tenant: fmt.Sprintf("tenant-%05d", n%w.tenants()), Principal: "user"}
}

// tenants is how many small ones there are, of fifty tasks each.
func (w *world) tenants() uint64 { return uint64(max(w.finished/20/smallTenant, 1)) }

func (w *world) context(i uint64) string {
	if mix(i)%largeOneIn == 0 {
		return w.name(contextName, largeContext)
	}
	return w.name(contextName, i-i%perContext)
}

// state of a finished task: nine of ten are completed.
func stateOf(i uint64) a2a.TaskState {
	switch r := mix(i+1) % 100; {
	case r < 90:
		return a2a.TaskStateCompleted
	case r < 97:
		return a2a.TaskStateFailed
	case r < 99:
		return a2a.TaskStateCanceled
	default:
		return a2a.TaskStateRejected
	}
}

// fill makes the store through its port, as the engine and the workers do: a
// commit that accepts and claims, and one that ends. Last comes what waits.
func (w *world) fill(ctx context.Context, say sayer) (err error) {
	st, err := sqlite.Open(ctx, w.path, sqlite.Options{CheckpointBytes: 256 << 20})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	began := time.Now()
	if err := w.crowd(ctx, 0, w.finished, say, func(i uint64) error { return w.finish(ctx, st, i) }); err != nil {
		return fmt.Errorf("make finished tasks: %w", err)
	}
	if err := w.crowd(ctx, w.finished, w.waiting, say, func(i uint64) error { return w.wait(ctx, st, i) }); err != nil {
		return fmt.Errorf("make waiting tasks: %w", err)
	}
	w.took = time.Since(began)
	w.made = int64(w.finished + w.waiting)
	return nil
}

// note is what is written beside a store that is kept.
type note struct {
	Finished, Waiting int
	Began             time.Time
	Took              time.Duration
	Made              int64
}

// known fills the world from the note beside the store, if there is one of the
// same size.
func (w *world) known() (bool, error) {
	data, err := os.ReadFile(w.path + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the note of a store: %w", err)
	}
	var n note
	if err := json.Unmarshal(data, &n); err != nil {
		return false, fmt.Errorf("read the note of a store: %w", err)
	}
	if n.Finished != w.finished || n.Waiting != w.waiting {
		return false, fmt.Errorf("%s holds %d finished and %d waiting tasks; give another -keep", w.path, n.Finished, n.Waiting)
	}
	w.began, w.took, w.made = n.Began, n.Took, n.Made
	return true, nil
}

func (w *world) keep() error {
	data, err := json.Marshal(note{w.finished, w.waiting, w.began, w.took, w.made})
	if err != nil {
		return fmt.Errorf("note what a store holds: %w", err)
	}
	if err := os.WriteFile(w.path+".json", data, 0o600); err != nil {
		return fmt.Errorf("note what a store holds: %w", err)
	}
	return nil
}

// crowd calls do for n numbers on many goroutines, about in their order.
func (w *world) crowd(ctx context.Context, from, n int, say sayer, do func(i uint64) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	began := time.Now()
	tell := max(n/10, 100_000)
	for range min(fillers, n) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1) - 1)
				if i >= n {
					return
				}
				if err := do(uint64(from + i)); err != nil {
					cancel(err)
					return
				}
				if done := i + 1; done%tell == 0 {
					say("  %d of %d tasks, %.0f a second", done, n, float64(done)/time.Since(began).Seconds())
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

func (w *world) submission(i uint64, f *form) *store.Submission {
	ids := w.renaming(i, f)
	s := &store.Submission{
		Ref: w.ref(i), ContextID: w.context(i), Turn: 1,
		Message: ids.Replace(f.message), MessageID: w.name(messageName, i), Request: f.request,
	}
	if i%keyOneIn == 0 {
		hash := make([]byte, 32)
		binary.BigEndian.PutUint64(hash, mix(i))
		s.Key = &store.Key{Value: s.MessageID, Hash: hash, TTL: 24 * time.Hour}
	}
	return s
}

func (w *world) finish(ctx context.Context, st store.Store, i uint64) error {
	s := w.submission(i, &w.form.done)
	s.Claim = &store.Taker{Worker: sizeWorker, TTL: fillLease}
	got, err := st.Submit(ctx, s)
	if err != nil {
		return err
	}
	if got.Claim == nil {
		return fmt.Errorf("task %d was not claimed: something else is ready", i)
	}
	_, err = st.Append(ctx, w.ending(i, got.Claim, w.at(i)))
	return err
}

// ending ends a claimed task with one of the states.
func (w *world) ending(i uint64, c *store.Claim, at time.Time) *store.Append {
	f, first := &w.form.done, c.Head.LastSeq+1
	ids := f.renaming(c.Head.ID, c.Head.ContextID, c.MessageID)
	a := &store.Append{
		Ref: c.Head.Ref, Epoch: c.Head.Epoch, LastSeq: c.Head.LastSeq, LastTurn: 1,
		Batch: &store.Batch{First: first, Last: first + f.last - 1, Body: ids.Replace(f.log)},
		View:  &store.View{State: string(stateOf(i)), StatusAt: at, Listed: true, Closed: true},
		Item:  c.Item, Finish: &store.Finish{State: store.Completed, EndTurn: true},
	}
	if f.snapshot != nil { // the engine makes none of a short log
		a.Snapshot = &store.Snapshot{Seq: first + f.last - 1, Body: ids.Replace(f.snapshot)}
	}
	return a
}

// wait accepts a task that nobody claims, as a client sends it who does not
// wait for the answer.
func (w *world) wait(ctx context.Context, st store.Store, i uint64) error {
	s := w.queued(i)
	if i%laterOneIn == 0 {
		s.ScheduledFor = w.began.Add(30 * 24 * time.Hour)
		s.Deadline = s.ScheduledFor.Add(24 * time.Hour)
	}
	_, err := st.Submit(ctx, s)
	return err
}

func (w *world) queued(i uint64) *store.Submission {
	f := &w.form.queued
	s := w.submission(i, f)
	s.Priority = int(mix(i) % 3)
	s.IfQueued = &store.Opening{
		Batch: store.Batch{First: 1, Last: f.last, Body: w.renaming(i, f).Replace(f.log)},
		View:  store.View{State: f.head.State, StatusAt: w.at(i), Listed: true},
	}
	return s
}
