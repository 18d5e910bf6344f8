// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// played is a fake after a few operations, and the ledger of them.
type played struct {
	fake    *fake
	client  *Client
	entries []Entry
}

func play(t *testing.T) *played {
	t.Helper()
	f, client := newFake(t)
	p := &played{fake: f, client: client}
	p.send(t, "count to 3")                                 // t1
	p.send(t, "echo hello")                                 // t2
	p.send(t, "ask who")                                    // t3
	p.answer(t, "t3", "echo me")                            //
	p.send(t, "ask nobody")                                 // t4
	p.send(t, "hang")                                       // t5
	p.call(t, "CancelTask", map[string]any{"id": "t5"}, "") //
	p.entries = append(p.entries, Entry{Op: opCancel, Task: "t5", State: stateCanceled})
	p.send(t, "flaky 2")            // t6
	p.send(t, "fail out of paper")  // t7
	p.send(t, "count to 9 every 0") // t8
	p.send(t, "auth")               // t9
	p.send(t, "auth")               // t10
	p.answer(t, "t10", "echo here") //
	p.send(t, "reject not mine")    // t11
	return p
}

func (p *played) call(t *testing.T, method string, params any, key string) {
	t.Helper()
	if _, err := p.client.Call(t.Context(), method, params, Message{Key: key}.header()); err != nil {
		t.Fatal(err)
	}
}

func (p *played) send(t *testing.T, text string) {
	t.Helper()
	m := newMessage("", text)
	p.call(t, "SendMessage", m.params(false), m.Key)
	task := p.fake.order[len(p.fake.order)-1]
	p.entries = append(p.entries, Entry{Op: opSend, Task: task, Text: text, Message: m.ID})
}

func (p *played) answer(t *testing.T, task, text string) {
	t.Helper()
	m := newMessage(task, text)
	p.call(t, "SendMessage", m.params(false), m.Key)
	p.entries = append(p.entries, Entry{Op: opFollowUp, Task: task, Text: text, Message: m.ID})
}

func (p *played) check(t *testing.T) *Report {
	t.Helper()
	c := NewChecker(p.client)
	c.SettleTimeout, c.ReplayTimeout = 200*time.Millisecond, 200*time.Millisecond
	report, err := c.Check(t.Context(), p.entries)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// edit changes one recorded event as text.
func (p *played) edit(task string, event int, old, with string) {
	log := p.fake.tasks[task].log
	changed := bytes.Replace(log[event-1], []byte(old), []byte(with), 1)
	if bytes.Equal(changed, log[event-1]) {
		panic("nothing to edit in " + string(log[event-1]))
	}
	log[event-1] = changed
}

func (p *played) task(id string) *fakeTask { return p.fake.tasks[id] }

func TestCheckerFindsNothingInAHonestServer(t *testing.T) {
	t.Parallel()
	report := play(t).check(t)
	for _, v := range report.Violations {
		t.Error(v)
	}
	if report.Tasks != 11 || report.Operations != 14 || report.Events < 30 {
		t.Errorf("it did not look: %s", report.Summary())
	}
}

func TestCheckerFindsWhatIsDoctored(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, kind, task string
		doctor           func(*played)
	}{
		{"a lost task", "lost", "t2", func(p *played) { delete(p.fake.tasks, "t2") }},
		{"an event that is missing", "gap", "t1", func(p *played) {
			log := p.task("t1").log
			p.task("t1").log = append(log[:3:3], log[4:]...)
		}},
		{"an event that is there twice", "gap", "t1", func(p *played) {
			log := p.task("t1").log
			p.task("t1").log = append(log[:4:4], log[3:]...)
		}},
		{"a log that begins late", "gap", "t1", func(p *played) { p.task("t1").override = p.task("t1").snapshot(); p.task("t1").log = nil }},
		{"a sequence that the frame and its metadata tell differently", "gap", "t1", func(p *played) {
			p.task("t1").lie = 4
			p.edit("t1", 4, `"sequence":4`, `"sequence":5`)
		}},
		{"two terminal events", "terminals", "t2", func(p *played) { p.task("t2").status(stateCompleted, nil) }},
		{"an event after the terminal one", "terminals", "t2", func(p *played) { p.task("t2").artifact("echo", "hello", false) }},
		{"a wrong artifact", "artifact", "t2", func(p *played) { p.edit("t2", 3, "hello", "hallo") }},
		{"a chunk twice", "artifact", "t1", func(p *played) { p.edit("t1", 4, `"2"`, `"1"`) }},
		{"a chunk too few", "artifact", "t8", func(p *played) { p.edit("t8", 11, `"append":true`, `"append":false`) }},
		{"an answer of another question", "artifact", "t3", func(p *played) { p.edit("t3", 5, "echo me", "echo you") }},
		{"a flaky task that never failed", "artifact", "t6", func(p *played) { p.edit("t6", 3, "attempt 3", "attempt 2") }},
		{"a wrong state", "state", "t2", func(p *played) { p.edit("t2", 4, stateCompleted, stateFailed) }},
		{"a wrong reason", "state", "t7", func(p *played) { p.edit("t7", 3, "paper", "ink") }},
		{"a cancellation that was forgotten", "state", "t5", func(p *played) { p.edit("t5", 3, stateCanceled, stateCompleted) }},
		{"a question that was forgotten", "state", "t4", func(p *played) { p.edit("t4", 3, "nobody", "somebody") }},
		{"an authorization that was forgotten", "state", "t9", func(p *played) { p.edit("t9", 3, stateAuthRequired, stateInputRequired) }},
		{"an authorization that was not acted on", "artifact", "t10", func(p *played) { p.edit("t10", 5, "echo here", "") }},
		{"a rejection that became a failure", "state", "t11", func(p *played) { p.edit("t11", 3, stateRejected, stateFailed) }},
		{"a stuck task", "stuck", "t2", func(p *played) { p.task("t2").log = p.task("t2").log[:3] }},
		{"a task that differs from its log", "fold", "t2", func(p *played) {
			s := p.task("t2").snapshot()
			s.list("artifacts")[0]["name"] = "x"
			p.task("t2").override = s
		}},
		{"metadata that the log does not have", "fold", "t2", func(p *played) {
			s := p.task("t2").snapshot()
			s["metadata"] = map[string]any{"a": "b"}
			p.task("t2").override = s
		}},
		{"an agent's message that the log does not have", "fold", "t4", func(p *played) {
			s := p.task("t4").snapshot()
			s["history"] = append(s["history"].([]any), map[string]any{"role": roleAgent, "messageId": "x"})
			p.task("t4").override = s
		}},
		{"an append to an artifact that is not there", "fold", "t2", func(p *played) {
			p.task("t2").override = p.task("t2").snapshot()
			p.edit("t2", 3, `"append":false`, `"append":true`)
		}},
		{"a follow-up that vanished", "history", "t3", func(p *played) { p.task("t3").user = nil }},
		{"a follow-up that came in twice", "history", "t3", func(p *played) {
			p.task("t3").user = append(p.task("t3").user, p.task("t3").user[0])
		}},
		{"a follow-up that nobody sent", "history", "t4", func(p *played) {
			p.task("t4").user = []object{{"role": roleUser, "messageId": "ghost"}}
		}},
		{"a message that says something else", "history", "t2", func(p *played) { p.edit("t2", 1, "echo hello", "echo") }},
		{"an attempt that goes back", "attempt", "t1", func(p *played) { p.edit("t1", 3, `"attempt":1`, `"attempt":2`) }},
		{"a task that nobody asked for", "duplicate", "t12", func(p *played) {
			entries := p.entries
			p.entries = entries[:len(entries):len(entries)]
			p.fake.send(object{"parts": []any{map[string]any{"text": "echo x"}}}, "other")
		}},
		{"a task that is not listed", "list", "t2", func(p *played) { p.fake.order[1] = "gone" }},
		{"a total that is wrong", "list", "", func(p *played) { p.fake.more = 1 }},
		{"a listing that is not in order", "list", "t4", func(p *played) {
			p.fake.unsorted = true
			p.fake.order[2], p.fake.order[3] = p.fake.order[3], p.fake.order[2]
		}},
		{"a task that is listed twice", "list", "t2", func(p *played) { p.fake.order = append(p.fake.order, "t2") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := play(t)
			p.fake.mu.Lock()
			tt.doctor(p)
			p.fake.mu.Unlock()
			report := p.check(t)
			if !found(report, tt.kind, tt.task) {
				t.Errorf("not found; the report is %s %v", report.Summary(), report.Violations)
			}
			if strings.HasSuffix(report.Summary(), "0 lost, 0 double terminals, 0 gaps, 0 stuck, 0 wrong") {
				t.Errorf("the summary does not count it: %s", report.Summary())
			}
		})
	}
}

func found(r *Report, kind, task string) bool {
	for _, v := range r.Violations {
		if v.Kind == kind && v.Task == task {
			return true
		}
	}
	return false
}

func TestCheckerComparesWhatAFollowerSaw(t *testing.T) {
	t.Parallel()
	stream := func(p *played, from int, frames ...int) {
		e := Entry{Op: opStream, Task: "t1", From: from}
		for _, n := range frames {
			e.Frames = append(e.Frames, hashOf(Frame{Raw: p.task("t1").log[n-1]}))
		}
		p.entries = append(p.entries, e)
	}
	t.Run("and is content with what the log holds", func(t *testing.T) {
		t.Parallel()
		p := play(t)
		stream(p, 1, 1, 2, 3, 4, 5, 6)
		stream(p, 3, 3, 4)
		if r := p.check(t); len(r.Violations) != 0 {
			t.Error(r.Violations)
		}
	})
	t.Run("and finds a frame that changed", func(t *testing.T) {
		t.Parallel()
		p := play(t)
		stream(p, 1, 1, 2, 3, 3)
		if !found(p.check(t), "stream", "t1") {
			t.Error("not found")
		}
	})
	snapshot := func(p *played, edit func(object)) *Report {
		message := p.entries[3].Message // the answer to t3
		log := p.task("t3").log
		task := p.fake.snapshotAt("t3", 4)
		task["history"] = append(task["history"].([]any), map[string]any{"role": roleUser, "messageId": message})
		edit(task)
		raw, err := json.Marshal(task)
		if err != nil {
			t.Error(err)
		}
		p.entries = append(p.entries, Entry{Op: opStream, Task: "t3", Message: message, From: 4, Snapshot: raw, Parked: true,
			Frames: []string{"", hashOf(Frame{Raw: log[4]}), hashOf(Frame{Raw: log[5]})}})
		return p.check(t)
	}
	t.Run("and is content with a Task in place of the first event of a follow-up", func(t *testing.T) {
		t.Parallel()
		if r := snapshot(play(t), func(object) {}); len(r.Violations) != 0 {
			t.Error(r.Violations)
		}
	})
	t.Run("and finds a Task that is not what the log says", func(t *testing.T) {
		t.Parallel()
		if r := snapshot(play(t), func(o object) { o["artifacts"] = []any{1} }); !found(r, "stream", "t3") {
			t.Error("not found")
		}
	})
	t.Run("and finds a Task without the message it answers", func(t *testing.T) {
		t.Parallel()
		r := snapshot(play(t), func(o object) { o["history"] = o["history"].([]any)[:2] })
		if !found(r, "stream", "t3") {
			t.Error("not found")
		}
	})
	t.Run("and finds a frame that is gone", func(t *testing.T) {
		t.Parallel()
		p := play(t)
		stream(p, 6, 6, 6)
		if !found(p.check(t), "stream", "t1") {
			t.Error("not found")
		}
	})
}

func TestCheckerKnowsAMessageThatItsTaskOutran(t *testing.T) {
	t.Parallel()
	p := play(t)
	p.entries = append(p.entries, Entry{Op: opFollowUp, Task: "t3", Text: "late", Message: "m-late"})
	if !found(p.check(t), "history", "t3") {
		t.Error("an acknowledged message that is nowhere was not found")
	}
	p.edit("t3", 6, `"metadata":{`, `"metadata":{"x":{"canceledMessages":["m-late"]},`)
	if r := p.check(t); len(r.Violations) != 0 {
		t.Errorf("the end of the task names it, and still: %v", r.Violations)
	}
}

func TestCheckerBoundsAReplayThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	p := play(t)
	p.fake.stall = true
	if !found(p.check(t), "stuck", "t1") {
		t.Error("not found")
	}
}

func TestCheckerThatCannotCheckSaysSo(t *testing.T) {
	t.Parallel()
	p := play(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewChecker(p.client).Check(ctx, p.entries); err == nil {
		t.Error("a check that could not be made reported success")
	}
}

func TestFoldRemovesWhatIsSuperseded(t *testing.T) {
	t.Parallel()
	task := object{"artifacts": []any{map[string]any{"artifactId": "a"}, map[string]any{"artifactId": "b"}}}
	event, err := parseObject([]byte(`{"artifactUpdate":{"artifact":{"artifactId":"a","parts":[{"text":""}]},` +
		`"metadata":{"` + resumeKey + `":{"superseded":true},"k":"v"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if task, err = fold(task, event); err != nil {
		t.Fatal(err)
	}
	if got := canonical(task); got != `{"artifacts":[{"artifactId":"b",},],"metadata":{"k":"v",},}` {
		t.Errorf("got %s", got)
	}
}

func TestFoldReplacesAndAppends(t *testing.T) {
	t.Parallel()
	task := object{}
	for _, update := range []string{
		`{"artifact":{"artifactId":"a","parts":[{"text":"1"}],"metadata":{"k":1}}}`,
		`{"artifact":{"artifactId":"b","parts":[{"text":"x"}]}}`,
		`{"artifact":{"artifactId":"a","parts":[{"text":"2"}]}}`,
		`{"append":true,"artifact":{"artifactId":"a","parts":[{"text":"3"}],"metadata":{"l":2}}}`,
	} {
		event, err := parseObject([]byte(`{"artifactUpdate":` + update + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if task, err = fold(task, event); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"artifacts":[{"artifactId":"a","metadata":{"l":2,},"parts":[{"text":"2",},{"text":"3",},],},` +
		`{"artifactId":"b","parts":[{"text":"x",},],},],}`
	if got := canonical(task); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAttemptsNeverGoDownWithinATurn(t *testing.T) {
	t.Parallel()
	log := func(attempts ...int) []Frame {
		var frames []Frame
		for i, a := range attempts {
			place := map[string]any{"sequence": json.Number(strconv.Itoa(i + 1))}
			if a > 0 {
				place["attempt"] = json.Number(strconv.Itoa(a))
			}
			event := object{"statusUpdate": map[string]any{"metadata": map[string]any{resumeKey: place}}}
			frames = append(frames, Frame{ID: i + 1, Event: event})
		}
		return frames
	}
	tests := []struct {
		name   string
		frames []Frame
		turns  int
		want   int
	}{
		{"up is right", log(1, 1, 2, 5), 1, 0},
		{"down is not", log(1, 2, 1), 1, 1},
		{"what has no attempt is none", log(0, 1, 0, 1, 0, 2), 1, 0},
		{"a second turn counts anew", log(3, 0, 1, 2), 2, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			found := 0
			s := &story{sent: make([]Message, tt.turns-1)}
			checkLog(tt.frames, s, func(string, string, ...any) { found++ })
			if found != tt.want {
				t.Errorf("found %d violations, want %d", found, tt.want)
			}
		})
	}
}

func TestCanonicalIgnoresWhatMeansNothing(t *testing.T) {
	t.Parallel()
	a, b := object{}, object{}
	for text, o := range map[string]*object{
		`{"b":[1,{"x":null}],"a":{},"c":[]}`: &a,
		`{"b":[1,{}],"d":null}`:              &b,
	} {
		if err := json.Unmarshal([]byte(text), o); err != nil {
			t.Fatal(err)
		}
	}
	if canonical(a) != canonical(b) {
		t.Errorf("%s is not %s", canonical(a), canonical(b))
	}
}
