// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/rs/cors"

	"github.com/errand-a2a/errand/internal/binding"
)

// corsAge is how long, in seconds, a browser may keep the answer to a preflight.
const corsAge = 600

// withCORS lets pages of the given origins call the server, and no others: a
// browser refuses what is not allowed here. Cookies are not allowed along, so
// that a page needs the credentials themselves.
func withCORS(origins []string, next http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete},
		AllowedHeaders: []string{
			"Accept", "A2A-Extensions", "A2A-Version", "Authorization", "Cache-Control", "Content-Type", "Idempotency-Key",
			"Last-Event-ID", "Traceparent", "Tracestate", binding.RequestID,
		},
		ExposedHeaders:       []string{"A2A-Extensions", "ETag", "Retry-After", binding.RequestID},
		MaxAge:               corsAge,
		OptionsSuccessStatus: http.StatusNoContent,
	}).Handler(next)
}

// CheckOrigins wants origins as browsers send them, or * alone.
func CheckOrigins(origins []string) error {
	for _, o := range origins {
		if o == "*" && len(origins) == 1 {
			continue
		}
		u, err := url.Parse(o)
		if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || strings.Contains(o, "*") {
			return fmt.Errorf("origin %q: want scheme://host[:port] as browsers send it, or * alone for all", o)
		}
	}
	return nil
}
