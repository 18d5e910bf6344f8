// SPDX-License-Identifier: Apache-2.0

// Package record is the form of a log record and of a snapshot: on the wire
// (the specification's ProtoJSON) and in the store (a format number, the wire
// bytes, a checksum).
//
// An event is encoded once, by whoever holds the task's epoch; the same bytes
// are stored, streamed to every follower and folded. Decoding shares the
// memory of what it is given: it copies no payload.
package record

import (
	"errors"

	"github.com/errand-a2a/errand/internal/task"
)

// Format is the number that every stored batch and snapshot begins with.
const Format = 1

var (
	// ErrFormat: the format number is not one this release reads.
	ErrFormat = errors.New("unknown format number")
	// ErrCorrupt: the bytes are not what was written.
	ErrCorrupt = errors.New("corrupt record")

	errConversion = errors.New("the conversion of the event did not come to its end")
)

// Record is one entry of a task's log.
type Record struct {
	Seq uint64
	// Turn is the number of the turn it belongs to, Attempt that of the run
	// that recorded it (0: the engine did, before any run).
	Turn, Attempt int
	// Closes is set on the last record of a log.
	Closes bool
	// Event is the StreamResponse that clients see.
	Event task.Raw
	// Opens is the user's message of the turn that this record opens.
	Opens *task.Message
}

// Stamp is the place of an event in its log; it stands in the event's metadata
// under task.ResumeURI.
type Stamp struct {
	Seq        uint64
	Attempt    int
	Superseded bool
}
