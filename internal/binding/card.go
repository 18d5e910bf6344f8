// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// Card is an agent card as it is served: rendered once.
type Card struct {
	json []byte
	etag []string
	edge *Edge
}

// CardOptions say how agents are reached.
type CardOptions struct {
	// PublicURL is where clients reach the server: never a request's Host.
	PublicURL string
	// GRPC is the address of the gRPC binding, as in agents.example.com:443;
	// nothing: the card names none.
	GRPC string
	// Render makes the JSON of a finished card, for clients of other versions
	// too. base is the URL of the agent by itself, for those who cannot name it
	// in a request. nil: the JSON of 1.0.
	Render func(card *a2a.AgentCard, base string) ([]byte, error)
}

// NewCard renders the card of the agent of a name. What the server decides
// replaces what the agent says: the interfaces, and the capabilities, of which
// those that are not served are off. Signatures are dropped, since they would
// be about another card.
func NewCard(e *Edge, name string, card *a2a.AgentCard, o CardOptions) (*Card, error) {
	b, err := RenderCard(name, card, o)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return &Card{json: b, etag: []string{`"` + hex.EncodeToString(sum[:16]) + `"`}, edge: e}, nil
}

// RenderCard makes the JSON of a card.
func RenderCard(name string, card *a2a.AgentCard, o CardOptions) ([]byte, error) {
	base, err := checkURL(o.PublicURL)
	if err != nil {
		return nil, err
	}
	if card == nil || card.Name == "" {
		return nil, errors.New("agent card: a name is required")
	}
	c := *card
	c.SupportedInterfaces = interfaces(base, name, o)
	c.Capabilities.Streaming, c.Capabilities.PushNotifications = true, false
	c.Signatures = nil
	c.DefaultInputModes = orText(c.DefaultInputModes)
	c.DefaultOutputModes = orText(c.DefaultOutputModes)
	c.Skills = append([]a2a.AgentSkill{}, c.Skills...) // ProtoJSON has no null in place of a list
	for i := range c.Skills {
		c.Skills[i].Tags = append([]string{}, c.Skills[i].Tags...)
	}
	render := o.Render
	if render == nil {
		render = func(c *a2a.AgentCard, _ string) ([]byte, error) { return json.Marshal(c) }
	}
	if name != "" {
		base += agentsPath + name
	}
	b, err := render(&c, base)
	if err != nil {
		return nil, fmt.Errorf("agent card: %w", err)
	}
	return b, nil
}

// interfaces lists the bindings. The agent is named by the wire's tenant, which
// clients echo with every request; the paths of all agents are the same.
func interfaces(base, name string, o CardOptions) []*a2a.AgentInterface {
	list := []*a2a.AgentInterface{
		a2a.NewAgentInterface(base, a2a.TransportProtocolJSONRPC),
		a2a.NewAgentInterface(base, a2a.TransportProtocolHTTPJSON),
	}
	if o.GRPC != "" {
		list = append(list, a2a.NewAgentInterface(o.GRPC, a2a.TransportProtocolGRPC))
	}
	for _, i := range list {
		i.Tenant = name
	}
	return list
}

func orText(modes []string) []string {
	if len(modes) == 0 {
		return []string{"text/plain"}
	}
	return slices.Clone(modes)
}

// checkURL returns the URL without a slash at its end: clients put paths behind it.
func checkURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", fmt.Errorf("public URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("public URL %q: want http(s)://host[:port][/path]", u.Redacted())
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// ServeHTTP answers GET and HEAD, conditional ones too (8.6).
func (c *Card) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		c.edge.NotAllowed(w, r, "GET, HEAD")
		return
	}
	h := w.Header()
	h["Content-Type"] = []string{JSON}
	h["Cache-Control"] = []string{"public, max-age=60"}
	h["Etag"] = c.etag
	c.edge.renew(http.NewResponseController(w))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(c.json))
}
