// SPDX-License-Identifier: Apache-2.0

// Package memory is the store that forgets: everything lives in maps behind
// one mutex and is gone with the process. It serves `errand dev --store
// memory:`, tests and simulations, and is the plainest reading of the port
// that the other drivers can be compared with.
//
// A call takes the mutex, looks at what it was asked for, refuses, or changes
// everything at once. Nothing that a caller passed or got is shared with the
// store: all bodies are copied at the boundary.
package memory

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// Options of a Store. The zero value is ready for use.
type Options struct {
	// Clock is the store's now; nil is the system's.
	Clock store.Clock
	// MaxWaiting bounds the bytes of the calls that wait for the mutex; beyond
	// it a call is answered with store.ErrOverloaded. 0 means no bound.
	MaxWaiting int64
	// Fault, for simulations, is called before a write commits, after all
	// refusals were ruled out: an error is the answer of the call and nothing
	// is written. op is "submit", "cancel", "append", "claim", "heartbeat",
	// "rescue" or "promote". It runs under the store's mutex and must not call
	// the store.
	Fault func(op string) error
	// Lose, for simulations, is called like Fault after a write has been
	// committed: an error is the answer although the write stands, as when the
	// reply to a commit is lost. Only store.ErrUnknown is an honest one.
	Lose func(op string) error
}

// Store implements store.Store in memory. Make one with New.
type Store struct {
	o       Options
	secret  []byte
	waiting atomic.Int64

	mu      sync.RWMutex
	closed  bool
	arrival int64     // counts the items made
	newest  time.Time // the latest run time given to what may run at once
	tasks   map[task.Ref]*row
	keys    map[keyID]keyRow
	lists   map[task.Scope]*listing
	ready   map[string]*queue // by agent: items that can be claimed, in queue order
	suspect map[string]*queue // by agent: those of them that are suspects, which are not in ready
	leases  *queue            // running items, by the end of their lease
	later   *queue            // retryable and scheduled items that nothing holds back, by the time they are due
	watched watch             // turns that wait and have a deadline, by it
}

var _ store.Store = (*Store)(nil)

// New makes an empty store.
func New(o Options) *Store {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	s := &Store{
		o:       o,
		secret:  make([]byte, 32),
		tasks:   map[task.Ref]*row{},
		keys:    map[keyID]keyRow{},
		lists:   map[task.Scope]*listing{},
		ready:   map[string]*queue{},
		suspect: map[string]*queue{},
		leases:  &queue{less: byTime},
		later:   &queue{less: byTime},
	}
	rand.Read(s.secret) // never fails: crypto/rand ends the process instead
	return s
}

// write runs one atomic step. look inspects and refuses without changing
// anything; the commit that it returns changes everything and cannot fail. A
// nil commit says that there is nothing to write.
func (s *Store) write(ctx context.Context, op string, size int, look func(now time.Time) (commit func(), err error)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("memory: %s: %w", op, err)
	}
	waiting := s.waiting.Add(int64(size))
	defer s.waiting.Add(-int64(size))
	if s.o.MaxWaiting > 0 && waiting > s.o.MaxWaiting {
		return store.ErrOverloaded
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrStopped
	}
	commit, err := look(s.o.Clock())
	if err != nil || commit == nil {
		return err
	}
	if s.o.Fault != nil {
		if err := s.o.Fault(op); err != nil {
			return err
		}
	}
	commit()
	if s.o.Lose != nil {
		return s.o.Lose(op)
	}
	return nil
}

// read runs look on one moment of the store.
func (s *Store) read(ctx context.Context, look func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("memory: read: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return store.ErrStopped
	}
	return look()
}

// Secret returns the store's key for signing page tokens.
func (s *Store) Secret(ctx context.Context, name string) (secret []byte, err error) {
	err = s.read(ctx, func() error {
		if name != "page-token" {
			return fmt.Errorf("memory: no secret is named %q", name)
		}
		secret = slices.Clone(s.secret)
		return nil
	})
	return secret, err
}

// Ready is nil until Close.
func (s *Store) Ready(ctx context.Context) error {
	return s.read(ctx, func() error { return nil })
}

// About says that nothing here lasts.
func (s *Store) About() store.About {
	return store.About{
		Driver:  "memory",
		Durable: "nothing survives the process: tasks live in its memory only",
	}
}

// Close forgets everything. Closing again does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.tasks, s.keys, s.lists, s.ready, s.suspect = nil, nil, nil, nil, nil
	s.leases, s.later, s.watched = nil, nil, nil
	return nil
}
