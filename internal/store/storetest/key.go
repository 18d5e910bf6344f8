// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var keyRules = []rule{
	{"a repeat joins the turn that the first submission made", keyJoins},
	{"a repeat joins a follow-up", keyJoinsFollowUp},
	{"a repeat joins a task that has ended", keyJoinsClosed},
	{"a key with another message is ErrKeyConflict", keyConflicts},
	{"a key is the owner's and the agent's", keyIsScoped},
	{"keys are compared byte by byte", keyIsExact},
	{"without a key equal messages are two tasks", keyAbsent},
	{"a key lives for its TTL after the task has ended", keyExpires},
	{"a key lives as long as its task is open", keyOutlivesTTL},
	{"an expired key stands for the turn that uses it next", keyIsReused},
	{"of 64 concurrent repeats one makes the turn", keyRace},
	{"a refused submission beside a good one takes no key from it", keyBesideStale},
	{"of concurrent submissions with two messages one message wins", keyConflictRace},
}

func keyJoins(w *world) {
	s := w.first(keyed("k", "h"), w.opened)
	made := w.submit(s)
	h := w.claimOne("a queued task is ready", s.Ref)
	h.write(records(3), w.shows("WORKING"))
	again := w.first(keyed("k", "h"), w.opened, claimed)
	w.unchanged("a join writes nothing", s.Ref, func() {
		out := w.submit(again)
		w.want("Joined: turn and head are those of the first submission, the head as it is now", out,
			store.Submitted{Joined: true, Turn: 1, TurnSeq: made.TurnSeq, Head: h.head()})
	})
	_, err := w.Load(w.Context(), again.Ref)
	w.refused("a join makes no task", err, store.ErrNotFound)
	w.claimNone("a join makes no item")
}

func keyJoinsFollowUp(w *world) {
	h := w.running(keyed("first", "1"))
	h.write(records(2), w.shows("WORKING"))
	h.park()
	parked := h.head()
	made := w.submit(w.next(parked, keyed("second", "2"), w.opened))
	for range 2 {
		out := w.submit(w.next(parked, keyed("second", "2"), w.opened, claimed))
		w.want("a repeat from the old head joins and is not stale", out,
			store.Submitted{Joined: true, Turn: 2, TurnSeq: made.TurnSeq, Head: made.Head})
	}
	out := w.submit(w.first(keyed("first", "1")))
	w.want("an older key joins its own turn", []any{out.Joined, out.Turn, out.TurnSeq, out.Head}, []any{true, 1, uint64(0), made.Head})
	w.want("joins make no turn", len(w.turns(h.Head.Ref)), 2)
}

func keyJoinsClosed(w *world) {
	h := w.running(keyed("k", "h"))
	h.close()
	out := w.submit(w.first(keyed("k", "h"), claimed))
	w.want("a repeat joins a closed task", []any{out.Joined, out.Head, out.Claim == nil}, []any{true, h.head(), true})
	_, err := w.Submit(w.Context(), w.first(keyed("k", "x")))
	w.refused("ErrKeyConflict also after the end of the task", err, store.ErrKeyConflict)
}

func keyConflicts(w *world) {
	first := w.submit(w.first(keyed("k", "h")))
	for _, hash := range []string{"H", "h ", "", "h\x00", "another"} {
		s := w.first(keyed("k", hash), w.opened, claimed)
		w.unchanged("ErrKeyConflict changes nothing", first.Head.Ref, func() {
			_, err := w.Submit(w.Context(), s)
			w.refused("ErrKeyConflict: the key stands for another message", err, store.ErrKeyConflict)
		})
		_, err := w.Load(w.Context(), s.Ref)
		w.refused("ErrKeyConflict makes no task", err, store.ErrNotFound)
	}
	w.want("a conflict does not replace the key", w.submit(w.first(keyed("k", "h"))).Joined, true)
	w.claimOne("a conflict makes no item", first.Head.Ref)
}

func keyIsScoped(w *world) {
	owners := []change{
		ownedBy(mine),
		ownedBy(task.Scope{Tenant: mine.Principal, Principal: mine.Tenant}),
		ownedBy(task.Scope{Tenant: mine.Tenant, Principal: "another"}),
		ownedBy(task.Scope{Tenant: "another", Principal: mine.Principal}),
		ownedBy(task.Scope{Tenant: mine.Tenant}),
		ownedBy(task.Scope{Principal: mine.Principal}),
		ownedBy(task.Scope{Tenant: mine.Tenant + mine.Principal}),
		ownedBy(task.Scope{}),
		forAgent("another agent"),
		forAgent(""),
	}
	var refs []task.Ref
	for n, own := range owners {
		s := w.first(own, keyed("k", string(rune('a'+n))))
		out := w.submit(s)
		w.want("a key is unique per (tenant, principal, agent): neither joined nor in conflict", []any{out.Joined, out.Head.Ref}, []any{false, s.Ref})
		refs = append(refs, s.Ref)
	}
	for n, own := range owners {
		out := w.submit(w.first(own, keyed("k", string(rune('a'+n)))))
		w.want("each owner's key joins the owner's task", []any{out.Joined, out.Head.Ref}, []any{true, refs[n]})
	}
}

func keyIsExact(w *world) {
	var refs []task.Ref
	for _, v := range hostile {
		s := w.first(keyed(v, "h"))
		w.want("two keys that differ in a byte are two keys: "+v, w.submit(s).Joined, false)
		refs = append(refs, s.Ref)
	}
	for n, v := range hostile {
		w.want("a key joins its own task: "+v, w.submit(w.first(keyed(v, "h"))).Head.Ref, refs[n])
	}
}

func keyAbsent(w *world) {
	for range 3 {
		s := w.first(func(s *store.Submission) { s.Message, s.MessageID = []byte("same"), "same" })
		w.want("Key nil: it is not idempotent", w.submit(s).Joined, false)
	}
	w.want("three equal messages are three tasks", len(w.claim(agent, 10)), 3)
}

func withTTL(d time.Duration) change { return func(s *store.Submission) { s.Key.TTL = d } }

func keyExpires(w *world) {
	h := w.running(keyed("k", "h"), withTTL(time.Hour))
	w.clock.advance(20 * time.Minute)
	h.close()
	w.clock.advance(40*time.Minute - ms)
	out := w.submit(w.first(keyed("k", "h")))
	w.want("a key is kept for its TTL", []any{out.Joined, out.Head.ID}, []any{true, h.Head.ID})
	w.clock.advance(2 * ms)
	s := w.first(keyed("k", "h"))
	out = w.submit(s)
	w.want("a key is kept for its TTL and then free; a join does not renew it", []any{out.Joined, out.Head.Ref}, []any{false, s.Ref})
}

func keyOutlivesTTL(w *world) {
	h := w.running(keyed("k", "h"), withTTL(time.Minute))
	h.write(records(1), w.shows("WORKING"))
	h.park()
	w.clock.advance(400 * 24 * time.Hour)
	w.want("a key is kept at least while its task is not closed", w.submit(w.first(keyed("k", "h"))).Joined, true)
	_, err := w.Submit(w.Context(), w.first(keyed("k", "other")))
	w.refused("a key is kept at least while its task is not closed", err, store.ErrKeyConflict)
	w.accepted(w.next(h.head())).close()
	w.want("a key whose TTL is over goes with the end of its task", w.submit(w.first(keyed("k", "h"))).Joined, false)
}

func keyIsReused(w *world) {
	old := w.running(keyed("k", "h"), withTTL(time.Minute))
	old.close()
	w.clock.advance(time.Minute + ms)
	s := w.first(keyed("k", "other hash"), withTTL(time.Minute))
	w.want("an expired key is in conflict with nothing", w.submit(s).Joined, false)
	out := w.submit(w.first(keyed("k", "other hash")))
	w.want("a key that was used again joins the new turn", []any{out.Joined, out.Head.Ref}, []any{true, s.Ref})
	_, err := w.Submit(w.Context(), w.first(keyed("k", "h")))
	w.refused("a key that was used again stands for the new message", err, store.ErrKeyConflict)
	w.claimOne("a queued task is ready", s.Ref).close()
	w.clock.advance(time.Minute - 2*ms)
	w.want("the TTL counts from the new submission", w.submit(w.first(keyed("k", "other hash"))).Joined, true)
}

func keyRace(w *world) {
	const n = 64
	var outs [n]store.Submitted
	var subs [n]*store.Submission
	for i := range n {
		subs[i] = w.first(keyed("k", "h"), w.opened, claimed)
	}
	w.parallel(n, func(i int) {
		out, err := w.Submit(w.Context(), subs[i])
		if err != nil {
			w.Errorf("Submit: %v", err)
		}
		outs[i] = out
	})
	made := 0
	for i, out := range outs {
		if !out.Joined {
			made++
			w.want("the one that is not joined made its own task", out.Head.Ref, subs[i].Ref)
		}
		w.want("all concurrent repeats get the same turn", []any{out.Head.Ref, out.Turn, out.TurnSeq}, []any{outs[0].Head.Ref, 1, uint64(0)})
		_, err := w.Load(w.Context(), subs[i].Ref)
		w.want("concurrent repeats make exactly one task", err == nil, subs[i].Ref == outs[0].Head.Ref)
	}
	w.want("of concurrent repeats exactly one makes the turn", made, 1)
	w.want("concurrent repeats record exactly one opening", len(w.log(outs[0].Head.Ref)), 1)
	w.claimNone("concurrent repeats make exactly one item")
}

func keyBesideStale(w *world) {
	const n = 32
	for round := range 8 {
		h := w.running()
		h.park()
		head := h.head()
		key := fmt.Sprint("key ", round)
		var made, joined atomic.Int64
		w.parallel(n, func(i int) {
			s := w.next(head, keyed(key, "h"))
			if i%2 == 0 {
				s.LastSeq += 7 // stale, unless the other made the turn: then it joins
			}
			out, err := w.Submit(w.Context(), s)
			switch {
			case i%2 == 0 && errors.Is(err, store.ErrStale):
			case err != nil:
				w.Errorf("Submit: %v", err)
			case out.Joined:
				joined.Add(1)
			default:
				made.Add(1)
			}
		})
		w.want("a key makes one turn", []int64{made.Load(), int64(h.head().LastTurn)}, []int64{1, 2})
		if joined.Load() < n/2-1 {
			w.Errorf("broken rule: every good repeat joins\n%d of at least %d did", joined.Load(), n/2-1)
		}
		w.want("the key is kept", w.submit(w.first(keyed(key, "h"))).Joined, true)
		w.claim(agent, 10)
	}
}

func keyConflictRace(w *world) {
	const n = 32
	var made [2]atomic.Int64
	var conflicts, joins [2]atomic.Int64
	subs := make([]*store.Submission, n)
	for i := range subs {
		subs[i] = w.first(keyed("k", string(rune('a'+i%2))))
	}
	w.parallel(n, func(i int) {
		out, err := w.Submit(w.Context(), subs[i])
		switch {
		case errors.Is(err, store.ErrKeyConflict):
			conflicts[i%2].Add(1)
		case err != nil:
			w.Errorf("Submit: %v", err)
		case out.Joined:
			joins[i%2].Add(1)
		default:
			made[i%2].Add(1)
		}
	})
	winner := 0
	if made[1].Load() > 0 {
		winner = 1
	}
	w.want("one key, two messages: one turn; its repeats join; the other message is in conflict",
		[]int64{made[winner].Load(), joins[winner].Load(), conflicts[winner].Load(), made[1-winner].Load(), joins[1-winner].Load(), conflicts[1-winner].Load()},
		[]int64{1, n/2 - 1, 0, 0, 0, n / 2})
}
