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

// NewCard renders a card. What the server decides replaces what the agent says:
// the interfaces, from the public URL and never from a request's Host, and the
// capabilities, of which those that are not served are off. Signatures are
// dropped, since they would be about another card.
func NewCard(e *Edge, card *a2a.AgentCard, publicURL string) (*Card, error) {
	base, err := checkURL(publicURL)
	if err != nil {
		return nil, err
	}
	if card == nil || card.Name == "" {
		return nil, errors.New("agent card: a name is required")
	}
	for _, ext := range card.Capabilities.Extensions {
		if ext.Required {
			return nil, fmt.Errorf("agent card: extension %s is required, and nobody would check that callers support it", ext.URI)
		}
	}
	c := *card
	c.SupportedInterfaces = []*a2a.AgentInterface{
		a2a.NewAgentInterface(base, a2a.TransportProtocolJSONRPC),
		a2a.NewAgentInterface(base, a2a.TransportProtocolHTTPJSON),
	}
	c.Capabilities = a2a.AgentCapabilities{Streaming: true, Extensions: card.Capabilities.Extensions}
	c.Signatures = nil
	c.DefaultInputModes = orText(c.DefaultInputModes)
	c.DefaultOutputModes = orText(c.DefaultOutputModes)
	c.Skills = append([]a2a.AgentSkill{}, c.Skills...) // ProtoJSON has no null in place of a list
	for i := range c.Skills {
		c.Skills[i].Tags = append([]string{}, c.Skills[i].Tags...)
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("agent card: %w", err)
	}
	sum := sha256.Sum256(b)
	return &Card{json: b, etag: []string{`"` + hex.EncodeToString(sum[:16]) + `"`}, edge: e}, nil
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

// JSON returns the card's bytes, for those who check or sign them.
func (c *Card) JSON() []byte { return bytes.Clone(c.json) }

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
