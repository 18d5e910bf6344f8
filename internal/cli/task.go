// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/spf13/cobra"

	"github.com/errand-a2a/errand/internal/client"
)

// minPoll keeps a typing error from becoming a busy loop.
const minPoll = 50 * time.Millisecond

func (r *run) taskGetCommand() *cobra.Command {
	var (
		wait, watch bool
		every       time.Duration
		history     int
	)
	c := &cobra.Command{
		Use: "get TASK", Short: "Show a task's state and artifacts", Args: oneTask,
		RunE: func(cmd *cobra.Command, args []string) error {
			if every < minPoll {
				return usage("--poll-interval is below "+minPoll.String(), "")
			}
			r.wantHistory = history > 0
			length, err := historyLength(history)
			if err != nil {
				return err
			}
			return r.taskGet(cmd.Context(), args[0], wait || watch, length, every)
		},
	}
	c.Flags().BoolVar(&wait, "wait", false, "look until the task is over or needs an answer")
	c.Flags().BoolVar(&watch, "watch", false, "the same as --wait")
	_ = c.Flags().MarkHidden("watch")
	c.Flags().DurationVar(&every, "poll-interval", 2*time.Second, "how often to look with --wait")
	c.Flags().IntVar(&history, "history", -1, "how many messages of history to return; -1 leaves that to the agent")
	return c
}

func historyLength(n int) (*int, error) {
	switch {
	case n < -1:
		return nil, usage("--history is negative", "")
	case n == -1:
		return nil, nil
	}
	return &n, nil
}

func (r *run) taskGet(parent context.Context, id string, wait bool, history *int, every time.Duration) error {
	fallback := unaryTimeout
	if wait {
		fallback = 0
	}
	ctx, cancel := r.deadline(parent, fallback)
	defer cancel()
	c, err := r.dial(ctx)
	if err != nil {
		return err
	}
	var task client.TaskReply
	if wait {
		defer r.announce()()
		task, err = r.poll(ctx, c, id, history, every)
	} else {
		task, err = c.GetTask(ctx, id, history)
	}
	if err != nil {
		return r.detach(parent, c, err)
	}
	return r.showTask(task)
}

func (r *run) taskCancelCommand() *cobra.Command {
	var metadata string
	c := &cobra.Command{
		Use: "cancel TASK", Short: "Cancel a task", Args: oneTask,
		RunE: func(cmd *cobra.Command, args []string) error {
			r.cancels = true
			meta, err := parseMetadata(metadata)
			if err != nil {
				return err
			}
			ctx, cancel := r.deadline(cmd.Context(), unaryTimeout)
			defer cancel()
			c, err := r.dial(ctx)
			if err != nil {
				return err
			}
			r.seen.note(args[0], "", "")
			task, err := c.CancelTask(ctx, args[0], meta)
			if err != nil {
				return err
			}
			return r.showTask(task)
		},
	}
	c.Flags().StringVar(&metadata, "metadata", "", "metadata of the request, a JSON object")
	return c
}

func (r *run) taskSubscribeCommand() *cobra.Command {
	var keep bool
	var after uint64
	c := &cobra.Command{
		Use: "subscribe TASK", Short: "Follow a task until it is over or needs an answer", Args: oneTask,
		Long: `Follow a task until it is over or needs an answer. With --stream its events are
shown as they come; without, the task is shown once, at the end.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.taskSubscribe(cmd.Context(), args[0], after, keep)
		},
	}
	c.Flags().BoolVar(&keep, "keep", false, "go on when the task needs an answer, until it is over")
	c.Flags().Uint64Var(&after, "after", 0, "show events from the one behind this number (agents that number events); 0 starts with the task")
	return c
}

func (r *run) taskSubscribe(parent context.Context, id string, after uint64, keep bool) error {
	ctx, cancel := r.deadline(parent, 0)
	defer cancel()
	c, err := r.dial(ctx)
	if err != nil {
		return err
	}
	show := r.showEvent
	if !r.global.stream {
		show = nil
		defer r.announce()()
	}
	r.seen.note(id, "", "")
	last, err := r.subscribe(ctx, c, id, after, keep, show)
	if err != nil {
		return r.detach(parent, c, err)
	}
	if r.global.stream {
		r.warn(last.Reply)
		return nil
	}
	task, err := c.GetTask(ctx, id, nil)
	if err != nil {
		return r.detach(parent, c, err)
	}
	return r.showTask(task)
}

func (r *run) subscribe(ctx context.Context, c *client.Client, id string, after uint64, keep bool, show func(client.StreamItem) error) (client.StreamItem, error) {
	var last client.StreamItem
	if !keep {
		return r.follow(c.Subscribe(ctx, id, after), false, show)
	}
	for item, err := range c.Subscribe(ctx, id, after) {
		if err != nil {
			return last, err
		}
		last = item
		r.note(item.Reply)
		if show == nil {
			continue
		}
		if err := show(item); err != nil {
			return last, err
		}
	}
	return last, nil
}

type listFlags struct {
	contextID, status, since, pageToken string
	pageSize, history                   int
	artifacts                           bool
}

func (r *run) taskListCommand() *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use: "list", Short: "List tasks, the latest first", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.taskList(cmd.Context(), f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.contextID, "context-id", "", "only tasks of this context")
	fl.StringVar(&f.status, "status", "", "only tasks in this state, such as working or TASK_STATE_WORKING")
	fl.StringVar(&f.since, "since", "", "only tasks whose state changed since: a time (RFC 3339) or how long ago (90m)")
	fl.IntVar(&f.pageSize, "page-size", 0, "tasks on a page, 1 to 100; 0 leaves that to the agent")
	fl.StringVar(&f.pageToken, "page-token", "", "go on where the page with this next-page token ended")
	fl.IntVar(&f.history, "history", -1, "how many messages of history to return; -1 leaves that to the agent")
	fl.BoolVar(&f.artifacts, "include-artifacts", false, "show the tasks' artifacts too")
	return c
}

func (f listFlags) request(now time.Time) (a2a.ListTasksRequest, error) {
	req := a2a.ListTasksRequest{ContextID: f.contextID, PageSize: f.pageSize, PageToken: f.pageToken, IncludeArtifacts: f.artifacts}
	var err error
	if req.HistoryLength, err = historyLength(f.history); err != nil {
		return req, err
	}
	if f.pageSize < 0 || f.pageSize > 100 {
		return req, usage("--page-size is outside of 1 to 100", "")
	}
	if req.Status, err = parseState(f.status); err != nil {
		return req, err
	}
	if f.since == "" {
		return req, nil
	}
	at, err := time.Parse(time.RFC3339Nano, f.since)
	if err != nil {
		ago, err := time.ParseDuration(f.since)
		if err != nil || ago < 0 {
			return req, usage(fmt.Sprintf("--since is %q; it can be 2026-01-31T12:00:00Z or 90m", f.since), "")
		}
		at = now.Add(-ago)
	}
	at = at.UTC()
	req.StatusTimestampAfter = &at
	return req, nil
}

func parseState(s string) (a2a.TaskState, error) {
	if s == "" {
		return "", nil
	}
	name := strings.ToUpper(strings.ReplaceAll(s, "-", "_"))
	if !strings.HasPrefix(name, "TASK_STATE_") {
		name = "TASK_STATE_" + name
	}
	all := []a2a.TaskState{
		a2a.TaskStateSubmitted, a2a.TaskStateWorking, a2a.TaskStateInputRequired, a2a.TaskStateAuthRequired,
		a2a.TaskStateCompleted, a2a.TaskStateFailed, a2a.TaskStateCanceled, a2a.TaskStateRejected,
	}
	var names []string
	for _, state := range all {
		if string(state) == name {
			return state, nil
		}
		names = append(names, strings.ToLower(strings.TrimPrefix(string(state), "TASK_STATE_")))
	}
	return "", usage(fmt.Sprintf("--status is %q; it can be %s", s, strings.ReplaceAll(strings.Join(names, ", "), "_", "-")), "")
}

func (r *run) taskList(parent context.Context, f listFlags) error {
	r.wantHistory = f.history > 0
	req, err := f.request(time.Now())
	if err != nil {
		return err
	}
	ctx, cancel := r.deadline(parent, unaryTimeout)
	defer cancel()
	c, err := r.dial(ctx)
	if err != nil {
		return err
	}
	list, err := c.ListTasks(ctx, req)
	if err != nil {
		return err
	}
	if r.json() {
		return r.listJSON(list)
	}
	t := r.text()
	for _, raw := range list.Tasks {
		v, err := viewTask(raw)
		if err != nil {
			return err
		}
		t.task(v)
		t.gap()
	}
	t.field("Tasks", fmt.Sprintf("%d of %d", len(list.Tasks), max(list.TotalSize, len(list.Tasks))))
	if list.NextPageToken != "" {
		t.field("Next page", list.NextPageToken)
	}
	return r.write(t)
}

func (r *run) listJSON(list client.ListReply) error {
	if !r.global.stream {
		return r.writeJSON(list.Raw)
	}
	for _, raw := range list.Tasks {
		if err := r.writeJSON(raw); err != nil {
			return err
		}
	}
	if list.NextPageToken != "" {
		r.say("there are more: --page-token %s", shellQuote(list.NextPageToken))
	}
	return nil
}
