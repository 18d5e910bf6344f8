// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// readyTimeout is how long a start may take on a machine that is busy
	// with several browsers and interpreters.
	readyTimeout = 30 * time.Second
	// stopTimeout is longer than the server's own patience with what runs.
	stopTimeout = 20 * time.Second
)

// server is the real program, which can be killed and started again on the
// same port and the same store.
type server struct {
	t      *testing.T
	addr   string
	args   []string
	output *lockedBuffer

	cmd    *exec.Cmd
	exited chan struct{}
}

// startServer runs errand dev on a free port with a store of its own, and
// stops it when the test ends.
func startServer(t *testing.T, flags ...string) *server {
	t.Helper()
	store := "sqlite:" + filepath.Join(t.TempDir(), "errand.db")
	s := &server{t: t, output: &lockedBuffer{}}
	s.addr = freeAddress(t)
	s.args = append([]string{"dev", "--listen", s.addr, "--store", store}, flags...)
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("what errand wrote:\n%s", s.output)
		}
	})
	s.start()
	return s
}

// freeAddress finds a port that nobody has and that the kernel gives to nobody
// by itself: it takes those from 32768 on. A port of its own choice could be
// the source of some connection before the server takes it, and while a killed
// server is away.
func freeAddress(t *testing.T) string {
	t.Helper()
	var err error
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(22000))
		var ln net.Listener
		if ln, err = net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	t.Fatalf("find a free port: %v", err)
	return ""
}

func (s *server) url() string { return "http://" + s.addr }

// start runs the program and returns when it says that it is ready.
func (s *server) start() {
	s.t.Helper()
	cmd := exec.Command(program(s.t), s.args...)
	cmd.Dir = s.t.TempDir() // no .env of the developer's is found from here
	cmd.Stdout, cmd.Stderr = s.output, s.output
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("start errand: %v", err)
	}
	exited := make(chan struct{})
	s.cmd, s.exited = cmd, exited
	go func() {
		defer close(exited)
		_ = cmd.Wait() // a killed process always reports an error
	}()
	s.awaitReady()
}

func (s *server) awaitReady() {
	s.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}
	timeout := time.After(readyTimeout)
	for {
		if res, err := client.Get(s.url() + "/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-s.exited:
			s.t.Fatalf("errand ended before it was ready:\n%s", s.output)
		case <-timeout:
			s.t.Fatalf("errand was not ready after %v:\n%s", readyTimeout, s.output)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// kill ends the program as a power cut would, as far as the program can tell.
func (s *server) kill() {
	s.t.Helper()
	s.signal(syscall.SIGKILL)
	<-s.exited
}

func (s *server) stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	s.signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		s.t.Errorf("errand did not end %v after SIGTERM", stopTimeout)
		s.signal(syscall.SIGKILL)
		<-s.exited
	}
}

func (s *server) signal(sig os.Signal) {
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("signal errand: %v", err)
	}
}

// lockedBuffer is written by the process while a failing test reads it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// program is the binary that TestMain built.
func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv(programVariable)
	if path == "" {
		t.Fatal("TestMain did not build errand")
	}
	return path
}

// programVariable hands the path of the binary from TestMain to the tests. The
// environment is where a process keeps what all of it shares.
const programVariable = "ERRAND_INTEROP_PROGRAM"

// build compiles the program as it is shipped, without cgo.
func build(dir string) error {
	path := filepath.Join(dir, "errand")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/errand")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build errand: %w\n%s", err, out)
	}
	return os.Setenv(programVariable, path)
}
