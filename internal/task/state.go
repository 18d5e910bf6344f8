// SPDX-License-Identifier: Apache-2.0

package task

import "github.com/a2aproject/a2a-go/v2/a2a"

// Interrupted reports whether a task in this state waits for its caller.
func Interrupted(s a2a.TaskState) bool {
	return s == a2a.TaskStateInputRequired || s == a2a.TaskStateAuthRequired
}

// Settled reports whether a blocking call returns in this state: the task is
// terminal or waits for its caller.
func Settled(s a2a.TaskState) bool { return s.Terminal() || Interrupted(s) }

// Known reports whether s is one of the protocol's eight states.
func Known(s a2a.TaskState) bool {
	switch s {
	case a2a.TaskStateSubmitted, a2a.TaskStateWorking,
		a2a.TaskStateInputRequired, a2a.TaskStateAuthRequired,
		a2a.TaskStateCompleted, a2a.TaskStateFailed,
		a2a.TaskStateCanceled, a2a.TaskStateRejected:
		return true
	}
	return false
}
