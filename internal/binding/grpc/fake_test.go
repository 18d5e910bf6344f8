// SPDX-License-Identifier: Apache-2.0

package grpc_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/binding/grpc"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/server"
)

// fake is an engine whose answers a test decides.
type fake struct {
	admit  func(engine.Call) (engine.Call, error)
	answer func(context.Context, engine.Call) ([]byte, error)
	follow func(context.Context, *uint64) (*script, error)
}

func (f *fake) Admit(_ context.Context, call engine.Call) (engine.Call, error) {
	if f.admit == nil {
		return call, nil
	}
	return f.admit(call)
}

func (f *fake) Send(ctx context.Context, call engine.Call, _ *a2a.SendMessageRequest) (engine.Reply, error) {
	b, err := f.answer(ctx, call)
	return engine.Reply{JSON: b}, err
}

func (f *fake) Stream(ctx context.Context, _ engine.Call, _ *a2a.SendMessageRequest) (*script, error) {
	return f.follow(ctx, nil)
}

func (f *fake) Get(ctx context.Context, call engine.Call, _ *a2a.GetTaskRequest) ([]byte, error) {
	return f.answer(ctx, call)
}

func (f *fake) List(ctx context.Context, call engine.Call, _ *a2a.ListTasksRequest) ([]byte, error) {
	return f.answer(ctx, call)
}

func (f *fake) Cancel(ctx context.Context, call engine.Call, _ *a2a.CancelTaskRequest) ([]byte, error) {
	return f.answer(ctx, call)
}

func (f *fake) Subscribe(ctx context.Context, _ engine.Call, _ *a2a.SubscribeToTaskRequest, cursor *uint64) (*script, error) {
	return f.follow(ctx, cursor)
}

func (f *fake) ExtendedCard(ctx context.Context, call engine.Call, _ *a2a.GetExtendedAgentCardRequest) ([]byte, error) {
	return f.answer(ctx, call)
}

// script is a follower that does what next does; nil waits for ever.
type script struct {
	next   func(ctx context.Context) ([]engine.Frame, error)
	closed chan struct{}
	once   sync.Once
}

func newScript(next func(ctx context.Context) ([]engine.Frame, error)) *script {
	return &script{next: next, closed: make(chan struct{})}
}

func (s *script) Next(ctx context.Context, idle time.Duration) ([]engine.Frame, error) {
	if s.next != nil {
		return s.next(ctx)
	}
	if idle <= 0 {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	timer := time.NewTimer(idle)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-timer.C:
		return nil, nil
	}
}

func (s *script) Close() { s.once.Do(func() { close(s.closed) }) }

// frames gives all at once and then the end.
func frames(events ...string) *script {
	given := false
	return newScript(func(context.Context) ([]engine.Frame, error) {
		if given {
			return nil, io.EOF
		}
		given = true
		var out []engine.Frame
		for i, e := range events {
			out = append(out, engine.Frame{Seq: uint64(i + 1), Event: []byte(e)})
		}
		return out, nil
	})
}

// stage is a fake engine that is served both ways.
type stage struct {
	*testing.T
	addrs map[string]string
	stop  func()
}

func perform(t *testing.T, f *fake, o binding.Options) *stage {
	t.Helper()
	drain, end := context.WithCancel(context.Background())
	o.Drain = drain
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	edge := binding.NewEdge(o)
	h := grpc.New[*script](edge, f, grpc.Options{})
	cards, err := binding.NewCards(edge, binding.CardOptions{PublicURL: "http://127.0.0.1:1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	router, err := server.New(server.Options{JSONRPC: nothing{}, REST: nowhere{}, Cards: cards, Edge: edge, GRPC: h, LoopbackOnly: true, Log: o.Log})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{T: t, addrs: map[string]string{}}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for way, run := range map[string]func(net.Listener) error{
		ways[0]: func(ln net.Listener) error {
			return server.Serve(ctx, ln, router, server.ServeOptions{ShutdownTimeout: 5 * time.Second, Log: o.Log})
		},
		ways[1]: func(ln net.Listener) error { return h.Serve(ctx, ln, 5*time.Second) },
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.addrs[way] = ln.Addr().String()
		group.Go(func() {
			if err := run(ln); err != nil {
				t.Errorf("serve %s: %v", way, err)
			}
		})
	}
	s.stop = func() {
		end()
		cancel()
		group.Wait()
	}
	t.Cleanup(func() { s.stop() })
	return s
}

// nothing and nowhere stand for the other bindings.
type nothing struct{}

func (nothing) Serve(w http.ResponseWriter, _ *http.Request, _ string) {
	w.WriteHeader(http.StatusTeapot)
}

type nowhere struct{}

func (nowhere) Serve(w http.ResponseWriter, _ *http.Request, _, _ string) {
	w.WriteHeader(http.StatusTeapot)
}

func (s *stage) dial(way string, opts ...gogrpc.DialOption) *gogrpc.ClientConn {
	s.Helper()
	conn, err := gogrpc.NewClient(s.addrs[way], append(opts, gogrpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (s *stage) client(way string, opts ...gogrpc.DialOption) a2apb.A2AServiceClient {
	return a2apb.NewA2AServiceClient(s.dial(way, opts...))
}

// eachWay runs a test for each way to a fake engine.
func eachWay(t *testing.T, f *fake, o binding.Options, test func(t *testing.T, s *stage, way string)) {
	t.Helper()
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			test(t, perform(t, f, o), way)
		})
	}
}
