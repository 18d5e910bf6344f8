// SPDX-License-Identifier: Apache-2.0

package task

import (
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// Raw is one JSON value exactly as it stands on the wire. Once made it is
// never modified, so that a fold, its copies and followers may share it.
type Raw []byte

// Message is a message in a history: what the rules look at, and its JSON.
type Message struct {
	ID  string
	Raw Raw
}

// Status is a task's status.
type Status struct {
	State a2a.TaskState
	// At is UTC with millisecond precision.
	At time.Time
	// Message is nil if the status has none.
	Message *Message
}

// Artifact is an artifact, or in an artifact update the part of one.
type Artifact struct {
	ID          string
	Name        string
	Description string
	Extensions  []string
	Metadata    map[string]Raw
	Parts       []Raw
}

// Kind says which of the four wire events a Change is.
type Kind uint8

// The wire events.
const (
	KindTask Kind = iota + 1
	KindMessage
	KindStatus
	KindArtifact
)

// Change is one record of a log, taken apart for the fold.
type Change struct {
	Kind Kind
	// Opens is the user's message of the turn that this record opens. It has no
	// wire event of its own and joins the history before the event is applied.
	Opens *Message

	Status Status // KindTask, KindStatus

	Artifact *Artifact // KindArtifact
	Append   bool      // KindArtifact: add to the artifact of that id
	// Superseded takes the artifact away: a failed attempt made it.
	Superseded bool

	Message *Message // KindMessage

	// Metadata is the event's, of a Task the task's, without the sequence.
	Metadata map[string]Raw

	History   []Message   // KindTask
	Artifacts []*Artifact // KindTask
}
