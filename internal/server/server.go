// SPDX-License-Identifier: Apache-2.0

// Package server puts the bindings, the agent card and the health checks behind
// one handler, and serves it.
package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/task"
)

// CardPath is where an agent's card is, below the base path (8.2).
const CardPath = "/.well-known/agent-card.json"

// Options say what the router leads to. JSONRPC, REST, Card and Edge are
// required.
type Options struct {
	// JSONRPC serves the base path itself.
	JSONRPC http.Handler
	// REST serves all below it that nothing else claims.
	REST http.Handler
	// Card serves CardPath.
	Card http.Handler
	Edge *binding.Edge
	// Prefix is the base path under which all of this is mounted, as in /a2a. It
	// is empty at the root, and where the caller strips the prefix itself.
	Prefix string
	// Ready is asked by /readyz; nil is always ready. Its error is shown only as
	// far as it is a NotReady.
	Ready Ready
	// ReadyTimeout bounds the question; default 2 s.
	ReadyTimeout time.Duration
	// LoopbackOnly refuses requests that were not meant for this machine alone: a
	// page in a browser must not reach an agent that asks for no credentials.
	LoopbackOnly bool
	// Log receives panics, and each request at level debug; default slog.Default().
	Log *slog.Logger
}

// New returns the handler of a server. It may be mounted in any other.
func New(o Options) (http.Handler, error) {
	if o.JSONRPC == nil || o.REST == nil || o.Card == nil || o.Edge == nil {
		return nil, errors.New("server: JSONRPC, REST, Card and Edge are required")
	}
	if o.Prefix != "" && (!strings.HasPrefix(o.Prefix, "/") || strings.HasSuffix(o.Prefix, "/") || strings.ContainsAny(o.Prefix, "%?#")) {
		return nil, fmt.Errorf("server: prefix %q: want /path without a slash at its end", o.Prefix)
	}
	if o.ReadyTimeout <= 0 {
		o.ReadyTimeout = 2 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	h := http.Handler(&router{o})
	if o.Prefix != "" {
		h = prefixed(o, h)
	}
	if o.LoopbackOnly {
		h = loopbackOnly(o.Edge, h)
	}
	return &entrance{log: o.Log, edge: o.Edge, next: h, name: newNamer()}, nil
}

type router struct{ Options }

func (h *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "", "/":
		h.JSONRPC.ServeHTTP(w, r)
	case CardPath:
		h.Card.ServeHTTP(w, r)
	case "/livez":
		h.livez(w, r)
	case "/readyz":
		h.readyz(w, r)
	default:
		h.REST.ServeHTTP(w, r)
	}
}

// prefixed strips the prefix, from the path as sent too, which REST reads.
func prefixed(o Options, next http.Handler) http.Handler {
	strip := http.StripPrefix(o.Prefix, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, ok := strings.CutPrefix(r.URL.EscapedPath(), o.Prefix)
		if !ok || rest != "" && rest[0] != '/' {
			o.Edge.Refuse(w, r, task.Errorf(binding.ErrNoSuchPath, "there is nothing at the path %s; this agent is at %s", binding.Quote(r.URL.Path), o.Prefix))
			return
		}
		strip.ServeHTTP(w, r)
	})
}
