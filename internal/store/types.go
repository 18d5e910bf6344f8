// SPDX-License-Identifier: Apache-2.0

package store

import (
	"time"

	"github.com/errand-a2a/errand/internal/task"
)

// Head is a task without its content.
type Head struct {
	task.Ref
	Agent     string
	ContextID string
	// State is the protocol's state of the last Head written; "" before any.
	State string
	// StatusAt is the time of the last status, with millisecond precision.
	StatusAt time.Time
	// Listed is whether the task exists for clients: a Task was recorded. A task
	// whose only record is a Message stays unlisted for ever.
	Listed bool
	// Closed is whether the log has ended.
	Closed bool
	// LastSeq is the sequence of the last record, 0 if there is none.
	LastSeq uint64
	// Epoch is the fence: every claim, rescue and takeover adds one.
	Epoch int64
	// LastTurn counts the turns accepted, DoneTurn those that have ended; they
	// are equal when nothing waits or runs.
	LastTurn, DoneTurn int
	// Running is whether an item of the task is claimed.
	Running bool
	// Started is whether any item of the task was ever claimed.
	Started bool
	// Cancel tells where a cancellation stands.
	Cancel CancelState
}

// CancelState is where a cancellation stands.
type CancelState int

// A cancellation is not asked for, asked for, or refused by the agent.
const (
	CancelNone CancelState = iota
	CancelRequested
	CancelRefused
)

// View is the part of a head that an append changes.
type View struct {
	State    string
	StatusAt time.Time
	Listed   bool
	Closed   bool
}

// Batch is a range of log records as one opaque body.
type Batch struct {
	First, Last uint64
	Body        []byte
}

// Snapshot is the folded task at a sequence.
type Snapshot struct {
	Seq  uint64
	Body []byte
}

// Opening is what a commit records when it accepts a turn.
type Opening struct {
	Batch Batch
	View  View
}

// Submission accepts one turn.
type Submission struct {
	task.Ref
	Agent     string
	ContextID string
	// Turn is 1 for a new task. For a follow-up it is Head.LastTurn+1 of the
	// head that was read, and LastSeq and DoneTurn are that head's; if any of
	// the three differs now, ErrStale.
	Turn     int
	LastSeq  uint64
	DoneTurn int
	// Message is the user's message, MessageID its id, Request what else the
	// executor needs (metadata, service parameters). Kept with the turn.
	Message   []byte
	MessageID string
	Request   []byte
	// Key makes the submission idempotent; nil: it is not.
	Key *Key
	// Priority orders the items of an agent: the higher is claimed first.
	Priority int
	// ScheduledFor is when the turn may begin; zero, or a time that has come: at
	// once. The item's run time is the later of this and now.
	ScheduledFor time.Time
	// Deadline is when the turn must have ended; zero: never. One that has passed
	// is ErrPastDeadline, unless the key is known.
	Deadline time.Time
	// IfClaimed is recorded if this commit claims the item, IfQueued if it does
	// not; nil records nothing. Both are nil for a turn that must wait for an
	// earlier one (DoneTurn < Turn-1).
	IfClaimed, IfQueued *Opening
	// Claim asks to claim the item in this commit. It is granted when the turn
	// is ready (all earlier turns have ended and its schedule has come) and no
	// other item of the agent is ready, suspects aside.
	Claim *Taker
}

// Key is an idempotency key. It is unique per (tenant, principal, agent).
type Key struct {
	Value string
	// Hash is the hash of the message; the same key with another is ErrKeyConflict.
	Hash []byte
	// TTL is how long the key is kept, and at least while its task is not closed.
	TTL time.Duration
}

// Taker is who claims and for how long.
type Taker struct {
	Worker string
	TTL    time.Duration
}

// Submitted answers a Submission.
type Submitted struct {
	// Joined is set when the key was known: nothing was written; Turn and Head
	// are those of the turn that the first submission made.
	Joined bool
	// Head is the task after the commit. Of a joined one: as it is now.
	Head Head
	// Turn is the number of the turn.
	Turn int
	// TurnSeq is the last sequence before the turn's first record: following
	// from there sees the turn from its first event. It is kept with the turn
	// (for a turn that waits it is set when the item is first claimed).
	TurnSeq uint64
	// Claim is set when this commit claimed the item.
	Claim *Claim
}

// Kind is what a work item asks for.
type Kind string

// The kinds of work items.
const (
	Execute    Kind = "execute"
	CancelItem Kind = "cancel"
)

// ItemState is the state of a work item.
type ItemState string

// The states of a work item. A pending item of a turn that waits for an
// earlier one, or for a cancel item, is not ready: it is not in the claim index.
// A scheduled item becomes pending when its time has come: by Promote, or, if
// that was while it waited, when there is nothing left to wait for.
const (
	Pending   ItemState = "pending"
	Scheduled ItemState = "scheduled"
	Running   ItemState = "running"
	Retryable ItemState = "retryable"
	Completed ItemState = "completed"
	Canceled  ItemState = "canceled"
	Dead      ItemState = "dead"
)

// SuspectLosses is how many losses make an item a suspect: one that may be what
// its processes died of. A suspect is ready in a lane of its own, the
// quarantine, from which only a claim takes that asks for suspects. An execute
// item of a task whose cancellation is asked for is none: it will not be run.
const SuspectLosses = 3

// ClaimRequest asks for work.
type ClaimRequest struct {
	Agent string
	Limit int
	// Suspects takes from the quarantine, and from nowhere else.
	Suspects bool
	Taker
}

// Claim is a claimed item with what is needed to run it.
type Claim struct {
	Head Head // after the claim: Epoch is the one to write with
	Item ItemRef
	// Attempt counts every run of the item from 1, this one included. Failures
	// counts those that ended in Retryable, Losses those that were rescued.
	Attempt, Failures, Losses int
	// Expired is whether the item's deadline has passed. Such a claim is not a
	// run: it only serves to record the end. Attempt is not raised by it, and is
	// 0 if the item never ran, nor does it count for Head.Started.
	Expired bool
	// Left is how long it is until the item's deadline; 0: it has none, or it
	// has passed.
	Left time.Duration
	// Message, MessageID and Request are the turn's. For a cancel item Message is nil
	// and Request is what RequestCancel brought.
	Message   []byte
	MessageID string
	Request   []byte
	// TurnSeq is as in Submitted.
	TurnSeq uint64
	// SnapshotBytes and TailBytes are the size of the newest snapshot and of
	// the log after it.
	SnapshotBytes, TailBytes int64
	// CancelRequest is what RequestCancel brought, if Head.Cancel is CancelRequested.
	CancelRequest []byte
}

// ItemRef names an item of a task.
type ItemRef struct {
	Kind Kind
	Turn int
}

// Append is one write to a task by the holder of its epoch.
type Append struct {
	task.Ref
	// Epoch must be the task's; else ErrFenced. LastSeq must be the task's last
	// sequence; else ErrFenced.
	Epoch   int64
	LastSeq uint64
	// TakeEpoch raises the epoch in this commit: the caller does not hold the
	// lease but takes the task over from whoever held (Epoch, LastSeq). A running
	// item loses its lease (it becomes pending and not ready; the same append
	// normally closes the task).
	TakeEpoch bool
	// Batch and View are what is recorded; nil writes no record. Batch.First is
	// LastSeq+1.
	Batch *Batch
	View  *View
	// Snapshot replaces the stored one; nil leaves it.
	Snapshot *Snapshot
	// LastTurn must be the head's LastTurn when View.Closed is set; else
	// ErrNewerTurn. Closing cancels every unfinished item of the task (except
	// the one in Finish, which gets the state given there), sets DoneTurn to
	// LastTurn and clears a requested cancellation.
	LastTurn int
	// Extend renews the lease of Item for that long from now; 0 leaves it.
	Extend time.Duration
	// Item is the running item this write belongs to (ignored with TakeEpoch).
	Item ItemRef
	// Finish ends the attempt; nil goes on.
	Finish *Finish
	// RefuseCancel records that the agent refused the cancellation, with or
	// without Finish: Head.Cancel becomes CancelRefused. With a finished cancel
	// item the execute item it held back becomes ready again (or retryable as
	// it was).
	RefuseCancel bool
	// Attempt is written to the table of attempts, also without Finish (an
	// attempt that is lost later keeps what it wrote); the same attempt number
	// of the same item replaces its row.
	Attempt *Attempt
}

// Finish ends the attempt of Append.Item. An item that comes back (Retryable,
// Pending, Scheduled) tells its next claim of a cancellation that is asked for.
// If the item ends (Completed, Canceled, Dead), the task stays open with
// Cancel == CancelRequested, and no item of it is left or only one that is
// scheduled for later, this commit makes a cancel item as RequestCancel does:
// who ended the item is told of the cancellation by Appended, and may die before
// it has acted on it.
type Finish struct {
	// State is Completed, Canceled, Retryable, Dead, or Pending (released: the
	// item is ready again at once and the attempt does not count as a failure
	// or a loss), or Scheduled (released likewise, until later).
	State ItemState
	// After is when a Retryable or Scheduled item is due; of a Retryable one it
	// raises Failures by one.
	After time.Duration
	// EndTurn sets DoneTurn to the item's turn and makes the next turn's item
	// ready. It goes with Completed, Canceled and Dead of execute items.
	EndTurn bool
}

// Appended answers an Append.
type Appended struct {
	Epoch    int64 // after the commit
	LastTurn int
	Cancel   CancelState
	// CancelRequest is what RequestCancel brought, if Cancel is CancelRequested.
	CancelRequest []byte
	// Due are the agents that have more to do because of this commit.
	Due []string
}

// Beat renews the lease of one running item.
type Beat struct {
	task.Ref
	Epoch int64
	Item  ItemRef
}

// BeatAnswer answers one Beat.
type BeatAnswer struct {
	// Lost: the epoch is not the task's any more; nothing was renewed.
	Lost          bool
	LastTurn      int
	Cancel        CancelState
	CancelRequest []byte
}

// CancelRequest asks to cancel a task.
type CancelRequest struct {
	task.Ref
	// Request is opaque data for the executor's Cancel.
	Request []byte
	// Claim asks to claim a cancel item in this commit, if one is made.
	Claim *Taker
}

// Cancellation answers a CancelRequest. Whatever the case, an open task has
// Cancel == CancelRequested afterwards; a repeat changes nothing but Request.
//
//   - Head.Closed: nothing was changed.
//   - Head.Running: whoever runs it is told by heartbeats and appends; see
//     Finish for who hears of it when the run ends first.
//   - !Head.Started: nothing ever ran; the caller takes the task over.
//   - otherwise (parked, or waiting for a retry): a cancel item was made, is
//     ready, and holds back the task's other items until it has ended. Claim
//     is set if this commit claimed it (same rule as in Submission.Claim).
type Cancellation struct {
	Head  Head
	Claim *Claim
}

// Stored is a task as it lies in the store.
type Stored struct {
	Head     Head
	Snapshot *Snapshot // nil: none yet
	Tail     []Batch   // after the snapshot
	// Unreadable, in a listing, is why there is nothing but the Head: ErrFormat.
	Unreadable error
}

// Turn is one turn of a task.
type Turn struct {
	Number    int
	MessageID string
	Message   []byte
	Request   []byte
	TurnSeq   uint64
	Item      ItemState
	Attempt   int
	Failures  int
	Losses    int
	// Expired is whether the deadline has passed while the turn waited: it is
	// not run (again), and if it never ran it never will.
	Expired bool
}

// Unsaid reports whether nothing of a later turn stands in the log that ends at
// lastSeq: it waited until now, or whoever claimed it recorded nothing.
func (t Turn) Unsaid(lastSeq uint64) bool {
	return t.Number > 1 && (t.Attempt == 0 && t.TurnSeq == 0 || lastSeq <= t.TurnSeq)
}

// Attempt is one row of the table of attempts.
type Attempt struct {
	Item    ItemRef
	Number  int
	Worker  string
	Epoch   int64
	Outcome string // "failed", "panic", "timeout", "lost", "canceled", "completed", …
	Error   string // the error's text
	Stack   string // of a panic
	Refused []string
	// StartedAt is given by the worker's clock; Duration is measured.
	StartedAt time.Time
	Duration  time.Duration
}

// ListQuery filters listed tasks of a scope.
type ListQuery struct {
	task.Scope
	Agent     string    // exactly: "" is the agent without a name
	ContextID string    // "" : any
	State     string    // "" : any
	Since     time.Time // status time at or after; zero: any
	// Until bounds the listing: status time at or before; zero: now, as the
	// driver's clock has it, and at least every committed task.
	Until time.Time
	// After is the last task of the page before; zero: the first page.
	After ListPosition
	Limit int
	// Total asks for Page.Total.
	Total bool
}

// ListPosition is the place of a task in a listing.
type ListPosition struct {
	StatusAt time.Time
	ID       string
}

// Page is one page of a listing, with the content of each task that can be read.
type Page struct {
	Tasks []Stored
	// More is whether there are tasks after the last one.
	More bool
	// Total counts the tasks that match, bounded by Until.
	Total int
	// Until is the bound that was used.
	Until time.Time
}

// Clock is the driver's source of time in tests; a driver without one uses the
// database's.
type Clock func() time.Time

// MessageIDs lists the messages of turns.
func MessageIDs(turns []Turn) []string {
	ids := make([]string, len(turns))
	for i, t := range turns {
		ids[i] = t.MessageID
	}
	return ids
}
