// SPDX-License-Identifier: Apache-2.0

//go:build linux

package disk

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/errand-a2a/errand/internal/prove"
)

// The flags of `make torture`: the test binary parses them before any test runs.
var seed = flag.Uint64("seed", 0, "seed of the load and of the faults; 0 draws one")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// workshop is a server program with its store in a folder, a load, and the
// ledger of what was acknowledged. The ledger is in another folder.
type workshop struct {
	t      *testing.T
	binary string
	server *prove.Server
	client *prove.Client
	ledger *prove.Ledger
	load   *prove.Load
	rand   *rand.Rand
	store  string // the file
	path   string // of the ledger
	log    string // what the server writes on stderr

	stop   context.CancelFunc
	loaded chan error
}

// newWorkshop describes a server that keeps its store in dir.
func newWorkshop(t *testing.T, dir string, rate int) *workshop {
	t.Helper()
	home := t.TempDir()
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("seed %d", s)
	w := &workshop{
		t: t, store: filepath.Join(dir, "errand.db"), path: filepath.Join(home, "ledger"), log: filepath.Join(home, "log"),
		rand: rand.New(rand.NewPCG(s, 9)),
	}
	var err error
	if w.binary, err = prove.Build(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	w.server = w.wrapped("")
	if w.ledger, err = prove.OpenLedger(w.path); err != nil {
		t.Fatal(err)
	}
	w.load = prove.NewLoad(w.client, w.ledger, rate, s)
	t.Cleanup(w.close)
	return w
}

// wrapped is a server whose program is started by another one, or by none. What
// it says goes to a file: the prover itself keeps only the end.
func (w *workshop) wrapped(by string) *prove.Server {
	w.t.Helper()
	shell := fmt.Sprintf("#!/bin/sh\nexec %s '%s' \"$@\" 2>>'%s'\n", by, w.binary, w.log)
	if err := os.WriteFile(w.binary+".sh", []byte(shell), 0o700); err != nil {
		w.t.Fatal(err)
	}
	server, err := prove.NewServer(w.binary+".sh", "sqlite:"+w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	w.client = prove.NewClient(server.URL())
	return server
}

func (w *workshop) close() {
	w.client.Close()
	if err := w.ledger.Close(); err != nil {
		w.t.Error(err)
	}
	if err := w.server.Stop(); err != nil {
		w.t.Error(err)
	}
	if w.t.Failed() {
		w.t.Logf("the last that errand wrote:\n%s", w.logEnd())
	}
}

// start starts the server and the load.
func (w *workshop) start() {
	w.t.Helper()
	w.restart()
	loading, stop := context.WithCancel(w.t.Context())
	w.stop, w.loaded = stop, make(chan error, 1)
	go func() { w.loaded <- w.load.Run(w.t.Context(), loading) }()
}

func (w *workshop) restart() {
	w.t.Helper()
	if _, err := w.server.Start(w.t.Context()); err != nil {
		w.t.Fatalf("%v\n%s", err, w.logEnd())
	}
}

// drainTimeout bounds how long the load may take to be answered in the end.
const drainTimeout = 5 * time.Minute

// finish ends the load, waits for what it still asks, and compares the server
// with the ledger.
func (w *workshop) finish() {
	w.t.Helper()
	w.stop()
	select {
	case err := <-w.loaded:
		if err != nil {
			w.t.Fatal(err)
		}
	case <-time.After(drainTimeout):
		w.t.Fatal("operations were still unanswered")
	}
	w.check()
}

func (w *workshop) check() {
	w.t.Helper()
	entries, err := prove.ReadLedger(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	checker := prove.NewChecker(w.client)
	report, err := checker.Check(w.t.Context(), entries)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Log(report.Summary())
	for i, v := range append(report.Violations, w.load.Violations()...) {
		if i == 40 {
			w.t.Error("and more")
			break
		}
		w.t.Error(v)
		if i < 2 {
			w.t.Logf("its log:\n%s", checker.Log(w.t.Context(), v.Task))
		}
	}
}

// pid is the server's, as its lock file tells it.
func (w *workshop) pid() int {
	w.t.Helper()
	text, err := os.ReadFile(w.store + ".lock")
	var pid int
	if err == nil {
		_, err = fmt.Sscanf(string(text), "pid %d ", &pid)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return pid
}

// processorTime is how long the server has computed.
func (w *workshop) processorTime() time.Duration {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(w.pid()), "stat"))
	if err != nil {
		w.t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(f)
		if err != nil {
			w.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// logLines are the lines that the server wrote, from the given one on.
func (w *workshop) logLines(from int) []string {
	f, err := os.Open(w.log)
	if err != nil {
		return nil // it has written nothing
	}
	defer f.Close()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines[min(from, len(lines)):]
}

func (w *workshop) logEnd() string {
	lines := w.logLines(0)
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// eventually waits for what the server does by itself.
func eventually(t *testing.T, within time.Duration, what string, cond func() error) time.Duration {
	t.Helper()
	begin := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return time.Since(begin)
		}
		if time.Since(begin) > within {
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}
