// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"container/list"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

// warm keeps the folded tasks of turns that have just ended for their next
// turn, so that a turn of a long conversation costs what the first did. It is
// bounded in bytes and in time, and only ever a shortcut: what the log has after
// an entry's sequence is folded in before it counts.
type warm struct {
	limit int
	ttl   time.Duration
	now   func() time.Time

	mu      sync.Mutex
	size    int
	entries map[task.Ref]*list.Element
	order   *list.List // of *warmTask, oldest first
}

type warmTask struct {
	ref   task.Ref
	state *task.State
	view  *view
	size  int
	at    time.Time
}

func newWarm(limit int, ttl time.Duration, now func() time.Time) *warm {
	return &warm{limit: limit, ttl: ttl, now: now, entries: map[task.Ref]*list.Element{}, order: list.New()}
}

// take removes and returns the task if it is not newer than seq.
func (w *warm) take(ref task.Ref, seq uint64) *warmTask {
	w.mu.Lock()
	defer w.mu.Unlock()
	el, ok := w.entries[ref]
	if !ok {
		return nil
	}
	e := w.drop(el)
	if e.state.Seq > seq {
		return nil
	}
	return e
}

// put keeps a task and drops what is too old or too much.
func (w *warm) put(ref task.Ref, s *task.State, v *view) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if el, ok := w.entries[ref]; ok {
		w.drop(el)
	}
	// The view costs about twice what the values do.
	e := &warmTask{ref: ref, state: s, view: v, size: 3*s.Size() + 512, at: w.now()}
	if e.size > w.limit/4 {
		return
	}
	w.entries[ref] = w.order.PushBack(e)
	w.size += e.size
	w.trim()
}

// trim drops the oldest entries as the bounds ask.
func (w *warm) trim() {
	for el := w.order.Front(); el != nil; el = w.order.Front() {
		if w.size <= w.limit && w.now().Sub(el.Value.(*warmTask).at) < w.ttl {
			return
		}
		w.drop(el)
	}
}

// sweep drops what has not been used for the time to live.
func (w *warm) sweep() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trim()
}

func (w *warm) drop(el *list.Element) *warmTask {
	e := w.order.Remove(el).(*warmTask)
	delete(w.entries, e.ref)
	w.size -= e.size
	return e
}

// view is a task as executors see it. What was decoded once is not decoded
// again: messages and artifacts that have not changed are shared between the
// turns. Nothing that is stored is made from it, so an executor that modifies
// what it was given deceives only its own next turn.
type view struct {
	history   []*a2a.Message
	artifacts map[string]*artifactView
}

type artifactView struct {
	of      *task.Artifact // the fold's, by identity
	parts   int
	decoded *a2a.Artifact
}

// task gives the state as the SDK's type.
func (v *view) task(s *task.State) *a2a.Task {
	t := &a2a.Task{ID: a2a.TaskID(s.ID), ContextID: s.ContextID, Status: status(s.Status)}
	for _, m := range s.History[min(len(v.history), len(s.History)):] {
		v.history = append(v.history, message(&m))
	}
	t.History = v.history[:len(v.history):len(v.history)]
	if v.artifacts == nil {
		v.artifacts = map[string]*artifactView{}
	}
	t.Artifacts = make([]*a2a.Artifact, 0, len(s.Artifacts))
	for _, a := range s.Artifacts {
		t.Artifacts = append(t.Artifacts, v.artifact(a))
	}
	for k, raw := range s.Metadata {
		if t.Metadata == nil {
			t.Metadata = make(map[string]any, len(s.Metadata))
		}
		t.Metadata[k] = value(raw)
	}
	return t
}

func (v *view) artifact(a *task.Artifact) *a2a.Artifact {
	av := v.artifacts[a.ID]
	if av == nil || av.of != a || av.parts > len(a.Parts) || len(a.Metadata) > 0 {
		av = &artifactView{of: a, decoded: &a2a.Artifact{
			ID: a2a.ArtifactID(a.ID), Name: a.Name, Description: a.Description, Extensions: a.Extensions,
		}}
		v.artifacts[a.ID] = av
	}
	if av.parts == len(a.Parts) && av.decoded.Parts != nil {
		return av.decoded
	}
	next := *av.decoded
	next.Parts = slices.Clip(next.Parts) // an executor may append to what it was given
	for _, raw := range a.Parts[av.parts:] {
		p := new(a2a.Part)
		if json.Unmarshal(raw, p) == nil {
			next.Parts = append(next.Parts, p)
		}
	}
	for k, raw := range a.Metadata {
		next.SetMeta(k, value(raw))
	}
	av.parts, av.decoded = len(a.Parts), &next
	return &next
}

func status(s task.Status) a2a.TaskStatus {
	at := s.At
	return a2a.TaskStatus{State: s.State, Timestamp: &at, Message: message(s.Message)}
}

func message(m *task.Message) *a2a.Message {
	if m == nil {
		return nil
	}
	out, err := record.DecodeMessage(m.Raw)
	if err != nil {
		return &a2a.Message{ID: m.ID}
	}
	return out
}

func value(raw task.Raw) any {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	return v
}

// keepWarm keeps a task that waits for its next turn, which owns it from then
// on. An executor with a Cleanup still looks at it.
func (at *attempt) keepWarm(v *verdict) {
	if _, cleaner := at.agent.Executor.(a2asrv.AgentExecutionCleaner); cleaner {
		return
	}
	if v.finish.EndTurn && !at.unheard && !at.state.Closed() {
		at.w.warm.put(at.ref, at.state, at.view)
	}
}
