// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	redacted     = "[redacted]"
	maxDebugLine = 16 << 10
)

// redactor hides what the user gave as credentials, wherever it turns up: in
// headers, URLs, and bodies that echo it.
type redactor struct {
	secrets *strings.Replacer
	longest int
	headers map[string]bool
}

func newRedactor(g globals) redactor {
	secrets := []string{g.bearer, g.apiKey}
	headers := map[string]bool{"Authorization": true, "Cookie": true, "Set-Cookie": true, "Proxy-Authorization": true, "X-Api-Key": true}
	for _, p := range g.svcParams {
		// Nobody can tell which service parameter is a credential: all may be.
		k, v, _ := strings.Cut(p, ":")
		headers[http.CanonicalHeaderKey(strings.TrimSpace(k))] = true
		// A short one is hidden by its header alone: replacing every "1" in a log
		// would hide the log.
		if v = strings.TrimSpace(v); len(v) >= 4 {
			secrets = append(secrets, v)
		}
	}
	r := redactor{headers: headers}
	var pairs []string
	for _, s := range secrets {
		if s == "" {
			continue
		}
		forms := []string{s, url.QueryEscape(s), url.PathEscape(s), strings.Trim(fmt.Sprintf("%q", s), `"`)}
		for _, f := range forms {
			pairs = append(pairs, f, redacted)
			r.longest = max(r.longest, len(f))
		}
	}
	r.secrets = strings.NewReplacer(pairs...)
	return r
}

func (r redactor) header(name string, values []string) string {
	if r.headers[http.CanonicalHeaderKey(name)] {
		return redacted
	}
	return r.secrets.Replace(strings.Join(values, ", "))
}

// debugTransport logs what goes over the wire.
type debugTransport struct {
	next   http.RoundTripper
	w      io.Writer
	redact redactor
}

func (d *debugTransport) log(format string, args ...any) {
	line := d.redact.secrets.Replace(fmt.Sprintf(format, args...))
	_, _ = fmt.Fprintf(d.w, "debug: %s\n", clean(line))
}

func (d *debugTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	start := time.Now()
	d.log("> %s %s", req.Method, req.URL)
	d.headers(">", req.Header)
	if req.GetBody != nil && req.ContentLength > 0 {
		if body, err := req.GetBody(); err == nil {
			b, _ := io.ReadAll(io.LimitReader(body, maxDebugLine+1))
			d.log("> %s", d.cut(b))
		}
	}
	resp, err := d.next.RoundTrip(req)
	took := time.Since(start).Round(time.Millisecond)
	if err != nil {
		d.log("< no answer after %s: %v", took, err)
		return nil, err
	}
	d.log("< %s after %s", resp.Status, took)
	d.headers("<", resp.Header)
	resp.Body = &debugBody{ReadCloser: resp.Body, log: d}
	return resp, nil
}

func (d *debugTransport) headers(dir string, h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		d.log("%s %s: %s", dir, name, d.redact.header(name, h[name]))
	}
}

// cut shortens a line for the log. A secret that the cut would split, and which
// would then be shown in part, goes with the rest.
func (d *debugTransport) cut(b []byte) string {
	if len(b) <= maxDebugLine {
		return string(b)
	}
	whole := d.redact.secrets.Replace(string(b[:maxDebugLine]))
	return whole[:max(0, len(whole)-d.redact.longest)] + "… (cut)"
}

// debugBody logs a body line by line as it is read, so that a stream's events
// are seen when they come.
type debugBody struct {
	io.ReadCloser
	log  *debugTransport
	line []byte
}

func (b *debugBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	rest := p[:n]
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		b.add(rest[:i])
		b.flush()
		rest = rest[i+1:]
	}
	b.add(rest)
	if err != nil {
		b.flush()
	}
	return n, err
}

// add keeps no more of a line than the log shows.
func (b *debugBody) add(p []byte) {
	room := maxDebugLine + 1 - len(b.line)
	b.line = append(b.line, p[:min(len(p), max(room, 0))]...)
}

func (b *debugBody) flush() {
	if len(b.line) > 0 {
		b.log.log("< %s", b.log.cut(b.line))
	}
	b.line = b.line[:0]
}
