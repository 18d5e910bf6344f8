// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"modernc.org/sqlite"

	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

// conn runs prepared statements on one connection of the driver. It does not go
// through database/sql, which would lock, copy and convert for each statement;
// and it passes contexts without Done, because for others the driver starts a
// goroutine for each statement.
type conn struct {
	dc    driver.Conn
	ends  [3]driver.Stmt // begin, commit, rollback
	stmts []driver.Stmt  // by Statement.ID
	named []driver.NamedValue

	committed chan<- struct{} // told without waiting; nil: nobody
}

// openConn opens a connection. begin is the statement that begins its transactions.
func openConn(dsn, begin string, pragmas []string) (*conn, error) {
	dc, err := (&sqlite.Driver{}).Open(dsn)
	if err != nil {
		return nil, err
	}
	c := &conn{dc: dc}
	for n, sql := range []string{begin, "COMMIT", "ROLLBACK"} {
		if c.ends[n], err = dc.Prepare(sql); err != nil {
			return nil, errors.Join(fmt.Errorf("prepare %s: %w", sql, err), c.Close())
		}
	}
	for _, p := range pragmas {
		if _, err := c.pragma(p); err != nil {
			return nil, errors.Join(fmt.Errorf("PRAGMA %s: %w", p, err), c.Close())
		}
	}
	return c, nil
}

// pragma runs a PRAGMA and returns its first row.
func (c *conn) pragma(text string) (out []driver.Value, err error) {
	return c.first("PRAGMA " + text)
}

// first returns the first row of an unprepared query, nil if there is none.
func (c *conn) first(sql string) (out []driver.Value, err error) {
	rows, err := c.dc.(driver.QueryerContext).QueryContext(context.Background(), sql, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out = make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(out); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	return out, nil
}

// Script runs several statements.
func (c *conn) Script(sql string) error {
	_, err := c.dc.(driver.ExecerContext).ExecContext(context.Background(), sql, nil)
	return err
}

func (c *conn) end(n int) error {
	_, err := c.ends[n].(driver.StmtExecContext).ExecContext(context.Background(), nil)
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

// Rollback ends it without effect.
func (c *conn) Rollback() error {
	err := c.end(2)
	if code(err) == sqliteError { // no transaction: after some errors SQLite has ended it
		return nil
	}
	return err
}

func (c *conn) prepared(s *sqlstore.Statement) (st driver.Stmt, once bool, err error) {
	if s.ID < 0 {
		st, err = c.dc.Prepare(s.SQL)
		return st, true, err
	}
	for len(c.stmts) <= s.ID {
		c.stmts = append(c.stmts, nil)
	}
	if c.stmts[s.ID] == nil {
		if c.stmts[s.ID], err = c.dc.Prepare(s.SQL); err != nil {
			return nil, false, err
		}
	}
	return c.stmts[s.ID], false, nil
}

func (c *conn) bind(args []sqlstore.Value) []driver.NamedValue {
	for len(c.named) < len(args) {
		c.named = append(c.named, driver.NamedValue{Ordinal: len(c.named) + 1})
	}
	for i := range args {
		switch a := &args[i]; a.Kind {
		case sqlstore.KindInt:
			c.named[i].Value = a.N
		case sqlstore.KindText:
			c.named[i].Value = a.S
		case sqlstore.KindBlob:
			c.named[i].Value = a.B
		default:
			c.named[i].Value = nil
		}
	}
	return c.named[:len(args)]
}

// Exec runs a statement.
func (c *conn) Exec(s *sqlstore.Statement, args []sqlstore.Value) (int64, error) {
	st, once, err := c.prepared(s)
	if err != nil {
		return 0, err
	}
	res, err := st.(driver.StmtExecContext).ExecContext(context.Background(), c.bind(args))
	if once {
		err = errors.Join(err, st.Close())
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query runs a statement that answers rows.
func (c *conn) Query(s *sqlstore.Statement, args []sqlstore.Value, each func(sqlstore.Row) error) (err error) {
	st, once, err := c.prepared(s)
	if err != nil {
		return err
	}
	if once {
		defer func() { err = errors.Join(err, st.Close()) }()
	}
	rows, err := st.(driver.StmtQueryContext).QueryContext(context.Background(), c.bind(args))
	if err != nil {
		return err
	}
	r := row{vals: make([]driver.Value, len(rows.Columns()))}
	for {
		if err = rows.Next(r.vals); err != nil {
			break
		}
		if err = each(&r); err != nil {
			break
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if e := rows.Close(); err == nil {
		err = e
	}
	return err
}

// Close ends the connection with all its statements.
func (c *conn) Close() error {
	var errs []error
	for _, st := range append(c.stmts, c.ends[:]...) {
		if st != nil {
			errs = append(errs, st.Close())
		}
	}
	c.stmts = nil
	return errors.Join(append(errs, c.dc.Close())...)
}

// row is the current row of a query.
type row struct{ vals []driver.Value }

func (r *row) Int(n int) int64 {
	v, _ := r.vals[n].(int64)
	return v
}

func (r *row) Text(n int) string {
	v, _ := r.vals[n].(string)
	return v
}

// Blob gives an empty slice for an empty blob, which the driver gives as nil.
func (r *row) Blob(n int) []byte {
	v, ok := r.vals[n].([]byte)
	if ok && v == nil {
		return []byte{}
	}
	return v
}
