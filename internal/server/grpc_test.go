// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/server"
)

// lastly answers with a status that nothing else here has.
type lastly struct{}

func (lastly) Serve(w http.ResponseWriter, _ *http.Request, _ string) {
	w.WriteHeader(http.StatusTeapot)
}

type lastlyREST struct{}

func (lastlyREST) Serve(w http.ResponseWriter, _ *http.Request, _, _ string) {
	w.WriteHeader(http.StatusTeapot)
}

func TestGRPCBesideTheOtherBindings(t *testing.T) {
	t.Parallel()
	const path = "/lf.a2a.v1.A2AService/GetTask"
	grpc := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			t.Errorf("gRPC is asked for %s", r.URL.Path)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	edge := binding.NewEdge(binding.Options{})
	cards, err := binding.NewCards(edge, binding.CardOptions{PublicURL: "http://127.0.0.1:1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, contentType, host, prefix string
		proto                           int
		with                            bool
		want                            int
	}{
		{"gRPC goes to its binding", "application/grpc", "localhost", "", 2, true, http.StatusAccepted},
		{"gRPC that names its codec does so too", "application/grpc+proto", "localhost", "", 2, true, http.StatusAccepted},
		{"gRPC is at the root whatever the prefix is", "application/grpc", "localhost", "/a2a", 2, true, http.StatusAccepted},
		{"gRPC of a foreign host is refused", "application/grpc", "evil.example", "", 2, true, http.StatusForbidden},
		{"gRPC-Web is another protocol", "application/grpc-web", "localhost", "", 2, true, http.StatusTeapot},
		{"HTTP/1.1 cannot carry gRPC", "application/grpc", "localhost", "", 1, true, http.StatusTeapot},
		{"JSON goes to the other bindings", "application/json", "localhost", "", 2, true, http.StatusTeapot},
		{"without the binding gRPC goes where all goes", "application/grpc", "localhost", "", 2, false, http.StatusTeapot},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := server.Options{JSONRPC: lastly{}, REST: lastlyREST{}, Cards: cards, Edge: edge, Prefix: tt.prefix, LoopbackOnly: true}
			if tt.with {
				o.GRPC = grpc
			}
			h, err := server.New(o)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodPost, "http://"+tt.host+path, strings.NewReader("x"))
			r.Header.Set("Content-Type", tt.contentType)
			r.ProtoMajor = tt.proto
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d", w.Code, tt.want)
			}
		})
	}
}

// One port has HTTP/1.1 and, without asking first, HTTP/2.
func TestServeSpeaksBothHTTP(t *testing.T) {
	t.Parallel()
	run := serve(t, &fake{}, binding.Options{}, server.ServeOptions{})
	for _, tt := range []struct {
		name, want string
		set        func(*http.Protocols)
	}{
		{"HTTP/1.1", "HTTP/1.1", func(p *http.Protocols) { p.SetHTTP1(true) }},
		{"HTTP/2 without TLS", "HTTP/2.0", func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }},
	} {
		t.Run("it speaks "+tt.name, func(t *testing.T) {
			tr := &http.Transport{Protocols: new(http.Protocols)}
			defer tr.CloseIdleConnections()
			tt.set(tr.Protocols)
			res, err := (&http.Client{Transport: tr}).Get(run.url + "/livez")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.Proto != tt.want {
				t.Errorf("it spoke %s", res.Proto)
			}
		})
	}
}
