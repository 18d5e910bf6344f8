// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// grpcConnections share the followers.
const grpcConnections = 20

// bytesOnly is a codec that takes an answer as the bytes that it is.
type bytesOnly struct{}

func (bytesOnly) Name() string { return "proto" }

func (bytesOnly) Marshal(v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("cannot send %T", v)
	}
	return proto.Marshal(m)
}

func (bytesOnly) Unmarshal(data []byte, v any) error {
	n, ok := v.(*int)
	if !ok {
		return fmt.Errorf("cannot read into %T", v)
	}
	*n = len(data)
	return nil
}

func grpcReader(addr string) (read follow, end func(), err error) {
	var conns []*grpc.ClientConn
	end = func() {
		for _, c := range conns {
			_ = c.Close() // the measurement is over
		}
	}
	for range grpcConnections {
		c, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(bytesOnly{}), grpc.MaxCallRecvMsgSize(64<<20)))
		if err != nil {
			end()
			return nil, nil, fmt.Errorf("connect: %w", err)
		}
		conns = append(conns, c)
	}
	var next atomic.Int64
	return func(ctx context.Context, id a2a.TaskID, events *atomic.Int64) error {
		return readGRPC(ctx, conns[next.Add(1)%grpcConnections], id, events)
	}, end, nil
}

func readGRPC(ctx context.Context, conn *grpc.ClientConn, id a2a.TaskID, events *atomic.Int64) error {
	ctx = metadata.AppendToOutgoingContext(ctx, "a2a-version", "1.0")
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, a2apb.A2AService_SubscribeToTask_FullMethodName)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if err := errors.Join(stream.SendMsg(&a2apb.SubscribeToTaskRequest{Id: string(id)}), stream.CloseSend()); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	for {
		var size int
		switch err := stream.RecvMsg(&size); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read a stream: %w", err)
		}
		events.Add(1)
	}
}
