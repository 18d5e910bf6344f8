// SPDX-License-Identifier: Apache-2.0

package v03_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2aclient/agentcard"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	"github.com/google/go-cmp/cmp"

	"github.com/errand-a2a/errand/internal/binding/v03"
)

// fullCard has something in every place that the two versions write differently.
func fullCard() *a2a.AgentCard {
	need := a2a.SecurityRequirementsOptions{{"oauth": {"read", "write"}, "key": {}}}
	return &a2a.AgentCard{
		Name: "full", Description: "d", Version: "1", DefaultInputModes: []string{"text/plain"}, DefaultOutputModes: []string{"text/plain"},
		SupportedInterfaces: []*a2a.AgentInterface{
			a2a.NewAgentInterface("https://x", a2a.TransportProtocolJSONRPC), a2a.NewAgentInterface("x:443", a2a.TransportProtocolGRPC),
		},
		Capabilities: a2a.AgentCapabilities{Streaming: true, ExtendedAgentCard: true, Extensions: []a2a.AgentExtension{{URI: "urn:e"}}},
		SecuritySchemes: a2a.NamedSecuritySchemes{
			"key":  a2a.APIKeySecurityScheme{Name: "X-Key", Location: a2a.APIKeySecuritySchemeLocationHeader, Description: "k"},
			"http": a2a.HTTPAuthSecurityScheme{Scheme: "Bearer", BearerFormat: "JWT"},
			"oidc": a2a.OpenIDConnectSecurityScheme{OpenIDConnectURL: "https://o"},
			"mtls": a2a.MutualTLSSecurityScheme{Description: "m"},
			"oauth": a2a.OAuth2SecurityScheme{Flows: a2a.ClientCredentialsOAuthFlow{
				TokenURL: "https://t", Scopes: map[string]string{"read": "r", "write": "w"},
			}},
		},
		SecurityRequirements: need,
		Skills:               []a2a.AgentSkill{{ID: "s", Name: "s", Description: "d", Tags: []string{"t"}, SecurityRequirements: need}},
	}
}

func render(t *testing.T, card *a2a.AgentCard, base string) []byte {
	t.Helper()
	b, err := v03.RenderCard(card, base)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestACardOfBothVersionsReadsAsTheCardOf10(t *testing.T) {
	t.Parallel()
	card := fullCard()
	var got a2a.AgentCard
	if err := json.Unmarshal(render(t, card, "https://x/agents/full"), &got); err != nil {
		t.Fatal(err)
	}
	for i, want := range card.SupportedInterfaces {
		if *got.SupportedInterfaces[i] != *want {
			t.Errorf("interface %d is %+v, want %+v", i, got.SupportedInterfaces[i], want)
		}
	}
	for _, older := range got.SupportedInterfaces[len(card.SupportedInterfaces):] {
		if older.ProtocolVersion != a2av0.Version {
			t.Errorf("further interface %+v", older)
		}
	}
	got.SupportedInterfaces = card.SupportedInterfaces
	if diff := cmp.Diff(card, &got); diff != "" {
		t.Error(diff)
	}
}

// older is the type that a2a-go v0.3 reads a card as. Its module is no direct
// dependency, so the type is named by a function of the SDK that returns it.
func TestACardOfBothVersionsReadsAsACardOf03(t *testing.T) {
	t.Parallel()
	older := a2av0.FromV1AgentCard(&a2a.AgentCard{})
	if err := json.Unmarshal(render(t, fullCard(), "https://x/agents/full"), older); err != nil {
		t.Fatal(err)
	}
	if older.URL != "https://x/agents/full" || older.PreferredTransport != "JSONRPC" || older.ProtocolVersion != "0.3.0" ||
		!older.SupportsAuthenticatedExtendedCard || !older.Capabilities.Streaming || len(older.Capabilities.Extensions) != 1 {
		t.Errorf("%+v", older)
	}
	var interfaces []string
	for _, i := range older.AdditionalInterfaces {
		interfaces = append(interfaces, string(i.Transport)+" "+i.URL)
	}
	want := []string{"JSONRPC https://x/agents/full", "HTTP+JSON https://x/agents/full", "GRPC x:443"}
	if diff := cmp.Diff(want, interfaces); diff != "" {
		t.Error(diff)
	}
	if len(older.SecuritySchemes) != 5 || len(older.Security) != 1 || len(older.Skills[0].Security) != 1 {
		t.Errorf("schemes %+v, security %+v, skills %+v", older.SecuritySchemes, older.Security, older.Skills)
	}
	again, err := json.Marshal(older)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"in":"header"`, `"bearerFormat":"JWT"`, `"openIdConnectUrl":"https://o"`, `"type":"mutualTLS"`, `"tokenUrl":"https://t"`,
		`"security":[{"key":[],"oauth":["read","write"]}]`,
	} {
		if !strings.Contains(string(again), want) {
			t.Errorf("what 0.3 has read lacks %s:\n%s", want, again)
		}
	}
}

// An agent that requests name by their tenant is not reached by gRPC of 0.3.
func TestAnAgentWithANameHasNoGRPCOf03(t *testing.T) {
	t.Parallel()
	card := fullCard()
	for _, i := range card.SupportedInterfaces {
		i.Tenant = "full"
	}
	var got a2a.AgentCard
	if err := json.Unmarshal(render(t, card, "https://x/agents/full"), &got); err != nil {
		t.Fatal(err)
	}
	for _, i := range got.SupportedInterfaces {
		if i.ProtocolVersion == a2av0.Version && (i.ProtocolBinding == a2a.TransportProtocolGRPC || i.Tenant != "") {
			t.Errorf("interface %+v", i)
		}
	}
}

func TestASchemeThatIsUnknownIsNotServed(t *testing.T) {
	t.Parallel()
	card := fullCard()
	card.SecuritySchemes = a2a.NamedSecuritySchemes{"x": nil}
	if b, err := v03.RenderCard(card, "https://x"); err == nil {
		t.Errorf("rendered %s", b)
	}
}

// What the SDK's clients make of the served card: those that know 1.0 speak it,
// those that know 0.3 alone speak that.
func TestClientsChooseTheirVersionByTheCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"", "/agents/twin"} {
		resolver := agentcard.Resolver{Client: w.http}
		modern, err := resolver.Resolve(t.Context(), w.url+path)
		if err != nil {
			t.Fatal(err)
		}
		resolver.CardParser = a2av0.NewAgentCardParser()
		both, err := resolver.Resolve(t.Context(), w.url+path)
		if err != nil {
			t.Fatal(err)
		}
		if modern.SupportedInterfaces[0].ProtocolVersion != a2a.Version {
			t.Errorf("the first interface of the card is %+v", modern.SupportedInterfaces[0])
		}
		seen := &versions{next: w.http.Transport}
		client := &http.Client{Transport: seen}
		older := a2av0.JSONRPCTransportConfig{Client: client}
		for what, tt := range map[string]struct {
			card    *a2a.AgentCard
			options []a2aclient.FactoryOption
			method  string
		}{
			"1.0 alone": {modern, []a2aclient.FactoryOption{a2aclient.WithDefaultsDisabled(), a2aclient.WithJSONRPCTransport(client)}, "SendMessage"},
			"both":      {both, []a2aclient.FactoryOption{a2aclient.WithDefaultsDisabled(), a2aclient.WithJSONRPCTransport(client), a2av0.WithJSONRPCTransport(older)}, "SendMessage"},
			"0.3 alone": {both, []a2aclient.FactoryOption{a2aclient.WithDefaultsDisabled(), a2av0.WithJSONRPCTransport(older)}, "message/send"},
		} {
			c, err := a2aclient.NewFactory(tt.options...).CreateFromCard(t.Context(), tt.card)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			result, err := c.SendMessage(t.Context(), text("echo x"))
			if err != nil || stateOf(result) != a2a.TaskStateCompleted {
				t.Errorf("%s at %q: %+v, error %v", what, path, result, err)
			}
			if got := seen.last(); got != tt.method {
				t.Errorf("%s at %q sends %s, want %s", what, path, got, tt.method)
			}
		}
	}
}
