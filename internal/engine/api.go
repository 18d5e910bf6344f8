// SPDX-License-Identifier: Apache-2.0

// Package engine accepts and answers: it turns a call of a client into work in
// the store and gives back what the log says. It runs nothing itself; the
// worker does.
package engine

import (
	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

// Call is who calls, which agent is meant, and what came along outside the
// message.
type Call struct {
	task.Scope
	// Agent is the route; the default agent's is empty.
	Agent string
	// Key is the caller's idempotency key, or empty.
	Key string
	// Params are the service parameters that the executor may see, by lower-case
	// name. Credentials are never among them.
	Params map[string][]string
	// Extensions are those that the caller asks for; after Admit, those that are
	// active.
	Extensions []string
	// User is who calls, for the executor; nil: nobody has said.
	User *record.User
	// Headers is all that came along, credentials too, for interceptors of this
	// process. It is never stored.
	Headers map[string][]string

	agent *agent.Agent // set by Admit
}

// User is who calls, as far as an executor may know.
type User = record.User

// Reply answers a send.
type Reply struct {
	// TaskID names the task; empty if the reply is a Message.
	TaskID string
	// JSON is a SendMessageResponse: {"task":…} or {"message":…}.
	JSON []byte
}

// Frame is one event of a stream.
type Frame struct {
	// Seq is the sequence of the event in the task's log. For the Task that
	// opens a stream it is the sequence that the Task was folded up to.
	Seq uint64
	// Event is a StreamResponse: exactly one of task, message, statusUpdate,
	// artifactUpdate. It is shared by all followers: do not modify it.
	Event []byte
	// Shared is where a binding leaves its own form of the event for the other
	// followers; nil: there are none who get this frame.
	Shared *record.Shared
}
