// SPDX-License-Identifier: Apache-2.0

package task

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// Queue is how a message wants its turn to be queued: the value that QueueURI
// keys in the message's metadata. The zero value asks for nothing.
type Queue struct {
	// Priority is from -100 to 100; the higher is claimed first.
	Priority int
	// ScheduledFor is when the turn may begin, Deadline when it must have
	// ended; zero: at once, never.
	ScheduledFor, Deadline time.Time
	// MaxAttempts bounds the attempts of the turn that were neither lost nor
	// released, in place of the agent's policy; 0: the policy's.
	MaxAttempts int
}

// The bounds of what a client may ask for.
const (
	minPriority, maxPriority       = -100, 100
	minMaxAttempts, maxMaxAttempts = 1, 1000
)

// queueField is where the value stands in a request.
const queueField = `message.metadata["` + QueueURI + `"]`

// ParseQueue reads the metadata of a message. It knows no clock: whether the
// deadline has passed is for the store to say, see PastDeadline.
func ParseQueue(metadata map[string]any) (Queue, error) {
	value, given := metadata[QueueURI]
	if !given {
		return Queue{}, nil
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return Queue{}, Invalid(a2a.ErrInvalidParams, queueField, "must be an object")
	}
	var q Queue
	parse := map[string]func(field string, value any) error{
		"priority":     integer(&q.Priority, minPriority, maxPriority),
		"scheduledFor": timestamp(&q.ScheduledFor),
		"deadline":     timestamp(&q.Deadline),
		"maxAttempts":  integer(&q.MaxAttempts, minMaxAttempts, maxMaxAttempts),
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		field := queueField + "." + name
		known, ok := parse[name]
		if !ok {
			return Queue{}, Invalid(a2a.ErrInvalidParams, field, "is not known; known are %s", strings.Join(slices.Sorted(maps.Keys(parse)), ", "))
		}
		if err := known(field, fields[name]); err != nil {
			return Queue{}, err
		}
	}
	if !q.Deadline.IsZero() && !q.ScheduledFor.Before(q.Deadline) {
		return Queue{}, Invalid(a2a.ErrInvalidParams, queueField+".scheduledFor", "must be before the deadline")
	}
	return q, nil
}

// PastDeadline is the refusal of a message whose deadline has passed already.
func PastDeadline() error {
	return Invalid(a2a.ErrInvalidParams, queueField+".deadline", "has passed already; it must be in the future")
}

func integer(into *int, low, high int) func(string, any) error {
	return func(field string, value any) error {
		n, ok := number(value)
		if !ok || n != math.Trunc(n) || n < float64(low) || n > float64(high) {
			return Invalid(a2a.ErrInvalidParams, field, "must be an integer from %d to %d", low, high)
		}
		*into = int(n)
		return nil
	}
}

// number takes what a decoder or a caller in this process may have made of one.
func number(value any) (float64, bool) {
	switch n := value.(type) {
	case float64:
		return n, true
	case float32:
		return float64(n), true
	case int:
		return float64(n), true
	case int32:
		return float64(n), true
	case int64:
		return float64(n), true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	}
	return 0, false
}

func timestamp(into *time.Time) func(string, any) error {
	return func(field string, value any) error {
		text, ok := value.(string)
		var t time.Time
		// Of the ways to parse a time in Go this one is strict about RFC 3339, but
		// for the comma.
		if !ok || strings.Contains(text, ",") || t.UnmarshalText([]byte(text)) != nil || t.IsZero() {
			return Invalid(a2a.ErrInvalidParams, field, "must be an RFC 3339 time with its zone, like 2026-11-20T18:30:00Z")
		}
		*into = t.UTC()
		return nil
	}
}
