// SPDX-License-Identifier: Apache-2.0

//go:build linux

package disk

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var faults = flag.Int("faults", 8, "how often the disk under a server fails")

// fault is what strace makes of a system call on a file of the store.
type fault struct {
	call, file, errno string
	first             int  // the call with which it begins, counted in each thread
	lasting           bool // or else that one call alone fails
}

func (f fault) String() string {
	when := fmt.Sprintf("%s of %s fails with %s at call %d", f.call, f.file, f.errno, f.first)
	if f.lasting {
		when += " and from then on"
	}
	return when
}

// drawFault draws one. The n-th of a run goes through what can fail, so that a
// short run meets all of it too.
func (w *workshop) drawFault(n int) fault {
	calls := []struct{ call, file string }{
		{"fsync", "-wal"}, {"pwrite64", "-wal"}, {"fsync", ""}, {"pwrite64", ""},
		{"fsync", "-wal"}, {"pwrite64", "-wal"}, {"ftruncate", "-wal"}, {"pread64", "-wal"},
	}
	c := calls[n%len(calls)]
	return fault{
		call: c.call, file: w.store + c.file, errno: []string{"EIO", "ENOSPC"}[w.rand.IntN(2)],
		first: 1 + w.rand.IntN(4), lasting: n%3 != 2,
	}
}

// strace is a tracer of a running server that makes its system calls fail.
type strace struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

// inject begins to trace. The fault is over when the tracer is stopped.
func (w *workshop) inject(f fault) *strace {
	w.t.Helper()
	when := strconv.Itoa(f.first)
	if f.lasting {
		when += "+"
	}
	s := &strace{}
	s.cmd = exec.Command("strace", "-f", "-qq", "-p", strconv.Itoa(w.pid()), "-P", f.file,
		"-e", "trace="+f.call, "-e", "inject="+f.call+":error="+f.errno+":when="+when)
	s.cmd.Stderr, s.cmd.Stdout = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		w.t.Fatalf("the package strace is needed: %v", err)
	}
	return s
}

// stop lets the server go and tells how many calls were made to fail.
func (s *strace) stop() (hits int, err error) {
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}
	err = s.cmd.Wait()
	hits = strings.Count(s.out.String(), "(INJECTED)")
	var exit *exec.ExitError
	if errors.As(err, &exit) && (hits > 0 || exit.ExitCode() == 130 || exit.ExitCode() == -1) {
		return hits, nil // it was interrupted, or what it traced was killed
	}
	if err != nil {
		err = fmt.Errorf("strace: %w: %.2000s", err, s.out.String())
	}
	return hits, err
}

// The disk fails under a load, again and again, in all sorts of places. While
// it does, the server refuses in so many words; afterwards it goes on by
// itself, or after a kill, with everything that it has acknowledged.
func TestTortureFailingDisk(t *testing.T) {
	w := newWorkshop(t, t.TempDir(), 100)
	ps := w.probes()
	w.start()
	eventually(t, 20*time.Second, "the load is acknowledged", func() error {
		if n := w.load.Acked(); n < 50 {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	total := outcomes{}
	for n := range *faults {
		f := w.drawFault(n)
		got := w.failOnce(ps, f, n%2 == 1)
		t.Logf("%d: %v: %v", n, f, got)
		total.add(got)
	}
	t.Logf("%d faults: %v", *faults, total)
	if total.hits == 0 || total.refused == 0 || total.unready == 0 {
		t.Error("no fault was met, or none was told of")
	}
	w.finish()
}

// outcomes is what faults have led to.
type outcomes struct {
	hits    int // system calls
	refused int // messages, with 503 and Retry-After or what stands for it
	unready int // answers of /readyz
	kills   int
	back    time.Duration // until it was ready again, at most
	lines   int           // of the log, while a fault lasted
	lasted  time.Duration
}

func (o *outcomes) add(p outcomes) {
	o.hits += p.hits
	o.refused += p.refused
	o.unready += p.unready
	o.kills += p.kills
	o.back = max(o.back, p.back)
	o.lines += p.lines
	o.lasted += p.lasted
}

func (o outcomes) String() string {
	return fmt.Sprintf("%d calls failed, %d messages refused, not ready %d times, %d kills, ready again after at most %s; %d lines written in %s",
		o.hits, o.refused, o.unready, o.kills, o.back.Round(time.Millisecond), o.lines, o.lasted.Round(time.Millisecond))
}

// failOnce lets one fault last for a while. Then the disk works again, and the
// server goes on; or it is killed first.
func (w *workshop) failOnce(ps *probes, f fault, kill bool) (o outcomes) {
	w.t.Helper()
	lines := len(w.logLines(0))
	s := w.inject(f)
	begin := time.Now()
	for end := begin.Add(300*time.Millisecond + time.Duration(w.rand.IntN(1200))*time.Millisecond); time.Now().Before(end); {
		_, err := ps.send(func(p probe, r reply) error {
			o.refused++
			return p.unavailable(r)
		})
		if err != nil {
			w.t.Errorf("%v: %v", f, err)
		}
		if ps.ready() != nil {
			o.unready++
		}
		time.Sleep(20 * time.Millisecond)
	}
	o.lasted, o.lines = time.Since(begin), len(w.logLines(lines))
	if kill {
		o.kills++
		if err := w.server.Kill(); err != nil {
			w.t.Fatal(err)
		}
	}
	var err error
	if o.hits, err = s.stop(); err != nil {
		w.t.Error(err)
	}
	if kill {
		w.restart()
	}
	o.back = eventually(w.t, 15*time.Second, "ready after "+f.String(), ps.ready)
	eventually(w.t, 10*time.Second, "accepting after "+f.String(), ps.accepted)
	return o
}
