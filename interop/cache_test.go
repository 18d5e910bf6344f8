// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// installed returns a folder of the user's cache that install has filled. The
// key is all that decides what is in it, so that a second run, or another test
// at the same time, finds the work done.
func installed(t *testing.T, name, key string, install func(dir string) error) string {
	t.Helper()
	dir, err := installOnce(name, key, install)
	if err != nil {
		t.Fatalf("install what %s needs: %v", name, err)
	}
	return dir
}

func installOnce(name, key string, install func(dir string) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(key))
	dir := filepath.Join(cache, "errand-interop", name+"-"+hex.EncodeToString(sum[:8]))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	unlock, err := lockFile(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	// The mark is written last: a folder without it is an install that broke.
	mark := filepath.Join(dir, ".complete")
	if _, err := os.Stat(mark); err == nil {
		return dir, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := install(dir); err != nil {
		return "", err
	}
	return dir, os.WriteFile(mark, nil, 0o644)
}

// lockFile waits for every other process that installs the same thing.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// tool runs a program of the machine and returns what it printed.
func tool(dir string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// contents is a file of this folder.
func contents(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestABrokenInstallIsDoneAgain(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	runs := 0
	install := func(dir string) error {
		runs++
		if _, err := os.Stat(filepath.Join(dir, "half")); err == nil {
			t.Error("the folder still holds what the broken install left")
		}
		if err := os.WriteFile(filepath.Join(dir, "half"), nil, 0o644); err != nil {
			return err
		}
		if runs == 1 {
			return fmt.Errorf("broken")
		}
		return nil
	}
	if _, err := installOnce("thing", "1", install); err == nil {
		t.Fatal("the broken install passed")
	}
	for range 2 {
		if _, err := installOnce("thing", "1", install); err != nil {
			t.Fatal(err)
		}
	}
	if runs != 2 {
		t.Errorf("installed %d times, want 2: once broken, once well, and then not again", runs)
	}
	if _, err := installOnce("thing", "2", func(string) error { runs++; return nil }); err != nil || runs != 3 {
		t.Errorf("another key: %d installs, error %v; want one more", runs, err)
	}
}
