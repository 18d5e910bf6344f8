// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/json"
	"fmt"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// Request is what an executor needs of a call besides the message. It is kept
// with the turn (and, of a cancellation, with its item).
type Request struct {
	// Metadata is the request's, not the message's.
	Metadata map[string]any `json:"metadata,omitempty"`
	// Params are the allow-listed service parameters.
	Params map[string][]string `json:"params,omitempty"`
	// Extensions are the active ones.
	Extensions []string `json:"extensions,omitempty"`
	// Accepts are the media types that the caller accepts.
	Accepts []string `json:"accepts,omitempty"`
	// User is who called.
	User *User `json:"user,omitempty"`
	// Context is what a ContextCodec made of the caller's context.
	Context map[string]any `json:"context,omitempty"`
	// MaxAttempts bounds the attempts of the turn in place of the agent's policy;
	// 0: the policy's.
	MaxAttempts int `json:"maxAttempts,omitempty"`
	// Parked is the state that the task waited in when a follow-up was accepted.
	Parked a2a.TaskState `json:"parked,omitempty"`
}

// User is who called, as far as the executor may know.
type User struct {
	Name          string         `json:"name,omitempty"`
	Authenticated bool           `json:"authenticated,omitempty"`
	Attributes    map[string]any `json:"attributes,omitempty"`
}

// Given is what an executor gets of a turn, decoded: whoever accepted the
// message has it at hand and spares the worker the decoding.
type Given struct {
	Message *a2a.Message
	Request Request
}

// EncodeRequest makes the stored form; nothing is nil.
func EncodeRequest(r Request) ([]byte, error) {
	if r.empty() {
		return nil, nil
	}
	type plain Request // the state's own MarshalJSON would write "unspecified"
	var parked string
	if r.Parked != a2a.TaskStateUnspecified {
		parked = string(r.Parked)
	}
	b, err := json.Marshal(struct {
		plain
		Parked string `json:"parked,omitempty"`
	}{plain(r), parked})
	if err != nil {
		return nil, fmt.Errorf("encode request data: %w", err)
	}
	return b, nil
}

func (r *Request) empty() bool {
	return len(r.Metadata) == 0 && len(r.Params) == 0 && len(r.Extensions) == 0 && len(r.Accepts) == 0 &&
		r.User == nil && len(r.Context) == 0 && r.MaxAttempts == 0 && r.Parked == a2a.TaskStateUnspecified
}

// DecodeRequest reads what EncodeRequest wrote.
func DecodeRequest(b []byte) (Request, error) {
	var r Request
	if len(b) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("request data: %w: %w", ErrCorrupt, err)
	}
	return r, nil
}

// DecodeMessage reads a stored message for an executor.
func DecodeMessage(b []byte) (*a2a.Message, error) {
	if len(b) == 0 {
		return nil, nil
	}
	m := new(a2a.Message)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("message: %w: %w", ErrCorrupt, err)
	}
	return m, nil
}
