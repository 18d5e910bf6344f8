// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// leastStep is how far a clock must be set for it to be noticed. What is less,
// a lease and a backoff can bear.
const leastStep = 100 * time.Millisecond

// steps compares the clock of the store with time that only passes, and so
// notices when the clock is set or the machine has slept.
type steps struct {
	read func() (now time.Time, passed time.Duration)

	now    time.Time // of the last look; zero: there was none
	passed time.Duration
}

func newSteps(clock store.Clock, elapsed func() time.Duration) *steps {
	switch {
	case clock != nil && elapsed != nil:
		return &steps{read: func() (time.Time, time.Duration) { return clock(), elapsed() }}
	case clock != nil: // it is taken as it is
		begin := clock()
		return &steps{read: func() (time.Time, time.Duration) { now := clock(); return now, now.Sub(begin) }}
	}
	begin := time.Now()
	return &steps{read: func() (time.Time, time.Duration) {
		now := time.Now()
		return now.Round(0), now.Sub(begin) // both of one reading: the first loses what only passes
	}}
}

// look tells the time, and how far the clock was set since the last look.
func (s *steps) look() (now time.Time, set time.Duration) {
	now, passed := s.read()
	if !s.now.IsZero() {
		set = now.Sub(s.now) - (passed - s.passed)
	}
	s.now, s.passed = now, passed
	if set > -leastStep && set < leastStep {
		set = 0
	}
	return now, set
}

// clock tells the time and notes how far it was set.
func (r *runner) clock() time.Time {
	now, set := r.steps.look()
	r.set += set
	return now
}

// follow moves what is measured from now on after a clock that was set: leases
// hold and end as if it had not been, and no retry waits for longer. What a
// client has asked for by the clock stays as it is.
func (r *runner) follow() {
	set := r.set
	o := &op{run: func(b *batch) error {
		if _, err := b.exec("move the leases after the clock", b.s.moveLeases, Int(set.Milliseconds())); err != nil || set > 0 {
			return err
		}
		_, err := b.exec("move the retries after the clock", b.s.moveRetries, Int(set.Milliseconds()))
		return err
	}}
	r.transact([]*op{o}, false)
	if o.err != nil {
		r.o.Logger.Warn("store: the clock was set, and the leases could not be moved after it; trying again", "by", set, "error", o.err)
		return
	}
	r.cache.clear() // it has the times from before
	r.set -= set
	r.o.Logger.Warn("store: the clock was set, or the machine has slept; leases go on as they were", "by", set)
}
