// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/client"
)

func settledState(s string) bool { return client.Settled(a2a.TaskState(s)) }

// follow reads a stream until its turn is over and shows each event if show is
// set. followUp says that the message goes to a task which exists: its first
// frame may be the task as it waited before the message.
func (r *run) follow(seq iter.Seq2[client.StreamItem, error], followUp bool, show func(client.StreamItem) error) (client.StreamItem, error) {
	var last client.StreamItem
	first := true
	for item, err := range seq {
		if err != nil {
			return last, err
		}
		r.note(item.Reply)
		last = item
		if show != nil {
			if err := show(item); err != nil {
				return last, err
			}
		}
		if client.Interrupted(item.State) && !(first && followUp) {
			break
		}
		first = false
	}
	return last, nil
}

func (r *run) note(reply client.Reply) { r.seen.note(reply.TaskID, reply.ContextID, reply.State) }

// showEvent writes one event of a stream in the chosen format.
func (r *run) showEvent(item client.StreamItem) error {
	if r.json() {
		return r.writeJSON(item.Raw)
	}
	v, err := viewEvent(item.Raw)
	if err != nil {
		return err
	}
	t := r.text()
	t.event(v)
	if client.Interrupted(item.State) {
		t.field("Resume", r.reply(item.TaskID))
	}
	return r.write(t)
}

// showReply writes the one result of send.
func (r *run) showReply(reply client.Reply) error {
	r.note(reply)
	if err := r.showEvent(client.StreamItem{Reply: reply}); err != nil {
		return err
	}
	r.warn(reply)
	return nil
}

// showTask writes the one result of a command about a task.
func (r *run) showTask(task client.TaskReply) error {
	r.seen.note(task.TaskID, task.ContextID, task.State)
	if r.json() {
		if err := r.writeJSON(task.Raw); err != nil {
			return err
		}
	} else if err := r.showEvent(client.StreamItem{Reply: task.Reply()}); err != nil {
		return err
	}
	r.warn(task.Reply())
	return nil
}

// warn names an outcome that is no success: the exit status does not.
func (r *run) warn(reply client.Reply) {
	switch s := reply.State; {
	case client.Interrupted(s):
		r.say("warning: the task waits (%s); answer it with: %s", s, r.reply(reply.TaskID))
	case s == a2a.TaskStateCanceled && r.cancels:
		// That is the success of task cancel.
	case s.Terminal() && s != a2a.TaskStateCompleted:
		why := statusText(reply.Raw)
		if why != "" {
			why = ": " + why
		}
		r.say("warning: the task ended as %s%s", s, why)
	}
}

// statusText is the status message's text, for a warning.
func statusText(raw json.RawMessage) string {
	v, err := viewEvent(raw)
	if err != nil {
		return ""
	}
	var m *messageView
	switch {
	case v.Task != nil:
		m = v.Task.Status.Message
	case v.StatusUpdate != nil:
		m = v.StatusUpdate.Status.Message
	}
	if m == nil {
		return ""
	}
	for _, raw := range m.Parts {
		var p partView
		if json.Unmarshal(raw, &p) == nil && p.Text != nil {
			return *p.Text
		}
	}
	return ""
}

// announce tells on stderr which task a silent wait is for, once it has lasted
// long enough to make anybody wonder. The returned func ends that.
func (r *run) announce() func() {
	timer := time.AfterFunc(2*time.Second, func() {
		if task, _, state := r.seen.get(); task != "" && !client.Settled(state) {
			r.say("waiting for task %s", task)
		}
	})
	return func() { timer.Stop() }
}

// detach ends a wait that the user interrupted: the task goes on without us.
// It reports err for what it was if there is no task to come back to.
func (r *run) detach(parent context.Context, c *client.Client, err error) error {
	task, contextID, state := r.seen.get()
	if err == nil || parent.Err() == nil || errors.Is(parent.Err(), context.DeadlineExceeded) {
		return err
	}
	if task == "" {
		return errInterrupted
	}
	r.say("detached; task %s goes on. Come back to it with: %s", task, r.command("task subscribe", task, "--stream"))
	switch {
	case !r.json():
		t := r.text()
		t.names(task, contextID, state.String())
		return r.write(t)
	case r.global.stream:
		return nil // the lines written so far name the task
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(parent), 2*time.Second)
	defer cancel()
	reply, err := c.GetTask(ctx, task, nil)
	if err != nil {
		return fmt.Errorf("detached from task %s and could not read it: %w", task, err)
	}
	if r.wraps {
		return r.writeJSON(reply.Reply().Raw)
	}
	return r.writeJSON(reply.Raw)
}

// poll asks for a task until it has settled. Once it has been seen, an agent
// that cannot be reached for a while is asked again, ever less often.
func (r *run) poll(ctx context.Context, c *client.Client, id string, history *int, every time.Duration) (client.TaskReply, error) {
	wait, failing := every, false
	for {
		task, err := c.GetTask(ctx, id, history)
		switch {
		case err == nil:
			r.seen.note(task.TaskID, task.ContextID, task.State)
			if client.Settled(task.State) {
				return task, nil
			}
			if failing {
				r.resumed(0)
			}
			wait, failing = every, false
		case !r.passing(err):
			return task, err
		default:
			if !failing {
				r.reconnecting(err, 1)
			}
			wait, failing = min(wait*2, max(every, 30*time.Second)), true
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return task, ctx.Err()
		}
	}
}

// passing reports whether an error may pass while a known task goes on.
func (r *run) passing(err error) bool {
	var gone *client.UnreachableError
	var bad *client.AnswerError
	task, _, _ := r.seen.get()
	return task != "" && (errors.As(err, &gone) || errors.As(err, &bad) && bad.HTTPStatus >= 500)
}
