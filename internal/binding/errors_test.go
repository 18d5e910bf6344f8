// SPDX-License-Identifier: Apache-2.0

package binding_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/task"
)

func TestErrorTableIsThatOf101(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind   error
		code   int
		status string
		http   int
		reason string
	}{
		{a2a.ErrTaskNotFound, -32001, "NOT_FOUND", 404, "TASK_NOT_FOUND"},
		{a2a.ErrTaskNotCancelable, -32002, "FAILED_PRECONDITION", 400, "TASK_NOT_CANCELABLE"},
		{a2a.ErrPushNotificationNotSupported, -32003, "FAILED_PRECONDITION", 400, "PUSH_NOTIFICATION_NOT_SUPPORTED"},
		{a2a.ErrUnsupportedOperation, -32004, "FAILED_PRECONDITION", 400, "UNSUPPORTED_OPERATION"},
		{a2a.ErrUnsupportedContentType, -32005, "INVALID_ARGUMENT", 400, "CONTENT_TYPE_NOT_SUPPORTED"},
		{a2a.ErrInvalidAgentResponse, -32006, "INTERNAL", 500, "INVALID_AGENT_RESPONSE"},
		{a2a.ErrExtendedCardNotConfigured, -32007, "FAILED_PRECONDITION", 400, "EXTENDED_AGENT_CARD_NOT_CONFIGURED"},
		{a2a.ErrExtensionSupportRequired, -32008, "FAILED_PRECONDITION", 400, "EXTENSION_SUPPORT_REQUIRED"},
		{a2a.ErrVersionNotSupported, -32009, "FAILED_PRECONDITION", 400, "VERSION_NOT_SUPPORTED"},
		{a2a.ErrParseError, -32700, "INVALID_ARGUMENT", 400, "PARSE_ERROR"},
		{a2a.ErrInvalidRequest, -32600, "INVALID_ARGUMENT", 400, "INVALID_REQUEST"},
		{a2a.ErrMethodNotFound, -32601, "UNIMPLEMENTED", 501, "METHOD_NOT_FOUND"},
		{a2a.ErrInvalidParams, -32602, "INVALID_ARGUMENT", 400, "INVALID_PARAMS"},
		{a2a.ErrInternalError, -32603, "INTERNAL", 500, "INTERNAL_ERROR"},
		{a2a.ErrServerError, -32000, "INTERNAL", 500, "SERVER_ERROR"},
		{a2a.ErrUnauthenticated, -31401, "UNAUTHENTICATED", 401, "UNAUTHENTICATED"},
		{a2a.ErrUnauthorized, -31403, "PERMISSION_DENIED", 403, "UNAUTHORIZED"},
		{task.ErrUnavailable, -32000, "UNAVAILABLE", 503, "UNAVAILABLE"},
		{task.ErrKeyConflict, -32602, "ALREADY_EXISTS", 409, "IDEMPOTENCY_KEY_CONFLICT"},
		{task.ErrTooLarge, -32602, "INVALID_ARGUMENT", 413, "TOO_LARGE"},
		{task.ErrInvalidEvent, -32006, "INTERNAL", 500, "INVALID_AGENT_RESPONSE"},
		{task.ErrClosed, -32004, "FAILED_PRECONDITION", 400, "UNSUPPORTED_OPERATION"},
		{binding.ErrMediaType, -32600, "INVALID_ARGUMENT", 415, "UNSUPPORTED_MEDIA_TYPE"},
		{binding.ErrBodyTimeout, -32600, "DEADLINE_EXCEEDED", 408, "REQUEST_TIMEOUT"},
		{binding.ErrNoSuchPath, -32601, "NOT_FOUND", 404, "METHOD_NOT_FOUND"},
		{binding.ErrMethodNotAllowed, -32600, "UNIMPLEMENTED", 405, "METHOD_NOT_ALLOWED"},
		{binding.ErrForbidden, -31403, "PERMISSION_DENIED", 403, "UNAUTHORIZED"},
	} {
		f := binding.Explain(fmt.Errorf("wrapped: %w", task.Errorf(tt.kind, "a text for the client")))
		got := fmt.Sprint(f.Code, f.Status, f.HTTP, f.Reason, f.Message)
		want := fmt.Sprint(tt.code, tt.status, tt.http, tt.reason, "a text for the client")
		if got != want {
			t.Errorf("%v: got %s, want %s", tt.kind, got, want)
		}
		if sdk := a2a.ErrorReason(tt.kind); sdk != "INTERNAL_ERROR" && sdk != f.Reason {
			t.Errorf("%v: the SDK calls it %s, we %s", tt.kind, sdk, f.Reason)
		}
	}
}

func TestNoOtherTextReachesAClient(t *testing.T) {
	t.Parallel()
	secret := errors.New("pq: password authentication failed")
	for _, err := range []error{
		secret,
		fmt.Errorf("store: %w: %w", a2a.ErrTaskNotFound, secret),
		a2a.NewError(a2a.ErrInvalidParams, secret.Error()),
		task.Errorf(secret, "what the store said: %v", secret),
		&task.Error{Message: secret.Error()},
		&task.Error{Kind: errors.New("new kind"), Message: secret.Error(), Field: secret.Error(), Meta: map[string]string{"x": secret.Error()}},
		nil,
	} {
		f := binding.Explain(err)
		both := string(f.RPC()) + string(f.REST())
		if f.Message != "internal error" || f.Code != -32603 || f.HTTP != 500 || strings.Contains(both, "password") {
			t.Errorf("%v: a client sees %s", err, both)
		}
	}
	f := binding.Explain(&task.Error{Kind: a2a.ErrTaskNotFound, Message: "no such task", Cause: secret})
	if both := string(f.RPC()) + string(f.REST()); strings.Contains(both, "password") {
		t.Errorf("a client sees the cause: %s", both)
	}
}

func TestErrorDetails(t *testing.T) {
	t.Parallel()
	err := task.Invalid(a2a.ErrInvalidParams, "message.parts", "at least one part is required")
	err.Meta = map[string]string{"taskId": "t"}
	err.RetryAfter = 1500 * time.Millisecond
	details := `[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"INVALID_PARAMS","domain":"a2a-protocol.org","metadata":{"taskId":"t"}},` +
		`{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"message.parts","description":"at least one part is required"}]},` +
		`{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]`
	f := binding.Explain(err)
	if diff := cmp.Diff(`{"code":-32602,"message":"message.parts: at least one part is required","data":`+details+`}`, string(f.RPC())); diff != "" {
		t.Error(diff)
	}
	want := `{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"message.parts: at least one part is required","details":` + details + `}}`
	if diff := cmp.Diff(want, string(f.REST())); diff != "" {
		t.Error(diff)
	}
	h := http.Header{}
	f.Headers(h)
	if got := h.Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After %q, want whole seconds, rounded up", got)
	}
}

func TestUnavailableAlwaysSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	binding.Explain(task.Errorf(task.ErrUnavailable, "full")).Headers(h)
	if got := h.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After %q", got)
	}
}

func TestWhatAClientDoesNotGetIsLoggedOnce(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk on fire")
	for _, tt := range []struct {
		name  string
		err   error
		level string
		part  string
	}{
		{"an unknown error", cause, "ERROR", "disk on fire"},
		{"a cause of a server error", &task.Error{Kind: a2a.ErrInvalidAgentResponse, Message: "bad agent", Cause: cause}, "ERROR", "disk on fire"},
		{"a cause of a client error", &task.Error{Kind: a2a.ErrTaskNotFound, Message: "no", Cause: cause}, "DEBUG", "disk on fire"},
		{"a cause of overload", &task.Error{Kind: task.ErrUnavailable, Message: "no", Cause: cause}, "DEBUG", "disk on fire"},
		{"nothing beyond what the client got", task.Errorf(a2a.ErrTaskNotFound, "no"), "", ""},
		{"a client that left", fmt.Errorf("wait: %w", context.Canceled), "", ""},
	} {
		var log bytes.Buffer
		e := binding.NewEdge(binding.Options{Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		ctx, cancel := context.WithCancel(t.Context())
		if errors.Is(tt.err, context.Canceled) {
			cancel()
		}
		r := httptest.NewRequestWithContext(ctx, "GET", "/tasks/x", nil)
		w := httptest.NewRecorder()
		w.Header().Set(binding.RequestID, "req-1")
		e.Refuse(w, r, tt.err)
		cancel()
		lines := strings.Count(log.String(), "\n")
		if tt.level == "" {
			if lines != 0 {
				t.Errorf("%s: logged %s", tt.name, log.String())
			}
			continue
		}
		var entry struct{ Level, Request string }
		if err := json.Unmarshal(log.Bytes(), &entry); err != nil || lines != 1 || entry.Level != tt.level || entry.Request != "req-1" || !strings.Contains(log.String(), tt.part) {
			t.Errorf("%s: logged %q (%v)", tt.name, log.String(), err)
		}
		if strings.Contains(w.Body.String(), "fire") {
			t.Errorf("%s: the client got %s", tt.name, w.Body)
		}
	}
}
