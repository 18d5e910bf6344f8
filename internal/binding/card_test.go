// SPDX-License-Identifier: Apache-2.0

package binding_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"

	"github.com/errand-a2a/errand/internal/binding"
)

func newCard(t *testing.T) *binding.Card {
	t.Helper()
	card, err := binding.NewCard(binding.NewEdge(binding.Options{}), "", testCard(), binding.CardOptions{PublicURL: "https://agents.example/a2a/"})
	if err != nil {
		t.Fatal(err)
	}
	return card
}

func testCard() *a2a.AgentCard {
	return &a2a.AgentCard{
		Name: "demo", Description: "d", Version: "1",
		Capabilities:        a2a.AgentCapabilities{PushNotifications: true},
		SupportedInterfaces: []*a2a.AgentInterface{a2a.NewAgentInterface("http://elsewhere", a2a.TransportProtocolGRPC)},
		Signatures:          []a2a.AgentCardSignature{{Protected: "p", Signature: "s"}},
		Skills:              []a2a.AgentSkill{{ID: "s", Name: "n"}},
	}
}

func TestCardSaysWhatTheServerDoes(t *testing.T) {
	t.Parallel()
	b, err := binding.RenderCard("", testCard(), binding.CardOptions{PublicURL: "https://agents.example/a2a/"})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"name": "demo", "description": "d", "version": "1",
		"supportedInterfaces": []any{
			map[string]any{"url": "https://agents.example/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
			map[string]any{"url": "https://agents.example/a2a", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"},
		},
		"capabilities":      map[string]any{"streaming": true},
		"defaultInputModes": []any{"text/plain"}, "defaultOutputModes": []any{"text/plain"},
		"skills": []any{map[string]any{"id": "s", "name": "n", "description": "", "tags": []any{}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCardIsServedConditionally(t *testing.T) {
	t.Parallel()
	card := newCard(t)
	get := func(method, ifNoneMatch string) *http.Response {
		r := httptest.NewRequest(method, "http://attacker.example/.well-known/agent-card.json", nil)
		if ifNoneMatch != "" {
			r.Header.Set("If-None-Match", ifNoneMatch)
		}
		w := httptest.NewRecorder()
		card.ServeHTTP(w, r)
		return w.Result()
	}
	first := get("GET", "")
	whole := len(readAll(t, first))
	tag := first.Header.Get("ETag")
	if first.StatusCode != 200 || len(tag) != 34 || strings.HasPrefix(tag, "W/") {
		t.Fatalf("status %d, ETag %q", first.StatusCode, tag)
	}
	for _, tt := range []struct {
		method, ifNoneMatch string
		status, size        int
	}{
		{"GET", "", 200, whole},
		{"GET", tag, 304, 0},
		{"GET", `"other", W/` + tag, 304, 0},
		{"GET", "*", 304, 0},
		{"GET", `"other"`, 200, whole},
		{"HEAD", "", 200, 0},
		{"HEAD", tag, 304, 0},
		{"POST", "", 405, -1},
	} {
		res := get(tt.method, tt.ifNoneMatch)
		body := new(strings.Builder)
		if _, err := body.WriteString(readAll(t, res)); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != tt.status || tt.size >= 0 && body.Len() != tt.size {
			t.Errorf("%s %s: status %d, %d bytes", tt.method, tt.ifNoneMatch, res.StatusCode, body.Len())
		}
		if tt.status < 400 && (res.Header.Get("ETag") != tag || res.Header.Get("Cache-Control") != "public, max-age=60") {
			t.Errorf("%s %s: headers %v", tt.method, tt.ifNoneMatch, res.Header)
		}
		if tt.status == 405 && res.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("Allow: %q", res.Header.Get("Allow"))
		}
		if strings.Contains(body.String(), "attacker") {
			t.Errorf("the card repeats the Host: %s", body)
		}
	}
}

func TestCardsThatCannotBeServed(t *testing.T) {
	t.Parallel()
	e := binding.NewEdge(binding.Options{})
	good := &a2a.AgentCard{Name: "x"}
	for name, tt := range map[string]struct {
		card *a2a.AgentCard
		url  string
	}{
		"no card":        {nil, "http://x"},
		"no name":        {&a2a.AgentCard{}, "http://x"},
		"no scheme":      {good, "x:8080"},
		"no host":        {good, "http:///a"},
		"another scheme": {good, "ftp://x"},
		"a password":     {good, "http://u:p@x"},
		"a query":        {good, "http://x?y"},
	} {
		if _, err := binding.NewCard(e, "", tt.card, binding.CardOptions{PublicURL: tt.url}); err == nil || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheCardOfANamedAgentNamesItEverywhere(t *testing.T) {
	t.Parallel()
	var base string
	b, err := binding.RenderCard("billing", testCard(), binding.CardOptions{
		PublicURL: "https://agents.example", GRPC: "agents.example:443",
		Render: func(c *a2a.AgentCard, at string) ([]byte, error) {
			base = at
			return json.Marshal(c.SupportedInterfaces)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []a2a.AgentInterface
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want := []a2a.AgentInterface{
		{URL: "https://agents.example", ProtocolBinding: "JSONRPC", ProtocolVersion: "1.0", Tenant: "billing"},
		{URL: "https://agents.example", ProtocolBinding: "HTTP+JSON", ProtocolVersion: "1.0", Tenant: "billing"},
		{URL: "agents.example:443", ProtocolBinding: "GRPC", ProtocolVersion: "1.0", Tenant: "billing"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if base != "https://agents.example/agents/billing" {
		t.Errorf("the agent by itself is at %q", base)
	}
}

func TestCardsOfAServer(t *testing.T) {
	t.Parallel()
	find := func(_ context.Context, name string) (*a2a.AgentCard, error) {
		if name != "found" {
			return nil, errors.New("no such agent")
		}
		return &a2a.AgentCard{Name: "Found"}, nil
	}
	e := binding.NewEdge(binding.Options{})
	cards, err := binding.NewCards(e, binding.CardOptions{PublicURL: "http://x/"}, find,
		binding.Named{Name: "b", Card: &a2a.AgentCard{Name: "B", Description: "two", Version: "2"}}, binding.Named{Card: &a2a.AgentCard{Name: "A"}})
	if err != nil {
		t.Fatal(err)
	}
	get := func(serve func(http.ResponseWriter, *http.Request)) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		serve(w, httptest.NewRequest("GET", "/", nil))
		return w
	}
	for name, want := range map[string]string{"": "A", "b": "B", "found": "Found", "other": "", "tasks": ""} {
		w := get(func(w http.ResponseWriter, r *http.Request) { cards.Serve(w, r, name) })
		var card a2a.AgentCard
		if err := json.Unmarshal(w.Body.Bytes(), &card); err != nil || card.Name != want || (want == "") != (w.Code == 404) {
			t.Errorf("%q: %d %s (%v)", name, w.Code, w.Body, err)
		}
	}
	want := `{"agents":[{"tenant":"","name":"A","description":"","version":"","url":"http://x","cardUrl":"http://x/.well-known/agent-card.json"},` +
		`{"tenant":"b","name":"B","description":"two","version":"2","url":"http://x/agents/b","cardUrl":"http://x/agents/b/.well-known/agent-card.json"}]}`
	if w := get(cards.ServeIndex); w.Body.String() != want {
		t.Errorf("%s", w.Body)
	}
}
