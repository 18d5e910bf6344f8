// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/errand-a2a/errand/internal/client"
)

type sendFlags struct {
	parts                                partFlags
	async, returnImmediately, noWait     bool
	wait                                 bool
	pollInterval                         time.Duration
	contextID, taskID, metadata, idemKey string
	history                              int
}

func (r *run) sendCommand() *cobra.Command {
	f := &sendFlags{}
	c := &cobra.Command{
		Use:   "send [TEXT...]",
		Short: "Send a message, to start a task or to continue one",
		Long: `Send a message, to start a task or to continue one, and wait until the task is
over or needs an answer. TEXT, or - for standard input, is the first part of the
message; --text, --file and --data add parts in the order they are given.`,
		Example: `  errand send "what can you do?"
  errand send --stream "count to 10"
  errand send --async "a long job"
  errand send --task-id TASK "the answer"
  errand send "look at this" --file report.bin --media-type application/pdf`,
		RunE: func(cmd *cobra.Command, args []string) error { return r.send(cmd.Context(), f, args) },
	}
	fl := c.Flags()
	fl.Var(partValue{"text", "string", &f.parts}, "text", "add a text part; repeatable")
	fl.Var(partValue{"file", "path|url", &f.parts}, "file", "add a file: a local one is sent along, a URL is for the agent to fetch; repeatable")
	fl.Var(partValue{"data", "path|-", &f.parts}, "data", "add a JSON document from a file or standard input; repeatable")
	fl.Var(partValue{"media-type", "type", &f.parts}, "media-type", "media type of the part whose flag stands before it (default: told from the file)")
	fl.BoolVar(&f.async, "async", false, "do not wait: print the task's ids and return")
	fl.BoolVar(&f.returnImmediately, "return-immediately", false, "the same as --async")
	fl.BoolVar(&f.noWait, "no-wait", false, "the same as --async")
	fl.BoolVar(&f.wait, "wait", false, "wait until the task is over or needs an answer (this is the default)")
	fl.DurationVar(&f.pollInterval, "poll-interval", 2*time.Second, "how often to look where the agent cannot stream")
	fl.StringVar(&f.contextID, "context-id", "", "start the task in this context")
	fl.StringVar(&f.taskID, "task-id", "", "continue this task")
	fl.StringVar(&f.metadata, "metadata", "", "metadata of the message, a JSON object")
	fl.IntVar(&f.history, "history", -1, "how many messages of history to return; -1 leaves that to the agent")
	fl.StringVar(&f.idemKey, "idempotency-key", "", "repeats with this key join the task the first one made (default: a new key)")
	_ = fl.MarkHidden("return-immediately")
	_ = fl.MarkHidden("no-wait")
	return c
}

func (r *run) send(parent context.Context, f *sendFlags, args []string) error {
	req, err := f.request(r.in, args)
	if err != nil {
		return err
	}
	async := f.async || f.returnImmediately || f.noWait
	if async && f.wait && r.settings.source("wait") == sourceFlag && r.settings.source("async") != sourceFlag {
		async = f.returnImmediately || f.noWait // --wait stands against a configured default only
	}
	switch {
	case async && f.wait:
		return usage("--async and --wait exclude each other", "")
	case async && r.global.stream:
		return usage("--async and --stream exclude each other", "send with --async, then: errand task subscribe TASK --stream")
	case f.pollInterval < minPoll:
		return usage("--poll-interval is below "+minPoll.String(), "")
	}
	r.wraps, r.wantHistory = true, f.history > 0
	ctx, cancel := r.deadline(parent, 0)
	defer cancel()
	c, err := r.dial(ctx)
	if err != nil {
		return err
	}
	if err := r.showSent(c, req); err != nil {
		return err
	}
	o := client.SendOptions{IdempotencyKey: f.idemKey}
	if o.IdempotencyKey == "" {
		o.IdempotencyKey = uuid.NewString()
	}
	if async {
		req.Config.ReturnImmediately = true
		reply, err := c.Send(ctx, req, o)
		if err != nil {
			return err
		}
		return r.showAsync(reply)
	}
	if r.global.stream {
		err = r.sendStream(ctx, c, req, o, f)
	} else {
		err = r.sendWait(ctx, c, req, o, f)
	}
	return r.detach(parent, c, err)
}

// showAsync adds how to go on to what a task that nobody waits for is known by.
func (r *run) showAsync(reply client.Reply) error {
	if err := r.showReply(reply); err != nil || r.json() || reply.Kind != client.KindTask || client.Settled(reply.State) {
		return err
	}
	t := r.text()
	t.field("Follow", r.command("task subscribe", reply.TaskID, "--stream"))
	return r.write(t)
}

// request makes the message. A key that the user chose also makes the message
// id: a repeat on another day must be the same message to be taken for it.
func (f *sendFlags) request(stdin io.Reader, args []string) (*a2a.SendMessageRequest, error) {
	text := strings.Join(args, " ")
	if len(args) == 1 && args[0] == "-" {
		b, err := readInline(stdin, "standard input")
		if err != nil {
			return nil, usage(err.Error(), "")
		}
		text = string(b)
	}
	parts, err := f.parts.build(stdin)
	if err != nil {
		return nil, err
	}
	if len(args) > 0 {
		parts = append([]*a2a.Part{a2a.NewTextPart(text)}, parts...)
	}
	if len(parts) == 0 {
		return nil, usage("there is nothing to send", `errand send "some text"`)
	}
	meta, err := parseMetadata(f.metadata)
	if err != nil {
		return nil, err
	}
	m := a2a.NewMessage(a2a.MessageRoleUser, parts...)
	m.TaskID, m.ContextID, m.Metadata = a2a.TaskID(f.taskID), f.contextID, meta
	if f.idemKey != "" {
		m.ID = uuid.NewSHA1(uuid.NameSpaceOID, []byte("errand:"+f.idemKey)).String()
	}
	req := &a2a.SendMessageRequest{Message: m, Config: &a2a.SendMessageConfig{}, Metadata: meta}
	if f.history >= 0 {
		req.Config.HistoryLength = &f.history
	}
	return req, nil
}

func (r *run) showSent(c *client.Client, req *a2a.SendMessageRequest) error {
	if !r.global.verbose || r.json() {
		return nil
	}
	raw, err := json.Marshal(req.Message)
	if err != nil {
		return err
	}
	var m messageView
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	in, t := c.Interface(), r.text()
	t.field("Agent", r.card.Name)
	t.field("Interface", strings.TrimSpace(string(in.ProtocolBinding)+" "+string(in.ProtocolVersion)+" "+in.URL))
	t.field("Sent", m.MessageID)
	t.parts("Text", m.Parts)
	t.metadata(m.Metadata)
	t.gap()
	return r.write(t)
}

// sendStream shows the events of the turn as they come.
func (r *run) sendStream(ctx context.Context, c *client.Client, req *a2a.SendMessageRequest, o client.SendOptions, f *sendFlags) error {
	if !r.card.Capabilities.Streaming {
		r.say("the agent does not stream; waiting for the result")
		reply, err := r.sendPoll(ctx, c, req, o, f)
		if err != nil {
			return err
		}
		return r.showReply(reply)
	}
	last, err := r.follow(c.Stream(ctx, req, o), f.taskID != "", r.showEvent)
	if err != nil {
		return err
	}
	r.warn(last.Reply)
	return nil
}

// sendWait waits for the turn and shows what came of it. It listens to the
// stream where there is one: that names the task at once, so that an
// interruption or a broken connection loses nothing.
func (r *run) sendWait(ctx context.Context, c *client.Client, req *a2a.SendMessageRequest, o client.SendOptions, f *sendFlags) error {
	defer r.announce()()
	if !r.card.Capabilities.Streaming {
		reply, err := r.sendPoll(ctx, c, req, o, f)
		if err != nil {
			return err
		}
		return r.showReply(reply)
	}
	last, err := r.follow(c.Stream(ctx, req, o), f.taskID != "", nil)
	if err != nil && ctx.Err() == nil && last.TaskID != "" && r.passing(err) {
		r.say("the stream is lost (%v); asking for the task instead", err)
		task, err := r.poll(ctx, c, last.TaskID, req.Config.HistoryLength, f.pollInterval)
		if err != nil {
			return err
		}
		return r.showReply(task.Reply())
	}
	if err != nil {
		return err
	}
	if last.Kind == client.KindMessage {
		return r.showReply(last.Reply)
	}
	// The events said that it is over; the whole of it is in the task.
	task, err := c.GetTask(ctx, last.TaskID, req.Config.HistoryLength)
	if err != nil {
		return err
	}
	return r.showReply(task.Reply())
}

// sendPoll sends without a stream, and looks until the task has settled.
func (r *run) sendPoll(ctx context.Context, c *client.Client, req *a2a.SendMessageRequest, o client.SendOptions, f *sendFlags) (client.Reply, error) {
	reply, err := c.Send(ctx, req, o)
	if err != nil {
		return reply, err
	}
	r.note(reply)
	if reply.Kind != client.KindTask || client.Settled(reply.State) {
		return reply, nil
	}
	task, err := r.poll(ctx, c, reply.TaskID, req.Config.HistoryLength, f.pollInterval)
	if err != nil {
		return reply, err
	}
	return task.Reply(), nil
}
