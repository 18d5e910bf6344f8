// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/spf13/cobra"

	"github.com/errand-a2a/errand/internal/client"
)

func (r *run) cardGetCommand() *cobra.Command {
	var validate bool
	c := &cobra.Command{
		Use: "get", Short: "Show an agent's card", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.cardGet(cmd.Context(), validate) },
	}
	c.Flags().BoolVar(&validate, "validate", false, "fail if the card lacks what A2A 1.0 requires")
	return c
}

func (r *run) cardGet(parent context.Context, validate bool) error {
	ctx, cancel := r.deadline(parent, unaryTimeout)
	defer cancel()
	card, _, err := r.resolve(ctx)
	if err != nil {
		return err
	}
	if validate {
		if missing := card.Validate(); len(missing) > 0 {
			return &failure{
				Code: codeCardInvalid, Exit: exitFailure,
				Message: fmt.Sprintf("the card at %s is invalid: %s", card.Source, strings.Join(missing, "; ")),
				Hint:    "see it with: " + r.command("card get", "", "-o json"),
			}
		}
	}
	if r.json() {
		return r.writeJSON(card.Raw)
	}
	t := r.text()
	t.card(card)
	if validate {
		t.field("Valid", "yes")
	}
	return r.write(t)
}

func (t *text) card(c *client.Card) {
	t.field("Name", c.Name)
	t.optional("Description", c.Description)
	t.field("Version", c.Version)
	if c.Provider != nil {
		t.field("Provider", strings.TrimSpace(c.Provider.Org+" "+c.Provider.URL))
	}
	t.optional("Documentation", c.DocumentationURL)
	for _, in := range c.SupportedInterfaces {
		line := fmt.Sprintf("%s %s %s", in.ProtocolBinding, in.ProtocolVersion, in.URL)
		if in.Tenant != "" {
			line += " (tenant " + in.Tenant + ")"
		}
		t.field("Interface", line)
	}
	t.field("Streaming", yes(c.Capabilities.Streaming))
	t.field("Push notifications", yes(c.Capabilities.PushNotifications))
	t.field("Extended card", yes(c.Capabilities.ExtendedAgentCard))
	for _, e := range c.Capabilities.Extensions {
		line := e.URI
		if e.Required {
			line += " (required)"
		}
		t.field("Extension", line)
	}
	t.optional("Input modes", strings.Join(c.DefaultInputModes, ", "))
	t.optional("Output modes", strings.Join(c.DefaultOutputModes, ", "))
	for _, name := range slices.Sorted(maps.Keys(c.SecuritySchemes)) {
		t.field("Security", string(name)+": "+scheme(c.SecuritySchemes[name]))
	}
	signatures := "absent"
	if n := len(c.Signatures); n > 0 {
		signatures = fmt.Sprintf("%d, unverified (errand does not verify them)", n)
	}
	t.field("Signatures", signatures)
	for _, s := range c.Skills {
		t.field("Skill", s.ID+": "+s.Name)
		t.optional("Skill description", s.Description)
		if t.verbose {
			t.optional("Skill tags", strings.Join(s.Tags, ", "))
			for _, e := range s.Examples {
				t.field("Skill example", e)
			}
		}
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func scheme(s a2a.SecurityScheme) string {
	switch s := s.(type) {
	case a2a.APIKeySecurityScheme:
		return fmt.Sprintf("API key in %s %s", s.Location, s.Name)
	case a2a.HTTPAuthSecurityScheme:
		return "HTTP " + s.Scheme
	case a2a.OAuth2SecurityScheme:
		return "OAuth 2"
	case a2a.OpenIDConnectSecurityScheme:
		return "OpenID Connect " + s.OpenIDConnectURL
	case a2a.MutualTLSSecurityScheme:
		return "mutual TLS"
	}
	return "unknown"
}
