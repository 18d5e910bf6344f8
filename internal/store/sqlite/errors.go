// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"

	"modernc.org/sqlite"

	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

// Result codes of SQLite: the primary ones are the low byte.
const (
	sqliteError      = 1
	sqliteBusy       = 5
	sqliteLocked     = 6
	sqliteFull       = 13
	sqliteTooBig     = 18
	sqliteConstraint = 19
	sqliteMismatch   = 20
	sqliteRange      = 25
)

// code is the primary result code of an error, 0 if it is none of SQLite's.
func code(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}

// classOf says what an error means for the committer. What is not known to be
// harmless counts as a broken connection: I/O errors, corruption, no memory.
func classOf(err error) sqlstore.Class {
	switch code(err) {
	case sqliteError, sqliteTooBig, sqliteConstraint, sqliteMismatch, sqliteRange:
		return sqlstore.Deterministic
	case sqliteFull:
		return sqlstore.Full
	case sqliteBusy, sqliteLocked:
		return sqlstore.Busy
	}
	return sqlstore.Broken
}
