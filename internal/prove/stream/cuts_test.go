// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"flag"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/prove"
)

// The flags of `make torture`. Flags have to stand here: the test binary
// parses them before any test runs.
var (
	cuts = flag.Int("cuts", 600, "how many connections are cut, over all bindings")
	seed = flag.Uint64("seed", 0, "seed of what is drawn; 0 draws one")
)

func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("seed %d", s)
	return rand.New(rand.NewPCG(s, 1))
}

func TestTortureCuts(t *testing.T) {
	random := newRandom(t)
	dir := t.TempDir()
	binary, err := prove.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	server, err := prove.NewServer(binary, "sqlite:"+filepath.Join(dir, "errand.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the last that errand wrote:\n%s", server.Output())
		}
	})
	drive := &Cuts{Lanes: lanes(t, server.Addr(), random), Each: (*cuts + 2) / 3, To: 100, Every: 5 * time.Millisecond, AtATime: 16}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(*cuts)*100*time.Millisecond)
	defer cancel()
	killing, stop := context.WithCancel(ctx)
	var up sync.RWMutex
	var killed int
	var killer sync.WaitGroup
	killer.Go(func() { killed = killSometimes(killing, t, server, &up) })
	begin := time.Now()
	err = drive.Run(ctx, &up)
	took := time.Since(begin)
	stop()
	killer.Wait()
	var all Tally
	for _, l := range drive.Lanes {
		t.Log(l.Summary())
		all.Dead += l.Cutter.Tally().Dead
		all.Cut += l.Cutter.Tally().Cut
		all.Broken += l.Cutter.Tally().Broken
		for _, p := range []Place{Head, Within, Between} {
			if l.Cutter.Tally().Cuts[p] == 0 {
				t.Errorf("%s was never cut %s", l.Name, p)
			}
		}
	}
	t.Logf("%d cuts and %d kills in %s", all.Cut, killed, took.Round(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if all.Cut < *cuts || killed == 0 || all.Dead+all.Broken == 0 {
		t.Errorf("%d cuts, %d kills, %d connections that met a dead server, %d that lost theirs: something was never tried", all.Cut, killed, all.Dead, all.Broken)
	}
}

func lanes(t *testing.T, addr string, random *rand.Rand) []*Lane {
	t.Helper()
	var all []*Lane
	for _, b := range bindings {
		// An event over gRPC is a third shorter.
		cutter, err := NewCutter(addr, b.grpc, Anywhere(rand.New(rand.NewPCG(random.Uint64(), 2)), 250, 4000))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := cutter.Close(); err != nil {
				t.Error(err)
			}
		})
		all = append(all, &Lane{Name: b.name, Torn: b.door(cutter.Addr(), nil), Clean: b.door(addr, nil), Cutter: cutter})
	}
	return all
}

// bindings are all that there are.
var bindings = []struct {
	name string
	grpc bool
	door func(addr string, dial Dial) Door
}{
	{"JSON-RPC", false, func(addr string, dial Dial) Door { return NewHTTP(addr, false, dial) }},
	{"REST", false, func(addr string, dial Dial) Door { return NewHTTP(addr, true, dial) }},
	{"gRPC", true, func(addr string, dial Dial) Door { return &grpcDoor{addr, dial} }},
}

// killSometimes kills and restarts the server until ctx ends and tells how
// often.
func killSometimes(ctx context.Context, t *testing.T, server *prove.Server, up *sync.RWMutex) int {
	for n := 0; ; n++ {
		if pause(ctx, 200*time.Millisecond+rand.N(600*time.Millisecond)) != nil {
			return n
		}
		if err := killOnce(t, server, up); err != nil {
			t.Error(err)
			return n
		}
	}
}

func killOnce(t *testing.T, server *prove.Server, up *sync.RWMutex) error {
	up.Lock()
	defer up.Unlock()
	if err := server.Kill(); err != nil {
		return err
	}
	_, err := server.Start(t.Context())
	return err
}
