// SPDX-License-Identifier: Apache-2.0

package worker

// Running counts the attempts that the heartbeat knows.
func (w *Worker) Running() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.running)
}

// WarmTasks counts the folded tasks that are kept, and their bytes.
func (w *Worker) WarmTasks() (tasks, bytes int) {
	w.warm.mu.Lock()
	defer w.warm.mu.Unlock()
	return len(w.warm.entries), w.warm.size
}
