// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// The paths of agents by name, below the base path, and of a card below an
// agent's own (8.2).
const (
	agentsPath = "/agents/"
	CardPath   = "/.well-known/agent-card.json"
)

// Named is an agent's card with the name of the agent.
type Named struct {
	Name string
	Card *a2a.AgentCard
}

// Cards are the cards of a server: those of its fixed agents, rendered once,
// and those that are found when they are asked for.
type Cards struct {
	edge  *Edge
	o     CardOptions
	fixed map[string]*Card
	index []byte
	find  func(ctx context.Context, name string) (*a2a.AgentCard, error)
}

// NewCards renders the cards of fixed agents. find looks for others; nil: there
// are none.
func NewCards(e *Edge, o CardOptions, find func(ctx context.Context, name string) (*a2a.AgentCard, error), fixed ...Named) (*Cards, error) {
	c := &Cards{edge: e, o: o, fixed: make(map[string]*Card, len(fixed)), find: find}
	base, err := checkURL(o.PublicURL)
	if err != nil {
		return nil, err
	}
	for _, f := range fixed {
		if c.fixed[f.Name], err = NewCard(e, f.Name, f.Card, o); err != nil {
			return nil, fmt.Errorf("agent %q: %w", f.Name, err)
		}
	}
	c.index, err = index(base, fixed)
	return c, err
}

// Agent is an entry of the index of agents.
type Agent struct {
	// Tenant is what requests name the agent by; the default agent's is empty.
	Tenant      string `json:"tenant"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Version     string `json:"version"`
	// URL is the base path of the agent by itself, CardURL that of its card.
	URL     string `json:"url"`
	CardURL string `json:"cardUrl"`
}

func index(base string, fixed []Named) ([]byte, error) {
	list := []Agent{}
	for _, f := range fixed {
		at := base
		if f.Name != "" {
			at += agentsPath + f.Name
		}
		list = append(list, Agent{
			Tenant: f.Name, Name: f.Card.Name, Description: f.Card.Description, Version: f.Card.Version, URL: at, CardURL: at + CardPath,
		})
	}
	slices.SortFunc(list, func(a, b Agent) int { return cmp.Compare(a.Tenant, b.Tenant) })
	b, err := json.Marshal(map[string]any{"agents": list})
	if err != nil {
		return nil, fmt.Errorf("index of agents: %w", err)
	}
	return b, nil
}

// Serve answers with the card of an agent.
func (c *Cards) Serve(w http.ResponseWriter, r *http.Request, name string) {
	if card, ok := c.fixed[name]; ok {
		card.ServeHTTP(w, r)
		return
	}
	if name != "" && c.find != nil && task.CheckRoute(name) == nil {
		if found, err := c.find(r.Context(), name); err == nil {
			card, err := NewCard(c.edge, name, found, c.o)
			if err != nil {
				c.edge.Refuse(w, r, err)
				return
			}
			card.ServeHTTP(w, r)
			return
		}
	}
	c.edge.Refuse(w, r, task.Errorf(ErrNoSuchPath, "there is no agent here; GET %s lists those that there are", "/agents"))
}

// ServeIndex answers with the list of the fixed agents.
func (c *Cards) ServeIndex(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		c.edge.NotAllowed(w, r, "GET, HEAD")
		return
	}
	w.Header()["Cache-Control"] = []string{"public, max-age=60"}
	c.edge.Write(w, http.StatusOK, JSON, c.index)
}
