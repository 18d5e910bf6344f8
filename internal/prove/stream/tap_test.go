// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// A tap reads a task from its first event on and hands over what follows beatMark
// in each beat. It parses nothing else, so that many of them on a small machine
// measure the server and not themselves.
type tap func(ctx context.Context, task string, take func([]byte) error) error

// again makes a tap begin once more if the connection breaks before the first
// beat: a busy machine does not always open one in time.
func (t tap) again(ctx context.Context, task string, take func([]byte) error) error {
	for {
		begun := false
		err := t(ctx, task, func(said []byte) error {
			begun = true
			return take(said)
		})
		if err == nil || begun || ctx.Err() != nil {
			return err
		}
	}
}

// beatMark stands in front of what a beat says, in JSON and in protobuf alike.
const beatMark = "beat="

// taps are the bindings in the order of doors.
func (c *child) taps() []tap {
	return []tap{tapHTTP(c.Addr, false), tapHTTP(c.Addr, true), tapGRPC(c.Addr), tapGRPC(c.GRPC)}
}

func tapHTTP(addr string, rest bool) tap {
	return func(ctx context.Context, task string, take func([]byte) error) error {
		h := NewHTTP(addr, rest, nil)
		params := map[string]any{"id": task}
		if rest {
			params = map[string]any{}
		}
		req, err := h.request(ctx, "SubscribeToTask", "/tasks/"+task+":subscribe", params, http.Header{"Last-Event-Id": {"0"}})
		if err != nil {
			return err
		}
		res, err := h.client.Do(req)
		if err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		defer res.Body.Close()
		lines := bufio.NewReaderSize(res.Body, 64<<10) // longer than an event
		for {
			line, err := lines.ReadSlice('\n')
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read: %w", err)
			}
			if _, said, ok := bytes.Cut(line, []byte(beatMark)); ok {
				if err := take(said); err != nil {
					return err
				}
			}
		}
	}
}

// asBytes is a codec that leaves an answer as the bytes that it is.
type asBytes struct{}

func (asBytes) Name() string { return "proto" }

func (asBytes) Marshal(v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("cannot send %T", v)
	}
	return proto.Marshal(m)
}

func (asBytes) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("cannot read into %T", v)
	}
	*b = append((*b)[:0], data...)
	return nil
}

func tapGRPC(addr string) tap {
	return func(ctx context.Context, task string, take func([]byte) error) error {
		conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithNoProxy(), grpc.WithDefaultCallOptions(grpc.ForceCodec(asBytes{})),
			grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", addr)
			}))
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		defer conn.Close()
		ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, "a2a-version", "1.0", "last-event-id", "0"))
		defer cancel()
		s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, a2apb.A2AService_SubscribeToTask_FullMethodName)
		if err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		if err := errors.Join(s.SendMsg(&a2apb.SubscribeToTaskRequest{Id: task}), s.CloseSend()); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		var message []byte
		for {
			err := s.RecvMsg(&message)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read: %w", err)
			}
			if _, said, ok := bytes.Cut(message, []byte(beatMark)); ok {
				if err := take(said); err != nil {
					return err
				}
			}
		}
	}
}
