// SPDX-License-Identifier: Apache-2.0

package grpc_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
)

// A server of somebody else's, with TLS, has gRPC as soon as it has HTTP/2; and
// a listener of TLS serves as one of gRPC's own.
func TestTLS(t *testing.T) {
	t.Parallel()
	w := serve(t)
	foreign := httptest.NewUnstartedServer(w.node.Handler())
	foreign.EnableHTTP2 = true
	foreign.StartTLS()
	defer foreign.Close()
	pool := x509.NewCertPool()
	pool.AddCert(foreign.Certificate())
	ask := func(t *testing.T, addr string) {
		conn, err := gogrpc.NewClient(addr, gogrpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "example.com")), gogrpc.WithAuthority("example.com"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		events := streamed(t, a2apb.NewA2AServiceClient(conn), "count to 2")
		if last := events[len(events)-1].GetStatusUpdate(); last.GetStatus().GetState() != a2apb.TaskState_TASK_STATE_COMPLETED {
			t.Errorf("it ends with %v", last)
		}
	}
	t.Run("through a server of net/http", func(t *testing.T) { ask(t, foreign.Listener.Addr().String()) })
	t.Run("at an address of its own", func(t *testing.T) {
		ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: foreign.TLS.Certificates, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.node.ServeGRPC(ctx, ln, time.Second) }()
		ask(t, ln.Addr().String())
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// A name that somebody has pointed to this machine is not this machine's.
func TestForeignAuthority(t *testing.T) {
	t.Parallel()
	s := perform(t, &fake{answer: func(context.Context, engine.Call) ([]byte, error) { return []byte(`{"id":"t"}`), nil }}, binding.Options{})
	_, err := s.client(ways[0], gogrpc.WithAuthority("evil.example")).GetTask(t.Context(), &a2apb.GetTaskRequest{Id: "t"})
	if got := saidBy(err); got.code != codes.PermissionDenied {
		t.Errorf("got %v", err)
	}
}

// A listener that breaks is an error, and nothing is left running.
func TestBrokenListener(t *testing.T) {
	t.Parallel()
	w := serve(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if err := w.node.ServeGRPC(t.Context(), ln, time.Second); err == nil {
		t.Error("it served a listener that was closed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := w.node.ServeGRPC(ctx, ln, time.Second); err != nil {
		t.Errorf("to stop before it began is no error: %v", err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("the listener was left open")
	}
}

// One of several listeners stops by itself: its streams end, the node goes on.
func TestOneListenerStops(t *testing.T) {
	t.Parallel()
	w := serve(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.node.ServeGRPC(ctx, ln, time.Minute) }()
	w.addrs["for a while"] = ln.Addr().String()
	s, err := w.client("for a while").SendStreamingMessage(t.Context(), say("hang"))
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = readAll(s)
	wantReason(t, err, codes.Unavailable, "UNAVAILABLE")
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	got, err := w.client(ways[1]).CancelTask(t.Context(), &a2apb.CancelTaskRequest{Id: first.GetTask().GetId()})
	if err != nil || got.GetStatus().GetState() != a2apb.TaskState_TASK_STATE_CANCELED {
		t.Errorf("the task: %v, %v", got, err)
	}
}
