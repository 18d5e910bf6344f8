// SPDX-License-Identifier: Apache-2.0

package task

import "github.com/a2aproject/a2a-go/v2/a2a"

// The extensions of ours, as they are announced in cards and used as metadata
// keys. docs/extensions describes each.
const (
	// QueueURI keys, in a message's metadata, how its turn is to be queued.
	QueueURI = "https://github.com/errand-a2a/errand/ext/queue/v1"
	// ResumeURI keys the place of an event in its log: sequence and attempt.
	ResumeURI = "https://github.com/errand-a2a/errand/ext/resume/v1"
	// ProgressURI keys the progress of an attempt, in status metadata.
	ProgressURI = "https://github.com/errand-a2a/errand/ext/progress/v1"
	// CanceledTurnsKey keys, in the metadata of a status, the ids of the messages
	// whose turns will never run: the task has ended, or their deadline passed.
	CanceledTurnsKey = QueueURI + "#canceledMessages"
	// AcceptedModesKey keys, in the request metadata that an executor gets, the
	// media types that the caller said it accepts.
	AcceptedModesKey = "https://github.com/errand-a2a/errand/acceptedOutputModes"
)

// Extensions are the declarations of ours for an agent card.
func Extensions() []a2a.AgentExtension {
	return []a2a.AgentExtension{
		{URI: QueueURI, Description: "Priority, scheduled start, deadline and number of attempts of a message."},
		{URI: ResumeURI, Description: "A sequence in every event, and streams that resume after one without a gap."},
		{URI: ProgressURI, Description: "Progress in percent in status updates."},
	}
}
