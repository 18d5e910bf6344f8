// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ServeOptions tune Serve. The zero value means the defaults.
type ServeOptions struct {
	// ReadHeaderTimeout bounds the time in which the header of a request must
	// arrive; default 10 s. The body has a bound of its own (binding.Options).
	ReadHeaderTimeout time.Duration
	// IdleTimeout is how long a connection may wait for its next request; default 2 min.
	IdleTimeout time.Duration
	// MaxHeader bounds the header of a request, which is refused with 431 above
	// it; default 16 KiB.
	MaxHeader int
	// ShutdownTimeout is how long requests may finish once ctx is done; default
	// 10 s. Then their contexts are cancelled.
	ShutdownTimeout time.Duration
	// Log receives complaints of net/http at level debug; default slog.Default().
	Log *slog.Logger
}

// lastWords is the time a request has between the end of its context and the
// end of its connection.
const lastWords = time.Second

// Serve serves until ctx is done, then stops: no new connections, streams end
// (by binding.Options.Drain, which the caller derives from the same ctx), other
// requests finish, and after ShutdownTimeout are cut short. It returns nil after
// a stop and has closed the listener.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, o ServeOptions) error {
	o = o.withDefaults()
	// The contexts of requests do not end with ctx: a blocking call is answered
	// while the server drains.
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: o.ReadHeaderTimeout,
		IdleTimeout:       o.IdleTimeout,
		// net/http grants 4 KiB more than it is told.
		MaxHeaderBytes: max(o.MaxHeader-4<<10, 1),
		Protocols:      protocols(),
		HTTP2:          &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingPatience},
		BaseContext:    func(net.Listener) context.Context { return base },
		ErrorLog:       slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { stopped <- shutdown(srv, cut, o.ShutdownTimeout) })
	err := srv.Serve(ln)
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		return errors.Join(fmt.Errorf("serve %s: %w", ln.Addr(), err), srv.Close())
	}
	return <-stopped
}

// What an HTTP/2 connection may have: so many requests at once, and so long a
// silence before it is asked whether it is still there, and until it answers.
const (
	maxStreams   = 1000
	pingAfter    = 15 * time.Second
	pingPatience = 15 * time.Second
)

// protocols are all that there are: HTTP/2 without TLS too, which is what gRPC
// speaks where nothing is encrypted.
func protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

// shutdown always ends, whatever the handlers do.
func shutdown(srv *http.Server, cut context.CancelFunc, patience time.Duration) error {
	for _, d := range []time.Duration{patience, lastWords} {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		err := srv.Shutdown(ctx)
		cancel()
		if err == nil {
			return nil
		}
		cut()
	}
	if err := srv.Close(); err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	return nil
}

func (o ServeOptions) withDefaults() ServeOptions {
	for _, d := range []struct {
		option *time.Duration
		def    time.Duration
	}{{&o.ReadHeaderTimeout, 10 * time.Second}, {&o.IdleTimeout, 2 * time.Minute}, {&o.ShutdownTimeout, 10 * time.Second}} {
		if *d.option <= 0 {
			*d.option = d.def
		}
	}
	if o.MaxHeader <= 0 {
		o.MaxHeader = 16 << 10
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}
