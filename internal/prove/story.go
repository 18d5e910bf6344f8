// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// story is what the ledger knows of one task.
type story struct {
	task string
	// text and message are those of the message that made it.
	text, message string
	// sent holds the text of every acknowledged follow-up by its messageId,
	// in the order of their acknowledgement; refused those that were refused.
	sent    []Message
	refused []Message
	// canceled is set once a cancellation was answered with CANCELED,
	// uncancelable once one was refused.
	canceled, uncancelable bool
	streams                []Entry
}

// tellStories sorts a ledger by task.
func tellStories(entries []Entry) map[string]*story {
	stories := make(map[string]*story)
	for _, e := range entries {
		if e.Op == opIntend || e.Op == opRepeat {
			continue
		}
		s := stories[e.Task]
		if s == nil {
			s = &story{task: e.Task}
			stories[e.Task] = s
		}
		switch e.Op {
		case opSend:
			s.text, s.message = e.Text, e.Message
		case opFollowUp:
			s.sent = append(s.sent, Message{ID: e.Message, Text: e.Text})
		case opRefused:
			s.refused = append(s.refused, Message{ID: e.Message, Text: e.Text})
		case opCancel:
			s.canceled = s.canceled || e.State == stateCanceled
			s.uncancelable = s.uncancelable || e.State == ""
		case opStream:
			s.streams = append(s.streams, e)
		}
	}
	return stories
}

// checkKeys wants each key to stand for one task, however often it was sent.
func checkKeys(entries []Entry, report func(kind, task, format string, args ...any)) {
	owner := make(map[string]string)
	for _, e := range entries {
		switch {
		case e.Key == "" || e.Op != opSend && e.Op != opFollowUp && e.Op != opRepeat:
		case owner[e.Key] == "":
			owner[e.Key] = e.Task
		case owner[e.Key] != e.Task:
			report("duplicate", owner[e.Key], "a repeat with the same key was answered with the task %q", e.Task)
		}
	}
}

// reporter takes a violation of the task that is checked.
type reporter func(kind, format string, args ...any)

// checkStory compares a task with what its command defines.
func checkStory(frames []Frame, task object, s *story, report reporter) {
	checkHistory(frames, task, s, report)
	if s.canceled {
		if task.state() != stateCanceled {
			report("state", "its cancellation was acknowledged and it is %s", task.state())
		}
		checkCount(task, s, report)
		return
	}
	command, rest, _ := strings.Cut(s.text, " ")
	switch command {
	case "count":
		wantState(task, stateCompleted, report)
		checkCount(task, s, report)
	case "ask":
		checkAsk(task, s, stateInputRequired, rest, report)
	case "auth":
		checkAsk(task, s, stateAuthRequired, "", report)
	case "flaky":
		wantState(task, stateCompleted, report)
		checkFlaky(task, rest, report)
	case "echo":
		wantState(task, stateCompleted, report)
		wantArtifact(task, "echo", []string{rest}, report)
	case "fail":
		wantState(task, stateFailed, report)
		wantStatusText(task, rest, report)
	case "reject":
		wantState(task, stateRejected, report)
		wantStatusText(task, rest, report)
	case "hang":
		report("state", "hangs, was not canceled, and is %s", task.state())
	case "sleep":
		wantState(task, stateCompleted, report)
	default:
		report("error", "the checker does not know %q", s.text)
	}
}

func wantState(task object, want string, report reporter) {
	if got := task.state(); got != want {
		report("state", "is %s, want %s", got, want)
	}
}

func wantStatusText(task object, want string, report reporter) {
	if got := task.at("status", "message").texts(); !slices.Equal(got, []string{want}) {
		report("state", "the status says %q, want %q", got, want)
	}
}

// wantArtifact wants one artifact with these texts and no other.
func wantArtifact(task object, id string, want []string, report reporter) {
	artifacts := task.list("artifacts")
	if len(artifacts) != 1 || artifacts[0].str("artifactId") != id {
		report("artifact", "has %d artifacts (%.200s), want the one called %q", len(artifacts), canonical(task["artifacts"]), id)
		return
	}
	if got := artifacts[0].texts(); !slices.Equal(got, want) {
		report("artifact", "%s holds %d parts %.300q, want %d", id, len(got), got, len(want))
	}
}

// checkCount wants 1..N, or of a canceled task some beginning of it.
func checkCount(task object, s *story, report reporter) {
	f := strings.Fields(s.text)
	if len(f) < 3 || f[0] != "count" {
		return
	}
	n, err := strconv.Atoi(f[2])
	if err != nil {
		report("error", "the checker cannot read %q", s.text)
		return
	}
	artifacts := task.list("artifacts")
	if s.canceled {
		if len(artifacts) == 0 {
			return
		}
		n = min(n, len(artifacts[0].texts()))
	}
	want := make([]string, n)
	for i := range want {
		want[i] = strconv.Itoa(i + 1)
	}
	wantArtifact(task, "count", want, report)
}

func checkFlaky(task object, failures string, report reporter) {
	artifacts := task.list("artifacts")
	if len(artifacts) != 1 || len(artifacts[0].texts()) != 1 {
		report("artifact", "has %.200s, want one artifact with one part", canonical(task["artifacts"]))
		return
	}
	var attempt int
	text := artifacts[0].texts()[0]
	if _, err := fmt.Sscanf(text, "completed on attempt %d", &attempt); err != nil {
		report("artifact", "says %q", text)
		return
	}
	if n, err := strconv.Atoi(failures); err != nil || attempt <= n {
		report("artifact", "says %q after %s attempts that fail", text, failures)
	}
}

// checkAsk wants a question, and an answer where one was acknowledged. An empty
// question may be any.
func checkAsk(task object, s *story, parked, question string, report reporter) {
	if len(s.sent) == 0 {
		wantState(task, parked, report)
		if question != "" {
			wantStatusText(task, question, report)
		}
		return
	}
	wantState(task, stateCompleted, report)
	executed := task.messages(roleUser)
	if len(executed) != 2 {
		return // checkHistory tells
	}
	wantArtifact(task, "echo", executed[1].texts(), report)
	history := task.list("history")
	var order []string
	for _, m := range history {
		order = append(order, m.str("role"))
	}
	if want := []string{roleUser, roleAgent, roleUser}; !slices.Equal(order, want) {
		report("history", "the history is of %v, want %v", order, want)
	} else if got := history[1].texts(); question != "" && !slices.Equal(got, []string{question}) {
		report("history", "the question in the history is %q, want %q", got, question)
	}
}

// checkHistory wants every acknowledged message there once, or named in the
// terminal event as one whose turn never came, and nothing else.
func checkHistory(frames []Frame, task object, s *story, report reporter) {
	users := task.messages(roleUser)
	if len(users) == 0 || users[0].str("messageId") != s.message || !slices.Equal(users[0].texts(), []string{s.text}) {
		report("history", "does not begin with the message %s %q: %.300s", s.message, s.text, canonical(task["history"]))
		return
	}
	known := map[string]Message{}
	for _, m := range s.sent {
		known[m.ID] = m
	}
	executed := map[string]bool{}
	for _, u := range users[1:] {
		id := u.str("messageId")
		m, acked := known[id]
		switch {
		case executed[id]:
			report("history", "holds the message %s twice", id)
		case !acked:
			report("history", "holds the message %s, which was refused or never sent", id)
		case !slices.Equal(u.texts(), []string{m.Text}):
			report("history", "the message %s says %q, want %q", id, u.texts(), m.Text)
		}
		executed[id] = true
	}
	checkOrder(users[1:], s, report)
	for _, m := range s.sent {
		if !executed[m.ID] && !namedAtTheEnd(frames, m.ID) {
			report("history", "the acknowledged message %s was neither executed nor refused", m.ID)
		}
	}
}

// checkOrder wants the follow-ups in the order of their acknowledgements: the
// one was acknowledged before the next was sent.
func checkOrder(users []object, s *story, report reporter) {
	place := make(map[string]int, len(s.sent))
	for i, m := range s.sent {
		place[m.ID] = i
	}
	last := -1
	for _, u := range users {
		i, acked := place[u.str("messageId")]
		if !acked {
			continue // checkHistory tells
		}
		if i < last {
			report("history", "holds the message %s after one that was acknowledged later", u.str("messageId"))
		}
		last = i
	}
}

// namedAtTheEnd reports whether the metadata of the last event names a message.
func namedAtTheEnd(frames []Frame, message string) bool {
	if len(frames) == 0 {
		return false
	}
	update := frames[len(frames)-1].Event.at("statusUpdate")
	return terminal(update.state()) && strings.Contains(canonical(update["metadata"]), strconv.Quote(message))
}
