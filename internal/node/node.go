// SPDX-License-Identifier: Apache-2.0

// Package node builds a running replica from its parts: a store, agents, the
// engine that accepts, the worker that runs, and the HTTP handler in front.
// It is the one place where rooms that do not know each other are joined.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	gogrpc "google.golang.org/grpc"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/binding/grpc"
	"github.com/errand-a2a/errand/internal/binding/jsonrpc"
	"github.com/errand-a2a/errand/internal/binding/rest"
	"github.com/errand-a2a/errand/internal/binding/sdk"
	"github.com/errand-a2a/errand/internal/binding/v03"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/server"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

// Options are the parts of a node. Store and Agent are required.
type Options struct {
	Store  store.Store
	Agents []agent.Agent
	// Resolve finds agents beyond Agents; nil: there are none.
	Resolve agent.Resolver
	// PublicURL is where clients reach the node; the card says it.
	PublicURL string
	// GRPC is where clients reach the gRPC binding, as HOST:PORT; the card says
	// it. Empty: at the host of PublicURL, as far as AddrOfGRPC knows.
	GRPC string
	// Prefix is the path that the handler is mounted under, where nobody strips it.
	Prefix string
	// Origins may call the node from pages in a browser.
	Origins []string
	// CloseInterrupted ends subscriptions where their task waits.
	CloseInterrupted bool
	// Codec carries values of a caller's context to the executor.
	Codec a2asrv.ContextCodec
	// Interceptors see every call and every answer.
	Interceptors []a2asrv.CallInterceptor
	// LoopbackOnly refuses requests with a Host or Origin of elsewhere.
	LoopbackOnly bool

	Engine   engine.Limits
	Followed live.Limits
	KeyTTL   time.Duration
	Worker   worker.Options // ID, Limits and durations; the rest is filled in
	Binding  binding.Options
	Logger   *slog.Logger
}

// Node is a replica.
type Node struct {
	o       Options
	agents  *agent.Registry
	engine  *engine.Engine
	worker  *worker.Worker
	hub     *live.Hub
	handler http.Handler
	grpc    grpcServer
	sdk     a2asrv.RequestHandler
	drain   context.CancelFunc
	started chan struct{} // closed when Run has begun
	ran     chan struct{} // closed when Run has ended

	mu    sync.Mutex
	state phase
}

// grpcServer is the gRPC binding over whatever followers there are.
type grpcServer interface {
	http.Handler
	Serve(ctx context.Context, ln net.Listener, patience time.Duration) error
}

type phase int

const (
	idle phase = iota
	running
	stopped
)

// ErrRan is returned by a second Run: a node runs once.
var ErrRan = errors.New("the node has run already")

// New puts a node together. It does no work before Run.
func New(ctx context.Context, o Options) (*Node, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	agents, err := agent.NewRegistry(o.Resolve, o.Agents...)
	if err != nil {
		return nil, err
	}
	key, err := o.Store.Secret(ctx, "page-token")
	if err != nil {
		return nil, fmt.Errorf("read the key of page tokens: %w", err)
	}
	n := &Node{o: o, agents: agents, hub: live.NewHub(o.Followed), started: make(chan struct{}), ran: make(chan struct{})}
	w := o.Worker
	var codec engine.ContextCodec // nil, and not an interface around nil
	w.Queue, w.Reader, w.Census, w.Hub, w.Agents = o.Store, o.Store, o.Store, n.hub, agents
	if w.Logger == nil {
		w.Logger = o.Logger
	}
	if o.Codec != nil {
		w.Codec, codec = o.Codec, o.Codec
	}
	n.worker = worker.New(w)
	n.engine = engine.New(engine.Options{
		Intake: o.Store, Reader: o.Store, Hub: n.hub, Agents: agents, Worker: n.worker,
		TokenKey: key, RenderCard: n.renderCard, Codec: codec, CloseInterrupted: o.CloseInterrupted, Gate: n.gate, Stopped: n.ran, Limits: o.Engine, KeyTTL: o.KeyTTL, Now: w.Now, Logger: o.Logger,
	})
	return n, n.serve()
}

// serve makes the handler.
func (n *Node) serve() error {
	b := n.o.Binding
	b.Drain, n.drain = context.WithCancel(context.Background())
	if b.Log == nil {
		b.Log = n.o.Logger
	}
	edge := binding.NewEdge(b)
	cards, err := n.cards(edge)
	if err != nil {
		return fmt.Errorf("agent cards: %w", err)
	}
	if len(n.o.Interceptors) == 0 {
		return join[*engine.Follower](n, edge, cards, n.engine)
	}
	return join[*sdk.Stream](n, edge, cards, sdk.Intercept(n.engine, n.o.Logger, n.o.Interceptors...))
}

// join puts every binding before an engine.
func join[F binding.Follower[engine.Frame]](n *Node, edge *binding.Edge, cards *binding.Cards, eng binding.Engine[engine.Call, engine.Reply, F]) (err error) {
	n.sdk = sdk.New(eng, sdk.Options{Logger: n.o.Logger})
	older := v03.New(edge, eng)
	n.grpc = grpc.New(edge, eng, grpc.Options{Ready: n.ready, Register: func(s gogrpc.ServiceRegistrar) { older.RegisterGRPC(s, grpc.GuardOf) }})
	n.handler, err = server.New(server.Options{
		JSONRPC: jsonrpc.New(edge, eng, older),
		REST:    rest.New(edge, eng, older),
		GRPC:    n.grpc,
		Cards:   cards, Edge: edge, Prefix: n.o.Prefix, Origins: n.o.Origins, Ready: n.ready,
		LoopbackOnly: n.o.LoopbackOnly, Log: n.o.Logger,
	})
	if err != nil {
		return fmt.Errorf("router: %w", err)
	}
	return nil
}

func (n *Node) cards(edge *binding.Edge) (*binding.Cards, error) {
	var fixed []binding.Named
	for _, name := range n.agents.Names() {
		a, _ := n.agents.Lookup(name)
		fixed = append(fixed, binding.Named{Name: name, Card: a.PublicCard()})
	}
	var find func(context.Context, string) (*a2a.AgentCard, error)
	if n.agents.Resolves() {
		find = func(ctx context.Context, name string) (*a2a.AgentCard, error) {
			a, err := n.agents.Find(ctx, "", name)
			if err != nil {
				return nil, err
			}
			return a.PublicCard(), nil
		}
	}
	return binding.NewCards(edge, n.cardOptions(), find, fixed...)
}

func (n *Node) cardOptions() binding.CardOptions {
	addr := n.o.GRPC
	if addr == "" {
		addr = AddrOfGRPC(n.o.PublicURL)
	}
	return binding.CardOptions{PublicURL: n.o.PublicURL, GRPC: addr, Render: v03.RenderCard}
}

func (n *Node) renderCard(name string, card *a2a.AgentCard) ([]byte, error) {
	return binding.RenderCard(name, card, n.cardOptions())
}

// Handler serves all bindings, the card and the health checks.
func (n *Node) Handler() http.Handler { return n.handler }

// RequestHandler serves every agent to the SDK's transports.
func (n *Node) RequestHandler() a2asrv.RequestHandler { return n.sdk }

// Engine accepts and answers calls made in this process.
func (n *Node) Engine() *engine.Engine { return n.engine }

// Run works until ctx ends and then drains. Streams end at once, since their
// readers can resume elsewhere; what runs may finish within the shutdown time.
// Calls that still wait when Run ends are answered with the id of their task.
func (n *Node) Run(ctx context.Context) error {
	if !n.enter() {
		return ErrRan
	}
	go func() {
		<-ctx.Done()
		n.set(stopped)
		n.drain()
	}()
	defer close(n.ran)
	err := n.worker.Run(ctx)
	n.set(stopped)
	return err
}

// Started is closed when Run has begun: from then on messages are accepted.
func (n *Node) Started() <-chan struct{} { return n.started }

func (n *Node) enter() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state != idle {
		return false
	}
	n.state = running
	close(n.started)
	return true
}

func (n *Node) set(p phase) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = p
}

// gate refuses sends while nothing would run them.
func (n *Node) gate() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch n.state {
	case idle:
		return &task.Error{Kind: task.ErrUnavailable, RetryAfter: time.Second, Message: "no worker runs yet; nothing was accepted"}
	case stopped:
		return &task.Error{Kind: task.ErrUnavailable, RetryAfter: time.Second, Message: "the server is stopping; nothing was accepted"}
	}
	return nil
}

func (n *Node) ready(ctx context.Context) error {
	if n.gate() != nil {
		return server.NotReady("no worker runs")
	}
	if err := n.o.Store.Ready(ctx); err != nil {
		n.o.Logger.Warn("not ready", "error", err)
		return server.NotReady("the store cannot commit")
	}
	return nil
}

// Follow follows a task from a sequence: of the user and the agent that the
// call context of ctx names, or of nobody's and the agent without a name.
func (n *Node) Follow(ctx context.Context, id a2a.TaskID, after uint64) (*engine.Follower, error) {
	var call engine.Call
	if cc, ok := a2asrv.CallContextFrom(ctx); ok {
		call.Agent = cc.Tenant()
		if cc.User != nil && cc.User.Authenticated {
			call.Principal = cc.User.Name
		}
	}
	if a, err := n.agents.Find(ctx, call.Tenant, call.Agent); err == nil {
		for _, e := range a.Card.Capabilities.Extensions { // whoever runs the server knows what its agents require
			call.Extensions = append(call.Extensions, e.URI)
		}
	}
	return n.engine.Subscribe(ctx, call, &a2a.SubscribeToTaskRequest{ID: id}, &after)
}
