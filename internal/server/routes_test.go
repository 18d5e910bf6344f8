// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/binding/jsonrpc"
	"github.com/errand-a2a/errand/internal/binding/rest"
	"github.com/errand-a2a/errand/internal/server"
)

func TestAgentsByNameAreServed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, method, target, body string }{
		{"by the wire's tenant over JSON-RPC", "POST", "/", rpc("GetTask", `{"id":"t","tenant":"helper"}`)},
		{"by the alias over JSON-RPC", "POST", "/agents/helper", rpc("GetTask", `{"id":"t"}`)},
		{"by the alias with a slash", "POST", "/agents/helper/", rpc("GetTask", `{"id":"t"}`)},
		{"by both, when they agree", "POST", "/agents/helper", rpc("GetTask", `{"id":"t","tenant":"helper"}`)},
		{"by the path over REST", "GET", "/helper/tasks/t", ""},
		{"by the query over REST", "GET", "/tasks/t?tenant=helper", ""},
		{"by the alias over REST", "GET", "/agents/helper/tasks/t", ""},
		{"by the body over REST", "POST", "/tasks/t:cancel", `{"tenant":"helper"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			w := do(setup(t, f), tt.method, tt.target, tt.body)
			if call, _ := f.last(); w.Code != 200 || call.Agent != "helper" {
				t.Errorf("%d %s: agent %q", w.Code, w.Body, call.Agent)
			}
		})
	}
	t.Run("a path that is not an agent's is not found", func(t *testing.T) {
		t.Parallel()
		for _, target := range []string{"/agents/tasks", "/agents//tasks", "/agents/helper/nothing", "/agents/a%20b/tasks"} {
			if w := do(setup(t, &fake{}), "GET", target, ""); w.Code != 404 {
				t.Errorf("%s: %d %s", target, w.Code, w.Body)
			}
		}
	})
	t.Run("two names are refused", func(t *testing.T) {
		t.Parallel()
		w := do(setup(t, &fake{}), "POST", "/agents/helper", rpc("GetTask", `{"id":"t","tenant":"other"}`))
		if !strings.Contains(w.Body.String(), "two agents") {
			t.Errorf("%s", w.Body)
		}
	})
	t.Run("each agent has its card, and the index names them", func(t *testing.T) {
		t.Parallel()
		h := setup(t, &fake{})
		for target, want := range map[string]string{
			binding.CardPath: `"name":"fake"`, "/agents/helper" + binding.CardPath: `"name":"second"`, "/agents": `"tenant":"helper"`,
		} {
			if w := do(h, "GET", target, ""); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %d %s", target, w.Code, w.Body)
			}
		}
	})
}

func TestActiveExtensionsAreEchoed(t *testing.T) {
	t.Parallel()
	for target, body := range map[string]string{"/": rpc("GetTask", `{"id":"t"}`), "/message:stream": message, "/message:send": message} {
		f := &fake{}
		w := do(setup(t, f), "POST", target, body, "A2A-Extensions", "urn:a,  urn:b,urn:a")
		call, _ := f.last()
		if got := w.Header().Get("A2A-Extensions"); got != "urn:a" || len(call.Params["a2a-extensions"]) != 2 {
			t.Errorf("%s: echoed %q, the executor sees %q", target, got, call.Params)
		}
	}
}

// older stands in for the binding of 0.3.
type older struct{ seen string }

func (o *older) JSONRPC(w http.ResponseWriter, _ *http.Request, route string, body []byte, decoded func()) {
	o.seen = route + " " + string(body)
	decoded()
	w.WriteHeader(http.StatusAccepted)
}

func (o *older) REST(w http.ResponseWriter, _ *http.Request, route, path string) {
	o.seen = route + " " + path
	w.WriteHeader(http.StatusAccepted)
}

func TestRequestsOf03AreHandedOver(t *testing.T) {
	t.Parallel()
	send := rpc("message/send", `{"message":1}`)
	for _, tt := range []struct{ name, target, body, version, want string }{
		{"a method of 0.3 that says nothing", "/", send, "", " " + send},
		{"a method of 0.3 by its version", "/", send, "0.3", " " + send},
		{"a method of 0.3 by a patch of it", "/", send, "0.3.0", " " + send},
		{"a method of 0.3 of a named agent", "/agents/helper", send, "", "helper " + send},
		{"a path of 0.3", "/v1/message:send", message, "", " /v1/message:send"},
		{"a path of 0.3 of a named agent", "/agents/helper/v1/tasks/a%2Fb", message, "0.3", "helper /v1/tasks/a%2Fb"},
		{"a method of 0.3 under 1.0", "/", send, "1.0", ""},
		{"a path of 0.3 under 1.0", "/v1/message:send", message, "1.0", ""},
		{"a method of 0.3 under a version that is not served", "/", send, "0.5", ""},
		{"a method that was gone before 0.3", "/", rpc("tasks/send", `{}`), "0.3", ""},
		{"a method of 1.0 that says nothing", "/", rpc("SendMessage", message), "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := &older{}
			e := binding.NewEdge(binding.Options{StrictVersion: true, Log: silent()})
			h := build(t, &fake{}, binding.Options{}, server.Options{JSONRPC: jsonrpc.New(e, &fake{}, o), REST: rest.New(e, &fake{}, o)})
			headers := []string{}
			if tt.version != "" {
				headers = []string{"A2A-Version", tt.version}
			}
			w := do(h, "POST", tt.target, tt.body, headers...)
			if o.seen != tt.want || (w.Code == http.StatusAccepted) != (tt.want != "") {
				t.Errorf("%d %s: handed over %q, want %q", w.Code, w.Body, o.seen, tt.want)
			}
		})
	}
}
