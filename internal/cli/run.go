// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/errand-a2a/errand/internal/client"
)

const (
	a2aVersion   = "1.0"
	defaultAgent = "http://127.0.0.1:8080"
	// unaryTimeout bounds calls that do not wait for a task when no --timeout does.
	unaryTimeout = time.Minute
)

// run is one invocation.
type run struct {
	prog     Program
	in       io.Reader
	out      io.Writer
	errOut   *lockedWriter
	settings *settings
	global   globals
	started  bool // the flags are parsed and a command runs

	transport *http.Transport
	card      *client.Card
	seen      seen
	wraps     bool // results are SendMessageResponses, not Tasks

	wantHistory bool // --history was given
	cancels     bool // the command is task cancel
}

// globals are the flags every command has.
type globals struct {
	agentCard, a2aVersion, output, config string
	bearer, apiKey                        string
	transports, svcParams                 []string
	stream, verbose, debug, insecure      bool
	timeout                               time.Duration
}

// seen is what is known of the task at hand, for hints and for detaching.
type seen struct {
	mu              sync.Mutex
	task, contextID string
	state           a2a.TaskState
}

func (s *seen) note(task, contextID string, state a2a.TaskState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if task != "" {
		s.task = task
	}
	if contextID != "" {
		s.contextID = contextID
	}
	if state != "" {
		s.state = state
	}
}

func (s *seen) get() (task, contextID string, state a2a.TaskState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.task, s.contextID, s.state
}

func (r *run) addGlobalFlags(f *pflag.FlagSet) {
	g := &r.global
	f.StringVarP(&g.agentCard, "agent-card", "a", defaultAgent, "the agent: a host or origin, a card's URL, or a card's file")
	f.StringVarP(&g.output, "output", "o", "text", "output format: text or json")
	f.BoolVar(&g.stream, "stream", false, "show events as they come (with -o json: one JSON object a line)")
	f.DurationVar(&g.timeout, "timeout", 0, "how long to wait before giving up; 0 waits as long as it takes")
	f.StringVar(&g.a2aVersion, "a2a-version", a2aVersion, "A2A version to signal")
	f.StringArrayVar(&g.transports, "transport", nil, "preferred binding, JSONRPC or HTTP+JSON; repeatable, highest first (default: the card's order)")
	f.StringVar(&g.bearer, "bearer", "", "bearer token; better in A2ACLI_BEARER")
	f.StringVar(&g.apiKey, "api-key", "", "API key; better in A2ACLI_API_KEY")
	f.StringArrayVar(&g.svcParams, "svc-param", nil, "service parameter as key:value, sent as a header; repeatable")
	f.BoolVar(&g.insecure, "insecure", false, "do not verify TLS certificates (development only)")
	f.BoolVar(&g.verbose, "verbose", false, "show everything that was sent and received")
	f.BoolVar(&g.debug, "debug", false, "log requests and answers to stderr, credentials left out")
	f.StringVar(&g.config, "config", "", "read settings from this .env file instead of the nearest .env")
}

// prepare completes the flags from the environment and files, and checks them.
func (r *run) prepare(cmd *cobra.Command, _ []string) error {
	if err := r.settings.load(r.configPath(cmd.Flags())); err != nil {
		return usage(err.Error(), "")
	}
	if err := r.settings.apply(cmd.Flags()); err != nil {
		return usage(err.Error(), "errand config show")
	}
	g := &r.global
	if g.output != "text" && g.output != "json" {
		return usage(fmt.Sprintf("--output is %q; it can be text or json", g.output), "")
	}
	if g.timeout < 0 {
		return usage("--timeout is negative", "")
	}
	if strings.HasPrefix(g.a2aVersion, "0") || g.a2aVersion == "" {
		return usage(fmt.Sprintf("--a2a-version is %q; errand speaks 1.0 and later", g.a2aVersion), "")
	}
	r.started = true
	for _, w := range r.settings.warnings {
		r.say("warning: %s", w)
	}
	return nil
}

func (r *run) configPath(f *pflag.FlagSet) string {
	if !f.Changed("config") {
		if v, ok := r.settings.env["A2ACLI_CONFIG"]; ok {
			return v
		}
	}
	return r.global.config
}

func (r *run) json() bool { return r.global.output == "json" }

// say writes a diagnostic.
func (r *run) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.errOut, "errand: %s\n", clean(fmt.Sprintf(format, args...)))
}

// deadline applies --timeout, or the fallback where the user set none.
func (r *run) deadline(ctx context.Context, fallback time.Duration) (context.Context, context.CancelFunc) {
	d := r.global.timeout
	if d == 0 {
		d = fallback
	}
	if d == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// resolve reads the agent's card.
func (r *run) resolve(ctx context.Context) (*client.Card, *http.Client, error) {
	r.transport = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: r.global.insecure},
		ForceAttemptHTTP2:   true,
	}
	if r.global.insecure {
		what := ""
		if r.global.bearer != "" || r.global.apiKey != "" || len(r.global.svcParams) > 0 {
			what = ": whoever answers gets the credentials you supply"
		}
		r.say("WARNING: TLS certificates are not verified (--insecure)%s", what)
	}
	var rt http.RoundTripper = r.transport
	if r.global.debug {
		rt = &debugTransport{next: rt, w: r.errOut, redact: newRedactor(r.global)}
	}
	hc := &http.Client{Transport: rt}
	cardCtx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errCardTimeout)
	defer cancel()
	card, err := client.Resolve(cardCtx, hc, r.global.agentCard)
	if err != nil {
		if ctx.Err() == nil && cardCtx.Err() != nil {
			return nil, nil, &client.UnreachableError{URL: r.global.agentCard, Err: errCardTimeout}
		}
		return nil, nil, err
	}
	r.card = card
	return card, hc, nil
}

// dial resolves the card and returns a client of the agent.
func (r *run) dial(ctx context.Context) (*client.Client, error) {
	params, err := parseParams(r.global.svcParams)
	if err != nil {
		return nil, err
	}
	transports, err := parseTransports(r.global.transports)
	if err != nil {
		return nil, err
	}
	card, hc, err := r.resolve(ctx)
	if err != nil {
		return nil, err
	}
	c, err := client.New(card, client.Options{
		HTTP: hc, Version: r.global.a2aVersion, Transports: transports, Params: params,
		Credentials: client.Credentials{Bearer: r.global.bearer, APIKey: r.global.apiKey},
		Hooks:       client.Hooks{Reconnecting: r.reconnecting, Resumed: r.resumed},
	})
	if err != nil {
		return nil, err
	}
	if r.global.debug {
		in := c.Interface()
		r.say("agent %s: %s %s at %s", card.Name, in.ProtocolBinding, in.ProtocolVersion, in.URL)
	}
	return c, nil
}

func (r *run) reconnecting(err error, attempt int) {
	if attempt == 1 || r.global.debug {
		r.say("connection lost (%v); reconnecting", err)
	}
}

func (r *run) resumed(after uint64) {
	if after == 0 {
		r.say("resumed")
		return
	}
	r.say("resumed after event %d", after)
}

func (r *run) close() {
	if r.transport != nil {
		r.transport.CloseIdleConnections()
	}
}

func parseTransports(names []string) ([]a2a.TransportProtocol, error) {
	var out []a2a.TransportProtocol
	for _, n := range names {
		switch strings.ToUpper(strings.TrimSpace(n)) {
		case "JSONRPC", "JSON-RPC":
			out = append(out, a2a.TransportProtocolJSONRPC)
		case "HTTP+JSON", "REST":
			out = append(out, a2a.TransportProtocolHTTPJSON)
		case "GRPC":
			// Known to A2A and not spoken by this client: skipped, like a binding the card lacks.
		default:
			return nil, usage(fmt.Sprintf("--transport is %q; it can be JSONRPC or HTTP+JSON", n), "")
		}
	}
	return out, nil
}

func parseParams(pairs []string) (http.Header, error) {
	h := http.Header{}
	for _, p := range pairs {
		k, v, ok := strings.Cut(p, ":")
		k, v = strings.TrimSpace(k), strings.TrimSpace(v)
		if !ok || k == "" || strings.ContainsFunc(k, notTokenRune) || strings.ContainsAny(v, "\r\n\x00") {
			// The value may be a secret: it is not repeated.
			return nil, usage(fmt.Sprintf("--svc-param %q is not of the form key:value", k), "")
		}
		h.Add(k, v)
	}
	return h, nil
}

func notTokenRune(c rune) bool {
	alnum := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	return !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}

// lockedWriter lets notices of other goroutines be written whole.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
