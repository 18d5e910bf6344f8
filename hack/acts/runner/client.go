// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/hack/acts/format"
	"github.com/errand-a2a/errand/hack/acts/wire"
	"github.com/errand-a2a/errand/internal/cli"
	"github.com/errand-a2a/errand/internal/client"
)

// canned is an agent that answers every request alike and remembers them.
type canned struct {
	url    string
	server *http.Server
	served chan error

	mu      sync.Mutex
	methods []string
}

// serveCanned answers GET with a card and all else with an answer; card is told
// the URL.
func serveCanned(card func(url string) any, answer any) (*canned, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	c := &canned{url: "http://" + ln.Addr().String(), served: make(chan error, 1)}
	c.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := answer
		if r.Method == http.MethodGet {
			v = card(c.url)
		} else {
			c.note(r.Body)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	})}
	go func() { c.served <- c.server.Serve(ln) }()
	return c, nil
}

func (c *canned) note(body io.Reader) {
	var env struct{ Method string }
	if json.NewDecoder(body).Decode(&env) != nil {
		env.Method = "?"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.methods = append(c.methods, env.Method)
}

func (c *canned) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.methods)
}

func (c *canned) close() {
	_ = c.server.Close()
	<-c.served
}

// plainCard is a card of an agent that speaks JSON-RPC.
func plainCard(url string) any {
	return map[string]any{
		"name": "canned", "version": "1.0.0",
		"supportedInterfaces": []any{map[string]any{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}},
	}
}

// client gives an answer to Errand's client and judges what the client makes of
// it: the values it decodes, not the bytes it keeps.
func (x *execution) client(ctx context.Context, s *format.Step) error {
	card := plainCard
	if isCard(s.Client.Operation) {
		card = func(string) any { return s.Client.Payload }
	}
	agent, err := serveCanned(card, s.Client.Payload)
	if err != nil {
		return err
	}
	defer agent.close()
	parsed, err := parse(ctx, x.runner.HTTP, agent.url, s.Client.Operation)
	var reported *client.Error
	if errors.As(err, &reported) {
		parsed = map[string]any{"error": map[string]any{"code": reported.Code, "message": reported.Message}}
	} else if err != nil {
		return fmt.Errorf("the client refuses the answer: %w", err)
	}
	x.answers[s.ID] = &answer{body: parsed}
	return s.Client.Parsed.Check(parsed, x.expand)
}

func isCard(operation string) bool {
	return operation == "get_agent_card" || operation == "get_extended_agent_card"
}

// parse lets the client fetch the answer and renders what it decoded.
func parse(ctx context.Context, hc *http.Client, url, operation string) (any, error) {
	card, err := client.Resolve(ctx, hc, url)
	if err != nil {
		return nil, err
	}
	if isCard(operation) {
		return renderedCard(card.AgentCard)
	}
	c, err := client.New(card, client.Options{HTTP: hc, GiveUp: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	switch operation {
	case "send_message":
		req := &a2a.SendMessageRequest{Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart("hello"))}
		reply, err := c.Send(ctx, req, client.SendOptions{})
		if err != nil {
			return nil, err
		}
		event, err := reply.Event()
		if err != nil {
			return nil, err
		}
		return rendered(a2a.StreamResponse{Event: event})
	case "get_task":
		reply, err := c.GetTask(ctx, "task", nil)
		if err != nil {
			return nil, err
		}
		task, err := reply.Task()
		if err != nil {
			return nil, err
		}
		return rendered(task)
	}
	return nil, fmt.Errorf("the client is not asked for %s here", operation)
}

func rendered(v any) (out any, err error) {
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	return out, err
}

// renderedCard has the capabilities that are off as well: the client knows them
// as off, and the SDK's JSON leaves them out.
func renderedCard(card *a2a.AgentCard) (any, error) {
	v, err := rendered(card)
	if err != nil {
		return nil, err
	}
	if m, ok := v.(map[string]any); ok {
		c := card.Capabilities
		m["capabilities"] = map[string]any{
			"streaming": c.Streaming, "pushNotifications": c.PushNotifications, "extendedAgentCard": c.ExtendedAgentCard,
		}
	}
	return v, nil
}

// checkCapabilities asks the command line for a stream of an agent whose card
// says that it has none.
func checkCapabilities(ctx context.Context, x *execution) error {
	payload, _ := x.test.Steps[0].Client.Payload.(map[string]any)
	card := func(url string) any {
		c, _ := plainCard(url).(map[string]any)
		c["capabilities"] = payload["capabilities"]
		return c
	}
	answer := map[string]any{"jsonrpc": "2.0", "id": "1", "result": map[string]any{
		"message": map[string]any{"messageId": "m", "role": "ROLE_AGENT", "parts": []any{map[string]any{"text": "hi"}}},
	}}
	agent, err := serveCanned(card, answer)
	if err != nil {
		return err
	}
	defer agent.close()
	var out, complaints bytes.Buffer
	code := cli.Program{}.Run(ctx, []string{"send", "--stream", "-a", agent.url + wire.CardPath, "hello"}, bytes.NewReader(nil), &out, &complaints, nil)
	seen := agent.seen()
	if code != 0 || len(seen) == 0 {
		return fmt.Errorf("the command ended with %d after %v: %s", code, seen, complaints.String())
	}
	if slices.Contains(seen, "SendStreamingMessage") || slices.Contains(seen, "SubscribeToTask") {
		return fmt.Errorf("the client called %v although the card says that the agent does not stream", seen)
	}
	return nil
}
