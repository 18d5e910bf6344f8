// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/server"
	"github.com/errand-a2a/errand/internal/store"
)

// Store is what a node keeps its tasks in; every driver is one.
type Store = store.Store

// About describes a store for people.
type About = store.About

// CardPath is where the agent card is, below the public URL.
const CardPath = binding.CardPath

// CheckOrigins wants origins as browsers send them, or * alone.
func CheckOrigins(origins []string) error { return server.CheckOrigins(origins) }

// AddrOfGRPC is where gRPC is reached beside the other bindings: at the root of
// a public URL, if TLS is spoken there, since that brings HTTP/2 with it. Where
// it is not, or below a path, nobody can tell.
func AddrOfGRPC(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil || u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return ""
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443"))
}

// ServeGRPC serves the gRPC binding alone on a listener, which it closes, until
// ctx ends; calls may finish within the shutdown time, 0 being the worker's.
func (n *Node) ServeGRPC(ctx context.Context, ln net.Listener, shutdown time.Duration) error {
	return n.grpc.Serve(ctx, ln, cmp.Or(shutdown, n.o.Worker.Shutdown, 30*time.Second))
}

// Serve runs the node and serves ln until ctx ends and all have stopped, at
// most about the shutdown time later. It closes ln. Listeners after the shutdown
// time are for gRPC alone.
func (n *Node) Serve(ctx context.Context, ln net.Listener, shutdown time.Duration, forGRPC ...net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var group sync.WaitGroup
	var runErr error
	group.Go(func() {
		defer stop()
		runErr = n.Run(ctx)
	})
	grpcErrs := make([]error, len(forGRPC))
	for i, ln := range forGRPC {
		group.Go(func() {
			defer stop()
			grpcErrs[i] = n.ServeGRPC(ctx, ln, shutdown)
		})
	}
	err := server.Serve(ctx, ln, n.Handler(), server.ServeOptions{ShutdownTimeout: shutdown, Log: n.o.Logger})
	stop()
	group.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, runErr, errors.Join(grpcErrs...))
}
