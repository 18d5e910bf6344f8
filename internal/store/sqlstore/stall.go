// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"sync"
	"time"
)

// stallGuard knows whether leases may have run out only because nobody could
// renew them: a commit that took very long, commits that failed, a process that
// was stopped, a clock that jumped. Then nothing is rescued before a round of heartbeats was
// committed, or as much time has passed as one takes.
type stallGuard struct {
	after time.Duration // what counts as a stall
	grace time.Duration // one heartbeat interval, and some

	mu     sync.Mutex
	since  time.Time // by the clock of the store, when the stall ended; zero: none
	pulse  time.Time // wall clock of the last beat of the process
	missed bool      // heartbeats have failed, and nothing was committed since
}

// alive is called about once a second by a goroutine of its own. Both it and
// begin notice when it was late: whichever runs first after a pause.
func (g *stallGuard) alive(wall, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.check(wall, now)
	g.pulse = wall
}

func (g *stallGuard) check(wall, now time.Time) {
	// Round drops the monotonic reading, which stands still while a machine sleeps.
	if gap := wall.Round(0).Sub(g.pulse.Round(0)); !g.pulse.IsZero() && (gap > g.after || gap < -g.after) {
		g.since = now
	}
}

func (g *stallGuard) begin(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.check(time.Now(), now)
}

// end tells how long a batch took and whether it renewed leases.
func (g *stallGuard) end(began, now time.Time, beats bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case now.Sub(began) > g.after:
		g.since = now // the leases in this very batch were renewed from its beginning
	case beats:
		g.since, g.missed = time.Time{}, false
	}
}

// miss tells that heartbeats could not be committed.
func (g *stallGuard) miss() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.missed = true
}

// served tells that a batch could be. If heartbeats could not for a while, the
// next round of them will be.
func (g *stallGuard) served(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.missed {
		g.since, g.missed = now, false
	}
}

// active tells whether nothing may be rescued yet.
func (g *stallGuard) active(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.missed || !g.since.IsZero() && now.Sub(g.since) < g.grace
}
