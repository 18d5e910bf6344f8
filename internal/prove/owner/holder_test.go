// SPDX-License-Identifier: Apache-2.0

package owner

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
)

// dial is a clock that is turned by hand.
type dial struct {
	mu  sync.Mutex
	now time.Time
}

func newDial() *dial { return &dial{now: time.Date(2026, 10, 25, 2, 59, 0, 0, time.UTC)} }

func (d *dial) Now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *dial) turn(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

// holding is a stale holder: what it claimed once, and the last sequence, which
// it knows, so that nothing but the epoch tells it from the owner.
type holding struct {
	store.Claim
	seq      uint64
	lastTurn int
}

func (h *holding) write(parts func(a *store.Append)) *store.Append {
	a := &store.Append{Ref: h.Head.Ref, Epoch: h.Head.Epoch, LastSeq: h.seq, LastTurn: h.lastTurn, Item: h.Item}
	parts(a)
	return a
}

func late(a *store.Append) {
	a.Batch = &store.Batch{First: a.LastSeq + 1, Last: a.LastSeq + 1, Body: []byte("late")}
	a.View = &store.View{State: "LATE", Listed: true}
}

func ends(s store.ItemState) func(*store.Append) {
	return func(a *store.Append) {
		late(a)
		final := s == store.Completed || s == store.Canceled || s == store.Dead
		a.Finish = &store.Finish{State: s, EndTurn: final}
	}
}

// portWrites are the writes of the port.
var portWrites = map[string]func(*store.Append){
	"records":          late,
	"a snapshot":       func(a *store.Append) { a.Snapshot = &store.Snapshot{Seq: a.LastSeq, Body: []byte("late")} },
	"an extension":     func(a *store.Append) { a.Extend = time.Hour },
	"a refused cancel": func(a *store.Append) { a.RefuseCancel = true },
	"an attempt":       func(a *store.Append) { a.Attempt = &store.Attempt{Item: a.Item, Number: 1, Error: "late"} },
	"completed":        ends(store.Completed),
	"canceled":         ends(store.Canceled),
	"dead":             ends(store.Dead),
	"nack":             ends(store.Retryable),
	"release":          ends(store.Pending),
	"the end of the task": func(a *store.Append) {
		ends(store.Completed)(a)
		a.View.Closed = true
	},
	"a takeover": func(a *store.Append) {
		late(a)
		a.TakeEpoch, a.Item = true, store.ItemRef{}
	},
}

// At the port: a holder whose epoch is old is refused whatever it writes and
// however far its successor is, though it knows the last sequence.
func TestAStaleHolderIsRefusedAtThePort(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T, clock store.Clock) store.Store{
		"memory": func(_ *testing.T, clock store.Clock) store.Store { return memory.New(memory.Options{Clock: clock}) },
		"SQLite": func(t *testing.T, clock store.Clock) store.Store { return openSQLite(t, sqlite.Options{Clock: clock}) },
	} {
		t.Run("on "+name, func(t *testing.T) {
			t.Parallel()
			clock := newDial()
			s := open(t, clock.Now)
			defer s.Close()
			began := time.Now()
			refused := map[string]int{}
			for n := range *stops {
				stale(t, s, clock, n, refused)
				if t.Failed() {
					break
				}
			}
			t.Logf("refused on %s: %v; %v", name, refused, time.Since(began).Round(time.Millisecond))
			for _, kind := range append(slices.Collect(maps.Keys(portWrites)), "heartbeat") {
				if refused[kind] != *stops {
					t.Errorf("%s: refused %d times, want %d", kind, refused[kind], *stops)
				}
			}
		})
	}
}

func claimOne(t *testing.T, s store.Store, worker string) store.Claim {
	t.Helper()
	got, err := s.Claim(t.Context(), store.ClaimRequest{Agent: "a", Limit: 1, Taker: store.Taker{Worker: worker, TTL: lease}})
	if err != nil || len(got) != 1 {
		t.Fatalf("claimed %d items: %v", len(got), err)
	}
	return got[0]
}

// stale lets somebody lose a task and try every kind of write at each step that
// others take with it.
func stale(t *testing.T, s store.Store, clock *dial, n int, refused map[string]int) {
	t.Helper()
	ref := task.Ref{ID: fmt.Sprintf("task-%05d", n)}
	if _, err := s.Submit(t.Context(), &store.Submission{Ref: ref, Agent: "a", Turn: 1, Message: []byte("m")}); err != nil {
		t.Fatal(err)
	}
	old := &holding{Claim: claimOne(t, s, "first"), lastTurn: 1}
	clock.turn(3 * lease)
	if _, err := s.Rescue(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	steps := []func(){
		func() {}, // nobody has it
		func() { claimOne(t, s, "second") },
		func() { park(t, s, ref, old) },
		func() { answer(t, s, ref, old) },
	}
	far := n % len(steps)
	for _, step := range steps[:far+1] {
		step()
	}
	if far == len(steps)-1 && n/len(steps)%2 == 1 {
		old.Item.Turn = 2 // it even believes that its item is the one that runs
	}
	before := everything(t, s, ref)
	for kind, write := range portWrites {
		_, err := s.Append(t.Context(), old.write(write))
		if !errors.Is(err, store.ErrFenced) {
			t.Errorf("step %d, %s: answered %v, want %v", far, kind, err, store.ErrFenced)
			continue
		}
		refused[kind]++
	}
	answers, err := s.Heartbeat(t.Context(), time.Hour, []store.Beat{{Ref: ref, Epoch: old.Head.Epoch, Item: old.Item}})
	if err != nil || !answers[0].Lost {
		t.Errorf("step %d, heartbeat: %+v, %v", far, answers, err)
	} else {
		refused["heartbeat"]++
	}
	if after := everything(t, s, ref); !reflect.DeepEqual(before, after) {
		t.Errorf("step %d: a stale holder changed\n%+v to\n%+v", far, before, after)
	}
	end(t, s, ref)
}

func head(t *testing.T, s store.Store, ref task.Ref) store.Head {
	t.Helper()
	h, _, err := s.Read(t.Context(), ref, ^uint64(0), 0)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// park lets the successor write and end turn 1.
func park(t *testing.T, s store.Store, ref task.Ref, old *holding) {
	t.Helper()
	h := head(t, s, ref)
	a := &store.Append{
		Ref: ref, Epoch: h.Epoch, LastSeq: h.LastSeq, LastTurn: 1, Item: old.Item,
		Batch:  &store.Batch{First: h.LastSeq + 1, Last: h.LastSeq + 2, Body: []byte("second")},
		View:   &store.View{State: "PARKED", Listed: true},
		Finish: &store.Finish{State: store.Completed, EndTurn: true},
	}
	if _, err := s.Append(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	old.seq = h.LastSeq + 2
}

// answer begins turn 2, which the successor claims.
func answer(t *testing.T, s store.Store, ref task.Ref, old *holding) {
	t.Helper()
	h := head(t, s, ref)
	_, err := s.Submit(t.Context(), &store.Submission{
		Ref: ref, Agent: "a", Turn: 2, LastSeq: h.LastSeq, DoneTurn: 1, Message: []byte("m2"),
		Claim: &store.Taker{Worker: "second", TTL: lease},
	})
	if err != nil {
		t.Fatal(err)
	}
	old.lastTurn = 2
}

// end takes the task over, so that the next one is alone.
func end(t *testing.T, s store.Store, ref task.Ref) {
	t.Helper()
	h := head(t, s, ref)
	_, err := s.Append(t.Context(), &store.Append{
		Ref: ref, Epoch: h.Epoch, LastSeq: h.LastSeq, LastTurn: h.LastTurn, TakeEpoch: true,
		Batch: &store.Batch{First: h.LastSeq + 1, Last: h.LastSeq + 1, Body: []byte("end")},
		View:  &store.View{State: "COMPLETED", Listed: true, Closed: true},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// everything is what can be read about a task.
func everything(t *testing.T, s store.Store, ref task.Ref) []any {
	t.Helper()
	stored, err := s.Load(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	turns, err := s.Turns(t.Context(), ref, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	attempts, err := s.Attempts(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return []any{stored, turns, attempts}
}
