// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/errand-a2a/errand/internal/store"
)

// A process that is killed between the writes and the sync of a commit leaves
// a task that the next one can read, and that nobody has brought to the disk.
// Once it is shown it must outlive a power cut.
func TestWhatAKilledProcessHasNotSyncedIsSyncedBeforeItIsShown(t *testing.T) {
	t.Parallel()
	shown := 0
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		first, err := newVolume(t.TempDir(), nil, r)
		if err != nil {
			t.Fatal(err)
		}
		var second *volume
		dir := t.TempDir()
		on(t, first, func(s *Store) {
			// Nothing is claimed, so that the next process has nothing to write. The
			// first sync may be that of the log's header.
			sub := submission("a")
			sub.Claim = nil
			first.mu.Lock()
			first.only, first.steps, first.at = "sync store.db-wal.", 0, 1+int(seed%2)
			first.end = func(string) {
				var err error
				if second, err = first.killed(dir); err != nil {
					t.Error(err)
				}
			}
			first.mu.Unlock()
			if _, err := s.Submit(context.Background(), sub); err != nil {
				t.Error(err)
			}
		})
		seen := false
		on(t, second, func(s *Store) {
			_, err := s.Load(t.Context(), ref("a"))
			seen = err == nil
			second.stop("a look")
		})
		if !seen {
			continue
		}
		shown++
		third, err := newVolume(t.TempDir(), second.survivors(), r)
		if err != nil {
			t.Fatal(err)
		}
		on(t, third, func(s *Store) {
			if _, err := s.Load(t.Context(), ref("a")); errors.Is(err, store.ErrNotFound) {
				t.Errorf("seed %d: it was shown, and is gone", seed)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	if shown == 0 {
		t.Error("nothing was ever shown")
	}
}

// on opens the store of a volume for as long as use takes.
func on(t *testing.T, v *volume, use func(*Store)) {
	t.Helper()
	recording.mount(v)
	defer recording.unmount(v)
	s, err := Open(t.Context(), filepath.Join(v.dir, "store.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	use(s)
}
