// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

// faults stands between a store and its writing connection.
type faults struct {
	mu      sync.Mutex
	commit  func(commit func() error) error // nil: as it is
	exec    func(sql string) error
	down    bool // whatever is asked fails, also when the file is opened again
	commits int  // that were asked for
	opened  int
}

func (f *faults) seam(c sqlstore.Conn) sqlstore.Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened++
	return &faultyConn{c, f}
}

func (f *faults) set(change func(f *faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *faults) count() (commits, opened int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commits, f.opened
}

type faultyConn struct {
	sqlstore.Conn
	f *faults
}

func (c *faultyConn) Commit() error {
	c.f.mu.Lock()
	c.f.commits++
	fault := c.f.commit
	c.f.mu.Unlock()
	if fault != nil {
		return fault(c.Conn.Commit)
	}
	return c.Conn.Commit()
}

func (c *faultyConn) Exec(s *sqlstore.Statement, args []sqlstore.Value) (int64, error) {
	c.f.mu.Lock()
	fault := c.f.exec
	c.f.mu.Unlock()
	if fault != nil {
		if err := fault(s.SQL); err != nil {
			return 0, err
		}
	}
	return c.Conn.Exec(s, args)
}

func (c *faultyConn) Query(s *sqlstore.Statement, args []sqlstore.Value, row func(sqlstore.Row) error) error {
	c.f.mu.Lock()
	down := c.f.down
	c.f.mu.Unlock()
	if down {
		return errRead
	}
	return c.Conn.Query(s, args, row)
}

var (
	errSync = &resultError{lib.SQLITE_IOERR_FSYNC, "disk I/O error"}
	errRead = &resultError{lib.SQLITE_IOERR_READ, "disk I/O error"}
)

// once makes a fault happen the first time only.
func once[T any](fault, healthy func(T) error) func(T) error {
	first := true
	return func(x T) error {
		if first {
			first = false
			return fault(x)
		}
		return healthy(x)
	}
}

func faulty(t *testing.T, o Options) (*Store, *faults) {
	t.Helper()
	f := &faults{}
	o.seam = f.seam
	return openIn(t, t.TempDir(), o), f
}

// asIs is the commit without a fault.
func asIs(commit func() error) error { return commit() }

func TestAFailedSyncIsNeverTakenForASuccess(t *testing.T) {
	t.Parallel()
	s, f := faulty(t, Options{})
	submit(t, s, "before")
	f.set(func(f *faults) { f.commit = func(func() error) error { return errSync } })
	_, err := s.Submit(t.Context(), submission("a"))
	if !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("submit: %v", err)
	}
	if commits, opened := f.count(); opened != commits {
		t.Errorf("%d commits on %d connections: a connection was used again after a failed sync", commits, opened)
	}
	if _, err := s.Load(t.Context(), ref("a")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was refused is there: %v", err)
	}
	f.set(func(f *faults) { f.commit = nil })
	submit(t, s, "a")
}

func TestAfterAFailedSyncTheSameOperationsAreRunAgain(t *testing.T) {
	t.Parallel()
	s, f := faulty(t, Options{})
	submit(t, s, "before")
	f.set(func(f *faults) { f.commit = once(func(func() error) error { return errSync }, asIs) })
	claim := submit(t, s, "a")
	if claim.Attempt != 1 || claim.Head.Epoch != 1 {
		t.Errorf("claimed more than once: %+v", claim)
	}
	if commits, opened := f.count(); commits != 3 || opened != 2 {
		t.Errorf("%d commits on %d connections, want 3 on 2", commits, opened)
	}
	if _, err := s.Append(t.Context(), ending(claim)); err != nil {
		t.Error(err)
	}
}

func TestACommitWhoseReplyIsLostIsFoundByItsMark(t *testing.T) {
	t.Parallel()
	s, f := faulty(t, Options{})
	f.set(func(f *faults) {
		f.commit = once(func(commit func() error) error { return errors.Join(commit(), errSync) }, asIs)
	})
	var claim *store.Claim
	// With a reader open, closing the writer does not bring the log into the file.
	if err := s.db.Read(t.Context(), func(sqlstore.Conn) error { claim = submit(t, s, "a"); return nil }); err != nil {
		t.Fatal(err)
	}
	if commits, opened := f.count(); commits != 1 || opened != 2 {
		t.Errorf("%d commits on %d connections, want 1 on 2: the operation was run again", commits, opened)
	}
	if claim.Attempt != 1 || claim.Head.Epoch != 1 || string(claim.Message) != "message of a" {
		t.Errorf("the answer that was kept: %+v", claim)
	}
	turns, err := s.Turns(t.Context(), ref("a"), 0, 0)
	if err != nil || len(turns) != 1 || turns[0].Attempt != 1 {
		t.Errorf("turns: %+v, %v", turns, err)
	}
	// What is known from the mark is in the file, not in a log that may not be synced.
	if n := s.db.logBytes(); n != 0 {
		t.Errorf("the log still has %d bytes", n)
	}
}

func TestABusyCommitIsOfUnknownOutcomeToo(t *testing.T) {
	t.Parallel()
	s, f := faulty(t, Options{})
	busy := &resultError{lib.SQLITE_BUSY, "database is locked"}
	f.set(func(f *faults) { f.commit = once(func(func() error) error { return busy }, asIs) })
	submit(t, s, "a")
	submit(t, s, "b")
	if _, opened := f.count(); opened != 2 {
		t.Errorf("%d connections, want 2", opened)
	}
}

func TestAnErrorOfTheDiskBeforeTheCommitCostsNothing(t *testing.T) {
	t.Parallel()
	s, f := faulty(t, Options{})
	claim := submit(t, s, "a")
	f.set(func(f *faults) {
		f.exec = once(func(string) error { return errRead }, func(string) error { return nil })
	})
	if _, err := s.Append(t.Context(), ending(claim)); err != nil {
		t.Fatal(err)
	}
	if _, opened := f.count(); opened != 2 {
		t.Errorf("%d connections, want 2", opened)
	}
}

func TestWhileTheFileCannotBeOpenedEverythingIsRefusedAndThenGoesOn(t *testing.T) {
	t.Parallel()
	s, f := faulty(t, Options{Patience: 50 * time.Millisecond})
	kept := submit(t, s, "kept")
	f.set(func(f *faults) {
		f.commit = func(func() error) error {
			f.set(func(f *faults) { f.down = true })
			return errSync
		}
	})
	if _, err := s.Submit(t.Context(), submission("unknown")); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("a commit that nobody can ask about: %v", err)
	}
	for range 3 {
		if _, err := s.Submit(t.Context(), submission("refused")); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("submit while it is down: %v", err)
		}
	}
	if err := s.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "disk I/O error") {
		t.Errorf("ready while it is down: %v", err)
	}
	f.set(func(f *faults) { f.down, f.commit = false, nil })
	eventually(t, "the store is ready again", func() bool { return s.Ready(t.Context()) == nil })
	if _, err := s.Append(t.Context(), ending(kept)); err != nil {
		t.Errorf("the lease of before: %v", err)
	}
	if _, err := s.Load(t.Context(), ref("refused")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was refused is there: %v", err)
	}
	submit(t, s, "refused")
}

func TestOneGuiltyOperationDoesNotHurtTheOthersOfItsBatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	sql(t, dir, "CREATE TRIGGER guilty BEFORE INSERT ON turns WHEN NEW.message_id = 'm-t07' BEGIN SELECT RAISE(ABORT, 'guilty'); END")
	const n = 20
	errs := make([]error, n)
	var wg sync.WaitGroup
	blocked(t, s, n, func() {
		for i := range n {
			wg.Go(func() {
				sub := submission(fmt.Sprintf("t%02d", i))
				sub.Key = &store.Key{Value: sub.ID, Hash: []byte("hash"), TTL: time.Hour}
				_, errs[i] = s.Submit(t.Context(), sub)
			})
		}
	})
	wg.Wait()
	for i, err := range errs {
		guilty := i == 7
		if guilty != (err != nil) || guilty && !strings.Contains(err.Error(), "guilty") {
			t.Errorf("operation %d: %v", i, err)
		}
		_, err = s.Load(t.Context(), ref(fmt.Sprintf("t%02d", i)))
		if guilty != errors.Is(err, store.ErrNotFound) {
			t.Errorf("task %d: %v", i, err)
		}
	}
}

func TestARefusalDoesNotHurtTheOthersOfItsBatch(t *testing.T) {
	t.Parallel()
	s, f := faulty(t, Options{})
	old := submit(t, s, "old")
	if _, err := s.Append(t.Context(), ending(old)); err != nil {
		t.Fatal(err)
	}
	before, _ := f.count()
	errs := make([]error, 12)
	var wg sync.WaitGroup
	blocked(t, s, len(errs), func() {
		for i := range errs {
			wg.Go(func() {
				switch i % 3 {
				case 0: // refused: the log has ended
					_, errs[i] = s.Append(t.Context(), ending(old))
				case 1: // refused: no such task
					_, errs[i] = s.RequestCancel(t.Context(), &store.CancelRequest{Ref: ref("none")})
				default:
					_, errs[i] = s.Submit(t.Context(), submission(fmt.Sprintf("t%02d", i)))
				}
			})
		}
	})
	wg.Wait()
	for i, err := range errs {
		if want := []error{store.ErrClosed, store.ErrNotFound, nil}[i%3]; !errors.Is(err, want) {
			t.Errorf("operation %d: %v, want %v", i, err, want)
		}
	}
	if after, _ := f.count(); after != before+1 {
		t.Errorf("%d commits for one batch", after-before)
	}
}

// Rows that somebody else has written, here an operator, are noticed.
func TestRowsThatSomebodyElseWroteAreReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	claim := submit(t, s, "a")
	sql(t, dir, "UPDATE tasks SET epoch = epoch + 1")
	if _, err := s.Append(t.Context(), ending(claim)); !errors.Is(err, store.ErrFenced) {
		t.Errorf("append with the epoch of before: %v", err)
	}
	claim.Head.Epoch++
	if _, err := s.Append(t.Context(), ending(claim)); err != nil {
		t.Errorf("append with the epoch of now: %v", err)
	}
}

func TestAFullDiskIsRefusedCleanlyAndGoesOnWithRoom(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir(), Options{})
	kept := submit(t, s, "kept")
	limit := func(pages string) {
		t.Helper()
		var err error
		if e := s.Between(func() { _, err = s.db.writer.pragma("max_page_count = " + pages) }); e != nil || err != nil {
			t.Fatal(e, err)
		}
	}
	limit("60")
	big := submission("big")
	big.Message = make([]byte, 1<<20)
	errs := make([]error, 3)
	var wg sync.WaitGroup
	blocked(t, s, 3, func() {
		for i := range errs {
			wg.Go(func() {
				sub := *big
				sub.ID = fmt.Sprintf("big%d", i)
				_, errs[i] = s.Submit(t.Context(), &sub)
			})
		}
	})
	wg.Wait()
	for i, err := range errs {
		if !errors.Is(err, store.ErrFull) {
			t.Errorf("submit without room: %v", err)
		}
		if _, err := s.Load(t.Context(), ref(fmt.Sprintf("big%d", i))); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("what was refused is there: %v", err)
		}
	}
	if _, err := s.Load(t.Context(), ref("kept")); err != nil {
		t.Errorf("reading without room: %v", err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("one refusal makes the store unready: %v", err)
	}
	limit("1000000")
	if _, err := s.Submit(t.Context(), big); err != nil {
		t.Errorf("submit with room again: %v", err)
	}
	if _, err := s.Append(t.Context(), ending(kept)); err != nil {
		t.Errorf("append with room again: %v", err)
	}
	if got, err := s.db.writer.pragma("integrity_check"); err != nil || got[0] != "ok" {
		t.Errorf("integrity: %v, %v", got, err)
	}
}

func TestNothingIsRescuedAfterAStallBeforeLeasesCouldBeRenewed(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s, f := faulty(t, Options{Clock: clock.Now})
	a, b := submit(t, s, "a"), submit(t, s, "b")
	stall := func() {
		t.Helper()
		f.set(func(f *faults) {
			f.commit = once(func(commit func() error) error { clock.advance(2 * ttl); return commit() }, asIs)
		})
		sub := submission(fmt.Sprint("stalled ", clock.Now()))
		sub.Agent, sub.Claim = "another", nil
		if _, err := s.Submit(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
	}
	rescue := func(want int) {
		t.Helper()
		got, err := s.Rescue(t.Context(), 10)
		if err != nil || len(got) != want {
			t.Errorf("rescued %v (%v), want %d", got, err, want)
		}
	}
	stall()
	rescue(0)
	answers, err := s.Heartbeat(t.Context(), ttl, []store.Beat{{Ref: a.Head.Ref, Epoch: a.Head.Epoch, Item: a.Item}})
	if err != nil || answers[0].Lost {
		t.Errorf("heartbeat after a stall: %+v, %v", answers, err)
	}
	rescue(1) // b, which nobody renewed
	if _, err := s.Append(t.Context(), ending(b)); !errors.Is(err, store.ErrFenced) {
		t.Errorf("append of what was rescued: %v", err)
	}
	stall()
	rescue(0)
	clock.advance(5 * time.Second) // nobody beats at all
	rescue(1)
}

func TestWhatWaitsIsBounded(t *testing.T) {
	t.Parallel()
	// Each operation counts its bodies and 256 bytes for itself.
	s := openIn(t, t.TempDir(), Options{QueueBytes: 3000})
	claim := submit(t, s, "a")
	sub := func(id string, size int) error {
		x := submission(id)
		x.Message, x.Claim = make([]byte, size), nil
		_, err := s.Submit(t.Context(), x)
		return err
	}
	var wg sync.WaitGroup
	var first, second, beat error
	blocked(t, s, 3, func() {
		wg.Go(func() { first = sub("first", 2000-256) })
		eventually(t, "the first one waits", func() bool { return s.Backlog() == 1 })
		if err := sub("too much", 1000-256+1); !errors.Is(err, store.ErrOverloaded) {
			t.Errorf("a byte more than the cap: %v", err)
		}
		wg.Go(func() { second = sub("second", 1000-256) })
		eventually(t, "the second one waits", func() bool { return s.Backlog() == 2 })
		// Nothing fits any more, but a lease is renewed all the same.
		wg.Go(func() {
			_, beat = s.Heartbeat(t.Context(), ttl, []store.Beat{{Ref: claim.Head.Ref, Epoch: claim.Head.Epoch, Item: claim.Item}})
		})
	})
	wg.Wait()
	if first != nil || second != nil || beat != nil {
		t.Errorf("within the cap: %v, %v; a heartbeat: %v", first, second, beat)
	}
	if _, err := s.Load(t.Context(), ref("too much")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was refused is there: %v", err)
	}
	if err := sub("just so", 3000-256); err != nil {
		t.Errorf("just the cap: %v", err)
	}
	if err := sub("never", 3000-256+1); !errors.Is(err, store.ErrOverloaded) {
		t.Errorf("one operation above the cap: %v", err)
	}
}

func TestACallerThatGoesAwayWhileItWaitsWritesNothing(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir(), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var gone, stays error
	blocked(t, s, 2, func() {
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			_, gone = s.Submit(ctx, submission("gone"))
		}()
		wg.Go(func() { _, stays = s.Submit(t.Context(), submission("stays")) })
		eventually(t, "both wait", func() bool { return s.Backlog() == 2 })
		cancel()
		<-answered // while the committer still stands
	})
	wg.Wait()
	if !errors.Is(gone, context.Canceled) || stays != nil {
		t.Errorf("gone: %v, stays: %v", gone, stays)
	}
	if _, err := s.Load(t.Context(), ref("gone")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what nobody waits for is there: %v", err)
	}
}
