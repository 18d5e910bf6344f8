// SPDX-License-Identifier: Apache-2.0

package mutate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The flags of `make mutate`.
var (
	all  = flag.Bool("all", false, "try every mutation, not only those of every check")
	only = flag.String("only", "", "try the mutations whose name contains this")
)

// patience bounds one command; a mutation may well make a test hang.
const patience = 3 * time.Minute

// root is the root of the module.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTortureMutations(t *testing.T) {
	dir := root(t)
	for _, m := range table {
		if *only != "" && !strings.Contains(m.name, *only) || *only == "" && !*all && !m.always {
			continue
		}
		t.Run(m.name, func(t *testing.T) { // one after the other: each builds and runs on all processors
			begun := time.Now()
			overlay := m.overlay(t, dir)
			for _, pkg := range strings.Fields(m.pkg) {
				if seen, out := m.noticed(t, dir, pkg, overlay); seen {
					t.Logf("noticed by %s in %s: %s", pkg, time.Since(begun).Round(time.Millisecond), firstFailure(out))
					return
				}
			}
			t.Errorf("nobody has noticed: %s -run %s passes", m.pkg, m.run)
		})
	}
}

// TestTortureTheTreeItself: without a mutation the same tests pass, or else they would
// notice anything. With -all alone: every check runs these tests anyway.
func TestTortureTheTreeItself(t *testing.T) {
	dir := root(t)
	overlay := write(t, filepath.Join(t.TempDir(), "overlay.json"), []byte(`{}`))
	tried := map[string]bool{}
	for _, m := range table {
		if !*all || tried[m.pkg+m.run] {
			continue
		}
		tried[m.pkg+m.run] = true
		for _, pkg := range strings.Fields(m.pkg) {
			if seen, out := m.noticed(t, dir, pkg, overlay); seen {
				t.Errorf("%s -run %s fails without a mutation:\n%s", pkg, m.run, out)
			}
		}
	}
}

// overlay writes the mutated file, and what tells the compiler of it.
func (m mutation) overlay(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(m.file))
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(src, []byte(m.old)); n != 1 {
		t.Fatalf("%s has the text that is to be replaced %d times, want once:\n%s", m.file, n, m.old)
	}
	tmp := t.TempDir()
	mutated := write(t, filepath.Join(tmp, filepath.Base(path)), bytes.Replace(src, []byte(m.old), []byte(m.new), 1))
	spec, err := json.Marshal(map[string]any{"Replace": map[string]string{path: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(tmp, "overlay.json"), spec)
}

func write(t *testing.T, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// noticed builds the tests of a package with an overlay and reports whether
// they fail. What does not compile fails this test.
func (m mutation) noticed(t *testing.T, dir, pkg, overlay string) (bool, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	binary := filepath.Join(t.TempDir(), "tests.exe")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", binary, pkg)
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the mutation does not compile: %v\n%s", err, out)
	}
	args := append([]string{"-test.run", m.run, "-test.timeout", "2m", "-test.failfast"}, m.args...)
	run := exec.CommandContext(ctx, binary, args...)
	run.Dir = filepath.Join(dir, filepath.FromSlash(pkg))
	run.WaitDelay = time.Second
	out, err := run.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false, string(out)
	case !errors.As(err, &exit):
		t.Fatalf("run the tests: %v", err)
	case !bytes.Contains(out, []byte("--- FAIL")):
		t.Fatalf("the tests have ended without an assertion: %v\n%s", err, out)
	}
	return true, string(out)
}

// firstFailure is the line after the first test that failed.
func firstFailure(out string) string {
	lines := strings.Split(out, "\n")
	for n, line := range lines {
		if strings.Contains(line, "--- FAIL") {
			for _, next := range lines[n+1:] {
				if strings.Contains(next, ".go:") {
					return strings.TrimSpace(next)
				}
			}
		}
	}
	return "(no line)"
}
