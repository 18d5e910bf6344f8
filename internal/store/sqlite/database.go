// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

// oldest is the first version of SQLite without the bug that could corrupt a
// database when its write-ahead log is reset.
const oldest = "3.51.3"

const pageSize = 4096

// database is the file with its connections.
type database struct {
	path string
	o    Options

	mu         sync.Mutex
	generation int // counts the writers
	ended      bool
	writer     *conn
	sync       string
	idle       []*conn // readers of this generation

	slots chan struct{} // one for each reader in use

	keeping sync.Mutex // belongs to whoever uses keeper
	keeper  *conn      // makes checkpoints

	committed chan struct{} // after a commit: the log may have grown
}

func newDatabase(path string, o Options) *database {
	return &database{path: path, o: o, slots: make(chan struct{}, readers), committed: make(chan struct{}, 1)}
}

// pragmas of every connection, then of the writing ones.
func everywhere() []string {
	p := []string{"busy_timeout = 5000", "temp_store = MEMORY", "trusted_schema = OFF"}
	if runtime.GOOS == "darwin" { // where fsync alone does not reach the disk
		p = append(p, "fullfsync = ON", "checkpoint_fullfsync = ON")
	}
	return p
}

func (d *database) open(begin string, pragmas ...string) (*conn, error) {
	c, err := openConn(d.path, begin, append(everywhere(), pragmas...))
	if err != nil {
		return nil, fmt.Errorf("open a connection: %w", err)
	}
	return c, nil
}

func (d *database) openWriter() (*conn, error) {
	c, err := d.open("BEGIN IMMEDIATE",
		fmt.Sprintf("page_size = %d", pageSize), "journal_mode = WAL", "synchronous = FULL",
		"wal_autocheckpoint = 0", "cache_size = -32768")
	if err != nil {
		return nil, err
	}
	if err := d.verify(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// verify reads back what durability depends on.
func (d *database) verify(c *conn) error {
	version, err := c.first("SELECT sqlite_version()")
	if err != nil {
		return fmt.Errorf("ask for the version: %w", err)
	}
	v := version[0]
	if older(v, oldest) {
		return fmt.Errorf("SQLite %s is too old: before %s a reset of the write-ahead log can corrupt the file", v, oldest)
	}
	for _, want := range []struct {
		pragma string
		value  string
	}{{"journal_mode", "wal"}, {"synchronous", "2"}} {
		got, err := c.pragma(want.pragma)
		if err != nil {
			return fmt.Errorf("read %s back: %w", want.pragma, err)
		}
		if len(got) != 1 || got[0] != want.value {
			return fmt.Errorf("%s is %v and not %v: commits would not be durable", want.pragma, got, want.value)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sync = fmt.Sprintf("SQLite %s, journal_mode=WAL, synchronous=FULL", v)
	return nil
}

// older compares versions like 3.51.3.
func older(a, b string) bool {
	var x, y [3]int
	_, _ = fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2]) // what is missing stays 0
	_, _ = fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	for n := range x {
		if x[n] != y[n] {
			return x[n] < y[n]
		}
	}
	return false
}

func (d *database) durable() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	how := "fsynced"
	if runtime.GOOS == "darwin" {
		how = "fsynced to the disk (fullfsync)"
	}
	return "every commit is " + how + " before it is answered (" + d.sync + ")"
}

// migrate brings the schema up to date on a connection of its own.
func (d *database) migrate(context.Context) (err error) {
	dir, err := migrationFiles()
	if err != nil {
		return err
	}
	m, err := sqlstore.ReadMigrations(dir)
	if err != nil {
		return err
	}
	c, err := d.openWriter()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
			return
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.writer = c // New takes it over
	}()
	if err := ours(c); err != nil {
		return err
	}
	if err := m.Migrate(c, dialect()); err != nil {
		return err
	}
	return claimIdentity(c)
}

// Writer opens the writing connection. Unless it is the first one, the log is
// brought into the file and cut off first, so that nothing of a transaction
// that failed is left in it; what is found afterwards is known to be on disk.
func (d *database) Writer(context.Context) (sqlstore.Conn, error) {
	d.mu.Lock()
	first := d.generation == 0 && d.writer != nil
	c := d.writer
	d.mu.Unlock()
	if !first {
		_ = d.close() // what is broken may not close without an error
		var err error
		if c, err = d.openWriter(); err != nil {
			return nil, err
		}
		if err := truncateLog(c); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	} else if err := truncateLog(c); err != nil && !errors.Is(err, errLogInUse) {
		// What a killed process has left in the log may never have been synced,
		// and is about to be shown.
		return nil, err
	}
	keeper, err := d.open("BEGIN IMMEDIATE", "synchronous = FULL", "wal_autocheckpoint = 0")
	if err != nil {
		if !first {
			err = errors.Join(err, c.Close())
		}
		return nil, err
	}
	c.committed = d.committed
	d.keeping.Lock()
	d.keeper = keeper
	d.keeping.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.generation++
	d.writer = c
	if d.o.seam != nil {
		return d.o.seam(c), nil
	}
	return c, nil
}

// errLogInUse: the log is synced, but it cannot be cut off now.
var errLogInUse = errors.New("bring the write-ahead log into the file: another program reads it")

func truncateLog(c *conn) error {
	got, err := c.pragma("wal_checkpoint(TRUNCATE)")
	if err != nil {
		return fmt.Errorf("bring the write-ahead log into the file: %w", err)
	}
	if got[0] != "0" {
		return errLogInUse
	}
	return nil
}

// end closes everything for good, after the last reader.
func (d *database) end() error {
	for range cap(d.slots) {
		d.slots <- struct{}{}
	}
	d.mu.Lock()
	d.ended = true
	d.mu.Unlock()
	err := d.close()
	for range cap(d.slots) {
		<-d.slots
	}
	return err
}

// close closes all connections that are not in use; those in use close when
// they are given back. The writer is never in use by then.
func (d *database) close() error {
	d.keeping.Lock()
	keeper := d.keeper
	d.keeper = nil
	d.keeping.Unlock()
	d.mu.Lock()
	conns := append(d.idle, keeper, d.writer) // the last one closed makes a checkpoint
	d.idle, d.writer = nil, nil
	d.generation++
	d.mu.Unlock()
	var errs []error
	for _, c := range conns {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// Read lends a reading connection.
func (d *database) Read(ctx context.Context, use func(sqlstore.Conn) error) error {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for a reader: %w", ctx.Err())
	}
	defer func() { <-d.slots }()
	d.mu.Lock()
	if d.ended {
		d.mu.Unlock()
		return store.ErrStopped
	}
	generation := d.generation
	var c *conn
	if n := len(d.idle); n > 0 {
		c, d.idle = d.idle[n-1], d.idle[:n-1]
	}
	d.mu.Unlock()
	if c == nil {
		var err error
		if c, err = d.open("BEGIN", "query_only = ON", "cache_size = -4096"); err != nil {
			return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
		}
	}
	err := use(c)
	d.mu.Lock()
	if keep := generation == d.generation && (err == nil || code(err) == 0); keep {
		d.idle = append(d.idle, c)
		c = nil
	}
	d.mu.Unlock()
	if c != nil {
		return errors.Join(err, c.Close())
	}
	return err
}

// Class classifies an error.
func (d *database) Class(err error) sqlstore.Class { return classOf(err) }

// logBytes is how long the write-ahead log is.
func (d *database) logBytes() int64 {
	info, err := os.Stat(d.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}
