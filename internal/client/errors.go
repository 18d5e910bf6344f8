// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The error names of A2A §3.3.2 and the JSON-RPC names that A2A §9.5 adds. An
// Error of either binding carries one of them.
const (
	TaskNotFound                   = "TaskNotFoundError"
	TaskNotCancelable              = "TaskNotCancelableError"
	PushNotificationNotSupported   = "PushNotificationNotSupportedError"
	UnsupportedOperation           = "UnsupportedOperationError"
	ContentTypeNotSupported        = "ContentTypeNotSupportedError"
	InvalidAgentResponse           = "InvalidAgentResponseError"
	ExtendedAgentCardNotConfigured = "ExtendedAgentCardNotConfiguredError"
	ExtensionSupportRequired       = "ExtensionSupportRequiredError"
	VersionNotSupported            = "VersionNotSupportedError"
	JSONParse                      = "JSONParseError"
	InvalidRequest                 = "InvalidRequestError"
	MethodNotFound                 = "MethodNotFoundError"
	InvalidParams                  = "InvalidParamsError"
	Internal                       = "InternalError"
	// The protocol names no errors for these two; they come from HTTP 401 and 403.
	Authentication = "AuthenticationError"
	Authorization  = "AuthorizationError"
)

// Error is a failure that the agent reported.
type Error struct {
	Name string
	// Code is what the binding carried: a JSON-RPC code, or an HTTP status.
	Code int
	// Reason is the ErrorInfo reason, "" where the agent sent none.
	Reason     string
	Message    string
	HTTPStatus int
	// RetryAfter is how long the agent asked to wait, 0 if it did not.
	RetryAfter time.Duration
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Name
	}
	return e.Name + ": " + e.Message
}

// IsName reports whether err is an agent's Error with that name.
func IsName(err error, names ...string) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, n := range names {
		if e.Name == n {
			return true
		}
	}
	return false
}

// UnreachableError says that no answer came: DNS, connection or TLS.
type UnreachableError struct {
	URL string
	// Sent tells that a connection stood, so that the request may have arrived.
	Sent bool
	Err  error
}

func (e *UnreachableError) Error() string {
	if e.Sent {
		return fmt.Sprintf("connection to %s broke: %v", e.URL, e.Err)
	}
	return fmt.Sprintf("cannot reach %s: %v", e.URL, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// TimeoutError says that the caller's deadline passed first.
type TimeoutError struct{ Err error }

func (e *TimeoutError) Error() string { return "timed out waiting for the agent" }
func (e *TimeoutError) Unwrap() error { return e.Err }

// AnswerError says that something answered which does not speak A2A, or that
// an answer broke its limits.
type AnswerError struct {
	URL        string
	HTTPStatus int
	RetryAfter time.Duration
	Err        error
}

func (e *AnswerError) Error() string { return fmt.Sprintf("answer of %s: %v", e.URL, e.Err) }
func (e *AnswerError) Unwrap() error { return e.Err }

// CardError says that a reference gave no usable card. Invalid tells a card
// that was there and malformed from one that was not there.
type CardError struct {
	Ref     string
	Invalid bool
	Err     error
}

func (e *CardError) Error() string {
	if e.Invalid {
		return fmt.Sprintf("agent card %s is invalid: %v", e.Ref, e.Err)
	}
	return fmt.Sprintf("no agent card at %s: %v", e.Ref, e.Err)
}

func (e *CardError) Unwrap() error { return e.Err }

// InterfaceError says that a good card offers no interface that this client speaks.
type InterfaceError struct {
	Offered []string // "binding version" each
	// Version tells that a binding would do but its protocol version would not.
	Version bool
}

func (e *InterfaceError) Error() string {
	return "the agent offers no interface this client speaks (JSONRPC or HTTP+JSON at version 1.x); it offers " +
		strings.Join(e.Offered, ", ")
}

// contextError is what a call reports once its own context is done.
func contextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &TimeoutError{Err: context.Cause(ctx)}
	}
	return fmt.Errorf("call ended by the caller: %w", context.Cause(ctx))
}

func nameOfReason(reason string) string {
	switch reason {
	case "TASK_NOT_FOUND":
		return TaskNotFound
	case "TASK_NOT_CANCELABLE":
		return TaskNotCancelable
	case "PUSH_NOTIFICATION_NOT_SUPPORTED":
		return PushNotificationNotSupported
	case "UNSUPPORTED_OPERATION":
		return UnsupportedOperation
	case "CONTENT_TYPE_NOT_SUPPORTED":
		return ContentTypeNotSupported
	case "INVALID_AGENT_RESPONSE":
		return InvalidAgentResponse
	case "EXTENDED_AGENT_CARD_NOT_CONFIGURED":
		return ExtendedAgentCardNotConfigured
	case "EXTENSION_SUPPORT_REQUIRED":
		return ExtensionSupportRequired
	case "VERSION_NOT_SUPPORTED":
		return VersionNotSupported
	case "PARSE_ERROR":
		return JSONParse
	case "INVALID_REQUEST":
		return InvalidRequest
	case "METHOD_NOT_FOUND":
		return MethodNotFound
	case "INVALID_PARAMS":
		return InvalidParams
	case "INTERNAL_ERROR":
		return Internal
	case "UNAUTHENTICATED":
		return Authentication
	case "UNAUTHORIZED", "PERMISSION_DENIED":
		return Authorization
	}
	return ""
}

func nameOfCode(code int) string {
	switch code {
	case -32001:
		return TaskNotFound
	case -32002:
		return TaskNotCancelable
	case -32003:
		return PushNotificationNotSupported
	case -32004:
		return UnsupportedOperation
	case -32005:
		return ContentTypeNotSupported
	case -32006:
		return InvalidAgentResponse
	case -32007:
		return ExtendedAgentCardNotConfigured
	case -32008:
		return ExtensionSupportRequired
	case -32009:
		return VersionNotSupported
	case -32700:
		return JSONParse
	case -32600:
		return InvalidRequest
	case -32601:
		return MethodNotFound
	case -32602:
		return InvalidParams
	case -31401: // what the official Go SDK sends for HTTP's 401 and 403
		return Authentication
	case -31403:
		return Authorization
	}
	return ""
}

// nameOfStatus serves REST agents that send no ErrorInfo. It knows the 1.0.0
// statuses as well as those of 1.0.1.
func nameOfStatus(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return Authentication
	case http.StatusForbidden:
		return Authorization
	case http.StatusNotFound:
		return TaskNotFound
	case http.StatusConflict:
		return TaskNotCancelable
	case http.StatusUnsupportedMediaType:
		return ContentTypeNotSupported
	case http.StatusNotImplemented:
		return MethodNotFound
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return InvalidParams
	}
	return Internal
}
