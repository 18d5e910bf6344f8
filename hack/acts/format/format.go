// SPDX-License-Identifier: Apache-2.0

// Package format reads ACTS files: conformance tests as data. It is strict: a
// key that the format does not have is an error that names the file and the
// test, so that nothing in a file is silently not checked.
//
// The official files use more than the text of the format describes. What they
// use is read; each such place says so.
package format

import (
	"time"

	"github.com/errand-a2a/errand/hack/acts/match"
)

// Suite is what the files of a directory say together.
type Suite struct {
	SpecVersion string
	Tests       []*Test
}

// Test is one scenario.
type Test struct {
	File, ID, Name, Level string
	Tags                  []string
	// Transport lists the bindings it is about; empty: every one.
	Transport     []string
	Preconditions Preconditions
	Steps         []*Step
	// Assertions are checked after the last step.
	Assertions []Named
	// Variables are those of its document over those of the master file.
	Variables map[string]string
}

// Preconditions are what an agent must say of itself for a test to apply.
type Preconditions struct {
	Capabilities map[string]any
	Skills       []string
	Transport    []string
	Extensions   []string
}

// Step is one action. Exactly one of Operation, Raw, Client and Inline is set.
type Step struct {
	ID        string
	Operation string
	Params    map[string]any
	Raw       *Raw
	Client    *Client
	// Inline is the assertion of a step that only asserts.
	Inline *Named

	Expect *Expect
	Error  *ExpectError
	Stream *ExpectStream

	Capture    []Capture
	Assertions []Named
	Repeat     *Repeat
	Delay      time.Duration
}

// Streams tells whether the answer of the step is a stream.
func (s *Step) Streams() bool {
	return s.Stream != nil || s.Operation == "send_streaming_message" || s.Operation == "subscribe_to_task"
}

// Raw is a request as it goes over the wire.
type Raw struct {
	Method, Path string
	Headers      map[string]string
	// Body is encoded as JSON; Text is sent as it is. At most one is set.
	Body any
	Text *string
}

// Client is an answer that a client shall understand.
type Client struct {
	Operation string
	Payload   any
	Parsed    *match.Assertion
}

// Expect is what an answer must be; each part may be nil. Body is about the
// answer's object, Failure about its error.
type Expect struct {
	Status, Body, Failure *match.Assertion
	// AnyError is `status: error`, which the format's text does not have.
	AnyError bool
}

// WantsError tells whether the answer is expected to be an error.
func (e *Expect) WantsError() bool { return e != nil && (e.AnyError || e.Failure != nil) }

// ExpectError is what an error must be; each part may be nil. Name is about the
// A2A name of the error.
type ExpectError struct{ Name, Message, Details *match.Assertion }

// ExpectStream is what a stream must be.
type ExpectStream struct {
	MinCount, MaxCount int // MaxCount -1: no bound
	Timeout            time.Duration
	Monotonic          bool
	Events             []Event
	Final, Each        *match.Assertion
}

// Event is what one event of a stream must be: that at Index, or any.
type Event struct {
	Description string
	Index       int
	Anywhere    bool
	Match       *match.Assertion
}

// Capture keeps a part of an answer for later steps.
type Capture struct {
	Name string
	Path match.Path
}

// Named is an assertion about the answer of an earlier step, or about a
// variable.
type Named struct {
	Source     string
	Path       match.Path
	Match      *match.Assertion
	Quantified map[match.Quantifier]*match.Collection
}

// Repeat runs a step until a condition holds.
type Repeat struct {
	Until   *match.Until
	Max     int
	Delay   time.Duration
	Backoff string
}

// Known is what the runner can do, by the names that the files use.
type Known struct {
	// Behaviors are the prefixes that the test agent understands.
	Behaviors []string
	// Errors are the names of errors.
	Errors []string
}

// operations maps the names of operations to those that the runner uses, which
// are those of the format's text. The last four cases are what the test files
// say instead.
func operations(name string) string {
	switch name {
	case "send_message", "send_streaming_message", "get_task", "list_tasks", "cancel_task", "subscribe_to_task",
		"get_agent_card", "get_extended_agent_card",
		"create_push_config", "get_push_config", "list_push_configs", "delete_push_config":
		return name
	case "set_push_notification_config":
		return "create_push_config"
	case "get_push_notification_config":
		return "get_push_config"
	case "list_push_notification_configs":
		return "list_push_configs"
	case "delete_push_notification_config":
		return "delete_push_config"
	}
	return ""
}
