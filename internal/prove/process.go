// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Server is the real program, started, killed and started again on one store.
type Server struct {
	// PIDFile, where it is set, names the process that runs, so that EndOrphan
	// finds it when the prover itself was killed.
	PIDFile string

	binary string
	listen string
	store  string

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
	output tail
}

// readyTimeout is how long a start may take; reading the store back is part of it.
const readyTimeout = 20 * time.Second

// Build compiles the program into dir and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	path := dir + "/errand"
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/errand-a2a/errand/cmd/errand")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build errand: %w\n%s", err, out)
	}
	return path, nil
}

// NewServer describes a server that keeps its data in store, a URL such as
// sqlite:/tmp/x.db, and always listens on the same free port.
func NewServer(binary, store string) (*Server, error) {
	addr, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	return &Server{binary: binary, listen: addr, store: store}, nil
}

// FreeAddress finds a loopback address for a server that is started later, and
// again. Its port is below those that the kernel gives to connections by
// itself, and is asked and not taken: a listener that was closed lives on for a
// moment in every process that was forked meanwhile.
func FreeAddress() (string, error) {
	const first, end, tries = 10000, 32768, 100
	for range tries {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(end-first)))
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return addr, nil
		}
		if err == nil {
			_ = c.Close() // somebody is there
		}
	}
	return "", errors.New("find a free port: somebody answers at every one that was tried")
}

// Addr is the address of the server.
func (s *Server) Addr() string { return s.listen }

// URL is the JSON-RPC endpoint.
func (s *Server) URL() string { return "http://" + s.listen + "/" }

// Start runs the program and waits until it is ready; it returns how long that
// took.
func (s *Server) Start(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	if err := s.Launch(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	exited := s.exited
	s.mu.Unlock()
	if err := s.awaitReady(ctx, exited); err != nil {
		return 0, err
	}
	return time.Since(begin), nil
}

// Launch runs the program and waits for nothing.
func (s *Server) Launch() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	cmd := exec.Command(s.binary, "dev", "--listen", s.listen, "--store", s.store,
		"--max-attempts", "unlimited", "--max-losses", "unlimited")
	// A kill loop loses an attempt with every kill: the caps, right for real
	// life, would end the tasks that the checker waits for.
	cmd.Stdout, cmd.Stderr = &s.output, &s.output
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start errand: %w", err)
	}
	exited := make(chan struct{})
	s.cmd, s.exited = cmd, exited
	go func() {
		defer close(exited)
		cmd.Wait() //nolint:errcheck // a killed process always reports an error
	}()
	if s.PIDFile == "" {
		return nil
	}
	if err := os.WriteFile(s.PIDFile, fmt.Appendf(nil, "%d %s", cmd.Process.Pid, s.listen), 0o600); err != nil {
		return fmt.Errorf("write down the process: %w", err)
	}
	return nil
}

// Running reports whether the program was started and not ended since.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd != nil
}

func (s *Server) awaitReady(ctx context.Context, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.listen+"/readyz", nil)
		if err != nil {
			return fmt.Errorf("ask for readiness: %w", err)
		}
		if res, err := client.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-exited:
			return fmt.Errorf("errand ended before it was ready:\n%s", s.output.String())
		case <-ctx.Done():
			return fmt.Errorf("errand was not ready: %w\n%s", ctx.Err(), s.output.String())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Kill ends the program as a power cut would, as far as the program can tell.
func (s *Server) Kill() error { return s.end(syscall.SIGKILL, 5*time.Second) }

// Stop asks the program to end and waits until it has.
func (s *Server) Stop() error { return s.end(syscall.SIGTERM, 40*time.Second) }

// KillDraining asks the program to end and kills it a moment later. It may have
// ended before: then it was not killed, which is no error.
func (s *Server) KillDraining(ctx context.Context, after time.Duration) (killed bool, err error) {
	s.mu.Lock()
	cmd, exited := s.cmd, s.exited
	s.cmd = nil
	s.mu.Unlock()
	if cmd == nil {
		return false, errors.New("errand does not run")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return false, fmt.Errorf("signal errand: %w\n%s", err, s.output.String())
	}
	ctx, cancel := context.WithTimeout(ctx, after)
	defer cancel()
	select {
	case <-ctx.Done():
		cmd.Process.Kill() //nolint:errcheck // that it has ended just now is seen below
		<-exited
	case <-exited:
	}
	if code := cmd.ProcessState.ExitCode(); code > 0 {
		return false, fmt.Errorf("errand was asked to end and ended with %s\n%s", cmd.ProcessState, s.output.String())
	}
	return !cmd.ProcessState.Success(), nil // by a signal, which was ours
}

func (s *Server) end(sig syscall.Signal, within time.Duration) error {
	s.mu.Lock()
	cmd, exited := s.cmd, s.exited
	s.cmd = nil
	s.mu.Unlock()
	if cmd == nil {
		return nil
	}
	select {
	case <-exited:
		return fmt.Errorf("errand had ended by itself: %s\n%s", cmd.ProcessState, s.output.String())
	default:
	}
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal errand: %w", err)
	}
	select {
	case <-exited:
		return nil
	case <-time.After(within):
		cmd.Process.Kill() //nolint:errcheck // it is the last resort, and the error below tells
		<-exited
		return fmt.Errorf("errand did not end within %s of %s", within, sig)
	}
}

// Output is the last that the program wrote.
func (s *Server) Output() string { return s.output.String() }

// tail keeps the last bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailBytes = 16 << 10

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if over := t.buf.Len() - tailBytes; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
