// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"fmt"
	"maps"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"github.com/a2aproject/a2a-go/v2/log"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// maxRelated bounds the referenced tasks that an executor is given.
const maxRelated = 32

// world is what an executor is called with.
type world struct {
	ctx context.Context
	ec  *a2asrv.ExecutorContext
}

// enterWorld restores on this worker what the caller had: the call may have
// been accepted by another process, or long ago.
func (at *attempt) enterWorld(ctx context.Context, msg *a2a.Message, req record.Request) (*world, error) {
	user := at.user(req)
	params := a2asrv.NewServiceParams(req.Params)
	ctx, err := at.callContext(ctx, user, params, req)
	if err != nil {
		return nil, err
	}
	ctx = agent.WithRun(ctx, &agent.Run{Attempt: at.claim.Attempt, Report: at.report})
	ec := &a2asrv.ExecutorContext{
		Message: msg, TaskID: a2a.TaskID(at.ref.ID), ContextID: at.claim.Head.ContextID,
		Metadata: withAccepts(req), User: user, ServiceParams: params, Tenant: at.claim.Head.Agent,
	}
	ec.StoredTask = at.stored(msg)
	if msg != nil && len(msg.ReferenceTasks) > 0 {
		ec.RelatedTasks = at.related(ctx, msg.ReferenceTasks)
	}
	for _, i := range at.w.o.Intercept {
		if ctx, err = i.Intercept(ctx, ec); err != nil {
			return nil, fmt.Errorf("executor context interceptor: %w", err)
		}
	}
	return &world{ctx, ec}, nil
}

// user is who called, or at least whose task it is.
func (at *attempt) user(req record.Request) *a2asrv.User {
	if u := req.User; u != nil {
		return &a2asrv.User{Name: u.Name, Authenticated: u.Authenticated, Attributes: u.Attributes}
	}
	return &a2asrv.User{Name: at.ref.Principal, Authenticated: at.ref.Principal != ""}
}

// callContext makes what a2asrv.CallContextFrom finds, and the values that the
// application's codec restores.
func (at *attempt) callContext(ctx context.Context, user *a2asrv.User, params *a2asrv.ServiceParams, req record.Request) (context.Context, error) {
	ctx, call := a2asrv.NewCallContext(log.AttachLogger(ctx, at.log()), params)
	call.User = user
	for _, uri := range req.Extensions {
		call.Extensions().Activate(&a2a.AgentExtension{URI: uri})
	}
	if name := at.claim.Head.Agent; name != "" {
		// The tenant of a call context is the SDK's to set: its own handler does,
		// on its way to the next one.
		h := a2asrv.InterceptedHandler{Handler: nothing{}, Logger: at.w.o.Logger}
		_, _ = h.SendMessage(ctx, &a2a.SendMessageRequest{Tenant: name}) // nothing has no errors
	}
	if at.w.o.Codec == nil || len(req.Context) == 0 {
		return ctx, nil
	}
	ctx, err := at.w.o.Codec.Decode(ctx, req.Context)
	if err != nil {
		return nil, fmt.Errorf("restore the caller's context: %w", err)
	}
	return ctx, nil
}

// nothing is a handler that does nothing.
type nothing struct{ a2asrv.RequestHandler }

func (nothing) SendMessage(context.Context, *a2a.SendMessageRequest) (a2a.SendMessageResult, error) {
	return nil, nil
}

// withAccepts puts what the caller accepts beside the request's own metadata.
func withAccepts(req record.Request) map[string]any {
	if len(req.Accepts) == 0 {
		return req.Metadata
	}
	m := make(map[string]any, len(req.Metadata)+1)
	maps.Copy(m, req.Metadata)
	m[task.AcceptedModesKey] = req.Accepts
	return m
}

// stored is the task as it is, for all but the first run of the first turn.
func (at *attempt) stored(msg *a2a.Message) *a2a.Task {
	if at.claim.Attempt == 1 && at.claim.Item.Turn == 1 && at.claim.Item.Kind != store.CancelItem && msg != nil {
		return nil
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	if !at.state.Exists() {
		return nil
	}
	return at.view.task(at.state)
}

// related loads the tasks that a message refers to, as far as the caller could
// read them: what it could not is left out without a word.
func (at *attempt) related(ctx context.Context, ids []a2a.TaskID) []*a2a.Task {
	var tasks []*a2a.Task
	size := 0
	for _, id := range ids[:min(len(ids), maxRelated)] {
		st, err := at.w.o.Reader.Load(ctx, task.Ref{Scope: at.ref.Scope, ID: string(id)})
		if err != nil || !st.Head.Listed || st.Head.Agent != at.claim.Head.Agent {
			continue
		}
		s, err := unfold(st)
		if err != nil {
			at.log().Warn("cannot read a referenced task", "referenced", id, "error", err)
			continue
		}
		if size += s.Size(); size > at.w.o.Limits.Task {
			at.log().Warn("the referenced tasks exceed the limit of a task; the rest is left out", "referenced", id)
			break
		}
		tasks = append(tasks, (&view{}).task(s))
	}
	return tasks
}
