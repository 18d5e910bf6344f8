// SPDX-License-Identifier: Apache-2.0

package grpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/task"
)

// The gRPC column of section 5.4, as 1.0.1 has it, and what this server adds.
var kinds = []struct {
	kind   error
	code   codes.Code
	reason string
}{
	{a2a.ErrTaskNotFound, codes.NotFound, "TASK_NOT_FOUND"},
	{a2a.ErrTaskNotCancelable, codes.FailedPrecondition, "TASK_NOT_CANCELABLE"},
	{a2a.ErrPushNotificationNotSupported, codes.FailedPrecondition, "PUSH_NOTIFICATION_NOT_SUPPORTED"},
	{a2a.ErrUnsupportedOperation, codes.FailedPrecondition, "UNSUPPORTED_OPERATION"},
	{task.ErrClosed, codes.FailedPrecondition, "UNSUPPORTED_OPERATION"},
	{a2a.ErrUnsupportedContentType, codes.InvalidArgument, "CONTENT_TYPE_NOT_SUPPORTED"},
	{a2a.ErrInvalidAgentResponse, codes.Internal, "INVALID_AGENT_RESPONSE"},
	{task.ErrInvalidEvent, codes.Internal, "INVALID_AGENT_RESPONSE"},
	{a2a.ErrExtendedCardNotConfigured, codes.FailedPrecondition, "EXTENDED_AGENT_CARD_NOT_CONFIGURED"},
	{a2a.ErrExtensionSupportRequired, codes.FailedPrecondition, "EXTENSION_SUPPORT_REQUIRED"},
	{a2a.ErrVersionNotSupported, codes.FailedPrecondition, "VERSION_NOT_SUPPORTED"},
	{a2a.ErrParseError, codes.InvalidArgument, "PARSE_ERROR"},
	{a2a.ErrInvalidRequest, codes.InvalidArgument, "INVALID_REQUEST"},
	{a2a.ErrMethodNotFound, codes.Unimplemented, "METHOD_NOT_FOUND"},
	{a2a.ErrInvalidParams, codes.InvalidArgument, "INVALID_PARAMS"},
	{a2a.ErrInternalError, codes.Internal, "INTERNAL_ERROR"},
	{a2a.ErrServerError, codes.Internal, "SERVER_ERROR"},
	{a2a.ErrUnauthenticated, codes.Unauthenticated, "UNAUTHENTICATED"},
	{a2a.ErrUnauthorized, codes.PermissionDenied, "UNAUTHORIZED"},
	{binding.ErrForbidden, codes.PermissionDenied, "UNAUTHORIZED"},
	{task.ErrUnavailable, codes.Unavailable, "UNAVAILABLE"},
	{task.ErrKeyConflict, codes.AlreadyExists, "IDEMPOTENCY_KEY_CONFLICT"},
	{task.ErrTooLarge, codes.InvalidArgument, "TOO_LARGE"},
	{binding.ErrMediaType, codes.InvalidArgument, "UNSUPPORTED_MEDIA_TYPE"},
	{binding.ErrBodyTimeout, codes.DeadlineExceeded, "REQUEST_TIMEOUT"},
	{binding.ErrNoSuchPath, codes.NotFound, "METHOD_NOT_FOUND"},
	{binding.ErrMethodNotAllowed, codes.Unimplemented, "METHOD_NOT_ALLOWED"},
}

// said is an error as a client has it.
type said struct {
	code  codes.Code
	text  string
	info  *errdetails.ErrorInfo
	field string
	about string
	retry time.Duration
}

func saidBy(err error) said {
	st := status.Convert(err)
	s := said{code: st.Code(), text: st.Message(), info: &errdetails.ErrorInfo{}}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			s.info = d
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				s.field, s.about = v.GetField(), v.GetDescription()
			}
		case *errdetails.RetryInfo:
			s.retry = d.GetRetryDelay().AsDuration()
		}
	}
	return s
}

// wantReason checks what an error is about.
func wantReason(t *testing.T, err error, code codes.Code, reason string) said {
	t.Helper()
	s := saidBy(err)
	if s.code != code || s.info.GetReason() != reason || s.info.GetDomain() != "a2a-protocol.org" {
		t.Errorf("got %v %q (reason %q, domain %q), want %v with %s", s.code, s.text, s.info.GetReason(), s.info.GetDomain(), code, reason)
	}
	return s
}

func TestEveryKindOfError(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var now error
	set := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		now = err
	}
	get := func() error {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	s := perform(t, &fake{
		answer: func(context.Context, engine.Call) ([]byte, error) { return nil, get() },
		follow: func(context.Context, *uint64) (*script, error) { return nil, get() },
	}, binding.Options{})
	for _, k := range kinds {
		t.Run(fmt.Sprintf("%v is %v with its reason, as an answer and as a stream", k.kind, k.code), func(t *testing.T) {
			set(&task.Error{
				Kind: k.kind, Message: "message.parts: is wrong", Field: "message.parts", RetryAfter: 1500 * time.Millisecond,
				Meta: map[string]string{"taskId": "t1"}, Cause: errors.New("secret"),
			})
			for _, way := range ways {
				c := s.client(way)
				_, err := c.GetTask(t.Context(), &a2apb.GetTaskRequest{Id: "t1"})
				stream, streamErr := c.SubscribeToTask(t.Context(), &a2apb.SubscribeToTaskRequest{Id: "t1"})
				if streamErr == nil {
					_, streamErr = stream.Recv()
				}
				for _, err := range []error{err, streamErr} {
					got := wantReason(t, err, k.code, k.reason)
					if got.text != "message.parts: is wrong" || got.field != "message.parts" || got.about != "is wrong" ||
						got.retry != 1500*time.Millisecond || got.info.GetMetadata()["taskId"] != "t1" {
						t.Errorf("%s: %+v", way, got)
					}
				}
			}
		})
	}
}

// lines is a log that a test reads.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestNothingInternalIsTold(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func() error{
		"an error without a kind": func() error { return errors.New("dial tcp 10.0.0.7: secret") },
		"a panic":                 func() error { panic("secret") },
	} {
		log := &lines{}
		fail := &fake{
			answer: func(context.Context, engine.Call) ([]byte, error) { return nil, f() },
			follow: func(context.Context, *uint64) (*script, error) {
				return newScript(func(context.Context) ([]engine.Frame, error) { return nil, f() }), nil
			},
		}
		t.Run(name+" is INTERNAL to the client and whole in the log", func(t *testing.T) {
			s := perform(t, fail, binding.Options{Log: slog.New(slog.NewTextHandler(log, nil))})
			for _, way := range ways {
				ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "r-1")
				_, err := s.client(way).GetTask(ctx, &a2apb.GetTaskRequest{Id: "t"})
				stream, streamErr := s.client(way).SubscribeToTask(ctx, &a2apb.SubscribeToTaskRequest{Id: "t"})
				if streamErr == nil {
					_, streamErr = stream.Recv()
				}
				for _, err := range []error{err, streamErr} {
					if got := wantReason(t, err, codes.Internal, "INTERNAL_ERROR"); got.text != "internal error" {
						t.Errorf("the client is told %q", got.text)
					}
				}
			}
			if n := strings.Count(log.String(), "secret"); n < 4 || strings.Count(log.String(), "r-1") < 4 {
				t.Errorf("the log has it %d times: %s", n, log)
			}
		})
	}
}

// An answer that cannot be converted is the server's fault, not silence.
func TestAnswerThatCannotBeConverted(t *testing.T) {
	t.Parallel()
	f := &fake{
		answer: func(context.Context, engine.Call) ([]byte, error) { return []byte(`{"id":7`), nil },
		follow: func(context.Context, *uint64) (*script, error) {
			return frames(`{"task":{"id":"t"}}`, `{"task":7}`), nil
		},
	}
	eachWay(t, f, binding.Options{}, func(t *testing.T, s *stage, way string) {
		_, err := s.client(way).GetTask(t.Context(), &a2apb.GetTaskRequest{Id: "t"})
		wantReason(t, err, codes.Internal, "INTERNAL_ERROR")
		stream, err := s.client(way).SubscribeToTask(t.Context(), &a2apb.SubscribeToTaskRequest{Id: "t"})
		if err != nil {
			t.Fatal(err)
		}
		if ev, err := stream.Recv(); err != nil || ev.GetTask().GetId() != "t" {
			t.Errorf("first %v, %v", ev, err)
		}
		_, err = stream.Recv()
		wantReason(t, err, codes.Internal, "INTERNAL_ERROR")
	})
}
