// SPDX-License-Identifier: Apache-2.0

//go:build linux

package disk

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// asker asks a server in each of its languages and shows what stands around
// the answers, which the prover's own client takes care of by itself.
type asker struct {
	addr string
	http *http.Client
	h2   *http.Client
}

func newAsker(addr string) *asker {
	clear := new(http.Protocols)
	clear.SetUnencryptedHTTP2(true)
	return &asker{
		addr: addr,
		http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}},
		h2:   &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Protocols: clear}},
	}
}

func (a *asker) close() {
	a.http.CloseIdleConnections()
	a.h2.CloseIdleConnections()
}

// reply is an answer of HTTP, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) String() string {
	return fmt.Sprintf("%d Retry-After=%q %.300s", r.status, r.header.Get("Retry-After"), r.body)
}

func (a *asker) do(ctx context.Context, client *http.Client, method, path, body string, header ...string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.addr+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("A2A-Version", "1.0")
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	for k, v := range res.Trailer {
		res.Header[k] = v
	}
	return reply{res.StatusCode, res.Header, string(text)}, err
}

func (a *asker) ready(ctx context.Context) error {
	r, err := a.do(ctx, a.http, http.MethodGet, "/readyz", "")
	if err == nil && r.status != http.StatusOK {
		err = fmt.Errorf("readyz: %v", r)
	}
	return err
}

// probe is a message in one language. It is sent again and again with the same
// key until it has made a task, and is another one after that: so no refusal
// leaves a task behind that nobody knows of.
type probe struct {
	language string
	n        int
}

func (p probe) id() string { return fmt.Sprintf("probe-%s-%d", p.language, p.n) }

const hello = "echo hello"

func (a *asker) send(ctx context.Context, p probe) (reply, error) {
	params := fmt.Sprintf(`{"message":{"messageId":%q,"role":"ROLE_USER","parts":[{"text":%q}]},"configuration":{"returnImmediately":true}}`, p.id(), hello)
	switch p.language {
	case "JSON-RPC":
		return a.rpc(ctx, "SendMessage", params, "Idempotency-Key", p.id())
	case "REST":
		return a.do(ctx, a.http, http.MethodPost, "/message:send", params, "Idempotency-Key", p.id())
	}
	return a.grpc(ctx, p)
}

func (a *asker) rpc(ctx context.Context, method, params string, header ...string) (reply, error) {
	return a.do(ctx, a.http, http.MethodPost, "/", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`, header...)
}

// grpc sends the message by hand: the test needs one call and no library.
func (a *asker) grpc(ctx context.Context, p probe) (reply, error) {
	field := func(number int, body []byte) []byte {
		return append([]byte{byte(number<<3 | 2), byte(len(body))}, body...)
	}
	msg := field(1, []byte(p.id()))
	msg = append(msg, 4<<3, 1) // role: user
	msg = append(msg, field(5, field(1, []byte(hello)))...)
	req := append(field(2, msg), field(3, []byte{4 << 3, 1})...) // return immediately
	frame := append([]byte{0, 0, 0, 0, byte(len(req))}, req...)
	return a.do(ctx, a.h2, http.MethodPost, "/lf.a2a.v1.A2AService/SendMessage", string(frame),
		"Content-Type", "application/grpc", "TE", "trailers", "Idempotency-Key", p.id())
}

var uuid = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// task is the task that an answer tells of, or why it tells of none.
func (p probe) task(r reply) (string, error) {
	failed := r.status != http.StatusOK || strings.Contains(r.body, `"error"`)
	if p.language == "gRPC" {
		failed = r.header.Get("Grpc-Status") != "0"
	}
	id := uuid.FindString(r.body)
	if failed || id == "" {
		return "", fmt.Errorf("%s: %v %s", p.language, r, r.header.Get("Grpc-Message"))
	}
	return id, nil
}

// unavailable says what is wrong with a refusal: it must be 503 with a time to
// come back, or what stands for it in gRPC.
func (p probe) unavailable(r reply) error {
	const unavailableCode = "14"
	wrong := r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == ""
	if p.language == "gRPC" {
		wrong = r.header.Get("Grpc-Status") != unavailableCode
	}
	if wrong {
		return fmt.Errorf("%s: %v, gRPC status %q %q", p.language, r, r.header.Get("Grpc-Status"), r.header.Get("Grpc-Message"))
	}
	return nil
}
