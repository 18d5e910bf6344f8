// SPDX-License-Identifier: Apache-2.0

package client

import (
	"maps"
	"net/http"
	"slices"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// DefaultAPIKeyHeader carries an API key where the card declares no place for one.
const DefaultAPIKeyHeader = "X-API-Key"

// Credentials are what a caller may present. Empty ones are not sent.
type Credentials struct{ Bearer, APIKey string }

// authorizer knows where the agent wants which credential.
type authorizer struct {
	creds Credentials
	place a2a.APIKeySecurityScheme
}

// newAuthorizer reads the place of an API key from the card: of a scheme that a
// requirement names if there is one, otherwise of any declared.
func newAuthorizer(card *Card, creds Credentials) authorizer {
	var names []a2a.SecuritySchemeName
	for _, req := range card.SecurityRequirements {
		names = append(names, slices.Sorted(maps.Keys(req))...)
	}
	names = append(names, slices.Sorted(maps.Keys(card.SecuritySchemes))...)
	for _, n := range names {
		if s, ok := card.SecuritySchemes[n].(a2a.APIKeySecurityScheme); ok && s.Name != "" {
			return authorizer{creds: creds, place: s}
		}
	}
	return authorizer{creds: creds, place: a2a.APIKeySecurityScheme{
		Location: a2a.APIKeySecuritySchemeLocationHeader, Name: DefaultAPIKeyHeader,
	}}
}

func (a authorizer) apply(req *http.Request) {
	if a.creds.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+a.creds.Bearer)
	}
	if a.creds.APIKey == "" {
		return
	}
	switch a.place.Location {
	case a2a.APIKeySecuritySchemeLocationQuery:
		q := req.URL.Query()
		q.Set(a.place.Name, a.creds.APIKey)
		req.URL.RawQuery = q.Encode()
	case a2a.APIKeySecuritySchemeLocationCookie:
		req.AddCookie(&http.Cookie{Name: a.place.Name, Value: a.creds.APIKey})
	default:
		req.Header.Set(a.place.Name, a.creds.APIKey)
	}
}
