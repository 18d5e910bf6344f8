// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/errand-a2a/errand/hack/acts/format"
	"github.com/errand-a2a/errand/hack/acts/match"
	"github.com/errand-a2a/errand/hack/acts/wire"
)

// streamTimeout is how long a stream may take where the test does not say.
const streamTimeout = 30 * time.Second

func (x *execution) stream(ctx context.Context, s *format.Step) (*answer, error) {
	a := &answer{body: match.Missing{}}
	src, err := x.open(ctx, s)
	if errors.As(err, &a.err) {
		a.status = a.err.Status
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	a.status = src.Status()
	return a, collect(ctx, src, a, s.Stream)
}

func (x *execution) open(ctx context.Context, s *format.Step) (wire.Stream, error) {
	b, params, err := x.prepare(s)
	if err != nil {
		return nil, err
	}
	return b.Open(ctx, s.Operation, params)
}

// collect reads a stream to its end, which must come in time: a stream that
// does not end is an error whatever else is expected.
func collect(ctx context.Context, src wire.Stream, a *answer, want *format.ExpectStream) error {
	timeout := streamTimeout
	if want != nil && want.Timeout > 0 {
		timeout = want.Timeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the stream did not end within %s", timeout))
	defer cancel()
	stop := context.AfterFunc(ctx, src.Close)
	defer stop()
	defer src.Close()
	for {
		e, err := src.Next()
		switch {
		case err == nil:
			a.events = append(a.events, e)
		case ctx.Err() != nil:
			return fmt.Errorf("%w, after %d events", context.Cause(ctx), len(a.events))
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &a.err):
			if a.status == 0 {
				a.status = a.err.Status
			}
			return nil
		default:
			return fmt.Errorf("event %d: %w", len(a.events), err)
		}
	}
}
