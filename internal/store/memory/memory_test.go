// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/store/storetest"
	"github.com/errand-a2a/errand/internal/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(_ *testing.T, clock store.Clock) store.Store {
		return memory.New(memory.Options{Clock: clock})
	})
}

func TestAboutSaysThatNothingLasts(t *testing.T) {
	t.Parallel()
	about := memory.New(memory.Options{}).About()
	if about.Driver != "memory" || !strings.Contains(about.Durable, "nothing survives") {
		t.Errorf("About() = %+v", about)
	}
}

var errFault = errors.New("fault")

// play does one write of every kind to a task that play(…, "submit") made.
func play(ctx context.Context, s store.Store, op string, claim *store.Claim) error {
	ref := task.Ref{ID: "task"}
	var err error
	switch op {
	case "submit":
		_, err = s.Submit(ctx, &store.Submission{Ref: ref, Agent: "agent", Turn: 1, Message: []byte("message")})
	case "claim":
		var claims []store.Claim
		claims, err = s.Claim(ctx, store.ClaimRequest{Agent: "agent", Limit: 1, Taker: store.Taker{TTL: time.Second}})
		if len(claims) == 1 {
			*claim = claims[0]
		}
	case "cancel":
		_, err = s.RequestCancel(ctx, &store.CancelRequest{Ref: ref, Request: []byte("stop")})
	case "heartbeat":
		_, err = s.Heartbeat(ctx, time.Second, []store.Beat{{Ref: ref, Epoch: claim.Head.Epoch, Item: claim.Item}})
	case "append":
		_, err = s.Append(ctx, &store.Append{
			Ref: ref, Epoch: claim.Head.Epoch, Item: claim.Item,
			Batch:  &store.Batch{First: 1, Last: 1, Body: []byte("record")},
			View:   &store.View{State: "WORKING", Listed: true},
			Finish: &store.Finish{State: store.Retryable},
		})
	case "promote":
		_, err = s.Promote(ctx, store.PromoteRequest{Limit: 1})
	case "rescue":
		_, err = s.Rescue(ctx, 1)
	}
	return err
}

// everything is what can be seen of the store.
func everything(t *testing.T, s store.Store) []any {
	t.Helper()
	ctx := context.Background()
	stored, err := s.Load(ctx, task.Ref{ID: "task"})
	turns, _ := s.Turns(ctx, task.Ref{ID: "task"}, 0, 0)
	page, _ := s.List(ctx, store.ListQuery{Agent: "agent", Limit: 10, Until: time.Unix(1<<40, 0)})
	return []any{stored, turns, page, err == nil}
}

func TestAFaultLeavesNothingWritten(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	var broken string
	s := memory.New(memory.Options{
		Clock: func() time.Time { return now },
		Fault: func(op string) error {
			if op == broken {
				return errFault
			}
			return nil
		},
	})
	defer s.Close()
	var claim store.Claim
	for _, op := range []string{"submit", "claim", "heartbeat", "cancel", "append", "promote", "claim", "rescue"} {
		if op == "rescue" {
			now = now.Add(time.Second)
		}
		before := everything(t, s)
		broken = op
		if err := play(t.Context(), s, op, &claim); !errors.Is(err, errFault) {
			t.Fatalf("%s with a fault: %v", op, err)
		}
		if diff := cmp.Diff(before, everything(t, s)); diff != "" {
			t.Errorf("%s with a fault has written (-before +after)\n%s", op, diff)
		}
		broken = ""
		if err := play(t.Context(), s, op, &claim); err != nil {
			t.Fatalf("%s after a fault: %v", op, err)
		}
		if op != "heartbeat" && cmp.Equal(before, everything(t, s)) {
			t.Errorf("%s without a fault has written nothing", op)
		}
	}
}

func TestALostReplyLeavesEverythingWritten(t *testing.T) {
	t.Parallel()
	lose := true
	s := memory.New(memory.Options{Lose: func(string) error {
		if lose {
			return store.ErrUnknown
		}
		return nil
	}})
	defer s.Close()
	var claim store.Claim
	if err := play(t.Context(), s, "submit", &claim); !errors.Is(err, store.ErrUnknown) {
		t.Fatalf("Submit whose reply is lost: %v", err)
	}
	lose = false
	if err := play(t.Context(), s, "submit", &claim); !errors.Is(err, store.ErrStale) {
		t.Errorf("a repeat of a Submit whose reply was lost: %v, want ErrStale", err)
	}
}

func TestMoreThanMaxWaitingIsRefused(t *testing.T) {
	t.Parallel()
	s := memory.New(memory.Options{MaxWaiting: 6})
	defer s.Close()
	var claim store.Claim
	if err := play(t.Context(), s, "submit", &claim); !errors.Is(err, store.ErrOverloaded) {
		t.Fatalf("7 bytes with a bound of 6: %v", err)
	}
	if _, err := s.Load(t.Context(), task.Ref{ID: "task"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was refused is there: %v", err)
	}
	if _, err := s.Submit(t.Context(), &store.Submission{Ref: task.Ref{ID: "task"}, Turn: 1, Message: []byte("short")}); err != nil {
		t.Errorf("5 bytes with a bound of 6: %v", err)
	}
}

// A claim, a page and an append must not cost more the more there is.
func BenchmarkStore(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		s := memory.New(memory.Options{})
		ctx := b.Context()
		for i := range n {
			ref := task.Ref{ID: string(rune(i))}
			_, err := s.Submit(ctx, &store.Submission{Ref: ref, Agent: "agent", Turn: 1, IfQueued: &store.Opening{
				Batch: store.Batch{First: 1, Last: 1}, View: store.View{Listed: true, StatusAt: time.Unix(int64(i), 0)},
			}})
			if err != nil && !errors.Is(err, store.ErrStale) { // not every number is a rune
				b.Fatal(err)
			}
		}
		b.Run("claim and release", func(b *testing.B) {
			for b.Loop() {
				claims, err := s.Claim(ctx, store.ClaimRequest{Agent: "agent", Limit: 1, Taker: store.Taker{TTL: time.Hour}})
				if err != nil {
					b.Fatal(err)
				}
				h := claims[0].Head
				_, err = s.Append(ctx, &store.Append{
					Ref: h.Ref, Epoch: h.Epoch, LastSeq: h.LastSeq, Item: claims[0].Item, Finish: &store.Finish{State: store.Pending},
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("list", func(b *testing.B) {
			for b.Loop() {
				if _, err := s.List(ctx, store.ListQuery{Agent: "agent", Limit: 50}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
