// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, clock store.Clock) store.Store {
		return openClock(t, t.TempDir(), clock)
	})
}

func TestStoreOpenedAgain(t *testing.T) {
	t.Parallel()
	storetest.RunReopen(t, func(t *testing.T, dir string, clock store.Clock) store.Store {
		return openClock(t, dir, clock)
	})
}

func openClock(t *testing.T, dir string, clock store.Clock) store.Store {
	t.Helper()
	path := filepath.Join(dir, "store.db")
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	// Whatever a rule did, the counts that are kept are those of a recount.
	t.Cleanup(func() {
		if wrong, err := sqlite.Miscounted(path); err != nil || wrong != "" {
			t.Errorf("after the rule: %s, %v", wrong, err)
		}
	})
	return s
}
