// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"go.uber.org/goleak"

	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/task"
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
	failed    = a2a.TaskStateFailed
	canceled  = a2a.TaskStateCanceled
	rejected  = a2a.TaskStateRejected
	asking    = a2a.TaskStateInputRequired
	authing   = a2a.TaskStateAuthRequired
)

var errAgent = errors.New("secret: the agent's own words")

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

// artifacts gives the texts of a task's artifacts by id.
func artifacts(task *a2a.Task) map[string]string {
	out := map[string]string{}
	for _, a := range task.Artifacts {
		out[string(a.ID)] = nodetest.TextOf(a.Parts)
	}
	return out
}

// history gives the texts of a task's history.
func history(task *a2a.Task) []string {
	var out []string
	for _, m := range task.History {
		out = append(out, nodetest.TextOf(m.Parts))
	}
	return out
}

func statusText(task *a2a.Task) string {
	if task.Status.Message == nil {
		return ""
	}
	return nodetest.TextOf(task.Status.Message.Parts)
}

// canceledTurns are the messages that a terminal event says were never run.
func canceledTurns(meta map[string]any) []string {
	var out []string
	list, _ := meta[task.CanceledTurnsKey].([]any)
	for _, v := range list {
		out = append(out, v.(string))
	}
	return out
}
