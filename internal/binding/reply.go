// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/errand-a2a/errand/internal/task"
)

// JSON and A2AJSON are the two names of the same format. 1.0.1 prefers the
// second, but a2a-go's client takes an error for one only under the first.
const (
	JSON    = "application/json"
	A2AJSON = "application/a2a+json"
)

// Negotiate chooses between the two: the second for those who name it, or who
// send it and do not say what they accept.
func Negotiate(h http.Header) string {
	accept := h["Accept"]
	if len(accept) == 0 {
		accept = h["Content-Type"]
	}
	for _, a := range accept {
		if strings.Contains(a, A2AJSON) {
			return A2AJSON
		}
	}
	return JSON
}

// Write answers with the concatenation of the parts. A result may be large and
// belongs to others, so the parts are not joined first.
func (e *Edge) Write(w http.ResponseWriter, status int, contentType string, parts ...[]byte) {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(n)}
	// Answers are about one caller's tasks, and errors about one moment.
	h["Cache-Control"] = []string{"no-store"}
	rc := http.NewResponseController(w)
	e.renew(rc)
	w.WriteHeader(status)
	for _, p := range parts {
		if !e.send(w, rc, p) {
			return // the client is gone, or reads too slowly
		}
	}
}

// send writes in pieces with a deadline each: a client on a slow line may take
// minutes for a large task, as long as it goes on reading.
func (e *Edge) send(w http.ResponseWriter, rc *http.ResponseController, b []byte) bool {
	const piece = 256 << 10
	for len(b) > 0 {
		n := min(len(b), piece)
		e.renew(rc)
		if _, err := w.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}

// Headers sets what an error says outside its body.
func (f Fault) Headers(h http.Header) {
	if f.RetryAfter > 0 {
		seconds := (f.RetryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
}

// Refuse answers with an error in the form of the REST binding, which is also
// that of every path that belongs to no binding.
func (e *Edge) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := e.Explain(w, r, err)
	f.Headers(w.Header())
	e.Write(w, f.HTTP, Negotiate(r.Header), f.REST())
}

// renew gives the next write its time. It is nothing where the connection has
// no deadlines, as in tests with a recorder.
func (e *Edge) renew(rc *http.ResponseController) {
	_ = rc.SetWriteDeadline(time.Now().Add(e.opts.WriteTimeout))
}

// protoDuration is google.protobuf.Duration in JSON: seconds with an s.
func protoDuration(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}

// NotAllowed answers a method that a path does not have.
func (e *Edge) NotAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	e.Refuse(w, r, NotAllowed(r.Method, allow))
}

// NotAllowed is the error of it.
func NotAllowed(method, allow string) error {
	return task.Errorf(ErrMethodNotAllowed, "%s is not served at this path; use %s", Quote(method), allow)
}
