// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/binding/jsonrpc"
	"github.com/errand-a2a/errand/internal/binding/rest"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRouterMountsUnderAnyPrefix(t *testing.T) {
	t.Parallel()
	atRoot := setup(t, &fake{})
	own := build(t, &fake{}, binding.Options{}, server.Options{Prefix: "/a2a/v"})
	stripped := http.NewServeMux()
	stripped.Handle("/a2a/v/", http.StripPrefix("/a2a/v", atRoot))
	stripped.Handle("/a2a/v", http.StripPrefix("/a2a/v", atRoot))
	for name, tt := range map[string]struct {
		h      http.Handler
		prefix string
	}{"at the root": {atRoot, ""}, "under its own prefix": {own, "/a2a/v"}, "in a ServeMux": {stripped, "/a2a/v"}} {
		bases := []string{tt.prefix + "/"}
		if tt.prefix != "" {
			bases = append(bases, tt.prefix)
		}
		for _, base := range bases {
			if w := do(tt.h, "POST", base, rpc("GetTask", `{"id":"t"}`)); !strings.Contains(w.Body.String(), `"result":{"id":"t-1"`) {
				t.Errorf("%s: JSON-RPC at %q: %d %s", name, base, w.Code, w.Body)
			}
		}
		for _, path := range []string{"/tasks/a%2Fb", "/tasks/a:b", "/tasks", binding.CardPath, "/livez", "/readyz"} {
			if w := do(tt.h, "GET", tt.prefix+path, ""); w.Code != 200 {
				t.Errorf("%s: %s: %d %s", name, path, w.Code, w.Body)
			}
		}
	}
	for _, path := range []string{"/tasks", "/a2a", "/a2a/vx/tasks", "/livez", "/"} {
		if w := do(own, "GET", path, ""); w.Code != 404 || !strings.HasSuffix(decodeREST(t, w).Error.Message, "this agent is at /a2a/v") {
			t.Errorf("outside the prefix, %s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestAnEncodedIdSurvivesThePrefix(t *testing.T) {
	t.Parallel()
	f := &fake{}
	h := build(t, f, binding.Options{}, server.Options{Prefix: "/p"})
	do(h, "GET", "/p/tasks/a%2Fb%3Acancel", "")
	if _, req := f.last(); fmt.Sprintf("%+v", req) != "&{Tenant: ID:a/b:cancel HistoryLength:<nil>}" {
		t.Errorf("%+v", req)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	e := binding.NewEdge(binding.Options{})
	j, h, cards := jsonrpc.New(e, &fake{}, nil), rest.New(e, &fake{}, nil), &binding.Cards{}
	for name, o := range map[string]server.Options{
		"nothing":               {},
		"no edge":               {JSONRPC: j, REST: h, Cards: cards},
		"a relative prefix":     {JSONRPC: j, REST: h, Cards: cards, Edge: e, Prefix: "a2a"},
		"a slash at the end":    {JSONRPC: j, REST: h, Cards: cards, Edge: e, Prefix: "/a2a/"},
		"an encoded prefix":     {JSONRPC: j, REST: h, Cards: cards, Edge: e, Prefix: "/a%20b"},
		"a prefix with a query": {JSONRPC: j, REST: h, Cards: cards, Edge: e, Prefix: "/a?b"},
	} {
		if _, err := server.New(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var ready error
	h := build(t, &fake{}, binding.Options{}, server.Options{Ready: func(context.Context) error { return ready }})
	for _, tt := range []struct {
		err          error
		path, method string
		status       int
		body         string
	}{
		{nil, "/livez", "GET", 200, `{"status":"ok"}`},
		{errors.New("secret"), "/livez", "GET", 200, `{"status":"ok"}`},
		{nil, "/readyz", "GET", 200, `{"status":"ready"}`},
		{nil, "/readyz", "HEAD", 200, `{"status":"ready"}`},
		{errors.New("dial tcp 10.0.0.1: secret"), "/readyz", "GET", 503, `{"reason":"error","status":"not ready"}`},
		{fmt.Errorf("dial tcp 10.0.0.1: %w", server.NotReady("store unreachable")), "/readyz", "GET", 503, `{"reason":"store unreachable","status":"not ready"}`},
		{fmt.Errorf("ping: %w", context.DeadlineExceeded), "/readyz", "GET", 503, `{"reason":"timeout","status":"not ready"}`},
	} {
		ready = tt.err
		w := do(h, tt.method, tt.path, "")
		if w.Code != tt.status || w.Body.String() != tt.body || (w.Header().Get("Retry-After") == "1") != (tt.status == 503) {
			t.Errorf("%s with %v: %d %s", tt.path, tt.err, w.Code, w.Body)
		}
	}
	if w := do(h, "POST", "/livez", "{}"); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST /livez: %d", w.Code)
	}
}

func TestReadinessIsAskedForAMomentOnly(t *testing.T) {
	t.Parallel()
	h := build(t, &fake{}, binding.Options{}, server.Options{ReadyTimeout: time.Millisecond, Ready: func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}})
	if w := do(h, "GET", "/readyz", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "timeout") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestLoopbackOnly(t *testing.T) {
	t.Parallel()
	h := build(t, &fake{}, binding.Options{}, server.Options{LoopbackOnly: true})
	for _, tt := range []struct {
		host   string
		origin []string
		ok     bool
	}{
		{"localhost", nil, true},
		{"localhost:8080", nil, true},
		{"LocalHost.:8080", nil, true},
		{"errand.localhost:1", nil, true},
		{"127.0.0.1", nil, true},
		{"127.3.2.1:8080", nil, true},
		{"[::1]", nil, true},
		{"[::1]:8080", nil, true},
		{"[::ffff:127.0.0.1]:80", nil, true},
		{"localhost:8080", []string{"http://localhost:3000"}, true},
		{"localhost:8080", []string{"https://127.0.0.1"}, true},
		{"localhost:8080", []string{"http://[::1]:5173"}, true},

		{"", nil, false},
		{"example.com", nil, false},
		{"example.com:8080", nil, false},
		{"localhost.example.com", nil, false},
		{"127.0.0.1.nip.io", nil, false},
		{"notlocalhost", nil, false},
		{"10.0.0.1", nil, false},
		{"0.0.0.0:8080", nil, false},
		{"[::]:8080", nil, false},
		{"[fe80::1]:8080", nil, false},
		{"2130706433", nil, false},
		{"127.1", nil, false},
		{"localhost:80@evil.com", nil, false},
		{"evil.com/.localhost", nil, false},
		{"[::1", nil, false},
		{"localhost:8080", []string{"https://evil.example"}, false},
		{"localhost:8080", []string{"null"}, false},
		{"localhost:8080", []string{"http://localhost.evil.example"}, false},
		{"localhost:8080", []string{"http://localhost@evil.example"}, false},
		{"localhost:8080", []string{"file://localhost"}, false},
		{"localhost:8080", []string{"http://localhost/x"}, false},
		{"localhost:8080", []string{""}, false},
		{"localhost:8080", []string{"http://localhost", "https://evil.example"}, false},
	} {
		for _, path := range []string{"/tasks", "/livez", binding.CardPath} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = tt.host
			if tt.origin != nil {
				r.Header["Origin"] = tt.origin
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if tt.ok && w.Code != 200 || !tt.ok && (w.Code != 403 || decodeREST(t, w).Error.Status != "PERMISSION_DENIED") {
				t.Errorf("Host %q Origin %q %s: %d %s", tt.host, tt.origin, path, w.Code, w.Body)
			}
		}
	}
}

func TestAPanicIsLoggedOnceAndToldToNobody(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := build(t, &fake{panics: "secret state"}, binding.Options{}, server.Options{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	w := do(h, "GET", "/tasks/t", "", binding.RequestID, "req-7")
	if w.Code != 500 || strings.Contains(w.Body.String(), "secret") || decodeREST(t, w).Error.Message != "internal error" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	var entry struct{ Msg, Request, Panic, Stack string }
	if err := json.Unmarshal(log.Bytes(), &entry); err != nil || entry.Request != "req-7" || entry.Panic != "secret state" || !strings.Contains(entry.Stack, "(*fake).Get") {
		t.Errorf("%v: %s", err, log.String())
	}
}

func TestAPanicInMidStreamBreaksTheConnection(t *testing.T) {
	t.Parallel()
	n := 0
	srv := httptest.NewServer(setup(t, &fake{next: func(context.Context, time.Duration) ([]engine.Frame, error) {
		if n++; n > 1 {
			panic("secret state")
		}
		return twoFrames()[:1], nil
	}}))
	t.Cleanup(srv.Close)
	res, err := http.Get(srv.URL + "/tasks/t:subscribe")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err == nil || strings.Contains(string(b), "secret") {
		t.Errorf("read %q without noticing the break", b)
	}
}

func TestEveryRequestHasAName(t *testing.T) {
	t.Parallel()
	h := setup(t, &fake{})
	first, second := do(h, "GET", "/tasks", "").Header().Get(binding.RequestID), do(h, "GET", "/nothing", "").Header().Get(binding.RequestID)
	if made := regexp.MustCompile(`^[0-9a-f]{12}-[0-9a-z]+$`); !made.MatchString(first) || !made.MatchString(second) || first == second {
		t.Errorf("%q, %q", first, second)
	}
	if got := do(h, "GET", "/tasks", "", binding.RequestID, "mine").Header().Get(binding.RequestID); got != "mine" {
		t.Errorf("a caller's id became %q", got)
	}
	for _, bad := range []string{"a b", strings.Repeat("x", 129), "é"} {
		if got := do(h, "GET", "/tasks", "", binding.RequestID, bad).Header().Get(binding.RequestID); got == bad {
			t.Errorf("%q was taken over", bad)
		}
	}
}

func TestRequestsAreLoggedAtDebugOnly(t *testing.T) {
	t.Parallel()
	for level, lines := range map[slog.Level]int{slog.LevelDebug: 1, slog.LevelInfo: 0} {
		var log bytes.Buffer
		h := build(t, &fake{}, binding.Options{}, server.Options{Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: level}))})
		do(h, "GET", "/tasks/t?tenant=", "", "Authorization", "Bearer secret")
		if got := strings.Count(log.String(), "\n"); got != lines || strings.Contains(log.String(), "secret") || lines == 1 && !strings.Contains(log.String(), `"status":200`) {
			t.Errorf("%v: %s", level, log.String())
		}
	}
}
