// SPDX-License-Identifier: Apache-2.0

package task

import (
	"fmt"
	"maps"
	"slices"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// State is a task folded from its log up to Seq. It holds JSON values as they
// stand on the wire: folding an event costs what the event costs, however long
// the task is, and nothing an executor keeps a pointer to can reach it.
//
// A State is not safe for concurrent use; Freeze makes a copy that is.
type State struct {
	ID        string
	ContextID string
	Status    Status
	History   []Message
	Artifacts []*Artifact
	Metadata  map[string]Raw
	// Seq is the sequence of the last record folded in.
	Seq uint64
	// Reply is set when the only record is a Message: there is no task then.
	Reply *Message

	size    int
	index   map[string]int      // artifact id -> place
	known   map[string]struct{} // message ids in History
	touched bool                // a Task was folded
}

// NewState returns the state of a task without records.
func NewState(id, contextID string) *State {
	return &State{ID: id, ContextID: contextID}
}

// Exists reports whether a Task was recorded; before that, and after a Message
// reply, there is nothing that a client may see.
func (s *State) Exists() bool { return s.touched }

// Closed reports whether the log has ended.
func (s *State) Closed() bool { return s.Reply != nil || s.Status.State.Terminal() }

// Size is the number of bytes of the values held, without what surrounds them.
func (s *State) Size() int { return s.size }

// Artifact finds an artifact by its id.
func (s *State) Artifact(id string) (*Artifact, bool) {
	i, ok := s.index[id]
	if !ok {
		return nil, false
	}
	return s.Artifacts[i], true
}

// HasMessage reports whether a message of that id is in the history.
func (s *State) HasMessage(id string) bool {
	_, ok := s.known[id]
	return ok
}

// Apply folds the next record in. It changes nothing when it returns an error:
// ErrClosed after the end, ErrInvalidEvent for what no log may hold.
func (s *State) Apply(c *Change) error {
	if err := s.check(c); err != nil {
		return err
	}
	if c.Opens != nil {
		s.retire(nil)
		s.remember(*c.Opens)
	}
	switch c.Kind {
	case KindTask:
		s.applyTask(c)
	case KindMessage:
		s.Reply = c.Message
		s.size += len(c.Message.Raw)
	case KindStatus:
		s.retire(c.Status.Message)
		s.setStatus(c.Status)
		s.merge(c.Metadata)
	case KindArtifact:
		s.applyArtifact(c)
	}
	s.Seq++
	return nil
}

func (s *State) check(c *Change) error {
	if s.Closed() {
		return ErrClosed
	}
	switch c.Kind {
	case KindTask:
		if s.touched {
			return fmt.Errorf("a second Task: %w", ErrInvalidEvent)
		}
	case KindMessage:
		if s.touched {
			return fmt.Errorf("a Message after the Task: %w", ErrInvalidEvent)
		}
		if c.Message == nil {
			return fmt.Errorf("a Message event without its message: %w", ErrInvalidEvent)
		}
	case KindStatus, KindArtifact:
		if !s.touched {
			return fmt.Errorf("an update before the Task: %w", ErrInvalidEvent)
		}
	default:
		return fmt.Errorf("unknown kind %d: %w", c.Kind, ErrInvalidEvent)
	}
	if (c.Kind == KindTask || c.Kind == KindStatus) && !Known(c.Status.State) {
		return fmt.Errorf("state %q: %w", c.Status.State, ErrInvalidEvent)
	}
	if c.Kind == KindArtifact {
		if c.Artifact == nil || c.Artifact.ID == "" {
			return fmt.Errorf("an artifact without an id: %w", ErrInvalidEvent)
		}
		if _, known := s.index[c.Artifact.ID]; c.Append && !known {
			return fmt.Errorf("append to an unknown artifact: %w", ErrInvalidEvent)
		}
	}
	return nil
}

func (s *State) applyTask(c *Change) {
	s.touched = true
	s.setStatus(c.Status)
	for _, m := range c.History {
		s.remember(m)
	}
	for _, a := range c.Artifacts {
		s.put(a)
	}
	s.merge(c.Metadata)
}

// Amend adds to the metadata of the record that was applied last, which is
// encoded again.
func (s *State) Amend(meta map[string]Raw) { s.merge(meta) }

// retire moves the status message into the history, unless the next status
// says the same message again.
func (s *State) retire(next *Message) {
	old := s.Status.Message
	if old == nil || (next != nil && next.ID == old.ID) {
		return
	}
	s.Status.Message = nil
	s.size -= len(old.Raw)
	s.remember(*old)
}

func (s *State) setStatus(st Status) {
	if old := s.Status.Message; old != nil {
		s.size -= len(old.Raw)
	}
	if st.Message != nil {
		s.size += len(st.Message.Raw)
	}
	s.Status = st
}

// remember adds to the history; a message id stands in it once.
func (s *State) remember(m Message) {
	if s.HasMessage(m.ID) {
		return
	}
	if s.known == nil {
		s.known = make(map[string]struct{})
	}
	s.known[m.ID] = struct{}{}
	s.History = append(s.History, m)
	s.size += len(m.Raw)
}

func (s *State) merge(meta map[string]Raw) {
	if len(meta) == 0 {
		return
	}
	if s.Metadata == nil {
		s.Metadata = make(map[string]Raw, len(meta))
	}
	for k, v := range meta {
		if old, ok := s.Metadata[k]; ok {
			s.size -= len(k) + len(old)
		}
		s.Metadata[k] = v
		s.size += len(k) + len(v)
	}
}

func (s *State) applyArtifact(c *Change) {
	switch {
	case c.Superseded:
		s.remove(c.Artifact.ID)
	case c.Append:
		s.extend(c.Artifact)
	default:
		s.put(c.Artifact)
	}
}

// put adds an artifact or replaces the one of its id in its place.
func (s *State) put(a *Artifact) {
	a = a.clone()
	s.size += a.size()
	if i, ok := s.index[a.ID]; ok {
		s.size -= s.Artifacts[i].size()
		s.Artifacts[i] = a
		return
	}
	if s.index == nil {
		s.index = make(map[string]int)
	}
	s.index[a.ID] = len(s.Artifacts)
	s.Artifacts = append(s.Artifacts, a)
}

// extend appends the parts and merges the metadata, as the SDK's stores do.
func (s *State) extend(more *Artifact) {
	a := s.Artifacts[s.index[more.ID]]
	for _, p := range more.Parts {
		s.size += len(p)
	}
	a.Parts = append(a.Parts, more.Parts...)
	for k, v := range more.Metadata {
		if a.Metadata == nil {
			a.Metadata = make(map[string]Raw, len(more.Metadata))
		}
		if old, ok := a.Metadata[k]; ok {
			s.size -= len(k) + len(old)
		}
		a.Metadata[k] = v
		s.size += len(k) + len(v)
	}
}

func (s *State) remove(id string) {
	i, ok := s.index[id]
	if !ok {
		return
	}
	s.size -= s.Artifacts[i].size()
	s.Artifacts = slices.Delete(s.Artifacts, i, i+1)
	delete(s.index, id)
	for j := i; j < len(s.Artifacts); j++ {
		s.index[s.Artifacts[j].ID] = j
	}
}

// Freeze returns a copy that later changes of s do not reach. It costs one
// small allocation an artifact, not the content.
func (s *State) Freeze() *State {
	f := &State{
		ID: s.ID, ContextID: s.ContextID, Status: s.Status, Seq: s.Seq, Reply: s.Reply,
		History:  s.History[:len(s.History):len(s.History)],
		Metadata: maps.Clone(s.Metadata), size: s.size, touched: s.touched,
	}
	f.Artifacts = make([]*Artifact, len(s.Artifacts))
	for i, a := range s.Artifacts {
		f.Artifacts[i] = a.clone()
	}
	return f
}

// Thaw makes a frozen or decoded state ready for Apply again.
func (s *State) Thaw() *State {
	s.index = make(map[string]int, len(s.Artifacts))
	for i, a := range s.Artifacts {
		s.index[a.ID] = i
	}
	s.known = make(map[string]struct{}, len(s.History))
	for _, m := range s.History {
		s.known[m.ID] = struct{}{}
	}
	return s
}

// Restore rebuilds a state from its parts, as a snapshot holds them.
func Restore(s State) *State {
	s.touched = s.Reply == nil && s.Status.State != a2a.TaskStateUnspecified
	s.size = 0
	for _, m := range s.History {
		s.size += len(m.Raw)
	}
	for _, a := range s.Artifacts {
		s.size += a.size()
	}
	for k, v := range s.Metadata {
		s.size += len(k) + len(v)
	}
	if s.Status.Message != nil {
		s.size += len(s.Status.Message.Raw)
	}
	if s.Reply != nil {
		s.size += len(s.Reply.Raw)
	}
	return s.Thaw()
}

func (a *Artifact) clone() *Artifact {
	c := *a
	c.Parts = a.Parts[:len(a.Parts):len(a.Parts)]
	c.Metadata = maps.Clone(a.Metadata)
	return &c
}

func (a *Artifact) size() int {
	n := len(a.ID) + len(a.Name) + len(a.Description)
	for _, p := range a.Parts {
		n += len(p)
	}
	for k, v := range a.Metadata {
		n += len(k) + len(v)
	}
	return n
}
