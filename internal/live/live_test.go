// SPDX-License-Identifier: Apache-2.0

package live_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

var ref = task.Ref{Scope: task.Scope{Tenant: "tenant", Principal: "principal"}, ID: "task"}

// tail is a commit of the records from..to, each of the given size.
func tail(from, to uint64, size int) live.Tail {
	var t live.Tail
	for seq := from; seq <= to; seq++ {
		t.Records = append(t.Records, record.Record{Seq: seq, Event: task.Raw(strings.Repeat("x", size))})
	}
	return t
}

// sequences lists what tails hold: "1-3 4-4".
func sequences(tails []live.Tail) string {
	var out []string
	for _, t := range tails {
		if len(t.Records) == 0 {
			out = append(out, "none")
			continue
		}
		out = append(out, fmt.Sprintf("%d-%d", t.Records[0].Seq, t.Records[len(t.Records)-1].Seq))
	}
	return strings.Join(out, " ")
}

func rung(l *live.Listener) bool {
	select {
	case <-l.Bell():
		return true
	default:
		return false
	}
}

func expect(t *testing.T, l *live.Listener, want string, lagged bool) {
	t.Helper()
	if !rung(l) {
		t.Error("the bell has not rung")
	}
	tails, behind := l.Take()
	if got := sequences(tails); got != want || behind != lagged {
		t.Errorf("took %q, lagged %v; want %q, %v", got, behind, want, lagged)
	}
}

func nothing(t *testing.T, l *live.Listener) {
	t.Helper()
	if rung(l) {
		t.Error("the bell has rung")
	}
	if tails, lagged := l.Take(); len(tails) != 0 || lagged {
		t.Errorf("took %q, lagged %v; want nothing", sequences(tails), lagged)
	}
}

func TestListener(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T, l live.Limits) (*live.Hub, *live.Listener) {
		t.Helper()
		h := live.NewHub(l)
		lis := h.Listen(ref)
		t.Cleanup(lis.Close)
		return h, lis
	}

	t.Run("tails come in the order they were published, with all that is in them", func(t *testing.T) {
		t.Parallel()
		h, l := setup(t, live.Limits{})
		settled := task.NewState("task", "context")
		last := tail(5, 5, 1)
		last.DoneTurn, last.Settled = 3, settled
		h.Publish(ref, tail(1, 3, 1))
		h.Publish(ref, tail(4, 4, 1))
		h.Publish(ref, last)
		if !rung(l) || rung(l) {
			t.Error("the bell has not rung once")
		}
		tails, lagged := l.Take()
		if got := sequences(tails); got != "1-3 4-4 5-5" || lagged {
			t.Fatalf("took %q, lagged %v", got, lagged)
		}
		if tails[2].DoneTurn != 3 || tails[2].Settled != settled || tails[0].DoneTurn != 0 || tails[0].Settled != nil {
			t.Errorf("tails %+v", tails)
		}
		nothing(t, l)
	})

	t.Run("a listener that keeps up has no gap, however much is published", func(t *testing.T) {
		t.Parallel()
		h, l := setup(t, live.Limits{Records: 4, Bytes: 4000})
		for seq := uint64(1); seq < 4000; seq += 4 {
			h.Publish(ref, tail(seq, seq+1, 1000))
			h.Publish(ref, tail(seq+2, seq+3, 1000))
			expect(t, l, fmt.Sprintf("%d-%d %d-%d", seq, seq+1, seq+2, seq+3), false)
		}
	})

	t.Run("what was published before is not heard", func(t *testing.T) {
		t.Parallel()
		h := live.NewHub(live.Limits{})
		h.Publish(ref, tail(1, 1, 1))
		l := h.Listen(ref)
		defer l.Close()
		nothing(t, l)
	})

	t.Run("a task is its owner's and no other's", func(t *testing.T) {
		t.Parallel()
		h, l := setup(t, live.Limits{})
		for _, other := range []task.Ref{
			{Scope: ref.Scope, ID: "other"}, {ID: ref.ID},
			{Scope: task.Scope{Tenant: "tenant", Principal: "other"}, ID: ref.ID}, {Scope: task.Scope{Tenant: "other", Principal: "principal"}, ID: ref.ID},
		} {
			h.Publish(other, tail(1, 1, 1))
			h.Nudge(other)
			if h.Listening(other) {
				t.Errorf("somebody listens to %v", other)
			}
		}
		nothing(t, l)
	})

	t.Run("every listener of a task hears everything, one that is slow hurts none", func(t *testing.T) {
		t.Parallel()
		h, slow := setup(t, live.Limits{Records: 2})
		quick := h.Listen(ref)
		defer quick.Close()
		for seq := uint64(1); seq <= 5; seq++ {
			h.Publish(ref, tail(seq, seq, 1))
			expect(t, quick, fmt.Sprintf("%d-%d", seq, seq), false)
		}
		expect(t, slow, "1-1 2-2", true)
	})

	t.Run("a nudge says that something was missed", func(t *testing.T) {
		t.Parallel()
		h, l := setup(t, live.Limits{})
		h.Publish(ref, tail(1, 1, 1))
		h.Nudge(ref)
		h.Publish(ref, tail(2, 2, 1))
		expect(t, l, "1-1", true)
		h.Publish(ref, tail(3, 3, 1))
		expect(t, l, "3-3", false)
		h.Nudge(ref)
		expect(t, l, "", true)
		nothing(t, l)
	})

	t.Run("a closed listener hears nothing more and closes twice", func(t *testing.T) {
		t.Parallel()
		h, other := setup(t, live.Limits{})
		l := h.Listen(ref)
		if n := h.Listeners(); n != 2 {
			t.Errorf("%d listeners", n)
		}
		l.Close()
		l.Close()
		h.Publish(ref, tail(1, 1, 1))
		h.Nudge(ref)
		nothing(t, l)
		if tails, _ := other.Take(); sequences(tails) != "1-1" {
			t.Errorf("the other one took %q", sequences(tails))
		}
		if n := h.Listeners(); n != 1 || !h.Listening(ref) {
			t.Errorf("%d listeners, listening %v", n, h.Listening(ref))
		}
		other.Close()
		l.Close()
		if n := h.Listeners(); n != 0 || h.Listening(ref) || h.Topics() != 0 {
			t.Errorf("then %d listeners, listening %v, %d tasks", n, h.Listening(ref), h.Topics())
		}
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		limits live.Limits
		tails  []live.Tail
		fits   int
	}{
		{"256 records fit", live.Limits{}, []live.Tail{tail(1, 200, 1), tail(201, 256, 1)}, 2},
		{"257 records do not", live.Limits{}, []live.Tail{tail(1, 200, 1), tail(201, 257, 1)}, 1},
		{"256 records in one commit fit", live.Limits{}, []live.Tail{tail(1, 256, 1)}, 1},
		{"257 records in one commit do not", live.Limits{}, []live.Tail{tail(1, 257, 1)}, 0},
		{"1 MiB fits", live.Limits{}, []live.Tail{tail(1, 1, 1<<20-1), tail(2, 2, 1)}, 2},
		{"1 MiB and a byte does not", live.Limits{}, []live.Tail{tail(1, 1, 1<<20-1), tail(2, 2, 2)}, 1},
		{"an event of 1 MiB fits alone", live.Limits{}, []live.Tail{tail(1, 1, 1<<20), tail(2, 2, 1)}, 1},
		{"limits that are set hold", live.Limits{Records: 2, Bytes: 10}, []live.Tail{tail(1, 1, 5), tail(2, 2, 5)}, 2},
		{"one record more than the limit that is set does not fit", live.Limits{Records: 2}, []live.Tail{tail(1, 2, 1), tail(3, 3, 1)}, 1},
		{"one byte more than the limit that is set does not fit", live.Limits{Bytes: 10}, []live.Tail{tail(1, 2, 5), tail(3, 3, 1)}, 1},
		{"what follows on what does not fit is dropped, though it would", live.Limits{Records: 2}, []live.Tail{tail(1, 1, 1), tail(2, 3, 1), tail(4, 4, 1)}, 1},
		{"commits without records fit as long as they are few", live.Limits{Records: 2}, []live.Tail{{DoneTurn: 1}, {DoneTurn: 2}}, 2},
		{"commits without records take a place each", live.Limits{Records: 2}, []live.Tail{{DoneTurn: 1}, {DoneTurn: 2}, {DoneTurn: 3}}, 2},
		{"the message that opens a turn counts", live.Limits{Bytes: 10}, []live.Tail{
			tail(1, 1, 4), {Records: []record.Record{{Seq: 2, Event: task.Raw("12"), Opens: &task.Message{Raw: task.Raw("1234")}}}}, tail(3, 3, 1),
		}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := live.NewHub(tt.limits)
			l := h.Listen(ref)
			defer l.Close()
			for range 2 { // Take makes room for all of it again
				for _, tail := range tt.tails {
					h.Publish(ref, tail)
				}
				expect(t, l, sequences(tt.tails[:tt.fits]), tt.fits < len(tt.tails))
				nothing(t, l)
			}
		})
	}
}

// Nobody takes: a publisher that waited for a listener would hang here.
func TestPublishNeverBlocks(t *testing.T) {
	t.Parallel()
	h := live.NewHub(live.Limits{})
	l := h.Listen(ref)
	defer l.Close()
	for seq := uint64(1); seq <= 10_000; seq++ {
		h.Publish(ref, tail(seq, seq, 100))
		h.Nudge(ref)
	}
	tails, lagged := l.Take()
	if !lagged || len(tails) != 1 {
		t.Errorf("%d tails, lagged %v", len(tails), lagged)
	}
}

// Publishers of many tasks, listeners that come and go, some of which never
// take. Whoever keeps up without lagging has every sequence, once.
func TestConcurrently(t *testing.T) {
	t.Parallel()
	const tasks, followers, last = 16, 4, 400
	h := live.NewHub(live.Limits{Records: 64})
	var all sync.WaitGroup
	var taken atomic.Int64
	for i := range tasks {
		ref := task.Ref{ID: fmt.Sprintf("task-%d", i)}
		var ended atomic.Bool
		for range followers {
			l := h.Listen(ref)
			all.Go(func() {
				defer l.Close()
				taken.Add(int64(follow(t, l, &ended)))
			})
		}
		idle := h.Listen(ref)
		all.Go(func() {
			defer idle.Close()
			for seq := uint64(1); seq <= last; seq++ {
				h.Publish(ref, tail(seq, seq, 10))
				visitor := h.Listen(ref)
				if seq%16 == 0 {
					h.Nudge(ref)
				}
				if !h.Listening(ref) {
					t.Error("nobody listens")
				}
				visitor.Close()
			}
			ended.Store(true)
			h.Publish(ref, live.Tail{DoneTurn: 1})
		})
	}
	all.Wait()
	if n := h.Listeners(); n != 0 || h.Topics() != 0 {
		t.Errorf("%d listeners and %d tasks are left", n, h.Topics())
	}
	if taken.Load() == 0 {
		t.Error("nobody took anything")
	}
}

// follow reads until the publisher has ended and counts the records. There may
// be a gap only where the listener has said so; nothing comes twice or late.
func follow(t *testing.T, l *live.Listener, ended *atomic.Bool) int {
	var cursor uint64
	n := 0
	for behind := false; ; {
		<-l.Bell()
		over := ended.Load()
		tails, lagged := l.Take()
		for _, tail := range tails {
			for _, r := range tail.Records {
				if r.Seq <= cursor || r.Seq != cursor+1 && !behind {
					t.Errorf("%d after %d, lagged %v", r.Seq, cursor, behind)
				}
				cursor, behind = r.Seq, false
				n++
			}
		}
		behind = behind || lagged
		if over { // the end itself may be what was dropped: the log has it
			return n
		}
	}
}
