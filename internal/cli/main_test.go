// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"go.uber.org/goleak"

	"github.com/errand-a2a/errand/internal/cli"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// result is what an invocation left behind.
type result struct {
	code        int
	out, errOut string
}

// call is one invocation with everything injected.
type call struct {
	agent string
	env   []string
	stdin string
	ctx   context.Context
	onOut func(soFar string) // called at each write to stdout
}

type watcher struct {
	bytes.Buffer
	on func(string)
}

func (w *watcher) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if w.on != nil {
		w.on(w.String())
	}
	return n, err
}

func (c call) run(t *testing.T, args ...string) result {
	t.Helper()
	env := append([]string{"HOME=" + t.TempDir()}, c.env...)
	if c.agent != "" {
		env = append(env, "A2ACLI_AGENT_CARD="+c.agent)
	}
	if c.ctx == nil {
		c.ctx = t.Context()
	}
	out, errOut := &watcher{on: c.onOut}, &bytes.Buffer{}
	code := cli.Program{Version: "v1.2.3"}.Run(c.ctx, args, strings.NewReader(c.stdin), out, errOut, env)
	return result{code, out.String(), errOut.String()}
}

// want fails unless the invocation ended with code and both streams hold the
// words asked for: those behind "err:" on stderr.
func (r result) want(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit status %d, want %d", r.code, code)
	}
	for _, w := range words {
		where, text := "stdout", r.out
		if rest, ok := strings.CutPrefix(w, "err:"); ok {
			w, where, text = rest, "stderr", r.errOut
		}
		if !strings.Contains(text, w) {
			t.Errorf("%s lacks %q", where, w)
		}
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", r.out, r.errOut)
	}
}

// field returns the last value of a label in text output.
func (r result) field(label string) string {
	value := ""
	for line := range strings.Lines(r.out) {
		if v, ok := strings.CutPrefix(line, label+": "); ok {
			value = strings.TrimSuffix(v, "\n")
		}
	}
	return value
}

// demo is an agent for the official SDK's in-memory server.
type demo struct{ closed <-chan struct{} }

func (d demo) Execute(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		word, rest, _ := strings.Cut(ec.Message.Parts[0].Text(), " ")
		text := func(s string) *a2a.Message { return a2a.NewMessage(a2a.MessageRoleAgent, a2a.NewTextPart(s)) }
		if word == "message" {
			yield(text("hi"), nil)
			return
		}
		if ec.StoredTask == nil && !yield(a2a.NewSubmittedTask(ec, ec.Message), nil) {
			return
		}
		if !yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateWorking, nil), nil) {
			return
		}
		end := a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCompleted, nil)
		switch word {
		case "ask":
			end = a2a.NewStatusUpdateEvent(ec, a2a.TaskStateInputRequired, text("which?"))
		case "fail":
			end = a2a.NewStatusUpdateEvent(ec, a2a.TaskStateFailed, text("it broke"))
		case "hang":
			select {
			case <-ctx.Done():
				return
			case <-d.closed: // the SDK's server waits for an end for ever
				end = a2a.NewStatusUpdateEvent(ec, a2a.TaskStateFailed, nil)
			}
		case "count":
			var n int
			_, _ = fmt.Sscanf(rest, "to %d", &n)
			ev := a2a.NewArtifactEvent(ec, a2a.NewTextPart("1"))
			for i := range n {
				if i > 0 {
					ev = a2a.NewArtifactUpdateEvent(ec, ev.Artifact.ID, a2a.NewTextPart(fmt.Sprint(i+1)))
				}
				if !yield(ev, nil) {
					return
				}
			}
		default:
			ev := a2a.NewArtifactEvent(ec, a2a.NewTextPart("you said: "+ec.Message.Parts[0].Text()))
			ev.LastChunk = true
			if !yield(ev, nil) {
				return
			}
		}
		yield(end, nil)
	}
}

func (demo) Cancel(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCanceled, nil), nil)
	}
}

// official serves demo with the SDK over both bindings, JSON-RPC first.
func official(t *testing.T, streaming bool) string {
	t.Helper()
	closed := make(chan struct{})
	t.Cleanup(func() { close(closed) })
	h := a2asrv.NewHandler(demo{closed})
	mux := http.NewServeMux()
	mux.Handle("/rpc", a2asrv.NewJSONRPCHandler(h))
	mux.Handle("/rest/", http.StripPrefix("/rest", a2asrv.NewRESTHandler(h)))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	mux.Handle("/.well-known/agent-card.json", a2asrv.NewStaticAgentCardHandler(&a2a.AgentCard{
		Name: "demo", Capabilities: a2a.AgentCapabilities{Streaming: streaming},
		SupportedInterfaces: []*a2a.AgentInterface{
			a2a.NewAgentInterface(s.URL+"/rpc", a2a.TransportProtocolJSONRPC),
			a2a.NewAgentInterface(s.URL+"/rest", a2a.TransportProtocolHTTPJSON),
		},
	}))
	return s.URL
}

// rpc is one JSON-RPC request to a fake.
type rpc struct {
	Method string
	Params json.RawMessage
	http   *http.Request
	w      http.ResponseWriter
}

// ok answers with a result.
func (r rpc) ok(result string) {
	_, _ = fmt.Fprintf(r.w, `{"jsonrpc":"2.0","id":"1","result":%s}`, result)
}

// frames streams results with numbers from first.
func (r rpc) frames(first int, results ...string) {
	r.w.Header().Set("Content-Type", "text/event-stream")
	for i, e := range results {
		_, _ = fmt.Fprintf(r.w, "id: %d\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":%s}\n\n", first+i, e)
	}
	r.w.(http.Flusher).Flush()
}

// fake serves a card and hands JSON-RPC requests to a func. extra are further
// members of the card.
func fake(t *testing.T, extra string, handle func(rpc)) string {
	t.Helper()
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = fmt.Fprintf(w, `{"name":"fake","version":"1","supportedInterfaces":[{"url":%q,"protocolBinding":"JSONRPC","protocolVersion":"1.0"}],"capabilities":{"streaming":true}%s}`, s.URL, extra)
			return
		}
		body, _ := io.ReadAll(r.Body)
		req := rpc{http: r, w: w}
		_ = json.Unmarshal(body, &req)
		handle(req)
	}))
	t.Cleanup(s.Close)
	return s.URL
}
