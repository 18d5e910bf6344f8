// SPDX-License-Identifier: Apache-2.0

package task

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// End says whether an event ended its turn.
type End uint8

// A turn goes on, or ended: with a terminal state, waiting for input, with a
// Message in place of a task, or (the agent said FAILED and the policy retries
// that) as an attempt that failed.
const (
	EndNone End = iota
	EndTerminal
	EndParked
	EndReply
	EndRetry
)

// Turn holds what the rules need to know of the turn that runs.
type Turn struct {
	TaskID    string
	ContextID string
	// Number is the turn's, Attempt that of this run.
	Number, Attempt int
	// Message is the user's message that began the turn.
	Message *a2a.Message
	// Parked is the state that the task waited in before a follow-up.
	Parked a2a.TaskState
	// RetryFailed makes FAILED an attempt that failed.
	RetryFailed bool
	// EncodePart gives the wire form of a part, to see what a second Task changes.
	EncodePart func(*a2a.Part) ([]byte, error)

	ended bool
	made  int // messages that needed an id
}

// Accept decides what an event of the executor becomes: the events to record,
// in order, and whether the turn has ended with the last of them. The event is
// not modified. An error wraps ErrInvalidEvent: the event breaks the rules of
// the stream, is not recorded, and changes nothing.
func (t *Turn) Accept(s *State, ev a2a.Event, now time.Time) ([]a2a.Event, End, error) {
	if t.ended || s.Closed() {
		return nil, EndNone, fmt.Errorf("%s after the end of the turn: %w", name(ev), ErrInvalidEvent)
	}
	var events []a2a.Event
	var end End
	var err error
	switch ev := ev.(type) {
	case *a2a.Message:
		events, end, err = t.acceptMessage(s, ev, now)
	case *a2a.Task:
		events, end, err = t.acceptTask(s, ev, now)
	case *a2a.TaskStatusUpdateEvent:
		events, end, err = t.acceptStatus(s, ev, now)
	case *a2a.TaskArtifactUpdateEvent:
		events, err = t.acceptArtifact(s, ev, now)
	default:
		err = fmt.Errorf("event of type %T: %w", ev, ErrInvalidEvent)
	}
	if err != nil {
		return nil, EndNone, err
	}
	t.ended = end != EndNone
	return events, end, nil
}

// Submitted is the Task event that publishes a new task.
func (t *Turn) Submitted(now time.Time) *a2a.Task {
	out := &a2a.Task{
		ID: a2a.TaskID(t.TaskID), ContextID: t.ContextID,
		Status: a2a.TaskStatus{State: a2a.TaskStateSubmitted, Timestamp: &now},
	}
	if t.Message != nil {
		out.History = []*a2a.Message{t.Message}
	}
	return out
}

// Status makes a status event of the engine's own.
func (t *Turn) Status(state a2a.TaskState, text string, now time.Time) *a2a.TaskStatusUpdateEvent {
	ev := &a2a.TaskStatusUpdateEvent{
		TaskID: a2a.TaskID(t.TaskID), ContextID: t.ContextID,
		Status: a2a.TaskStatus{State: state, Timestamp: &now},
	}
	if text != "" {
		ev.Status.Message = t.complete(&a2a.Message{
			Role: a2a.MessageRoleAgent, Parts: a2a.ContentParts{a2a.NewTextPart(text)},
		})
	}
	return ev
}

// Progress makes the status event that carries a progress in percent. It says
// the task's status message again, so that nothing moves into the history.
func (t *Turn) Progress(s *State, percent int, now time.Time) ([]a2a.Event, error) {
	if t.ended || s.Closed() {
		return nil, fmt.Errorf("progress after the end of the turn: %w", ErrInvalidEvent)
	}
	state := s.Status.State
	if state != a2a.TaskStateAuthRequired {
		state = a2a.TaskStateWorking
	}
	ev := t.Status(state, "", now)
	if m := s.Status.Message; m != nil {
		ev.Status.Message = new(a2a.Message)
		if err := json.Unmarshal(m.Raw, ev.Status.Message); err != nil {
			return nil, fmt.Errorf("read the status message: %w", err)
		}
	}
	ev.Metadata = map[string]any{ProgressURI: map[string]any{"percent": percent}}
	return t.published(s, now, ev), nil
}

// published puts the Task in front of the first update.
func (t *Turn) published(s *State, now time.Time, ev a2a.Event) []a2a.Event {
	if s.Exists() {
		return []a2a.Event{ev}
	}
	return []a2a.Event{t.Submitted(now), ev}
}

func (t *Turn) acceptMessage(s *State, m *a2a.Message, now time.Time) ([]a2a.Event, End, error) {
	if m == nil {
		return nil, EndNone, fmt.Errorf("a nil Message: %w", ErrInvalidEvent)
	}
	if err := t.belongs("a Message", m.TaskID, m.ContextID); err != nil {
		return nil, EndNone, err
	}
	m = t.complete(m)
	if !s.Exists() {
		m.TaskID = "" // there is no task that it could name
		return []a2a.Event{m}, EndReply, nil
	}
	state, end := a2a.TaskStateCompleted, EndTerminal
	if t.Number > 1 {
		state, end = t.Parked, EndParked
		if !Interrupted(state) {
			state = a2a.TaskStateInputRequired
		}
	}
	ev := t.Status(state, "", now)
	ev.Status.Message = m
	return []a2a.Event{ev}, end, nil
}

func (t *Turn) acceptStatus(s *State, ev *a2a.TaskStatusUpdateEvent, now time.Time) ([]a2a.Event, End, error) {
	if ev == nil {
		return nil, EndNone, fmt.Errorf("a nil status update: %w", ErrInvalidEvent)
	}
	if err := t.belongs("a status update", ev.TaskID, ev.ContextID); err != nil {
		return nil, EndNone, err
	}
	if !Known(ev.Status.State) {
		return nil, EndNone, fmt.Errorf("a status update with state %q: %w", ev.Status.State, ErrInvalidEvent)
	}
	end := t.endOf(ev.Status.State)
	if end == EndRetry {
		return nil, end, nil
	}
	out := t.Status(ev.Status.State, "", now)
	out.Metadata = ev.Metadata
	out.Status.Message = t.complete(ev.Status.Message)
	if !s.Exists() && ev.Status.State == a2a.TaskStateSubmitted && out.Status.Message == nil && len(out.Metadata) == 0 {
		return []a2a.Event{t.Submitted(now)}, EndNone, nil
	}
	return t.published(s, now, out), end, nil
}

func (t *Turn) acceptArtifact(s *State, ev *a2a.TaskArtifactUpdateEvent, now time.Time) ([]a2a.Event, error) {
	if ev == nil || ev.Artifact == nil {
		return nil, fmt.Errorf("an artifact update without an artifact: %w", ErrInvalidEvent)
	}
	if err := t.belongs("an artifact update", ev.TaskID, ev.ContextID); err != nil {
		return nil, err
	}
	if ev.Artifact.ID == "" {
		return nil, fmt.Errorf("an artifact without an id: %w", ErrInvalidEvent)
	}
	if len(ev.Artifact.Parts) == 0 {
		return nil, fmt.Errorf("artifact %q without parts: %w", ev.Artifact.ID, ErrInvalidEvent)
	}
	if _, known := s.Artifact(string(ev.Artifact.ID)); ev.Append && !known {
		return nil, fmt.Errorf("append to the unknown artifact %q: %w", ev.Artifact.ID, ErrInvalidEvent)
	}
	out := *ev
	out.TaskID, out.ContextID = a2a.TaskID(t.TaskID), t.ContextID
	return t.published(s, now, &out), nil
}

func (t *Turn) acceptTask(s *State, ev *a2a.Task, now time.Time) ([]a2a.Event, End, error) {
	if ev == nil {
		return nil, EndNone, fmt.Errorf("a nil Task: %w", ErrInvalidEvent)
	}
	if err := t.belongs("a Task", ev.ID, ev.ContextID); err != nil {
		return nil, EndNone, err
	}
	state := ev.Status.State
	if state == a2a.TaskStateUnspecified {
		state = a2a.TaskStateSubmitted
	}
	if !Known(state) {
		return nil, EndNone, fmt.Errorf("a Task with state %q: %w", state, ErrInvalidEvent)
	}
	if err := artifactsValid(ev.Artifacts); err != nil {
		return nil, EndNone, err
	}
	end := t.endOf(state)
	if end == EndRetry {
		return nil, end, nil
	}
	if s.Exists() {
		events, err := t.implied(s, ev, state, now)
		return events, end, err
	}
	out := t.Submitted(now)
	out.Status.State = state
	out.Status.Message = t.complete(ev.Status.Message)
	out.Artifacts, out.Metadata = ev.Artifacts, ev.Metadata
	out.History = t.historyWith(ev.History)
	return []a2a.Event{out}, end, nil
}

// historyWith gives the messages of an executor's Task ids and makes sure that
// the user's message is among them, once.
func (t *Turn) historyWith(list []*a2a.Message) []*a2a.Message {
	seen := map[string]bool{}
	var out []*a2a.Message
	for _, m := range list {
		if m = t.complete(m); m != nil && !seen[m.ID] {
			seen[m.ID] = true
			out = append(out, m)
		}
	}
	if t.Message != nil && !seen[t.Message.ID] {
		out = append([]*a2a.Message{t.Message}, out...)
	}
	return out
}

// implied turns a Task event of a task that exists into the updates that lead
// to it.
func (t *Turn) implied(s *State, ev *a2a.Task, state a2a.TaskState, now time.Time) ([]a2a.Event, error) {
	var events []a2a.Event
	for _, a := range ev.Artifacts {
		more, err := t.artifactChange(s, a)
		if err != nil {
			return nil, err
		}
		if more != nil {
			events = append(events, more)
		}
	}
	m := t.complete(ev.Status.Message)
	sameMessage := m == nil || (s.Status.Message != nil && s.Status.Message.ID == m.ID)
	if state != s.Status.State || !sameMessage || len(ev.Metadata) > 0 {
		st := t.Status(state, "", now)
		st.Status.Message, st.Metadata = m, ev.Metadata
		events = append(events, st)
	}
	return events, nil
}

// artifactChange compares an artifact with the one recorded: nothing, the
// parts that were added, or the whole.
func (t *Turn) artifactChange(s *State, a *a2a.Artifact) (a2a.Event, error) {
	out := &a2a.TaskArtifactUpdateEvent{TaskID: a2a.TaskID(t.TaskID), ContextID: t.ContextID, Artifact: a}
	old, known := s.Artifact(string(a.ID))
	if !known {
		return out, nil
	}
	if len(old.Parts) > len(a.Parts) || a.Name != old.Name || a.Description != old.Description ||
		!slices.Equal(a.Extensions, old.Extensions) || len(a.Metadata)+len(old.Metadata) > 0 {
		return out, nil
	}
	for i, p := range old.Parts {
		enc, err := t.EncodePart(a.Parts[i])
		if err != nil {
			return nil, fmt.Errorf("artifact %q: %w: %w", a.ID, ErrInvalidEvent, err)
		}
		if !bytes.Equal(enc, p) {
			return out, nil
		}
	}
	if len(old.Parts) == len(a.Parts) {
		return nil, nil
	}
	more := *a
	more.Parts = a.Parts[len(old.Parts):]
	out.Artifact, out.Append = &more, true
	return out, nil
}

// CanceledTurns is the metadata by which a terminal event names the messages
// whose turns never ran; nil if there are none.
func CanceledTurns(messageIDs []string) map[string]any {
	if len(messageIDs) == 0 {
		return nil
	}
	return map[string]any{CanceledTurnsKey: messageIDs}
}

func (t *Turn) endOf(s a2a.TaskState) End {
	switch {
	case s == a2a.TaskStateFailed && t.RetryFailed:
		return EndRetry
	case s.Terminal():
		return EndTerminal
	case s == a2a.TaskStateInputRequired:
		return EndParked
	}
	return EndNone
}

func (t *Turn) belongs(what string, id a2a.TaskID, contextID string) error {
	if id != "" && string(id) != t.TaskID {
		return fmt.Errorf("%s for task %q: %w", what, id, ErrInvalidEvent)
	}
	if contextID != "" && contextID != t.ContextID {
		return fmt.Errorf("%s for context %q: %w", what, contextID, ErrInvalidEvent)
	}
	return nil
}

// complete copies a message of the agent and fills in what the protocol
// requires. The id is made from the place in the log's turn: a repeat of the
// attempt has another.
func (t *Turn) complete(m *a2a.Message) *a2a.Message {
	if m == nil {
		return nil
	}
	c := *m
	c.ContextID = t.ContextID
	c.TaskID = a2a.TaskID(t.TaskID)
	if c.Role == a2a.MessageRoleUnspecified {
		c.Role = a2a.MessageRoleAgent
	}
	if c.ID == "" {
		t.made++
		c.ID = t.TaskID + "-" + strconv.Itoa(t.Number) + "-" + strconv.Itoa(t.Attempt) + "-" + strconv.Itoa(t.made)
	}
	return &c
}

func artifactsValid(list []*a2a.Artifact) error {
	seen := make(map[a2a.ArtifactID]bool, len(list))
	for i, a := range list {
		if a == nil || a.ID == "" || len(a.Parts) == 0 {
			return fmt.Errorf("artifacts[%d] without an id or parts: %w", i, ErrInvalidEvent)
		}
		if seen[a.ID] {
			return fmt.Errorf("artifacts[%d] has the id of another, %q: %w", i, a.ID, ErrInvalidEvent)
		}
		seen[a.ID] = true
	}
	return nil
}

func name(ev a2a.Event) string {
	switch ev := ev.(type) {
	case *a2a.Task:
		return "a Task"
	case *a2a.Message:
		return "a Message"
	case *a2a.TaskArtifactUpdateEvent:
		return "an artifact update"
	case *a2a.TaskStatusUpdateEvent:
		if ev != nil {
			return "a status update (" + string(ev.Status.State) + ")"
		}
	}
	return fmt.Sprintf("%T", ev)
}
