// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"go.uber.org/goleak"

	"github.com/errand-a2a/errand/internal/agent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// outcome is what one attempt yielded, told in short words.
type outcome struct {
	events []a2a.Event
	err    error
}

// newExec is the context of a message that makes a task.
func newExec(text string) *a2asrv.ExecutorContext {
	m := a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text))
	return &a2asrv.ExecutorContext{Message: m, TaskID: "t", ContextID: "c"}
}

// stored is a task as an earlier attempt of exec left it.
func stored(exec *a2asrv.ExecutorContext, state a2a.TaskState, artifacts ...*a2a.Artifact) *a2asrv.ExecutorContext {
	again := *exec
	again.StoredTask = &a2a.Task{
		ID: exec.TaskID, ContextID: exec.ContextID, Status: a2a.TaskStatus{State: state},
		History: []*a2a.Message{exec.Message}, Artifacts: artifacts,
	}
	return &again
}

func execute(ctx context.Context, exec *a2asrv.ExecutorContext) outcome {
	var o outcome
	for e, err := range New().Execute(ctx, exec) {
		if err != nil {
			o.err = err
			break
		}
		o.events = append(o.events, e)
	}
	return o
}

// words tells the events in one line, for example "task SUBMITTED, WORKING,
// count=1, count+2., COMPLETED": "=" replaces, "+" appends, "." is the last.
func (o outcome) words() string {
	var w []string
	for _, e := range o.events {
		switch e := e.(type) {
		case *a2a.Task:
			w = append(w, "task "+short(e.Status))
		case *a2a.Message:
			w = append(w, "message "+textOf(e))
		case *a2a.TaskStatusUpdateEvent:
			w = append(w, short(e.Status))
		case *a2a.TaskArtifactUpdateEvent:
			w = append(w, artifactWord(e))
		}
	}
	if o.err != nil {
		w = append(w, "error")
	}
	return strings.Join(w, ", ")
}

func short(s a2a.TaskStatus) string {
	return strings.TrimPrefix(string(s.State), "TASK_STATE_")
}

func artifactWord(e *a2a.TaskArtifactUpdateEvent) string {
	op, last := "=", ""
	if e.Append {
		op = "+"
	}
	if e.LastChunk {
		last = "."
	}
	return string(e.Artifact.ID) + op + e.Artifact.Parts[0].Text() + last
}

func (o outcome) statusText() string {
	if len(o.events) == 0 {
		return ""
	}
	if e, ok := o.events[len(o.events)-1].(*a2a.TaskStatusUpdateEvent); ok {
		return textOf(e.Status.Message)
	}
	return ""
}

func TestWords(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want, status string }{
		{"counts in appended chunks", "count to 3", "task SUBMITTED, WORKING, count=1, count+2, count+3., COMPLETED", ""},
		{"counts to one in one chunk", "count to 1", "task SUBMITTED, WORKING, count=1., COMPLETED", ""},
		{"sleeps no time at all", "sleep 0s", "task SUBMITTED, WORKING, COMPLETED", ""},
		{"asks with the question of the message", "ask who are you?", "task SUBMITTED, WORKING, INPUT_REQUIRED", "who are you?"},
		{"asks a question of its own", "ask", "task SUBMITTED, WORKING, INPUT_REQUIRED", "What shall I echo?"},
		{"asks for authorization", "auth", "task SUBMITTED, WORKING, AUTH_REQUIRED", "Please authorize this task, then send a message to go on."},
		{"fails with the text", "fail out of paper", "task SUBMITTED, WORKING, FAILED", "out of paper"},
		{"rejects with the text", "reject not mine", "task SUBMITTED, REJECTED", "not mine"},
		{"is flaky on the first attempt", "flaky 1", "task SUBMITTED, WORKING, error", ""},
		{"is not flaky with no failures", "flaky 0", "task SUBMITTED, WORKING, flaky=completed on attempt 1., COMPLETED", ""},
		{"answers with a message", "message hi there", "message hi there", ""},
		{"delivers a file", "file", "task SUBMITTED, WORKING, file=., COMPLETED", ""},
		{"delivers data", "data", "task SUBMITTED, WORKING, data=., COMPLETED", ""},
		{"echoes without the word", "echo  hello  you", "task SUBMITTED, WORKING, echo=hello  you., COMPLETED", ""},
		{"echoes any other text whole", "Hello you", "task SUBMITTED, WORKING, echo=Hello you., COMPLETED", ""},
		{"reads the first word in any case", "Echo hello", "task SUBMITTED, WORKING, echo=hello., COMPLETED", ""},
		{"echoes an empty text", "", "task SUBMITTED, WORKING, echo=., COMPLETED", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := execute(t.Context(), newExec(tt.text))
			if got := o.words(); got != tt.want {
				t.Errorf("%q:\n got %s\nwant %s", tt.text, got, tt.want)
			}
			if got := o.statusText(); got != tt.status {
				t.Errorf("%q: status message %q, want %q", tt.text, got, tt.status)
			}
		})
	}
}

func TestBadArgumentsAreRejectedWithWhatIsAllowed(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, allowed string }{
		{"count", `"count to N"`},
		{"count to", `"count to N"`},
		{"count up 3", `"count to N"`},
		{"count to 3 every", `"count to N every D"`},
		{"count to 3 each 1s", `"count to N every D"`},
		{"count to x", "from 1 to 1000000"},
		{"count to 0", "from 1 to 1000000"},
		{"count to -3", "from 1 to 1000000"},
		{"count to 1000001", "from 1 to 1000000"},
		{"count to 3 every 5", "from 0s to 1h0m0s"},
		{"count to 3 every -1s", "from 0s to 1h0m0s"},
		{"count to 3 every 2h", "from 0s to 1h0m0s"},
		{"sleep", "such as 20ms"},
		{"sleep soon", "such as 20ms"},
		{"sleep -1s", "from 0s to 24h0m0s"},
		{"sleep 25h", "from 0s to 24h0m0s"},
		{"flaky", "from 0 to 1000"},
		{"flaky -1", "from 0 to 1000"},
		{"flaky 1001", "from 0 to 1000"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			o := execute(t.Context(), newExec(tt.text))
			if got := o.words(); got != "task SUBMITTED, REJECTED" {
				t.Errorf("got %s", got)
			}
			if !strings.Contains(o.statusText(), tt.allowed) {
				t.Errorf("text %q does not name %q", o.statusText(), tt.allowed)
			}
		})
	}
}

func TestLaterAttempts(t *testing.T) {
	t.Parallel()
	count := func(n int) *a2a.Artifact {
		a := &a2a.Artifact{ID: "count"}
		for i := range n {
			a.Parts = append(a.Parts, a2a.NewTextPart(strconv.Itoa(i+1)))
		}
		return a
	}
	second := agent.WithRun(t.Context(), &agent.Run{Attempt: 2})
	tests := []struct {
		name, text string
		state      a2a.TaskState
		artifacts  []*a2a.Artifact
		want       string
	}{
		{"count goes on with the next number", "count to 4", a2a.TaskStateWorking, []*a2a.Artifact{count(2)}, "count+3, count+4., COMPLETED"},
		{"count with every number there only completes", "count to 4", a2a.TaskStateWorking, []*a2a.Artifact{count(4)}, "COMPLETED"},
		{"count without a number starts", "count to 2", a2a.TaskStateWorking, nil, "count=1, count+2., COMPLETED"},
		{"a task that was not worked on yet says so", "count to 1", a2a.TaskStateSubmitted, nil, "WORKING, count=1., COMPLETED"},
		{"echo replaces its artifact", "echo a", a2a.TaskStateWorking, []*a2a.Artifact{{ID: "echo"}}, "echo=a., COMPLETED"},
		{"ask asks again while nobody answered", "ask x", a2a.TaskStateWorking, nil, "INPUT_REQUIRED"},
		{"flaky completes after its failures", "flaky 1", a2a.TaskStateWorking, nil, "flaky=completed on attempt 2., COMPLETED"},
		{"flaky fails until then", "flaky 2", a2a.TaskStateWorking, nil, "error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := execute(second, stored(newExec(tt.text), tt.state, tt.artifacts...))
			if got := o.words(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAnswerToAParkedTask(t *testing.T) {
	t.Parallel()
	answer := func(command string, inHistory bool) outcome {
		exec := stored(newExec(command), a2a.TaskStateWorking)
		exec.Message = a2a.NewMessageForTask(a2a.MessageRoleUser, exec, a2a.NewTextPart("count to 3"))
		question := a2a.NewMessageForTask(a2a.MessageRoleAgent, exec, a2a.NewTextPart("?"))
		exec.StoredTask.History = append(exec.StoredTask.History, question)
		if inHistory {
			exec.StoredTask.History = append(exec.StoredTask.History, exec.Message)
		}
		return execute(t.Context(), exec)
	}
	for _, command := range []string{"ask x", "auth"} {
		for _, inHistory := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s is echoed whatever it says, in the history: %v", command, inHistory), func(t *testing.T) {
				t.Parallel()
				if got, want := answer(command, inHistory).words(), "echo=count to 3., COMPLETED"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		}
	}
	t.Run("with the id of the question is still an answer", func(t *testing.T) {
		t.Parallel()
		exec := stored(newExec("ask x"), a2a.TaskStateWorking)
		again := *exec.Message
		again.Parts = a2a.ContentParts{a2a.NewTextPart("count to 3")}
		exec.Message = &again
		exec.StoredTask.History = append(exec.StoredTask.History, &again)
		if got, want := execute(t.Context(), exec).words(), "echo=count to 3., COMPLETED"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestCountKeepsItsDistance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		o := execute(t.Context(), newExec("count to 5 every 20ms"))
		if got, want := time.Since(start), 80*time.Millisecond; got != want {
			t.Errorf("took %s, want %s", got, want)
		}
		if want := "task SUBMITTED, WORKING, count=1, count+2, count+3, count+4, count+5., COMPLETED"; o.words() != want {
			t.Errorf("got %s", o.words())
		}
	})
}

func TestSleepTakesItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		o := execute(t.Context(), newExec("sleep 90s"))
		if got := time.Since(start); got != 90*time.Second {
			t.Errorf("took %s", got)
		}
		if o.words() != "task SUBMITTED, WORKING, COMPLETED" {
			t.Errorf("got %s", o.words())
		}
	})
}

func TestProgressIsReportedOnceATenth(t *testing.T) {
	t.Parallel()
	progress := func(text string, artifacts ...*a2a.Artifact) []int {
		var got []int
		ctx := agent.WithRun(t.Context(), &agent.Run{Attempt: 1, Report: func(p int) { got = append(got, p) }})
		execute(ctx, stored(newExec(text), a2a.TaskStateWorking, artifacts...))
		return got
	}
	tests := []struct {
		name string
		got  []int
		want string
	}{
		{"of a thousand", progress("count to 1000"), "[10 20 30 40 50 60 70 80 90]"},
		{"of four", progress("count to 4"), "[20 50 70]"},
		{"not at all of one", progress("count to 1"), "[]"},
		{"from where it goes on", progress("count to 100", &a2a.Artifact{ID: "count", Parts: make(a2a.ContentParts, 35)}), "[40 50 60 70 80 90]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := fmt.Sprint(tt.got); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"hang", "sleep 1h", "count to 5 every 1h", "count to 1000000"} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				lost := errors.New("lease lost")
				ctx, cancel := context.WithCancelCause(t.Context())
				done := make(chan outcome)
				exec := newExec(text)
				if text == "count to 1000000" {
					cancel(lost)
				}
				go func() { done <- execute(ctx, exec) }()
				synctest.Wait()
				cancel(lost)
				if o := <-done; !errors.Is(o.err, lost) {
					t.Errorf("got %s with error %v, want the cause of the end", o.words(), o.err)
				}
			})
		})
	}
}

func TestCrashPanicsOnEveryAttempt(t *testing.T) {
	t.Parallel()
	panics := func(exec *a2asrv.ExecutorContext) (what any) {
		defer func() { what = recover() }()
		execute(t.Context(), exec)
		return nil
	}
	if panics(newExec("crash")) == nil {
		t.Error("attempt 1 did not panic")
	}
	if panics(stored(newExec("crash"), a2a.TaskStateWorking)) == nil {
		t.Error("attempt 2 did not panic")
	}
}

func TestStopsWhenNobodyListens(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"count to 9", "ask", "reject", "flaky 0", "file", "sleep 1h", "hang", "crash"} {
		for stopAt := range 2 { // a later event of sleep, hang and crash never comes
			t.Run(fmt.Sprintf("%s after %d events", text, stopAt+1), func(t *testing.T) {
				t.Parallel()
				seen := 0
				for range New().Execute(t.Context(), newExec(text)) {
					if seen++; seen > stopAt {
						break // a further yield would panic
					}
				}
			})
		}
	}
}

func TestCancelAgrees(t *testing.T) {
	t.Parallel()
	var o outcome
	exec := stored(newExec("hang"), a2a.TaskStateWorking)
	exec.Message = nil
	for e, err := range New().Cancel(t.Context(), exec) {
		o.events, o.err = append(o.events, e), err
	}
	if o.words() != "CANCELED" {
		t.Errorf("got %s", o.words())
	}
}

func TestAgentIsRegistrable(t *testing.T) {
	t.Parallel()
	r, err := agent.NewRegistry(nil, Agent())
	if err != nil {
		t.Fatal(err)
	}
	a, ok := r.Lookup("")
	if !ok || a.Policy.OnRetry != agent.KeepArtifacts {
		t.Errorf("the default agent is %+v", a)
	}
	for _, s := range a.Card.Skills {
		if len(s.Examples) == 0 {
			t.Errorf("skill %s has no example", s.ID)
		}
	}
	if len(a.Card.SupportedInterfaces) != 0 {
		t.Error("the card names interfaces, which only the server knows")
	}
}
