// SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"pgregory.net/rapid"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

// play is a scene with random events, checked after every one of them.
type play struct {
	*scene
	t     *rapid.T
	end   task.End
	base  *task.State // as the turn began
	ref   reference
	seen  int      // records that the reference has
	at    []string // fingerprints: at[k] is that of the state at k
	froze []frozen
	turns int
}

type frozen struct {
	state *task.State
	was   string
}

func TestAnySequenceOfEventsFoldsLikeTheReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := &play{scene: newScene(t), t: t}
		p.base = p.state.Freeze().Thaw()
		p.at = []string{fingerprint(p.state)}
		p.turn.RetryFailed = rapid.Bool().Draw(t, "retry failed")
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			p.step()
			p.check()
		}
		p.annotate()
		p.checkPrefixes()
		for _, f := range p.froze {
			if fingerprint(f.state) != f.was {
				t.Fatalf("a frozen state has changed")
			}
		}
	})
}

// step does one thing that an executor or the engine may do.
func (p *play) step() {
	if rapid.IntRange(0, 5).Draw(p.t, "freeze") == 0 {
		f := p.state.Freeze()
		if f.Size() != p.state.Size() || f.Exists() != p.state.Exists() || f.Closed() != p.state.Closed() {
			p.Fatalf("a frozen state differs in size, existence or end")
		}
		p.froze = append(p.froze, frozen{f, fingerprint(p.state)})
	}
	if len(p.froze) > 0 && rapid.IntRange(0, 9).Draw(p.t, "thaw") == 0 {
		p.thaw()
	}
	switch kind := rapid.IntRange(0, 19).Draw(p.t, "kind"); {
	case kind == 0 && p.end == task.EndNone:
		p.progress()
	case kind == 1 && p.end == task.EndNone && !p.state.Exists():
		p.record(p.turn.Submitted(p.tick()))
	case kind == 2 && (p.end == task.EndNone || p.end == task.EndRetry):
		p.end = task.EndNone
		p.retry()
		p.reset()
	case kind <= 9 && p.end == task.EndParked:
		p.end = task.EndNone
		p.turns++
		p.base = p.state.Freeze().Thaw()
		p.followUp("user-" + strings.Repeat("i", p.turns+1))
	default:
		p.event(p.draw())
	}
}

// thaw goes on with a frozen state on its own; nobody else may notice.
func (p *play) thaw() {
	f := rapid.SampledFrom(p.froze).Draw(p.t, "frozen").state
	was := fingerprint(p.state)
	own := f.Freeze().Thaw()
	for _, a := range f.Artifacts {
		more := &task.Artifact{ID: a.ID, Parts: []task.Raw{task.Raw(`{"text":"of another"}`)}, Metadata: map[string]task.Raw{"k": task.Raw("9")}}
		_ = own.Apply(&task.Change{Kind: task.KindArtifact, Append: true, Artifact: more})
	}
	_ = own.Apply(&task.Change{
		Kind: task.KindStatus, Opens: &task.Message{ID: "other", Raw: task.Raw(`{}`)},
		Status: task.Status{State: a2a.TaskStateFailed}, Metadata: map[string]task.Raw{"k": task.Raw("9")},
	})
	if fingerprint(p.state) != was {
		p.Fatalf("a change of a frozen copy reached the original")
	}
}

func (p *play) progress() {
	before := p.state.Status.Message
	events, err := p.turn.Progress(p.state, rapid.IntRange(0, 100).Draw(p.t, "percent"), p.tick())
	if err != nil {
		p.Fatalf("progress was refused: %v", err)
	}
	p.record(events...)
	if now := p.state.Status.Message; (before == nil) != (now == nil) || now != nil && now.ID != before.ID {
		p.Fatalf("a progress changed the status message from %v to %v", before, now)
	}
}

// reset takes back what the attempts of this turn did to the artifacts.
func (p *play) reset() {
	for _, a := range p.state.Freeze().Artifacts {
		old, known := p.base.Artifact(a.ID)
		st := p.stamp()
		st.Superseded = !known
		raw, c := record.EncodeReset(taskID, contextID, a.ID, old, st)
		p.push(raw, c, nil)
	}
	if d := same(p.base.Artifacts, p.state.Artifacts); d != "" {
		p.Fatalf("after the reset (-before the turn +now):\n%s", d)
	}
}

func (p *play) event(ev a2a.Event) {
	was := fingerprint(p.state)
	events, end, err := p.yield(ev)
	switch {
	case err != nil && (!errors.Is(err, task.ErrInvalidEvent) || len(events) > 0 || end != task.EndNone):
		p.Fatalf("a refusal with %v, %d events, end %d", err, len(events), end)
	case err != nil && fingerprint(p.state) != was:
		p.Fatalf("a refused event changed the state")
	case err == nil && p.end != task.EndNone:
		p.Fatalf("%T was accepted after the end", ev)
	case err != nil:
		return
	}
	p.end = end
	if whole, ok := ev.(*a2a.Task); ok && end != task.EndRetry {
		p.checkWhole(whole)
	}
	if closed := end == task.EndTerminal || end == task.EndReply; closed != p.state.Closed() {
		p.Fatalf("end %d, and Closed is %v", end, p.state.Closed())
	}
}

// checkWhole sees that the task is now as the executor's Task said.
func (p *play) checkWhole(ev *a2a.Task) {
	now := p.view()
	if state := ev.Status.State; state != a2a.TaskStateUnspecified && state != now.Status.State {
		p.Fatalf("the Task said %s, the state is %s", state, now.Status.State)
	}
	if m := ev.Status.Message; m != nil && m.ID != "" && m.ID != now.Status.Message.ID {
		p.Fatalf("the Task said message %s, the status has %s", m.ID, now.Status.Message.ID)
	}
	for k, v := range ev.Metadata {
		if got, there := now.Metadata[k]; k != task.ResumeURI && (!there || !jsonEqual(v, got)) {
			p.Fatalf("the Task said %s is %v, it is %v", k, v, got)
		}
	}
	for _, want := range ev.Artifacts {
		want.Metadata = maps.Clone(want.Metadata)
		delete(want.Metadata, task.ResumeURI)
		b, err := json.Marshal(want)
		if err != nil {
			p.Fatalf("marshal: %v", err)
		}
		decoded := new(a2a.Artifact)
		if err := json.Unmarshal(b, decoded); err != nil {
			p.Fatalf("unmarshal: %v", err)
		}
		i := slices.IndexFunc(now.Artifacts, func(a *a2a.Artifact) bool { return a.ID == want.ID })
		if i < 0 {
			p.Fatalf("artifact %q of the Task is not there", want.ID)
		}
		if d := same(decoded, now.Artifacts[i]); d != "" {
			p.Fatalf("an artifact of the Task (-said +folded):\n%s", d)
		}
	}
}

func jsonEqual(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(x) == string(y)
}

func (p *play) check() {
	for ; p.seen < len(p.log); p.seen++ {
		rec := p.log[p.seen]
		if rec.Seq != uint64(p.seen+1) || rec.Closes && p.seen != len(p.log)-1 {
			p.Fatalf("record %d has sequence %d, closes is %v", p.seen+1, rec.Seq, rec.Closes)
		}
		p.ref.add(p.t, rec)
	}
	p.ref.check(p.t, p.state)
	if p.state.Exists() && p.turns == 0 && !p.state.HasMessage("user-1") {
		p.Fatalf("the user's message is not in the history")
	}
	if p.state.Closed() {
		p.checkClosed()
	}
}

func (p *play) checkClosed() {
	was := fingerprint(p.state)
	for _, ev := range []a2a.Event{status(a2a.TaskStateFailed, nil), status(a2a.TaskStateWorking, nil), replaced("a", "x"), agentMessage("late"), p.turn.Submitted(p.now)} {
		_, c, err := record.Encode(stamped(p.scene, ev), p.stamp())
		if err != nil {
			p.Fatalf("encode: %v", err)
		}
		c.Opens = &task.Message{ID: "late"}
		if err := p.state.Apply(c); !errors.Is(err, task.ErrClosed) {
			p.Fatalf("after the end %T gives %v", ev, err)
		}
	}
	if fingerprint(p.state) != was {
		p.Fatalf("a state changed after its end")
	}
}

func stamped(s *scene, ev a2a.Event) a2a.Event {
	if st, ok := ev.(*a2a.TaskStatusUpdateEvent); ok {
		st.Status.Timestamp = &s.now
	}
	return ev
}

// annotate does what the worker does when a terminal event was refused because
// another message had come: it is encoded again with more metadata.
func (p *play) annotate() {
	if !p.state.Closed() || p.state.Reply != nil || rapid.Bool().Draw(p.t, "annotate") {
		return
	}
	last := &p.log[len(p.log)-1]
	raw, added, err := record.Amend(*last, task.CanceledTurns([]string{"never-1", "never-2"}))
	if err != nil {
		p.Fatalf("amend: %v", err)
	}
	last.Event = raw
	p.state.Amend(added)
	p.ref = reference{}
	for _, rec := range p.log {
		p.ref.add(p.t, rec)
	}
	p.ref.check(p.t, p.state)
	if got, want := p.state.Size(), sizeOf(p.state); got != want {
		p.Fatalf("amended, Size is %d, the values add up to %d", got, want)
	}
}

// checkPrefixes folds the log from every snapshot of the way.
func (p *play) checkPrefixes() {
	final := fingerprint(p.state)
	s := task.NewState(taskID, contextID)
	for k := 0; ; k++ {
		snap := record.EncodeSnapshot(s)
		restored, err := record.DecodeSnapshot(snap)
		if err != nil {
			p.Fatalf("snapshot at %d: %v", k, err)
		}
		if restored.Size() != s.Size() || restored.Closed() != s.Closed() || restored.Exists() != s.Exists() {
			p.Fatalf("the snapshot at %d differs from the state in size, end or existence", k)
		}
		if err := record.Fold(restored, p.log); err != nil {
			p.Fatalf("fold from the snapshot at %d: %v", k, err)
		}
		if fingerprint(restored) != final || restored.Size() != p.state.Size() {
			p.Fatalf("snapshot at %d and tail is not the fold of all", k)
		}
		if k == len(p.log) {
			return
		}
		if err := record.Fold(s, p.log[k:k+1]); err != nil {
			p.Fatalf("fold event %d: %v", k+1, err)
		}
	}
}

// draw makes an event, often one that breaks the rules.
func (p *play) draw() a2a.Event {
	t := p.t
	odd := rapid.IntRange(0, 24).Draw(t, "odd")
	id, ctx := a2a.TaskID(taskID), contextID
	switch odd {
	case 0:
		id = "another"
	case 1:
		ctx = "another"
	case 2:
		id, ctx = "", ""
	case 3:
		return rapid.SampledFrom([]a2a.Event{(*a2a.Message)(nil), (*a2a.Task)(nil), (*a2a.TaskStatusUpdateEvent)(nil), (*a2a.TaskArtifactUpdateEvent)(nil), &a2a.TaskArtifactUpdateEvent{}, nil}).Draw(t, "nil")
	}
	switch kind := rapid.IntRange(0, 19).Draw(t, "event"); {
	case kind == 0:
		m := drawMessage(t)
		m.TaskID, m.ContextID = id, ctx
		return m
	case kind <= 3:
		ev := &a2a.Task{ID: id, ContextID: ctx, Status: a2a.TaskStatus{State: drawState(t)}, Metadata: drawMeta(t)}
		ev.Status.Message = drawMaybe(t)
		for range rapid.IntRange(0, 2).Draw(t, "history") {
			ev.History = append(ev.History, drawMaybe(t))
		}
		for range rapid.IntRange(0, 3).Draw(t, "artifacts") {
			ev.Artifacts = append(ev.Artifacts, drawArtifact(t, ev.Artifacts))
		}
		return ev
	case kind <= 10:
		ev := &a2a.TaskStatusUpdateEvent{TaskID: id, ContextID: ctx, Metadata: drawMeta(t)}
		ev.Status = a2a.TaskStatus{State: drawState(t), Message: drawMaybe(t)}
		return ev
	}
	ev := &a2a.TaskArtifactUpdateEvent{
		TaskID: id, ContextID: ctx, Append: rapid.Bool().Draw(t, "append"),
		LastChunk: rapid.Bool().Draw(t, "last"), Metadata: drawMeta(t),
	}
	ev.Artifact = drawArtifact(t, nil)
	return ev
}

func drawState(t *rapid.T) a2a.TaskState {
	return rapid.SampledFrom([]a2a.TaskState{
		a2a.TaskStateWorking, a2a.TaskStateWorking, a2a.TaskStateWorking, a2a.TaskStateSubmitted, a2a.TaskStateSubmitted,
		a2a.TaskStateInputRequired, a2a.TaskStateInputRequired, a2a.TaskStateAuthRequired, a2a.TaskStateAuthRequired,
		a2a.TaskStateCompleted, a2a.TaskStateFailed, a2a.TaskStateCanceled, a2a.TaskStateRejected,
		a2a.TaskStateUnspecified, "TASK_STATE_UNSPECIFIED", "TASK_STATE_DREAMING",
	}).Draw(t, "state")
}

func drawMaybe(t *rapid.T) *a2a.Message {
	if rapid.Bool().Draw(t, "no message") {
		return nil
	}
	return drawMessage(t)
}

func drawMessage(t *rapid.T) *a2a.Message {
	m := agentMessage(rapid.SampledFrom([]string{"", "m1", "m2", "m3", "user-1"}).Draw(t, "message id"))
	m.Parts = append(m.Parts, drawParts(t, 0)...)
	m.Metadata = drawMeta(t)
	return m
}

func drawArtifact(t *rapid.T, among []*a2a.Artifact) *a2a.Artifact {
	ids := []a2a.ArtifactID{"a", "b", "c", ""}
	if len(among) > 0 && rapid.IntRange(0, 3).Draw(t, "repeat") > 0 {
		ids = []a2a.ArtifactID{"d" + among[len(among)-1].ID}
	}
	return &a2a.Artifact{
		ID:   rapid.SampledFrom(ids).Draw(t, "artifact"),
		Name: rapid.SampledFrom([]string{"", "", "", "name"}).Draw(t, "name"), Description: rapid.SampledFrom([]string{"", "", "", "text"}).Draw(t, "description"),
		Extensions: rapid.SampledFrom([][]string{nil, nil, nil, {"urn:x"}}).Draw(t, "extensions"),
		Metadata:   drawMeta(t), Parts: drawParts(t, rapid.SampledFrom([]int{1, 1, 1, 1, 1, 0}).Draw(t, "least")),
	}
}

func drawParts(t *rapid.T, least int) a2a.ContentParts {
	var parts a2a.ContentParts
	for range rapid.IntRange(least, 3).Draw(t, "parts") {
		parts = append(parts, a2a.NewTextPart(rapid.SampledFrom([]string{"x", "x", "y", ""}).Draw(t, "text")))
	}
	return parts
}

func drawMeta(t *rapid.T) map[string]any {
	if rapid.IntRange(0, 2).Draw(t, "metadata") > 0 {
		return nil
	}
	return rapid.MapOfN(rapid.SampledFrom([]string{"k", "l", task.ResumeURI}), rapid.SampledFrom([]any{nil, true, "v", 7, 1.5, []any{"x"}, map[string]any{"deep": 1}}), 1, 2).Draw(t, "pairs")
}
