// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/server"
)

func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	const app, evil = "https://app.example", "https://evil.example"
	for _, tt := range []struct {
		name    string
		origins []string
		local   bool
		origin  string
		want    string
		status  int
	}{
		{"are kept away by the browser where none is configured", nil, false, app, "", 200},
		{"are let in by name", []string{app}, false, app, app, 200},
		{"are not let in by another name", []string{app}, false, evil, "", 200},
		{"are all let in by a star", []string{"*"}, false, evil, "*", 200},
		{"are refused by a server for this machine", nil, true, app, "", 403},
		{"are let in by name by a server for this machine", []string{app}, true, app, app, 200},
		{"are refused by it under another name", []string{app}, true, evil, "", 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := build(t, &fake{}, binding.Options{}, server.Options{Origins: tt.origins, LoopbackOnly: tt.local})
			w := do(h, "GET", "http://127.0.0.1/tasks/t", "", "Origin", tt.origin)
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != tt.want || w.Code != tt.status {
				t.Errorf("status %d, allowed %q, want %d and %q", w.Code, got, tt.status, tt.want)
			}
			if w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Error("cookies are let along")
			}
		})
	}
}

func TestPreflightAllowsWhatClientsSend(t *testing.T) {
	t.Parallel()
	h := build(t, &fake{}, binding.Options{}, server.Options{Origins: []string{"https://app.example"}})
	ask := func(method string, headers string) *httptest.ResponseRecorder {
		return do(h, "OPTIONS", "/message:stream", "", "Origin", "https://app.example",
			"Access-Control-Request-Method", method, "Access-Control-Request-Headers", headers)
	}
	w := ask("POST", "a2a-extensions,a2a-version,authorization,content-type,idempotency-key,last-event-id")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Methods") != "POST" || !strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "last-event-id") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for _, w := range []*httptest.ResponseRecorder{ask("PUT", ""), ask("POST", "cookie2")} {
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("allowed: %v", w.Header())
		}
	}
}

func TestOriginsThatCannotWork(t *testing.T) {
	t.Parallel()
	for _, origins := range [][]string{{"app.example"}, {"https://app.example/"}, {"https://*.example"}, {"*", "https://app.example"}, {"https://u:p@x"}, {""}} {
		o := server.Options{Origins: origins}
		e := binding.NewEdge(binding.Options{Log: silent()})
		if _, err := server.New(fill(e, o)); err == nil || !strings.Contains(err.Error(), "scheme://host") {
			t.Errorf("%q: %v", origins, err)
		}
	}
}
