// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// script is a short play of one task: a send and what follows it.
type script struct {
	load   *Load
	tokens <-chan struct{}
	task   string
}

// play draws one of the scripts. The weights make most tasks run when a kill
// comes and keep the server's 64 executions from being the bound.
func (s *script) play(ctx context.Context) error {
	l := s.load
	switch n := l.intn(100); {
	case n < 20:
		return s.stream(ctx, newMessage("", s.countText()), false)
	case n < 32:
		return s.sendOnly(ctx, s.countText(), true)
	case n < 50:
		return s.converse(ctx)
	case n < 58:
		return s.sendOnly(ctx, fmt.Sprintf("flaky %d", l.between(1, 2)), true)
	case n < 66:
		return s.cancel(ctx, "hang")
	case n < 72:
		return s.cancel(ctx, "count to 100000 every 20ms")
	case n < 78:
		return s.cancel(ctx, fmt.Sprintf("count to %d every 10ms", l.between(3, 10)))
	case n < 80:
		return s.sendOnly(ctx, "fail "+newID(), false)
	case n < 82:
		return s.sendOnly(ctx, "reject "+newID(), s.load.intn(2) == 0)
	case n < 87:
		return s.repeat(ctx, "echo "+newID())
	default:
		return s.sendOnly(ctx, "echo "+newID(), false)
	}
}

func (s *script) countText() string {
	return fmt.Sprintf("count to %d every %dms", s.load.between(5, 40), s.load.between(5, 25))
}

// pace waits for the turn of one more operation.
func (s *script) pace(ctx context.Context) error {
	select {
	case <-s.tokens:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send makes a task and writes its acknowledgement.
func (s *script) send(ctx context.Context, m Message, returnImmediately bool) error {
	if err := s.load.intend(opSend, m); err != nil {
		return err
	}
	result, err := s.load.client.CallUntilAnswered(ctx, "SendMessage", m.params(returnImmediately), m.header())
	if err != nil {
		return fmt.Errorf("%q: %w", m.Text, err)
	}
	task := result.at("task")
	if s.task = task.str("id"); s.task == "" {
		return fmt.Errorf("%q was answered with no task: %.200s", m.Text, canonical(result))
	}
	if !returnImmediately && !settled(task.state()) {
		s.load.report("state", s.task, "one who waited was told "+task.state())
	}
	return s.ackSend(m, task.state())
}

func (s *script) ackSend(m Message, state string) error {
	return s.load.ack(Entry{Op: opSend, Task: s.task, Text: m.Text, Message: m.ID, Key: m.Key, State: state})
}

func (s *script) sendOnly(ctx context.Context, text string, returnImmediately bool) error {
	return s.send(ctx, newMessage("", text), returnImmediately)
}

// repeat sends the same message twice with one key: it must make one task. With
// another text the key must be refused.
func (s *script) repeat(ctx context.Context, text string) error {
	m := newMessage("", text)
	if err := s.send(ctx, m, s.load.intn(2) == 0); err != nil {
		return err
	}
	if err := s.again(ctx, m); err != nil {
		return err
	}
	if s.load.intn(2) == 0 {
		return nil
	}
	if err := s.pace(ctx); err != nil {
		return err
	}
	other := newMessage("", "echo "+newID())
	other.Key = m.Key
	result, err := s.load.client.CallUntilAnswered(ctx, "SendMessage", other.params(true), other.header())
	switch {
	case err == nil:
		s.load.report("duplicate", s.task, fmt.Sprintf("its key was taken for another message: %.200s", canonical(result)))
		return nil
	case codeOf(err) != codeInvalidParams:
		return fmt.Errorf("another message with the key of %q: %w", text, err)
	}
	return s.load.ack(Entry{Op: opRefused, Task: s.task, Text: other.Text, Message: other.ID})
}

// again sends a message of the task once more and writes which task answered.
func (s *script) again(ctx context.Context, m Message) error {
	if err := s.pace(ctx); err != nil {
		return err
	}
	result, err := s.load.client.CallUntilAnswered(ctx, "SendMessage", m.params(s.load.intn(2) == 0), m.header())
	if m.Task != "" && codeOf(err) == codeUnsupported {
		return nil // the task ended before the turn that the key stands for
	}
	if err != nil {
		return fmt.Errorf("repeat of %q: %w", m.Text, err)
	}
	return s.load.ack(Entry{Op: opRepeat, Task: result.at("task").str("id"), Text: m.Text, Message: m.ID, Key: m.Key})
}

// stream sends a message and reads the frames of its turn. The first frame of
// a new task is its acknowledgement. parked says that m answers a task that is
// known to wait.
func (s *script) stream(ctx context.Context, m Message, parked bool) error {
	f := NewFollower(s.load.client, m)
	var frames []string
	var snapshot json.RawMessage
	var fault error
	f.OnFrame = func(frame Frame) {
		if len(frames) == 0 && m.Task == "" {
			s.task = f.Task
			fault = s.ackSend(m, f.State)
		}
		if t := frame.Event.at("task"); t != nil && frame.ID > 1 {
			snapshot, fault = json.Marshal(t)
			parked = parked && f.Resumed == 0 // a repeat is shown the task as it was before
		}
		frames = append(frames, hashOf(frame))
		if frame.Event.at("artifactUpdate") != nil {
			s.load.moved(f.Task, false)
		}
	}
	of := opSend
	if m.Task != "" {
		of = opFollowUp
	}
	if err := s.load.intend(of, m); err != nil {
		return err
	}
	err := f.Follow(ctx)
	s.load.moved(f.Task, true)
	s.load.resumed.Add(int64(f.Resumed))
	if err == nil {
		err = fault
	}
	if err != nil {
		return fmt.Errorf("stream of %q: %w", m.Text, err)
	}
	return s.load.ledger.Append(Entry{
		Op: opStream, Task: f.Task, Message: m.ID, State: f.State, From: f.First, Frames: frames,
		Snapshot: snapshot, Parked: parked,
	})
}

// converse asks and, mostly, answers: after the question, behind the running
// turn, or twice at once.
func (s *script) converse(ctx context.Context) error {
	waits := s.load.intn(2) == 0
	text := "ask " + newID()
	if s.load.intn(4) == 0 {
		text = "auth"
	}
	if err := s.send(ctx, newMessage("", text), !waits); err != nil {
		return err
	}
	switch n := s.load.intn(10); {
	case n == 0:
		return nil // stays parked
	case n < 3:
		// Nobody waits for the answers: whether the second is refused at
		// once or by the end of the task, it must not vanish.
		if err := s.answer(ctx, true); err != nil {
			return err
		}
		return s.answer(ctx, true)
	case n < 6:
		if err := s.pace(ctx); err != nil {
			return err
		}
		return s.streamAnswer(ctx, waits)
	default:
		return s.answer(ctx, s.load.intn(2) == 0)
	}
}

// answer sends a message to the task and writes whether it was taken.
func (s *script) answer(ctx context.Context, returnImmediately bool) error {
	if err := s.pace(ctx); err != nil {
		return err
	}
	m := newMessage(s.task, "echo "+newID())
	if err := s.load.intend(opFollowUp, m); err != nil {
		return err
	}
	taken, err := s.followUp(ctx, m, returnImmediately)
	if err != nil || !taken || s.load.intn(4) > 0 {
		return err
	}
	return s.again(ctx, m)
}

func (s *script) followUp(ctx context.Context, m Message, returnImmediately bool) (taken bool, err error) {
	result, err := s.load.client.CallUntilAnswered(ctx, "SendMessage", m.params(returnImmediately), m.header())
	e := Entry{Op: opFollowUp, Task: s.task, Text: m.Text, Message: m.ID, Key: m.Key, State: result.at("task").state()}
	if codeOf(err) == codeUnsupported {
		e.Op, err = opRefused, nil
	}
	if err != nil {
		return false, fmt.Errorf("answer: %w", err)
	}
	return e.Op == opFollowUp, s.load.ack(e)
}

func (s *script) streamAnswer(ctx context.Context, parked bool) error {
	m := newMessage(s.task, "echo "+newID())
	if err := s.stream(ctx, m, parked); err != nil {
		return err
	}
	return s.load.ack(Entry{Op: opFollowUp, Task: s.task, Text: m.Text, Message: m.ID, Key: m.Key})
}

// cancel makes a task, lets it run for a moment and cancels it.
func (s *script) cancel(ctx context.Context, text string) error {
	if err := s.sendOnly(ctx, text, true); err != nil {
		return err
	}
	if err := wait(ctx, time.Duration(s.load.intn(150))*time.Millisecond); err != nil {
		return err
	}
	if err := s.pace(ctx); err != nil {
		return err
	}
	return s.cancelNow(ctx)
}

func (s *script) cancelNow(ctx context.Context) error {
	if err := s.load.intend(opCancel, Message{Task: s.task}); err != nil {
		return err
	}
	state, err := cancelTask(ctx, s.load.client, s.task)
	if err != nil {
		return err
	}
	return s.load.ack(Entry{Op: opCancel, Task: s.task, State: state})
}

// cancelTask returns the state in the answer, "" where the task was not
// cancelable any more.
func cancelTask(ctx context.Context, c *Client, task string) (string, error) {
	result, err := c.CallUntilAnswered(ctx, "CancelTask", map[string]any{"id": task}, nil)
	if codeOf(err) == codeNotCancelable {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cancel: %w", err)
	}
	if state := result.state(); state != stateCanceled {
		return "", fmt.Errorf("cancel was answered with the state %q", state)
	}
	return stateCanceled, nil
}

func newMessage(task, text string) Message {
	return Message{ID: "m-" + newID(), Key: "k-" + newID(), Task: task, Text: text}
}
