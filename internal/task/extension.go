// SPDX-License-Identifier: Apache-2.0

package task

// The extensions of ours, as they are announced in cards and used as metadata
// keys. docs/extensions describes each.
const (
	// ResumeURI keys the place of an event in its log: sequence and attempt.
	ResumeURI = "https://github.com/errand-a2a/errand/ext/resume/v1"
	// ProgressURI keys the progress of an attempt, in status metadata.
	ProgressURI = "https://github.com/errand-a2a/errand/ext/progress/v1"
	// CanceledTurnsKey keys, in the metadata of a terminal status, the ids of
	// the messages whose turns never ran.
	CanceledTurnsKey = "https://github.com/errand-a2a/errand/ext/queue/v1#canceledMessages"
)
