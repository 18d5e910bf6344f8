// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// Conditions of HTTP itself. They are kinds of a task.Error like any other.
var (
	ErrNoSuchPath       = errors.New("no such path")
	ErrMethodNotAllowed = errors.New("method not allowed")
	ErrMediaType        = errors.New("unsupported media type")
	ErrBodyTimeout      = errors.New("request timeout")
	ErrForbidden        = errors.New("forbidden")
)

// Kind is a row of the error table: how a kind of error reads in each binding.
type Kind struct {
	// Code is the JSON-RPC error code.
	Code int
	// Status is the name of the gRPC status, which google.rpc.Status carries too.
	Status string
	// HTTP is the status of the REST binding.
	HTTP int
	// Reason goes into google.rpc.ErrorInfo: UPPER_SNAKE, without "Error".
	Reason string
	// Transport says that JSON-RPC answers with this HTTP status as well. All
	// other JSON-RPC errors are HTTP 200, since the HTTP exchange succeeded; but
	// these say something to load balancers, proxies and plain HTTP clients,
	// which do not look into bodies: come later, send less, send JSON, log in.
	Transport bool
}

// KindOf finds the row of a kind. It knows every Err value of package a2a, of
// package task and of this one. The A2A part is section 5.4 of the
// specification as 1.0.1 has it; the rest of the JSON-RPC column is section
// 9.5, and -32000 is the range JSON-RPC leaves to implementations.
func KindOf(kind error) (Kind, bool) {
	switch kind {
	case a2a.ErrTaskNotFound:
		return Kind{-32001, "NOT_FOUND", 404, "TASK_NOT_FOUND", false}, true
	case a2a.ErrTaskNotCancelable:
		return Kind{-32002, "FAILED_PRECONDITION", 400, "TASK_NOT_CANCELABLE", false}, true
	case a2a.ErrPushNotificationNotSupported:
		return Kind{-32003, "FAILED_PRECONDITION", 400, "PUSH_NOTIFICATION_NOT_SUPPORTED", false}, true
	case a2a.ErrUnsupportedOperation, task.ErrClosed:
		return Kind{-32004, "FAILED_PRECONDITION", 400, "UNSUPPORTED_OPERATION", false}, true
	case a2a.ErrUnsupportedContentType:
		return Kind{-32005, "INVALID_ARGUMENT", 400, "CONTENT_TYPE_NOT_SUPPORTED", false}, true
	case a2a.ErrInvalidAgentResponse, task.ErrInvalidEvent:
		return Kind{-32006, "INTERNAL", 500, "INVALID_AGENT_RESPONSE", false}, true
	case a2a.ErrExtendedCardNotConfigured:
		return Kind{-32007, "FAILED_PRECONDITION", 400, "EXTENDED_AGENT_CARD_NOT_CONFIGURED", false}, true
	case a2a.ErrExtensionSupportRequired:
		return Kind{-32008, "FAILED_PRECONDITION", 400, "EXTENSION_SUPPORT_REQUIRED", false}, true
	case a2a.ErrVersionNotSupported:
		return Kind{-32009, "FAILED_PRECONDITION", 400, "VERSION_NOT_SUPPORTED", false}, true
	case a2a.ErrParseError:
		return Kind{-32700, "INVALID_ARGUMENT", 400, "PARSE_ERROR", false}, true
	case a2a.ErrInvalidRequest:
		return Kind{-32600, "INVALID_ARGUMENT", 400, "INVALID_REQUEST", false}, true
	case a2a.ErrMethodNotFound:
		return Kind{-32601, "UNIMPLEMENTED", 501, "METHOD_NOT_FOUND", false}, true
	case a2a.ErrInvalidParams:
		return Kind{-32602, "INVALID_ARGUMENT", 400, "INVALID_PARAMS", false}, true
	case a2a.ErrInternalError:
		return internal(), true
	case a2a.ErrServerError:
		return Kind{-32000, "INTERNAL", 500, "SERVER_ERROR", false}, true
	}
	return kindOfOurs(kind)
}

// kindOfOurs has the rows that A2A does not: conditions of this server and of
// HTTP. The codes of the two about authentication are those a2a-go gives them.
func kindOfOurs(kind error) (Kind, bool) {
	switch kind {
	case a2a.ErrUnauthenticated:
		return Kind{-31401, "UNAUTHENTICATED", 401, "UNAUTHENTICATED", true}, true
	case a2a.ErrUnauthorized, ErrForbidden:
		return Kind{-31403, "PERMISSION_DENIED", 403, "UNAUTHORIZED", true}, true
	case task.ErrUnavailable:
		return Kind{-32000, "UNAVAILABLE", 503, "UNAVAILABLE", true}, true
	case task.ErrKeyConflict:
		return Kind{-32602, "ALREADY_EXISTS", 409, "IDEMPOTENCY_KEY_CONFLICT", false}, true
	case task.ErrTooLarge:
		return Kind{-32602, "INVALID_ARGUMENT", 413, "TOO_LARGE", true}, true
	case ErrMediaType:
		return Kind{-32600, "INVALID_ARGUMENT", 415, "UNSUPPORTED_MEDIA_TYPE", true}, true
	case ErrBodyTimeout:
		return Kind{-32600, "DEADLINE_EXCEEDED", 408, "REQUEST_TIMEOUT", true}, true
	case ErrNoSuchPath:
		return Kind{-32601, "NOT_FOUND", 404, "METHOD_NOT_FOUND", true}, true
	case ErrMethodNotAllowed:
		return Kind{-32600, "UNIMPLEMENTED", 405, "METHOD_NOT_ALLOWED", true}, true
	}
	return Kind{}, false
}

func internal() Kind { return Kind{-32603, "INTERNAL", 500, "INTERNAL_ERROR", false} }

// Fault is an error as a client sees it.
type Fault struct {
	Kind
	Message string
	// Field is what a BadRequest detail names, or empty.
	Field      string
	RetryAfter time.Duration
	Meta       map[string]string
}

// Explain turns an error into what a client may see of it. Only a task.Error of
// a kind that the table has carries its text out; all else is an internal error
// without a word about it.
func Explain(err error) Fault {
	var e *task.Error
	if !errors.As(err, &e) {
		return Fault{Kind: internal(), Message: "internal error"}
	}
	kind, ok := KindOf(e.Kind)
	if !ok {
		return Fault{Kind: internal(), Message: "internal error"}
	}
	f := Fault{Kind: kind, Message: e.Error(), Field: e.Field, RetryAfter: e.RetryAfter, Meta: e.Meta}
	if f.HTTP == http.StatusServiceUnavailable && f.RetryAfter <= 0 {
		f.RetryAfter = time.Second
	}
	return f
}

// Explain is Explain, and writes to the log what the client does not get.
func (e *Edge) Explain(w http.ResponseWriter, r *http.Request, err error) Fault {
	return e.ExplainCall(r.Context(), err,
		slog.String("request", requestID(w, r)), slog.String("method", r.Method), slog.String("path", r.URL.Path))
}

// ExplainCall is Explain for a call of any transport, which attrs name in the
// log.
func (e *Edge) ExplainCall(ctx context.Context, err error, attrs ...slog.Attr) Fault {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		// Either nobody reads the answer, or the server stops and cut the call short.
		err = task.Errorf(task.ErrUnavailable, "the request was given up before it was answered")
	}
	f := Explain(err)
	var known *task.Error
	cause := ""
	if errors.As(err, &known) && known.Cause != nil {
		cause = known.Cause.Error()
	}
	if cause == "" && f.Reason != internal().Reason {
		return f // the client has been told all there is
	}
	level := slog.LevelDebug
	if f.HTTP >= 500 && f.HTTP != http.StatusServiceUnavailable {
		level = slog.LevelError
	}
	e.opts.Log.LogAttrs(ctx, level, "request failed", append(attrs,
		slog.String("reason", f.Reason), slog.String("error", err.Error()), slog.String("cause", cause))...)
	return f
}

// RPC is the error object of JSON-RPC (9.5).
func (f Fault) RPC() []byte {
	return encode(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    []any  `json:"data"`
	}{f.Code, f.Message, f.details()})
}

// REST is google.rpc.Status as the REST binding has it (11.6), in a stream too.
func (f Fault) REST() []byte {
	type status struct {
		Code    int    `json:"code"`
		Status  string `json:"status"`
		Message string `json:"message"`
		Details []any  `json:"details"`
	}
	return encode(struct {
		Error status `json:"error"`
	}{status{f.HTTP, f.Status, f.Message, f.details()}})
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // strings and numbers only: it cannot be
		return []byte(`{}`)
	}
	return b
}

const typeURL = "type.googleapis.com/google.rpc."

type errorInfo struct {
	Type     string            `json:"@type"`
	Reason   string            `json:"reason"`
	Domain   string            `json:"domain"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

type fieldViolation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

type badRequest struct {
	Type       string           `json:"@type"`
	Violations []fieldViolation `json:"fieldViolations"`
}

type retryInfo struct {
	Type  string `json:"@type"`
	Delay string `json:"retryDelay"`
}

// details always begins with ErrorInfo: several errors share a status or a
// code, and the reason tells them apart.
func (f Fault) details() []any {
	d := []any{errorInfo{typeURL + "ErrorInfo", f.Reason, a2a.ProtocolDomain, f.Meta}}
	if f.Field != "" {
		text := strings.TrimPrefix(f.Message, f.Field+": ")
		d = append(d, badRequest{typeURL + "BadRequest", []fieldViolation{{f.Field, text}}})
	}
	if f.RetryAfter > 0 {
		d = append(d, retryInfo{typeURL + "RetryInfo", protoDuration(f.RetryAfter)})
	}
	return d
}
