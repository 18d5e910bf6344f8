// SPDX-License-Identifier: Apache-2.0

package owner

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/store/sqlite"
)

// The numbers of a run without flags fit into `make test`; `make torture` asks
// for those of the contract.
var (
	stops      = flag.Int("stops", fewStops, "how often a worker is stopped past its leases, on each store")
	races      = flag.Int("races", fewRaces, "how many cancellations race a completion, on each store")
	neighbours = flag.Int("neighbours", 64, "how many tasks run beside the poisonous one")
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childStore); path != "" {
		if err := serve(path, os.Getenv(childAddr)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const lease = 300 * time.Millisecond

// opener makes an empty store, which the test closes.
type opener func(t *testing.T) store.Store

var drivers = map[string]opener{
	"memory": func(*testing.T) store.Store { return memory.New(memory.Options{}) },
	"SQLite": func(t *testing.T) store.Store { return openSQLite(t, sqlite.Options{}) },
}

func openSQLite(t *testing.T, o sqlite.Options) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "errand.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// onEach runs a test on every store, in a bubble of virtual time.
func onEach(t *testing.T, f func(t *testing.T, s store.Store)) {
	for name, open := range drivers {
		t.Run("on "+name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := open(t)
				t.Cleanup(func() { _ = s.Close() })
				f(t, s)
			})
		})
	}
}
