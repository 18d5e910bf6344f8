// SPDX-License-Identifier: Apache-2.0

package sut

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand"
)

// Gates hold runs of the agent where a test wants them.
type Gates struct {
	mu    sync.Mutex
	gates map[string]chan struct{}
}

func (g *Gates) gate(name string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gates[name] == nil {
		g.gates[name] = make(chan struct{})
	}
	return g.gates[name]
}

// Open lets the runs with that name go on. Each gate is opened once.
func (g *Gates) Open(name string) { close(g.gate(name)) }

// Server is a running Errand.
type Server struct {
	URL   string
	Gates *Gates

	stop   context.CancelFunc
	http   *http.Server
	errand *errand.Errand
	ran    chan error
	served chan error
	dir    string
}

func card() *a2a.AgentCard {
	return &a2a.AgentCard{
		Name: "conformance", Description: "Does what the first word of a message says.", Version: "1.0.0",
		DefaultInputModes: []string{"text/plain"}, DefaultOutputModes: []string{"text/plain", "application/json", "application/pdf"},
		Capabilities: a2a.AgentCapabilities{Streaming: true},
		Skills: []a2a.AgentSkill{{
			ID: "tck", Name: "Test behaviours", Description: "Shows the behaviours that conformance tests ask for.", Tags: []string{"test"},
		}},
	}
}

// Start serves the test agent on a free loopback port, over a store in a
// temporary directory. Complaints of the server go to log.
func Start(ctx context.Context, log io.Writer) (*Server, error) {
	dir, err := os.MkdirTemp("", "errand-acts-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the store: %w", err)
	}
	s := &Server{dir: dir, Gates: &Gates{gates: map[string]chan struct{}{}}, ran: make(chan error, 1), served: make(chan error, 1)}
	if err := s.start(ctx, log); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, log io.Writer) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.URL = "http://" + ln.Addr().String()
	s.errand, err = errand.New(ctx, errand.Options{
		Store: errand.SQLite(filepath.Join(s.dir, "tasks.db")), PublicURL: s.URL, GRPC: ln.Addr().String(),
		ShutdownTimeout: time.Second, // what a failed test left behind
		Logger:          slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}, errand.Agent{Card: card(), Executor: &agent{s.Gates}})
	if err != nil {
		return errors.Join(fmt.Errorf("make the server: %w", err), ln.Close())
	}
	ctx, s.stop = context.WithCancel(ctx)
	go func() { s.ran <- s.errand.Run(ctx) }()
	<-s.errand.Started()
	s.http = &http.Server{Handler: s.errand, Protocols: new(http.Protocols)}
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetUnencryptedHTTP2(true) // gRPC without TLS
	go func() { s.served <- s.http.Serve(ln) }()
	return nil
}

// Close stops the server and removes its store.
func (s *Server) Close() error {
	s.stop()
	err := <-s.ran
	err = errors.Join(err, s.http.Close())
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, s.errand.Close(), os.RemoveAll(s.dir))
}
