// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"context"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// Hooks stand around calls of the store. Each gets what the call is about and
// the call itself; nil lets it through. They may block: no lock is held.
type Hooks struct {
	Submit    func(s *store.Submission, next func() (store.Submitted, error)) (store.Submitted, error)
	Cancel    func(next func() (store.Cancellation, error)) (store.Cancellation, error)
	Append    func(a *store.Append, next func() (store.Appended, error)) (store.Appended, error)
	Claim     func(next func() ([]store.Claim, error)) ([]store.Claim, error)
	Heartbeat func(beats []store.Beat, next func() ([]store.BeatAnswer, error)) ([]store.BeatAnswer, error)
	Load      func(ref task.Ref, next func() (store.Stored, error)) (store.Stored, error)
	Read      func(ref task.Ref, next func() (store.Head, []store.Batch, error)) (store.Head, []store.Batch, error)
}

type hooked struct {
	store.Store
	h *Hooks
}

// Hook puts hooks around a store.
func Hook(st store.Store, h *Hooks) store.Store { return &hooked{st, h} }

func (s *hooked) Submit(ctx context.Context, sub *store.Submission) (store.Submitted, error) {
	next := func() (store.Submitted, error) { return s.Store.Submit(ctx, sub) }
	if s.h.Submit == nil {
		return next()
	}
	return s.h.Submit(sub, next)
}

func (s *hooked) RequestCancel(ctx context.Context, c *store.CancelRequest) (store.Cancellation, error) {
	next := func() (store.Cancellation, error) { return s.Store.RequestCancel(ctx, c) }
	if s.h.Cancel == nil {
		return next()
	}
	return s.h.Cancel(next)
}

func (s *hooked) Append(ctx context.Context, a *store.Append) (store.Appended, error) {
	next := func() (store.Appended, error) { return s.Store.Append(ctx, a) }
	if s.h.Append == nil {
		return next()
	}
	return s.h.Append(a, next)
}

func (s *hooked) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claim, error) {
	next := func() ([]store.Claim, error) { return s.Store.Claim(ctx, r) }
	if s.h.Claim == nil {
		return next()
	}
	return s.h.Claim(next)
}

func (s *hooked) Heartbeat(ctx context.Context, ttl time.Duration, beats []store.Beat) ([]store.BeatAnswer, error) {
	next := func() ([]store.BeatAnswer, error) { return s.Store.Heartbeat(ctx, ttl, beats) }
	if s.h.Heartbeat == nil {
		return next()
	}
	return s.h.Heartbeat(beats, next)
}

func (s *hooked) Load(ctx context.Context, ref task.Ref) (store.Stored, error) {
	next := func() (store.Stored, error) { return s.Store.Load(ctx, ref) }
	if s.h.Load == nil {
		return next()
	}
	return s.h.Load(ref, next)
}

func (s *hooked) Read(ctx context.Context, ref task.Ref, after uint64, maxBytes int) (store.Head, []store.Batch, error) {
	next := func() (store.Head, []store.Batch, error) { return s.Store.Read(ctx, ref, after, maxBytes) }
	if s.h.Read == nil {
		return next()
	}
	return s.h.Read(ref, next)
}
