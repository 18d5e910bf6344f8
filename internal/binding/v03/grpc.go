// SPDX-License-Identifier: Apache-2.0

package v03

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/a2apb"
	"github.com/a2aproject/a2a-go/v2/a2a"
	a2agrpc "github.com/a2aproject/a2a-go/v2/a2agrpc/v0"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/binding/sdk"
	"github.com/errand-a2a/errand/internal/task"
)

const serviceName = "a2a.v1.A2AService"

// Guard gives what a server has put around a call: begun says that the request
// has arrived, cut ends the call where a write waits for its reader, which gRPC
// gives a handler no other way out of.
type Guard func(context.Context) (begun, cut func())

// service is the gRPC service of 0.3. The SDK's handler does the work; the list
// of methods is ours, so that each goes through our limits on its way.
type service struct {
	edge  *binding.Edge
	guard Guard
}

// RegisterGRPC adds the service to a server. It serves the default agent, since
// its requests cannot name another. guard may be nil.
func (h *Handler[F]) RegisterGRPC(s grpc.ServiceRegistrar, guard Guard) {
	if guard == nil {
		guard = func(context.Context) (begun, cut func()) { return func() {}, func() {} }
	}
	g := &service{edge: h.edge, guard: guard}
	older := a2agrpc.NewHandler(sdk.New(h.engine, sdk.Options{Explain: g.explain, Headers: metadataOf, Logger: h.edge.Options().Log}))
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: serviceName, HandlerType: (*any)(nil), Metadata: "a2a.proto",
		Methods: []grpc.MethodDesc{
			unary(g, "SendMessage", older.SendMessage),
			unary(g, "GetTask", older.GetTask),
			unary(g, "ListTasks", older.ListTasks),
			unary(g, "CancelTask", older.CancelTask),
			unary(g, "CreateTaskPushNotificationConfig", older.CreateTaskPushNotificationConfig),
			unary(g, "GetTaskPushNotificationConfig", older.GetTaskPushNotificationConfig),
			unary(g, "ListTaskPushNotificationConfig", older.ListTaskPushNotificationConfig),
			unary(g, "DeleteTaskPushNotificationConfig", older.DeleteTaskPushNotificationConfig),
			unary(g, "GetAgentCard", older.GetAgentCard),
		},
		Streams: []grpc.StreamDesc{
			streaming(g, "SendStreamingMessage", older.SendStreamingMessage),
			streaming(g, "TaskSubscription", older.TaskSubscription),
		},
	}, older)
}

func unary[Q, A any](g *service, name string, run func(context.Context, *Q) (*A, error)) grpc.MethodDesc {
	method := "/" + serviceName + "/" + name
	serve := func(ctx context.Context, req any) (any, error) {
		if err := g.check(ctx); err != nil {
			return nil, err
		}
		answer, err := run(ctx, req.(*Q))
		if err != nil {
			return nil, g.veil(ctx, err)
		}
		return answer, nil
	}
	return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, decode func(any) error, through grpc.UnaryServerInterceptor) (any, error) {
		req := new(Q)
		if err := decode(req); err != nil {
			return nil, err
		}
		begun, _ := g.guard(ctx)
		begun()
		if through == nil {
			return serve(ctx, req)
		}
		return through(ctx, req, &grpc.UnaryServerInfo{Server: srv, FullMethod: method}, serve)
	}}
}

func streaming[Q, A any](g *service, name string, run func(*Q, grpc.ServerStreamingServer[A]) error) grpc.StreamDesc {
	return grpc.StreamDesc{StreamName: name, ServerStreams: true, Handler: func(_ any, ss grpc.ServerStream) error {
		req := new(Q)
		if err := ss.RecvMsg(req); err != nil {
			return err
		}
		begun, cut := g.guard(ss.Context())
		begun()
		if err := g.check(ss.Context()); err != nil {
			return err
		}
		out, done := g.outlet(ss, cut)
		defer done()
		err := run(req, &grpc.GenericServerStream[Q, A]{ServerStream: out})
		if err != nil && out.ctx.Err() != nil && ss.Context().Err() == nil {
			err = g.explain(ss.Context(), task.Errorf(task.ErrUnavailable, "the stream ends before the turn does; subscribe again"))
		}
		return g.veil(ss.Context(), err)
	}}
}

// check wants 0.3, which is what the package of the service says too.
func (g *service) check(ctx context.Context) error {
	said, err := g.edge.Dialect(strings.Join(metadataOf(ctx)["a2a-version"], ","))
	if err == nil && said == binding.V1 {
		err = task.Errorf(a2a.ErrVersionNotSupported, "the service %s belongs to A2A 0.3; the one of %s is lf.a2a.v1.A2AService", serviceName, string(a2a.Version))
	}
	if err != nil {
		return g.explain(ctx, err)
	}
	return nil
}

// outlet is a stream whose reader is cut off when it does not read, and that
// ends when the server drains or it is too old.
func (g *service) outlet(ss grpc.ServerStream, cut func()) (out *outlet, done func()) {
	o := g.edge.Options()
	ctx, cancel := context.WithCancel(ss.Context())
	forget := context.AfterFunc(o.Drain, cancel)
	age := time.AfterFunc(never, cancel)
	if end := g.edge.StreamEnd(); !end.IsZero() {
		age.Reset(time.Until(end))
	}
	out = &outlet{ServerStream: ss, ctx: ctx, patience: o.WriteTimeout, timer: time.AfterFunc(never, cut)}
	return out, func() {
		forget()
		age.Stop()
		out.timer.Stop()
		cancel()
	}
}

const never = 1<<63 - 1

type outlet struct {
	grpc.ServerStream
	ctx      context.Context
	patience time.Duration
	timer    *time.Timer
}

// Context implements grpc.ServerStream.
func (o *outlet) Context() context.Context { return o.ctx }

// SendMsg implements grpc.ServerStream.
func (o *outlet) SendMsg(m any) error {
	if sr, ok := m.(*a2apb.StreamResponse); ok {
		sayFinal(sr.GetStatusUpdate())
	}
	o.timer.Reset(o.patience)
	defer o.timer.Stop()
	return o.ServerStream.SendMsg(m)
}

// sayFinal says of the last event of a stream that it is. The SDK's conversion
// drops that.
func sayFinal(u *a2apb.TaskStatusUpdateEvent) {
	if _, last := u.GetMetadata().GetFields()[finalMark]; !last {
		return
	}
	u.Final = true
	if delete(u.Metadata.Fields, finalMark); len(u.Metadata.Fields) == 0 {
		u.Metadata = nil
	}
}

// metadataOf is the metadata of a call as the headers of a request.
func metadataOf(ctx context.Context) map[string][]string {
	md, _ := metadata.FromIncomingContext(ctx)
	h := make(map[string][]string, len(md))
	for name, values := range md {
		if name == "x-a2a-extensions" {
			name = "a2a-extensions"
		}
		h[name] = append(h[name], values...)
	}
	return h
}

// explain makes the status of an error, which the SDK's handler passes on as it
// is, and writes to the log what the client does not get.
func (g *service) explain(ctx context.Context, err error) error {
	method, _ := grpc.Method(ctx)
	return statusOf(g.edge.ExplainCall(ctx, err, slog.String("method", method))).Err()
}

func statusOf(f binding.Fault) *status.Status {
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: f.Reason, Domain: a2a.ProtocolDomain, Metadata: f.Meta}}
	if f.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.RetryAfter)})
	}
	var code codes.Code
	switch f.Reason {
	case "UNSUPPORTED_OPERATION", "PUSH_NOTIFICATION_NOT_SUPPORTED":
		f.Status = "UNIMPLEMENTED" // as the servers of 0.3 have it; its clients know these errors by it
	}
	if code.UnmarshalJSON(strconv.AppendQuote(nil, f.Status)) != nil {
		code = codes.Internal
	}
	plain := status.New(code, f.Message)
	full, err := plain.WithDetails(details...)
	if err != nil { // a text that is not UTF-8 perhaps
		return plain
	}
	return full
}

// veil hides the text of an internal error that the SDK's handler makes itself,
// which is what it could not convert. Ours have details.
func (g *service) veil(ctx context.Context, err error) error {
	if st, ok := status.FromError(err); ok && st.Code() == codes.Internal && len(st.Details()) == 0 {
		return g.explain(ctx, err)
	}
	return err
}
