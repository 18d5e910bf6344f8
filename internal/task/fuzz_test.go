// SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

// FuzzFold folds whatever sequence of events the bytes say, lawful or not. It
// never panics; what is refused changes nothing; what is folded is what the
// reference folds, whichever prefix of it is kept as a snapshot and however the
// rest is cut into batches; and it holds no more than what came in.
func FuzzFold(f *testing.F) {
	for _, s := range []string{
		"", "\x00\x01\x02\x00\x01\x02", "\x01\x02\x05\x00\x82\x41\x06\x91\x21\x06\x31\x07\x02\x17\x33", "\x01\x02\x05\x01\x55\x02\x00\x00",
		"\x01\x02\x05\x00\xff\xff\xff\xff\x0c\x33\x0d\x01\x0d\x02\x0e\x01\x0e\x02\x0e\x03\x0f\x02\x24\x03\x05\x26",
		"\x01\x02\x05\x00\x07\x0f\x06\x00\x0f\x07\x80\x0f\x08\xc1\x0d\x00\x03\x28\x0e\x04\x0e\x05\x02\x04",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, tape []byte) {
		p := &fuzzed{tape: tape, scene: newScene(t), frozen: map[*task.State]string{}}
		cuts := []int{p.next(), p.next(), p.next()}
		for n := 0; len(p.tape) > 0 && n < 40; n++ {
			p.step()
		}
		p.finish(cuts)
	})
}

// fuzzed is a scene without an executor: no rule but the fold's own decides
// what comes into the log.
type fuzzed struct {
	*scene
	tape   []byte
	came   int // bytes of the events that were folded
	frozen map[*task.State]string
}

// next is the next byte of the tape; behind its end all is zero.
func (p *fuzzed) next() int {
	if len(p.tape) == 0 {
		return 0
	}
	b := p.tape[0]
	p.tape = p.tape[1:]
	return int(b)
}

func pick[T any](p *fuzzed, from ...T) T { return from[p.next()%len(from)] }

func (p *fuzzed) step() {
	switch op := p.next() % 16; {
	case op == 0:
		p.put(p.wholeTask(), record.Stamp{}, nil)
	case op == 1:
		p.put(p.message(), record.Stamp{}, nil)
	case op <= 5:
		p.put(p.update(), record.Stamp{}, nil)
	case op <= 11:
		ev := &a2a.TaskArtifactUpdateEvent{
			TaskID: taskID, ContextID: contextID, Metadata: p.meta(),
			Artifact: p.artifact(pick(p, "a", "b", "c", "")), Append: p.next()%2 == 0,
		}
		p.put(ev, record.Stamp{Superseded: p.next()%5 == 0}, nil)
	case op == 12 && p.state.Exists():
		id := pick(p, "user-1", "user-2", "m1")
		p.put(p.update(), record.Stamp{}, &task.Message{ID: id, Raw: task.Raw(`{"messageId":"` + id + `"}`)})
	case op == 13:
		old, _ := p.state.Artifact(pick(p, "a", "b", "c"))
		raw, c := record.EncodeReset(taskID, contextID, pick(p, "a", "b", "c"), old, p.stamp())
		p.fold(raw, c, nil)
	case op == 14:
		p.mangled()
	default: // go on with a copy; the one that is left behind must stay as it is
		p.frozen[p.state] = fingerprint(p.state)
		p.state = p.state.Freeze()
		p.frozen[p.state] = fingerprint(p.state)
		p.state = p.state.Freeze().Thaw()
	}
}

func (p *fuzzed) put(ev a2a.Event, st record.Stamp, opens *task.Message) {
	st.Seq = p.state.Seq + 1
	raw, c, err := record.Encode(ev, st)
	if err != nil {
		p.Fatalf("encode %T: %v", ev, err)
	}
	p.fold(raw, c, opens)
}

// fold applies a change and keeps its record, unless the fold refuses it.
func (p *fuzzed) fold(raw task.Raw, c *task.Change, opens *task.Message) {
	was := fingerprint(p.state)
	c.Opens = opens
	if err := p.state.Apply(c); err != nil {
		p.refused(err, p.state, was)
		return
	}
	if got, want := p.state.Size(), sizeOf(p.state); got != want {
		p.Fatalf("Size is %d, the values add up to %d after %s", got, want, raw)
	}
	p.log = append(p.log, record.Record{Seq: p.state.Seq, Turn: 1, Closes: p.state.Closed(), Event: raw, Opens: opens})
	p.came += len(raw)
	if opens != nil {
		p.came += len(opens.Raw)
	}
}

func (p *fuzzed) refused(err error, s *task.State, was string) {
	if !errors.Is(err, task.ErrInvalidEvent) && !errors.Is(err, task.ErrClosed) {
		p.Fatalf("refused with %v", err)
	}
	if now := fingerprint(s); now != was || s.Size() != sizeOf(s) {
		p.Fatalf("refused with %v, and the state went from %q to %q", err, was, now)
	}
}

// mangled applies to a copy what no encoder makes.
func (p *fuzzed) mangled() {
	was := fingerprint(p.state)
	c := &task.Change{
		Kind:   task.Kind(p.next() % 7),
		Status: task.Status{State: pick(p, a2a.TaskStateWorking, "TASK_STATE_DREAMING", a2a.TaskStateUnspecified)},
		Append: p.next()%2 == 0, Superseded: p.next()%2 == 0,
		Opens:   pick(p, nil, &task.Message{ID: "odd"}),
		Message: pick(p, nil, &task.Message{}), Artifact: pick(p, nil, &task.Artifact{}, &task.Artifact{ID: "a", Metadata: map[string]task.Raw{"k": nil}}),
		Artifacts: []*task.Artifact{{ID: "a"}, {ID: "a", Parts: []task.Raw{nil}}}, History: []task.Message{{}, {}},
		Metadata: pick(p, nil, map[string]task.Raw{"": nil}),
	}
	own := p.state.Freeze().Thaw()
	if err := own.Apply(c); err != nil {
		p.refused(err, own, was)
	} else if own.Seq != p.state.Seq+1 || own.Size() != sizeOf(own) {
		p.Fatalf("%+v leads from %d to %d, with the size %d of %d", c, p.state.Seq, own.Seq, own.Size(), sizeOf(own))
	}
	if fingerprint(p.state) != was {
		p.Fatalf("a change of a copy reached the original")
	}
}

// finish compares all ways to the same state.
func (p *fuzzed) finish(cuts []int) {
	final := fingerprint(p.state)
	for i := range cuts {
		cuts[i] %= len(p.log) + 1
	}
	slices.Sort(cuts)
	first := task.NewState(taskID, contextID)
	if err := record.Fold(first, p.log[:cuts[1]]); err != nil {
		p.Fatalf("fold of %d events: %v", cuts[1], err)
	}
	// The batches may begin before the snapshot, as a store may hold them.
	batches := [][]byte{record.EncodeBatch(p.log[cuts[0]:cuts[1]]), record.EncodeBatch(p.log[cuts[1]:cuts[2]]), record.EncodeBatch(p.log[cuts[2]:])}
	for way, open := range map[string]func() (*task.State, error){
		"the log at once": func() (*task.State, error) {
			return record.Open(taskID, contextID, nil, [][]byte{record.EncodeBatch(p.log)})
		},
		"the snapshot of all": func() (*task.State, error) { return record.Open(taskID, contextID, []byte(final), nil) },
		"snapshot and rest": func() (*task.State, error) {
			return record.Open(taskID, contextID, record.EncodeSnapshot(first), batches)
		},
	} {
		s, err := open()
		if err != nil {
			p.Fatalf("%s, cut at %v: %v", way, cuts, err)
		}
		if fingerprint(s) != final || s.Size() != p.state.Size() || s.Exists() != p.state.Exists() || s.Closed() != p.state.Closed() {
			p.Fatalf("%s, cut at %v, gives %q, the fold %q", way, cuts, fingerprint(s), final)
		}
	}
	for s, was := range p.frozen {
		if fingerprint(s) != was {
			p.Fatalf("a state that was left behind went from %q to %q", was, fingerprint(s))
		}
	}
	if p.state.Size() > p.came || len(final) > 2*p.came+256 {
		p.Fatalf("of %d bytes %d are held, and %d are in the snapshot", p.came, p.state.Size(), len(final))
	}
	var ref reference
	for _, rec := range p.log {
		ref.add(p, rec)
	}
	ref.check(p, p.state)
}

func (p *fuzzed) wholeTask() *a2a.Task {
	ev := &a2a.Task{ID: taskID, ContextID: contextID, Status: p.status(), Metadata: p.meta()}
	ids, bits := []string{"a", "b"}, p.next()
	for i, id := range ids {
		if bits>>i&1 == 1 {
			ev.Artifacts = append(ev.Artifacts, p.artifact(id))
		}
		if bits>>i&4 == 4 {
			ev.History = append(ev.History, agentMessage("h"+id))
		}
	}
	return ev
}

func (p *fuzzed) update() *a2a.TaskStatusUpdateEvent {
	return &a2a.TaskStatusUpdateEvent{TaskID: taskID, ContextID: contextID, Status: p.status(), Metadata: p.meta()}
}

// status is one that leaves the task open more often than not.
func (p *fuzzed) status() a2a.TaskStatus {
	at := p.now.Add(time.Duration(p.next()) * time.Millisecond)
	st := a2a.TaskStatus{Timestamp: &at, State: pick(p,
		a2a.TaskStateWorking, a2a.TaskStateWorking, a2a.TaskStateSubmitted, a2a.TaskStateInputRequired, a2a.TaskStateAuthRequired, a2a.TaskStateWorking,
		a2a.TaskStateWorking, a2a.TaskStateInputRequired, a2a.TaskStateCompleted, a2a.TaskStateFailed, a2a.TaskStateCanceled, a2a.TaskStateRejected,
		a2a.TaskStateUnspecified, "TASK_STATE_DREAMING", a2a.TaskStateWorking, a2a.TaskStateSubmitted,
	)}
	if p.next()%2 == 1 {
		st.Message = p.message()
	}
	return st
}

func (p *fuzzed) message() *a2a.Message {
	m := agentMessage(pick(p, "m1", "m2", "user-1", ""))
	m.Metadata = p.meta()
	return m
}

func (p *fuzzed) artifact(id string) *a2a.Artifact {
	a := artifact(a2a.ArtifactID(id), []string{"x", "", "\u2028\"\xff"}[:p.next()%4]...)
	a.Metadata = p.meta()
	a.Name = pick(p, "", "", "name", "\x00<&>")
	return a
}

func (p *fuzzed) meta() map[string]any {
	b := p.next()
	if b%3 != 0 {
		return nil
	}
	return map[string]any{
		pick(p, "k", "l", "", "日本", task.ResumeURI): pick[any](p, nil, true, "v", json.Number("9007199254740993"), 1.5, []any{"x"}, map[string]any{"deep": 1}),
	}
}
