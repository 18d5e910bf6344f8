// SPDX-License-Identifier: Apache-2.0

package grpc_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/task"
)

func with(t *testing.T, pairs ...string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), pairs...)
}

func TestVersions(t *testing.T) {
	t.Parallel()
	f := &fake{answer: func(context.Context, engine.Call) ([]byte, error) { return []byte(`{"id":"t"}`), nil }}
	for _, strict := range []bool{false, true} {
		s := perform(t, f, binding.Options{StrictVersion: strict})
		for _, way := range ways {
			c := s.client(way)
			for _, tt := range []struct {
				version string
				served  bool
			}{{"1.0", true}, {"1.0.7", true}, {" 1.0 ", true}, {"", !strict}, {"0.3", false}, {"0.3.0", false}, {"1.1", false}, {"99.0", false}, {"x", false}} {
				ctx := t.Context()
				if tt.version != "" {
					ctx = with(t, "a2a-version", tt.version)
				}
				_, err := c.GetTask(ctx, &a2apb.GetTaskRequest{Id: "t"})
				if tt.served {
					if err != nil {
						t.Errorf("%s, strict %v: version %q: %v", way, strict, tt.version, err)
					}
					continue
				}
				if got := wantReason(t, err, codes.FailedPrecondition, "VERSION_NOT_SUPPORTED"); got.info.GetMetadata()["supportedVersions"] == "" {
					t.Errorf("version %q: %+v", tt.version, got)
				}
			}
		}
	}
}

// What comes along with a call reaches the engine under the names of HTTP.
func TestMetadata(t *testing.T) {
	t.Parallel()
	calls := make(chan engine.Call, 1)
	f := &fake{answer: func(_ context.Context, call engine.Call) ([]byte, error) {
		calls <- call
		return []byte(`{"message":{"messageId":"m"}}`), nil
	}}
	eachWay(t, f, binding.Options{}, func(t *testing.T, s *stage, way string) {
		ctx := with(t, "a2a-version", "1.0", "a2a-extensions", "urn:a, urn:b", "a2a-extensions", "urn:c", "idempotency-key", "k1",
			"traceparent", "00-1", "accept-language", "de", "authorization", "Bearer x", "x-other", "1", "x-other", "2", "x-blob-bin", "\xff", "x-request-id", "r1")
		r := say("hi")
		r.Tenant = "other"
		var header metadata.MD
		if _, err := s.client(way).SendMessage(ctx, r, gogrpc.Header(&header)); err != nil {
			t.Fatal(err)
		}
		call := <-calls
		if call.Agent != "other" || call.Key != "k1" || !slices.Equal(call.Extensions, []string{"urn:a", "urn:b", "urn:c"}) {
			t.Errorf("the call is %+v", call)
		}
		for name, want := range map[string]string{"traceparent": "00-1", "accept-language": "de", "a2a-version": "1.0", "x-request-id": "r1"} {
			if got := call.Params[name]; !slices.Equal(got, []string{want}) {
				t.Errorf("the parameter %s is %q", name, got)
			}
		}
		if _, told := call.Params["authorization"]; told || len(call.Params["user-agent"]) != 1 {
			t.Errorf("the executor is told %v", call.Params)
		}
		for name, want := range map[string][]string{"Authorization": {"Bearer x"}, "X-Other": {"1", "2"}, "X-Blob-Bin": nil, "Content-Type": nil, ":authority": nil} {
			if got := call.Headers[name]; !slices.Equal(got, want) {
				t.Errorf("the header %s is %q", name, got)
			}
		}
		if got := header.Get("x-request-id"); !slices.Equal(got, []string{"r1"}) {
			t.Errorf("the call comes back with the names %q", got)
		}
		_, err := s.client(way).SendMessage(with(t, "idempotency-key", "a", "idempotency-key", "b"), r)
		if got := wantReason(t, err, codes.InvalidArgument, "INVALID_PARAMS"); got.field != "Idempotency-Key" {
			t.Errorf("two keys: %+v", got)
		}
	})
}

// Which extensions are active comes back with answers, streams and errors.
func TestExtensions(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, _ *world, c a2apb.A2AServiceClient) {
		ctx := with(t, "a2a-extensions", "urn:unknown, "+task.ProgressURI+","+task.ResumeURI)
		want := func(what string, h metadata.MD) {
			t.Helper()
			got := binding.Extensions(map[string][]string{"A2a-Extensions": h.Get("a2a-extensions")})
			slices.Sort(got)
			if !slices.Equal(got, []string{task.ProgressURI, task.ResumeURI}) {
				t.Errorf("%s says that %q are active", what, got)
			}
		}
		var h metadata.MD
		if _, err := c.SendMessage(ctx, say("echo hi"), gogrpc.Header(&h)); err != nil {
			t.Fatal(err)
		}
		want("an answer", h)
		h = nil
		if _, err := c.GetTask(ctx, &a2apb.GetTaskRequest{Id: "none"}, gogrpc.Header(&h)); err == nil {
			t.Error("there is no such task")
		}
		want("an error", h)
		s, err := c.SendStreamingMessage(ctx, say("echo hi"))
		if err != nil {
			t.Fatal(err)
		}
		if h, err = s.Header(); err != nil {
			t.Fatal(err)
		}
		want("a stream", h)
		if _, err := readAll(s); err != nil {
			t.Fatal(err)
		}
		if _, err := c.GetTask(t.Context(), &a2apb.GetTaskRequest{Id: "none"}, gogrpc.Header(&h)); len(h.Get("a2a-extensions")) != 0 {
			t.Errorf("nothing was asked for: %v, %v", h, err)
		}
	})
}

// A repeat of a key joins the turn that the first made.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, _ *world, c a2apb.A2AServiceClient) {
		r := say("echo once")
		ctx := with(t, "idempotency-key", a2a.NewMessageID())
		first, err := c.SendMessage(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		second, err := c.SendMessage(ctx, r)
		if err != nil || second.GetTask().GetId() != first.GetTask().GetId() {
			t.Errorf("the repeat: %v, %v", second, err)
		}
		_, err = c.SendMessage(ctx, say("echo twice"))
		wantReason(t, err, codes.AlreadyExists, "IDEMPOTENCY_KEY_CONFLICT")
	})
}

// The largest request is that of the other bindings.
func TestSizes(t *testing.T) {
	t.Parallel()
	f := &fake{answer: func(context.Context, engine.Call) ([]byte, error) { return []byte(`{"id":"t"}`), nil }}
	eachWay(t, f, binding.Options{MaxBody: 1000}, func(t *testing.T, s *stage, way string) {
		c := s.client(way)
		if _, err := c.GetTask(t.Context(), &a2apb.GetTaskRequest{Id: string(make([]byte, 900))}); err != nil {
			t.Errorf("900 bytes: %v", err)
		}
		_, err := c.GetTask(t.Context(), &a2apb.GetTaskRequest{Id: string(make([]byte, 1001))})
		if got := saidBy(err); got.code != codes.ResourceExhausted {
			t.Errorf("1001 bytes: %v", err)
		}
	})
}

// A call without a name gets one, the same in every line of the log.
func TestNameOfACall(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run("that comes "+way, func(t *testing.T) {
			t.Parallel()
			log := &lines{}
			s := perform(t, &fake{answer: func(context.Context, engine.Call) ([]byte, error) { return nil, errors.New("broken") }},
				binding.Options{Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			var h metadata.MD
			if _, err := s.client(way).GetTask(t.Context(), &a2apb.GetTaskRequest{Id: "t"}, gogrpc.Header(&h)); err == nil {
				t.Error("it is broken")
			}
			s.stop()
			names := h.Get("x-request-id")
			if len(names) != 1 || names[0] == "" {
				t.Fatalf("its names are %q", names)
			}
			for line := range strings.Lines(log.String()) {
				if strings.Contains(line, "request=") && !strings.Contains(line, "request="+names[0]) {
					t.Errorf("%s is called otherwise in %s", names[0], line)
				}
			}
			if n := strings.Count(log.String(), "request="+names[0]); n < 2 {
				t.Errorf("it stands in %d lines of %s", n, log)
			}
		})
	}
}

// The card for those who have said who they are, as the official client reads it.
func TestExtendedCard(t *testing.T) {
	t.Parallel()
	f := &fake{answer: func(_ context.Context, call engine.Call) ([]byte, error) {
		return []byte(`{"name":"` + call.Agent + `","securityRequirements":[{"schemes":{"key":["a"]}}],"skills":[{"id":"s","securityRequirements":[{"schemes":{"key":null}}]}]}`), nil
	}}
	eachWay(t, f, binding.Options{}, func(t *testing.T, s *stage, way string) {
		c, err := s.client(way).GetExtendedAgentCard(t.Context(), &a2apb.GetExtendedAgentCardRequest{Tenant: "other"})
		if err != nil {
			t.Fatal(err)
		}
		if c.GetName() != "other" || !slices.Equal(c.GetSecurityRequirements()[0].GetSchemes()["key"].GetList(), []string{"a"}) || len(c.GetSkills()) != 1 {
			t.Errorf("the card is %v", c)
		}
	})
}
