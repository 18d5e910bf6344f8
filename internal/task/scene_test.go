// SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

const (
	taskID    = "task"
	contextID = "context"
)

// tb is what testing.T and rapid.T have in common here.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// scene is a task whose executor is played by the test: what Turn decides is
// encoded, folded and logged as the worker does it.
type scene struct {
	tb
	turn  *task.Turn
	state *task.State
	log   []record.Record
	now   time.Time
}

func newScene(t tb) *scene {
	return &scene{
		tb: t, turn: newTurn(1, 1), state: task.NewState(taskID, contextID),
		now: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
	}
}

func newTurn(number, attempt int) *task.Turn {
	return &task.Turn{
		TaskID: taskID, ContextID: contextID, Number: number, Attempt: attempt, Message: userMessage("user-1"),
		EncodePart: func(p *a2a.Part) ([]byte, error) { return record.AppendPart(nil, p) },
	}
}

func userMessage(id string) *a2a.Message {
	return &a2a.Message{
		ID: id, TaskID: taskID, ContextID: contextID, Role: a2a.MessageRoleUser,
		Parts: a2a.ContentParts{a2a.NewTextPart("please " + id)},
	}
}

func agentMessage(id string) *a2a.Message {
	return &a2a.Message{ID: id, Role: a2a.MessageRoleAgent, Parts: a2a.ContentParts{a2a.NewTextPart("here is " + id)}}
}

func status(state a2a.TaskState, m *a2a.Message) *a2a.TaskStatusUpdateEvent {
	return &a2a.TaskStatusUpdateEvent{TaskID: taskID, ContextID: contextID, Status: a2a.TaskStatus{State: state, Message: m}}
}

func artifact(id a2a.ArtifactID, texts ...string) *a2a.Artifact {
	a := &a2a.Artifact{ID: id}
	for _, s := range texts {
		a.Parts = append(a.Parts, a2a.NewTextPart(s))
	}
	return a
}

func replaced(id a2a.ArtifactID, texts ...string) *a2a.TaskArtifactUpdateEvent {
	return &a2a.TaskArtifactUpdateEvent{Artifact: artifact(id, texts...)}
}

func appended(id a2a.ArtifactID, texts ...string) *a2a.TaskArtifactUpdateEvent {
	return &a2a.TaskArtifactUpdateEvent{Append: true, Artifact: artifact(id, texts...)}
}

func (s *scene) tick() time.Time {
	s.now = s.now.Add(time.Second)
	return s.now
}

// yield plays an event of the executor.
func (s *scene) yield(ev a2a.Event) ([]a2a.Event, task.End, error) {
	s.Helper()
	events, end, err := s.turn.Accept(s.state, ev, s.tick())
	if err == nil {
		s.record(events...)
	}
	return events, end, err
}

// must is yield for an event that has to be accepted.
func (s *scene) must(ev a2a.Event) ([]a2a.Event, task.End) {
	s.Helper()
	events, end, err := s.yield(ev)
	if err != nil {
		s.Fatalf("%T was refused: %v", ev, err)
	}
	return events, end
}

func (s *scene) record(events ...a2a.Event) {
	s.Helper()
	for _, ev := range events {
		s.open(ev, nil)
	}
}

// open records an event that opens the turn of a message.
func (s *scene) open(ev a2a.Event, opens *task.Message) {
	s.Helper()
	raw, c, err := record.Encode(ev, s.stamp())
	if err != nil {
		s.Fatalf("encode %T: %v", ev, err)
	}
	s.push(raw, c, opens)
}

func (s *scene) stamp() record.Stamp {
	return record.Stamp{Seq: s.state.Seq + 1, Attempt: s.turn.Attempt}
}

func (s *scene) push(raw task.Raw, c *task.Change, opens *task.Message) {
	s.Helper()
	c.Opens = opens
	if err := s.state.Apply(c); err != nil {
		s.Fatalf("the fold refuses %s: %v", raw, err)
	}
	if got, want := s.state.Size(), sizeOf(s.state); got != want {
		s.Fatalf("Size is %d, the values add up to %d after %s", got, want, raw)
	}
	s.log = append(s.log, record.Record{
		Seq: s.state.Seq, Turn: s.turn.Number, Attempt: s.turn.Attempt,
		Closes: s.state.Closed(), Event: raw, Opens: opens,
	})
}

// followUp opens the next turn as the commit that accepts its message does.
func (s *scene) followUp(id string) {
	s.Helper()
	parked := s.state.Status.State
	s.turn = newTurn(s.turn.Number+1, 1)
	s.turn.Message, s.turn.Parked = userMessage(id), parked
	raw, err := record.AppendMessage(nil, s.turn.Message)
	if err != nil {
		s.Fatalf("encode the message: %v", err)
	}
	s.open(s.turn.Status(a2a.TaskStateWorking, "", s.tick()), &task.Message{ID: id, Raw: raw})
}

// retry opens the next attempt of the turn.
func (s *scene) retry() {
	s.Helper()
	old := s.turn
	s.turn = newTurn(old.Number, old.Attempt+1)
	s.turn.Message, s.turn.Parked, s.turn.RetryFailed = old.Message, old.Parked, old.RetryFailed
	if !s.state.Exists() {
		s.record(s.turn.Submitted(s.tick()))
	}
	s.record(s.turn.Status(a2a.TaskStateWorking, "", s.tick()))
}

// view is the folded task as a client decodes it.
func (s *scene) view() *a2a.Task {
	s.Helper()
	return viewOf(s, s.state)
}

func viewOf(t tb, s *task.State) *a2a.Task {
	t.Helper()
	out := new(a2a.Task)
	if err := json.Unmarshal(record.AppendTask(nil, s, record.View{}), out); err != nil {
		t.Fatalf("the SDK cannot read the folded task: %v", err)
	}
	return out
}

// fingerprint is everything that a state holds.
func fingerprint(s *task.State) string { return string(record.EncodeSnapshot(s)) }

func same(want, got any) string { return cmp.Diff(want, got, cmpopts.EquateEmpty()) }

// reference folds the same log with the SDK's types and no cleverness.
type reference struct {
	task     *a2a.Task
	reply    *a2a.Message
	terminal int // terminal events seen
}

func (r *reference) add(t tb, rec record.Record) {
	t.Helper()
	var sr a2a.StreamResponse
	if err := json.Unmarshal(rec.Event, &sr); err != nil {
		t.Fatalf("the SDK cannot read event %d: %v\n%s", rec.Seq, err, rec.Event)
	}
	meta := maps.Clone(sr.Meta())
	stamp, _ := meta[task.ResumeURI].(map[string]any)
	if stamp["sequence"] != float64(rec.Seq) {
		t.Fatalf("event %d says it is %v", rec.Seq, stamp["sequence"])
	}
	delete(meta, task.ResumeURI)
	if rec.Opens != nil {
		m := new(a2a.Message)
		if err := json.Unmarshal(rec.Opens.Raw, m); err != nil {
			t.Fatalf("the SDK cannot read the message of turn %d: %v", rec.Turn, err)
		}
		r.retire()
		r.remember(m)
	}
	switch ev := sr.Event.(type) {
	case *a2a.Message:
		ev.Metadata = meta
		r.reply = ev
		r.terminal++
	case *a2a.Task:
		ev.Metadata = meta
		r.task = ev
		if ev.Status.State.Terminal() {
			r.terminal++
		}
	case *a2a.TaskStatusUpdateEvent:
		r.status(ev, meta)
	case *a2a.TaskArtifactUpdateEvent:
		r.artifact(ev, stamp["superseded"] == true)
	}
}

func (r *reference) status(ev *a2a.TaskStatusUpdateEvent, meta map[string]any) {
	old := r.task.Status.Message
	if old != nil && ev.Status.Message != nil && old.ID == ev.Status.Message.ID {
		r.task.Status.Message = nil
	}
	r.retire()
	r.task.Status = ev.Status
	for k, v := range meta {
		r.task.SetMeta(k, v)
	}
	if ev.Status.State.Terminal() {
		r.terminal++
	}
}

func (r *reference) retire() {
	if m := r.task.Status.Message; m != nil {
		r.task.Status.Message = nil
		r.remember(m)
	}
}

func (r *reference) remember(m *a2a.Message) {
	if !slices.ContainsFunc(r.task.History, func(h *a2a.Message) bool { return h.ID == m.ID }) {
		r.task.History = append(r.task.History, m)
	}
}

func (r *reference) artifact(ev *a2a.TaskArtifactUpdateEvent, superseded bool) {
	list := r.task.Artifacts
	i := slices.IndexFunc(list, func(a *a2a.Artifact) bool { return a.ID == ev.Artifact.ID })
	switch {
	case superseded:
		if i >= 0 {
			r.task.Artifacts = slices.Delete(list, i, i+1)
		}
	case i < 0:
		r.task.Artifacts = append(list, ev.Artifact)
	case ev.Append:
		list[i].Parts = append(list[i].Parts, ev.Artifact.Parts...)
		for k, v := range ev.Artifact.Metadata {
			list[i].SetMeta(k, v)
		}
	default:
		list[i] = ev.Artifact
	}
}

// check compares the reference with a fold of the same records.
func (r *reference) check(t tb, s *task.State) {
	t.Helper()
	if r.terminal > 1 {
		t.Fatalf("%d terminal events in one log", r.terminal)
	}
	if closed := r.terminal == 1; closed != s.Closed() {
		t.Fatalf("Closed is %v after %d terminal events", s.Closed(), r.terminal)
	}
	if exists := r.task != nil; exists != s.Exists() {
		t.Fatalf("Exists is %v, a Task in the log is %v", s.Exists(), exists)
	}
	if r.reply != nil {
		got := new(a2a.Message)
		if err := json.Unmarshal(s.Reply.Raw, got); err != nil {
			t.Fatalf("the SDK cannot read the reply: %v", err)
		}
		if d := same(r.reply, got); d != "" {
			t.Fatalf("the reply (-reference +folded):\n%s", d)
		}
		return
	}
	if r.task == nil {
		return
	}
	if d := same(r.task, viewOf(t, s)); d != "" {
		t.Fatalf("after %d events (-reference +folded):\n%s", s.Seq, d)
	}
}

// sizeOf adds up what Size promises.
func sizeOf(s *task.State) int {
	n := 0
	add := func(m *task.Message) {
		if m != nil {
			n += len(m.Raw)
		}
	}
	add(s.Reply)
	add(s.Status.Message)
	for i := range s.History {
		add(&s.History[i])
	}
	pairs := func(meta map[string]task.Raw) {
		for k, v := range meta {
			n += len(k) + len(v)
		}
	}
	pairs(s.Metadata)
	for _, a := range s.Artifacts {
		n += len(a.ID) + len(a.Name) + len(a.Description)
		for _, p := range a.Parts {
			n += len(p)
		}
		pairs(a.Metadata)
	}
	return n
}
