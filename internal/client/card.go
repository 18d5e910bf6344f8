// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// WellKnownPath is where an origin publishes its agent's card.
const WellKnownPath = "/.well-known/agent-card.json"

const maxCard = 1 << 20

// Card is an agent card with the bytes it was read from.
type Card struct {
	*a2a.AgentCard
	Raw json.RawMessage
	// Source is the URL or path the card was read from.
	Source string
}

// Resolve reads the card that ref names: a host or origin, a card's URL, a
// path, or a file:// URL. It sends no credentials. It fails with a *CardError,
// an *UnreachableError or a *TimeoutError.
func Resolve(ctx context.Context, hc *http.Client, ref string) (*Card, error) {
	loc, err := parseRef(ref)
	if err != nil {
		return nil, &CardError{Ref: ref, Err: err}
	}
	var raw []byte
	if loc.path != "" {
		raw, err = readCardFile(loc.path)
	} else {
		raw, err = fetchCard(ctx, hc, loc.url)
	}
	if err != nil {
		return nil, err
	}
	return ParseCard(raw, loc.url+loc.path)
}

// ParseCard decodes a card and checks what a client cannot do without.
func ParseCard(raw []byte, source string) (*Card, error) {
	invalid := func(err error) error { return &CardError{Ref: source, Invalid: true, Err: err} }
	var card a2a.AgentCard
	if err := json.Unmarshal(raw, &card); err != nil {
		return nil, invalid(fmt.Errorf("decode: %w", err))
	}
	if len(card.SupportedInterfaces) == 0 {
		var old struct {
			URL             string `json:"url"`
			ProtocolVersion string `json:"protocolVersion"`
		}
		if json.Unmarshal(raw, &old) == nil && old.URL != "" {
			return nil, invalid(fmt.Errorf("it is a card of A2A %s; this client speaks 1.0", cmp.Or(old.ProtocolVersion, "0.x")))
		}
		return nil, invalid(errors.New("supportedInterfaces is empty"))
	}
	for i, in := range card.SupportedInterfaces {
		if in == nil {
			return nil, invalid(fmt.Errorf("supportedInterfaces[%d] is null", i))
		}
	}
	return &Card{AgentCard: &card, Raw: raw, Source: source}, nil
}

// Validate returns what the schema of A2A 1.0 requires and the card lacks.
func (c *Card) Validate() []string {
	var missing []string
	require := func(ok bool, what string) {
		if !ok {
			missing = append(missing, what)
		}
	}
	require(c.Name != "", "name is empty")
	require(c.Description != "", "description is empty")
	require(c.Version != "", "version is empty")
	require(len(c.DefaultInputModes) > 0, "defaultInputModes is empty")
	require(len(c.DefaultOutputModes) > 0, "defaultOutputModes is empty")
	require(len(c.Skills) > 0, "skills is empty")
	for i, s := range c.Skills {
		require(s.ID != "" && s.Name != "" && s.Description != "", fmt.Sprintf("skills[%d] lacks id, name or description", i))
		require(len(s.Tags) > 0, fmt.Sprintf("skills[%d].tags is empty", i))
	}
	for i, in := range c.SupportedInterfaces {
		u, err := url.Parse(in.URL)
		require(err == nil && u.IsAbs(), fmt.Sprintf("supportedInterfaces[%d].url is not an absolute URL", i))
		require(in.ProtocolBinding != "", fmt.Sprintf("supportedInterfaces[%d].protocolBinding is empty", i))
		require(in.ProtocolVersion != "", fmt.Sprintf("supportedInterfaces[%d].protocolVersion is empty", i))
	}
	for _, req := range c.SecurityRequirements {
		for name := range req {
			_, known := c.SecuritySchemes[name]
			require(known, fmt.Sprintf("securityRequirements names %q, which securitySchemes lacks", name))
		}
	}
	return missing
}

// choose picks the interface: the first preferred binding that the card offers,
// otherwise the first one of the card that this client speaks.
func (c *Card) choose(prefer []a2a.TransportProtocol) (*a2a.AgentInterface, error) {
	for _, p := range prefer {
		for _, in := range c.SupportedInterfaces {
			if in.ProtocolBinding == p && spoken(in) {
				return in, nil
			}
		}
	}
	var e InterfaceError
	for _, in := range c.SupportedInterfaces {
		if spoken(in) {
			return in, nil
		}
		e.Offered = append(e.Offered, strings.TrimSpace(string(in.ProtocolBinding)+" "+string(in.ProtocolVersion)))
		e.Version = e.Version || spokenBinding(in.ProtocolBinding)
	}
	return nil, &e
}

func spokenBinding(b a2a.TransportProtocol) bool {
	return slices.Contains([]a2a.TransportProtocol{a2a.TransportProtocolJSONRPC, a2a.TransportProtocolHTTPJSON}, b)
}

// spoken accepts every 1.x: minor versions only add.
func spoken(in *a2a.AgentInterface) bool {
	v := string(in.ProtocolVersion)
	return spokenBinding(in.ProtocolBinding) && (v == "" || v == "1" || strings.HasPrefix(v, "1."))
}

func readCardFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &CardError{Ref: path, Err: err}
	}
	defer func() { _ = f.Close() }()
	raw, err := readBounded(f, maxCard)
	if err != nil {
		return nil, &CardError{Ref: path, Invalid: errors.Is(err, errTooLarge), Err: err}
	}
	return raw, nil
}

func fetchCard(ctx context.Context, hc *http.Client, u string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, &CardError{Ref: u, Err: err}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set(a2a.SvcParamVersion, string(a2a.Version))
	resp, err := hc.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, contextError(ctx)
		}
		return nil, &UnreachableError{URL: u, Err: innerError(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
		return nil, &CardError{Ref: u, Err: fmt.Errorf("the server answered %s", resp.Status)}
	}
	raw, err := readBounded(resp.Body, maxCard)
	switch {
	case err == nil:
		return raw, nil
	case ctx.Err() != nil:
		return nil, contextError(ctx)
	case errors.Is(err, errTooLarge):
		return nil, &CardError{Ref: u, Invalid: true, Err: err}
	}
	return nil, &UnreachableError{URL: u, Sent: true, Err: err}
}

// innerError drops the method and URL that net/http prefixes: our errors name them.
func innerError(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

var errTooLarge = errors.New("it exceeds the limit")

func readBounded(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%w of %d bytes", errTooLarge, limit)
	}
	return b, nil
}
