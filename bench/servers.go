// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	a2agrpc "github.com/a2aproject/a2a-go/v2/a2agrpc/v1"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"google.golang.org/grpc"

	"github.com/errand-a2a/errand"
	"github.com/errand-a2a/errand/internal/agent/demo"
	"github.com/errand-a2a/errand/internal/prove"
)

// servePeer serves the demo agent with the SDK's own handler and its default,
// an in-memory store.
func servePeer(ctx context.Context, stdout io.Writer) error {
	handler := a2asrv.NewHandler(demo.New())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for gRPC: %w", err)
	}
	srv := grpc.NewServer(grpc.MaxConcurrentStreams(1 << 20))
	a2agrpc.NewHandler(handler).RegisterWith(srv)
	go func() { _ = srv.Serve(ln) }() // it ends with the process
	defer srv.Stop()
	fmt.Fprintf(stdout, "%s%s\n", gRPCLine, ln.Addr())
	return serveUntil(ctx, a2asrv.NewJSONRPCHandler(handler), stdout)
}

// serveErrand serves the demo agent from the library, under a profile. The
// measured runs use the program instead.
func serveErrand(ctx context.Context, s settings, stdout io.Writer) (err error) {
	a := demo.Agent()
	e, err := errand.New(ctx, errand.Options{Store: errand.SQLite(filepath.Join(s.dir, "errand.db"))},
		errand.Agent{Card: a.Card, Executor: a.Executor, Policy: a.Policy})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	f, err := os.Create(s.profile)
	if err != nil {
		return fmt.Errorf("create the profile: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return fmt.Errorf("start the profile: %w", err)
	}
	defer pprof.StopCPUProfile()
	worked := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	go func() { worked <- e.Run(running) }()
	<-e.Started()
	served := serveUntil(ctx, e, stdout)
	stop()
	return errors.Join(served, <-worked)
}

// serveUntil serves on a free port until ctx ends and says where on stdout.
func serveUntil(ctx context.Context, h http.Handler, stdout io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Fprintf(stdout, "%s%s\n", readyLine, l.Addr())
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// readyLine is what our own children say before their address.
const (
	readyLine = "listening on "
	gRPCLine  = "gRPC on "
)

// process is a server in a process of its own.
type process struct {
	cmd  *exec.Cmd
	url  string
	grpc string // where gRPC is served
}

// startPeer starts this program as the SDK's server.
func startPeer(ctx context.Context) (*process, error) {
	return startSelf(ctx, "-serve", "peer")
}

func startSelf(ctx context.Context, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %v: %w", args, err)
	}
	p := &process{cmd: cmd}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if at, ok := strings.CutPrefix(line, gRPCLine); ok && err == nil {
		p.grpc = strings.TrimSpace(at)
		line, err = lines.ReadString('\n')
	}
	if err != nil || !strings.HasPrefix(line, readyLine) {
		return nil, errors.Join(fmt.Errorf("%v did not come up: it said %q", args, line), p.stop())
	}
	p.url = "http://" + strings.TrimSpace(strings.TrimPrefix(line, readyLine)) + "/"
	return p, nil
}

// starter starts our server on a store of its own.
type starter func(ctx context.Context, dir string) (*process, error)

// errandStarter builds the program once; with a profile, the library is served
// by this program instead.
func errandStarter(ctx context.Context, s settings) (starter, error) {
	if s.start != nil {
		return s.start, nil
	}
	if s.profile != "" {
		profile, err := filepath.Abs(s.profile)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, dir string) (*process, error) {
			return startSelf(ctx, "-serve", "errand", "-dir", dir, "-profile", profile)
		}, nil
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/errand-a2a/errand").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module of errand (run bench in its own directory): %w", err)
	}
	binary := filepath.Join(s.dir, "errand")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/errand")
	build.Dir = strings.TrimSpace(string(root)) // its go.mod, not ours, decides the versions
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build errand: %w\n%s", err, out)
	}
	return func(ctx context.Context, dir string) (*process, error) { return startProgram(ctx, binary, dir) }, nil
}

// startProgram starts `errand dev` as everybody would.
func startProgram(ctx context.Context, binary, dir string) (*process, error) {
	addr, err := prove.FreeAddress()
	if err != nil {
		return nil, err
	}
	forGRPC, err := prove.FreeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "dev", "--listen", addr, "--grpc-listen", forGRPC, "--store", "sqlite:"+filepath.Join(dir, "errand.db"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start errand: %w", err)
	}
	p := &process{cmd: cmd, url: "http://" + addr + "/", grpc: forGRPC}
	if err := p.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func (p *process) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"readyz", nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("errand was not ready: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// stop asks the process to end and waits until it has.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop: %w", err)
	}
	kill := time.AfterFunc(20*time.Second, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("wait for the server: %w", err)
	}
	return nil
}
