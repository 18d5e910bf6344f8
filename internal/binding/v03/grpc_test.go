// SPDX-License-Identifier: Apache-2.0

package v03_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/a2apb"
	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	a2agrpc "github.com/a2aproject/a2a-go/v2/a2agrpc/v0"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/binding/v03"
	"github.com/errand-a2a/errand/internal/engine"
)

type cutKey struct{}

// guarded is a server of its own with the service of 0.3, which notes what the
// service tells its guard.
type guarded struct {
	client a2aclient.Transport
	begun  atomic.Int32
	cut    chan struct{} // closed when a call is cut off
}

func newGuarded[F binding.Follower[engine.Frame]](t *testing.T, o binding.Options, eng binding.Engine[engine.Call, engine.Reply, F]) *guarded {
	t.Helper()
	g := &guarded{cut: make(chan struct{})}
	cutOff := sync.OnceFunc(func() { close(g.cut) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpc.WaitForHandlers(true), grpc.InTapHandle(func(ctx context.Context, _ *tap.Info) (context.Context, error) {
		ctx, cut := context.WithCancel(ctx)
		return context.WithValue(ctx, cutKey{}, cut), nil
	}))
	v03.New(binding.NewEdge(o), eng).RegisterGRPC(srv, func(ctx context.Context) (begun, cut func()) {
		return func() { g.begun.Add(1) }, func() {
			ctx.Value(cutKey{}).(context.CancelFunc)()
			cutOff() // last: who hears of it goes on reading
		}
	})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	conn, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		srv.Stop()
		<-served
	})
	g.client = a2agrpc.NewGRPCTransport(conn)
	return g
}

// The statuses are those of the SDKs of 0.3, which know errors by them.
func TestStatusesOfGRPC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn, err := grpc.NewClient(w.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	done, err := a2agrpc.NewGRPCTransport(conn).SendMessage(t.Context(), nil, text("echo x"))
	if err != nil {
		t.Fatal(err)
	}
	c, id := a2apb.NewA2AServiceClient(conn), string(done.(*a2a.Task).ID)
	for what, tt := range map[string]struct {
		do     func() error
		code   codes.Code
		reason string
	}{
		"an unknown task": {func() error {
			_, err := c.GetTask(t.Context(), &a2apb.GetTaskRequest{Name: "tasks/nope"})
			return err
		}, codes.NotFound, "TASK_NOT_FOUND"},
		"cancel of an ended task": {func() error {
			_, err := c.CancelTask(t.Context(), &a2apb.CancelTaskRequest{Name: "tasks/" + id})
			return err
		}, codes.FailedPrecondition, "TASK_NOT_CANCELABLE"},
		"following an ended task": {func() error {
			s, err := c.TaskSubscription(t.Context(), &a2apb.TaskSubscriptionRequest{Name: "tasks/" + id})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		}, codes.Unimplemented, "UNSUPPORTED_OPERATION"},
		"push configurations": {func() error {
			_, err := c.ListTaskPushNotificationConfig(t.Context(), &a2apb.ListTaskPushNotificationConfigRequest{Parent: "tasks/" + id})
			return err
		}, codes.Unimplemented, "PUSH_NOTIFICATION_NOT_SUPPORTED"},
	} {
		st := status.Convert(tt.do())
		reason := ""
		for _, d := range st.Details() {
			if info, ok := d.(*errdetails.ErrorInfo); ok {
				reason = info.Reason
			}
		}
		if st.Code() != tt.code || reason != tt.reason {
			t.Errorf("%s: %v %q (%s)", what, st.Code(), reason, st.Message())
		}
	}
}

func TestTheLastEventOverGRPCSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn, err := grpc.NewClient(w.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	for _, said := range []string{"echo x", "ask who", "auth", "fail", "count to 3"} {
		stream, err := a2apb.NewA2AServiceClient(conn).SendStreamingMessage(t.Context(), &a2apb.SendMessageRequest{Request: &a2apb.Message{
			MessageId: "m", Role: a2apb.Role_ROLE_USER, Parts: []*a2apb.Part{{Part: &a2apb.Part_Text{Text: said}}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		var finals []bool
		for {
			ev, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			finals = append(finals, ev.GetStatusUpdate().GetFinal())
			for name := range ev.GetStatusUpdate().GetMetadata().GetFields() {
				if strings.HasPrefix(name, "\x00") {
					t.Errorf("%s: the mark %q went out", said, name)
				}
			}
		}
		if n := len(finals); n < 2 || !finals[n-1] || slices.Contains(finals[:n-1], true) {
			t.Errorf("%s: final are %v", said, finals)
		}
	}
}

func TestAReaderOfGRPCThatStopsReadingIsCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := newGuarded(t, binding.Options{WriteTimeout: 50 * time.Millisecond}, w.engine)
	events := 0
	var ended error
	for _, err := range g.client.SendStreamingMessage(t.Context(), nil, text("echo "+strings.Repeat("x", 500<<10))) {
		if ended = err; err != nil {
			break
		}
		events++
		select { // which is not reading
		case <-g.cut:
		case <-time.After(10 * time.Second):
			t.Fatal("a reader that does not read is waited for")
		}
	}
	if ended == nil {
		t.Errorf("the stream ends well after %d events", events)
	}
}

func TestEachCallSaysThatItsRequestHasArrived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := newGuarded(t, binding.Options{}, w.engine)
	if _, err := g.client.SendMessage(t.Context(), nil, text("echo x")); err != nil || g.begun.Load() != 1 {
		t.Errorf("%d, error %v", g.begun.Load(), err)
	}
	for _, err := range g.client.SendStreamingMessage(t.Context(), nil, text("echo x")) {
		if err != nil || g.begun.Load() != 2 {
			t.Errorf("%d, error %v", g.begun.Load(), err)
		}
	}
}

func TestAStreamOfGRPCEndsWhenItIsTooOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := newGuarded(t, binding.Options{MaxStreamAge: 20 * time.Millisecond}, w.engine)
	err := firstError(g.client.SendStreamingMessage(t.Context(), nil, text("hang")))
	if err == nil || !strings.Contains(err.Error(), "subscribe again") {
		t.Error(err)
	}
}

// failing is an engine whose errors are not for clients.
type failing struct {
	binding.Engine[engine.Call, engine.Reply, *engine.Follower]
}

const secret = "dial tcp 10.0.0.7: refused"

func (failing) Get(context.Context, engine.Call, *a2a.GetTaskRequest) ([]byte, error) {
	return nil, errors.New(secret)
}

func (failing) Stream(context.Context, engine.Call, *a2a.SendMessageRequest) (*engine.Follower, error) {
	return nil, errors.New(secret)
}

// ExtendedCard answers with what has no form in the proto of 0.3.
func (failing) ExtendedCard(context.Context, engine.Call, *a2a.GetExtendedAgentCardRequest) ([]byte, error) {
	return []byte(`{"name":"x","securitySchemes":{"o":{"oauth2SecurityScheme":{"flows":{"deviceCode":{"deviceAuthorizationUrl":"https://d","tokenUrl":"https://t","scopes":{}}}}}}}`), nil
}

func TestGRPCTellsNothingInternal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := newGuarded(t, binding.Options{Log: slog.New(slog.DiscardHandler)}, failing{w.engine})
	_, got := g.client.GetTask(t.Context(), nil, &a2a.GetTaskRequest{ID: "x"})
	streamed := firstError(g.client.SendStreamingMessage(t.Context(), nil, text("x")))
	_, card := g.client.GetExtendedAgentCard(t.Context(), nil, &a2a.GetExtendedAgentCardRequest{})
	for what, err := range map[string]error{"get": got, "stream": streamed, "card": card} {
		if !errors.Is(err, a2a.ErrInternalError) || err.Error() != "internal error" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTheServiceOf03Refuses10(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for version, want := range map[string]error{"0.3": nil, "1.0": a2a.ErrVersionNotSupported, "7": a2a.ErrVersionNotSupported} {
		_, err := w.transports()["gRPC"].SendMessage(t.Context(), map[string][]string{"A2A-Version": {version}}, text("echo x"))
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", version, err)
		}
	}
}
