// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

const (
	agent = "agent"
	ttl   = 15 * time.Second
	ms    = time.Millisecond
	huge  = 1 << 30 // more bytes than any log here has
)

var mine = task.Scope{Tenant: "tenant", Principal: "principal"}

// fakeClock stands still until it is told to move.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a fresh store with its clock, and the words in which rules are told.
// Lower-case methods fail the test where the store's own return an error.
type world struct {
	*testing.T
	store.Store
	clock *fakeClock
	open  func(t *testing.T, clock store.Clock) store.Store
	made  atomic.Int64
}

func newWorld(t *testing.T, open func(t *testing.T, clock store.Clock) store.Store) *world {
	w := &world{
		T:     t,
		open:  open,
		clock: &fakeClock{now: time.Date(2026, 3, 29, 1, 59, 30, int(250*ms), time.UTC)},
	}
	w.Store = open(t, w.clock.Now)
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// reopen closes the store and opens it again.
func (w *world) reopen() {
	w.Helper()
	if err := w.Close(); err != nil {
		w.Fatalf("Close: %v", err)
	}
	w.Store = w.open(w.T, w.clock.Now)
}

// diff is empty if both are equal; no slice equals an empty one.
func diff(want, got any) string { return cmp.Diff(want, got, cmpopts.EquateEmpty()) }

// want fails, citing the rule, unless got is as it should be.
func (w *world) want(rule string, got, want any) {
	w.Helper()
	if d := diff(want, got); d != "" {
		w.Errorf("broken rule: %s\n(-want +got)\n%s", rule, d)
	}
}

// refused fails, citing the rule, unless err is one of the refusals.
func (w *world) refused(rule string, err error, oneOf ...error) {
	w.Helper()
	for _, e := range oneOf {
		if errors.Is(err, e) {
			return
		}
	}
	w.Errorf("broken rule: %s\ngot error %v, want one of %q", rule, err, oneOf)
}

// must fails and ends the test on an error.
func (w *world) must(what string, err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("%s: unexpected error: %v", what, err)
	}
}

// parallel runs f(0) … f(n-1) at once. f must not call Fatal.
func (w *world) parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// ref names a task that does not exist yet.
func (w *world) ref() task.Ref {
	return task.Ref{Scope: mine, ID: fmt.Sprintf("task-%05d", w.made.Add(1))}
}

type change = func(s *store.Submission)

// first is the submission of a new task with unmistakable content.
func (w *world) first(changes ...change) *store.Submission {
	ref := w.ref()
	s := &store.Submission{
		Ref: ref, Agent: agent, ContextID: "context of " + ref.ID, Turn: 1,
		Message:   []byte("message of " + ref.ID + " turn 1"),
		MessageID: "id of " + ref.ID + " turn 1",
		Request:   []byte("request of " + ref.ID + " turn 1"),
	}
	for _, c := range changes {
		c(s)
	}
	return s
}

// next is the submission of the turn that follows a head.
func (w *world) next(h store.Head, changes ...change) *store.Submission {
	s := &store.Submission{
		Ref: h.Ref, Agent: h.Agent, ContextID: h.ContextID,
		Turn: h.LastTurn + 1, LastSeq: h.LastSeq, DoneTurn: h.DoneTurn,
		Message:   fmt.Appendf(nil, "message of %s turn %d", h.ID, h.LastTurn+1),
		MessageID: fmt.Sprintf("id of %s turn %d", h.ID, h.LastTurn+1),
		Request:   fmt.Appendf(nil, "request of %s turn %d", h.ID, h.LastTurn+1),
	}
	for _, c := range changes {
		c(s)
	}
	return s
}

func forAgent(name string) change { return func(s *store.Submission) { s.Agent = name } }
func inContext(id string) change  { return func(s *store.Submission) { s.ContextID = id } }
func named(id string) change      { return func(s *store.Submission) { s.ID = id } }
func ownedBy(sc task.Scope) change {
	return func(s *store.Submission) { s.Scope = sc }
}

func claimed(s *store.Submission) { s.Claim = &store.Taker{Worker: "worker", TTL: ttl} }

func keyed(value, hash string) change {
	return func(s *store.Submission) {
		s.Key = &store.Key{Value: value, Hash: []byte(hash), TTL: 24 * time.Hour}
	}
}

// opened gives a submission both openings, one record each.
func (w *world) opened(s *store.Submission) {
	open := func(how string) *store.Opening {
		return &store.Opening{
			Batch: store.Batch{First: s.LastSeq + 1, Last: s.LastSeq + 1, Body: []byte("opening if " + how)},
			View:  store.View{State: how, StatusAt: w.clock.Now(), Listed: true},
		}
	}
	s.IfClaimed, s.IfQueued = open("claimed"), open("queued")
}

func (w *world) submit(s *store.Submission) store.Submitted {
	w.Helper()
	out, err := w.Submit(w.Context(), s)
	w.must(fmt.Sprintf("Submit(%s, turn %d)", s.ID, s.Turn), err)
	return out
}

// queued makes a new task whose item waits.
func (w *world) queued(changes ...change) store.Head {
	w.Helper()
	s := w.submit(w.first(changes...))
	if s.Claim != nil {
		w.Fatalf("broken rule: Submitted.Claim is set when the submission asked to claim; it did not")
	}
	return s.Head
}

func (w *world) load(ref task.Ref) store.Stored {
	w.Helper()
	out, err := w.Load(w.Context(), ref)
	w.must("Load("+ref.ID+")", err)
	return out
}

func (w *world) head(ref task.Ref) store.Head {
	w.Helper()
	return w.load(ref).Head
}

func (w *world) log(ref task.Ref) []store.Batch {
	w.Helper()
	_, out, err := w.Read(w.Context(), ref, 0, huge)
	w.must("Read("+ref.ID+")", err)
	return out
}

func (w *world) turns(ref task.Ref) []store.Turn {
	w.Helper()
	out, err := w.Turns(w.Context(), ref, 0, 0)
	w.must("Turns("+ref.ID+")", err)
	return out
}

func (w *world) attempts(ref task.Ref) []store.Attempt {
	w.Helper()
	out, err := w.Attempts(w.Context(), ref)
	w.must("Attempts("+ref.ID+")", err)
	return out
}

// dump is all that can be read about a task.
type dump struct {
	Stored   store.Stored
	Log      []store.Batch
	Turns    []store.Turn
	Attempts []store.Attempt
}

func (w *world) dump(ref task.Ref) dump {
	w.Helper()
	return dump{w.load(ref), w.log(ref), w.turns(ref), w.attempts(ref)}
}

// unchanged fails if what is done changes anything about the task.
func (w *world) unchanged(rule string, ref task.Ref, do func()) {
	w.Helper()
	before := w.dump(ref)
	do()
	w.want(rule, w.dump(ref), before)
}
