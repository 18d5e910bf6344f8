// SPDX-License-Identifier: Apache-2.0

//go:build unix

package sqlite

import (
	"path/filepath"
	"syscall"
	"testing"
)

// A process that is being started has a copy of all files for a moment.
func TestACopyOfTheLockFileDoesNotKeepTheLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	f, err := takeLock(path)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Close(copied); err != nil {
			t.Error(err)
		}
	}()
	if err := unlock(f); err != nil {
		t.Fatal(err)
	}
	f, err = takeLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(f); err != nil {
		t.Error(err)
	}
}
