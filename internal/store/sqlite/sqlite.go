// SPDX-License-Identifier: Apache-2.0

// Package sqlite is the embedded store: one SQLite file, owned by one process,
// written by one connection, and no commit is answered before its fsync.
//
// # What a failed commit means
//
// When a COMMIT or anything near the disk fails, the connections are closed and
// opened again, and everything in the write-ahead log is brought into the file
// and synced (or found to be impossible: then the store stays unavailable). Only
// after that the mark of the last batch tells whether it was committed. So a
// failed fsync is never taken for a success, and a transaction that was
// reported as failed cannot come back after a crash.
//
// # Time
//
// Leases and due times are kept by the wall clock of this machine, in
// milliseconds, since they are stored. A lease does not outlive the process:
// when the file is opened, what was running is ready again. While the file is
// open leases measure time that passes: when the clock is set, or the machine
// has slept, they are moved after it, so that none ends early and none lasts
// longer; and no retry waits for longer. What a client asks for by the clock
// (scheduledFor, deadline) goes by the clock.
package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options of a Store. The zero value is ready for use.
type Options struct {
	// Clock is the store's now, for tests; nil is the system's.
	Clock store.Clock
	// Elapsed is time that only passes, for tests that set Clock; nil is the
	// system's, or Clock's where that is given.
	Elapsed func() time.Duration
	// Logger is told about what goes on by itself: checkpoints that fail, the
	// file opened again. nil: nobody is.
	Logger *slog.Logger
	// QueueBytes bounds what waits for commit; beyond it writes are refused with
	// store.ErrOverloaded. Default 64 MiB.
	QueueBytes int
	// Patience is how long writes wait while the file is opened again after an
	// error, before they are refused with store.ErrUnavailable; default 2 s.
	Patience time.Duration
	// StallAfter is how long a commit or the whole process must have been stopped
	// before no lease is taken away until it could be renewed; default 5 s.
	StallAfter time.Duration
	// RescueGrace is how long that lasts at most; default 5 s. It should be one
	// interval of heartbeats.
	RescueGrace time.Duration
	// CheckpointBytes is how far the write-ahead log grows before it is brought
	// into the file; default 16 MiB.
	CheckpointBytes int64
	// SweepEvery is how often expired idempotency keys are looked for; default 1 min.
	SweepEvery time.Duration
	// AllowNetworkFilesystem opens a file on a network filesystem, whose locks
	// and syncs may not be what SQLite takes them for.
	AllowNetworkFilesystem bool

	// seam lets tests stand between the store and its writing connection.
	seam func(sqlstore.Conn) sqlstore.Conn
	// remembered lets tests say of how many tasks something is remembered.
	remembered int
}

// readers is how many connections read at the same time.
const readers = 4

// Store is a store.Store in a file. Make one with Open.
type Store struct {
	*sqlstore.Store
	db      *database
	lock    *os.File
	stop    chan struct{}
	loops   sync.WaitGroup
	closing sync.Once
	closed  error
}

var _ store.Store = (*Store)(nil)

// Open opens or makes the store at a path. The directory is made if it is
// missing. A file that another process has open is refused, and so is one that
// a newer release has changed.
func Open(ctx context.Context, path string, o Options) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open the store %s: %w", path, err)
		}
	}()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CheckpointBytes <= 0 {
		o.CheckpointBytes = 16 << 20
	}
	if o.SweepEvery <= 0 {
		o.SweepEvery = time.Minute
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	lock, err := claimFile(path, o)
	if err != nil {
		return nil, err
	}
	s := &Store{db: newDatabase(path, o), lock: lock, stop: make(chan struct{})}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.db.close(), unlock(lock))
	}
	o.Logger.Info("opened the store", "path", path, "durable", s.db.durable())
	return s, nil
}

// claimFile makes the directory and the file and takes the lock.
func claimFile(path string, o Options) (*os.File, error) {
	if err := identify(path); err != nil {
		return nil, err
	}
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if !o.AllowNetworkFilesystem {
		if name := networkFilesystem(filepath.Dir(path)); name != "" {
			return nil, fmt.Errorf("it is on a network filesystem (%s), where SQLite can lose data; move it to a local disk", name)
		}
	}
	lock, err := takeLock(path + ".lock")
	if err != nil {
		return nil, err
	}
	// SQLite would make the file readable for all that the umask allows.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return nil, errors.Join(err, unlock(lock))
	}
	return lock, nil
}

// makeDir makes a directory that outlives a power cut: SQLite syncs the one that
// its files are in, and nobody the ones above.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent == dir {
		return nil
	}
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.Open(parent)
	if err != nil {
		return nil // it may be written and not read; nor can it be synced then
	}
	_ = f.Sync() // not every system can, and SQLite asks for no more
	return f.Close()
}

func (s *Store) start(ctx context.Context, o Options) error {
	if err := s.db.migrate(ctx); err != nil {
		return err
	}
	var err error
	s.Store, err = sqlstore.New(ctx, s.db, dialect(), sqlstore.Options{
		Clock: o.Clock, Elapsed: o.Elapsed, Logger: o.Logger, QueueBytes: o.QueueBytes, Patience: o.Patience,
		StallAfter: o.StallAfter, RescueGrace: o.RescueGrace, CacheRows: o.remembered, VoidLeases: true,
	})
	if err != nil {
		return err
	}
	s.loops.Go(s.checkpoints)
	s.loops.Go(s.sweeps)
	return nil
}

func dialect() sqlstore.Dialect {
	return sqlstore.Dialect{
		Ignore: " ON CONFLICT DO NOTHING",
		Replace: func(key, columns []string) string {
			sets := make([]string, len(columns))
			for n, c := range columns {
				sets[n] = c + " = excluded." + c
			}
			return " ON CONFLICT (" + strings.Join(key, ", ") + ") DO UPDATE SET " + strings.Join(sets, ", ")
		},
	}
}

// About describes the store for people.
func (s *Store) About() store.About {
	return store.About{Driver: "sqlite", Location: s.db.path, Durable: s.db.durable()}
}

// Close commits what waits, brings the write-ahead log into the file and lets
// the file go. Closing again does nothing.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.stop)
		s.Store.Stop()
		s.loops.Wait()
		s.closed = errors.Join(s.db.end(), unlock(s.lock))
	})
	return s.closed
}

func migrationFiles() (fs.FS, error) { return fs.Sub(migrations, "migrations") }
