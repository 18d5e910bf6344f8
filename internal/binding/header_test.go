// SPDX-License-Identifier: Apache-2.0

package binding_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/task"
)

func TestContentTypeIsJSONInUTF8AsItIs(t *testing.T) {
	t.Parallel()
	e := binding.NewEdge(binding.Options{})
	for _, tt := range []struct {
		contentType, encoding string
		ok                    bool
	}{
		{"application/json", "", true},
		{"application/a2a+json", "", true},
		{"application/json; charset=utf-8", "", true},
		{"Application/JSON;charset=\"UTF-8\"", "", true},
		{"application/a2a+json; version=1", "identity", true},
		{"", "", false},
		{"text/plain", "", false},
		{"application/x-www-form-urlencoded", "", false},
		{"application/json; charset=latin1", "", false},
		{"application/jsonp", "", false},
		{"application/json;;", "", false},
		{"application/json", "gzip", false},
		{"application/json", "br", false},
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader("{}"))
		r.Header.Set("Content-Type", tt.contentType)
		if tt.encoding != "" {
			r.Header.Set("Content-Encoding", tt.encoding)
		}
		body, err := e.Read(httptest.NewRecorder(), r)
		if tt.ok != (err == nil) || !tt.ok && !errors.Is(err, binding.ErrMediaType) {
			t.Errorf("%q %q: %v", tt.contentType, tt.encoding, err)
		}
		e.Release(body)
	}
}

// unsized hides how long a body is.
type unsized struct{ io.Reader }

func TestBodyIsBoundedAtTheByte(t *testing.T) {
	t.Parallel()
	e := binding.NewEdge(binding.Options{MaxBody: 20_000})
	for _, tt := range []struct {
		size int
		ok   bool
	}{{2, true}, {16 << 10, true}, {20_000, true}, {20_001, false}, {1 << 20, false}} {
		text := []byte(`"` + strings.Repeat("x", tt.size-2) + `"`)
		for _, src := range []io.Reader{bytes.NewReader(text), unsized{bytes.NewReader(text)}} {
			r := httptest.NewRequest("POST", "/", src)
			r.Header.Set("Content-Type", binding.JSON)
			body, err := e.Read(httptest.NewRecorder(), r)
			switch {
			case tt.ok && (err != nil || !bytes.Equal(*body, text)):
				t.Errorf("%d bytes: %v", tt.size, err)
			case !tt.ok && !errors.Is(err, task.ErrTooLarge):
				t.Errorf("%d bytes: %v, want too large", tt.size, err)
			}
			e.Release(body)
		}
	}
}

func TestDefaultBodyLimitIs4MiB(t *testing.T) {
	t.Parallel()
	e := binding.NewEdge(binding.Options{})
	for _, tt := range []struct {
		size int
		ok   bool
	}{{4 << 20, true}, {4<<20 + 1, false}} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(`"`+strings.Repeat("x", tt.size-2)+`"`))
		r.Header.Set("Content-Type", binding.JSON)
		if _, err := e.Read(httptest.NewRecorder(), r); tt.ok != (err == nil) {
			t.Errorf("%d bytes: %v", tt.size, err)
		}
	}
}

func TestABodyMayBeAbsent(t *testing.T) {
	t.Parallel()
	e := binding.NewEdge(binding.Options{})
	for _, r := range []*http.Request{httptest.NewRequest("POST", "/", nil), httptest.NewRequest("POST", "/", http.NoBody), httptest.NewRequest("POST", "/", strings.NewReader(""))} {
		body, err := e.Read(httptest.NewRecorder(), r)
		if err != nil || len(*body) != 0 {
			t.Errorf("%v", err)
		}
	}
}

func TestABodyThatBreaksOffIsNotAnInternalError(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("{"), failing{}))
	r.Header.Set("Content-Type", binding.JSON)
	_, err := binding.NewEdge(binding.Options{}).Read(httptest.NewRecorder(), r)
	if !errors.Is(err, a2a.ErrInvalidRequest) || strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values []string
		key    string
		ok     bool
	}{
		{nil, "", true},
		{[]string{"k"}, "k", true},
		{[]string{`"8e03978e-40d5-43dd-bc93-6894a57f9324"`}, `"8e03978e-40d5-43dd-bc93-6894a57f9324"`, true},
		{[]string{strings.Repeat("~", 255)}, strings.Repeat("~", 255), true},
		{[]string{strings.Repeat("~", 256)}, "", false},
		{[]string{""}, "", false},
		{[]string{"a b"}, "", false},
		{[]string{"a\tb"}, "", false},
		{[]string{"schlüssel"}, "", false},
		{[]string{"a\x7f"}, "", false},
		{[]string{"a", "a"}, "", false},
	} {
		key, err := binding.Key(http.Header{"Idempotency-Key": tt.values})
		if key != tt.key || tt.ok != (err == nil) || !tt.ok && field(err) != "Idempotency-Key" {
			t.Errorf("%q: %q, %v", tt.values, key, err)
		}
	}
}

func TestLastEventID(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values []string
		want   uint64
		there  bool
		ok     bool
	}{
		{nil, 0, false, true},
		{[]string{""}, 0, false, true},
		{[]string{"0"}, 0, true, true},
		{[]string{"42"}, 42, true, true},
		{[]string{"18446744073709551615"}, 1<<64 - 1, true, true},
		{[]string{"18446744073709551616"}, 0, false, false},
		{[]string{"-1"}, 0, false, false},
		{[]string{"+1"}, 0, false, false},
		{[]string{"1_000"}, 0, false, false},
		{[]string{"0x10"}, 0, false, false},
		{[]string{" 1"}, 0, false, false},
		{[]string{"1.0"}, 0, false, false},
		{[]string{"٣"}, 0, false, false},
		{[]string{"6e9a1f0c-uuid"}, 0, false, false},
		{[]string{"1", "2"}, 0, false, false},
	} {
		got, err := binding.Cursor(http.Header{"Last-Event-Id": tt.values})
		if tt.ok != (err == nil) || !tt.ok && field(err) != "Last-Event-ID" || tt.there != (got != nil) || got != nil && *got != tt.want {
			t.Errorf("%q: %v, %v", tt.values, got, err)
		}
	}
}

func TestOnlyListedHeadersReachAnExecutor(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	for _, name := range []string{"A2A-Version", "A2A-Extensions", "Traceparent", "Tracestate", "Accept-Language", "User-Agent", "X-Request-Id",
		"Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "X-Forwarded-For", "Idempotency-Key", "Last-Event-Id"} {
		h.Add(name, name+" value")
	}
	want := map[string][]string{"a2a-version": {"A2A-Version value"}, "a2a-extensions": {"A2A-Extensions value"}, "traceparent": {"Traceparent value"},
		"tracestate": {"Tracestate value"}, "accept-language": {"Accept-Language value"}, "user-agent": {"User-Agent value"}, "x-request-id": {"X-Request-Id value"}}
	if diff := cmp.Diff(want, binding.Params(h)); diff != "" {
		t.Error(diff)
	}
	if binding.Params(http.Header{"Cookie": {"x"}}) != nil {
		t.Error("a map for nothing")
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	lenient, strict := binding.NewEdge(binding.Options{}), binding.NewEdge(binding.Options{StrictVersion: true})
	for _, tt := range []struct {
		header, query string
		want          string
		ok, okStrict  bool
	}{
		{"1.0", "", "1.0", true, true},
		{"1.0.1", "", "1.0.1", true, true},
		{" 1.0 ", "", "1.0", true, true},
		{"", "A2A-Version=1.0", "1.0", true, true},
		{"", "a2a-version=1.0.7", "1.0.7", true, true},
		{"1.0", "A2A-Version=99.0", "1.0", true, true},
		{"99.0", "A2A-Version=1.0", "99.0", false, false},
		{"", "", "", true, false},
		{"", "A2A-Version=", "", true, false},
		{"", "pageSize=1", "", true, false},
		{"0.3", "", "0.3", true, true},
		{"", "A2A-Version=0.5", "0.5", false, false},
		{"1.1", "", "1.1", false, false},
		{"1", "", "1", false, false},
		{"1.0.", "", "1.0.", false, false},
		{"1.0.x", "", "1.0.x", false, false},
		{"1.01", "", "1.01", false, false},
		{"1.0-rc", "", "1.0-rc", false, false},
		{"v1.0", "", "v1.0", false, false},
		{"2.0", "", "2.0", false, false},
	} {
		r := httptest.NewRequest("GET", "/?"+tt.query, nil)
		if tt.header != "" {
			r.Header.Set("A2A-Version", tt.header)
		}
		v := binding.Version(r)
		if v != tt.want {
			t.Errorf("%q %q: version %q, want %q", tt.header, tt.query, v, tt.want)
		}
		for e, ok := range map[*binding.Edge]bool{lenient: tt.ok, strict: tt.okStrict} {
			said, err := e.Dialect(v)
			if err == nil {
				err = e.CheckUnsaid(said)
			}
			if err == nil && said == binding.V03 {
				continue
			}
			if ok != (err == nil) || !ok && (!errors.Is(err, a2a.ErrVersionNotSupported) || !strings.Contains(err.Error(), "1.0")) {
				t.Errorf("%q: %v, want accepted %v and otherwise what to send", v, err, ok)
			}
		}
	}
}

func TestOneRequestNamesOneAgent(t *testing.T) {
	t.Parallel()
	if name, err := binding.SameRoute("", "a", "a"); name != "a" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
	if _, err := binding.SameRoute("a", "", "b"); field(err) != "tenant" {
		t.Errorf("%v", err)
	}
}
