// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/errand-a2a/errand/internal/record"
)

func TestShared(t *testing.T) {
	t.Parallel()
	t.Run("many who ask get what one has made", func(t *testing.T) {
		t.Parallel()
		var s record.Shared
		var calls atomic.Int64
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() {
				b, err := s.Do(func() ([]byte, error) { calls.Add(1); return []byte("x"), nil })
				if string(b) != "x" || err != nil {
					t.Errorf("got %q, %v", b, err)
				}
			})
		}
		group.Wait()
		if n := calls.Load(); n != 1 {
			t.Errorf("it was made %d times", n)
		}
	})
	t.Run("an error is for all", func(t *testing.T) {
		t.Parallel()
		var s record.Shared
		want := errors.New("no")
		if _, err := s.Do(func() ([]byte, error) { return nil, want }); !errors.Is(err, want) {
			t.Errorf("got %v", err)
		}
		if b, err := s.Do(func() ([]byte, error) { return []byte("x"), nil }); !errors.Is(err, want) {
			t.Errorf("then got %q, %v", b, err)
		}
	})
	t.Run("after a panic the others get an error", func(t *testing.T) {
		t.Parallel()
		var s record.Shared
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_, _ = s.Do(func() ([]byte, error) { panic("no") })
		}()
		if b, err := s.Do(func() ([]byte, error) { return []byte("x"), nil }); err == nil {
			t.Errorf("got %q", b)
		}
	})
}
