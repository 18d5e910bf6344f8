// SPDX-License-Identifier: Apache-2.0

package v03

import (
	"encoding/json"
	"fmt"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
)

// fullVersion is how cards of 0.3 write their version.
const fullVersion = "0.3.0"

// unionCard is a card for clients of both versions: the members of 1.0, and
// beside them those of 0.3 that 1.0 dropped or moved.
type unionCard struct {
	*a2a.AgentCard
	SupportedInterfaces []*a2a.AgentInterface     `json:"supportedInterfaces"`
	Skills              []unionSkill              `json:"skills"`
	SecuritySchemes     map[string]map[string]any `json:"securitySchemes,omitempty"`

	ProtocolVersion      string                                   `json:"protocolVersion"`
	URL                  string                                   `json:"url"`
	PreferredTransport   a2a.TransportProtocol                    `json:"preferredTransport"`
	AdditionalInterfaces []olderInterface                         `json:"additionalInterfaces"`
	Security             []map[a2a.SecuritySchemeName]olderScopes `json:"security,omitempty"`
	ExtendedCard         bool                                     `json:"supportsAuthenticatedExtendedCard,omitempty"`
}

type unionSkill struct {
	a2a.AgentSkill
	Security []map[a2a.SecuritySchemeName]olderScopes `json:"security,omitempty"`
}

type olderInterface struct {
	URL       string                `json:"url"`
	Transport a2a.TransportProtocol `json:"transport"`
}

type olderScopes = a2a.SecuritySchemeScopes

// RenderCard makes the JSON of a card for clients of both versions. base is the
// URL of the agent by itself: requests of 0.3 cannot name an agent, so each has
// its own. gRPC has no paths, hence only the default agent is reached by it.
//
// The interfaces of 0.3 stand last in the list of 1.0, whose clients choose the
// newest version or the first entry that they know.
func RenderCard(card *a2a.AgentCard, base string) ([]byte, error) {
	older := []*a2a.AgentInterface{
		{URL: base, ProtocolBinding: a2a.TransportProtocolJSONRPC, ProtocolVersion: a2av0.Version},
		{URL: base, ProtocolBinding: a2a.TransportProtocolHTTPJSON, ProtocolVersion: a2av0.Version},
	}
	for _, i := range card.SupportedInterfaces {
		if i.ProtocolBinding == a2a.TransportProtocolGRPC && i.Tenant == "" {
			older = append(older, &a2a.AgentInterface{URL: i.URL, ProtocolBinding: i.ProtocolBinding, ProtocolVersion: a2av0.Version})
		}
	}
	u := unionCard{
		AgentCard: card, SupportedInterfaces: append(append([]*a2a.AgentInterface{}, card.SupportedInterfaces...), older...),
		Skills: []unionSkill{}, Security: olderSecurity(card.SecurityRequirements),
		ProtocolVersion: fullVersion, URL: base, PreferredTransport: older[0].ProtocolBinding,
		ExtendedCard: card.Capabilities.ExtendedAgentCard,
	}
	for _, i := range older {
		u.AdditionalInterfaces = append(u.AdditionalInterfaces, olderInterface{i.URL, i.ProtocolBinding})
	}
	for _, s := range card.Skills {
		u.Skills = append(u.Skills, unionSkill{s, olderSecurity(s.SecurityRequirements)})
	}
	var err error
	if u.SecuritySchemes, err = unionSchemes(card.SecuritySchemes); err != nil {
		return nil, err
	}
	return json.Marshal(u)
}

func olderSecurity(o a2a.SecurityRequirementsOptions) []map[a2a.SecuritySchemeName]olderScopes {
	var list []map[a2a.SecuritySchemeName]olderScopes
	for _, r := range o {
		list = append(list, r)
	}
	return list
}

// olderTypes are the types of security schemes, which 1.0 has as the name of
// the one member of a scheme and 0.3 as a member called type beside the others.
func olderType(member string) string {
	switch member {
	case "apiKeySecurityScheme":
		return "apiKey"
	case "httpAuthSecurityScheme":
		return "http"
	case "oauth2SecurityScheme":
		return "oauth2"
	case "openIdConnectSecurityScheme":
		return "openIdConnect"
	case "mtlsSecurityScheme":
		return "mutualTLS"
	}
	return ""
}

// unionSchemes puts the members of a scheme where 0.3 has them, beside the one
// member in which 1.0 has them.
func unionSchemes(schemes a2a.NamedSecuritySchemes) (map[string]map[string]any, error) {
	if len(schemes) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(schemes)
	if err != nil {
		return nil, fmt.Errorf("security schemes: %w", err)
	}
	var named map[string]map[string]any
	if err := json.Unmarshal(b, &named); err != nil {
		return nil, fmt.Errorf("security schemes: %w", err)
	}
	for name, scheme := range named {
		for member, value := range scheme {
			inner, ok := value.(map[string]any)
			if !ok || olderType(member) == "" {
				return nil, fmt.Errorf("security scheme %q: %s is unknown", name, member)
			}
			union := map[string]any{member: inner, "type": olderType(member)}
			for k, v := range inner {
				if k == "location" {
					k = "in"
				}
				union[k] = v
			}
			named[name] = union
		}
	}
	return named, nil
}
