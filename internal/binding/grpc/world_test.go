// SPDX-License-Identifier: Apache-2.0

package grpc_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/agent/demo"
	"github.com/errand-a2a/errand/internal/node"
	"github.com/errand-a2a/errand/internal/store/memory"
)

// The two ways to a node: the port of the other bindings and a port for gRPC
// alone. Whatever is true of one is true of the other.
var ways = []string{"beside the other bindings", "at an address of its own"}

// world is a node that is served both ways.
type world struct {
	*testing.T
	node  *node.Node
	addrs map[string]string
	stop  func()
}

// serve runs a node with the demo agent twice, without a name and as "other".
func serve(t *testing.T, tune ...func(*node.Options)) *world {
	t.Helper()
	st := memory.New(memory.Options{})
	t.Cleanup(func() { _ = st.Close() })
	a, other := demo.Agent(), demo.Agent()
	for _, card := range []*a2a.AgentCard{a.Card, other.Card} {
		card.DefaultInputModes = append(card.DefaultInputModes, "application/json", "application/octet-stream")
	}
	other.Name = "other"
	o := node.Options{Store: st, PublicURL: "http://127.0.0.1:1", Logger: slog.New(slog.DiscardHandler), Agents: []agent.Agent{a, other}}
	o.Worker.ID, o.Worker.Shutdown = "w", 100*time.Millisecond
	for _, f := range tune {
		f(&o)
	}
	n, err := node.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, node: n, addrs: map[string]string{}}
	var lns []net.Listener
	for _, way := range ways {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		w.addrs[way] = ln.Addr().String()
		lns = append(lns, ln)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx, lns[0], 5*time.Second, lns[1]) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(w.stop)
	w.await()
	return w
}

// await waits until the node says that it is ready.
func (w *world) await() {
	w.Helper()
	c := grpc_health_v1.NewHealthClient(w.dial(ways[1]))
	watch, err := c.Watch(w.Context(), &grpc_health_v1.HealthCheckRequest{})
	for err == nil {
		var now *grpc_health_v1.HealthCheckResponse
		if now, err = watch.Recv(); err == nil && now.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING {
			return
		}
	}
	w.Fatal(err)
}

// dial connects to the node; the connection ends before the node does.
func (w *world) dial(way string, opts ...gogrpc.DialOption) *gogrpc.ClientConn {
	w.Helper()
	conn, err := gogrpc.NewClient(w.addrs[way], append(opts, gogrpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (w *world) client(way string) a2apb.A2AServiceClient {
	return a2apb.NewA2AServiceClient(w.dial(way))
}

func say(text string) *a2apb.SendMessageRequest {
	return &a2apb.SendMessageRequest{Message: &a2apb.Message{
		MessageId: a2a.NewMessageID(), Role: a2apb.Role_ROLE_USER, Parts: []*a2apb.Part{{Content: &a2apb.Part_Text{Text: text}}},
	}}
}

// bothWays runs a test for each way to a node.
func bothWays(t *testing.T, test func(t *testing.T, w *world, c a2apb.A2AServiceClient)) {
	t.Helper()
	w := serve(t)
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			test(t, w, w.client(way))
		})
	}
}
