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

const (
	stormTasks   = 60
	stormTurns   = 3
	stormSenders = 6
	stormWorkers = 6
)

// storm is the whole life of many tasks at once: senders accept turns, workers
// run, fail, release and end them.
type storm struct {
	*world
	left atomic.Int64 // turns that have not ended
}

func raceStorm(w *world) {
	s := &storm{world: w}
	s.left.Store(stormTasks * stormTurns)
	var refs []task.Ref
	for range stormTasks {
		refs = append(refs, w.ref())
	}
	w.parallel(stormSenders+stormWorkers, func(i int) {
		if i >= stormSenders {
			s.work()
			return
		}
		for turn := range stormTurns {
			for k := i; k < stormTasks; k += stormSenders {
				s.send(refs[k], turn+1)
			}
		}
	})
	if w.Failed() {
		return
	}
	for _, ref := range refs {
		s.check(ref)
	}
	w.claimNone("every turn has ended")
	w.want("no lease is left", w.rescue(), []string(nil))
}

// send submits a turn from the newest head until it is accepted.
func (s *storm) send(ref task.Ref, turn int) {
	for !s.Failed() {
		sub := &store.Submission{Ref: ref, Agent: agent, Turn: turn, Message: fmt.Append(nil, turn)}
		if turn > 1 {
			stored, err := s.Load(s.Context(), ref)
			if err != nil {
				s.Errorf("Load: %v", err)
				return
			}
			sub.LastSeq, sub.DoneTurn = stored.Head.LastSeq, stored.Head.DoneTurn
		}
		_, err := s.Submit(s.Context(), sub)
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrStale) {
			s.Errorf("Submit of turn %d: %v", turn, err)
			return
		}
	}
}

// patience is how long a store may take for one step forward.
const patience = 30 * time.Second

// work claims and runs until every turn has ended.
func (s *storm) work() {
	left, since := s.left.Load(), time.Now()
	for s.left.Load() > 0 && !s.Failed() {
		if now := s.left.Load(); now < left {
			left, since = now, time.Now()
		} else if time.Since(since) > patience {
			s.Errorf("broken rule: every accepted turn ends\n%d of %d turns have not ended, and no worker gets on", left, stormTasks*stormTurns)
			return
		}
		claims, err := s.Claim(s.Context(), store.ClaimRequest{Agent: agent, Limit: 3, Taker: store.Taker{Worker: "worker", TTL: ttl}})
		if err != nil {
			s.Errorf("Claim: %v", err)
			return
		}
		for _, c := range claims {
			if err := s.run(s.hold(c)); err != nil {
				s.Errorf("%s turn %d attempt %d: %v", c.Head.ID, c.Item.Turn, c.Attempt, err)
				return
			}
		}
		if _, err := s.Promote(s.Context(), sweep(10)); err != nil {
			s.Errorf("Promote: %v", err)
		}
	}
}

// run fails the first attempt, releases the second and completes the third.
func (s *storm) run(h *holder) error {
	if string(h.Message) != fmt.Sprint(h.Item.Turn) {
		return fmt.Errorf("broken rule: a claim brings the turn's message: got %q", h.Message)
	}
	if _, err := h.try(records(2), s.shows("WORKING")); err != nil {
		return err
	}
	end := ends(store.Completed)
	switch h.Attempt {
	case 1:
		end = retries(0)
	case 2:
		end = ends(store.Pending)
	}
	if _, err := h.try(records(1), folds, end); err != nil {
		return err
	}
	if h.Attempt == 3 {
		s.left.Add(-1)
	}
	return nil
}

// check finds three attempts of each turn in the log and nothing else.
func (s *storm) check(ref task.Ref) {
	head := s.head(ref)
	s.want("every accepted turn ends", []any{head.LastTurn, head.DoneTurn, head.Running}, []any{stormTurns, stormTurns, false})
	s.want("every acknowledged record is in the log, once", head.LastSeq, uint64(stormTurns*3*3))
	s.want("every claim raised the epoch, nothing else did", head.Epoch-s.epochOfNew(), int64(stormTurns*3))
	at := uint64(0)
	for _, b := range s.log(ref) {
		s.want("records follow each other without gap", b.First, at+1)
		at = b.Last
	}
	for _, t := range s.turns(ref) {
		s.want("every turn ran three times and failed once", []any{t.Item, t.Attempt, t.Failures, t.Losses}, []any{store.Completed, 3, 1, 0})
	}
}

// epochOfNew is where the epoch of a task begins; the port does not say.
func (s *storm) epochOfNew() int64 { return s.queued(forAgent("nobody")).Epoch }
