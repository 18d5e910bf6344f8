// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// foreign is what foreign.html reports: of every attempt what came of it, or
// how the browser refused it.
type foreign struct {
	Read  string `json:"read"`
	Send  string `json:"send"`
	Watch string `json:"watch"`
}

func TestABrowserAndAPageOfAnotherOrigin(t *testing.T) {
	t.Parallel()
	blocked := foreign{Read: "TypeError", Send: "TypeError", Watch: "closed"}
	allowed := foreign{Read: "TASK_STATE_INPUT_REQUIRED", Send: "TASK_STATE_COMPLETED", Watch: "task"}
	page, otherPage := newOrigin(t), newOrigin(t)
	tests := []struct {
		name  string
		flags []string
		want  foreign
	}{
		{"is kept out when no origin is allowed", nil, blocked},
		{"is let in when its origin is allowed", []string{"--cors-origin", page}, allowed},
		{"is let in when its origin is one of several", []string{"--cors-origin", otherPage, "--cors-origin", page}, allowed},
		{"is kept out when only another origin is allowed", []string{"--cors-origin", otherPage}, blocked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, tt.flags...)
			id := finish(t, s.url(), "ask")
			query := url.Values{"agent": {s.url()}, "task": {id}}
			if got := browse[foreign](t, page+"/page?"+query.Encode()); got != tt.want {
				t.Errorf("the page got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// newOrigin serves the page under a port of its own, and so an origin.
func newOrigin(t *testing.T) string {
	t.Helper()
	html := contents(t, "testdata/foreign.html")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/page" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(html)
	}))
	t.Cleanup(s.Close)
	return s.URL
}
