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

// JSONRPC serves a base path. agent is the one that the base path names: the
// root names the default agent, /agents/NAME the one of that name.
type JSONRPC interface {
	Serve(w http.ResponseWriter, r *http.Request, agent string)
}

// REST serves the paths below a base path. path is what follows it, escaped as
// it was sent.
type REST interface {
	Serve(w http.ResponseWriter, r *http.Request, agent, path string)
}

// Options say what the router leads to. JSONRPC, REST, Cards and Edge are
// required.
type Options struct {
	JSONRPC JSONRPC
	REST    REST
	Cards   *binding.Cards
	Edge    *binding.Edge
	// GRPC serves the HTTP/2 requests of gRPC, whose paths begin at the root
	// whatever the prefix is; nil: they are refused like any other.
	GRPC http.Handler
	// Prefix is the base path under which all of this is mounted, as in /a2a. It
	// is empty at the root, and where the caller strips the prefix itself.
	Prefix string
	// Ready is asked by /readyz; nil is always ready. Its error is shown only as
	// far as it is a NotReady.
	Ready Ready
	// ReadyTimeout bounds the question; default 2 s.
	ReadyTimeout time.Duration
	// Origins are those whose pages may call the server from a browser (CORS), or
	// * for all; empty: none but its own.
	Origins []string
	// LoopbackOnly refuses requests that were not meant for this machine alone: a
	// page in a browser must not reach an agent that asks for no credentials.
	LoopbackOnly bool
	// Log receives panics, and each request at level debug; default slog.Default().
	Log *slog.Logger
}

// New returns the handler of a server. It may be mounted in any other.
func New(o Options) (http.Handler, error) {
	if o.JSONRPC == nil || o.REST == nil || o.Cards == nil || o.Edge == nil {
		return nil, errors.New("server: JSONRPC, REST, Cards and Edge are required")
	}
	if o.Prefix != "" && (!strings.HasPrefix(o.Prefix, "/") || strings.HasSuffix(o.Prefix, "/") || strings.ContainsAny(o.Prefix, "%?#")) {
		return nil, fmt.Errorf("server: prefix %q: want /path without a slash at its end", o.Prefix)
	}
	if err := CheckOrigins(o.Origins); err != nil {
		return nil, fmt.Errorf("server: %w", err)
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
	if o.GRPC != nil {
		h = besideGRPC(o.GRPC, h)
	}
	if o.LoopbackOnly {
		h = loopbackOnly(o.Edge, o.Origins, h)
	}
	if len(o.Origins) > 0 {
		h = withCORS(o.Origins, h)
	}
	return &entrance{log: o.Log, edge: o.Edge, next: h, name: newNamer(), grpc: o.GRPC != nil}, nil
}

type router struct{ Options }

func (h *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.EscapedPath(); path {
	case "/livez":
		h.livez(w, r)
	case "/readyz":
		h.readyz(w, r)
	case "/agents", "/agents/":
		h.Cards.ServeIndex(w, r)
	default:
		name := ""
		if rest, ok := strings.CutPrefix(path, "/agents/"); ok {
			name, rest, _ = strings.Cut(rest, "/")
			path = "/" + rest
			if task.CheckRoute(name) != nil { // "" too: the default agent is at the root
				h.Edge.Refuse(w, r, task.Errorf(binding.ErrNoSuchPath, "there is nothing at the path %s", binding.Quote(r.URL.Path)))
				return
			}
		}
		h.agent(w, r, name, path)
	}
}

// agent serves what is below the base path of an agent.
func (h *router) agent(w http.ResponseWriter, r *http.Request, name, path string) {
	switch path {
	case "", "/":
		h.JSONRPC.Serve(w, r, name)
	case binding.CardPath:
		h.Cards.Serve(w, r, name)
	default:
		h.REST.Serve(w, r, name, path)
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
