// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/errand-a2a/errand/internal/task"
)

// Source is what Stream writes, framed by the binding.
type Source[F any] struct {
	// Next is the method of a Follower.
	Next func(ctx context.Context, idle time.Duration) ([]F, error)
	// Frame appends one event.
	Frame func(dst []byte, f F) []byte
	// Fault appends an error, which is the last event.
	Fault func(dst []byte, f Fault) []byte
	// KeepAlive is what to write when there is nothing to say.
	KeepAlive string
}

// flushAt bounds what is buffered of a batch before it is written.
const flushAt = 64 << 10

// Stream writes a stream until it ends, its reader leaves or reads too slowly,
// it is too old, or the server drains; each time the reader can resume. The
// task does not notice any of these.
//
// It reports false if nothing has been written: then the answer is the caller's
// and err says why, io.EOF for a stream without a single event.
func Stream[F any](e *Edge, w http.ResponseWriter, r *http.Request, src Source[F]) (begun bool, err error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(e.opts.Drain, cancel)()

	frames, err := src.Next(ctx, e.opts.HeaderWait)
	if err != nil && len(frames) == 0 {
		if ctx.Err() != nil && r.Context().Err() == nil {
			err = task.Errorf(task.ErrUnavailable, "the server is stopping; come back in a moment")
		}
		return false, err
	}
	s := stream{edge: e, w: w, rc: http.NewResponseController(w)}
	defer e.renew(s.rc) // for the end, which net/http writes after a long silence perhaps
	e.EventStream(w)
	end := e.StreamEnd()
	for {
		if !write(&s, &src, r, frames, err) {
			return true, nil
		}
		idle := e.opts.KeepAlive
		if !end.IsZero() {
			if idle = min(idle, time.Until(end)); idle <= 0 {
				return true, nil
			}
		}
		frames, err = src.Next(ctx, idle)
		if ctx.Err() != nil {
			err = io.EOF // nobody is to blame and nobody is told
		}
	}
}

// StreamEnd is when a stream that begins now is too old, or never.
func (e *Edge) StreamEnd() time.Time {
	age := e.opts.MaxStreamAge
	if age <= 0 {
		return time.Time{}
	}
	if spread := int64(age / 10); spread > 0 {
		age -= time.Duration(rand.Int64N(spread))
	}
	return time.Now().Add(age)
}

type stream struct {
	edge *Edge
	w    http.ResponseWriter
	rc   *http.ResponseController
}

// EventStream sends the headers of a stream.
func (e *Edge) EventStream(w http.ResponseWriter) {
	h := w.Header()
	h["Content-Type"] = []string{"text/event-stream"}
	h["Cache-Control"] = []string{"no-cache"}
	h["X-Accel-Buffering"] = []string{"no"} // nginx would hold events back
	e.renew(http.NewResponseController(w))
	w.WriteHeader(http.StatusOK)
}

// write sends what one call of Next gave and reports whether the stream goes on.
func write[F any](s *stream, src *Source[F], r *http.Request, frames []F, err error) bool {
	// The buffer is taken for this batch only: ten thousand idle streams hold none.
	buf := s.edge.buffer()
	defer s.edge.Release(buf)
	out := (*buf)[:0]
	for _, f := range frames {
		out = src.Frame(out, f)
		if len(out) >= flushAt {
			if !s.edge.send(s.w, s.rc, out) {
				return false
			}
			out = out[:0]
		}
	}
	switch {
	case errors.Is(err, io.EOF):
	case err != nil:
		out = src.Fault(out, s.edge.Explain(s.w, r, err))
	case len(frames) == 0:
		out = append(out, src.KeepAlive...)
	}
	*buf = out
	return s.edge.send(s.w, s.rc, out) && s.rc.Flush() == nil && err == nil
}
