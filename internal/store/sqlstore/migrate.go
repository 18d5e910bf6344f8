// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// migration is one file, named like 0001_tasks.sql.
type migration struct {
	version  int
	name     string
	checksum string
	script   string
}

// Scripter runs a script of several statements.
type Scripter interface {
	Conn
	Script(sql string) error
}

// Migrations are a directory of embedded .sql files.
type Migrations struct{ list []migration }

// ReadMigrations reads the .sql files of a directory.
func ReadMigrations(dir fs.FS) (Migrations, error) {
	names, err := fs.Glob(dir, "*.sql")
	if err != nil {
		return Migrations{}, err
	}
	slices.Sort(names)
	var m Migrations
	for n, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return Migrations{}, err
		}
		number, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != n+1 {
			return Migrations{}, fmt.Errorf("migration %s: its number is not %d", name, n+1)
		}
		sum := sha256.Sum256(text)
		m.list = append(m.list, migration{version, name, hex.EncodeToString(sum[:]), string(text)})
	}
	return m, nil
}

// secrets are the random keys that the first migration makes.
var secretNames = []string{"page-token"}

// Migrate brings the database to the newest version, each step in a transaction
// of its own, so that a step that was interrupted is simply made again. It
// refuses a database that a newer release has changed or whose migrations are
// not ours, and then touches nothing.
func (m Migrations) Migrate(c Scripter, d Dialect) error {
	const table = `CREATE TABLE IF NOT EXISTS migrations (
	version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)`
	applied, err := appliedMigrations(c)
	if err != nil {
		return err
	}
	for n, a := range applied {
		switch {
		case n >= len(m.list):
			return fmt.Errorf("the database has migration %d (%s), which this release does not know: it was made by a newer one; nothing was changed",
				a.version, a.name)
		case a.version != m.list[n].version || a.checksum != m.list[n].checksum:
			return fmt.Errorf("migration %d of the database (%s, checksum %.12s…) is not the one of this release (%s, checksum %.12s…); nothing was changed",
				a.version, a.name, a.checksum, m.list[n].name, m.list[n].checksum)
		}
	}
	for _, next := range m.list[len(applied):] {
		if err := inTransaction(c, func() error { return next.apply(c, d, table) }); err != nil {
			return fmt.Errorf("migration %s: %w", next.name, err)
		}
	}
	return nil
}

func appliedMigrations(c Conn) (out []migration, err error) {
	const unprepared = -1
	exists := false
	err = c.Query(&Statement{unprepared, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migrations'"}, nil,
		func(Row) error { exists = true; return nil })
	if err != nil || !exists {
		return nil, failed("look for the table of migrations", err)
	}
	err = c.Query(&Statement{unprepared, "SELECT version, name, checksum FROM migrations ORDER BY version"}, nil, func(x Row) error {
		out = append(out, migration{version: int(x.Int(0)), name: x.Text(1), checksum: x.Text(2)})
		return nil
	})
	return out, failed("read the table of migrations", err)
}

func (m migration) apply(c Scripter, d Dialect, table string) error {
	if err := c.Script(table); err != nil {
		return err
	}
	if err := c.Script(m.script); err != nil {
		return err
	}
	text := func(sql string) *Statement {
		if d.Numbered {
			sql = number(sql)
		}
		return &Statement{-1, sql}
	}
	if m.version == 1 {
		for _, name := range secretNames {
			key := make([]byte, 32)
			rand.Read(key) // never fails: crypto/rand ends the process instead
			if _, err := c.Exec(text("INSERT INTO secrets (name, value) VALUES (?, ?)"), []Value{Text(name), Blob(key)}); err != nil {
				return err
			}
		}
	}
	_, err := c.Exec(text("INSERT INTO migrations (version, name, checksum) VALUES (?, ?, ?)"),
		[]Value{Int(m.version), Text(m.name), Text(m.checksum)})
	return err
}

func inTransaction(c Conn, do func() error) error {
	if err := c.Begin(); err != nil {
		return err
	}
	if err := do(); err != nil {
		_ = c.Rollback() // the first error says more
		return err
	}
	return c.Commit()
}
