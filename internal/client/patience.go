// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// patience spaces the attempts of one outage and ends them.
type patience struct {
	limit time.Duration
	since time.Time // when the outage began; zero outside one
	tries int
}

// alive ends the outage as far as giving up goes: something answered.
func (p *patience) alive() { p.since = time.Time{} }

// calm says that all is well: the next outage starts from the shortest wait.
func (p *patience) calm() { *p = patience{limit: p.limit} }

// next returns how long to wait before another attempt, and whether to make
// one. The cap is low in the first minute, in which most restarts end: what
// comes after the restart should be seen at once.
func (p *patience) next(now time.Time) (time.Duration, bool) {
	if p.since.IsZero() {
		p.since = now
	}
	outage := now.Sub(p.since)
	if outage > p.limit {
		return 0, false
	}
	ceiling := 500 * time.Millisecond
	if outage > time.Minute {
		ceiling = time.Second
	}
	d := min(50*time.Millisecond<<min(p.tries, 10), ceiling)
	p.tries++
	return d/2 + rand.N(d/2), true
}

// pause waits before another attempt. It returns an error when there shall be none.
func (c *Client) pause(ctx context.Context, p *patience, cause error) error {
	d, ok := p.next(time.Now())
	if !ok {
		return fmt.Errorf("gave up after %s: %w", p.limit, cause)
	}
	if h := c.opts.Hooks.Reconnecting; h != nil {
		h(cause, p.tries)
	}
	t := time.NewTimer(max(d, askedToWait(cause)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return contextError(ctx)
	}
}

// repeatable reports whether an attempt that ended with err may be followed by
// another. safe tells that a repeat cannot do the work twice, begun that the
// agent has been reached before, or has been tried: the very first failure to
// connect, or to be answered by a gateway, is for the caller to hear at once.
func repeatable(err error, safe, begun bool) bool {
	if askedToWait(err) > 0 {
		return true
	}
	if !safe {
		return false
	}
	var u *UnreachableError
	if errors.As(err, &u) {
		return u.Sent || begun
	}
	switch statusOf(err) {
	case http.StatusGatewayTimeout:
		return true
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable:
		return begun
	}
	return false
}

func askedToWait(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	var a *AnswerError
	if errors.As(err, &a) {
		return a.RetryAfter
	}
	return 0
}

func statusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.HTTPStatus
	}
	var a *AnswerError
	if errors.As(err, &a) {
		return a.HTTPStatus
	}
	return 0
}
