// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"net"
	"net/http"
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

// Serve runs the node and serves ln until ctx ends and both have stopped, at
// most about the shutdown time later. It closes ln.
func (n *Node) Serve(ctx context.Context, ln net.Listener, shutdown time.Duration) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var group sync.WaitGroup
	var runErr error
	group.Go(func() {
		defer stop()
		runErr = n.Run(ctx)
	})
	err := server.Serve(ctx, ln, n.Handler(), server.ServeOptions{ShutdownTimeout: shutdown, Log: n.o.Logger})
	stop()
	group.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, runErr)
}
