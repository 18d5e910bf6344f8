// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var raceRules = []rule{
	{"32 claimers take 2000 items, each once", raceClaim},
	{"a refusal does not disturb calls beside it", raceRefusals},
	{"an item is rescued once", raceRescue},
	{"an item is promoted once", racePromote},
	{"a heartbeat against a rescue has one winner", raceBeat},
	{"of concurrent turns made from one head one is accepted", raceTurn},
	{"a call whose context ends writes all or nothing", raceContext},
	{"workers, senders and readers side by side end every turn", raceStorm},
}

func raceClaim(w *world) {
	const items, claimers = 2000, 32
	var refs [items]task.Ref
	for i := range refs {
		refs[i] = w.ref()
	}
	w.parallel(claimers, func(k int) {
		for i := k; i < items; i += claimers {
			if _, err := w.Submit(w.Context(), &store.Submission{Ref: refs[i], Agent: agent, Turn: 1}); err != nil {
				w.Errorf("Submit: %v", err)
			}
		}
	})
	var mu sync.Mutex
	taken := map[string]int{}
	w.parallel(claimers, func(k int) {
		for range items { // more than it can take
			claims, err := w.Claim(w.Context(), store.ClaimRequest{Agent: agent, Limit: k%7 + 1, Taker: store.Taker{Worker: fmt.Sprint(k), TTL: ttl}})
			if err != nil {
				w.Errorf("Claim: %v", err)
			}
			if len(claims) == 0 {
				return
			}
			mu.Lock()
			for _, c := range claims {
				taken[c.Head.ID]++
				if c.Attempt != 1 {
					w.Errorf("broken rule: the attempt of an item counts its runs\n%s runs its attempt %d", c.Head.ID, c.Attempt)
				}
			}
			mu.Unlock()
		}
	})
	for id, n := range taken {
		if n != 1 {
			w.Errorf("broken rule: at most one owner\n%s was claimed %d times", id, n)
		}
	}
	w.want("every item is claimed", len(taken), items)
}

// raceRefusals sends good and refused calls at once, so that they share
// transactions where a driver has any.
func raceRefusals(w *world) {
	const n, rounds = 24, 8
	var good [n]*holder
	var bad [n]*holder
	for i := range n {
		good[i] = w.running()
		bad[i] = w.hold(good[i].Claim)
		bad[i].seq = 1 << 40
	}
	var ended [n]*holder
	for i := range n {
		ended[i] = w.running()
		ended[i].close()
	}
	w.submit(w.first(keyed("taken", "h")))
	ghost := store.Head{Ref: w.ref(), Agent: agent, LastTurn: 1, DoneTurn: 1}
	var subs [n * rounds]*store.Submission
	for i := range subs {
		subs[i] = w.first(keyed(fmt.Sprint(i), "h"))
	}
	var others [rounds * n * 2]*store.Submission
	for i := range others {
		if others[i] = w.first(keyed("taken", "other")); i%2 == 1 {
			others[i] = w.next(ghost)
		}
	}
	w.parallel(n*5, func(i int) {
		for r := range rounds {
			k := i % n
			switch i / n {
			case 0:
				if _, err := good[k].try(records(1), w.shows("WORKING")); err != nil {
					w.Errorf("broken rule: a refusal never disturbs other calls that share its transaction\nAppend: %v", err)
				}
			case 1:
				if _, err := bad[k].try(records(1), folds); !errors.Is(err, store.ErrFenced) {
					w.Errorf("broken rule: ErrFenced: another last sequence\ngot %v", err)
				}
			case 2:
				if _, err := w.Submit(w.Context(), subs[r*n+k]); err != nil {
					w.Errorf("broken rule: a refusal never disturbs other calls that share its transaction\nSubmit: %v", err)
				}
			case 3:
				if _, err := w.Submit(w.Context(), others[2*(r*n+k)]); !errors.Is(err, store.ErrKeyConflict) {
					w.Errorf("broken rule: ErrKeyConflict: the key stands for another message\ngot %v", err)
				}
				if _, err := w.Submit(w.Context(), others[2*(r*n+k)+1]); !errors.Is(err, store.ErrNotFound) {
					w.Errorf("broken rule: ErrNotFound: a follow-up to an unknown task\ngot %v", err)
				}
			case 4:
				_, err := w.Submit(w.Context(), w.first(named(ended[k].Head.ID), forAgent("other")))
				if !errors.Is(err, store.ErrStale) && !errors.Is(err, store.ErrClosed) {
					w.Errorf("broken rule: ErrStale or ErrClosed: a new task whose id is taken\ngot %v", err)
				}
			}
		}
	})
	for _, h := range good {
		w.want("what was acknowledged is there, and nothing else", h.head().LastSeq, uint64(rounds))
	}
	for _, s := range subs {
		w.want("what was acknowledged is there", w.head(s.Ref).LastTurn, 1)
	}
	for _, s := range others {
		_, err := w.Load(w.Context(), s.Ref)
		w.refused("what was refused is not there", err, store.ErrNotFound)
	}
}

func raceRescue(w *world) {
	const n = 40
	var held []*holder
	for range n {
		held = append(held, w.running())
	}
	w.clock.advance(ttl)
	var rescued atomic.Int64
	w.parallel(8, func(int) {
		for range n {
			agents, err := w.Rescue(w.Context(), 3)
			if err != nil {
				w.Errorf("Rescue: %v", err)
			}
			if len(agents) == 0 {
				return
			}
			rescued.Add(int64(len(agents)))
		}
	})
	w.want("concurrent rescues take each item once", rescued.Load(), int64(n))
	for _, h := range held {
		w.want("a rescue raises epoch and losses by one", []int64{h.head().Epoch, int64(h.turn().Losses)}, []int64{h.Head.Epoch + 1, 1})
	}
}

func racePromote(w *world) {
	const n = 40
	for range n {
		w.running().write(retries(0))
	}
	w.parallel(8, func(int) {
		for range n {
			due, err := w.Promote(w.Context(), sweep(3))
			agents := due.Agents
			if err != nil {
				w.Errorf("Promote: %v", err)
			}
			if len(agents) == 0 {
				return
			}
		}
	})
	w.want("concurrent promotions lose nothing", len(w.claim(agent, 100)), n)
	w.claimNone("concurrent promotions make nothing ready twice")
}

func raceBeat(w *world) {
	for range 40 {
		h := w.running()
		w.clock.advance(ttl)
		var agents []string
		var answers []store.BeatAnswer
		var errs [2]error
		w.parallel(2, func(i int) {
			if i == 0 {
				agents, errs[0] = w.Rescue(w.Context(), 10)
			} else {
				answers, errs[1] = w.Heartbeat(w.Context(), ttl, []store.Beat{{Ref: h.Head.Ref, Epoch: h.Head.Epoch, Item: h.Item}})
			}
		})
		w.must("Rescue and Heartbeat", errors.Join(errs[:]...))
		lost := len(agents) == 1
		w.want("a holder is told that it lost exactly if it was rescued", answers[0].Lost, lost)
		w.want("a heartbeat that won keeps the epoch and the run", []bool{h.head().Epoch == h.Head.Epoch, h.head().Running}, []bool{!lost, !lost})
		if lost {
			h = w.claimOne("rescued", h.Head.Ref)
		}
		h.close()
	}
}

func raceTurn(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	h.park()
	const n = 32
	head := h.head()
	var accepted atomic.Int64
	w.parallel(n, func(int) {
		_, err := w.Submit(w.Context(), w.next(head, w.opened, claimed))
		switch {
		case err == nil:
			accepted.Add(1)
		case !errors.Is(err, store.ErrStale):
			w.Errorf("broken rule: ErrStale: the head has changed\ngot %v", err)
		}
	})
	w.want("of submissions made from one head one is accepted", accepted.Load(), int64(1))
	w.want("one turn, one record", []any{h.head().LastTurn, h.head().LastSeq, len(w.turns(h.Head.Ref))}, []any{2, head.LastSeq + 1, 2})

	refs := w.ref()
	accepted.Store(0)
	w.parallel(n, func(int) {
		_, err := w.Submit(w.Context(), w.first(named(refs.ID), w.opened))
		switch {
		case err == nil:
			accepted.Add(1)
		case !errors.Is(err, store.ErrStale):
			w.Errorf("broken rule: ErrStale: the task exists\ngot %v", err)
		}
	})
	w.want("of submissions of one new task one is accepted", accepted.Load(), int64(1))
}

// raceContext: when a call returns an error, nothing of it is or ever becomes
// visible, except with ErrUnknown; the end of a context is no excuse.
func raceContext(w *world) {
	const n = 120
	holders, seqs := make([]*holder, n), make([]uint64, n)
	subs := make([]*store.Submission, n)
	for i := range n {
		holders[i] = w.running()
		subs[i] = w.first(forAgent("other"))
	}
	var submitted, appended [n]error
	w.parallel(2*n, func(i int) {
		ctx, cancel := context.WithCancel(w.Context())
		defer cancel()
		go func() {
			for range i % 50 * 20 {
				runtime.Gosched()
			}
			cancel()
		}()
		if k := i / 2; i%2 == 0 {
			_, submitted[k] = w.Submit(ctx, subs[k])
		} else {
			_, appended[k] = w.Append(ctx, holders[k].draft(records(1)))
		}
	})
	w.submit(w.first(forAgent("other"))) // behind everything that still waits
	for i := range n {
		_, err := w.Load(w.Context(), subs[i].Ref)
		if !errors.Is(submitted[i], store.ErrUnknown) && (submitted[i] == nil) != (err == nil) {
			w.Errorf("broken rule: with an error nothing is visible, without one everything\nSubmit said %v, Load says %v", submitted[i], err)
		}
		seqs[i] = holders[i].head().LastSeq
		if !errors.Is(appended[i], store.ErrUnknown) && (appended[i] == nil) != (seqs[i] == 1) {
			w.Errorf("broken rule: with an error nothing is visible, without one everything\nAppend said %v, the log ends at %d", appended[i], seqs[i])
		}
	}
}
