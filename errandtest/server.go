// SPDX-License-Identifier: Apache-2.0

package errandtest

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2aclient/agentcard"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand"
)

// Server is a running server. It ends with the test.
type Server struct {
	*errand.Errand
	// URL is where it is reached, as in http://127.0.0.1:34567.
	URL string

	tb testing.TB
}

// readHeaderTimeout ends connections of clients that begin and do not go on.
const readHeaderTimeout = 10 * time.Second

// NewServer starts a server for agents on a free port of this machine. It
// serves JSON-RPC, HTTP+JSON and gRPC at URL, and keeps tasks in memory unless
// o says otherwise. What is logged goes to the test's log.
func NewServer(tb testing.TB, o errand.Options, agents ...errand.Agent) *Server {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("errandtest: listen: %v", err)
	}
	s := &Server{URL: "http://" + ln.Addr().String(), tb: tb}
	if o.Store.IsZero() {
		o.Store = errand.Memory()
	}
	if o.PublicURL == "" {
		o.PublicURL = s.URL
	}
	if o.GRPC == "" {
		o.GRPC = ln.Addr().String()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(tb.Output(), nil))
	}
	if o.ShutdownTimeout == 0 {
		o.ShutdownTimeout = time.Second
	}
	s.Errand, err = errand.New(context.WithoutCancel(tb.Context()), o, agents...)
	if err != nil {
		_ = ln.Close() // the test ends here
		tb.Fatalf("errandtest: %v", err)
	}
	s.run(ln)
	return s
}

// run serves until the test ends, and then stops as a server in production does.
func (s *Server) run(ln net.Listener) {
	ctx, stop := context.WithCancel(context.WithoutCancel(s.tb.Context()))
	srv := &http.Server{Handler: s.Errand, ReadHeaderTimeout: readHeaderTimeout, Protocols: new(http.Protocols)}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true) // gRPC
	ran, served := make(chan error, 1), make(chan error, 1)
	go func() { ran <- s.Errand.Run(ctx) }()
	go func() { served <- srv.Serve(ln) }()
	<-s.Started()
	s.tb.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			s.tb.Errorf("errandtest: run: %v", err)
		}
		_ = srv.Close() // streams have ended; what is left is idle
		<-served
		if err := s.Errand.Close(); err != nil {
			s.tb.Errorf("errandtest: close: %v", err)
		}
	})
}

// Client is a client of the agent of a name ("" is the one without), made from
// its card as a stranger's would be.
func (s *Server) Client(name string, options ...a2aclient.FactoryOption) *a2aclient.Client {
	s.tb.Helper()
	base := s.URL
	if name != "" {
		base += "/agents/" + name
	}
	card, err := agentcard.DefaultResolver.Resolve(s.tb.Context(), base)
	if err != nil {
		s.tb.Fatalf("errandtest: read the card of agent %q: %v", name, err)
	}
	c, err := a2aclient.NewFromCard(s.tb.Context(), card, options...)
	if err != nil {
		s.tb.Fatalf("errandtest: make a client: %v", err)
	}
	s.tb.Cleanup(func() {
		if err := c.Destroy(); err != nil {
			s.tb.Errorf("errandtest: end a client: %v", err)
		}
	})
	return c
}

// agentOf puts an executor behind a card that says little.
func agentOf(e a2asrv.AgentExecutor) errand.Agent {
	return errand.Agent{Executor: e, Card: &a2a.AgentCard{Name: "agent under test", Version: "0"}}
}
