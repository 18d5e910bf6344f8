// SPDX-License-Identifier: Apache-2.0

// Package store is the port between the engine and a database: what a driver
// must do so that the promises of Errand hold. The conformance suite is
// storetest; a driver is done when storetest passes.
//
// # Rules for every method
//
// Each call is one atomic, durable step: when it returns without an error, its
// effect survives the loss of the process and of the machine; when it returns
// an error, nothing of it is or ever becomes visible, except that ErrUnknown
// says that the driver could not find out. Nothing is held between calls.
//
// The port knows no "now": callers pass durations and the driver adds them to
// its own clock (the database's; tests pass one in). Absolute times that
// arrive are data. Bodies (messages, batches, snapshots, request data) are
// opaque bytes; a driver compares epochs, sequences and turn numbers and knows
// neither A2A nor JSON. State strings are opaque too.
//
// Every row is keyed by the scope (tenant, principal). Calls made for a client
// take a task.Ref or a task.Scope, and a row of another scope is ErrNotFound.
//
// Refusals are errors of this package, found with errors.Is. A refusal changes
// nothing and never disturbs other calls that share its transaction.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/errand-a2a/errand/internal/task"
)

// What a driver answers when it refuses.
var (
	// ErrNotFound: no such task in this scope.
	ErrNotFound = errors.New("store: not found")
	// ErrFenced: the epoch or the last sequence is not the one that the caller
	// named. The caller has lost the task (or read an old head); nothing was written.
	ErrFenced = errors.New("store: fenced")
	// ErrStale: the head that a Submission was made from has changed; read it again.
	ErrStale = errors.New("store: stale head")
	// ErrPastDeadline: the deadline of a submission has passed already.
	ErrPastDeadline = errors.New("store: past deadline")
	// ErrNewerTurn: a terminal append named a last turn that is not the last.
	ErrNewerTurn = errors.New("store: newer turn")
	// ErrClosed: the task's log has ended.
	ErrClosed = errors.New("store: closed task")
	// ErrKeyConflict: the idempotency key stands for another message.
	ErrKeyConflict = errors.New("store: key conflict")
	// ErrOverloaded: more bytes wait for commit than the driver's cap. Nothing was queued.
	ErrOverloaded = errors.New("store: overloaded")
	// ErrFull: the database has no room. Nothing was written; it may be retried.
	ErrFull = errors.New("store: no space")
	// ErrUnavailable: the database cannot be reached or is being reopened. Nothing was written.
	ErrUnavailable = errors.New("store: unavailable")
	// ErrUnknown: the outcome of the commit could not be found out.
	ErrUnknown = errors.New("store: outcome unknown")
	// ErrStopped: the store was closed.
	ErrStopped = errors.New("store: closed")
	// ErrFormat: a stored value has a format number this release does not know.
	// The value is named in the text and left untouched.
	ErrFormat = errors.New("store: unknown format")
)

// Store is everything a driver offers. Consumers name the part they need.
type Store interface {
	Intake
	Queue
	Census
	Reader
	Keeper
}

// Intake is what accepting and cancelling need.
type Intake interface {
	// Submit accepts one turn: the task (if new), the turn, its work item, the
	// idempotency key and the opening records, in one commit.
	// Errors: ErrNotFound (follow-up to an unknown task), ErrClosed, ErrStale,
	// ErrPastDeadline, ErrKeyConflict, ErrOverloaded, ErrFull, ErrUnavailable, ErrUnknown.
	Submit(ctx context.Context, s *Submission) (Submitted, error)
	// RequestCancel records that a cancellation was asked for (see Cancellation
	// for what else happens). Errors: ErrNotFound. A closed task is not an
	// error: the answer's Head says Closed and nothing changes.
	RequestCancel(ctx context.Context, c *CancelRequest) (Cancellation, error)
	// Append writes to a task; see Append. Intake uses it with TakeEpoch only.
	Append(ctx context.Context, a *Append) (Appended, error)
}

// Queue is what running work items needs.
type Queue interface {
	// Claim takes up to r.Limit ready items of one agent in queue order: cancel
	// items first, then by priority (the higher first), by run time, and in the
	// order in which they were accepted. Suspects are taken by a claim that asks
	// for them, and only by one: the one that was claimed last as a suspect
	// first, then those that never were, in queue order. Each claim raises the task's epoch by
	// one and the item's attempt by one and gives a lease of r.TTL. An item whose
	// stored format is unknown is skipped and costs no attempt. An item whose
	// deadline has passed is claimed as Promote does it. No items is not an error.
	Claim(ctx context.Context, r ClaimRequest) ([]Claim, error)
	// Append commits what a running attempt has to record; see Append.
	// Errors: ErrNotFound, ErrFenced, ErrClosed, ErrNewerTurn, ErrOverloaded,
	// ErrFull, ErrUnavailable, ErrUnknown.
	Append(ctx context.Context, a *Append) (Appended, error)
	// Heartbeat renews leases. The answers are in the order of the beats.
	Heartbeat(ctx context.Context, ttl time.Duration, beats []Beat) ([]BeatAnswer, error)
	Sweeps
}

// Sweeps are what somebody must do now and then for the queue to go on.
type Sweeps interface {
	// Rescue makes items whose lease ran out ready again, at most limit: the
	// item's losses and the task's epoch rise by one each, and an item with
	// SuspectLosses is a suspect from then on. It returns the agents (with
	// repeats) that now have more to do.
	Rescue(ctx context.Context, limit int) ([]string, error)
	// Promote does what has become due; see Promoted.
	Promote(ctx context.Context, r PromoteRequest) (Promoted, error)
}

// Census tells who has work, for a worker that does not know every name.
type Census interface {
	// Waiting returns the names of the agents that have at least one ready item,
	// be it a suspect, in the order of their bytes, those after the given name,
	// at most limit. The empty name comes before every other, so it is never
	// among them.
	Waiting(ctx context.Context, after string, limit int) ([]string, error)
	// Suspects returns the names of the agents that have a ready suspect, at most
	// limit, in the order in which a claim would take the first suspect of each:
	// so whoever claims of the first name takes the suspect that was claimed last.
	Suspects(ctx context.Context, limit int) ([]string, error)
}

// Reader reads committed state only. No transaction outlives a call.
type Reader interface {
	// Load reads a task's head, its newest snapshot and the log after it, all
	// of one moment. Errors: ErrNotFound, ErrFormat.
	Load(ctx context.Context, ref task.Ref) (Stored, error)
	// Read returns the head and, from the same moment, batches that hold the
	// records after the given sequence, oldest first, until maxBytes is passed
	// (at least one batch if there is any). The first batch may begin before
	// after+1: the caller skips. Errors: ErrNotFound, ErrFormat.
	Read(ctx context.Context, ref task.Ref, after uint64, maxBytes int) (Head, []Batch, error)
	// List returns listed tasks of a scope in the order status time, id, both
	// descending.
	List(ctx context.Context, q ListQuery) (Page, error)
	// Turns returns the turns of a task after the given number, in order, at
	// most limit (0: all). Errors: ErrNotFound.
	Turns(ctx context.Context, ref task.Ref, after, limit int) ([]Turn, error)
	// Attempts returns what was recorded about the attempts of a task, oldest
	// first. It is for operators, never for clients. Errors: ErrNotFound.
	Attempts(ctx context.Context, ref task.Ref) ([]Attempt, error)
}

// Keeper is what the owner of a store needs.
type Keeper interface {
	// Secret returns the store's own random key of that name, 32 bytes, made by
	// the first migration, the same for every replica for ever. Known names: "page-token".
	Secret(ctx context.Context, name string) ([]byte, error)
	// Ready reports whether the store can commit now; the error says why not.
	Ready(ctx context.Context) error
	// About describes the store for people: where the data lives and how
	// durable a commit is.
	About() About
	// Close commits or refuses what waits and releases everything.
	Close() error
}

// About is for banners and operators.
type About struct {
	Driver   string // "sqlite", "memory"
	Location string // a path, or "" for memory
	Durable  string // one line, for example "every commit is fsynced (WAL, synchronous=FULL)"
}
