// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"go.uber.org/goleak"

	"github.com/errand-a2a/errand/internal/node/nodetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble is a parallel subtest in a bubble of virtual time.
func bubble(t *testing.T, name string, f func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, f)
	})
}

const (
	submitted = a2a.TaskStateSubmitted
	working   = a2a.TaskStateWorking
	completed = a2a.TaskStateCompleted
	canceled  = a2a.TaskStateCanceled
	asking    = a2a.TaskStateInputRequired
)

func wantStates(t *testing.T, got []a2a.TaskState, want ...a2a.TaskState) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("states %v, want %v", got, want)
	}
}

func wantState(t *testing.T, got *a2a.Task, want a2a.TaskState) {
	t.Helper()
	if got == nil || got.Status.State != want {
		t.Fatalf("task %+v, want state %s", got, want)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func listed(t *testing.T, w *nodetest.World) int {
	t.Helper()
	list, err := w.List(w.Call(), &a2a.ListTasksRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return list.TotalSize
}

func ptr[T any](v T) *T { return &v }
