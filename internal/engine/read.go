// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"strconv"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// Get gives a task as JSON.
func (e *Engine) Get(ctx context.Context, call Call, req *a2a.GetTaskRequest) ([]byte, error) {
	call, err := e.Admit(ctx, call)
	if err != nil {
		return nil, err
	}
	if err := validHistory("historyLength", req.HistoryLength); err != nil {
		return nil, err
	}
	_, s, err := e.load(ctx, call, req.ID)
	if err != nil {
		return nil, err
	}
	view := record.View{History: req.HistoryLength}
	return record.AppendTask(sized(s, view), s, view), nil
}

// ExtendedCard gives the card that an agent has for callers who have said who
// they are (3.1.11).
func (e *Engine) ExtendedCard(ctx context.Context, call Call, req *a2a.GetExtendedAgentCardRequest) ([]byte, error) {
	call, err := e.Admit(ctx, call)
	switch {
	case err != nil:
		return nil, err
	case call.agent.ExtendedCard == nil:
		return nil, task.Errorf(a2a.ErrUnsupportedOperation, "this agent has no extended card")
	case call.User == nil || !call.User.Authenticated:
		return nil, task.Errorf(a2a.ErrUnauthenticated, "the extended card is for callers who say who they are")
	}
	card, err := call.agent.ExtendedCard.ExtendedCard(ctx, req)
	if err == nil && card == nil {
		return nil, task.Errorf(a2a.ErrExtendedCardNotConfigured, "the extended card of this agent is not configured")
	}
	if err == nil {
		var b []byte
		if b, err = e.RenderCard(call.Agent, card); err == nil {
			return b, nil
		}
	}
	return nil, &internalError{"make the extended card", err}
}

// Page sizes of ListTasks.
const (
	defaultPage = 50
	maxPage     = 100
)

// List gives a ListTasksResponse as JSON. An unset PageSize is the default.
func (e *Engine) List(ctx context.Context, call Call, req *a2a.ListTasksRequest) ([]byte, error) {
	call, err := e.Admit(ctx, call)
	if err != nil {
		return nil, err
	}
	q, err := e.listQuery(call, req)
	if err != nil {
		return nil, err
	}
	page, err := e.Reader.List(ctx, q)
	if err != nil {
		return nil, e.storeError("list tasks", err)
	}
	out := append(make([]byte, 0, 4096), `{"tasks":[`...)
	var last store.ListPosition
	for i, st := range page.Tasks {
		s := e.listed(st)
		if i > 0 {
			out = append(out, ',')
		}
		out = record.AppendTask(out, s, record.View{History: req.HistoryLength, NoArtifacts: !req.IncludeArtifacts})
		last = store.ListPosition{StatusAt: st.Head.StatusAt, ID: st.Head.ID}
	}
	out = append(out, `],"totalSize":`...)
	out = strconv.AppendInt(out, int64(page.Total), 10)
	out = append(out, `,"pageSize":`...)
	out = strconv.AppendInt(out, int64(q.Limit), 10)
	out = append(out, `,"nextPageToken":`...)
	next := ""
	if page.More {
		next = e.sealToken(token{filter: filterOf(q), until: page.Until, after: last})
	}
	return append(record.AppendString(out, next), '}'), nil
}

// listed folds a listed task. Of one that cannot be read the page says what its
// head knows: that it is there, and its state. The others are not kept from
// those who ask because of it.
func (e *Engine) listed(st store.Stored) *task.State {
	err := st.Unreadable
	if err == nil {
		var s *task.State
		if s, err = fold(st); err == nil {
			return s
		}
	}
	h := st.Head
	if e.told.First(h.Ref) {
		e.Logger.Error("a task cannot be read; it is listed without its content", "task", h.ID, "error", err)
	}
	return task.Restore(task.State{
		ID: h.ID, ContextID: h.ContextID, Seq: h.LastSeq,
		Status: task.Status{State: a2a.TaskState(h.State), At: h.StatusAt},
	})
}

func (e *Engine) listQuery(call Call, req *a2a.ListTasksRequest) (store.ListQuery, error) {
	q := store.ListQuery{
		Scope: call.Scope, Agent: call.Agent, ContextID: req.ContextID,
		State: string(req.Status), Limit: req.PageSize, Total: true,
	}
	if err := validHistory("historyLength", req.HistoryLength); err != nil {
		return q, err
	}
	if req.Status != a2a.TaskStateUnspecified && !task.Known(req.Status) {
		return q, task.Invalid(a2a.ErrInvalidParams, "status", "must be one of the TASK_STATE_ values of the protocol")
	}
	if err := validID("contextId", req.ContextID, false); err != nil {
		return q, err
	}
	if q.Limit == 0 {
		q.Limit = defaultPage
	}
	if q.Limit < 1 || q.Limit > maxPage {
		return q, task.Invalid(a2a.ErrInvalidParams, "pageSize", "%d; must be 1 to %d", req.PageSize, maxPage)
	}
	if req.StatusTimestampAfter != nil {
		q.Since = req.StatusTimestampAfter.UTC()
	}
	if req.PageToken == "" {
		return q, nil
	}
	t, err := e.openToken(req.PageToken)
	if err != nil || t.filter != filterOf(q) {
		return q, task.Invalid(a2a.ErrInvalidParams, "pageToken", "is not a token of this listing; begin again without one, or repeat the filters of its first page")
	}
	q.Until, q.After = t.until, t.after
	return q, nil
}
