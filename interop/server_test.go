// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("what errand wrote:\n%s", s.output)
		}
	})
	for range 20 {
		s.addr = someAddress()
		s.args = append([]string{"dev", "--listen", s.addr, "--store", store}, flags...)
		s.launch()
		err := s.awaitReady()
		if err == nil {
			return s
		}
		if !strings.Contains(s.output.String(), "address already in use") {
			t.Fatal(err)
		}
		s.output = &lockedBuffer{} // somebody has the port: another one
	}
	t.Fatalf("no port is free:\n%s", s.output)
	return nil
}

// someAddress is one that the kernel gives to nobody by itself: it takes ports
// from 32768 on. Such a one could be the source of some connection before the
// server takes it, and while a killed server is away. Whether it is free only
// the server finds out: a listener that looks is alive for a while in every
// process that is started meanwhile.
func someAddress() string { return fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(22000)) }

func (s *server) url() string { return "http://" + s.addr }

// start runs the program again and returns when it says that it is ready.
func (s *server) start() {
	s.t.Helper()
	s.launch()
	if err := s.awaitReady(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) launch() {
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
}

func (s *server) awaitReady() error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}
	timeout := time.After(readyTimeout)
	for {
		if res, err := client.Get(s.url() + "/readyz"); err == nil {
			res.Body.Close()
			// The banner too: at a port that somebody has it is that one's server which answers.
			if res.StatusCode == http.StatusOK && strings.Contains(s.output.String(), "ready in") {
				return nil
			}
		}
		select {
		case <-s.exited:
			return fmt.Errorf("errand ended before it was ready:\n%s", s.output)
		case <-timeout:
			return fmt.Errorf("errand was not ready after %v:\n%s", readyTimeout, s.output)
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
