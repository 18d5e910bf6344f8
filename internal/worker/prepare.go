// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// readAhead bounds what is read from a log at once, in bytes.
const readAhead = 1 << 20

// prepare folds the task, and records what opens the turn and the attempt.
func (at *attempt) prepare() error {
	c := at.claim
	msg, err := at.decode()
	if err != nil {
		return err
	}
	at.turn = &task.Turn{
		TaskID: at.ref.ID, ContextID: c.Head.ContextID, Number: c.Item.Turn, Attempt: c.Attempt,
		Message: msg, Parked: at.req.Parked, RetryFailed: at.agent.Policy.RetryFailed,
		EncodePart: func(p *a2a.Part) ([]byte, error) { return record.AppendPart(nil, p) },
	}
	if err := at.loadState(); err != nil {
		return err
	}
	if c.Expired {
		if c.Attempt > 0 { // the run that was lost may have recorded nothing, not even the message
			at.mu.Lock()
			at.openTurn()
			at.mu.Unlock()
		}
		at.turn.Attempt++ // the last run's number has made ids of messages already
		return nil
	}
	if c.Item.Kind == store.CancelItem {
		return nil
	}
	at.mu.Lock()
	at.openTurn()
	at.mu.Unlock()
	if c.Attempt > 1 {
		return at.openAttempt()
	}
	return nil
}

// decode gives the message and the request data of the turn.
func (at *attempt) decode() (*a2a.Message, error) {
	if at.given != nil {
		at.req = at.given.Request
		return at.given.Message, nil
	}
	var err error
	if at.req, err = record.DecodeRequest(at.claim.Request); err != nil {
		return nil, err
	}
	return record.DecodeMessage(at.claim.Message)
}

// loadState folds what is stored; a task that was just here is still warm.
func (at *attempt) loadState() error {
	h := at.claim.Head
	if h.LastSeq == 0 {
		at.state = task.NewState(h.ID, h.ContextID)
		at.view = &view{}
		return nil
	}
	if s := at.submitted(); s != nil {
		at.state, at.view = s, &view{}
		return nil
	}
	if e := at.w.warm.take(at.ref, h.LastSeq); e != nil && at.catchUp(e.state) == nil {
		at.state, at.view = e.state, e.view
		return nil
	}
	var st store.Stored
	err := at.patiently(func() (err error) {
		st, err = at.w.o.Reader.Load(context.Background(), at.ref)
		return err
	})
	if err != nil {
		return fmt.Errorf("load task: %w", err)
	}
	if at.state, err = unfold(st); err != nil {
		return err
	}
	switch {
	case at.state.Seq < h.LastSeq:
		return fmt.Errorf("the log ends at %d, the claim said %d: %w", at.state.Seq, h.LastSeq, record.ErrCorrupt)
	case at.state.Seq > h.LastSeq:
		return fmt.Errorf("the log goes on to %d, the claim said %d: somebody has taken the task over", at.state.Seq, h.LastSeq)
	}
	at.view = &view{}
	return nil
}

// unfold makes the task of what is stored.
func unfold(st store.Stored) (*task.State, error) {
	var snapshot []byte
	if st.Snapshot != nil {
		snapshot = st.Snapshot.Body
	}
	tail := make([][]byte, len(st.Tail))
	for i, b := range st.Tail {
		tail[i] = b.Body
	}
	return record.Open(st.Head.ID, st.Head.ContextID, snapshot, tail)
}

// patiently reads what an attempt begins with: a store that is away for a while
// is no failure of the agent.
func (at *attempt) patiently(read func() error) error {
	for try := 0; ; try++ {
		err := read()
		if !errors.Is(err, store.ErrUnavailable) || !at.pause(try) {
			return err
		}
	}
}

// catchUp folds in what was recorded since the task was here: at least the
// opening of the turn, which the commit that accepted it has made.
func (at *attempt) catchUp(s *task.State) error {
	for seq := at.claim.Head.LastSeq; s.Seq < seq; {
		_, batches, err := at.w.o.Reader.Read(context.Background(), at.ref, s.Seq, readAhead)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if len(batches) == 0 {
			return fmt.Errorf("the log ends at %d, the claim said %d", s.Seq, seq)
		}
		if err := foldUpTo(s, batches, seq); err != nil {
			return err
		}
	}
	return nil
}

// submitted is the state of a new task that waited in the queue: its log is
// the one Task event that the claim says everything of.
func (at *attempt) submitted() *task.State {
	c := at.claim
	if c.Item.Kind != store.Execute || c.Item.Turn != 1 || c.Attempt != 1 || c.Head.LastSeq != 1 || c.Head.State != string(a2a.TaskStateSubmitted) {
		return nil
	}
	return task.Restore(task.State{
		ID: c.Head.ID, ContextID: c.Head.ContextID, Seq: 1,
		Status:  task.Status{State: a2a.TaskStateSubmitted, At: c.Head.StatusAt},
		History: []task.Message{{ID: c.MessageID, Raw: c.Message}},
	})
}

// openTurn records the opening of a turn that nobody opened when it was
// accepted, because it had to wait. The caller holds at.mu.
func (at *attempt) openTurn() {
	if at.claim.Item.Turn == 1 || at.opened() {
		return
	}
	if !task.Interrupted(at.turn.Parked) || at.claim.Attempt == 1 {
		at.turn.Parked = at.state.Status.State
	}
	at.record(at.turn.Status(a2a.TaskStateWorking, "", at.now()), record.Stamp{},
		&task.Message{ID: at.claim.MessageID, Raw: at.claim.Message})
}

// opened tells whether the opening of a later turn is in the log.
func (at *attempt) opened() bool {
	// What follows TurnSeq is the turn's. The message's id alone says nothing:
	// another turn's may have the same.
	return at.claim.Head.LastSeq > at.claim.TurnSeq && at.state.HasMessage(at.claim.MessageID)
}

// openAttempt records that the turn runs again and, as the agent's policy has
// it, takes back what the runs before have left.
func (at *attempt) openAttempt() error {
	base, err := at.base()
	if err != nil {
		return err
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	now := at.now()
	if !at.state.Exists() {
		at.record(at.turn.Submitted(now), record.Stamp{}, nil)
	}
	at.record(at.turn.Status(a2a.TaskStateWorking, "", now), record.Stamp{}, nil)
	if base != nil {
		at.resetTo(base)
	}
	return nil
}

// base is the task as it was before the turn, nil if nothing has to be taken
// back.
func (at *attempt) base() (*task.State, error) {
	if at.agent.Policy.OnRetry == agent.KeepArtifacts || len(at.state.Artifacts) == 0 {
		return nil, nil
	}
	base := task.NewState(at.ref.ID, at.claim.Head.ContextID)
	for at.claim.Item.Turn > 1 && base.Seq < at.claim.TurnSeq {
		var batches []store.Batch
		err := at.patiently(func() (err error) {
			_, batches, err = at.w.o.Reader.Read(context.Background(), at.ref, base.Seq, readAhead)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		if len(batches) == 0 {
			return nil, fmt.Errorf("the log ends at %d before the turn began at %d: %w", base.Seq, at.claim.TurnSeq, record.ErrCorrupt)
		}
		if err := foldUpTo(base, batches, at.claim.TurnSeq); err != nil {
			return nil, err
		}
	}
	return base, nil
}

func foldUpTo(s *task.State, batches []store.Batch, upTo uint64) error {
	for _, b := range batches {
		recs, err := record.DecodeBatch(b.Body)
		if err != nil {
			return err
		}
		n, _ := slices.BinarySearchFunc(recs, upTo+1, func(r record.Record, seq uint64) int {
			return int(int64(r.Seq) - int64(seq))
		})
		if err := record.Fold(s, recs[:n]); err != nil {
			return err
		}
	}
	return nil
}

// resetTo gives every artifact that differs from base its content of then, or
// takes it away. The caller holds at.mu.
func (at *attempt) resetTo(base *task.State) {
	for _, a := range slices.Clone(at.state.Artifacts) {
		old, known := base.Artifact(a.ID)
		if known && sameArtifact(a, old) {
			continue
		}
		st := record.Stamp{Seq: at.state.Seq + 1, Attempt: at.claim.Attempt, Superseded: !known}
		raw, change := record.EncodeReset(at.ref.ID, at.claim.Head.ContextID, a.ID, old, st)
		// Past the limits: what many events made comes back in one, and the task
		// was that large before.
		if err := at.fold(raw, change, nil); err != nil {
			at.log().Error("cannot take back an artifact", "artifact", a.ID, "error", err)
		}
	}
}

func sameArtifact(a, b *task.Artifact) bool {
	same := func(x, y task.Raw) bool { return bytes.Equal(x, y) }
	return a.Name == b.Name && a.Description == b.Description && slices.Equal(a.Extensions, b.Extensions) &&
		maps.EqualFunc(a.Metadata, b.Metadata, same) && slices.EqualFunc(a.Parts, b.Parts, same)
}
