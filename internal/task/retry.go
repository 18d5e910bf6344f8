// SPDX-License-Identifier: Apache-2.0

package task

import (
	"math"
	"time"
)

// Retry is the policy for attempts that fail. The zero value means the defaults.
type Retry struct {
	// MaxAttempts bounds the runs that were neither lost nor released; default 4.
	MaxAttempts int
	// MaxLosses bounds the runs whose process died; default 10.
	MaxLosses int
	// InitialDelay is the ceiling of the first backoff; default 1 s.
	InitialDelay time.Duration
	// MaxDelay is the ceiling of every backoff; default 5 min.
	MaxDelay time.Duration
	// BackoffFactor multiplies the ceiling after each failure; default 2.
	BackoffFactor float64
}

// Unlimited as MaxAttempts or MaxLosses never gives up.
const Unlimited = math.MaxInt

// WithDefaults fills in what is not set.
func (r Retry) WithDefaults() Retry {
	if r.MaxAttempts <= 0 {
		r.MaxAttempts = 4
	}
	if r.MaxLosses <= 0 {
		r.MaxLosses = 10
	}
	if r.InitialDelay <= 0 {
		r.InitialDelay = time.Second
	}
	if r.MaxDelay <= 0 {
		r.MaxDelay = 5 * time.Minute
	}
	if r.BackoffFactor < 1 || math.IsNaN(r.BackoffFactor) || math.IsInf(r.BackoffFactor, 0) {
		r.BackoffFactor = 2
	}
	return r
}

// Ceiling is the longest delay after the given number of failures (1 for the
// first). It never overflows and never exceeds MaxDelay.
func (r Retry) Ceiling(failures int) time.Duration {
	r = r.WithDefaults()
	d := float64(r.InitialDelay) * math.Pow(r.BackoffFactor, float64(max(failures, 1)-1))
	if !(d < float64(r.MaxDelay)) { // also when d is +Inf
		return r.MaxDelay
	}
	return time.Duration(d)
}

// Delay is the backoff after the given number of failures with full jitter:
// uniform in [0, Ceiling]. random is in [0, 1).
func (r Retry) Delay(failures int, random float64) time.Duration {
	return time.Duration(random * float64(r.Ceiling(failures)))
}

// Exhausted reports whether no further attempt is due.
func (r Retry) Exhausted(failures, losses int) bool {
	r = r.WithDefaults()
	return failures >= r.MaxAttempts || losses >= r.MaxLosses
}
