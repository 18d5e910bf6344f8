// SPDX-License-Identifier: Apache-2.0

//go:build linux

package disk

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var fullFor = flag.Duration("full", 3*time.Second, "how long the disk stays full")

// inNamespace says that this test program runs in a namespace of its own,
// where it may mount what it likes.
const inNamespace = "ERRAND_DISK_TEST_NAMESPACE"

// smallDisk mounts a disk of that size. Who may not mount runs the test once
// more in a namespace where everybody may; then this one has nothing to do and
// ends with its verdict, which done says.
func smallDisk(t *testing.T, size string) (dir string, done bool) {
	t.Helper()
	dir = t.TempDir()
	err := syscall.Mount("errand", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "size="+size)
	if err == nil {
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		return dir, false
	}
	if !errors.Is(err, os.ErrPermission) || os.Getenv(inNamespace) != "" {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	args := append([]string{"-Urm", "--", os.Args[0], "-test.run=^" + t.Name() + "$", "-test.v"}, flagsOfTest()...)
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	out, err := cmd.CombinedOutput()
	t.Logf("in a namespace of its own:\n%s", out)
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("it takes root or user namespaces (unshare -Urm) to mount a small disk: %v", err)
	}
	return "", true
}

func flagsOfTest() []string {
	return []string{fmt.Sprintf("-seed=%d", *seed), "-full=" + fullFor.String()}
}

// fill takes all the room that is left on a disk, and again what becomes free.
func fill(t *testing.T, f *os.File) {
	t.Helper()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err == nil {
			continue
		} else if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		size /= 4
	}
}

// A disk is full for a while under a load. What was accepted stays, what runs
// goes on afterwards, and nobody has to do anything but make room.
func TestTortureFullDisk(t *testing.T) {
	dir, done := smallDisk(t, "96m")
	if done {
		return
	}
	w := newWorkshop(t, dir, 60)
	ps := w.probes()
	w.start()
	long, err := ps.sendLong(*fullFor + 4*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := ps.accepted(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "a task has ended", ps.ended)

	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	refused := eventually(t, 30*time.Second, "everything is refused", func() error {
		fill(t, ballast)
		return ps.refused()
	})
	unready := eventually(t, 5*time.Second, "it says that it is not ready", ps.notReady)
	ps.stay(*fullFor, refused, unready)
	if err := ballast.Truncate(0); err != nil {
		t.Fatal(err)
	}
	back := eventually(t, 10*time.Second, "ready with room", ps.ready)
	again := eventually(t, 5*time.Second, "accepting with room", ps.accepted)
	t.Logf("ready again %s after there was room, accepting %s later", back, again)
	w.finish()
	if err := ps.onlyOneAttempt(long); err != nil {
		t.Error(err)
	}
	if err := w.server.Kill(); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.check()
}

// stay looks at a server whose disk stays full: it refuses, it can be read, it
// says that it is not ready, and it neither computes nor writes without end.
func (ps *probes) stay(d, refused, unready time.Duration) {
	t := ps.w.t
	lines, computed, acked := len(ps.w.logLines(0)), ps.w.processorTime(), ps.w.load.Acked()
	for begin := time.Now(); time.Since(begin) < d; {
		for what, holds := range map[string]func() error{"refused": ps.refused, "readable": ps.readable, "not ready": ps.notReady} {
			if err := holds(); err != nil {
				t.Errorf("while the disk is full, %s: %v", what, err)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	said := ps.w.logLines(lines)
	wrote := map[string]int{}
	for _, l := range said {
		wrote[kindOf(l)]++
	}
	computed = ps.w.processorTime() - computed
	t.Logf("full for %s: refused everything after %s, not ready %s later; %d acknowledged meanwhile; computed %s; wrote %d lines: %v",
		d, refused, unready, ps.w.load.Acked()-acked, computed, len(said), wrote)
	if computed > d/2 {
		t.Errorf("it computed %s in %s with nothing to do", computed, d)
	}
	if most := 20 * d.Seconds(); float64(len(said)) > most {
		t.Errorf("it wrote %d lines in %s, more than %.0f", len(said), d, most)
	}
}

// kindOf is what a line of the log is about.
func kindOf(line string) string {
	if _, after, ok := strings.Cut(line, "msg="); ok {
		line = after
	}
	return line[:min(len(line), 60)]
}
