// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/tap"

	"github.com/errand-a2a/errand/internal/binding"
)

// guard is around a call before it has a handler. It cuts the call off from
// outside: gRPC gives a handler no other way out of a write that waits for its
// reader.
type guard struct {
	cut context.CancelFunc
	// id is the name of the call. told says that its caller hears it anyway.
	id   string
	told bool
	// body cuts the call off if its request does not arrive; nil: something else
	// does.
	body *time.Timer
}

type guardKey struct{}

// guardOf is the guard that the transport put around a call. There is always
// one; tests that call handlers themselves have an idle one.
func guardOf(ctx context.Context) *guard {
	if g, ok := ctx.Value(guardKey{}).(*guard); ok {
		return g
	}
	return &guard{cut: func() {}, id: rand.Text()}
}

// GuardOf is for the services of others on these servers. begun is to be called
// when the request has arrived, or the call is given up after a while; cut ends
// a call whose write waits for a reader that does not read.
func GuardOf(ctx context.Context) (begun, cut func()) {
	g := guardOf(ctx)
	return g.begun, g.cut
}

// begun says that the request has arrived.
func (g *guard) begun() {
	if g.body != nil {
		g.body.Stop()
	}
}

// endless tells whether a call waits for its client as long as that likes, and
// knows nothing of drains.
func endless(method string) bool { return strings.HasPrefix(method, "/grpc.reflection.") }

// tap puts a guard around each call that comes through a listener of gRPC's own.
func (d *door[F]) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	ctx, cut := context.WithCancel(ctx)
	g := &guard{cut: cut, id: nameOf(info.Header.Get(binding.RequestID))}
	if endless(info.FullMethodName) {
		forget := context.AfterFunc(d.drain, cut)
		context.AfterFunc(ctx, func() { forget() })
	} else {
		g.body = time.AfterFunc(d.edge.Options().BodyTimeout, cut)
		context.AfterFunc(ctx, g.begun)
	}
	return context.WithValue(ctx, guardKey{}, g), nil
}

// ServeHTTP serves a call that came through an HTTP server with HTTP/2.
func (h *Handler[F]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cut := context.WithCancel(r.Context())
	defer cut()
	o := h.edge.Options()
	rc := http.NewResponseController(w)
	if endless(r.URL.Path) {
		defer context.AfterFunc(o.Drain, cut)()
	} else {
		_ = rc.SetReadDeadline(time.Now().Add(o.BodyTimeout))
	}
	given := w.Header()[binding.RequestID] // by the server's entrance
	g := &guard{cut: cut, id: nameOf(given), told: len(given) > 0}
	r = r.WithContext(context.WithValue(ctx, guardKey{}, g))
	h.shared.ServeHTTP(&timed{ResponseWriter: w, rc: rc, patience: o.WriteTimeout}, r)
}

// nameOf is the name that a call has been given, or a new one.
func nameOf(given []string) string {
	const most = 128
	if len(given) == 1 && given[0] != "" && len(given[0]) <= most {
		return given[0]
	}
	return rand.Text()
}

// timed gives each write its time, and the silence between writes none: a
// deadline that passes ends an HTTP/2 stream even if nothing is written.
type timed struct {
	http.ResponseWriter
	rc       *http.ResponseController
	patience time.Duration
}

// Write implements http.ResponseWriter.
func (w *timed) Write(b []byte) (n int, err error) {
	const piece = 256 << 10 // a slow reader may take its time over a large task
	for len(b) > 0 && err == nil {
		var m int
		_ = w.rc.SetWriteDeadline(time.Now().Add(w.patience))
		m, err = w.ResponseWriter.Write(b[:min(len(b), piece)])
		b, n = b[m:], n+m
	}
	return n, err
}

// Flush implements http.Flusher, which gRPC asks for.
func (w *timed) Flush() {
	_ = w.rc.SetWriteDeadline(time.Now().Add(w.patience))
	_ = w.rc.Flush()
	_ = w.rc.SetWriteDeadline(time.Time{})
}
