// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"fmt"
	"strings"
)

// checkLog wants the sequence 1..n, and one terminal event at its end.
func checkLog(frames []Frame, s *story, report reporter) {
	if len(frames) == 0 {
		report("gap", "the log is empty")
		return
	}
	attempt, steps := 0, 0
	for i, f := range frames {
		sequence, a := eventMeta(f.Event)
		if f.ID != i+1 {
			report("gap", "event %d of the log has the id %d", i+1, f.ID)
			return
		}
		if sequence != f.ID {
			report("gap", "event %d says in its metadata that it is %d", f.ID, sequence)
		}
		if a > 0 { // what was recorded without the agent belongs to no attempt
			steps += boolInt(a < attempt)
			attempt = a
		}
		if terminal(eventState(f.Event)) && i != len(frames)-1 {
			report("terminals", "event %d is %s and event %d follows", f.ID, eventState(f.Event), f.ID+1)
		}
	}
	// Attempts count anew with every turn and with a cancellation, never
	// within one: that would be an event of an owner that had lost its lease.
	if turns := len(s.sent); steps > turns+boolInt(s.canceled || s.uncancelable) {
		report("attempt", "the attempt went down %d times in %d turns", steps, turns+1)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// checkFold wants the fold of the log to be the task.
func checkFold(frames []Frame, task object, report reporter) {
	folded, err := foldAll(frames)
	if err != nil {
		report("fold", "%v", err)
		return
	}
	if folded == nil {
		return // checkLog tells
	}
	for _, difference := range compareTasks(folded, task) {
		report("fold", "the log and GetTask differ: %s", difference)
	}
}

// foldAll folds frames from their raw bytes: fold may change what it is given.
func foldAll(frames []Frame) (object, error) {
	var folded object
	for _, f := range frames {
		event, err := parseObject(f.Raw)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", f.ID, err)
		}
		if folded, err = fold(folded, event); err != nil {
			return nil, fmt.Errorf("event %d: %w", f.ID, err)
		}
	}
	return folded, nil
}

// compareTasks tells where two tasks differ. A follow-up has no event of its
// own on the wire, so the histories are compared by what the agent said; what
// the user said, the story knows.
func compareTasks(folded, task object) []string {
	var differences []string
	compare := func(what, a, b string) {
		if a != b {
			differences = append(differences, fmt.Sprintf("%s: %.300s and %.300s", what, a, b))
		}
	}
	for _, field := range []string{"id", "contextId", "status", "artifacts"} {
		compare(field, canonical(folded[field]), canonical(task[field]))
	}
	compare("metadata", canonical(withoutResume(folded.at("metadata"))), canonical(withoutResume(task.at("metadata"))))
	compare("the agent's history", canonicals(folded.messages(roleAgent)), canonicals(task.messages(roleAgent)))
	return differences
}

func canonicals(list []object) string {
	var c []string
	for _, o := range list {
		c = append(c, canonical(o))
	}
	return strings.Join(c, "\n")
}

// checkStreams wants every frame that a follower was shown in the log, byte
// for byte: what was visible was durable.
func checkStreams(frames []Frame, s *story, report reporter) {
	for _, stream := range s.streams {
		if stream.From < 1 || stream.From-1+len(stream.Frames) > len(frames) {
			report("stream", "a follower saw the events %d to %d, the log has %d",
				stream.From, stream.From-1+len(stream.Frames), len(frames))
			continue
		}
		if len(stream.Snapshot) > 0 {
			checkSnapshot(frames[:stream.From], stream, report)
		}
		for i, hash := range stream.Frames {
			if i == 0 && len(stream.Snapshot) > 0 {
				continue
			}
			if at := stream.From - 1 + i; hashOf(frames[at]) != hash {
				report("stream", "event %d is not what a follower was shown: %.300s", at+1, frames[at].Raw)
				break
			}
		}
	}
}

// checkSnapshot wants the Task that opened the stream of a follow-up to be the
// fold of the log up to there; where the task had waited for the follow-up,
// with that as the last word of the user.
func checkSnapshot(frames []Frame, stream Entry, report reporter) {
	shown, err := parseObject(stream.Snapshot)
	if err != nil {
		report("stream", "%v", err)
		return
	}
	folded, err := foldAll(frames)
	if err != nil {
		return // checkFold tells
	}
	for _, difference := range compareTasks(folded, shown) {
		report("stream", "the log and the Task that a follower was shown at %d differ: %s", stream.From, difference)
	}
	users := shown.messages(roleUser)
	if stream.Parked && (len(users) == 0 || users[len(users)-1].str("messageId") != stream.Message) {
		report("stream", "the Task at %d, shown to the sender of %s, does not hold that message: %.300s",
			stream.From, stream.Message, canonical(shown["history"]))
	}
}
