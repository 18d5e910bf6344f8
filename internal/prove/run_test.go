// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// A run is interrupted twice, by kill -9 of the prover and by the end of its
// context, and comes to the same end as one that was not.
func TestTortureGoesOnWhereItWasInterrupted(t *testing.T) {
	t.Parallel()
	const total, every = 5, 2
	dir := t.TempDir()
	killProver(t, dir, total, every, 1)
	before := readRun(t, dir)
	if n := len(before.kills); n < 1 || n >= total {
		t.Fatalf("the prover was to be killed in the middle, and made %d kills", n)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	second := &Run{Dir: dir, Kills: total, Every: every, Rate: 200, MinUp: 300 * time.Millisecond, MaxUp: time.Second}
	second.Log = func(format string, args ...any) {
		t.Logf(format, args...)
		if len(readRun(t, dir).kills) > len(before.kills) {
			cancel()
		}
	}
	if _, err := second.Do(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("the second sitting ended with %v", err)
	}
	middle := readRun(t, dir)
	if middle.sittings != 2 || len(middle.kills) <= len(before.kills) || len(middle.kills) >= total {
		t.Fatalf("%d kills after %d sittings", len(middle.kills), middle.sittings)
	}

	third := &Run{Dir: dir, Kills: total, Every: every, Rate: 200, MinUp: 300 * time.Millisecond, MaxUp: time.Second, Log: t.Logf}
	report, err := third.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report.Summary())
	fail(t, report.Report.Violations, report.Violating)
	if len(report.Kills) != total || report.Sittings != 3 || report.Seed != 5 {
		t.Errorf("%d kills in %d sittings with the seed %d", len(report.Kills), report.Sittings, report.Seed)
	}
	for i, k := range report.Kills {
		if k.N != i+1 {
			t.Errorf("kill %d has the number %d", i+1, k.N)
		}
	}
	if report.Report.Tasks < 200 || report.Report.Operations <= report.Report.Tasks {
		t.Errorf("the figures are not over all: %s", report.Report.Summary())
	}
	again, err := third.Do(t.Context())
	if err != nil || again.Sittings != 3 || again.Report.Summary() != report.Report.Summary() {
		t.Errorf("done, it was done again: %v %v", again, err)
	}
	leaveBehind(t, third.path("errand"))
	other := &Run{Dir: dir, Seed: 6, Kills: total, Every: every, Log: t.Logf}
	if _, err := other.Do(t.Context()); err == nil {
		t.Error("another seed went on with the run")
	}
}

// leaveBehind starts a server as a prover does that is then killed, and ends it
// by what is written down.
func leaveBehind(t *testing.T, binary string) {
	t.Helper()
	server, err := NewServer(binary, "memory:")
	if err != nil {
		t.Fatal(err)
	}
	server.PIDFile = filepath.Join(t.TempDir(), "errand.pid")
	if _, err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := EndOrphan(t.Context(), server.PIDFile); err != nil {
		t.Error(err)
	}
	select {
	case <-server.exited:
	case <-time.After(5 * time.Second):
		t.Error("the server still runs")
	}
	if err := server.Kill(); err == nil {
		t.Error("the server had not been ended")
	}
	if err := EndOrphan(t.Context(), server.PIDFile); err != nil {
		t.Errorf("one that is gone: %v", err)
	}
	if err := EndOrphan(t.Context(), filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("none at all: %v", err)
	}
}

// killProver runs this test program as a prover and kills it after some kills
// of its own, with operations in flight.
func killProver(t *testing.T, dir string, kills, every, after int) {
	t.Helper()
	prover := exec.Command(os.Args[0], "-test.run=^TestTortureKills$", "-test.timeout=2m",
		"-kills="+strconv.Itoa(kills), "-every="+strconv.Itoa(every), "-seed=5", "-dir="+dir)
	output := &tail{}
	prover.Stdout, prover.Stderr = output, output
	if err := prover.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- prover.Wait() }()
	for len(readRun(t, dir).kills) < after || !isOpen(t, dir) {
		select {
		case err := <-ended:
			t.Fatalf("the prover ended by itself: %v\n%s", err, output.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := prover.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
}

// isOpen reports whether operations of the first round are open.
func isOpen(t *testing.T, dir string) bool {
	t.Helper()
	entries, err := ReadLedger((&Run{Dir: dir}).ledger(0))
	if err != nil {
		t.Fatal(err)
	}
	return len(leftOpen(entries)) > 0
}

// readRun reads the log of a run, which another may be writing.
func readRun(t *testing.T, dir string) *progress {
	t.Helper()
	p := &progress{}
	entries, err := readLines[runEntry](filepath.Join(dir, "torture.log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		p.take(e)
	}
	return p
}

func TestRunLogHoldsWhatWasAdded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "torture.log")
	log, p, err := openRunLog(path)
	if err != nil || p.sittings != 0 || p.done(0) {
		t.Fatalf("a new log: %+v %v", p, err)
	}
	at := time.Now()
	for _, e := range []runEntry{
		{At: at, Begin: &beginning{Seed: 3}},
		{At: at, Kill: &Kill{N: 1, Kind: KillFresh}},
		{At: at, Check: &checking{Round: 1, Kills: 1}},
		{At: at, Kill: &Kill{N: 2, Kind: KillStarting}},
		{At: at, Violation: &Violation{"lost", "t", "d"}},
		{At: at, Check: &checking{Final: true, Kills: 2, Tasks: 7}},
		{At: at, Begin: &beginning{Seed: 4}},
	} {
		if err := log.add(e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := log.file.WriteString(`{"kill":{"n":3`); err != nil { // a prover was killed here
		t.Fatal(err)
	}
	if err := log.close(); err != nil {
		t.Fatal(err)
	}
	log, p, err = openRunLog(path)
	if err != nil {
		t.Fatal(err)
	}
	if p.sittings != 2 || p.begun.Seed != 3 || len(p.kills) != 2 || p.rounds != 1 || !p.roundsAt.Equal(at) ||
		len(p.violations) != 1 || !p.done(2) || p.done(3) {
		t.Errorf("read %+v", p)
	}
	if err := log.add(runEntry{Kill: &Kill{N: 3}}); err != nil {
		t.Fatal(err)
	}
	if err := log.close(); err != nil {
		t.Fatal(err)
	}
	if log, p, err = openRunLog(path); err != nil || len(p.kills) != 3 || p.done(2) {
		t.Errorf("after a torn line: %+v %v", p, err)
	}
	if err := log.close(); err != nil {
		t.Fatal(err)
	}
}

func TestKillsAreSummedUp(t *testing.T) {
	t.Parallel()
	r := KillReport{
		{N: 1, Kind: KillRunning, ReadyMS: 30, Working: 9, Moving: 2, TookMS: 1000},
		{N: 2, Kind: KillStarting, Working: -1, TookMS: 20},
		{N: 3, Kind: KillRunning, ReadyMS: 50, Working: 4, TookMS: 980},
	}
	const want = "3 kills (2 running, 1 starting) in 2s, 1 of the 2 that were watched hit a running attempt; " +
		"tasks working at a kill: median 9, least 4; ready again after: median 50 ms, most 50 ms"
	if got := r.Summary(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := (KillReport{}).Summary(); got != "no kills" {
		t.Errorf("got %s", got)
	}
}
