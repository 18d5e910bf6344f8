// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// cutter stands before the server under an origin of its own: it serves one
// page and forwards everything else, and cuts subscriptions in the middle.
type cutter struct {
	*httptest.Server

	mu       sync.Mutex
	cuts     []int          // frames that the next connections let pass
	subs     []subscription // as they came
	onFrames func(n int)    // told how many frames all subscriptions have let pass
	passed   int
}

// subscription is one connection of an EventSource.
type subscription struct {
	lastEventID string
	status      int
	lastPassed  string // the id of the last whole frame that came through
}

// newCutter forwards to the agent. Connection i of the subscriptions is cut in
// the middle of the frame that follows cuts[i] whole ones; later ones are not.
func newCutter(t *testing.T, page, agentURL string, cuts ...int) *cutter {
	t.Helper()
	target, err := url.Parse(agentURL)
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{cuts: cuts, onFrames: func(int) {}}
	transport := &http.Transport{DisableKeepAlives: true}
	proxy := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // cut connections are what this is for
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = target.Host
		},
		ModifyResponse: c.watch,
		// While the server is down a connection breaks, as it would without
		// anything in between; a browser takes any answer for a final one.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	html := contents(t, page)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(html)
	})
	mux.Handle("/", proxy)
	c.Server = httptest.NewUnstartedServer(mux)
	c.Config.ErrorLog = log.New(io.Discard, "", 0)
	c.Start()
	t.Cleanup(func() {
		c.Close()
		t.Logf("subscriptions: %+v", c.subscriptions())
	})
	return c
}

// watch notes a subscription and puts the knife into its body.
func (c *cutter) watch(res *http.Response) error {
	if !strings.HasSuffix(res.Request.URL.Path, ":subscribe") {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subs = append(c.subs, subscription{lastEventID: res.Request.Header.Get("Last-Event-ID"), status: res.StatusCode})
	i, pass := len(c.subs)-1, -1
	if i < len(c.cuts) {
		pass = c.cuts[i]
	}
	res.Body = &watchedBody{body: res.Body, pass: pass, frame: func(id string) { c.frame(i, id) }}
	return nil
}

func (c *cutter) frame(sub int, id string) {
	c.mu.Lock()
	c.subs[sub].lastPassed = id
	c.passed++
	n, tell := c.passed, c.onFrames
	c.mu.Unlock()
	tell(n)
}

func (c *cutter) subscriptions() []subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]subscription(nil), c.subs...)
}

// watchedBody reads a stream frame by frame.
type watchedBody struct {
	body  io.ReadCloser
	pass  int // whole frames that may pass; -1 for all
	frame func(id string)

	in, out bytes.Buffer
	err     error
}

var errCut = errors.New("cut by the test")

func (b *watchedBody) Read(p []byte) (int, error) {
	for b.out.Len() == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.fill()
	}
	return b.out.Read(p)
}

// fill moves whole frames to the reader, and of the one after the last that
// may pass only the first half.
func (b *watchedBody) fill() {
	var chunk [4096]byte
	n, err := b.body.Read(chunk[:])
	b.in.Write(chunk[:n])
	for {
		end := bytes.Index(b.in.Bytes(), []byte("\n\n"))
		if end < 0 {
			break
		}
		frame := b.in.Next(end + 2)
		id := frameID(frame)
		if id != "" && b.pass == 0 {
			b.out.Write(frame[:len(frame)/2])
			b.err = errCut
			return
		}
		b.out.Write(frame)
		if id != "" {
			b.pass--
			b.frame(id)
		}
	}
	if err != nil {
		b.in.WriteTo(&b.out) // nothing is lost of a stream that ends by itself
		b.err = err
	}
}

// frameID is empty for a frame that carries no event, such as a comment.
func frameID(frame []byte) string {
	for line := range strings.Lines(string(frame)) {
		if id, ok := strings.CutPrefix(line, "id:"); ok {
			return strings.TrimSpace(id)
		}
	}
	return ""
}

func (b *watchedBody) Close() error { return b.body.Close() }
