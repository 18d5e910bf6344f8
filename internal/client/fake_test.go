// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/client"
	"github.com/errand-a2a/errand/internal/sse"
)

var bindings = []a2a.TransportProtocol{a2a.TransportProtocolJSONRPC, a2a.TransportProtocolHTTPJSON}

// cardFor describes an agent with one interface.
func cardFor(url string, b a2a.TransportProtocol) *client.Card {
	return &client.Card{AgentCard: &a2a.AgentCard{
		Name: "fake", Capabilities: a2a.AgentCapabilities{Streaming: true},
		SupportedInterfaces: []*a2a.AgentInterface{{URL: url, ProtocolBinding: b, ProtocolVersion: "1.0"}},
	}, Source: url}
}

func newClient(t *testing.T, card *client.Card, o client.Options) *client.Client {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	if o.HTTP == nil {
		o.HTTP = &http.Client{Transport: tr}
	}
	c, err := client.New(card, o)
	if err != nil {
		t.Fatalf("make a client: %v", err)
	}
	return c
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func hello() *a2a.SendMessageRequest {
	return &a2a.SendMessageRequest{Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart("hello"))}
}

// request is one request in the words of either binding.
type request struct {
	method string // GetTask, ListTasks, CancelTask, SendMessage, SendStreamingMessage, SubscribeToTask
	http   *http.Request
	params json.RawMessage // JSON-RPC's params or REST's body
}

func (r request) lastEventID() int {
	n, _ := strconv.Atoi(r.http.Header.Get("Last-Event-ID"))
	return n
}

// speak reads a request of the binding.
func speak(b a2a.TransportProtocol, r *http.Request) request {
	body, _ := io.ReadAll(r.Body)
	if b == a2a.TransportProtocolJSONRPC {
		var env struct {
			Method string
			Params json.RawMessage
		}
		_ = json.Unmarshal(body, &env)
		return request{method: env.Method, http: r, params: env.Params}
	}
	out := request{http: r, params: body}
	switch p := r.URL.Path; {
	case strings.HasSuffix(p, "/message:send"):
		out.method = "SendMessage"
	case strings.HasSuffix(p, "/message:stream"):
		out.method = "SendStreamingMessage"
	case strings.HasSuffix(p, ":subscribe"):
		out.method = "SubscribeToTask"
	case strings.HasSuffix(p, ":cancel"):
		out.method = "CancelTask"
	case strings.HasSuffix(p, "/tasks"):
		out.method = "ListTasks"
	default:
		out.method = "GetTask"
	}
	return out
}

// wrap puts a result into the binding's envelope.
func wrap(b a2a.TransportProtocol, result string) string {
	if b == a2a.TransportProtocolJSONRPC {
		return `{"jsonrpc":"2.0","id":"1","result":` + result + `}`
	}
	return result
}

// wrapError is an A2A error in the binding's form, with ErrorInfo.
func wrapError(b a2a.TransportProtocol, code, status int, reason string) string {
	info := `[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"` + reason + `","domain":"a2a-protocol.org"}]`
	if b == a2a.TransportProtocolJSONRPC {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":"1","error":{"code":%d,"message":"no","data":%s}}`, code, info)
	}
	return fmt.Sprintf(`{"error":{"code":%d,"status":"X","message":"no","details":%s}}`, status, info)
}

func task(state string) string {
	return `{"id":"t1","contextId":"c1","status":{"state":"TASK_STATE_` + state + `"},"artifacts":[{"artifactId":"a","parts":[{"data":12345678901234567890}]}],"future":1.50}`
}

func taskEvent(state string) string { return `{"task":` + task(state) + `}` }

func status(state string) string {
	return `{"statusUpdate":{"taskId":"t1","contextId":"c1","status":{"state":"TASK_STATE_` + state + `"}}}`
}

func chunk(n int) string {
	return fmt.Sprintf(`{"artifactUpdate":{"taskId":"t1","contextId":"c1","append":true,"artifact":{"artifactId":"a","parts":[{"text":"%d"}]}}}`, n)
}

func counted(n int) []string {
	log := []string{taskEvent("SUBMITTED"), status("WORKING")}
	for i := range n {
		log = append(log, chunk(i+1))
	}
	return append(log, status("COMPLETED"))
}

// journal is an agent with one task whose events are numbered as Errand does
// it. The cut hook limits what the nth connection (from 0) may say.
type journal struct {
	binding a2a.TransportProtocol
	log     []string
	cut     func(conn int) (limit int, ok bool)

	mu    sync.Mutex
	conns int
	tasks map[string]bool // by idempotency key
	calls []string
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := speak(j.binding, r)
	limit, from := j.begin(req)
	w.Header().Set("Content-Type", "text/event-stream")
	out := &cutter{w: w, limit: limit}
	if limit == 0 {
		panic(http.ErrAbortHandler)
	}
	out.write([]byte(sse.KeepAlive))
	for i := from; i < len(j.log); i++ {
		out.write(sse.AppendEvent(nil, uint64(i+1), []byte(wrap(j.binding, j.log[i]))))
	}
}

func (j *journal) begin(req request) (limit, from int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	conn := j.conns
	j.conns++
	j.calls = append(j.calls, req.method)
	if req.method == "SendStreamingMessage" {
		if j.tasks == nil {
			j.tasks = map[string]bool{}
		}
		var p a2a.SendMessageRequest
		_ = json.Unmarshal(req.params, &p)
		j.tasks[req.http.Header.Get("Idempotency-Key")+"/"+p.Message.ID] = true
	} else {
		from = req.lastEventID()
	}
	limit = -1
	if j.cut != nil {
		if l, ok := j.cut(conn); ok {
			limit = l
		}
	}
	return limit, from
}

// cutter breaks the connection after so many bytes; limit -1 never does.
type cutter struct {
	w     http.ResponseWriter
	limit int
}

func (c *cutter) write(b []byte) {
	cut := c.limit >= 0 && len(b) >= c.limit
	if cut {
		b = b[:c.limit]
	} else if c.limit > 0 {
		c.limit -= len(b)
	}
	_, _ = c.w.Write(b)
	c.w.(http.Flusher).Flush()
	if cut {
		panic(http.ErrAbortHandler)
	}
}
