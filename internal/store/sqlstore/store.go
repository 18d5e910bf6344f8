// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// Options of a Store. The zero value is ready for use.
type Options struct {
	// Clock is the store's now; nil is the system's.
	Clock store.Clock
	// Elapsed is time that only passes, whatever happens to Clock; nil is the
	// system's, or Clock's where that is given.
	Elapsed func() time.Duration
	// Logger is told when the database has to be opened again; nil: nobody is.
	Logger *slog.Logger
	// BatchOps and BatchBytes bound one transaction; default 512 and 8 MiB.
	BatchOps, BatchBytes int
	// QueueBytes bounds what waits for commit; beyond it calls are answered with
	// store.ErrOverloaded. Default 64 MiB.
	QueueBytes int
	// Patience is how long a batch waits for the database to be opened again
	// before its callers are told; default 2 s.
	Patience time.Duration
	// StallAfter is how long the committer or the process must have been stopped
	// before nothing is rescued until leases could be renewed; default 5 s.
	StallAfter time.Duration
	// RescueGrace is how long that lasts if no lease is renewed; default 5 s.
	RescueGrace time.Duration
	// CacheRows is how many tasks' heads are remembered; default 4096.
	CacheRows int
	// VoidLeases makes running items ready again when the store is opened: for
	// a database that one process owns.
	VoidLeases bool
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&o.BatchOps, 512}, {&o.BatchBytes, 8 << 20}, {&o.QueueBytes, 64 << 20}, {&o.CacheRows, 4096}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.Patience, 2 * time.Second}, {&o.StallAfter, 5 * time.Second}, {&o.RescueGrace, 5 * time.Second}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return o
}

// Store is the part of a driver that is the same for every SQL database. It has
// all of the port but About and Close.
type Store struct {
	db        Database
	s         *statements
	o         Options
	committer *committer
	runner    *runner
	ready     readyError

	stopPulse chan struct{}
	pulse     sync.WaitGroup
	closing   sync.Once
}

// New starts a store on a database whose migrations are done.
func New(ctx context.Context, db Database, d Dialect, o Options) (*Store, error) {
	s := &Store{db: db, s: newStatements(d), o: o.withDefaults(), stopPulse: make(chan struct{})}
	r := &runner{
		db: db, s: s.s, o: s.o, cache: newCache(s.o.CacheRows), ready: &s.ready,
		stall: &stallGuard{after: s.o.StallAfter, grace: s.o.RescueGrace}, steps: newSteps(o.Clock, o.Elapsed),
	}
	if _, err := rand.Read(r.id[:8]); err != nil {
		return nil, fmt.Errorf("make a batch id: %w", err)
	}
	r.again = time.NewTimer(time.Hour)
	r.again.Stop()
	s.runner = r
	var err error
	if r.conn, err = db.Writer(ctx); err != nil {
		return nil, err
	}
	if _, r.given, err = r.last(); err != nil {
		return nil, err
	}
	if s.o.VoidLeases {
		if err := s.voidLeases(); err != nil {
			return nil, err
		}
	}
	s.committer = newCommitter(s.o, r.run)
	go s.committer.loop(r.again.C)
	s.pulse.Add(1)
	go s.beatPulse()
	return s, nil
}

// voidLeases makes every running item ready again: whoever ran it is gone.
func (s *Store) voidLeases() error {
	o := &op{run: func(b *batch) error {
		var agents []string
		return b.rescue(b.s.staleLeases, &agents)
	}}
	s.runner.transact([]*op{o}, false)
	if o.err != nil {
		return fmt.Errorf("make the items of the last run ready: %w", o.err)
	}
	return nil
}

func (s *Store) beatPulse() {
	defer s.pulse.Done()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		s.runner.stall.alive(time.Now(), s.o.Clock())
		select {
		case <-t.C:
		case <-s.stopPulse:
			return
		}
	}
}

// Ready reports whether the store can commit now.
func (s *Store) Ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.committer.closed() {
		return store.ErrStopped
	}
	if err := s.ready.get(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return nil
}

// Stop commits what waits and refuses everything after. The driver closes its
// connections afterwards.
func (s *Store) Stop() {
	s.closing.Do(func() {
		close(s.stopPulse)
		s.committer.stop()
		s.pulse.Wait()
		s.runner.again.Stop()
	})
}

// Backlog is how many operations wait for a commit.
func (s *Store) Backlog() int { return s.committer.length() }

// Between runs use between two batches, while nothing is written: for what must
// have the writer's place for a moment. It returns when use has.
func (s *Store) Between(use func()) error { return s.committer.between(use) }
