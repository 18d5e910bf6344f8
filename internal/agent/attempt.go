// SPDX-License-Identifier: Apache-2.0

package agent

import "context"

// Run is what an executor can learn about, and tell, the attempt it is in. It
// travels in the context because the SDK's executor interface has no other
// place for it.
type Run struct {
	// Attempt counts every run of the turn, from 1.
	Attempt int
	// Report takes a progress in percent.
	Report func(percent int)
}

type runKey struct{}

// WithRun returns the context that an executor is called with.
func WithRun(ctx context.Context, r *Run) context.Context {
	return context.WithValue(ctx, runKey{}, r)
}

// Attempt returns the number of the attempt that ctx belongs to, counting
// every run of the turn from 1; 1 outside an attempt.
func Attempt(ctx context.Context) int {
	if r, ok := ctx.Value(runKey{}).(*Run); ok {
		return r.Attempt
	}
	return 1
}

// Progress reports how far the attempt is, in percent (0 to 100, clamped). It
// becomes a status event that carries the queue's progress extension. A value
// at or below one already reported is ignored, as is a call outside an attempt.
func Progress(ctx context.Context, percent int) {
	if r, ok := ctx.Value(runKey{}).(*Run); ok && r.Report != nil {
		r.Report(min(max(percent, 0), 100))
	}
}
