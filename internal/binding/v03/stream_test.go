// SPDX-License-Identifier: Apache-2.0

package v03_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/node"
)

// ids lists the ids of the events of a stream.
func ids(body string) string {
	var all []string
	for line := range strings.Lines(body) {
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			all = append(all, strings.TrimSpace(id))
		}
	}
	return strings.Join(all, " ")
}

func TestTheIdOfAnEventIsItsSequenceAndAReaderResumes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	count := strings.Replace(hello, "echo hello", "count to 3", 1)
	whole := w.rpc("message/stream", count)
	if whole.header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v %s", whole.header, whole.body)
	}
	all := strings.Fields(ids(whole.body))
	for i, id := range all {
		if id != fmt.Sprint(i+1) {
			t.Fatalf("ids %v", all)
		}
	}
	_, id, _ := strings.Cut(whole.body, `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	for _, tt := range []struct {
		after string
		want  []string
	}{{"0", all}, {"2", all[2:]}, {fmt.Sprint(len(all)), nil}} {
		want := strings.Join(tt.want, " ")
		got := w.rpc("tasks/resubscribe", `{"id":"`+id+`"}`, "Last-Event-ID", tt.after)
		if ids(got.body) != want || got.status != http.StatusOK {
			t.Errorf("JSON-RPC after %s: %d %q, want %q", tt.after, got.status, ids(got.body), want)
		}
		status := http.StatusOK
		if len(tt.want) == 0 {
			status = http.StatusNoContent
		}
		got = w.do(http.MethodGet, "/v1/tasks/"+id+":subscribe", "", "Last-Event-ID", tt.after)
		if ids(got.body) != want || got.status != status {
			t.Errorf("REST after %s: %d %q, want %q", tt.after, got.status, ids(got.body), want)
		}
	}
	for name, client := range w.transports() {
		n := 0
		for _, err := range client.SubscribeToTask(t.Context(), map[string][]string{"Last-Event-ID": {"2"}}, &a2a.SubscribeToTaskRequest{ID: a2a.TaskID(id)}) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			n++
		}
		if n != len(all)-2 {
			t.Errorf("%s: %d events after the second, want %d", name, n, len(all)-2)
		}
	}
	for _, bad := range []string{"x", "-1", "99"} {
		if got := w.rpc("tasks/resubscribe", `{"id":"`+id+`"}`, "Last-Event-ID", bad); got.code(t) != -32602 {
			t.Errorf("after %s: %s", bad, got.body)
		}
	}
}

// asker works until it is let go and then asks.
type asker struct{ letGo chan struct{} }

func (a asker) Execute(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		if ec.StoredTask == nil && !yield(a2a.NewSubmittedTask(ec, ec.Message), nil) {
			return
		}
		if !yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateWorking, nil), nil) {
			return
		}
		select {
		case <-a.letGo:
			yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateInputRequired, nil), nil)
		case <-ctx.Done():
			yield(nil, context.Cause(ctx))
		}
	}
}

func (asker) Cancel(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCanceled, nil), nil)
	}
}

// A reader of 0.3 waits for the server to end a stream, so one that follows a
// task until it asks is let go with the question.
func TestFollowingEndsWithAQuestion(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"JSON-RPC", "REST", "gRPC"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			letGo := make(chan struct{})
			w := newWorld(t, func(o *node.Options) { o.Agents[0].Executor = asker{letGo} })
			client := w.transports()[name]
			req := text("x")
			req.Config = &a2a.SendMessageConfig{ReturnImmediately: true}
			result, err := client.SendMessage(t.Context(), nil, req)
			if err != nil {
				t.Fatal(err)
			}
			var last a2a.Event
			for e, err := range client.SubscribeToTask(t.Context(), nil, &a2a.SubscribeToTaskRequest{ID: result.(*a2a.Task).ID}) {
				if err != nil {
					t.Fatal(err)
				}
				if last == nil {
					close(letGo)
				}
				last = e
			}
			if stateOf(last) != a2a.TaskStateInputRequired {
				t.Errorf("ends with %+v", last)
			}
		})
	}
}

// hang opens a stream that goes on, and returns when its first event is there.
func (w *world) hang(path, body string) *http.Response {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.url+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.http.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		w.Fatal(resp.Status)
	}
	return resp
}

var endless = map[string]string{
	"/":                  `{"jsonrpc":"2.0","id":1,"method":"message/stream","params":` + strings.Replace(hello, "echo hello", "hang", 1) + `}`,
	"/v1/message:stream": `{"message":{"messageId":"m","role":"ROLE_USER","content":[{"text":"hang"}]}}`,
}

func TestASilentStreamIsKeptAlive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *node.Options) { o.Binding.KeepAlive = 10 * time.Millisecond })
	for path, body := range endless {
		lines := bufio.NewScanner(w.hang(path, body).Body)
		for lines.Scan() && lines.Text() != ": keep-alive" {
		}
		if lines.Err() != nil || lines.Text() != ": keep-alive" {
			t.Errorf("%s: %q, error %v", path, lines.Text(), lines.Err())
		}
	}
}

func TestStreamsEndWhenTheServerStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ended := make(chan error, 3)
	for path, body := range endless {
		resp := w.hang(path, body)
		go func() {
			_, err := io.Copy(io.Discard, resp.Body)
			ended <- err
		}()
	}
	begun := make(chan struct{})
	go func() {
		var last error
		for _, err := range w.transports()["gRPC"].SendStreamingMessage(t.Context(), nil, text("hang")) {
			if last = err; last == nil {
				select {
				case <-begun:
				default:
					close(begun)
				}
			}
		}
		if last == nil || !strings.Contains(last.Error(), "subscribe again") {
			last = fmt.Errorf("over gRPC the stream ends with %w", last)
		} else {
			last = nil
		}
		ended <- last
	}()
	<-begun
	w.stop()
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// A reader that does not read is cut off, however much there is for it.
func TestAReaderThatStopsReadingIsCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *node.Options) { o.Binding.WriteTimeout = 50 * time.Millisecond })
	for path, body := range endless {
		body = strings.Replace(body, "hang", "echo "+strings.Repeat("x", 100<<10), 1)
		theirs, ours := net.Pipe() // which holds nothing between the two
		returned := make(chan struct{})
		srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			defer close(returned)
			w.handler.ServeHTTP(rw, r)
		})}
		ln := &single{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
		ln.conns <- theirs
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = srv.Serve(ln)
		}()
		_, err := fmt.Fprintf(ours, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
		if err == nil {
			_, err = ours.Read(make([]byte, 20))
		}
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-returned:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: a reader that does not read is waited for", path)
		}
		_ = ours.Close()
		_ = srv.Close()
		<-served
	}
}

// single is a listener of one connection.
type single struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *single) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *single) Close() error {
	close(l.closed)
	return nil
}

func (l *single) Addr() net.Addr { return &net.TCPAddr{} }

// The time that a request may take to arrive is not the time of its answer.
func TestAStreamOutlastsTheTimeOfItsRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *node.Options) { o.Binding.BodyTimeout = 50 * time.Millisecond })
	for name, client := range w.transports() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var last a2a.Event
			for e, err := range client.SendStreamingMessage(t.Context(), nil, text("count to 4 every 50ms")) {
				if err != nil {
					t.Fatal(err)
				}
				last = e
			}
			if stateOf(last) != a2a.TaskStateCompleted {
				t.Errorf("ends with %+v", last)
			}
			if result, err := client.SendMessage(t.Context(), nil, text("sleep 150ms")); err != nil || stateOf(result) != a2a.TaskStateCompleted {
				t.Errorf("%+v, error %v", result, err)
			}
		})
	}
}
