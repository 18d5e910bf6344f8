// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
)

const serviceName = "lf.a2a.v1.A2AService"

// door is the binding as one server has it.
type door[F binding.Follower[engine.Frame]] struct {
	*Handler[F]
	// drain ends the streams of this server.
	drain context.Context
}

// exchange is one call on its way through the binding.
type exchange struct {
	method string
	id     string
	header http.Header
	// body is the request as JSON.
	body []byte
	call engine.Call
}

// single is an operation that has one answer.
type single struct {
	name    string
	request func() proto.Message
	answer  func() proto.Message
	run     func(context.Context, *exchange) ([]byte, error)
}

// multiple is an operation that answers with a stream.
type multiple[F any] struct {
	name    string
	request func() proto.Message
	follow  func(context.Context, *exchange) (F, error)
}

func fresh[M any, P interface {
	*M
	proto.Message
}]() proto.Message {
	return P(new(M))
}

// service lists the operations. It takes the place of the generated list, whose
// handlers would have every answer as a tree of messages.
func (d *door[F]) service() *gogrpc.ServiceDesc {
	desc := &gogrpc.ServiceDesc{ServiceName: serviceName, HandlerType: (*any)(nil), Metadata: a2apb.A2AService_ServiceDesc.Metadata}
	for _, op := range []single{
		{"SendMessage", fresh[a2apb.SendMessageRequest], fresh[a2apb.SendMessageResponse], d.sendMessage},
		{"GetTask", fresh[a2apb.GetTaskRequest], fresh[a2apb.Task], d.getTask},
		{"ListTasks", fresh[a2apb.ListTasksRequest], fresh[a2apb.ListTasksResponse], d.listTasks},
		{"CancelTask", fresh[a2apb.CancelTaskRequest], fresh[a2apb.Task], d.cancelTask},
		{"GetExtendedAgentCard", fresh[a2apb.GetExtendedAgentCardRequest], fresh[a2apb.AgentCard], d.extendedCard},
		{"CreateTaskPushNotificationConfig", fresh[a2apb.TaskPushNotificationConfig], fresh[a2apb.TaskPushNotificationConfig], d.noPush},
		{"GetTaskPushNotificationConfig", fresh[a2apb.GetTaskPushNotificationConfigRequest], fresh[a2apb.TaskPushNotificationConfig], d.noPush},
		{"ListTaskPushNotificationConfigs", fresh[a2apb.ListTaskPushNotificationConfigsRequest], fresh[a2apb.ListTaskPushNotificationConfigsResponse], d.noPush},
		{"DeleteTaskPushNotificationConfig", fresh[a2apb.DeleteTaskPushNotificationConfigRequest], fresh[emptypb.Empty], d.noPush},
	} {
		desc.Methods = append(desc.Methods, gogrpc.MethodDesc{MethodName: op.name, Handler: d.serveSingle(op)})
	}
	for _, op := range []multiple[F]{
		{"SendStreamingMessage", fresh[a2apb.SendMessageRequest], d.sendStreamingMessage},
		{"SubscribeToTask", fresh[a2apb.SubscribeToTaskRequest], d.subscribe},
	} {
		desc.Streams = append(desc.Streams, gogrpc.StreamDesc{StreamName: op.name, ServerStreams: true, Handler: d.serveMultiple(op)})
	}
	return desc
}

func (d *door[F]) serveSingle(op single) gogrpc.MethodHandler {
	method := "/" + serviceName + "/" + op.name
	serve := func(ctx context.Context, req any) (any, error) {
		x := d.exchange(ctx, method)
		err := d.read(x, req.(proto.Message))
		if err != nil {
			return nil, d.fail(ctx, x, err)
		}
		answer, err := op.run(ctx, x)
		if err != nil {
			return nil, d.fail(ctx, x, err)
		}
		out, err := encode(answer, op.answer())
		if err != nil {
			return nil, d.fail(ctx, x, err)
		}
		return out, nil
	}
	return func(_ any, ctx context.Context, decode func(any) error, through gogrpc.UnaryServerInterceptor) (any, error) {
		req := op.request()
		if err := decode(req); err != nil {
			return nil, err
		}
		guardOf(ctx).begun()
		return through(ctx, req, &gogrpc.UnaryServerInfo{Server: d, FullMethod: method}, serve)
	}
}

func (d *door[F]) serveMultiple(op multiple[F]) gogrpc.StreamHandler {
	method := "/" + serviceName + "/" + op.name
	return func(_ any, ss gogrpc.ServerStream) error {
		req := op.request()
		if err := ss.RecvMsg(req); err != nil {
			return err
		}
		ctx := ss.Context()
		guardOf(ctx).begun()
		x := d.exchange(ctx, method)
		err := d.read(x, req)
		if err != nil {
			return d.fail(ctx, x, err)
		}
		f, err := op.follow(ctx, x)
		if err != nil {
			return d.fail(ctx, x, err)
		}
		defer f.Close()
		x.body = nil // a stream may last
		err = d.pump(ss, f)
		var left gone
		switch {
		case err == nil:
			return nil
		case errors.As(err, &left):
			return left.error // there is nobody to tell
		}
		return d.fail(ctx, x, err)
	}
}

// exchange begins a call, and tells its caller the name that it has here.
func (d *door[F]) exchange(ctx context.Context, method string) *exchange {
	g := guardOf(ctx)
	if !g.told {
		_ = gogrpc.SetHeader(ctx, metadata.Pairs(binding.RequestID, g.id)) // fails only where there is no call
	}
	return &exchange{method: method, id: g.id, header: headerOf(ctx)}
}

// read checks the version and takes the request.
func (d *door[F]) read(x *exchange, req proto.Message) (err error) {
	if err := checkVersion(d.edge, x.header); err != nil {
		return err
	}
	x.body, err = decodable(req)
	return err
}

// admit makes the call to the agent that the request names, and tells the
// caller which extensions are active.
func (d *door[F]) admit(ctx context.Context, x *exchange, tenant string) (err error) {
	x.call, err = d.engine.Admit(ctx, engine.Call{
		Agent: tenant, Params: binding.Params(x.header), Extensions: binding.Extensions(x.header), Headers: x.header,
	})
	if err == nil && len(x.call.Extensions) > 0 {
		_ = gogrpc.SetHeader(ctx, metadata.Pairs("a2a-extensions", strings.Join(x.call.Extensions, ", ")))
	}
	return err
}

// about runs an operation whose request is decoded by one function of the
// bindings.
func about[Q any, F binding.Follower[engine.Frame], R any](ctx context.Context, d *door[F], x *exchange, decode func([]byte) (*Q, error),
	tenant func(*Q) string, run func(context.Context, engine.Call, *Q) (R, error)) (none R, err error) {
	q, err := decode(x.body)
	if err != nil {
		return none, err
	}
	if err := d.admit(ctx, x, tenant(q)); err != nil {
		return none, err
	}
	return run(ctx, x.call, q)
}

func tenantOfSend(q *a2a.SendMessageRequest) string { return q.Tenant }

func (d *door[F]) sendMessage(ctx context.Context, x *exchange) ([]byte, error) {
	return about(ctx, d, x, binding.DecodeSend, tenantOfSend, func(ctx context.Context, call engine.Call, q *a2a.SendMessageRequest) (_ []byte, err error) {
		if call.Key, err = binding.Key(x.header); err != nil {
			return nil, err
		}
		x.body = nil // a blocking call may last
		reply, err := d.engine.Send(ctx, call, q)
		return reply.JSON, err
	})
}

func (d *door[F]) sendStreamingMessage(ctx context.Context, x *exchange) (F, error) {
	return about(ctx, d, x, binding.DecodeSend, tenantOfSend, func(ctx context.Context, call engine.Call, q *a2a.SendMessageRequest) (f F, err error) {
		if call.Key, err = binding.Key(x.header); err != nil {
			return f, err
		}
		return d.engine.Stream(ctx, call, q)
	})
}

func (d *door[F]) subscribe(ctx context.Context, x *exchange) (F, error) {
	return about(ctx, d, x, binding.DecodeSubscribe, func(q *a2a.SubscribeToTaskRequest) string { return q.Tenant },
		func(ctx context.Context, call engine.Call, q *a2a.SubscribeToTaskRequest) (f F, err error) {
			cursor, err := binding.Cursor(x.header)
			if err != nil {
				return f, err
			}
			return d.engine.Subscribe(ctx, call, q, cursor)
		})
}

func (d *door[F]) getTask(ctx context.Context, x *exchange) ([]byte, error) {
	return about(ctx, d, x, binding.DecodeGet, func(q *a2a.GetTaskRequest) string { return q.Tenant }, d.engine.Get)
}

func (d *door[F]) listTasks(ctx context.Context, x *exchange) ([]byte, error) {
	return about(ctx, d, x, binding.DecodeList, func(q *a2a.ListTasksRequest) string { return q.Tenant }, d.engine.List)
}

func (d *door[F]) cancelTask(ctx context.Context, x *exchange) ([]byte, error) {
	return about(ctx, d, x, binding.DecodeCancel, func(q *a2a.CancelTaskRequest) string { return q.Tenant }, d.engine.Cancel)
}

// decodeTenant reads requests of which nothing but the tenant counts.
func decodeTenant(b []byte) (*string, error) {
	tenant, err := binding.DecodeTenant(b)
	return &tenant, err
}

func (d *door[F]) extendedCard(ctx context.Context, x *exchange) ([]byte, error) {
	return about(ctx, d, x, decodeTenant, func(t *string) string { return *t }, func(ctx context.Context, call engine.Call, t *string) ([]byte, error) {
		card, err := d.engine.ExtendedCard(ctx, call, &a2a.GetExtendedAgentCardRequest{Tenant: *t})
		if err != nil {
			return nil, err
		}
		return mendCard(card)
	})
}

func (d *door[F]) noPush(ctx context.Context, x *exchange) ([]byte, error) {
	return about(ctx, d, x, decodeTenant, func(t *string) string { return *t }, func(context.Context, engine.Call, *string) ([]byte, error) {
		return nil, binding.PushNotSupported()
	})
}
