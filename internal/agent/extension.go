// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"slices"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// announce returns a copy of a card that names the extensions of the server
// too, unless the card does so itself: an agent may require one of them.
func announce(card *a2a.AgentCard) *a2a.AgentCard {
	c := *card
	c.Capabilities.Extensions = slices.Clone(c.Capabilities.Extensions)
	for _, own := range task.Extensions() {
		if !slices.ContainsFunc(c.Capabilities.Extensions, func(e a2a.AgentExtension) bool { return e.URI == own.URI }) {
			c.Capabilities.Extensions = append(c.Capabilities.Extensions, own)
		}
	}
	return &c
}

// PublicCard is the card that anybody may read.
func (a *Agent) PublicCard() *a2a.AgentCard {
	c := *a.Card
	c.Capabilities.ExtendedAgentCard = a.ExtendedCard != nil
	return &c
}

// Activate tells which of the extensions that a caller asks for are active, in
// the order of the card. It refuses a caller that does not ask for one that
// the card requires (3.3.4).
func (a *Agent) Activate(requested []string) ([]string, error) {
	var active []string
	for _, e := range a.Card.Capabilities.Extensions {
		switch {
		case slices.Contains(requested, e.URI):
			active = append(active, e.URI)
		case e.Required:
			err := task.Errorf(a2a.ErrExtensionSupportRequired, "this agent requires the extension %s: name it in A2A-Extensions", e.URI)
			err.Meta = map[string]string{"extension": e.URI}
			return nil, err
		}
	}
	return active, nil
}
