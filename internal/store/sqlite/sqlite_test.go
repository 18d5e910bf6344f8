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
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "store.db"), sqlite.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
