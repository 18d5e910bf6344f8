// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/store"
)

// patience is how long everything may take to come to an end after the last
// fault.
const patience = 3 * time.Minute

// settle stops all faults and waits until every turn has ended and every call
// was answered.
func (w *world) settle() {
	if w.failed() {
		return
	}
	w.wait()
	w.line("calm")
	w.calm = true
	for _, r := range w.replicas {
		r.frozen = false
	}
	if len(w.living()) == 0 {
		w.startReplica()
	}
	for until := time.Now().Add(patience); !w.failed(); {
		w.wait()
		if free := w.free(); len(free) > 0 {
			w.let(free[w.rng.IntN(len(free))])
			continue
		}
		for _, r := range w.replicas {
			if r.over() && !r.halted && !r.dead {
				w.halt(r)
			}
		}
		w.wait()
		left := w.unsettled()
		if left == "" {
			return
		}
		if time.Now().After(until) {
			w.fail("I9 turns end", "%s after the last fault there is left: %s", patience, left)
		}
		time.Sleep(50*time.Millisecond + time.Duration(w.rng.IntN(1e6)))
		w.pollNews()
	}
}

// unsettled names what has not come to its end.
func (w *world) unsettled() string {
	w.oracle.mu.Lock()
	defer w.oracle.mu.Unlock()
	var left []string
	for _, b := range w.oracle.order {
		h := b.head
		if h.DoneTurn < h.LastTurn || h.Running || h.Cancel == store.CancelRequested {
			left = append(left, fmt.Sprintf("%s in turn %d of %d, running %v, cancel %v, %s", b.name, h.DoneTurn+1, h.LastTurn, h.Running, h.Cancel, h.State))
		}
	}
	for _, o := range w.ops {
		if o.over() {
			continue
		}
		switch {
		case !o.follow:
			left = append(left, o.name+" "+o.what)
		case o.b.head.Closed || o.cursor != o.b.head.LastSeq:
			left = append(left, fmt.Sprintf("%s at %d of %s, which ends at %d", o.name, o.cursor, o.b.name, o.b.head.LastSeq))
		}
	}
	for _, r := range w.replicas {
		for name, n := range r.worker.Stats() {
			if n != 0 && r.alive() {
				left = append(left, fmt.Sprintf("%d slots of %s at %s", n, name, r.name))
			}
		}
	}
	return strings.Join(left, "; ")
}

// close stops everything and looks for what is held although nothing runs.
func (w *world) close() {
	for _, o := range w.ops {
		if !o.over() {
			w.count("subscriptions of tasks that wait")
			o.cut = true
			o.cancel()
		}
	}
	for _, r := range w.replicas {
		r.stopping = true
		r.stop()
	}
	w.drain()
	time.Sleep(2 * time.Second) // an agent outlives its dead replica by the second in which it hears of it
	for _, r := range w.replicas {
		if n := r.hub.Listeners(); n != 0 {
			w.fail("I27 no leaks", "%s has %d listeners, and nobody follows", r.name, n)
		}
	}
}

// drain releases whatever parks until every replica has ended.
func (w *world) drain() {
	for until := time.Now().Add(patience); ; {
		w.wait()
		if free := w.free(); len(free) > 0 {
			w.let(free[0])
			continue
		}
		left := ""
		w.wait()
		for _, r := range w.replicas {
			if !r.over() {
				left += " " + r.name
			}
		}
		for _, o := range w.ops {
			if !o.over() {
				left += " " + o.name
			}
		}
		if left == "" {
			return
		}
		if time.Now().After(until) {
			w.fail("I29 stops", "%s after the stop there is left:%s", patience, left)
			w.abort()
			return
		}
		time.Sleep(100 * time.Millisecond)
		w.wait()
	}
}

// abort lets every goroutine of a broken run end.
func (w *world) abort() {
	w.calm = true
	for _, r := range w.replicas {
		r.frozen = false
		if !r.dead {
			w.crash(r)
		}
	}
	for _, o := range w.ops {
		o.cancel()
	}
	time.Sleep(time.Hour)
}

// started checks that an agent may run at all.
func (w *world) started(p *performance, id string) {
	o := w.oracle
	o.mu.Lock()
	defer o.mu.Unlock()
	w.count("agents started")
	at, ok := o.posts[id]
	if !ok {
		w.fail("I16 messages", "%s runs and is not in the store", id)
		return
	}
	c, ok := at.b.runs[run{store.ItemRef{Kind: store.Execute, Turn: at.turn}, p.attempt}]
	if !ok {
		w.fail("I14 attempts", "attempt %d of %s runs and was not claimed", p.attempt, id)
	}
	policy := policies[at.b.agent]
	if c.Losses >= policy.Retry.MaxLosses || c.Failures >= policy.Retry.MaxAttempts {
		w.fail("I14 attempts", "attempt %d of %s runs after %d failures and %d losses", p.attempt, id, c.Failures, c.Losses)
	}
	key := fmt.Sprint(id, " ", p.attempt)
	if w.runs[key] {
		w.fail("I12 one owner", "attempt %d of %s runs twice", p.attempt, id)
	}
	w.runs[key] = true
}

// final checks what is left in the store.
func (o *oracle) final() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.compare(nil, "stop")
	for _, b := range o.order {
		o.finalTask(b)
	}
	keys := map[string]string{}
	for _, l := range o.w.mail {
		p, there := o.posts[l.id]
		if there && l.to != nil && l.to != p.b {
			o.w.fail("I16 messages", "%s to %s is in %s", l.id, l.to.name, p.b.name)
		}
		if l.taken > 0 && !there {
			o.w.fail("I16 messages", "%s was taken and is not in the store", l.id)
		}
		if l.refused > 0 && l.taken+l.unheard == 0 && there {
			o.w.fail("I16 messages", "%s was refused to all who sent it, and is turn %d of %s", l.id, p.turn, p.b.name)
		}
		if l.key != "" && there {
			key := l.principal + " " + l.agent + " " + l.key
			if other := keys[key]; other != "" {
				o.w.fail("I19 idempotency", "%s and %s were both taken with the key %s", other, l.id, l.key)
			}
			keys[key] = l.id
		}
	}
}

func (o *oracle) finalTask(b *book) {
	turns, err := o.w.mem.Turns(context.Background(), b.ref, 0, 0)
	if err != nil {
		o.w.fail("I16 messages", "turns of %s: %v", b.name, err)
		return
	}
	h := b.head
	if h.Closed != (b.ends == 1) {
		o.w.fail("I8 one end", "%s is closed=%v with %d terminal events", b.name, h.Closed, b.ends)
	}
	if h.Cancel == store.CancelRequested {
		o.w.fail("I9 turns end", "a cancellation of %s is asked for, and nobody has answered it", b.name)
	}
	if !h.Closed {
		o.w.count("tasks that wait at the end")
		if s := b.state.Status.State; s != a2a.TaskStateInputRequired && s != a2a.TaskStateAuthRequired {
			o.w.fail("I9 turns end", "%s has nothing to do and its state is %q", b.name, s)
		}
	}
	opened := map[string]int{}
	for _, m := range b.state.History {
		opened[m.ID]++
	}
	for _, t := range turns {
		policy := policies[b.agent]
		switch {
		case t.Item != store.Completed && t.Item != store.Canceled && t.Item != store.Dead:
			o.w.fail("I9 turns end", "turn %d of %s is %s", t.Number, b.name, t.Item)
		case t.Failures > policy.Retry.MaxAttempts:
			o.w.fail("I14 attempts", "turn %d of %s has failed %d times", t.Number, b.name, t.Failures)
		case b.state.Reply == nil && t.Attempt > 0 && opened[t.MessageID] == 0 && t.Item == store.Canceled:
			o.w.count("turns canceled after a run that recorded nothing")
			if !t.Expired { // or else its sender has heard of the deadline
				o.finalCanceled(b, t)
			}
		case b.state.Reply == nil && t.Attempt > 0 && opened[t.MessageID] != 1:
			o.w.fail("I16 messages", "turn %d of %s ran %d times, and its message stands %d times in the history", t.Number, b.name, t.Attempt, opened[t.MessageID])
		case t.Item == store.Completed && t.Attempt == 0:
			o.w.fail("I16 messages", "turn %d of %s is completed and never ran", t.Number, b.name)
		}
		if t.Item == store.Dead {
			o.w.count("dead turns")
		}
		if t.Item == store.Canceled && t.Attempt == 0 && !t.Expired && opened[t.MessageID] == 0 {
			o.finalCanceled(b, t)
		}
		if t.Item == store.Canceled && t.Attempt == 0 {
			o.w.count("turns canceled before they ran")
		}
	}
}

// finalCanceled: the end of a task names the messages that it does not show.
func (o *oracle) finalCanceled(b *book, t store.Turn) {
	last := b.recs[len(b.recs)-1]
	if bytes.Contains(last.Event, []byte(`"`+t.MessageID+`"`)) {
		o.w.count("canceled turns that the last event names")
		return
	}
	o.w.fail("I16 messages", "turn %d of %s is canceled, and neither the history nor the last event has its message %s", t.Number, b.name, t.MessageID)
}
