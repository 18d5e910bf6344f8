// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

var errNoRoom = &resultError{lib.SQLITE_FULL, "database or disk is full"}

// lines is a log that is counted.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// Nobody need send anything for it to find out: one who is told that it is not
// ready sends nothing.
func TestWhileNothingCanBeCommittedItIsNotReadyAndThenItIsByItself(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]error{"a full disk": errNoRoom, "a disk that does not sync": errSync} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log lines
			s, f := faulty(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			kept := submit(t, s, "kept")
			f.set(func(f *faults) { f.commit = func(func() error) error { return broken } })
			for range 20 {
				_, err := s.Submit(t.Context(), submission("refused"))
				if !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("submit: %v", err)
				}
				if err := s.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, broken) {
					t.Errorf("ready: %v", err)
				}
			}
			if _, err := s.Load(t.Context(), ref("kept")); err != nil {
				t.Errorf("reading meanwhile: %v", err)
			}
			if n := log.count("\n"); n > 12 {
				t.Errorf("20 refusals wrote %d lines:\n%s", n, log.text.String())
			}
			f.set(func(f *faults) { f.commit = nil })
			eventually(t, "the store is ready again", func() bool { return s.Ready(t.Context()) == nil })
			if _, err := s.Load(t.Context(), ref("refused")); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("what was refused is there: %v", err)
			}
			if _, err := s.Append(t.Context(), ending(kept)); err != nil {
				t.Errorf("the lease of before: %v", err)
			}
			if n := log.count("commits succeed again"); n != 1 {
				t.Errorf("it said %d times that it works again", n)
			}
		})
	}
}

// A lease that ran out because no heartbeat could be committed is nobody's
// loss: who holds it has the time of one round to renew it.
func TestNothingIsRescuedAfterCommitsHaveFailedBeforeLeasesCouldBeRenewed(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s, f := faulty(t, Options{Clock: clock.Now, Patience: 50 * time.Millisecond})
	a := submit(t, s, "a")
	beat := func() error {
		_, err := s.Heartbeat(t.Context(), ttl, []store.Beat{{Ref: a.Head.Ref, Epoch: a.Head.Epoch, Item: a.Item}})
		return err
	}
	rescued := func() int {
		t.Helper()
		got, err := s.Rescue(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(got)
	}
	for what, broken := range map[string]func(f *faults){
		"a full disk": func(f *faults) { f.commit = func(func() error) error { return errNoRoom } },
		"a database that is away": func(f *faults) {
			f.commit = func(func() error) error { f.set(func(f *faults) { f.down = true }); return errSync }
		},
	} {
		f.set(broken)
		for range 4 {
			clock.advance(ttl / 3)
			if beat() == nil {
				t.Fatalf("%s: a heartbeat was committed", what)
			}
		}
		clock.advance(ttl)
		f.set(func(f *faults) { f.commit, f.down = nil, false })
		eventually(t, "the store is ready again", func() bool { return s.Ready(t.Context()) == nil })
		if n := rescued(); n != 0 {
			t.Errorf("after %s %d items were taken from who could not renew them", what, n)
		}
		if err := beat(); err != nil {
			t.Error(err)
		}
		if n := rescued(); n != 0 {
			t.Errorf("%d items whose lease was renewed", n)
		}
	}
	clock.advance(ttl + time.Second)
	if n := rescued(); n != 1 {
		t.Errorf("%d items of somebody who does not beat any more", n)
	}
}

func TestAReaderThatCannotOpenTheFileSaysThatItIsUnavailable(t *testing.T) {
	t.Parallel()
	d := newDatabase(filepath.Join(t.TempDir(), "none.db"), Options{})
	err := d.Read(t.Context(), func(sqlstore.Conn) error { return nil })
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
}
