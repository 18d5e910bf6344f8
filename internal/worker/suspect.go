// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"math"
	"time"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/store"
)

// suspectLoop runs the items that were lost so often that the process may have
// died of them: one after the other, whatever agent they are of, for it is the
// process that dies. The next one begins when the run before has ended, or has
// gone on for so long that it is not what kills.
//
// It has its own loop so that the claims of everything else know nothing of it.
func (w *Worker) suspectLoop(ctx context.Context) {
	poll := time.NewTicker(w.o.Poll)
	defer poll.Stop()
	for {
		for w.trySuspect(ctx) && ctx.Err() == nil {
		}
		if !awake(ctx, w.suspects, poll.C) {
			return
		}
	}
}

// trySuspect runs one suspect, waits for the end of its probation and reports
// whether there was one. Of an agent that never gives up nobody would end dead
// with its neighbours, so nobody waits.
func (w *Worker) trySuspect(ctx context.Context) bool {
	names, err := w.o.Census.Suspects(ctx, censusPage)
	if err != nil {
		if ctx.Err() == nil {
			w.o.Logger.Warn("cannot ask for suspects; trying again", "error", err)
		}
		return false
	}
	var owed []string
	for _, name := range names {
		if _, fixed := w.bells[name]; !fixed && !w.o.Agents.Resolves() {
			continue
		}
		want := 1
		if a, fixed := w.o.Agents.Lookup(name); fixed && a.Policy.Retry.MaxLosses >= agent.Unlimited {
			want = mostClaims
		}
		claims, busy := w.claimSuspects(ctx, name, want)
		switch {
		case len(claims) > 0 && want > 1:
			for i := range claims {
				w.Start(&claims[i], nil)
			}
			return true
		case len(claims) > 0:
			w.probation(ctx, &claims[0])
			return true
		case busy:
			owed = append(owed, name)
		}
	}
	w.owe(owed)
	return false
}

// claimSuspects claims the first suspects of an agent; busy says that there is no
// slot for them.
func (w *Worker) claimSuspects(ctx context.Context, name string, want int) (claims []store.Claim, busy bool) {
	n, others := w.reserveSuspects(name, want)
	if others {
		w.Ring(name) // it is their turn, if there are any
		return nil, false
	}
	if n == 0 {
		return nil, true
	}
	claims, err := w.o.Queue.Claim(ctx, store.ClaimRequest{Agent: name, Limit: n, Suspects: true, Taker: w.taker()})
	for range n - len(claims) {
		w.Release(name)
	}
	if err != nil && ctx.Err() == nil {
		w.o.Logger.Warn("claim of a suspect failed; trying again", "agent", name, "error", err)
	}
	return claims, false
}

// probation starts a suspect and waits until another may start.
func (w *Worker) probation(ctx context.Context, c *store.Claim) {
	w.o.Logger.Warn("an item that its processes may have died of runs on probation",
		"agent", c.Head.Agent, "task", c.Head.ID, "turn", c.Item.Turn, "losses", c.Losses, "probation", w.o.Probation)
	s := &slot{w: w, agent: c.Head.Agent, freed: make(chan struct{})}
	go w.runIn(s, c, nil)
	timer := time.NewTimer(w.o.Probation)
	defer timer.Stop()
	select {
	case <-s.freed:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// owe keeps the next slot that becomes free for the suspect of an agent: others
// that are always there must not hold it up for ever.
func (w *Worker) owe(names []string) {
	limits := make([]int, len(names))
	for i, name := range names {
		limits[i] = w.o.Agents.Concurrency(name)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgive()
	for i, name := range names {
		w.owed[name] = true
		w.owedAny = w.owedAny || w.used[name] < limits[i] // it is the bound of all agents that it waits for
	}
}

// forgive owes nothing any more. The caller holds w.mu.
func (w *Worker) forgive() {
	clear(w.owed)
	w.owedAny = false
}

// room is how many slots of an agent are free, for suspects or for others. The
// caller holds w.mu.
func (w *Worker) room(name string, limit int, others bool) int {
	n, all := limit-w.used[name], math.MaxInt
	if w.o.MaxExecutions > 0 {
		all = w.o.MaxExecutions - w.total
	}
	if others && w.owed[name] {
		n--
	}
	if others && w.owedAny {
		all--
	}
	return max(min(n, all), 0)
}

// reserveSuspects takes slots for suspects. The last free one it takes only in
// turns: suspects that are many must not hold up the others either.
func (w *Worker) reserveSuspects(name string, want int) (n int, others bool) {
	limit := w.o.Agents.Concurrency(name)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open {
		return 0, false
	}
	free := w.room(name, limit, false)
	if free == 1 && w.yields[name] {
		return 0, true
	}
	if n = min(free, want); n == 0 {
		return 0, false
	}
	if n == free {
		w.yields[name] = true
	}
	w.forgive() // while it is on probation there is no other that could start
	w.take(name, n)
	return n, false
}
