// SPDX-License-Identifier: Apache-2.0

package binding_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/task"
)

func readAll(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// step is what one call of Next does: it takes its time, then gives this.
type step struct {
	after  time.Duration
	frames []string
	err    error
}

// script plays steps; a wait longer than idle gives nothing and goes on later.
func script(steps ...step) func(context.Context, time.Duration) ([]string, error) {
	return func(ctx context.Context, idle time.Duration) ([]string, error) {
		if len(steps) == 0 {
			return nil, io.EOF
		}
		wait := min(idle, steps[0].after)
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
		if steps[0].after -= wait; steps[0].after > 0 {
			return nil, nil
		}
		s := steps[0]
		steps = steps[1:]
		return s.frames, s.err
	}
}

func source(next func(context.Context, time.Duration) ([]string, error)) binding.Source[string] {
	return binding.Source[string]{
		Next:      next,
		Frame:     func(dst []byte, f string) []byte { return append(dst, "<"+f+">"...) },
		Fault:     func(dst []byte, f binding.Fault) []byte { return append(dst, "!"+f.Message+"!"...) },
		KeepAlive: ".",
	}
}

// tape records what is written, and when it is flushed (|).
type tape struct {
	mu     sync.Mutex
	out    strings.Builder
	header http.Header
	status int
	// deadlines counts the deadlines that were set before a write.
	deadlines int
}

func newTape() *tape { return &tape{header: http.Header{}} }

func (w *tape) Header() http.Header { return w.header }
func (w *tape) WriteHeader(s int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = s
}
func (w *tape) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(b)
}
func (w *tape) Flush() { _, _ = w.Write([]byte("|")) }
func (w *tape) SetWriteDeadline(time.Time) error {
	w.deadlines++
	return nil
}
func (w *tape) code() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}
func (w *tape) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.String()
}

func TestStreamWritesABatchAndFlushesItOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newTape()
		begun, err := binding.Stream(binding.NewEdge(binding.Options{}), w, httptest.NewRequest("GET", "/", nil),
			source(script(step{frames: []string{"1", "2"}}, step{frames: []string{"3"}})))
		if !begun || err != nil || w.text() != "<1><2>|<3>||" {
			t.Errorf("begun %v, error %v, wrote %q", begun, err, w.text())
		}
		h := w.Header()
		if w.code() != 200 || h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-cache" || h.Get("X-Accel-Buffering") != "no" {
			t.Errorf("status %d, headers %v", w.code(), h)
		}
	})
}

func TestALargeBatchIsWrittenInPiecesAndFlushedOnce(t *testing.T) {
	t.Parallel()
	w := newTape()
	large := strings.Repeat("x", 100<<10)
	_, err := binding.Stream(binding.NewEdge(binding.Options{}), w, httptest.NewRequest("GET", "/", nil),
		source(script(step{frames: []string{large, large, "end"}}, step{err: io.EOF})))
	if want := "<" + large + "><" + large + "><end>||"; err != nil || w.text() != want {
		t.Errorf("error %v, wrote %d bytes, want %d", err, len(w.text()), len(want))
	}
	if w.deadlines != 5 { // the headers, three pieces and the end
		t.Errorf("%d deadlines", w.deadlines)
	}
}

func TestSilenceIsFilledWithKeepAlives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newTape()
		start := time.Now()
		_, _ = binding.Stream(binding.NewEdge(binding.Options{}), w, httptest.NewRequest("GET", "/", nil),
			source(script(step{frames: []string{"1"}}, step{after: 40 * time.Second, frames: []string{"2"}}, step{after: 14 * time.Second, frames: []string{"3"}})))
		if w.text() != "<1>|.|.|<2>|<3>||" {
			t.Errorf("wrote %q", w.text())
		}
		if took := time.Since(start); took != 54*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// pass lets time go by in a bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestHeadersWaitForTheFirstEventButNotForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newTape()
		go func() {
			_, _ = binding.Stream(binding.NewEdge(binding.Options{HeaderWait: time.Second}), w, httptest.NewRequest("GET", "/", nil),
				source(script(step{after: 5 * time.Second, frames: []string{"1"}})))
		}()
		pass(999 * time.Millisecond)
		if w.code() != 0 {
			t.Error("the headers did not wait")
		}
		pass(2 * time.Millisecond)
		if w.code() != 200 || w.text() != ".|" {
			t.Errorf("after a second: status %d, wrote %q", w.code(), w.text())
		}
		pass(5 * time.Second)
		if w.text() != ".|<1>||" {
			t.Errorf("wrote %q", w.text())
		}
	})
}

func TestAnEarlyErrorIsTheCallersToAnswer(t *testing.T) {
	t.Parallel()
	for _, want := range []error{io.EOF, task.Errorf(a2a.ErrTaskNotFound, "no")} {
		w := newTape()
		begun, err := binding.Stream(binding.NewEdge(binding.Options{}), w, httptest.NewRequest("GET", "/", nil), source(script(step{err: want})))
		if begun || !errors.Is(err, want) || w.code() != 0 || w.text() != "" {
			t.Errorf("begun %v, error %v, status %d, wrote %q", begun, err, w.code(), w.text())
		}
	}
}

func TestAnErrorInMidStreamIsTheLastFrame(t *testing.T) {
	t.Parallel()
	quiet := binding.NewEdge(binding.Options{Log: slog.New(slog.DiscardHandler)})
	for _, tt := range []struct {
		err  error
		want string
	}{
		{task.Errorf(a2a.ErrUnsupportedOperation, "the turn was canceled"), "<1>|!the turn was canceled!|"},
		{errors.New("disk on fire"), "<1>|!internal error!|"},
	} {
		w := newTape()
		begun, err := binding.Stream(quiet, w, httptest.NewRequest("GET", "/", nil),
			source(script(step{frames: []string{"1"}}, step{err: tt.err}, step{frames: []string{"never"}})))
		if !begun || err != nil || w.text() != tt.want {
			t.Errorf("begun %v, error %v, wrote %q", begun, err, w.text())
		}
	}
}

func TestAStreamEndsCleanlyWhenItIsTooOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newTape()
		start := time.Now()
		begun, err := binding.Stream(binding.NewEdge(binding.Options{MaxStreamAge: time.Minute, KeepAlive: time.Hour}), w, httptest.NewRequest("GET", "/", nil),
			source(script(step{frames: []string{"1"}}, step{after: time.Hour, frames: []string{"2"}})))
		age := time.Since(start)
		if !begun || err != nil || age > time.Minute || age < 54*time.Second || strings.Contains(w.text(), "2") || strings.Contains(w.text(), "!") {
			t.Errorf("begun %v, error %v, after %v, wrote %q", begun, err, age, w.text())
		}
	})
}

func TestDrainingEndsAStreamWithoutAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		drain, cancel := context.WithCancel(t.Context())
		w := newTape()
		time.AfterFunc(time.Second, cancel)
		begun, err := binding.Stream(binding.NewEdge(binding.Options{Drain: drain}), w, httptest.NewRequest("GET", "/", nil),
			source(script(step{frames: []string{"1"}}, step{after: time.Hour, frames: []string{"2"}})))
		if !begun || err != nil || w.text() != "<1>||" {
			t.Errorf("begun %v, error %v, wrote %q", begun, err, w.text())
		}
		// One that has not begun is told to come back.
		begun, err = binding.Stream(binding.NewEdge(binding.Options{Drain: drain}), newTape(), httptest.NewRequest("GET", "/", nil),
			source(script(step{after: time.Hour})))
		if begun || !errors.Is(err, task.ErrUnavailable) {
			t.Errorf("begun %v, error %v", begun, err)
		}
	})
}

// serveStream serves one stream on a real connection and reports its end.
func serveStream(t *testing.T, o binding.Options, src binding.Source[string]) (url string, ended <-chan struct{}) {
	t.Helper()
	e := binding.NewEdge(o)
	end := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(end)
		_, _ = binding.Stream(e, w, r, src)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, end
}

func within(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatal("waited in vain for: " + what)
	}
}

func TestAReaderThatStopsReadingIsCutOff(t *testing.T) {
	t.Parallel()
	frame := strings.Repeat("x", 64<<10)
	url, ended := serveStream(t, binding.Options{WriteTimeout: 200 * time.Millisecond},
		source(func(context.Context, time.Duration) ([]string, error) { return []string{frame}, nil }))
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	within(t, "the end of a stream that nobody reads", ended)
}

func TestAReaderThatLeavesEndsItsStreamOnly(t *testing.T) {
	t.Parallel()
	sawCancel := make(chan struct{})
	first := true
	url, ended := serveStream(t, binding.Options{}, source(func(ctx context.Context, idle time.Duration) ([]string, error) {
		if first {
			first = false
			return []string{"1"}, nil
		}
		<-ctx.Done()
		close(sawCancel)
		return nil, context.Cause(ctx)
	}))
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := bufio.NewReader(res.Body).ReadString('>'); err != nil || b != "<1>" {
		t.Fatalf("read %q, %v", b, err)
	}
	res.Body.Close()
	within(t, "the follower to notice", sawCancel)
	within(t, "the end of the stream", ended)
}
