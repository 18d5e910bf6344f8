// SPDX-License-Identifier: Apache-2.0

// Package grpc is the gRPC binding of A2A (section 10 of the specification)
// over the engine: the service lf.a2a.v1.A2AService, with the health service
// and reflection beside it.
//
// A request becomes the JSON that the other bindings read, and goes through the
// same decoder: what one binding refuses, all refuse, naming the same field. An
// answer is the engine's JSON, converted. An event of a stream is converted
// once, however many follow it.
//
// The sequence of an event, which a reader that resumes names in the metadata
// last-event-id, stands in the metadata of each event under the URI of the
// resume extension, whether or not that was activated: gRPC has no place beside
// a message for it.
//
// A stream that ends because the server stops, or because it has become too
// old, ends with UNAVAILABLE, so that nobody takes it for the end of the turn.
package grpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
)

// Options of the binding. The zero value means the defaults.
type Options struct {
	// Ready is what the health service asks; nil: always ready.
	Ready func(context.Context) error
	// Register adds services to each server, such as those of other versions.
	Register func(gogrpc.ServiceRegistrar)
	// MaxHeader bounds the metadata of a request; default 16 KiB.
	MaxHeader uint32
	// MaxStreams bounds the calls that are open on one connection; default 1000.
	MaxStreams uint32
}

// Handler is the binding. It serves listeners of its own and, as an
// http.Handler, the HTTP/2 requests of another server.
type Handler[F binding.Follower[engine.Frame]] struct {
	edge   *binding.Edge
	engine binding.Engine[engine.Call, engine.Reply, F]
	opts   Options
	// shared is the server behind ServeHTTP. It is never stopped: the HTTP server
	// in front of it is.
	shared *gogrpc.Server
}

// New returns the binding.
func New[F binding.Follower[engine.Frame]](e *binding.Edge, eng binding.Engine[engine.Call, engine.Reply, F], o Options) *Handler[F] {
	if o.Ready == nil {
		o.Ready = func(context.Context) error { return nil }
	}
	if o.MaxHeader == 0 {
		o.MaxHeader = 16 << 10
	}
	if o.MaxStreams == 0 {
		o.MaxStreams = 1000
	}
	h := &Handler[F]{edge: e, engine: eng, opts: o}
	h.shared = h.server(e.Options().Drain)
	return h
}

// Pings find connections that are gone; clients may send some too, as often as
// every proxy on the way needs them.
const (
	pingAfter    = 15 * time.Second
	pingPatience = 15 * time.Second
	pingMost     = 5 * time.Second
)

// server makes a server whose streams end with drain.
func (h *Handler[F]) server(drain context.Context) *gogrpc.Server {
	d := &door[F]{Handler: h, drain: drain}
	s := gogrpc.NewServer(
		gogrpc.ForceServerCodecV2(newCodec()),
		gogrpc.MaxRecvMsgSize(int(h.edge.Options().MaxBody)),
		gogrpc.MaxHeaderListSize(h.opts.MaxHeader),
		gogrpc.MaxConcurrentStreams(h.opts.MaxStreams),
		gogrpc.ConnectionTimeout(10*time.Second),
		gogrpc.WaitForHandlers(true),
		gogrpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingPatience}),
		gogrpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingMost, PermitWithoutStream: true}),
		gogrpc.InTapHandle(d.tap),
		gogrpc.UnaryInterceptor(d.recoverUnary),
		gogrpc.StreamInterceptor(d.recoverStream),
	)
	s.RegisterService(d.service(), d)
	grpc_health_v1.RegisterHealthServer(s, &health{ready: h.opts.Ready, drain: drain})
	if h.opts.Register != nil {
		h.opts.Register(s)
	}
	reflection.Register(s)
	return s
}

// lastWords is the time that calls have between the end of their contexts and
// the end of waiting for them.
const lastWords = time.Second

// Serve serves a listener, which it closes, until ctx is done. Then streams end,
// and other calls may finish within patience before they are cut short.
func (h *Handler[F]) Serve(ctx context.Context, ln net.Listener, patience time.Duration) error {
	drain, end := context.WithCancel(h.edge.Options().Drain)
	defer end()
	srv := h.server(drain)
	stopped := make(chan struct{})
	unused := context.AfterFunc(ctx, func() {
		defer close(stopped)
		end()
		stop(srv, patience)
	})
	err := srv.Serve(ln)
	if unused() {
		srv.Stop()
		return fmt.Errorf("serve gRPC at %s: %w", ln.Addr(), err)
	}
	<-stopped
	if err != nil && !errors.Is(err, gogrpc.ErrServerStopped) {
		return fmt.Errorf("serve gRPC at %s: %w", ln.Addr(), err)
	}
	return nil
}

// stop always ends, whatever the handlers do.
func stop(srv *gogrpc.Server, patience time.Duration) {
	for _, try := range []struct {
		stop func()
		wait time.Duration
	}{{srv.GracefulStop, patience}, {srv.Stop, lastWords}} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			try.stop()
		}()
		timer := time.NewTimer(try.wait)
		select {
		case <-done:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

var _ http.Handler = (*Handler[*engine.Follower])(nil)
