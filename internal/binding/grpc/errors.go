// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/errand-a2a/errand/internal/binding"
)

// statusOf is an error as gRPC has it (10.6): the details are those of the other
// bindings, and begin with ErrorInfo.
func statusOf(f binding.Fault) *status.Status {
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: f.Reason, Domain: a2a.ProtocolDomain, Metadata: f.Meta}}
	if f.Field != "" {
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: f.Field, Description: strings.TrimPrefix(f.Message, f.Field+": ")},
		}})
	}
	if f.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.RetryAfter)})
	}
	plain := status.New(codeOf(f.Status), f.Message)
	full, err := plain.WithDetails(details...)
	if err != nil { // a text that is not UTF-8 perhaps; without details it is escaped
		return plain
	}
	return full
}

// codeOf finds the code of a name such as NOT_FOUND.
func codeOf(name string) codes.Code {
	var c codes.Code
	if err := c.UnmarshalJSON(strconv.AppendQuote(nil, name)); err != nil {
		return codes.Internal
	}
	return c
}

// fail makes the answer of a call that failed, and writes to the log what the
// client does not get.
func (d *door[F]) fail(ctx context.Context, x *exchange, err error) error {
	st := statusOf(d.edge.ExplainCall(ctx, err, slog.String("request", x.id), slog.String("method", x.method)))
	if st.Code() == codes.Unavailable && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		// What is said about the task is as true, but it was the caller's time.
		p := st.Proto()
		p.Code = int32(codes.DeadlineExceeded)
		return status.ErrorProto(p)
	}
	return st.Err()
}

// recovered answers a call whose handler panicked.
func (d *door[F]) recovered(ctx context.Context, method string, panicked any) error {
	d.edge.Options().Log.LogAttrs(ctx, slog.LevelError, "panic in a request", slog.String("request", guardOf(ctx).id),
		slog.String("method", method), slog.String("panic", fmt.Sprint(panicked)), slog.String("stack", string(debug.Stack())))
	return statusOf(binding.Explain(nil)).Err()
}

// note writes the end of a call to the log.
func (d *door[F]) note(ctx context.Context, method string, began time.Time, err error) {
	if log := d.edge.Options().Log; log.Enabled(ctx, slog.LevelDebug) {
		log.LogAttrs(ctx, slog.LevelDebug, "call", slog.String("request", guardOf(ctx).id),
			slog.String("method", method), slog.String("code", status.Code(err).String()), slog.Duration("took", time.Since(began)))
	}
}

func (d *door[F]) recoverUnary(ctx context.Context, req any, info *gogrpc.UnaryServerInfo, next gogrpc.UnaryHandler) (answer any, err error) {
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			answer, err = nil, d.recovered(ctx, info.FullMethod, p)
		}
		d.note(ctx, info.FullMethod, began, err)
	}()
	return next(ctx, req)
}

func (d *door[F]) recoverStream(srv any, ss gogrpc.ServerStream, info *gogrpc.StreamServerInfo, next gogrpc.StreamHandler) (err error) {
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = d.recovered(ss.Context(), info.FullMethod, p)
		}
		d.note(ss.Context(), info.FullMethod, began, err)
	}()
	return next(srv, ss)
}
