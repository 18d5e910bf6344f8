// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"

	lib "modernc.org/sqlite/lib"

	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

// resultError is a result code of SQLite with its text.
type resultError struct {
	code int32 // extended
	text string
}

func (e *resultError) Error() string { return fmt.Sprintf("SQLite: %s (%d)", e.text, e.code) }

// code is the primary result code of an error, 0 if it is none of SQLite's.
func code(err error) int32 {
	var e *resultError
	if !errors.As(err, &e) {
		return 0
	}
	return e.code & 0xff
}

// classOf says what an error means for the committer. What is not known to be
// harmless counts as a broken connection: I/O errors, corruption, no memory.
func classOf(err error) sqlstore.Class {
	switch code(err) {
	case lib.SQLITE_ERROR, lib.SQLITE_TOOBIG, lib.SQLITE_CONSTRAINT, lib.SQLITE_MISMATCH, lib.SQLITE_RANGE:
		return sqlstore.Deterministic
	case lib.SQLITE_FULL:
		return sqlstore.Full
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return sqlstore.Busy
	}
	return sqlstore.Broken
}
