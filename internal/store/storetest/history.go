// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// history draws operations, does them to the store and to the model, and
// compares the answers.
type history struct {
	*rapid.T
	w    *world
	m    *model
	last *modelTask // the one that was worked on
}

func modelAgrees(w *world) {
	rapid.Check(w.T, func(rt *rapid.T) {
		h := &history{T: rt, m: &model{}, w: &world{T: w.T, open: w.open, clock: &fakeClock{now: w.clock.Now()}}}
		h.w.Store = w.open(w.T, h.w.clock.Now)
		defer h.w.Close()
		rt.Repeat(map[string]func(*rapid.T){
			"new task":       h.on(h.newTask),
			"follow-up":      h.on(h.followUp),
			"claim":          h.on(h.claim),
			"write":          h.on(h.write),
			"finish":         h.on(h.finish),
			"late write":     h.on(h.lateWrite),
			"heartbeat":      h.on(h.heartbeat),
			"request cancel": h.on(h.cancel),
			"take over":      h.on(h.takeOver),
			"time passes":    h.on(h.time),
			"rescue":         h.on(h.rescue),
			"promote":        h.on(h.promote),
			"lose":           h.on(h.lose),
			"census":         h.on(h.census),
			"": func(rt *rapid.T) {
				if h.last != nil {
					h.last.check(rt, h.w)
				}
			},
		})
		for _, t := range h.m.tasks {
			t.check(rt, h.w)
		}
	})
}

func (h *history) on(op func()) func(*rapid.T) {
	return func(rt *rapid.T) {
		h.T = rt
		op()
	}
}

func (h *history) bool(label string) bool { return rapid.Bool().Draw(h.T, label) }

func (h *history) now() time.Time { return h.w.clock.Now() }

// anyTask draws a task that there is, or skips the operation.
func (h *history) anyTask() *modelTask {
	if len(h.m.tasks) == 0 {
		h.Skip("no task yet")
	}
	h.last = rapid.SampledFrom(h.m.tasks).Draw(h.T, "task")
	return h.last
}

// anyHolder draws somebody who claimed something, the holder or a former one.
func (h *history) anyHolder() (*modelTask, *holder) {
	t := h.anyTask()
	if len(t.held) == 0 {
		h.Skip("nobody holds it")
	}
	if h.bool("newest") {
		return t, t.held[len(t.held)-1]
	}
	return t, rapid.SampledFrom(t.held).Draw(h.T, "holder")
}

// answered checks a refusal and tells whether the call was accepted.
func (h *history) answered(call string, err, want error) bool {
	if !errors.Is(err, want) {
		h.Fatalf("%s: want %v, got %v", call, want, err)
	}
	return err == nil
}

func (h *history) newTask() {
	t := &modelTask{
		ref:   h.w.ref(),
		agent: rapid.SampledFrom([]string{"a", "b"}).Draw(h.T, "agent"),
	}
	s := h.w.first(named(t.ref.ID), forAgent(t.agent))
	h.m.tasks, h.last = append(h.m.tasks, t), t
	h.submit(t, s)
}

func (h *history) followUp() {
	t := h.anyTask()
	head := store.Head{Ref: t.ref, Agent: t.agent, LastTurn: len(t.turns), DoneTurn: t.done, LastSeq: t.seq}
	s := h.w.next(head)
	if h.bool("stale") {
		switch rapid.IntRange(0, 2).Draw(h.T, "what is stale") {
		case 0:
			s.Turn++
		case 1:
			s.LastSeq++
		case 2:
			s.DoneTurn++
		}
		_, err := h.w.Submit(h.w.Context(), s)
		if !errors.Is(err, store.ErrStale) && !(t.closed && errors.Is(err, store.ErrClosed)) {
			h.Fatalf("Submit from another head: %v", err)
		}
		return
	}
	if t.closed {
		_, err := h.w.Submit(h.w.Context(), s)
		h.answered("Submit to a closed task", err, store.ErrClosed)
		return
	}
	h.submit(t, s)
}

// submit accepts a turn. An opening is not given while an item runs: it would
// move the sequence under whoever holds the task.
func (h *history) submit(t *modelTask, s *store.Submission) {
	waits := t.done < len(t.turns) || t.is(store.Running)
	if !waits && h.bool("opening") {
		h.w.opened(s)
	}
	i := &modelItem{ref: store.ItemRef{Kind: store.Execute, Turn: s.Turn}}
	h.plan(i, s)
	before := len(h.m.ready(t.agent))
	t.turns = append(t.turns, i)
	grant := false
	if h.bool("claim") {
		claimed(s)
		grant = before == 0 && t.current() == i && i.state == store.Pending
	}
	out, err := h.w.Submit(h.w.Context(), s)
	h.answered("Submit", err, nil)
	if len(t.turns) == 1 {
		t.epoch = out.Head.Epoch // where it begins is open
		if out.Claim != nil {
			t.epoch--
		}
	}
	if (out.Claim != nil) != grant {
		h.Fatalf("%s: granted %v, want %v; %d others are ready", grantRule, out.Claim != nil, grant, before)
	}
	if s.IfClaimed != nil {
		t.seq++
	}
	if grant {
		h.took(t, *out.Claim)
	}
	t.settle(h.now())
}

// plan draws what the message asks of the queue.
func (h *history) plan(i *modelItem, s *store.Submission) {
	now := h.now()
	in := func(label string, d ...time.Duration) (t time.Time) {
		if n := rapid.IntRange(-1, len(d)-1).Draw(h.T, label); n >= 0 {
			t = now.Add(d[n])
		}
		return t
	}
	if h.bool("plain") {
		h.m.arrived(i, now, time.Time{})
		return
	}
	s.Priority = rapid.IntRange(-1, 1).Draw(h.T, "priority")
	s.ScheduledFor = in("scheduled", -time.Hour, 0, ms, ttl, time.Minute)
	s.Deadline = in("deadline", ms, ttl, 2*ttl, time.Hour)
	i.priority, i.deadline = s.Priority, s.Deadline
	h.m.arrived(i, now, s.ScheduledFor)
}

// took compares a claim with the model and remembers its holder.
func (h *history) took(t *modelTask, c store.Claim) {
	i := t.current()
	h.m.claimed(t, h.now(), h.now().Add(ttl))
	left := time.Duration(0)
	if !i.deadline.IsZero() && !i.expired {
		left = i.deadline.Sub(h.now())
	}
	have := fmt.Sprint(c.Head.Epoch, c.Head.LastSeq, c.Item.Kind, c.Attempt, c.Failures, c.Losses, c.Head.Cancel, c.Expired, c.Left)
	want := fmt.Sprint(t.epoch, t.seq, i.ref.Kind, i.attempt, i.failures, i.losses, t.request, i.expired, left)
	if i.ref.Kind == store.CancelItem {
		if i.attempt == 1 { // which Turn it names, and where its attempts begin, is open
			i.ref, i.attempt = c.Item, c.Attempt
		}
		want = fmt.Sprint(t.epoch, t.seq, i.ref.Kind, i.attempt, i.failures, i.losses, t.request, false, left)
	}
	if have != want || c.Item != i.ref {
		h.Fatalf("a claim does not agree with the model\nwant %v %v\n got %v %v", want, i.ref, have, c.Item)
	}
	t.held = append(t.held, h.w.hold(c))
}

func (h *history) claim() {
	of := rapid.SampledFrom([]string{"a", "b"}).Draw(h.T, "agent")
	limit := rapid.IntRange(1, 4).Draw(h.T, "limit")
	suspects := h.bool("suspects")
	ready := h.m.lane(of, suspects)
	claims, err := h.w.Claim(h.w.Context(), store.ClaimRequest{Agent: of, Limit: limit, Suspects: suspects, Taker: store.Taker{Worker: "worker", TTL: ttl}})
	h.answered("Claim", err, nil)
	if len(claims) != min(limit, len(ready)) {
		h.Fatalf("Claim: %d of %d ready items with limit %d", len(claims), len(ready), limit)
	}
	for n, c := range claims {
		if c.Head.Ref != ready[n].ref {
			h.Fatalf("Claim: item %d is of %s, in queue order it is of %s", n+1, c.Head.ID, ready[n].ref.ID)
		}
		h.took(ready[n], c)
	}
}

// append writes and compares the answer.
func (h *history) append(t *modelTask, a *store.Append) bool {
	want := t.accepts(a)
	out, err := h.w.Append(h.w.Context(), a)
	if !h.answered(fmt.Sprintf("Append to %s", t.ref.ID), err, want) {
		return false
	}
	freed := t.cancel != nil
	h.m.write(t, a, h.now())
	if out.Epoch != t.epoch || out.LastTurn != len(t.turns) || out.Cancel != t.request {
		h.Fatalf("Appended %+v does not agree with the model: epoch %d, %d turns, cancel %d", out, t.epoch, len(t.turns), t.request)
	}
	if freed && t.cancel == nil {
		h.promote() // a retry that fell due while it was held back may be pending already
	}
	return true
}

// writeAs lets a holder try something; the newest one knows the sequence.
func (h *history) writeAs(t *modelTask, by *holder, parts ...part) {
	if h.bool("knows the sequence") {
		by.seq = t.seq
	}
	by.lastTurn = len(t.turns)
	a := by.draft(parts...)
	if h.append(t, a) && a.Batch != nil {
		by.seq = a.Batch.Last
	}
}

func (h *history) write() {
	t, by := h.anyHolder()
	what := []part{records(2), folds, extends(ttl), h.w.shows("WORKING")}
	if t.request == store.CancelRequested && h.bool("refuse") {
		what = []part{refuses, records(1)}
	}
	h.writeAs(t, by, what[:rapid.IntRange(0, len(what)).Draw(h.T, "parts")]...)
}

func (h *history) finish() {
	t, by := h.anyHolder()
	end := rapid.SampledFrom([]part{
		ends(store.Completed), ends(store.Canceled), ends(store.Dead), ends(store.Pending),
		retries(0), retries(ttl), retries(time.Minute),
	}).Draw(h.T, "end")
	parts := []part{records(1), h.w.shows("DONE"), end}
	if t.request == store.CancelRequested && h.bool("refuse") {
		parts = append(parts, refuses)
	}
	if h.bool("close") {
		parts = []part{by.closing}
	}
	h.writeAs(t, by, parts...)
}

// lateWrite is a write with an old epoch, a wrong item or an old LastTurn.
func (h *history) lateWrite() {
	t, by := h.anyHolder()
	a := by.draft(by.closing)
	a.LastSeq, a.Batch.First, a.Batch.Last, a.Snapshot = t.seq, t.seq+1, t.seq+1, nil
	a.LastTurn = len(t.turns)
	switch rapid.IntRange(0, 2).Draw(h.T, "what is wrong") {
	case 0:
		a.Epoch = t.epoch - int64(rapid.IntRange(1, 3).Draw(h.T, "epochs ago"))
	case 1:
		a.Item.Turn += 100
	case 2:
		a.LastTurn++
		a.Item, a.TakeEpoch, a.Finish = store.ItemRef{}, true, nil
		a.Epoch = t.epoch
	}
	h.append(t, a)
}

func (h *history) heartbeat() {
	t, by := h.anyHolder()
	want := t.is(store.Running) && by.Head.Epoch == t.epoch && by.Item == t.current().ref
	out, err := h.w.Heartbeat(h.w.Context(), ttl, []store.Beat{{Ref: t.ref, Epoch: by.Head.Epoch, Item: by.Item}})
	h.answered("Heartbeat", err, nil)
	if out[0].Lost == want {
		h.Fatalf("Heartbeat: lost %v, want %v", out[0].Lost, !want)
	}
	if want {
		t.current().until = h.now().Add(ttl)
	}
}

func (h *history) cancel() {
	t := h.anyTask()
	makes := !t.closed && t.request != store.CancelRequested && !t.is(store.Running) && t.started
	c := &store.CancelRequest{Ref: t.ref, Request: []byte("stop")}
	if h.bool("claim") {
		c.Claim = &store.Taker{Worker: "worker", TTL: ttl}
	}
	if !t.closed {
		t.request = store.CancelRequested
	}
	if makes {
		h.m.cancels(t, h.now())
	}
	grant := makes && c.Claim != nil && len(h.m.ready(t.agent)) == 1
	out, err := h.w.RequestCancel(h.w.Context(), c)
	h.answered("RequestCancel", err, nil)
	if (out.Claim != nil) != grant {
		h.Fatalf("RequestCancel: granted %v, want %v", out.Claim != nil, grant)
	}
	if grant {
		h.took(t, *out.Claim)
	}
}

func (h *history) takeOver() {
	t := h.anyTask()
	by := h.w.hold(store.Claim{Head: store.Head{Ref: t.ref, Epoch: t.epoch, LastSeq: t.seq, LastTurn: len(t.turns)}})
	if h.bool("from an old epoch") {
		by.Head.Epoch--
	}
	h.append(t, by.draft(by.takeEnd))
}

func (h *history) time() {
	h.w.clock.advance(rapid.SampledFrom([]time.Duration{ms, ttl - ms, ttl, time.Minute}).Draw(h.T, "how long"))
}

func (h *history) rescue() {
	want := h.m.rescue(h.now())
	agents, err := h.w.Rescue(h.w.Context(), 1000)
	h.answered("Rescue", err, nil)
	if len(agents) != want {
		h.Fatalf("Rescue: %d items, want %d", len(agents), want)
	}
}

// lose lets the newest holder of a task die, so that suspects are not too rare.
func (h *history) lose() {
	h.anyTask()
	h.w.clock.advance(ttl)
	h.rescue()
}

func (h *history) census() {
	var waiting []string
	var first []*modelTask
	for _, of := range []string{"a", "b"} {
		suspects := h.m.lane(of, true)
		if len(suspects)+len(h.m.ready(of)) > 0 {
			waiting = append(waiting, of)
		}
		if len(suspects) > 0 {
			first = append(first, suspects[0])
		}
	}
	if len(first) == 2 && !first[0].before(first[1]) {
		first[0], first[1] = first[1], first[0]
	}
	var want []string
	for _, t := range first {
		want = append(want, t.agent)
	}
	got, err := h.w.Suspects(h.w.Context(), 10)
	h.answered("Suspects", err, nil)
	if !slices.Equal(got, want) {
		h.Fatalf("Suspects: %v, want %v", got, want)
	}
	got, err = h.w.Waiting(h.w.Context(), "", 10)
	h.answered("Waiting", err, nil)
	if !slices.Equal(got, waiting) {
		h.Fatalf("Waiting: %v, want %v", got, waiting)
	}
}

func (h *history) promote() {
	h.m.promote(h.now())
	current, withdrawn := h.m.expire(h.now())
	due, err := h.w.Promote(h.w.Context(), sweep(1000))
	h.answered("Promote", err, nil)
	if len(due.Expired) != len(current) {
		h.Fatalf("Promote: %d items have expired, want %d", len(due.Expired), len(current))
	}
	for _, c := range due.Expired {
		if !current[c.Head.Ref] {
			h.Fatalf("Promote: the item of %s has not expired", c.Head.ID)
		}
		h.took(h.m.find(c.Head.Ref), c)
	}
	told := map[task.Ref]bool{}
	for _, ref := range due.Withdrawn {
		told[ref] = true
	}
	if next := h.m.next(h.now()); due.Next != next {
		h.Fatalf("Promote: there is something to do again in %v, want %v", due.Next, next)
	}
	if !maps.Equal(told, withdrawn) {
		h.Fatalf("Promote: withdrawn are turns of %v, want %v", told, withdrawn)
	}
}
