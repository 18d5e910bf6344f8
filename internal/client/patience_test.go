// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

func TestPatience(t *testing.T) {
	t.Parallel()
	t.Run("waits grow from 50 ms to half a second and, after a minute, to one", func(t *testing.T) {
		t.Parallel()
		p := patience{limit: 5 * time.Minute}
		now := time.Now()
		for i, ceiling := range []time.Duration{50, 100, 200, 400, 500, 500} {
			d, ok := p.next(now)
			if ceiling *= time.Millisecond; !ok || d < ceiling/2 || d > ceiling {
				t.Errorf("wait %d is %s, %v; want %s at most", i, d, ok, ceiling)
			}
		}
		if d, ok := p.next(now.Add(2 * time.Minute)); !ok || d < 500*time.Millisecond || d > time.Second {
			t.Errorf("a late wait is %s, %v", d, ok)
		}
	})
	t.Run("an outage ends at the limit and an answer starts the clock again", func(t *testing.T) {
		t.Parallel()
		p := patience{limit: time.Minute}
		now := time.Now()
		_, _ = p.next(now)
		p.alive()
		if _, ok := p.next(now.Add(2 * time.Minute)); !ok {
			t.Error("gave up although the agent had answered")
		}
		if _, ok := p.next(now.Add(4 * time.Minute)); ok {
			t.Error("did not give up")
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAnOutageThatDoesNotEndIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		down := errors.New("connection refused")
		c, err := New(&Card{AgentCard: &a2a.AgentCard{SupportedInterfaces: []*a2a.AgentInterface{
			{URL: "http://agent.test", ProtocolBinding: a2a.TransportProtocolJSONRPC},
		}}}, Options{HTTP: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, down })}})
		if err != nil {
			t.Fatal(err)
		}
		f := &follower{c: c, patience: patience{limit: c.opts.GiveUp}, task: "t", opened: true}
		f.yield = func(_ StreamItem, e error) bool { err = e; return true }
		f.run(context.Background())
		if !errors.Is(err, down) {
			t.Errorf("gave up with %v", err)
		}
		if d := time.Since(start); d < 5*time.Minute || d > 5*time.Minute+2*time.Second {
			t.Errorf("gave up after %s", d)
		}
	})
}

func TestTheWatchdogBarksOnlyAfterAKeepAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		barked := make(chan time.Time, 1)
		w := &watchdog{body: nothing{}, idle: time.Minute, bark: func() { barked <- time.Now() }}
		defer w.stop()
		time.Sleep(time.Hour) // the bubble's clock
		select {
		case <-barked:
			t.Error("it barked at an agent that sends no keep-alives")
		default:
		}
		start := time.Now()
		w.arm()
		time.Sleep(40 * time.Second)
		_, _ = w.Read(make([]byte, 1))
		if d := (<-barked).Sub(start); d != 100*time.Second {
			t.Errorf("it barked %s after the keep-alive", d)
		}
	})
}

type nothing struct{}

func (nothing) Read(p []byte) (int, error) { return len(p), nil }

func TestRetryAfterIsReadInBothFormsAndBounded(t *testing.T) {
	t.Parallel()
	for h, want := range map[string]time.Duration{
		"": 0, "soon": 0, "3": 3 * time.Second, "0": time.Millisecond, "-5": time.Millisecond,
		"86400": time.Minute, "99999999999999999999": 0,
		"Mon, 02 Jan 2006 15:04:05 GMT": time.Millisecond,
	} {
		if got := retryAfter(h); got != want {
			t.Errorf("Retry-After %q is %s, want %s", h, got, want)
		}
	}
}

func TestParseRef(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]location{
		"http://127.0.0.1:8080":          {url: "http://127.0.0.1:8080/.well-known/agent-card.json"},
		"https://agent.example/":         {url: "https://agent.example/.well-known/agent-card.json"},
		"https://agent.example/a/c.json": {url: "https://agent.example/a/c.json"},
		"agent.example":                  {url: "https://agent.example/.well-known/agent-card.json"},
		"agent.example/card.json":        {url: "https://agent.example/card.json"},
		"localhost:8080":                 {url: "http://localhost:8080/.well-known/agent-card.json"},
		"127.0.0.1:9":                    {url: "http://127.0.0.1:9/.well-known/agent-card.json"},
		"[::1]:9":                        {url: "http://[::1]:9/.well-known/agent-card.json"},
		"agenthost":                      {url: "https://agenthost/.well-known/agent-card.json"},
		"card.json":                      {path: "card.json"},
		"cards/one.json":                 {path: "cards/one.json"},
		"./card":                         {path: "./card"},
		"/tmp/card":                      {path: "/tmp/card"},
		"file:///tmp/card.json":          {path: "/tmp/card.json"},
		"file:///tmp/a%20b.json":         {path: "/tmp/a b.json"},
		"file://card.json":               {path: "card.json"},
		"patience_test.go":               {path: "patience_test.go"},
	} {
		got, err := parseRef(ref)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", ref, got, err, want)
		}
	}
	for _, ref := range []string{"", "ftp://x", "http://", "a b c", "file://"} {
		if got, err := parseRef(ref); err == nil && got.path == "" {
			t.Errorf("%q was taken for %+v", ref, got)
		}
	}
}

func FuzzParsers(f *testing.F) {
	f.Add(`{"task":{"id":"t","status":{"state":"TASK_STATE_WORKING"}}}`)
	f.Add(`{"jsonrpc":"2.0","error":{"code":-32001,"message":"x","data":[{"reason":"TASK_NOT_FOUND"}]}}`)
	f.Add(`{"error":{"code":404,"details":[{"@type":"x","reason":"R","domain":"a2a-protocol.org"}]}}`)
	f.Add(`{"error":{"code":[]}}`)
	f.Add("localhost:8080")
	f.Fuzz(func(t *testing.T, in string) {
		if r, err := parseReply([]byte(in)); err == nil && (r.Kind == 0 || r.Kind != KindMessage && r.TaskID == "") {
			t.Errorf("a reply without kind or task: %+v", r)
		}
		if r, err := parseTask([]byte(in)); err == nil && r.TaskID == "" {
			t.Error("a task without id")
		}
		_, _ = parseList([]byte(in))
		for _, b := range []binding{jsonrpc{}, rest{}} {
			if raw, err := b.frame([]byte(in)); err == nil && len(raw) == 0 {
				t.Errorf("%T: an empty frame", b)
			}
		}
		var e *Error
		if errors.As(decodeError([]byte(in), 400), &e) && e.Name == "" {
			t.Error("an error without a name")
		}
		if loc, err := parseRef(in); err == nil && loc.url == "" && loc.path == "" {
			t.Errorf("%q gave no location", in)
		}
	})
}
