// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// Begin gives a request's body its time, before anything else happens to it and
// whatever http.Server it came through. It counts also where nobody reads the
// body: net/http reads the rest of one that is refused before it sends the
// refusal. Once the body is whole net/http lifts the deadline itself, so that it
// does not end a stream.
func (e *Edge) Begin(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(e.opts.BodyTimeout))
	}
}

// Read reads a body and validates it as JSON. The bytes are good until they are
// given back with Release; an empty body is none.
func (e *Edge) Read(w http.ResponseWriter, r *http.Request) (*[]byte, error) {
	body, err := e.read(w, r)
	if err != nil {
		return nil, err
	}
	if len(*body) == 0 {
		return body, nil
	}
	if err := Validate(*body); err != nil {
		e.Release(body)
		return nil, err
	}
	return body, nil
}

func (e *Edge) read(w http.ResponseWriter, r *http.Request) (*[]byte, error) {
	buf := e.buffer()
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return buf, nil
	}
	if err := checkContent(r.Header); err != nil {
		e.Release(buf)
		return nil, err
	}
	if r.ContentLength > e.opts.MaxBody {
		e.Release(buf)
		return nil, e.tooLarge()
	}
	var err error
	*buf, err = readAll(http.MaxBytesReader(w, r.Body, e.opts.MaxBody), *buf, r.ContentLength)
	if err == nil {
		return buf, nil
	}
	e.Release(buf)
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, e.tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &task.Error{Kind: ErrBodyTimeout, Message: "the body did not arrive within " + e.opts.BodyTimeout.String()}
	}
	return nil, &task.Error{Kind: a2a.ErrInvalidRequest, Message: "the body ends too early", Cause: err}
}

func (e *Edge) tooLarge() error {
	return task.Errorf(task.ErrTooLarge, "the body exceeds %d bytes", e.opts.MaxBody)
}

// readAll grows with what has arrived, not with what the client announces: that
// costs the client nothing.
func readAll(src io.Reader, buf []byte, announced int64) ([]byte, error) {
	if want := min(announced+1, 16<<10); int64(cap(buf)) < want {
		buf = make([]byte, 0, want)
	}
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := src.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return buf, err
		}
	}
}

// checkContent wants JSON in UTF-8 as it is. A missing type is refused with the
// wrong ones: a page in a browser can send one to any address without asking,
// but not application/json.
func checkContent(h http.Header) error {
	if enc := h.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return task.Errorf(ErrMediaType, "Content-Encoding %s is not accepted; send the JSON uncompressed", Quote(enc))
	}
	ct := h.Get("Content-Type")
	if ct == JSON || ct == A2AJSON {
		return nil
	}
	media, params, err := mime.ParseMediaType(ct)
	charset := params["charset"]
	if err != nil || media != JSON && media != A2AJSON || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return task.Errorf(ErrMediaType, "Content-Type %s is not accepted; send %s or %s in UTF-8", Quote(ct), JSON, A2AJSON)
	}
	return nil
}

// Key reads the Idempotency-Key header.
func Key(h http.Header) (string, error) {
	const name, most = "Idempotency-Key", 255
	key, there, err := single(h, name)
	if err != nil || !there {
		return "", err
	}
	if key == "" || len(key) > most || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", task.Invalid(a2a.ErrInvalidParams, name, "must be 1 to %d visible ASCII characters", most)
	}
	return key, nil
}

// Cursor reads the Last-Event-ID header: the sequence of the last event that
// the reader has. Without it, or with an empty one, there is no cursor.
func Cursor(h http.Header) (*uint64, error) {
	const name = "Last-Event-ID"
	s, _, err := single(h, name)
	if err != nil || s == "" {
		return nil, err
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return nil, task.Invalid(a2a.ErrInvalidParams, name, "must be the decimal id of an event of this task's stream")
	}
	return &n, nil
}

const extensionsHeader = "A2a-Extensions"

// Extensions reads the A2A-Extensions header: a comma-separated list, in one
// line or several (3.2.6).
func Extensions(h http.Header) []string {
	var uris []string
	for _, line := range h[extensionsHeader] {
		for uri := range strings.SplitSeq(line, ",") {
			if uri = strings.TrimSpace(uri); uri != "" && !slices.Contains(uris, uri) {
				uris = append(uris, uri)
			}
		}
	}
	return uris
}

// Activated tells the caller which extensions are active.
func Activated(h http.Header, uris []string) {
	if len(uris) > 0 {
		h[extensionsHeader] = []string{strings.Join(uris, ", ")}
	}
}

func single(h http.Header, name string) (value string, there bool, err error) {
	values := h[http.CanonicalHeaderKey(name)]
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", true, task.Invalid(a2a.ErrInvalidParams, name, "stands there twice")
}

// Params returns the service parameters that an executor may see, by lower-case
// name. It is a list of what may pass: credentials are not on it, and neither
// is whatever else is invented.
func Params(h http.Header) map[string][]string {
	var params map[string][]string
	for _, p := range [...]struct{ header, name string }{
		{"A2a-Version", "a2a-version"},
		{extensionsHeader, "a2a-extensions"},
		{"Traceparent", "traceparent"},
		{"Tracestate", "tracestate"},
		{"Accept-Language", "accept-language"},
		{"User-Agent", "user-agent"},
		{"X-Request-Id", "x-request-id"},
	} {
		values := h[p.header]
		if p.header == extensionsHeader {
			values = Extensions(h) // each by itself, as the SDK's executors look for them
		}
		if len(values) > 0 {
			if params == nil {
				params = make(map[string][]string, 4)
			}
			params[p.name] = values
		}
	}
	return params
}
