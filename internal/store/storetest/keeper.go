// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/errand-a2a/errand/internal/store"
)

var keeperRules = []rule{
	{"the secret is 32 random bytes that stay", keeperSecret},
	{"a store that was opened is ready and tells about itself", keeperReady},
	{"after Close everything answers ErrStopped", keeperStopped},
	{"Close beside writers commits or refuses each", keeperCloseRace},
	{"a call whose context has ended writes nothing", keeperContext},
}

func keeperSecret(w *world) {
	first, err := w.Secret(w.Context(), "page-token")
	w.must("Secret", err)
	w.want("Secret: 32 bytes", len(first), 32)
	kept := bytes.Clone(first)
	clear(first)
	again, err := w.Secret(w.Context(), "page-token")
	w.must("Secret", err)
	w.want("Secret: the same for ever, whatever a caller does to its copy", again, kept)
	if bytes.Equal(again, make([]byte, 32)) {
		w.Error("broken rule: Secret is random\ngot 32 times zero")
	}
	for _, name := range []string{"", "Page-Token", "another"} {
		if s, err := w.Secret(w.Context(), name); err == nil {
			w.Errorf("broken rule: Secret: known names are \"page-token\"\n%q has one too, of %d bytes", name, len(s))
		}
	}
	other := newWorld(w.T, w.open)
	if s, err := other.Secret(w.Context(), "page-token"); err != nil || bytes.Equal(s, kept) {
		w.Errorf("broken rule: Secret is the store's own\nanother store has the same, or the error %v", err)
	}
}

func keeperReady(w *world) {
	w.must("Ready", w.Ready(w.Context()))
	about := w.About()
	if about.Driver == "" || about.Durable == "" {
		w.Errorf("broken rule: About names the driver and says how durable a commit is\ngot %+v", about)
	}
}

// calls is every method that can answer an error, on a task of which h runs.
func (w *world) calls(h *holder) map[string]func(ctx context.Context) error {
	ref := h.Head.Ref
	return map[string]func(ctx context.Context) error{
		"Submit":           func(ctx context.Context) error { _, err := w.Submit(ctx, w.first()); return err },
		"Submit follow-up": func(ctx context.Context) error { _, err := w.Submit(ctx, w.next(h.Head)); return err },
		"RequestCancel": func(ctx context.Context) error {
			_, err := w.RequestCancel(ctx, &store.CancelRequest{Ref: ref})
			return err
		},
		"Append": func(ctx context.Context) error { _, err := w.Append(ctx, h.draft(records(1))); return err },
		"Claim": func(ctx context.Context) error {
			_, err := w.Claim(ctx, store.ClaimRequest{Agent: agent, Limit: 1, Taker: store.Taker{TTL: ttl}})
			return err
		},
		"Heartbeat": func(ctx context.Context) error {
			_, err := w.Heartbeat(ctx, ttl, []store.Beat{{Ref: ref, Epoch: h.Head.Epoch, Item: h.Item}})
			return err
		},
		"Rescue":  func(ctx context.Context) error { _, err := w.Rescue(ctx, 1); return err },
		"Promote": func(ctx context.Context) error { _, err := w.Promote(ctx, sweep(1)); return err },
		"Load":    func(ctx context.Context) error { _, err := w.Load(ctx, ref); return err },
		"Read":    func(ctx context.Context) error { _, _, err := w.Read(ctx, ref, 0, huge); return err },
		"List": func(ctx context.Context) error {
			_, err := w.List(ctx, store.ListQuery{Scope: mine, Agent: agent, Limit: 1})
			return err
		},
		"Turns":    func(ctx context.Context) error { _, err := w.Turns(ctx, ref, 0, 0); return err },
		"Attempts": func(ctx context.Context) error { _, err := w.Attempts(ctx, ref); return err },
		"Waiting":  func(ctx context.Context) error { _, err := w.Waiting(ctx, "", 1); return err },
		"Secret":   func(ctx context.Context) error { _, err := w.Secret(ctx, "page-token"); return err },
		"Ready":    func(ctx context.Context) error { return w.Ready(ctx) },
	}
}

func keeperStopped(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	w.must("Close", w.Close())
	for name, call := range w.calls(h) {
		w.refused("ErrStopped: the store was closed: "+name, call(w.Context()), store.ErrStopped)
	}
	w.About()     // must not panic
	_ = w.Close() // must not panic or hang
}

func keeperCloseRace(w *world) {
	const n = 24
	var closing, stop atomic.Bool
	var closed error
	w.parallel(n+1, func(i int) {
		if i == n {
			for w.made.Load() < 100 && !w.Failed() {
				if _, err := w.Promote(w.Context(), sweep(1)); err != nil {
					w.Errorf("Promote: %v", err)
				}
			}
			closing.Store(true)
			closed = w.Close()
			stop.Store(true)
			return
		}
		for {
			after := stop.Load()
			_, err := w.Submit(w.Context(), w.first())
			if err == nil && after {
				w.Errorf("broken rule: ErrStopped: the store was closed\na submission was accepted after Close had returned")
			}
			if err != nil && !(closing.Load() && errors.Is(err, store.ErrStopped)) {
				w.Errorf("broken rule: Close commits or refuses what waits; refused is ErrStopped\ngot %v", err)
			}
			if err != nil {
				return
			}
		}
	})
	w.must("Close beside writers", closed)
}

func keeperContext(w *world) {
	h := w.running()
	h.write(records(1), w.shows("WORKING"))
	ctx, cancel := context.WithCancel(w.Context())
	cancel()
	s := w.first()
	before := w.dump(h.Head.Ref)
	w.clock.advance(ttl) // so that Rescue has something to do
	failed := map[string]bool{}
	for name, call := range w.calls(h) {
		if err := call(ctx); err != nil {
			failed[name] = true
		}
	}
	if _, err := w.Submit(ctx, s); err != nil {
		w.submit(w.first(forAgent("other")))
		_, err = w.Load(w.Context(), s.Ref)
		w.refused("with an error nothing is visible", err, store.ErrNotFound)
	}
	if failed["Append"] && failed["RequestCancel"] && failed["Rescue"] && failed["Submit follow-up"] {
		w.want(fmt.Sprintf("with an error nothing is visible, errors of %d calls", len(failed)), w.dump(h.Head.Ref), before)
	}
}
