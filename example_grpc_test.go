// SPDX-License-Identifier: Apache-2.0

package errand_test

import (
	"context"
	"fmt"
	"iter"
	"net"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2agrpc/v1"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/errand-a2a/errand"
)

// An agent that is reached over gRPC, with the SDK's client.
func ExampleErrand_ServeGRPC() {
	agent := errand.Agent{Card: card(), Executor: executor(func(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
		return func(yield func(a2a.Event, error) bool) {
			yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCompleted, nil), nil)
		}
	})}
	e, first, stop := serve(agent, "over HTTP")
	defer stop()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- e.ServeGRPC(ctx, ln) }()

	client, err := a2aclient.NewFromEndpoints(ctx,
		[]*a2a.AgentInterface{a2a.NewAgentInterface(ln.Addr().String(), a2a.TransportProtocolGRPC)},
		a2agrpc.WithGRPCTransport(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		panic(err)
	}
	got, err := client.GetTask(ctx, &a2a.GetTaskRequest{ID: first.ID})
	if err != nil {
		panic(err)
	}
	fmt.Println(got.Status.State)

	_ = client.Destroy()
	cancel()
	fmt.Println(<-served)
	// Output:
	// TASK_STATE_COMPLETED
	// <nil>
}
