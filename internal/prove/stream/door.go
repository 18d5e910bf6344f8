// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
)

// Event is one event of a stream as it came.
type Event struct {
	// Seq is its sequence.
	Seq int
	// Raw is what it says: two that say the same are equal, over one binding.
	Raw []byte
	// Task is the id of the task, where the event is the Task that opens.
	Task string
	// State is the state that it sets, "" where it sets none.
	State string
	// Chunks are the texts of its artifacts.
	Chunks []string
}

// Message is what begins a task.
type Message struct {
	ID, Key, Text string
}

// NewMessage is a message with names of its own.
func NewMessage(text string) Message {
	return Message{ID: rand.Text(), Key: rand.Text(), Text: text}
}

// Door is a server as seen through one binding.
type Door interface {
	// Send sends a message and hands over the events of its turn.
	Send(ctx context.Context, m Message, take func(Event) error) error
	// Subscribe hands over the events of a task after a sequence; with Begin it
	// asks without one, and is shown the Task first.
	//
	// Both return nil when the stream has ended, an ErrBroken when it broke or
	// the server could not answer, an ErrRefused where the server will not, and
	// the error of take as it is.
	Subscribe(ctx context.Context, task string, after int, take func(Event) error) error
}

// Begin is the cursor of one who has seen nothing.
const Begin = -1

var (
	// ErrBroken means that the stream may be taken up where it broke.
	ErrBroken = errors.New("the stream broke")
	// ErrRefused means that asking again will not help.
	ErrRefused = errors.New("the server refused")
	// ErrEnded is the refusal to subscribe to a task that has ended.
	ErrEnded = fmt.Errorf("%w: the task has ended", ErrRefused)
)

// The states that end a turn of the agents here.
const (
	StateCompleted = "TASK_STATE_COMPLETED"
	stateFailed    = "TASK_STATE_FAILED"
	stateCanceled  = "TASK_STATE_CANCELED"
	stateRejected  = "TASK_STATE_REJECTED"
)

func terminal(state string) bool {
	switch state {
	case StateCompleted, stateFailed, stateCanceled, stateRejected:
		return true
	}
	return false
}

// content is what the proof needs to know of an event in JSON.
type content struct {
	Task *struct {
		ID        string
		Status    standing
		Artifacts []artifact
		Metadata  stamped
	}
	StatusUpdate *struct {
		Status   standing
		Metadata stamped
	}
	ArtifactUpdate *struct {
		Artifact artifact
		Metadata stamped
	}
}

type (
	standing struct{ State string }
	artifact struct{ Parts []struct{ Text string } }
	stamped  struct {
		Resume struct{ Sequence int } `json:"https://github.com/errand-a2a/errand/ext/resume/v1"`
	}
)

// ParseEvent reads a StreamResponse. It keeps raw.
func ParseEvent(raw []byte) (Event, error) {
	var c content
	if err := json.Unmarshal(raw, &c); err != nil {
		return Event{}, fmt.Errorf("event %.200q: %w", raw, err)
	}
	e := Event{Raw: raw}
	var from stamped
	switch {
	case c.Task != nil:
		from, e.Task, e.State = c.Task.Metadata, c.Task.ID, c.Task.Status.State
		for _, a := range c.Task.Artifacts {
			e.Chunks = append(e.Chunks, a.texts()...)
		}
	case c.StatusUpdate != nil:
		from, e.State = c.StatusUpdate.Metadata, c.StatusUpdate.Status.State
	case c.ArtifactUpdate != nil:
		from, e.Chunks = c.ArtifactUpdate.Metadata, c.ArtifactUpdate.Artifact.texts()
	default:
		return Event{}, fmt.Errorf("neither task nor update: %.200q", raw)
	}
	if e.Seq = from.Resume.Sequence; e.Seq < 1 {
		return Event{}, fmt.Errorf("an event without a sequence: %.200q", raw)
	}
	return e, nil
}

func (a artifact) texts() []string {
	var texts []string
	for _, p := range a.Parts {
		texts = append(texts, p.Text)
	}
	return texts
}
