// SPDX-License-Identifier: Apache-2.0

package sdk_test

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	olderrpc "github.com/a2aproject/a2a-go/v2/a2agrpc/v0"
	a2agrpc "github.com/a2aproject/a2a-go/v2/a2agrpc/v1"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/agent/demo"
	"github.com/errand-a2a/errand/internal/node"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/task"
)

// world is a whole node with the demo agent, behind its own bindings and behind
// the SDK's transports.
type world struct {
	testing.TB
	node *node.Node
	http *http.Client
	// url and grpc are of our bindings, theirs of the SDK's transports.
	url, grpc           string
	theirRPC, theirREST string
	theirGRPC           string
	stop                func()
}

func newWorld(t testing.TB, change ...func(*node.Options)) *world {
	t.Helper()
	st := memory.New(memory.Options{})
	t.Cleanup(func() { _ = st.Close() })
	w := &world{TB: t, http: &http.Client{Transport: &http.Transport{}}}
	def, twin := demo.Agent(), demo.Agent()
	def.Policy.Retry = task.Retry{MaxAttempts: 3, InitialDelay: time.Millisecond, MaxDelay: 2 * time.Millisecond}
	twin.Name = "twin"
	o := node.Options{Store: st, PublicURL: "http://127.0.0.1:1", Logger: slog.New(slog.DiscardHandler), Agents: []agent.Agent{def, twin}}
	o.Worker.ID, o.Worker.Shutdown = "w", 100*time.Millisecond
	for _, f := range change {
		f(&o)
	}
	n, err := node.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	w.node = n
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	own, theirs := listen(t), listen(t)
	w.grpc, w.theirGRPC = own.Addr().String(), theirs.Addr().String()
	ended := make(chan error, 3)
	go func() { ended <- n.Run(ctx) }()
	go func() { ended <- n.ServeGRPC(ctx, own, time.Second) }()
	srv := grpc.NewServer()
	a2agrpc.NewHandler(n.RequestHandler()).RegisterWith(srv)
	go func() { ended <- srv.Serve(theirs) }()
	<-n.Started()
	servers := []*httptest.Server{
		httptest.NewServer(n.Handler()),
		httptest.NewServer(a2asrv.NewJSONRPCHandler(n.RequestHandler())),
		httptest.NewServer(a2asrv.NewRESTHandler(n.RequestHandler())),
	}
	w.url, w.theirRPC, w.theirREST = servers[0].URL, servers[1].URL, servers[2].URL
	t.Cleanup(func() {
		cancel()
		srv.Stop()
		for range 3 {
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
		}
		w.http.CloseIdleConnections()
		for _, s := range servers {
			s.Close()
		}
	})
	return w
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func (w *world) dial(addr string) *grpc.ClientConn {
	w.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	return conn
}

// theirs are the SDK's own transports over our RequestHandler.
func (w *world) theirs() map[string]a2aclient.Transport {
	w.Helper()
	return map[string]a2aclient.Transport{
		"the SDK's JSON-RPC": a2aclient.NewJSONRPCTransport(w.theirRPC, w.http),
		"the SDK's REST":     a2aclient.NewRESTTransport(w.parse(w.theirREST), w.http),
		"the SDK's gRPC":     a2agrpc.NewGRPCTransport(w.dial(w.theirGRPC)),
	}
}

// ours are our bindings of both versions.
func (w *world) ours() map[string]a2aclient.Transport {
	w.Helper()
	older, err := a2av0.NewRESTTransport(a2av0.RESTTransportConfig{URL: w.url, Client: w.http})
	if err != nil {
		w.Fatal(err)
	}
	return map[string]a2aclient.Transport{
		"JSON-RPC":     a2aclient.NewJSONRPCTransport(w.url, w.http),
		"REST":         a2aclient.NewRESTTransport(w.parse(w.url), w.http),
		"gRPC":         a2agrpc.NewGRPCTransport(w.dial(w.grpc)),
		"0.3 JSON-RPC": a2av0.NewJSONRPCTransport(a2av0.JSONRPCTransportConfig{URL: w.url, Client: w.http}),
		"0.3 REST":     older,
		"0.3 gRPC":     olderrpc.NewGRPCTransport(w.dial(w.grpc)),
	}
}

func (w *world) all() map[string]a2aclient.Transport {
	w.Helper()
	all := w.theirs()
	maps.Copy(all, w.ours())
	return all
}

func (w *world) parse(s string) *url.URL {
	w.Helper()
	u, err := url.Parse(s)
	if err != nil {
		w.Fatal(err)
	}
	return u
}

func text(s string) *a2a.SendMessageRequest {
	return &a2a.SendMessageRequest{Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(s))}
}

func stateOf(e a2a.Event) a2a.TaskState {
	switch v := e.(type) {
	case *a2a.Task:
		return v.Status.State
	case *a2a.TaskStatusUpdateEvent:
		return v.Status.State
	}
	return a2a.TaskStateUnspecified
}

// drained gives the events of a stream and how it ended.
func drained(events func(func(a2a.Event, error) bool)) (all []a2a.Event, err error) {
	for e, err := range events {
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
	return all, nil
}
