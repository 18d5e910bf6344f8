// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	pb "github.com/a2aproject/a2a-go/v2/a2apb/v1"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails" // so that details can be shown as JSON
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// overGRPC is the gRPC binding (section 10). Parameters and answers go through
// ProtoJSON, so that the same expectations hold as over the other bindings.
type overGRPC struct {
	conn   *grpc.ClientConn
	client pb.A2AServiceClient
	base   string
	opts   Options
}

func dialGRPC(address string, o Options) (Binding, error) {
	host := address
	if strings.Contains(address, "://") {
		u, err := baseURL(address)
		if err != nil {
			return nil, err
		}
		host = u.Host
	}
	conn, err := grpc.NewClient("passthrough:///"+host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", host, err)
	}
	return &overGRPC{conn: conn, client: pb.NewA2AServiceClient(conn), base: "http://" + host, opts: o}, nil
}

func (b *overGRPC) Close() error { return b.conn.Close() }

func (b *overGRPC) outgoing(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "a2a-version", b.opts.Version)
}

// rpc is a method of the generated client together with its request.
func rpc[Q, R proto.Message](ctx context.Context, req Q, params []byte, call func(context.Context, Q, ...grpc.CallOption) (R, error)) (proto.Message, error) {
	if err := protojson.Unmarshal(params, req); err != nil {
		return nil, fmt.Errorf("the parameters cannot be said over gRPC: %w", err)
	}
	return call(ctx, req)
}

func (b *overGRPC) Call(ctx context.Context, operation string, params map[string]any) (*Response, error) {
	if operation == "get_agent_card" {
		return getCard(ctx, b.base, b.opts)
	}
	p, err := json.Marshal(params)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	answer, err := b.unary(b.outgoing(ctx), operation, p)
	if err != nil {
		return nil, statusError(err)
	}
	body, err := toJSON(answer)
	if err != nil {
		return nil, err
	}
	return &Response{Status: http.StatusOK, Raw: body, Body: body}, nil
}

func (b *overGRPC) unary(ctx context.Context, operation string, params []byte) (proto.Message, error) {
	switch operation {
	case "send_message":
		return rpc(ctx, &pb.SendMessageRequest{}, params, b.client.SendMessage)
	case "get_task":
		return rpc(ctx, &pb.GetTaskRequest{}, params, b.client.GetTask)
	case "list_tasks":
		return rpc(ctx, &pb.ListTasksRequest{}, params, b.client.ListTasks)
	case "cancel_task":
		return rpc(ctx, &pb.CancelTaskRequest{}, params, b.client.CancelTask)
	case "get_extended_agent_card":
		return rpc(ctx, &pb.GetExtendedAgentCardRequest{}, params, b.client.GetExtendedAgentCard)
	case "create_push_config":
		return rpc(ctx, &pb.TaskPushNotificationConfig{}, params, b.client.CreateTaskPushNotificationConfig)
	case "get_push_config":
		return rpc(ctx, &pb.GetTaskPushNotificationConfigRequest{}, params, b.client.GetTaskPushNotificationConfig)
	case "list_push_configs":
		return rpc(ctx, &pb.ListTaskPushNotificationConfigsRequest{}, params, b.client.ListTaskPushNotificationConfigs)
	case "delete_push_config":
		return rpc(ctx, &pb.DeleteTaskPushNotificationConfigRequest{}, params, b.client.DeleteTaskPushNotificationConfig)
	}
	return nil, fmt.Errorf("gRPC has no operation %s", operation)
}

func (b *overGRPC) Open(ctx context.Context, operation string, params map[string]any) (Stream, error) {
	p, err := json.Marshal(params)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	ctx, cancel := context.WithCancel(b.outgoing(ctx))
	var source grpc.ServerStreamingClient[pb.StreamResponse]
	switch operation {
	case "send_streaming_message":
		req := &pb.SendMessageRequest{}
		if err = protojson.Unmarshal(p, req); err == nil {
			source, err = b.client.SendStreamingMessage(ctx, req)
		}
	case "subscribe_to_task":
		req := &pb.SubscribeToTaskRequest{}
		if err = protojson.Unmarshal(p, req); err == nil {
			source, err = b.client.SubscribeToTask(ctx, req)
		}
	default:
		err = fmt.Errorf("gRPC has no stream %s", operation)
	}
	if err != nil {
		cancel()
		return nil, statusError(err)
	}
	return &messages{source, cancel}, nil
}

// messages is a stream over gRPC.
type messages struct {
	source grpc.ServerStreamingClient[pb.StreamResponse]
	cancel context.CancelFunc
}

func (s *messages) Status() int { return http.StatusOK }
func (s *messages) Close()      { s.cancel() }

func (s *messages) Next() (Event, error) {
	m, err := s.source.Recv()
	if errors.Is(err, io.EOF) {
		return Event{}, io.EOF
	}
	if err != nil {
		return Event{}, statusError(err)
	}
	body, err := toJSON(m)
	return Event{Frame: body, Body: body}, err
}

// toJSON renders an answer as the other bindings have it. ListTasksResponse is
// REQUIRED to have members that are empty on the last page; over gRPC a field
// that is empty is there.
func toJSON(m proto.Message) (any, error) {
	b, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("render the answer: %w", err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("render the answer: %w", err)
	}
	if _, ok := m.(*pb.ListTasksResponse); ok {
		for key, empty := range map[string]any{"tasks": []any{}, "nextPageToken": "", "pageSize": 0.0, "totalSize": 0.0} {
			if _, ok := v[key]; !ok {
				v[key] = empty
			}
		}
	}
	return v, nil
}

// statusError turns the status of a call into an *Error. What has no status
// never left this process.
func statusError(err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	var details []any
	for _, d := range st.Proto().GetDetails() {
		b, err := protojson.Marshal(d)
		var v any
		if err == nil {
			err = json.Unmarshal(b, &v)
		}
		if err != nil {
			return fmt.Errorf("a detail of the status cannot be read: %w", err)
		}
		details = append(details, v)
	}
	if details == nil {
		return grpcError(st.Code(), st.Message(), nil)
	}
	return grpcError(st.Code(), st.Message(), details)
}
