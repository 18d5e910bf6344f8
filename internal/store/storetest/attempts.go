// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"strings"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

var attemptRules = []rule{
	{"an attempt comes back as it went in", attemptWhole},
	{"the same number of the same item replaces its row", attemptReplaced},
	{"attempts are kept by item and number, oldest first", attemptOrder},
	{"an attempt that is lost keeps what it wrote", attemptLost},
	{"the last attempt is written in the commit that closes", attemptClosing},
	{"no text of an attempt keeps a turn from ending", attemptText},
}

func attemptWhole(w *world) {
	h := w.running()
	at := store.Attempt{
		Item: h.Item, Number: 1, Worker: "worker 7", Epoch: h.Head.Epoch, Outcome: "panic",
		Error: "runtime error: index out of range", Stack: "goroutine 1 [running]:\nmain.main()\n\t/x.go:1",
		Refused: []string{`{"a":1}`, "", "second"}, StartedAt: w.clock.Now().Add(-time.Second), Duration: 1234 * ms,
	}
	h.write(notes(at))
	w.want("Attempts: what was recorded", w.attempts(h.Head.Ref), []store.Attempt{at})
	// The row is the caller's data: the driver neither checks nor derives it.
	bare := store.Attempt{Item: h.Item, Number: 2, StartedAt: w.clock.Now()}
	h.write(notes(bare))
	w.want("Attempts: a row with nothing in it", w.attempts(h.Head.Ref), []store.Attempt{at, bare})
}

func attemptReplaced(w *world) {
	h := w.running()
	at := store.Attempt{Item: h.Item, Number: 1, StartedAt: w.clock.Now(), Outcome: "", Refused: []string{"a", "b"}}
	for _, outcome := range []string{"", "running", "failed"} {
		at.Outcome, at.Duration, at.Refused = outcome, at.Duration+time.Second, at.Refused[1:]
		h.write(notes(at))
		w.want("the same attempt number of the same item replaces its row, the whole of it", w.attempts(h.Head.Ref), []store.Attempt{at})
		if len(at.Refused) == 0 {
			break
		}
	}
	other := w.running()
	mine := store.Attempt{Item: other.Item, Number: 1, StartedAt: w.clock.Now(), Outcome: "of another task"}
	other.write(notes(mine))
	w.want("rows belong to their task", []any{w.attempts(h.Head.Ref), w.attempts(other.Head.Ref)}, []any{[]store.Attempt{at}, []store.Attempt{mine}})
}

func attemptOrder(w *world) {
	h := w.running()
	ref := h.Head.Ref
	var want []store.Attempt
	note := func(h *holder, how string, parts ...part) {
		w.clock.advance(time.Second)
		at := store.Attempt{Item: h.Item, Number: h.Attempt, Epoch: h.Head.Epoch, Outcome: how, StartedAt: w.clock.Now()}
		want = append(want, at)
		h.write(append(parts, notes(at))...)
	}
	note(h, "failed", retries(0))
	w.promote()
	h = w.claimOne("promoted", ref)
	note(h, "parked", ends(store.Completed))
	w.cancel(ref, "stop")
	c := w.claimOne("a cancel item is ready", ref)
	note(c, "refused", ends(store.Completed), refuses)
	for n := range 12 { // beyond one digit
		if n == 0 {
			h = w.accepted(w.next(h.head()))
		} else {
			h = w.claimOne("released", ref)
		}
		note(h, "released", ends(store.Pending))
	}
	w.want("Attempts: one row for each run of each item, oldest first", w.attempts(ref), want)
}

func attemptLost(w *world) {
	h := w.running()
	at := store.Attempt{Item: h.Item, Number: 1, Outcome: "running", StartedAt: w.clock.Now()}
	h.write(notes(at))
	w.clock.advance(ttl)
	w.rescue()
	again := w.claimOne("rescued", h.Head.Ref)
	w.want("an attempt that is lost later keeps what it wrote", w.attempts(h.Head.Ref), []store.Attempt{at})
	// Whoever comes next may complete the row of the attempt that was lost.
	at.Outcome = "lost"
	next := store.Attempt{Item: h.Item, Number: 2, Outcome: "running", StartedAt: w.clock.Now()}
	again.write(notes(at))
	again.write(notes(next))
	w.want("a holder may write any row of its task", w.attempts(h.Head.Ref), []store.Attempt{at, next})
}

func attemptClosing(w *world) {
	h := w.running()
	at := store.Attempt{Item: h.Item, Number: 1, Outcome: "completed", StartedAt: w.clock.Now()}
	h.write(h.closing, notes(at))
	w.want("the attempt is written with the end of its task", w.attempts(h.Head.Ref), []store.Attempt{at})
	q := w.submit(w.first(w.opened))
	taker := w.taker(q.Head.Ref)
	at.Outcome = "taken over"
	taker.write(taker.takeEnd, func(a *store.Append) { a.Attempt = &at })
	w.want("a takeover may write an attempt", w.attempts(q.Head.Ref), []store.Attempt{at})
}

// attemptText: what an agent says in an error or a panic is anything. Reading:
// a driver may mend what its column types cannot hold, but it must not refuse
// the write, or the turn would never end.
func attemptText(w *world) {
	for _, text := range []string{"a NUL \x00 inside", "broken UTF-8 \xff\xfe\xc3\x28 inside", "\x00", "\xed\xa0\x80", strings.Repeat("€", 1<<17)} {
		h := w.running()
		out, err := h.try(records(1), w.shows("FAILED"), ends(store.Dead), notes(store.Attempt{
			Number: 1, Outcome: text[:1], Error: text, Stack: text, Refused: []string{text}, StartedAt: w.clock.Now(),
		}))
		if err != nil {
			w.Errorf("broken rule: every turn ends, whatever its agent says\n%.40q: %v", text, err)
			continue
		}
		w.want("the turn has ended", []any{out.LastTurn, h.head().DoneTurn, len(w.attempts(h.Head.Ref))}, []any{1, 1, 1})
		if strings.Contains(text, "inside") && !strings.Contains(w.attempts(h.Head.Ref)[0].Error, "inside") {
			w.Errorf("broken rule: the text of an attempt is kept as far as it can be: %q", text)
		}
	}
}
