// SPDX-License-Identifier: Apache-2.0

//go:build linux

package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A store that was just made is found again after a power cut only if every
// directory above it that was made with it has been synced too, and its own.
func TestTortureNewDirectoriesAreSynced(t *testing.T) {
	top := t.TempDir()
	below := filepath.Join(top, "made")
	w := newWorkshop(t, filepath.Join(below, "for it"), 1)
	trace := filepath.Join(t.TempDir(), "trace")
	w.server = w.wrapped("strace -D -f -y -qq -e trace=fsync -o " + trace)
	w.restart()
	ps := w.probes()
	if err := ps.accepted(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatalf("the package strace is needed: %v", err)
	}
	for _, dir := range []string{top, below, filepath.Dir(w.store)} {
		if !strings.Contains(string(text), fmt.Sprintf("<%s>", dir)) {
			t.Errorf("%s was not synced:\n%.3000s", dir, text)
		}
	}
}
