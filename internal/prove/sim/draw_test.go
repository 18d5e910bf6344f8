// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// act begins a call of a client.
func (w *world) act() {
	living := w.living()
	if len(living) == 0 {
		return
	}
	n := len(w.ops) + 1
	o := &op{w: w, number: n, name: fmt.Sprintf("c%02d", n), rep: living[w.rng.IntN(len(living))]}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	play := w.draw(o)
	if play == nil {
		o.cancel()
		return
	}
	o.eng = o.rep.engineOf(o)
	w.line(o.name + " " + o.what + " at " + o.rep.name)
	w.mu.Lock()
	w.ops = append(w.ops, o)
	w.mu.Unlock()
	go o.run(play)
}

// draw decides what a client does; nil: there is nothing to do it with.
func (w *world) draw(o *op) func() string {
	n := w.rng.IntN(100)
	if n < 40 {
		o.letter = w.newLetter()
		if b := w.anyTask(); b != nil && w.rng.IntN(2) == 0 {
			o.letter.to, o.letter.agent, o.letter.principal = b, b.agent, b.ref.Principal
		}
		return w.drawSend(o)
	}
	if n < 50 {
		return w.drawRepeat(o)
	}
	if o.b = w.anyTask(); o.b == nil {
		return nil
	}
	head := w.headOf(o.b)
	o.seen = head.LastSeq
	switch {
	case n < 75:
		o.what = "subscribe"
		if w.rng.IntN(2) == 0 {
			from := w.rng.Uint64N(o.seen + 1)
			o.from = &from
		}
		return o.subscribe
	case n < 88:
		o.what = "cancel"
		return o.stop
	case n < 94:
		o.what = "get"
		return func() string {
			if !head.Listed {
				o.seen = 0
			}
			return o.get()
		}
	case n < 96:
		o.what = "spy"
		return o.spy
	}
	o.what = "list"
	o.letter = &letter{agent: o.b.agent, principal: o.b.ref.Principal}
	return o.list
}

func (w *world) drawSend(o *op) func() string {
	switch w.rng.IntN(4) {
	case 0:
		o.what = "send and return"
		return func() string { return o.send(true) }
	case 1:
		o.what = "send"
		return func() string { return o.send(false) }
	}
	o.what = "stream"
	return o.stream
}

// drawRepeat sends a letter again, as a client does that was not told; or uses
// its key for another.
func (w *world) drawRepeat(o *op) func() string {
	var keyed []*letter
	for _, l := range w.mail {
		if l.keyed() {
			keyed = append(keyed, l)
		}
	}
	if len(keyed) == 0 {
		return nil
	}
	l := keyed[w.rng.IntN(len(keyed))]
	if l.key != "" && w.rng.IntN(5) == 0 {
		other := w.newLetter()
		other.key, other.agent, other.principal, other.to = l.key, l.agent, l.principal, l.to
		l = other
	}
	o.letter = l
	return w.drawSend(o)
}

// keyed tells whether a repeat of the letter joins the first.
func (l *letter) keyed() bool { return l.key != "" || l.agent == "keeper" }

// anyTask draws a task that was accepted, the newest more often.
func (w *world) anyTask() *book {
	w.oracle.mu.Lock()
	tasks := w.oracle.order
	w.oracle.mu.Unlock()
	if len(tasks) == 0 {
		return nil
	}
	if w.rng.IntN(2) == 0 {
		return tasks[len(tasks)-1]
	}
	return tasks[w.rng.IntN(len(tasks))]
}

// newLetter draws a message.
func (w *world) newLetter() *letter {
	w.letters++
	l := &letter{id: "m" + strconv.Itoa(w.letters), agent: w.agents[w.rng.IntN(len(w.agents))], principal: []string{"ann", "bob"}[w.rng.IntN(2)]}
	if w.rng.IntN(2) == 0 || l.agent == "keeper" { // its messageId is its key
		l.key = "k-" + l.id
	}
	if w.rng.IntN(5) == 0 {
		l.queue = w.newQueue()
	}
	w.mail = append(w.mail, l)
	return l
}

// newQueue draws what a message asks of the queue.
func (w *world) newQueue() map[string]any {
	q := map[string]any{}
	at := func(ms int) string {
		return w.storeNow().Add(time.Duration(ms)*time.Millisecond + time.Duration(w.rng.IntN(1e6))).Format(time.RFC3339Nano)
	}
	if w.rng.IntN(2) == 0 {
		q["priority"] = w.rng.IntN(3) - 1
	}
	if w.rng.IntN(3) == 0 {
		q["maxAttempts"] = 1 + w.rng.IntN(2)
	}
	start := 0
	if w.rng.IntN(3) == 0 {
		start = 100 + w.rng.IntN(1500)
		q["scheduledFor"] = at(start)
	}
	if w.rng.IntN(2) == 0 {
		q["deadline"] = at(start + 200 + w.rng.IntN(3000))
	}
	return q
}

// headOf is a task as it is now.
func (w *world) headOf(b *book) store.Head {
	w.oracle.mu.Lock()
	defer w.oracle.mu.Unlock()
	return b.head
}
