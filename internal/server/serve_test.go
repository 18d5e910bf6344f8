// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/server"
)

type running struct {
	url     string
	addr    string
	stop    context.CancelFunc
	stopped chan struct{}
}

// serve runs a real server; stopping it is checked at the end of the test.
func serve(t *testing.T, f *fake, b binding.Options, o server.ServeOptions) running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	b.Drain = ctx
	o.Log = silent()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := build(t, f, b, server.Options{})
	r := running{url: "http://" + ln.Addr().String(), addr: ln.Addr().String(), stop: stop, stopped: make(chan struct{})}
	go func() {
		defer close(r.stopped)
		if err := server.Serve(ctx, ln, h, o); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		stop()
		r.waitStopped(t)
	})
	return r
}

func (r running) waitStopped(t *testing.T) {
	t.Helper()
	select {
	case <-r.stopped:
	case <-time.After(20 * time.Second):
		t.Fatal("the server does not stop")
	}
}

func TestStreamsEndCleanlyWhenTheServerStops(t *testing.T) {
	t.Parallel()
	first := true
	r := serve(t, &fake{next: func(ctx context.Context, _ time.Duration) ([]engine.Frame, error) {
		if first {
			first = false
			return twoFrames()[:1], nil
		}
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}}, binding.Options{}, server.ServeOptions{ShutdownTimeout: time.Minute})
	res, err := http.Get(r.url + "/tasks/t:subscribe")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body := bufio.NewReader(res.Body)
	if line, err := body.ReadString('\n'); err != nil || line != "id: 1\n" {
		t.Fatalf("%q, %v", line, err)
	}
	r.stop()
	rest, err := io.ReadAll(body)
	if err != nil || strings.Contains(string(rest), "error") {
		t.Errorf("the stream ended with %q, %v", rest, err)
	}
	r.waitStopped(t)
}

// post sends a message in the background; nil stands for no answer.
func post(url string) <-chan *http.Response {
	answer := make(chan *http.Response, 1)
	go func() {
		defer close(answer)
		res, err := http.Post(url+"/message:send", binding.JSON, strings.NewReader(message))
		if err == nil {
			res.Body.Close()
			answer <- res
		}
	}()
	return answer
}

func TestABlockingCallIsCutShortAfterTheGrace(t *testing.T) {
	t.Parallel()
	f := &fake{block: make(chan struct{})}
	r := serve(t, f, binding.Options{}, server.ServeOptions{ShutdownTimeout: 50 * time.Millisecond})
	answer := post(r.url)
	<-f.block
	r.stop()
	r.waitStopped(t)
	if res := <-answer; res == nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("the caller got %+v, want 503", res)
	}
}

func TestABlockingCallIsAnsweredWhileTheServerStops(t *testing.T) {
	t.Parallel()
	f := &fake{block: make(chan struct{}), release: make(chan struct{})}
	r := serve(t, f, binding.Options{}, server.ServeOptions{ShutdownTimeout: time.Minute})
	answer := post(r.url)
	<-f.block
	r.stop()
	for { // until nobody listens, so that the stop is under way
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			break
		}
		conn.Close()
	}
	close(f.release)
	if res := <-answer; res == nil || res.StatusCode != 200 {
		t.Errorf("the caller got %+v, want its answer", res)
	}
	r.waitStopped(t)
}

func TestABrokenListenerIsAnError(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := server.Serve(t.Context(), ln, http.NotFoundHandler(), server.ServeOptions{Log: silent()}); err == nil || errors.Is(err, http.ErrServerClosed) {
		t.Errorf("%v", err)
	}
}

// exchange sends raw bytes and returns the status line of what comes back.
func exchange(t *testing.T, addr, raw string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	r := serve(t, &fake{}, binding.Options{}, server.ServeOptions{})
	for size, want := range map[int]string{12 << 10: "HTTP/1.1 200 OK", 20 << 10: "HTTP/1.1 431 Request Header Fields Too Large"} {
		raw := fmt.Sprintf("GET /livez HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", size))
		if got := exchange(t, r.addr, raw); got != want {
			t.Errorf("%d bytes of headers: %s", size, got)
		}
	}
}

func TestABodyThatDoesNotArriveIsGivenUp(t *testing.T) {
	t.Parallel()
	r := serve(t, &fake{}, binding.Options{BodyTimeout: 50 * time.Millisecond}, server.ServeOptions{})
	for _, tt := range []struct{ head, want string }{
		{"POST /message:send HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100", "HTTP/1.1 408 Request Timeout"},
		{"POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100", "HTTP/1.1 408 Request Timeout"},
		// Refused before it is read, which net/http then does.
		{"POST /message:send HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 100", "HTTP/1.1 415 Unsupported Media Type"},
		{"POST /nothing HTTP/1.1\r\nContent-Length: 100", "HTTP/1.1 404 Not Found"},
	} {
		if got := exchange(t, r.addr, tt.head+"\r\nHost: x\r\n\r\n{"); got != tt.want {
			t.Errorf("%s: %s", tt.head, got)
		}
	}
}

func TestABodyThatIsAnnouncedTooLargeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	r := serve(t, &fake{}, binding.Options{BodyTimeout: time.Hour}, server.ServeOptions{})
	raw := "POST /message:send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4194305\r\n\r\n{"
	if got := exchange(t, r.addr, raw); got != "HTTP/1.1 413 Request Entity Too Large" {
		t.Error(got)
	}
}

func TestTheBodysDeadlineDoesNotEndAStream(t *testing.T) {
	t.Parallel()
	n := 0
	r := serve(t, &fake{next: func(ctx context.Context, idle time.Duration) ([]engine.Frame, error) {
		n++
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if n == 20 {
			return nil, io.EOF
		}
		return twoFrames()[:1], nil
	}}, binding.Options{BodyTimeout: 50 * time.Millisecond, WriteTimeout: 100 * time.Millisecond}, server.ServeOptions{})
	res, err := http.Post(r.url+"/message:stream", binding.JSON, strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || strings.Count(string(b), "id: 1\n") != 19 {
		t.Errorf("%d frames, %v", strings.Count(string(b), "id: 1\n"), err)
	}
}

// A deadline belongs to one write: the next request of the connection must not
// inherit it.
func TestAConnectionOutlivesTheDeadlineOfItsLastAnswer(t *testing.T) {
	t.Parallel()
	r := serve(t, &fake{}, binding.Options{WriteTimeout: 30 * time.Millisecond}, server.ServeOptions{})
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	// The answer without a body is written by net/http, which sets no deadline.
	for _, path := range []string{"/livez", "/tasks/t:subscribe", "/livez"} {
		if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode >= 300 {
			t.Fatalf("%s: %d, %v", path, res.StatusCode, err)
		}
		<-time.After(50 * time.Millisecond) // longer than the deadline
	}
}

func TestAStreamEndsCleanlyAfterASilenceLongerThanADeadline(t *testing.T) {
	t.Parallel()
	n := 0
	r := serve(t, &fake{next: func(ctx context.Context, _ time.Duration) ([]engine.Frame, error) {
		if n++; n == 1 {
			return twoFrames()[:1], nil
		}
		select {
		case <-time.After(150 * time.Millisecond):
		case <-ctx.Done():
		}
		return nil, io.EOF
	}}, binding.Options{WriteTimeout: 50 * time.Millisecond, KeepAlive: time.Hour}, server.ServeOptions{})
	res, err := http.Get(r.url + "/tasks/t:subscribe")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil {
		t.Errorf("read %q, then %v", b, err)
	}
}

func TestALargeAnswerMayTakeLongerThanADeadline(t *testing.T) {
	t.Parallel()
	f := &fake{result: strings.Repeat("x", 24<<20)}
	r := serve(t, f, binding.Options{WriteTimeout: 250 * time.Millisecond}, server.ServeOptions{})
	res, err := http.Get(r.url + "/tasks/t")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	buf, got := make([]byte, 1<<20), 0
	for {
		n, err := io.ReadFull(res.Body, buf)
		if got += n; err != nil {
			break
		}
		<-time.After(25 * time.Millisecond) // 40 MiB/s: twice as long as one deadline
	}
	if got != 24<<20 {
		t.Errorf("cut off after %d bytes", got)
	}
}
