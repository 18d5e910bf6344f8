// SPDX-License-Identifier: Apache-2.0

// Package app turns settings into a node: it is the one visible place where
// drivers and agents are chosen.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/agent/demo"
	"github.com/errand-a2a/errand/internal/node"
)

// Dev are the settings of errand dev.
type Dev struct {
	Version string
	// Listen is a loopback address with a port; 0 takes a free one.
	Listen string
	// ListenGRPC is one for gRPC alone, which is served beside the other bindings
	// too; empty: none.
	ListenGRPC string
	// Origins are those whose pages may call the server from a browser.
	Origins []string
	// Store is sqlite:PATH or memory:.
	Store string
	// MaxAttempts and MaxLosses replace the defaults of the retry policy; 0
	// leaves them, agent.Unlimited never gives up.
	MaxAttempts, MaxLosses int
	Log                    *slog.Logger
}

// Unlimited as a limit never gives up.
const Unlimited = agent.Unlimited

// Refused says why nothing was started.
type Refused struct {
	Message string
	Hint    string
	// Usage is set when the settings are at fault.
	Usage bool
	Cause error
}

func (r *Refused) Error() string { return r.Message }

// Unwrap gives the cause.
func (r *Refused) Unwrap() error { return r.Cause }

// drainTime is how long a stop waits for what runs. A developer's Ctrl-C
// should not take long; what is cut off runs again at the next start.
const drainTime = 3 * time.Second

// Run serves the demo agent until ctx ends, and says on out what is served.
func (d Dev) Run(ctx context.Context, out io.Writer) error {
	began := time.Now()
	if os.Getenv("GOGC") == "" {
		// What lives is small and what is made is much: a heap of a few times
		// the live data spares a tenth of the time.
		debug.SetGCPercent(400)
	}
	if err := node.CheckOrigins(d.Origins); err != nil {
		return &Refused{Usage: true, Message: "--cors-origin: " + err.Error(), Hint: "errand dev --cors-origin http://localhost:3000"}
	}
	addr, err := loopback("--listen", d.Listen)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return &Refused{
			Message: "cannot listen on " + addr + ": " + err.Error(), Cause: err,
			Hint: "another server may have the port; take a free one with: errand dev --listen 127.0.0.1:0",
		}
	}
	defer ln.Close()
	forGRPC, err := d.listenGRPC()
	if err != nil {
		return err
	}
	for _, ln := range forGRPC {
		defer ln.Close()
	}
	st, err := openStore(ctx, d.Store, d.Log)
	if err != nil {
		return err
	}
	n, url, err := d.node(ctx, st, ln.Addr(), append(forGRPC, ln)[0].Addr())
	if err != nil {
		return errors.Join(err, st.Close())
	}
	d.banner(out, url, gRPCAt(ln, forGRPC), st.About(), time.Since(began))
	return errors.Join(n.Serve(ctx, ln, drainTime+time.Second, forGRPC...), st.Close())
}

// listenGRPC opens the listener for gRPC alone, if there is to be one.
func (d Dev) listenGRPC() ([]net.Listener, error) {
	if d.ListenGRPC == "" {
		return nil, nil
	}
	addr, err := loopback("--grpc-listen", d.ListenGRPC)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &Refused{
			Message: "cannot listen on " + addr + ": " + err.Error(), Cause: err,
			Hint: "gRPC is served at the address of --listen too, without --grpc-listen",
		}
	}
	return []net.Listener{ln}, nil
}

// gRPCAt says where gRPC is served.
func gRPCAt(ln net.Listener, forGRPC []net.Listener) string {
	if len(forGRPC) == 0 {
		return ln.Addr().String()
	}
	return forGRPC[0].Addr().String() + "  (also at " + ln.Addr().String() + ")"
}

func (d Dev) node(ctx context.Context, st node.Store, addr, addrOfGRPC net.Addr) (*node.Node, string, error) {
	url := "http://" + addr.String()
	a := demo.Agent()
	if d.MaxAttempts > 0 {
		a.Policy.Retry.MaxAttempts = d.MaxAttempts
	}
	if d.MaxLosses > 0 {
		a.Policy.Retry.MaxLosses = d.MaxLosses
	}
	o := node.Options{Store: st, Agents: []agent.Agent{a}, PublicURL: url, GRPC: addrOfGRPC.String(), Origins: d.Origins, LoopbackOnly: true, Logger: d.Log}
	o.Worker.ID = workerID()
	o.Worker.Shutdown = drainTime
	n, err := node.New(ctx, o)
	return n, url, err
}

func workerID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), uuid.NewString()[:8])
}

// loopback refuses addresses that others could reach: errand dev asks nobody
// who they are.
func loopback(flag, addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", &Refused{Usage: true, Message: fmt.Sprintf("%s %q: want HOST:PORT", flag, addr), Hint: "errand dev " + flag + " 127.0.0.1:8080"}
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", &Refused{
			Usage: true, Hint: "errand dev " + flag + " 127.0.0.1:8080",
			Message: fmt.Sprintf("%s %q: errand dev asks nobody who they are, so it listens on loopback addresses only", flag, addr),
		}
	}
	return net.JoinHostPort(host, port), nil
}

func (d Dev) banner(out io.Writer, url, addrOfGRPC string, a node.About, took time.Duration) {
	where := a.Driver
	if a.Location != "" {
		where += " " + shortPath(a.Location)
	}
	lines := []string{
		fmt.Sprintf("errand %s  ready in %d ms", d.Version, took.Milliseconds()),
		"  A2A     " + url + "  (JSON-RPC and HTTP+JSON, A2A 1.0 and 0.3)",
		"  gRPC    " + addrOfGRPC,
		"  Card    " + url + node.CardPath,
		"  Store   " + where + ": " + a.Durable,
		"  Agent   demo: count, sleep, ask, auth, fail, flaky, crash, hang, message, file, data, echo",
		"  Auth    none: loopback only",
		`Try:  errand send --stream "count to 20 every 200ms"`,
	}
	fmt.Fprintln(out, strings.Join(lines, "\n"))
}

// shortPath is the path as seen from here, where that is shorter.
func shortPath(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return path
}
