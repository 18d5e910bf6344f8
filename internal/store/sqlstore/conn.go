// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"fmt"
)

// Conn is one connection. It is used by one goroutine at a time.
type Conn interface {
	// Exec runs a statement and returns how many rows it changed.
	Exec(s *Statement, args []Value) (int64, error)
	// Query calls row for each row of the answer until there are no more or row
	// returns an error, which is returned as it is.
	Query(s *Statement, args []Value, row func(Row) error) error
	// Begin begins a transaction, on the writer one that may write.
	Begin() error
	// Commit ends the transaction. After an error its outcome is unknown unless
	// Database.Class says Full or Deterministic.
	Commit() error
	// Rollback ends the transaction without effect. It is no error if the
	// database has already done so.
	Rollback() error
}

// Row is one row of an answer, valid during the call that gets it. Text and
// Blob return copies; a NULL is 0, "" or nil.
type Row interface {
	Int(column int) int64
	Text(column int) string
	Blob(column int) []byte
}

// Value is an argument of a statement.
type Value struct {
	Kind ValueKind
	N    int64
	S    string
	B    []byte
}

// ValueKind says which field of a Value counts.
type ValueKind uint8

// The kinds of values.
const (
	KindNull ValueKind = iota
	KindInt
	KindText
	KindBlob
)

// Int makes an integer, Text a string, Blob bytes (nil is NULL), Bool 0 or 1.
func Int[T ~int | ~int64 | ~uint64](n T) Value { return Value{Kind: KindInt, N: int64(n)} }

// Text makes a string.
func Text[T ~string](s T) Value { return Value{Kind: KindText, S: string(s)} }

// Blob makes bytes; nil is NULL.
func Blob(b []byte) Value {
	if b == nil {
		return Value{}
	}
	return Value{Kind: KindBlob, B: b}
}

// Bool makes 0 or 1.
func Bool(b bool) Value {
	if b {
		return Int(1)
	}
	return Int(0)
}

// Class is what an error of a database means for the committer.
type Class int

// The classes of errors.
const (
	// Broken: the connection cannot be trusted any more: I/O error, lost
	// connection, anything unknown.
	Broken Class = iota
	// Deterministic: the statement itself is at fault and fails again: a
	// constraint, a value that is too big.
	Deterministic
	// Full: there is no room. Nothing was written.
	Full
	// Busy: another program holds the database. Nothing was written.
	Busy
)

// Database is what a driver gives to the store.
type Database interface {
	// Writer opens the connection that writes, after making sure that nothing
	// of a transaction whose commit failed can come back later. An earlier
	// writer and everything opened beside it is closed first.
	Writer(ctx context.Context) (Conn, error)
	// Read lends a connection for reading.
	Read(ctx context.Context, use func(Conn) error) error
	// Class classifies an error of a connection.
	Class(err error) Class
}

// failure is an error of the database, as opposed to a refusal.
type failure struct {
	doing string
	err   error
}

func (f *failure) Error() string { return fmt.Sprintf("%s: %v", f.doing, f.err) }
func (f *failure) Unwrap() error { return f.err }

func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return &failure{doing, err}
}
