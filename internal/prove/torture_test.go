// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"flag"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

// The flags of `make torture`. Flags have to stand here: the test binary
// parses them before any test runs.
var (
	kills    = flag.Int("kills", 30, "how often the server is killed")
	killTime = flag.Duration("time", 0, "end the killing of this sitting after this long, whatever -kills says")
	seed     = flag.Uint64("seed", 0, "seed of the mix and of the times of the kills; 0 draws one")
	every    = flag.Int("every", 50, "how many kills there are between two checks")
	runDir   = flag.String("dir", "", "directory that holds the run, so that it can be interrupted and gone on with; empty is one of the test")
)

// workshop is a server program on a store of its own and the ledger of what it
// acknowledged.
type workshop struct {
	server *Server
	client *Client
	ledger *Ledger
	// path is the ledger's, file the store's.
	path, file string
	seed       uint64
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	dir := t.TempDir()
	binary, err := Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	w := &workshop{path: filepath.Join(dir, "ledger"), file: filepath.Join(dir, "errand.db"), seed: *seed}
	if w.seed == 0 {
		w.seed = rand.Uint64()
	}
	t.Logf("seed %d", w.seed)
	if w.server, err = NewServer(binary, "sqlite:"+w.file); err != nil {
		t.Fatal(err)
	}
	if w.ledger, err = OpenLedger(w.path); err != nil {
		t.Fatal(err)
	}
	w.client = NewClient(w.server.URL())
	t.Cleanup(func() {
		w.client.Close()
		w.ledger.Close()
		if err := w.server.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the last that errand wrote:\n%s", w.server.Output())
		}
	})
	return w
}

// check compares the server with the ledger, stops it, compares its store, and
// fails on every violation.
func (w *workshop) check(t *testing.T, more ...Violation) {
	t.Helper()
	entries, err := ReadLedger(w.path)
	if err != nil {
		t.Fatal(err)
	}
	checker := NewChecker(w.client)
	report, err := checker.Check(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	report.Violations = append(report.Violations, more...)
	t.Log(report.Summary())
	var logs []string
	for _, v := range report.Violations[:min(len(report.Violations), 3)] {
		logs = append(logs, "its log:\n"+checker.Log(t.Context(), v.Task))
	}
	if err := w.server.Stop(); err != nil {
		t.Fatal(err)
	}
	inStore, err := CheckFile(t.Context(), w.file, checker.Answers(), w.path)
	if err != nil {
		t.Fatal(err)
	}
	fail(t, append(report.Violations, inStore.Violations...), logs)
}

func TestTortureKills(t *testing.T) {
	run := newRun(t, *runDir)
	report, err := run.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report.Summary())
	watched, hit := report.Kills.Watched()
	if hit*5 < watched*4 {
		t.Errorf("only %d of %d kills hit a running attempt", hit, watched)
	}
	fail(t, report.Report.Violations, report.Violating)
}

// newRun is a run with what the flags say; an empty directory is one of the test.
func newRun(t *testing.T, dir string) *Run {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	return &Run{
		Dir: dir, Seed: *seed, Kills: *kills, Bound: *killTime, Every: *every, Rate: 200,
		MinUp: 300 * time.Millisecond, MaxUp: 1200 * time.Millisecond, Log: t.Logf,
	}
}

// fail fails on violations and shows the logs of the first tasks.
func fail(t *testing.T, violations []Violation, logs []string) {
	t.Helper()
	for i, v := range violations {
		if i == 40 {
			t.Errorf("and %d more", len(violations)-i)
			break
		}
		t.Error(v)
	}
	for _, log := range logs {
		t.Log(log)
	}
}

// A stop is not a kill: what runs is drained or given back, streams are ended
// and taken up again. Nothing may depend on which of the two it was.
func TestTortureStops(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	load := NewLoad(w.client, w.ledger, 200, w.seed)
	torture := &Torture{
		Server: w.server, Client: w.client, Load: load,
		Kills: 3, Gently: true, MinUp: 500 * time.Millisecond, MaxUp: time.Second, Log: t.Logf,
	}
	report, err := torture.Run(t.Context(), w.seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report.Summary())
	w.check(t, load.Violations()...)
}

func TestTortureRaces(t *testing.T) {
	w := newWorkshop(t)
	if _, err := w.server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	const n = 1000
	races := &Races{Client: w.client, Ledger: w.ledger}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := races.Run(ctx, n); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d races: %d canceled, %d completed", n, races.Canceled(), races.Completed())
	if races.Canceled()+races.Completed() != n || min(races.Canceled(), races.Completed()) < n/20 {
		t.Errorf("one side won nearly all of them: nothing raced")
	}
	w.check(t, races.Violations()...)
}
