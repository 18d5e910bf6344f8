// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"

	"github.com/errand-a2a/errand/internal/store"
)

var submitRules = []rule{
	{"a new task has one turn, no record, and nothing has run", submitNew},
	{"a submission that is not claimed records IfQueued", submitRecordsIfQueued},
	{"a submission that is claimed records IfClaimed", submitRecordsIfClaimed},
	{"an opening that is nil records nothing", submitWithoutOpening},
	{"a follow-up to a parked task goes on where the log ends", submitFollowUp},
	{"a turn that waits learns its TurnSeq when it is first claimed", submitWaitingTurn},
	{"a turn accepted behind a running one leaves the runner alone", submitBehindRunner},
	{"a follow-up to an unknown task is ErrNotFound", submitUnknown},
	{"a follow-up made from another head is ErrStale", submitStale},
	{"a new task whose id is taken is refused", submitTakenID},
	{"a submission to a closed task is ErrClosed", submitClosed},
	{"turns are read in order, from a number, up to a limit", submitTurns},
	{"what the caller passed and got is the caller's", submitCopies},
}

func submitNew(w *world) {
	s := w.first()
	out := w.submit(s)
	w.want("Submit: what it answers to a new task without claim or opening",
		out, store.Submitted{Turn: 1, Head: store.Head{
			Ref: s.Ref, Agent: agent, ContextID: s.ContextID, LastTurn: 1,
			Epoch: out.Head.Epoch, StatusAt: out.Head.StatusAt,
		}})
	got := w.load(s.Ref)
	w.want("Submitted.Head is the task after the commit", got.Head, out.Head)
	w.want("Load: a task without records has neither snapshot nor log", got, store.Stored{Head: out.Head})
	w.want("Turns: a turn keeps what was submitted, and its item is pending", w.turns(s.Ref), []store.Turn{{
		Number: 1, MessageID: s.MessageID, Message: s.Message, Request: s.Request, Item: store.Pending,
	}})
	w.want("Attempts: a task that never ran has none", w.attempts(s.Ref), []store.Attempt(nil))
}

func submitRecordsIfQueued(w *world) {
	s := w.first(w.opened)
	out := w.submit(s)
	checkOpening(w, out, s.IfQueued)
}

func submitRecordsIfClaimed(w *world) {
	s := w.first(w.opened, claimed)
	out := w.submit(s)
	if out.Claim == nil {
		w.Fatal("broken rule: " + grantRule)
	}
	checkOpening(w, out, s.IfClaimed)
	w.want("Claim.Head is the task after the claim, opening included", out.Claim.Head, out.Head)
	w.want("Claim.TailBytes is the size of the log after the snapshot", out.Claim.TailBytes, int64(len(s.IfClaimed.Batch.Body)))
}

func checkOpening(w *world, out store.Submitted, o *store.Opening) {
	w.Helper()
	h := w.head(out.Head.Ref)
	w.want("Submitted.Head is the task after the commit", out.Head, h)
	w.want("IfClaimed is recorded if the commit claims the item, IfQueued if not: the log", w.log(h.Ref), []store.Batch{o.Batch})
	w.want("IfClaimed is recorded if the commit claims the item, IfQueued if not: the view",
		store.View{State: h.State, StatusAt: h.StatusAt, Listed: h.Listed, Closed: h.Closed}, o.View)
	w.want("LastSeq is the sequence of the last record", h.LastSeq, o.Batch.Last)
	w.want("TurnSeq is the last sequence before the turn's first record", out.TurnSeq, o.Batch.First-1)
}

func submitWithoutOpening(w *world) {
	queued := w.first(forAgent("b"), w.opened)
	queued.IfQueued = nil
	out := w.submit(queued)
	w.want("IfQueued nil records nothing", len(w.log(out.Head.Ref)), 0)
	w.want("IfQueued nil shows nothing", out.Head.Listed, false)

	taken := w.first(w.opened, claimed)
	taken.IfClaimed = nil
	out = w.submit(taken)
	w.want("the claim does not depend on an opening", out.Claim != nil, true)
	w.want("IfClaimed nil records nothing", len(w.log(out.Head.Ref)), 0)
	w.want("IfClaimed nil shows nothing", out.Head.Listed, false)
}

func submitFollowUp(w *world) {
	h := w.running()
	h.write(records(3), w.shows("WORKING"))
	h.park()
	head := h.head()
	w.want("DoneTurn counts the turns that have ended; nothing runs", []any{head.LastTurn, head.DoneTurn, head.Running}, []any{1, 1, false})

	s := w.next(head, w.opened, claimed)
	out := w.submit(s)
	w.want("a follow-up gets the next turn", []int{out.Turn, out.Head.LastTurn, out.Head.DoneTurn}, []int{2, 2, 1})
	w.want("TurnSeq is the last sequence before the turn's first record", out.TurnSeq, head.LastSeq)
	w.want("the opening follows the log", out.Head.LastSeq, head.LastSeq+1)
	if out.Claim == nil {
		w.Fatal("broken rule: a turn is ready when all earlier turns have ended, and nothing else was ready")
	}
	w.want("each claim raises the task's epoch by one", out.Head.Epoch, head.Epoch+1)
	w.want("Claim: what is needed to run the turn", []any{
		out.Claim.Item, out.Claim.Attempt, string(out.Claim.Message), out.Claim.MessageID, string(out.Claim.Request), out.Claim.TurnSeq,
	}, []any{
		store.ItemRef{Kind: store.Execute, Turn: 2}, 1, string(s.Message), s.MessageID, string(s.Request), head.LastSeq,
	})
}

func submitWaitingTurn(w *world) {
	h := w.running()
	h.write(records(2), w.shows("WORKING"))
	out := w.submit(w.next(h.head(), claimed, keyed("k", "h")))
	w.want("a turn that waits for an earlier one is not claimed", out.Claim == nil, true)
	// Reading: what TurnSeq is before it is known is open, but following from it must not skip the turn.
	if out.TurnSeq > out.Head.LastSeq {
		w.Errorf("broken rule: following from TurnSeq sees the turn from its first event\nTurnSeq is %d, the log ends at %d", out.TurnSeq, out.Head.LastSeq)
	}
	h.write(records(4))
	h.park()
	at := h.head().LastSeq
	second := w.claimOne("the next turn is ready when the one before has ended", h.Head.Ref)
	w.want("for a turn that waits, TurnSeq is set when the item is first claimed", second.TurnSeq, at)
	w.want("TurnSeq is kept with the turn", second.turn().TurnSeq, at)

	second.write(records(5), w.shows("WORKING"))
	second.write(ends(store.Pending))
	again := w.claimOne("a released item is ready again at once", h.Head.Ref)
	w.want("TurnSeq is set at the first claim, not at later ones", again.TurnSeq, at)
	joined := w.submit(w.first(keyed("k", "h")))
	w.want("TurnSeq of a joined turn is that of the turn", []any{joined.Joined, joined.Turn, joined.TurnSeq}, []any{true, 2, at})
}

func submitBehindRunner(w *world) {
	h := w.running()
	h.write(records(2), w.shows("WORKING"))
	before := h.head()
	for n := 2; n <= 4; n++ {
		out := w.submit(w.next(h.head(), claimed))
		w.want("a turn behind a running one waits", []any{out.Turn, out.Claim == nil}, []any{n, true})
	}
	after := h.head()
	before.LastTurn = 4
	w.want("a turn behind a running one changes LastTurn alone", after, before)
	w.claimNone("of a task only the oldest unfinished turn is ready")
	out := h.write(records(1))
	w.want("an append tells LastTurn", out.LastTurn, 4)
	for _, t := range w.turns(h.Head.Ref)[1:] {
		w.want("a turn that waits is pending and was never run", []any{t.Item, t.Attempt}, []any{store.Pending, 0})
	}
}

func submitUnknown(w *world) {
	ghost := store.Head{Ref: w.ref(), Agent: agent, LastTurn: 1, DoneTurn: 1, LastSeq: 3}
	_, err := w.Submit(w.Context(), w.next(ghost, claimed, keyed("k", "h")))
	w.refused("ErrNotFound: a follow-up to an unknown task", err, store.ErrNotFound)
	_, err = w.Load(w.Context(), ghost.Ref)
	w.refused("a refusal changes nothing: the task does not exist", err, store.ErrNotFound)
	out := w.submit(w.first(keyed("k", "other")))
	w.want("a refusal changes nothing: the key is free", out.Joined, false)
}

func submitStale(w *world) {
	h := w.running()
	h.write(records(3), w.shows("WORKING"))
	h.park()
	w.accepted(w.next(h.head())).park() // now LastTurn 2, DoneTurn 2, LastSeq 5
	head := h.head()
	stale := map[string]change{
		"a turn that exists":  func(s *store.Submission) { s.Turn = head.LastTurn },
		"a turn too far":      func(s *store.Submission) { s.Turn = head.LastTurn + 2 },
		"an older sequence":   func(s *store.Submission) { s.LastSeq-- },
		"a newer sequence":    func(s *store.Submission) { s.LastSeq++ },
		"fewer ended turns":   func(s *store.Submission) { s.DoneTurn-- },
		"more ended turns":    func(s *store.Submission) { s.DoneTurn++ },
		"no head at all":      func(s *store.Submission) { s.Turn, s.LastSeq, s.DoneTurn = 1, 0, 0 },
		"the head before":     func(s *store.Submission) { s.Turn, s.LastSeq, s.DoneTurn = 2, 4, 1 },
		"turns, but no log":   func(s *store.Submission) { s.LastSeq = 0 },
		"sequence wraps to 0": func(s *store.Submission) { s.LastSeq = ^uint64(0) >> 1 },
	}
	for name, spoil := range stale {
		w.unchanged("ErrStale changes nothing: "+name, head.Ref, func() {
			s := w.next(head, claimed, keyed("key of "+name, "h"), spoil)
			_, err := w.Submit(w.Context(), s)
			w.refused("ErrStale: Turn, LastSeq or DoneTurn differ from the head: "+name, err, store.ErrStale)
		})
		out := w.submit(w.first(keyed("key of "+name, "other"), forAgent(agent)))
		w.want("a refused submission leaves no key: "+name, out.Joined, false)
	}
	w.claim(agent, 100)
	w.want("the right head is accepted", w.submit(w.next(head)).Turn, 3)
}

func submitTakenID(w *world) {
	open, closed := w.running(), w.running()
	open.write(records(1), w.shows("WORKING"))
	closed.close()
	for _, h := range []*holder{open, closed} {
		w.unchanged("a task is never made twice", h.Head.Ref, func() {
			_, err := w.Submit(w.Context(), w.first(named(h.Head.ID), w.opened, claimed))
			w.refused("ErrStale: turn 1 of a task that has a turn 1 (or ErrClosed if it has ended)", err, store.ErrStale, store.ErrClosed)
		})
	}
}

func submitClosed(w *world) {
	h := w.running()
	h.write(records(2), w.shows("WORKING"))
	old := h.head()
	h.close()
	w.unchanged("ErrClosed changes nothing", h.Head.Ref, func() {
		_, err := w.Submit(w.Context(), w.next(h.head(), claimed, keyed("k", "h")))
		w.refused("ErrClosed: the log has ended", err, store.ErrClosed)
		// Reading: a head read before the end is stale and the task is closed; either may be told.
		_, err = w.Submit(w.Context(), w.next(old, claimed, keyed("k", "h")))
		w.refused("ErrClosed or ErrStale: the head is older than the end", err, store.ErrClosed, store.ErrStale)
	})
	w.want("a refusal changes nothing: the key is free", w.submit(w.first(keyed("k", "other"))).Joined, false)
}

func submitTurns(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	for range 5 {
		w.submit(w.next(h.head()))
	}
	numbers := func(after, limit int) (out []int) {
		turns, err := w.Turns(w.Context(), h.Head.Ref, after, limit)
		w.must("Turns", err)
		for _, t := range turns {
			out = append(out, t.Number)
			w.want("Turns: each with its own message", string(t.Message), fmt.Sprintf("message of %s turn %d", h.Head.ID, t.Number))
		}
		return out
	}
	w.want("Turns: limit 0 is all, in order", numbers(0, 0), []int{1, 2, 3, 4, 5, 6})
	w.want("Turns: those after the given number", numbers(4, 0), []int{5, 6})
	w.want("Turns: at most limit", numbers(1, 3), []int{2, 3, 4})
	w.want("Turns: a limit beyond the end", numbers(4, 10), []int{5, 6})
	w.want("Turns: nothing after the last", numbers(6, 0), []int(nil))
	_, err := w.Turns(w.Context(), w.ref(), 0, 0)
	w.refused("Turns: ErrNotFound", err, store.ErrNotFound)
}

func submitCopies(w *world) {
	s := w.first(w.opened, claimed, keyed("k", "hash"))
	out := w.submit(s)
	before := w.dump(s.Ref)
	spoil := func(bodies ...[]byte) {
		for _, b := range bodies {
			clear(b)
		}
	}
	spoil(s.Message, s.Request, s.Key.Hash, s.IfClaimed.Batch.Body)
	spoil(out.Claim.Message, out.Claim.Request)
	got := w.dump(s.Ref)
	w.want("bodies are copied when they are passed", got, before)
	for _, t := range got.Turns {
		spoil(t.Message, t.Request)
	}
	for _, b := range append(got.Log, got.Stored.Tail...) {
		spoil(b.Body)
	}
	w.want("the key's hash is copied", w.submit(w.first(keyed("k", "hash"))).Joined, true)
	fresh := w.dump(s.Ref)
	w.want("bodies are copied when they are returned", string(fresh.Turns[0].Message), "message of "+s.ID+" turn 1")
	w.want("bodies are copied when they are returned", string(fresh.Log[0].Body), "opening if claimed")
}
