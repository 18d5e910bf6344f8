// SPDX-License-Identifier: Apache-2.0

package record

import (
	"sync"

	"github.com/errand-a2a/errand/internal/task"
)

// mostTold bounds what is remembered; beyond it some are named again.
const mostTold = 4096

// Told are the tasks that the operator was told of, because they cannot be
// read: once is enough. The zero value is ready. It is not copied.
type Told struct {
	mu    sync.Mutex
	tasks map[task.Ref]struct{}
}

// First reports whether the task was not named before.
func (t *Told) First(ref task.Ref) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, told := t.tasks[ref]; told {
		return false
	}
	if t.tasks == nil || len(t.tasks) >= mostTold {
		t.tasks = make(map[task.Ref]struct{})
	}
	t.tasks[ref] = struct{}{}
	return true
}
