// SPDX-License-Identifier: Apache-2.0

// Package sqlstore is what the SQL drivers of the store share: the statements,
// the operations, the committer that puts many operations into one
// transaction, and the migrator. It imports no database driver; a driver gives
// it connections (Conn) and a few words of dialect (Dialect).
//
// # How a write is made
//
// A call makes an operation and puts it into the queue of the committer, which
// takes everything that waits and runs it in one transaction. Each operation
// loads the row of its task (from memory, or by primary key), decides on it and
// changes it in memory; what it adds (log, turns, snapshots) is gathered. Then
// the transaction is written in waves, one kind of row after the other: each
// task's head once however many operations changed it, and always guarded by
// the epoch and the last sequence that were loaded. A refusal is therefore
// never an SQL error, and costs the others nothing. When a guarded statement
// meets another number of rows than it must, somebody else has written to the
// task: the batch is rolled back, what was remembered is forgotten and the
// operations run again one by one.
//
// Times are stored as milliseconds since 1970 by the clock of the database:
// leases outlive the process, so they are wall-clock times.
package sqlstore
