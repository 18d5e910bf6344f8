// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// holder is somebody who claimed an item and writes with it.
type holder struct {
	w *world
	store.Claim
	seq      uint64
	lastTurn int
}

func (w *world) hold(c store.Claim) *holder {
	return &holder{w: w, Claim: c, seq: c.Head.LastSeq, lastTurn: c.Head.LastTurn}
}

// running makes a new task and claims it in the same commit.
func (w *world) running(changes ...change) *holder {
	w.Helper()
	return w.accepted(w.first(changes...))
}

// accepted submits a turn that is claimed in the same commit.
func (w *world) accepted(s *store.Submission) *holder {
	w.Helper()
	claimed(s)
	out := w.submit(s)
	if out.Claim == nil {
		w.Fatalf("broken rule: %s", grantRule)
	}
	return w.hold(*out.Claim)
}

func (w *world) claim(of string, limit int) []*holder {
	w.Helper()
	claims, err := w.Claim(w.Context(), store.ClaimRequest{
		Agent: of, Limit: limit, Taker: store.Taker{Worker: "worker", TTL: ttl},
	})
	w.must("Claim", err)
	if len(claims) > limit {
		w.Fatalf("broken rule: Claim takes up to Limit items\ngot %d with limit %d", len(claims), limit)
	}
	var out []*holder
	for _, c := range claims {
		out = append(out, w.hold(c))
	}
	return out
}

// claimOne claims the only ready item of the usual agent, which must be of that task.
func (w *world) claimOne(rule string, ref task.Ref) *holder {
	w.Helper()
	got := w.claim(agent, 10)
	if len(got) != 1 || got[0].Head.Ref != ref {
		w.Fatalf("broken rule: %s\nwant the item of %s to be ready and nothing else, claimed %s", rule, ref.ID, idsOf(got))
	}
	return got[0]
}

// claimNone fails if anything of the usual agent is ready.
func (w *world) claimNone(rule string) {
	w.Helper()
	if got := w.claim(agent, 10); len(got) > 0 {
		w.Fatalf("broken rule: %s\nwant nothing to be ready, claimed %s", rule, idsOf(got))
	}
}

func idsOf(hs []*holder) string {
	var ids []string
	for _, h := range hs {
		ids = append(ids, fmt.Sprintf("%s %s %d", h.Head.ID, h.Item.Kind, h.Item.Turn))
	}
	return fmt.Sprintf("%q", ids)
}

type part = func(a *store.Append)

// draft is a write with the right epoch and sequence that changes nothing yet.
func (h *holder) draft(parts ...part) *store.Append {
	a := &store.Append{
		Ref: h.Head.Ref, Epoch: h.Head.Epoch, LastSeq: h.seq, LastTurn: h.lastTurn, Item: h.Item,
	}
	for _, p := range parts {
		p(a)
	}
	return a
}

// try writes and keeps up with what was written.
func (h *holder) try(parts ...part) (store.Appended, error) {
	a := h.draft(parts...)
	out, err := h.w.Append(h.w.Context(), a)
	if err == nil {
		h.lastTurn = out.LastTurn
		h.Head.Epoch = out.Epoch
		if a.Batch != nil {
			h.seq = a.Batch.Last
		}
	}
	return out, err
}

func (h *holder) write(parts ...part) store.Appended {
	h.w.Helper()
	out, err := h.try(parts...)
	h.w.must("Append("+h.Head.ID+")", err)
	return out
}

// records adds a batch of n records.
func records(n int) part {
	return func(a *store.Append) {
		b := &store.Batch{First: a.LastSeq + 1, Last: a.LastSeq + uint64(n)}
		b.Body = fmt.Appendf(nil, "records %d to %d of %s", b.First, b.Last, a.ID)
		a.Batch = b
	}
}

// shows adds a listed view.
func (w *world) shows(state string) part {
	return func(a *store.Append) {
		a.View = &store.View{State: state, StatusAt: w.clock.Now(), Listed: true}
	}
}

// folds adds a snapshot of everything recorded, this batch included.
func folds(a *store.Append) {
	seq := a.LastSeq
	if a.Batch != nil {
		seq = a.Batch.Last
	}
	a.Snapshot = &store.Snapshot{Seq: seq, Body: fmt.Appendf(nil, "%s folded at %d", a.ID, seq)}
}

func extends(d time.Duration) part { return func(a *store.Append) { a.Extend = d } }

// ends finishes the attempt; a final state of an execute item ends its turn.
func ends(state store.ItemState) part {
	return func(a *store.Append) {
		final := state == store.Completed || state == store.Canceled || state == store.Dead
		a.Finish = &store.Finish{State: state, EndTurn: final && a.Item.Kind == store.Execute}
	}
}

func retries(after time.Duration) part {
	return func(a *store.Append) { a.Finish = &store.Finish{State: store.Retryable, After: after} }
}

func notes(at store.Attempt) part {
	return func(a *store.Append) {
		at.Item = a.Item
		a.Attempt = &at
	}
}

func takesOver(a *store.Append) { a.TakeEpoch, a.Item = true, store.ItemRef{} }

// park ends the turn with one record that leaves the task waiting for its caller.
func (h *holder) park() store.Appended {
	h.w.Helper()
	return h.write(records(1), h.w.shows("INPUT_REQUIRED"), ends(store.Completed))
}

// close ends the task with one record.
func (h *holder) close() store.Appended {
	h.w.Helper()
	return h.write(h.closing)
}

// closing makes a write the last of its task.
func (h *holder) closing(a *store.Append) {
	records(1)(a)
	a.View = &store.View{State: "COMPLETED", StatusAt: h.w.clock.Now(), Listed: true, Closed: true}
	folds(a)
	ends(store.Completed)(a)
}

func (h *holder) head() store.Head {
	h.w.Helper()
	return h.w.head(h.Head.Ref)
}

func (h *holder) turn() store.Turn {
	h.w.Helper()
	return h.w.turns(h.Head.Ref)[h.Item.Turn-1]
}

func (h *holder) beat() store.BeatAnswer {
	h.w.Helper()
	out, err := h.w.Heartbeat(h.w.Context(), ttl, []store.Beat{{Ref: h.Head.Ref, Epoch: h.Head.Epoch, Item: h.Item}})
	h.w.must("Heartbeat", err)
	if len(out) != 1 {
		h.w.Fatalf("broken rule: Heartbeat answers each beat, in order\ngot %d answers to 1 beat", len(out))
	}
	return out[0]
}

// rescue returns the agents that have more to do.
func (w *world) rescue() []string {
	w.Helper()
	agents, err := w.Rescue(w.Context(), 100)
	w.must("Rescue", err)
	return agents
}

// sweep asks for everything that is due, up to a limit.
func sweep(limit int) store.PromoteRequest {
	return store.PromoteRequest{Limit: limit, Expire: &store.Taker{Worker: "worker", TTL: ttl}}
}

// due returns everything that has become due.
func (w *world) due() store.Promoted {
	w.Helper()
	out, err := w.Promote(w.Context(), sweep(100))
	w.must("Promote", err)
	return out
}

func (w *world) promote() ([]string, time.Duration) {
	w.Helper()
	out := w.due()
	return out.Agents, out.Next
}

func (w *world) cancel(ref task.Ref, request string) store.Cancellation {
	w.Helper()
	out, err := w.RequestCancel(w.Context(), &store.CancelRequest{Ref: ref, Request: []byte(request)})
	w.must("RequestCancel", err)
	return out
}
