// SPDX-License-Identifier: Apache-2.0

package jsonrpc

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/binding"
)

func TestIdsComeBackAsTheyCame(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		`1`, `0`, `-1`, `9007199254740993`, `123456789012345678901234567890`, `1.0`, `1e2`, `"a"`, `""`, `"é\u00e9\n"`, `null`,
		`"` + strings.Repeat("x", maxID-2) + `"`,
	} {
		req, err := parse([]byte(`{"jsonrpc":"2.0","method":"GetTask","params":{},"id":` + id + `}`))
		if err != nil {
			t.Errorf("%.40s: %v", id, err)
			continue
		}
		if got, want := string(req.opening(`,"result":`)), `{"jsonrpc":"2.0","id":`+id+`,"result":`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestEnvelopesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		body string
		kind error
		want string
		id   string
	}{
		{``, a2a.ErrParseError, "empty", "null"},
		{`[]`, a2a.ErrInvalidRequest, "batch", "null"},
		{` [{"jsonrpc":"2.0","id":1,"method":"GetTask"}]`, a2a.ErrInvalidRequest, "batch", "null"},
		{`"x"`, a2a.ErrInvalidRequest, "object", "null"},
		{`7`, a2a.ErrInvalidRequest, "object", "null"},
		{`null`, a2a.ErrInvalidRequest, "object", "null"},
		{`{}`, a2a.ErrInvalidRequest, "id:", "null"},
		{`{"jsonrpc":"2.0","method":"GetTask"}`, a2a.ErrInvalidRequest, "no notifications", "null"},
		{`{"jsonrpc":"2.0","id":{},"method":"GetTask"}`, a2a.ErrInvalidRequest, "id:", "null"},
		{`{"jsonrpc":"2.0","id":[1],"method":"GetTask"}`, a2a.ErrInvalidRequest, "id:", "null"},
		{`{"jsonrpc":"2.0","id":true,"method":"GetTask"}`, a2a.ErrInvalidRequest, "id:", "null"},
		{`{"jsonrpc":"2.0","id":false,"method":"GetTask"}`, a2a.ErrInvalidRequest, "id:", "null"},
		{`{"jsonrpc":"2.0","id":"` + strings.Repeat("x", maxID-1) + `","method":"GetTask"}`, a2a.ErrInvalidRequest, "longer", "null"},
		{`{"id":1,"method":"GetTask"}`, a2a.ErrInvalidRequest, "jsonrpc:", "1"},
		{`{"jsonrpc":"1.0","id":1,"method":"GetTask"}`, a2a.ErrInvalidRequest, "jsonrpc:", "1"},
		{`{"jsonrpc":2.0,"id":1,"method":"GetTask"}`, a2a.ErrInvalidRequest, "jsonrpc:", "1"},
		{`{"JSONRPC":"2.0","id":1,"method":"GetTask"}`, a2a.ErrInvalidRequest, "jsonrpc:", "1"},
		{`{"jsonrpc":"2.0","id":1,"params":{}}`, a2a.ErrInvalidRequest, "method:", "1"},
		{`{"jsonrpc":"2.0","id":1,"method":5}`, a2a.ErrInvalidRequest, "method:", "1"},
		{`{"jsonrpc":"2.0","id":1,"method":null}`, a2a.ErrInvalidRequest, "method:", "1"},
		{`{"jsonrpc":"2.0","id":1,"method":""}`, a2a.ErrInvalidRequest, "method:", "1"},
	} {
		req, err := parse([]byte(tt.body))
		if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60s: %v", tt.body, err)
		}
		if got := string(req.opening("")); got != `{"jsonrpc":"2.0","id":`+tt.id {
			t.Errorf("%.60s: answers with %s", tt.body, got)
		}
	}
}

func TestParamsMayBeMissing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"jsonrpc":"2.0","id":6,"method":"ListTasks"}`, `{"jsonrpc":"2.0","id":6,"method":"ListTasks","params":null}`} {
		if req, err := parse([]byte(body)); err != nil || req.params != nil {
			t.Errorf("%s: params %q, error %v", body, req.params, err)
		}
	}
}

// Whatever is accepted, its id goes back so that the answer is JSON with the id
// that encoding/json reads in the request.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":9007199254740993,"method":"GetTask","params":{"id":"x"}}`))
	f.Add([]byte(` { "id" : "\u0041" , "jsonrpc" : "2.0" , "method" : "a" , "x" : [ { } ] } `))
	f.Fuzz(func(t *testing.T, body []byte) {
		if binding.Validate(body) != nil {
			return
		}
		req, err := parse(body)
		answer := append(req.opening(`,"result":{}`), closing()...)
		if !json.Valid(answer) {
			t.Fatalf("%q is answered with %q", body, answer)
		}
		if err != nil {
			return
		}
		var in map[string]json.RawMessage
		if err := json.Unmarshal(body, &in); err != nil {
			t.Fatal(err)
		}
		var method string
		if json.Unmarshal(in["method"], &method) != nil || method != req.method || string(in["id"]) != string(req.id) {
			t.Fatalf("%q was read as %+v", body, req)
		}
	})
}
