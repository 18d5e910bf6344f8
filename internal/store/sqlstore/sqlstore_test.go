// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPlaceholdersAreNumberedWhereTheDialectAsksForIt(t *testing.T) {
	t.Parallel()
	d := Dialect{Numbered: true, Replace: func(key, columns []string) string { return " REPLACE" }}
	for _, s := range Statements(d) {
		if strings.Contains(s.SQL, "?") {
			t.Errorf("%s", s.SQL)
		}
	}
	if got := number("a = ? AND (b, c) < (?, ?)"); got != "a = $1 AND (b, c) < ($2, $3)" {
		t.Error(got)
	}
}

func TestEachStatementHasAnIDOfItsOwn(t *testing.T) {
	t.Parallel()
	for n, s := range Statements(Dialect{Replace: func(key, columns []string) string { return "" }}) {
		if s.ID != n {
			t.Errorf("statement %d has the id %d", n, s.ID)
		}
	}
}

func queued(c *committer, cl class, size int64) *op {
	o := &op{cl: cl, size: size, done: make(chan struct{})}
	c.queue[cl] = append(c.queue[cl], o)
	c.waiting += size
	return o
}

func TestHeartbeatsComeFirstAndRescueLast(t *testing.T) {
	t.Parallel()
	c := newCommitter(Options{}.withDefaults(), nil)
	var want []*op
	r := queued(c, rescue, 1)
	w1, w2 := queued(c, write, 1), queued(c, write, 1)
	b := queued(c, beat, 1)
	want = append(want, b, w1, w2, r)
	got, _ := c.take()
	if len(got) != len(want) {
		t.Fatalf("%d operations", len(got))
	}
	for n := range want {
		if got[n] != want[n] {
			t.Errorf("operation %d is of class %d", n, got[n].cl)
		}
	}
	if c.waiting != 0 || c.length() != 0 {
		t.Errorf("%d bytes, %d operations still wait", c.waiting, c.length())
	}
}

func TestABatchIsBounded(t *testing.T) {
	t.Parallel()
	c := newCommitter(Options{BatchOps: 3, BatchBytes: 100}.withDefaults(), nil)
	for _, size := range []int64{40, 60, 1, 500, 1, 1, 1, 1} {
		queued(c, write, size)
	}
	for n, want := range []int{2, 1, 1, 3, 1, 0} { // 40+60 · 1, as 500 does not fit · 500 alone · three · the rest
		if got, _ := c.take(); len(got) != want {
			t.Errorf("batch %d has %d operations, want %d", n, len(got), want)
		}
	}
}

func TestAnAbandonedOperationIsNotRun(t *testing.T) {
	t.Parallel()
	c := newCommitter(Options{}.withDefaults(), nil)
	o := queued(c, write, 10)
	o.state.Store(opAbandoned)
	if got, _ := c.take(); len(got) != 0 || c.waiting != 0 {
		t.Errorf("%d operations, %d bytes wait", len(got), c.waiting)
	}
}

func TestAPauseOfTheProcessCountsAsAStall(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	wall := time.Now()
	g := &stallGuard{after: 5 * time.Second, grace: 5 * time.Second}
	g.alive(wall, clock)
	g.alive(wall.Add(2*time.Second), clock)
	if g.active(clock) {
		t.Error("a pulse that is a little late counts")
	}
	for name, gap := range map[string]time.Duration{"a pause": 20 * time.Second, "a clock set back": -time.Hour, "a clock set forward": time.Hour} {
		g := &stallGuard{after: 5 * time.Second, grace: 5 * time.Second}
		g.alive(wall, clock)
		g.alive(wall.Add(gap), clock)
		if !g.active(clock) {
			t.Errorf("%s does not count", name)
		}
		if g.active(clock.Add(5 * time.Second)) {
			t.Errorf("%s counts for longer than the grace", name)
		}
		g.end(clock, clock, true)
		if g.active(clock) {
			t.Errorf("%s counts after leases were renewed", name)
		}
	}
}

func TestABatchThatTookLongCountsAsAStallAlsoIfItRenewedLeases(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	g := &stallGuard{after: 5 * time.Second, grace: 5 * time.Second}
	g.end(clock, clock.Add(6*time.Second), true)
	if !g.active(clock.Add(7 * time.Second)) {
		t.Error("leases that were renewed from before the stall are taken away")
	}
}

func TestALeaseHoldsAtLeastAsLongAsPromised(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1000).Add(900 * time.Microsecond)
	if got := after(now, time.Second); got != 2001 {
		t.Errorf("a second after %v is %d", now, got)
	}
	if got := after(time.UnixMilli(1000), time.Second); got != 2000 {
		t.Errorf("a second after a whole one is %d", got)
	}
}
