// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/errand-a2a/errand/internal/binding"
)

// entrance is what every request passes first: it gets a name, a panic behind it
// stays there, and its end is noted.
type entrance struct {
	log  *slog.Logger
	edge *binding.Edge
	next http.Handler
	name *namer
	grpc bool // there is a binding for it
}

func (h *entrance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get(binding.RequestID)
	if !isName(id) {
		id = h.name.next()
	}
	w.Header()[binding.RequestID] = []string{id}
	if !h.grpc || !isGRPC(r) { // whose calls may have bodies that last; its binding looks after the others
		h.edge.Begin(w, r)
	}
	seen := &observed{ResponseWriter: w}
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			h.recovered(seen, r, id, p)
		}
		if h.log.Enabled(r.Context(), slog.LevelDebug) {
			h.log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("request", id),
				slog.String("method", r.Method), slog.String("path", r.URL.Path),
				slog.Int("status", seen.status), slog.Duration("took", time.Since(start)))
		}
	}()
	h.next.ServeHTTP(seen, r)
}

// recovered logs a panic, once, and answers if nothing has been sent yet. An
// answer that has begun is cut off, so that nobody takes it for whole.
func (h *entrance) recovered(w *observed, r *http.Request, id string, p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	h.log.LogAttrs(r.Context(), slog.LevelError, "panic in a request", slog.String("request", id),
		slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	f := binding.Explain(nil)
	h.edge.Write(w, f.HTTP, binding.JSON, f.REST())
}

// observed remembers the status of an answer. Deadlines and flushing are found
// through Unwrap.
type observed struct {
	http.ResponseWriter
	status int
}

func (w *observed) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *observed) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

func (w *observed) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// namer makes request ids: unique over restarts, and cheap.
type namer struct {
	prefix string
	n      atomic.Uint64
}

func newNamer() *namer {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return &namer{prefix: hex.EncodeToString(b[:]) + "-"}
}

func (n *namer) next() string { return n.prefix + strconv.FormatUint(n.n.Add(1), 36) }

// isName tells whether a caller's request id may stand in our log.
func isName(id string) bool {
	return id != "" && len(id) <= 128 && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}
