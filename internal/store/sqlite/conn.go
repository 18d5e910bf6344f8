// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"
	"unsafe"

	"modernc.org/libc"
	_ "modernc.org/sqlite" // its init prepares the library on some platforms
	lib "modernc.org/sqlite/lib"

	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

// conn runs prepared statements on one connection. It calls the library that
// the driver wraps, because a third of the time of a small statement would go
// into the driver: it searches a name for each argument and the argument for
// each name, allocates each text and each integer, and locks around each call
// what only one goroutine uses at a time.
type conn struct {
	tls   *libc.TLS
	db    uintptr
	ends  [3]uintptr // prepared begin, commit and rollback
	stmts []uintptr  // prepared, by Statement.ID
	arena arena      // texts and blobs of the statement that runs

	committed chan<- struct{} // told without waiting; nil: nobody
}

// openConn opens a connection. begin is the statement that begins its transactions.
func openConn(path, begin string, pragmas []string) (*conn, error) {
	return openConnAs(path, lib.SQLITE_OPEN_READWRITE, begin, pragmas)
}

func openConnAs(path string, flags int32, begin string, pragmas []string) (*conn, error) {
	c := &conn{tls: libc.NewTLS()}
	if err := c.open(path, flags); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for _, p := range pragmas {
		if _, err := c.pragma(p); err != nil {
			return nil, errors.Join(fmt.Errorf("PRAGMA %s: %w", p, err), c.Close())
		}
	}
	for n, sql := range []string{begin, "COMMIT", "ROLLBACK"} {
		var err error
		if c.ends[n], err = c.prepare(sql); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

func (c *conn) open(path string, flags int32) error {
	name, err := libc.CString(path)
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, name)
	out, err := libc.CString("01234567") // room for a pointer
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, out)
	// One goroutine at a time uses a connection, so SQLite need not lock it.
	rc := lib.Xsqlite3_open_v2(c.tls, name, out, flags|lib.SQLITE_OPEN_NOMUTEX, 0)
	c.db = *(*uintptr)(pointer(out))
	if rc != lib.SQLITE_OK {
		return c.fail(rc)
	}
	lib.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	return nil
}

// pointer makes a pointer of an address outside of Go's memory.
func pointer(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

// fail makes an error of a result code and what the connection says about it.
func (c *conn) fail(rc int32) error {
	if c.db == 0 {
		return &resultError{rc, libc.GoString(lib.Xsqlite3_errstr(c.tls, rc))}
	}
	return &resultError{rc, libc.GoString(lib.Xsqlite3_errmsg(c.tls, c.db))}
}

func (c *conn) prepare(sql string) (uintptr, error) {
	text, err := libc.CString(sql)
	if err != nil {
		return 0, err
	}
	defer libc.Xfree(c.tls, text)
	out, err := libc.CString("01234567") // room for a pointer
	if err != nil {
		return 0, err
	}
	defer libc.Xfree(c.tls, out)
	if rc := lib.Xsqlite3_prepare_v3(c.tls, c.db, text, -1, lib.SQLITE_PREPARE_PERSISTENT, out, 0); rc != lib.SQLITE_OK {
		return 0, fmt.Errorf("prepare %.60q: %w", sql, c.fail(rc))
	}
	return *(*uintptr)(pointer(out)), nil
}

// prepared gives a statement that is ready to be run; release ends its use.
func (c *conn) prepared(s *sqlstore.Statement) (uintptr, error) {
	if s.ID < 0 {
		return c.prepare(s.SQL)
	}
	for len(c.stmts) <= s.ID {
		c.stmts = append(c.stmts, 0)
	}
	if c.stmts[s.ID] == 0 {
		var err error
		if c.stmts[s.ID], err = c.prepare(s.SQL); err != nil {
			return 0, err
		}
	}
	return c.stmts[s.ID], nil
}

// release ends the use of a statement after an error or none. A reset repeats
// the result code of the last step, which has been reported already.
func (c *conn) release(s *sqlstore.Statement, st uintptr) {
	if s.ID < 0 {
		lib.Xsqlite3_finalize(c.tls, st)
		return
	}
	lib.Xsqlite3_reset(c.tls, st)
}

// bind gives a statement its arguments. Texts and blobs stand in the arena
// until the next statement, so SQLite need not copy them.
func (c *conn) bind(st uintptr, args []sqlstore.Value) error {
	size := 0
	for i := range args {
		size += len(args[i].S) + len(args[i].B)
	}
	if err := c.arena.reset(c.tls, size); err != nil {
		return err
	}
	for i := range args {
		var rc int32
		switch a, n := &args[i], int32(i+1); a.Kind {
		case sqlstore.KindInt:
			rc = lib.Xsqlite3_bind_int64(c.tls, st, n, a.N)
		case sqlstore.KindText:
			rc = lib.Xsqlite3_bind_text(c.tls, st, n, c.arena.text(a.S), int32(len(a.S)), 0)
		case sqlstore.KindBlob:
			if len(a.B) > 1<<30 {
				return &resultError{lib.SQLITE_TOOBIG, "the value is too big"}
			}
			rc = lib.Xsqlite3_bind_blob(c.tls, st, n, c.arena.blob(a.B), int32(len(a.B)), 0)
		default:
			rc = lib.Xsqlite3_bind_null(c.tls, st, n)
		}
		if rc != lib.SQLITE_OK {
			return c.fail(rc)
		}
	}
	return nil
}

// Exec runs a statement.
func (c *conn) Exec(s *sqlstore.Statement, args []sqlstore.Value) (int64, error) {
	st, err := c.prepared(s)
	if err != nil {
		return 0, err
	}
	defer c.release(s, st)
	if err := c.bind(st, args); err != nil {
		return 0, err
	}
	return c.run(st)
}

// run steps to the end and tells how many rows were changed.
func (c *conn) run(st uintptr) (int64, error) {
	for {
		switch rc := lib.Xsqlite3_step(c.tls, st); rc {
		case lib.SQLITE_DONE:
			return int64(lib.Xsqlite3_changes(c.tls, c.db)), nil
		case lib.SQLITE_ROW:
		default:
			return 0, c.fail(rc)
		}
	}
}

// Query runs a statement that answers rows.
func (c *conn) Query(s *sqlstore.Statement, args []sqlstore.Value, each func(sqlstore.Row) error) error {
	st, err := c.prepared(s)
	if err != nil {
		return err
	}
	defer c.release(s, st)
	if err := c.bind(st, args); err != nil {
		return err
	}
	r := &row{c, st}
	for {
		switch rc := lib.Xsqlite3_step(c.tls, st); rc {
		case lib.SQLITE_DONE:
			return nil
		case lib.SQLITE_ROW:
			if err := each(r); err != nil {
				return err
			}
		default:
			return c.fail(rc)
		}
	}
}

// Script runs several statements.
func (c *conn) Script(sql string) error {
	text, err := libc.CString(sql)
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, text)
	if rc := lib.Xsqlite3_exec(c.tls, c.db, text, 0, 0, 0); rc != lib.SQLITE_OK {
		return c.fail(rc)
	}
	return nil
}

// pragma runs a PRAGMA and returns the first row of its answer.
func (c *conn) pragma(text string) ([]string, error) { return c.first("PRAGMA " + text) }

// first returns the first row of an answer as texts, nil if there is none.
func (c *conn) first(sql string) (out []string, err error) {
	err = c.Query(&sqlstore.Statement{ID: -1, SQL: sql}, nil, func(x sqlstore.Row) error {
		if out == nil {
			for n := range x.(*row).columns() {
				out = append(out, x.Text(n))
			}
		}
		return nil
	})
	return out, err
}

func (c *conn) end(n int) error {
	_, err := c.run(c.ends[n])
	lib.Xsqlite3_reset(c.tls, c.ends[n])
	return err
}

// Begin begins a transaction.
func (c *conn) Begin() error { return c.end(0) }

// Commit ends it.
func (c *conn) Commit() error {
	err := c.end(1)
	select {
	case c.committed <- struct{}{}:
	default:
	}
	return err
}

// Rollback ends it without effect. Some errors have made SQLite do so already.
func (c *conn) Rollback() error {
	if lib.Xsqlite3_get_autocommit(c.tls, c.db) != 0 {
		return nil
	}
	return c.end(2)
}

// Close ends the connection with all its statements. Closing again does nothing.
func (c *conn) Close() error {
	if c.tls == nil {
		return nil
	}
	for _, st := range append(c.stmts, c.ends[:]...) {
		if st != 0 {
			lib.Xsqlite3_finalize(c.tls, st)
		}
	}
	var err error
	if rc := lib.Xsqlite3_close_v2(c.tls, c.db); rc != lib.SQLITE_OK {
		err = c.fail(rc)
	}
	c.arena.free(c.tls)
	c.tls.Close()
	*c = conn{}
	return err
}

// row is the current row of a query.
type row struct {
	c  *conn
	st uintptr
}

func (r *row) columns() int { return int(lib.Xsqlite3_column_count(r.c.tls, r.st)) }

// Int gives an integer.
func (r *row) Int(n int) int64 { return lib.Xsqlite3_column_int64(r.c.tls, r.st, int32(n)) }

// Text gives a copy of a text.
func (r *row) Text(n int) string {
	p := lib.Xsqlite3_column_text(r.c.tls, r.st, int32(n))
	return string(bytesAt(p, int(lib.Xsqlite3_column_bytes(r.c.tls, r.st, int32(n)))))
}

// Blob gives a copy of a blob: nil for NULL, empty for an empty one.
func (r *row) Blob(n int) []byte {
	if lib.Xsqlite3_column_type(r.c.tls, r.st, int32(n)) == lib.SQLITE_NULL {
		return nil
	}
	p := lib.Xsqlite3_column_blob(r.c.tls, r.st, int32(n))
	return append([]byte{}, bytesAt(p, int(lib.Xsqlite3_column_bytes(r.c.tls, r.st, int32(n))))...)
}
