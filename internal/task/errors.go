// SPDX-License-Identifier: Apache-2.0

package task

import (
	"errors"
	"fmt"
	"time"
)

// Conditions of ours that A2A has no name for. The bindings map each to a
// status of their own.
var (
	// ErrUnavailable: the server cannot take this now; nothing was accepted.
	// Retrying after Error.RetryAfter is safe with the same idempotency key.
	ErrUnavailable = errors.New("unavailable")
	// ErrKeyConflict: the idempotency key was used before with another message.
	ErrKeyConflict = errors.New("idempotency key conflict")
	// ErrTooLarge: an event, a task or a request exceeds a limit.
	ErrTooLarge = errors.New("too large")
	// ErrInvalidEvent: an executor broke the rules of the event stream.
	ErrInvalidEvent = errors.New("invalid agent event")
	// ErrClosed: the task has ended; nothing can be recorded any more.
	ErrClosed = errors.New("task has ended")
)

// Error is an error whose text may be shown to a client. Everything else that
// reaches a binding is answered as an internal error without its text.
type Error struct {
	// Kind is one of a2a's Err values or of this package's; errors.Is finds it.
	Kind error
	// Message is shown to the client: it names the field and what is allowed.
	Message string
	// Field names the offending field in wire spelling, or is empty.
	Field string
	// RetryAfter is how long the client should wait; 0 says nothing.
	RetryAfter time.Duration
	// Meta goes into ErrorInfo.metadata, for example the task id.
	Meta map[string]string
	// Cause is logged, never shown.
	Cause error
}

// Error returns the client's text.
func (e *Error) Error() string {
	if e.Message != "" {
		return e.Message
	}
	return e.Kind.Error()
}

// Unwrap lets errors.Is see both what it is and what caused it.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// Errorf makes an Error of a kind with a text for the client.
func Errorf(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an Error about one field of a request.
func Invalid(kind error, field, format string, args ...any) *Error {
	return &Error{Kind: kind, Field: field, Message: field + ": " + fmt.Sprintf(format, args...)}
}

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// Permanent marks an error of an executor as one that no retry can mend: the
// turn fails at once. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

// IsPermanent reports whether err was marked by Permanent.
func IsPermanent(err error) bool {
	var p permanentError
	return errors.As(err, &p)
}

type retryAfterError struct {
	error
	after time.Duration
}

func (e retryAfterError) Unwrap() error { return e.error }

// RetryAfter marks an error of an executor with the delay before the next
// attempt, in place of the backoff of the policy. RetryAfter(d, nil) is nil.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return retryAfterError{err, max(d, 0)}
}

// AfterOf returns the delay that err was marked with by RetryAfter.
func AfterOf(err error) (time.Duration, bool) {
	var r retryAfterError
	if errors.As(err, &r) {
		return r.after, true
	}
	return 0, false
}
