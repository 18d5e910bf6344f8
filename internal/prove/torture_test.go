// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"flag"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// The flags of `make torture`. Flags have to stand here: the test binary
// parses them before any test runs.
var (
	kills    = flag.Int("kills", 30, "how often the server is killed")
	killTime = flag.Duration("time", 0, "end the killing after this long, whatever -kills says")
	seed     = flag.Uint64("seed", 0, "seed of the mix and of the times of the kills; 0 draws one")
)

// workshop is a server program on a store of its own and the ledger of what it
// acknowledged.
type workshop struct {
	server *Server
	client *Client
	ledger *Ledger
	path   string
	seed   uint64
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	dir := t.TempDir()
	binary, err := Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	w := &workshop{path: filepath.Join(dir, "ledger"), seed: *seed}
	if w.seed == 0 {
		w.seed = rand.Uint64()
	}
	t.Logf("seed %d", w.seed)
	if w.server, err = NewServer(binary, "sqlite:"+filepath.Join(dir, "errand.db")); err != nil {
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

// check compares the server with the ledger and fails on every violation.
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
	for i, v := range report.Violations {
		if i == 40 {
			t.Errorf("and %d more", len(report.Violations)-i)
			break
		}
		t.Error(v)
		if i < 3 {
			t.Logf("its log:\n%s", checker.Log(t.Context(), v.Task))
		}
	}
}

func TestTortureKills(t *testing.T) {
	w := newWorkshop(t)
	load := NewLoad(w.client, w.ledger, 200, w.seed)
	torture := &Torture{
		Server: w.server, Client: w.client, Load: load,
		Kills: *kills, Bound: *killTime,
		MinUp: 300 * time.Millisecond, MaxUp: 1200 * time.Millisecond,
		Log: t.Logf,
	}
	report, err := torture.Run(t.Context(), w.seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report.Summary())
	if report.HitRunning*5 < report.Kills*4 {
		t.Errorf("only %d of %d kills hit a running attempt", report.HitRunning, report.Kills)
	}
	w.check(t, load.Violations()...)
}

// A stop is not a kill: what runs is drained or given back, streams are ended
// and taken up again. Nothing may depend on which of the two it was.
func TestTortureStops(t *testing.T) {
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

func TestTortureCutStreams(t *testing.T) {
	w := newWorkshop(t)
	if _, err := w.server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy, err := NewProxy(w.server.Addr(), cutAnywhere(w.seed))
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	client := NewClient(proxy.URL())
	defer client.Close()

	const streams = 50
	cuts := &Cuts{Client: client, Ledger: w.ledger, To: 200, Every: 4 * time.Millisecond, AtATime: 10}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var killed int
	var killing sync.WaitGroup
	killing.Go(func() { killed = killSometimes(t, ctx, w.server) })
	followed, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err = cuts.Run(followed, streams)
	stop()
	killing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	resumed := cuts.Resumed()
	t.Logf("%d streams, %d cuts, %d kills between; resumed from %d to %d times each",
		len(resumed), proxy.Cuts(), killed, slices.Min(resumed), slices.Max(resumed))
	if slices.Min(resumed) == 0 || killed == 0 {
		t.Errorf("a stream was never cut, or the server never killed")
	}
	w.check(t)
}

// cutAnywhere draws after how many bytes a connection is cut: mostly within
// the frames, now and then within the headers of the answer.
func cutAnywhere(seed uint64) func() int64 {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 3))
	return func() int64 {
		mu.Lock()
		defer mu.Unlock()
		if random.IntN(10) == 0 {
			return random.Int64N(200)
		}
		return random.Int64N(20_000)
	}
}

// killSometimes kills and restarts the server until ctx ends and tells how
// often.
func killSometimes(t *testing.T, ctx context.Context, server *Server) int {
	for n := 0; ; n++ {
		if wait(ctx, 700*time.Millisecond+rand.N(time.Second)) != nil {
			return n
		}
		if err := server.Kill(); err != nil {
			t.Error(err)
			return n
		}
		if _, err := server.Start(t.Context()); err != nil {
			t.Error(err)
			return n
		}
	}
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
