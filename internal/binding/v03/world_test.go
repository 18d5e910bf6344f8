// SPDX-License-Identifier: Apache-2.0

package v03_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	a2agrpc "github.com/a2aproject/a2a-go/v2/a2agrpc/v0"
	modern "github.com/a2aproject/a2a-go/v2/a2agrpc/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/agent/demo"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/node"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/task"
)

// world is a whole node on a port, with the demo agent twice: as the default
// agent and by the name "twin".
type world struct {
	testing.TB
	url  string
	grpc string
	http *http.Client
	stop context.CancelFunc
	// handler is what serves url.
	handler http.Handler
	engine  *engine.Engine
}

func newWorld(t testing.TB, change ...func(*node.Options)) *world {
	t.Helper()
	st := memory.New(memory.Options{})
	t.Cleanup(func() { _ = st.Close() })
	srv := httptest.NewUnstartedServer(nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		TB: t, url: "http://" + srv.Listener.Addr().String(), grpc: ln.Addr().String(),
		http: &http.Client{Transport: &http.Transport{}},
	}
	def, twin := demo.Agent(), demo.Agent()
	def.Policy.Retry = task.Retry{MaxAttempts: 3, InitialDelay: time.Millisecond, MaxDelay: 2 * time.Millisecond}
	twin.Name = "twin"
	o := node.Options{
		Store: st, PublicURL: w.url, GRPC: w.grpc, Logger: slog.New(slog.DiscardHandler), Agents: []agent.Agent{def, twin},
	}
	o.Worker.ID, o.Worker.Shutdown = "w", 100*time.Millisecond
	for _, f := range change {
		f(&o)
	}
	n, err := node.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	ran := make(chan error, 2)
	go func() { ran <- n.Run(ctx) }()
	go func() { ran <- n.ServeGRPC(ctx, ln, time.Second) }()
	<-n.Started()
	w.handler, w.engine = n.Handler(), n.Engine()
	srv.Config.Handler = w.handler
	srv.Start()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ran; err != nil {
				t.Errorf("run: %v", err)
			}
		}
		w.http.CloseIdleConnections()
		srv.Close()
	})
	return w
}

// transports are the bindings of 0.3, each as the SDK's client of it.
func (w *world) transports() map[string]a2aclient.Transport {
	w.Helper()
	conn, err := grpc.NewClient(w.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	all := w.overHTTP(w.url)
	all["gRPC"] = a2agrpc.NewGRPCTransport(conn)
	return all
}

// doors are all six: the bindings of both versions.
func (w *world) doors() map[string]a2aclient.Transport {
	w.Helper()
	all := map[string]a2aclient.Transport{}
	for name, t := range w.transports() {
		all["0.3 over "+name] = t
	}
	conn, err := grpc.NewClient(w.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	base, err := url.Parse(w.url)
	if err != nil {
		w.Fatal(err)
	}
	all["1.0 over gRPC"] = modern.NewGRPCTransport(conn)
	all["1.0 over JSON-RPC"] = a2aclient.NewJSONRPCTransport(w.url, w.http)
	all["1.0 over REST"] = a2aclient.NewRESTTransport(base, w.http)
	return all
}

// overHTTP are those that name an agent by its path.
func (w *world) overHTTP(base string) map[string]a2aclient.Transport {
	w.Helper()
	rest, err := a2av0.NewRESTTransport(a2av0.RESTTransportConfig{URL: base, Client: w.http})
	if err != nil {
		w.Fatal(err)
	}
	return map[string]a2aclient.Transport{
		"JSON-RPC": a2av0.NewJSONRPCTransport(a2av0.JSONRPCTransportConfig{URL: base, Client: w.http}),
		"REST":     rest,
	}
}

// answer is what a plain HTTP client gets.
type answer struct {
	status int
	header http.Header
	body   string
}

func (w *world) do(method, path, body string, headers ...string) answer {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// rpc sends a request of JSON-RPC; params is JSON.
func (w *world) rpc(method, params string, headers ...string) answer {
	w.Helper()
	return w.do(http.MethodPost, "/", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`, headers...)
}

// code is that of the error in an answer of JSON-RPC, in a stream or not.
func (a answer) code(t testing.TB) int {
	t.Helper()
	var envelope struct{ Error struct{ Code int } }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(a.body, "data: ")), &envelope); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return envelope.Error.Code
}

func text(s string) *a2a.SendMessageRequest {
	return &a2a.SendMessageRequest{Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(s))}
}

func textsOf(artifacts []*a2a.Artifact) string {
	var all []string
	for _, a := range artifacts {
		for _, p := range a.Parts {
			all = append(all, p.Text())
		}
	}
	return strings.Join(all, " ")
}

// versions notes the method of each request of JSON-RPC on its way out.
type versions struct {
	next   http.RoundTripper
	method string
}

func (v *versions) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var envelope struct{ Method string }
	if err := json.Unmarshal(b, &envelope); err != nil {
		return nil, err
	}
	v.method = envelope.Method
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(strings.NewReader(string(b)))
	return v.next.RoundTrip(r)
}

func (v *versions) last() string { return v.method }
