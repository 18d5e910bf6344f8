// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/errand-a2a/errand/internal/binding"
)

// Ready tells whether requests can be served now.
type Ready func(context.Context) error

// NotReady is an error of Ready whose text may be shown: a word or two, as in
// "store unreachable". The text of other errors is not.
type NotReady string

func (e NotReady) Error() string { return string(e) }

// livez says that the process answers. It looks at nothing else: what restarts
// processes must not do so because a database is away.
func (h *router) livez(w http.ResponseWriter, r *http.Request) {
	if h.asked(w, r) {
		h.Edge.Write(w, http.StatusOK, binding.JSON, []byte(`{"status":"ok"}`))
	}
}

func (h *router) readyz(w http.ResponseWriter, r *http.Request) {
	if !h.asked(w, r) {
		return
	}
	if h.Ready == nil {
		h.Edge.Write(w, http.StatusOK, binding.JSON, []byte(`{"status":"ready"}`))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.ReadyTimeout)
	defer cancel()
	err := h.Ready(ctx)
	if err == nil {
		h.Edge.Write(w, http.StatusOK, binding.JSON, []byte(`{"status":"ready"}`))
		return
	}
	h.Log.DebugContext(r.Context(), "not ready", "error", err)
	body, err := json.Marshal(map[string]string{"status": "not ready", "reason": reason(err)})
	if err != nil { // two strings: it cannot be
		body = []byte(`{"status":"not ready"}`)
	}
	w.Header().Set("Retry-After", "1")
	h.Edge.Write(w, http.StatusServiceUnavailable, binding.JSON, body)
}

func reason(err error) string {
	var shown NotReady
	switch {
	case errors.As(err, &shown):
		return string(shown)
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "error"
}

func (h *router) asked(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	h.Edge.NotAllowed(w, r, "GET, HEAD")
	return false
}
