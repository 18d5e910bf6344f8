// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var scopeRules = []rule{
	{"a task of another scope is not there, on any call", scopeForeign},
	{"equal ids in many scopes are many tasks", scopeEqualIDs},
	{"a listing holds the tasks of its scope", scopeList},
}

// scopes are mistaken for each other by whoever joins tenant and principal
// carelessly, ignores one of them, or folds case.
var scopes = []task.Scope{
	{},
	{Tenant: "a"},
	{Principal: "a"},
	{Tenant: "a", Principal: "b"},
	{Tenant: "b", Principal: "a"},
	{Tenant: "ab"},
	{Principal: "ab"},
	{Tenant: "a", Principal: "bc"},
	{Tenant: "ab", Principal: "c"},
	{Tenant: "a/b", Principal: "c"},
	{Tenant: "a", Principal: "b/c"},
	{Tenant: "A", Principal: "b"},
	{Tenant: "a", Principal: "B"},
	{Tenant: "a ", Principal: "b"},
	{Tenant: "a", Principal: "b "},
	{Tenant: "á", Principal: "b"},
}

func scopeForeign(w *world) {
	for n, owner := range scopes {
		h := w.running(ownedBy(owner), named(fmt.Sprint("task ", n)))
		h.write(records(2), w.shows("WORKING"), folds)
		head := h.head()
		w.unchanged("a task stays as it is whatever others try", h.Head.Ref, func() {
			for _, other := range scopes {
				if other != owner {
					foreign(w, h, head, task.Ref{Scope: other, ID: h.Head.ID})
				}
			}
		})
	}
}

// foreign tries every call on a task of h under the scope of ref.
func foreign(w *world, h *holder, head store.Head, ref task.Ref) {
	rule := fmt.Sprintf("a task of %+v is ErrNotFound for %+v: ", h.Head.Scope, ref.Scope)
	ctx := w.Context()
	stored, err := w.Load(ctx, ref)
	w.refused(rule+"Load", err, store.ErrNotFound)
	read, batches, err := w.Read(ctx, ref, 0, huge)
	w.refused(rule+"Read", err, store.ErrNotFound)
	turns, err := w.Turns(ctx, ref, 0, 0)
	w.refused(rule+"Turns", err, store.ErrNotFound)
	attempts, err := w.Attempts(ctx, ref)
	w.refused(rule+"Attempts", err, store.ErrNotFound)
	w.want(rule+"and nothing of it is told", []any{stored, read, len(batches), len(turns), len(attempts)},
		[]any{store.Stored{Head: store.Head{Ref: stored.Head.Ref}}, store.Head{Ref: read.Ref}, 0, 0, 0})

	next := w.next(head)
	next.Ref = ref
	_, err = w.Submit(ctx, next)
	w.refused(rule+"Submit", err, store.ErrNotFound)
	_, err = w.RequestCancel(ctx, &store.CancelRequest{Ref: ref, Request: []byte("stop")})
	w.refused(rule+"RequestCancel", err, store.ErrNotFound)
	for _, parts := range [][]part{{records(1)}, {records(1), takesOver}, {h.closing, takesOver}} {
		a := h.draft(parts...)
		a.Ref = ref
		_, err = w.Append(ctx, a)
		w.refused(rule+"Append", err, store.ErrNotFound)
	}
	answers, err := w.Heartbeat(ctx, ttl, []store.Beat{{Ref: ref, Epoch: h.Head.Epoch, Item: h.Item}})
	w.must("Heartbeat", err)
	w.want(rule+"Heartbeat is lost", answers[0].Lost, true)
}

func scopeEqualIDs(w *world) {
	held := map[task.Scope]*holder{}
	for n, sc := range scopes {
		s := w.first(ownedBy(sc), named("same"), inContext(fmt.Sprint("context ", n)), keyed("same", fmt.Sprint(n)))
		s.Message = fmt.Append(nil, "message ", n)
		h := w.accepted(s)
		h.write(records(n+1), w.shows(fmt.Sprint("STATE ", n)), folds)
		held[sc] = h
	}
	for n, sc := range scopes {
		ref := task.Ref{Scope: sc, ID: "same"}
		got := w.dump(ref)
		what := fmt.Sprintf("equal ids in two scopes are two tasks: %+v", sc)
		w.want(what, []any{got.Stored.Head.Ref, got.Stored.Head.ContextID, got.Stored.Head.State, got.Stored.Head.LastSeq, len(got.Turns), string(got.Turns[0].Message)},
			[]any{ref, fmt.Sprint("context ", n), fmt.Sprint("STATE ", n), uint64(n + 1), 1, fmt.Sprint("message ", n)})
		w.want(what+": a cancellation is its own", got.Stored.Head.Cancel, store.CancelNone)
		w.cancel(ref, "stop")
		held[sc].close()
		w.want(what+": its end is its own", w.head(ref).Closed, true)
	}
}

func scopeList(w *world) {
	for n, sc := range scopes {
		for k := range 2 {
			w.running(ownedBy(sc), named(fmt.Sprint(n, " ", k)), inContext("context")).show("WORKING", w.clock.Now())
		}
	}
	for n, sc := range scopes {
		for _, q := range []store.ListQuery{{}, {ContextID: "context"}, {State: "WORKING"}, {Since: w.clock.Now()}} {
			q.Scope, q.Agent, q.Limit, q.Total = sc, agent, 100, true
			page, err := w.List(w.Context(), q)
			w.must("List", err)
			w.want(fmt.Sprintf("a listing holds the tasks of its scope and no other: %+v", sc), []any{ids(page), page.Total},
				[]any{[]string{fmt.Sprint(n, " ", 1), fmt.Sprint(n, " ", 0)}, 2})
			for _, t := range page.Tasks {
				w.want("a listed task is the scope's own", t.Head.Scope, sc)
			}
		}
	}
}
