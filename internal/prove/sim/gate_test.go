// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// call is something that waits for the scheduler: a call of the store, a step
// of an agent, or a client that is about to read on.
type call struct {
	label  string // the same in every run of the seed; calls are drawn in its order
	what   string
	rep    *replica
	op     *op
	write  bool
	gate   chan order
	result string // what came of it, for the trace
}

// order is what the scheduler has decided about a call.
type order struct {
	err  error // refuse with this, before anything is written
	lose bool  // commit, and answer that the outcome is unknown
	hold bool  // commit, and wait for the scheduler again before the answer
	mute bool  // leave out of the answer who has more to do: a ring is lost
	kill bool  // the replica is dead: nobody hears the answer
	late bool  // with kill: the store has heard the call, and commits it
}

// park waits for the scheduler. A dead replica waits for nobody.
func (w *world) park(c *call) order {
	w.mu.Lock()
	if c.rep != nil && c.rep.dead {
		w.mu.Unlock()
		time.Sleep(time.Second) // whoever goes on trying must not stop the time
		return order{kill: true}
	}
	c.gate = make(chan order)
	n, _ := slices.BinarySearchFunc(w.parked, c.label, func(p *call, label string) int { return strings.Compare(p.label, label) })
	for n < len(w.parked) && w.parked[n].label == c.label {
		n++
	}
	w.parked = slices.Insert(w.parked, n, c)
	w.mu.Unlock()
	return <-c.gate
}

// release lets a parked call go on.
func (w *world) release(c *call, o order) {
	w.mu.Lock()
	n := slices.Index(w.parked, c)
	w.parked = slices.Delete(w.parked, n, n+1)
	w.mu.Unlock()
	w.last = c
	c.gate <- o
}

// door is the store as one replica sees it: each call goes through the gate.
// A client's calls have a door of their own, so that they can be told apart.
type door struct {
	w   *world
	rep *replica
	op  *op
}

var _ store.Store = (*door)(nil)

func (d *door) call(what string, write bool, words ...string) *call {
	from := d.rep.name
	if d.op != nil {
		from = d.op.name + " " + from
	}
	return &call{
		label: from + " " + what + " " + strings.Join(words, " "),
		what:  what, rep: d.rep, op: d.op, write: write,
	}
}

// through makes one call of the store as the scheduler has it. do calls the
// real one and shows the oracle what came of it.
func through[T any](ctx context.Context, d *door, c *call, do func(o order) (T, error), mute func(*T)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err // as every store does
	}
	o := d.w.park(c)
	switch {
	case o.kill && !o.late:
		return none, store.ErrStopped
	case o.err != nil:
		return none, o.err
	}
	out, err := do(o)
	c.result = short(err)
	if o.hold && !o.kill {
		again := &call{label: c.label + " answer", what: "answer", rep: c.rep, op: c.op}
		o.kill = d.w.park(again).kill
	}
	switch {
	case o.kill:
		return none, store.ErrStopped
	case err != nil:
		return none, err
	case o.lose:
		return none, store.ErrUnknown
	case o.mute:
		mute(&out)
	}
	return out, nil
}

// Submit goes through the gate.
func (d *door) Submit(ctx context.Context, s *store.Submission) (store.Submitted, error) {
	c := d.call("submit", true, d.w.nameNew(s.ID, d.op))
	return through(ctx, d, c, func(o order) (store.Submitted, error) {
		out, err := d.w.mem.Submit(ctx, s)
		d.w.oracle.submitted(d.rep, o, s, out, err)
		return out, err
	}, func(*store.Submitted) {})
}

// RequestCancel goes through the gate.
func (d *door) RequestCancel(ctx context.Context, r *store.CancelRequest) (store.Cancellation, error) {
	c := d.call("cancel", true, d.w.name(r.ID))
	return through(ctx, d, c, func(o order) (store.Cancellation, error) {
		out, err := d.w.mem.RequestCancel(ctx, r)
		d.w.oracle.asked(d.rep, o, r, out, err)
		return out, err
	}, func(*store.Cancellation) {})
}

// Append goes through the gate.
func (d *door) Append(ctx context.Context, a *store.Append) (store.Appended, error) {
	what := "append"
	if a.TakeEpoch {
		what = "take"
	}
	c := d.call(what, true, d.w.name(a.ID), "e"+strconv.FormatInt(a.Epoch, 10), "after", strconv.FormatUint(a.LastSeq, 10))
	return through(ctx, d, c, func(o order) (store.Appended, error) {
		out, err := d.w.mem.Append(ctx, a)
		d.w.oracle.appended(d.rep, o, a, err)
		return out, err
	}, func(out *store.Appended) { out.Due = nil })
}

// Claim goes through the gate.
func (d *door) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claim, error) {
	what := "claim"
	if r.Suspects {
		what = "claim suspects"
	}
	c := d.call(what, true, r.Agent, strconv.Itoa(r.Limit))
	return through(ctx, d, c, func(o order) ([]store.Claim, error) {
		out, err := d.w.mem.Claim(ctx, r)
		d.w.oracle.claimed(d.rep, o, "claim", out, r.TTL)
		if len(out) > 0 && r.Suspects {
			d.w.count("suspects claimed")
		}
		if len(out) > 0 {
			c.label += " got " + strconv.Itoa(len(out))
		}
		return out, err
	}, func(*[]store.Claim) {})
}

// Heartbeat goes through the gate. The loop of the heartbeat can be told from
// an attempt that looks by itself: the one ends with its worker, the other
// must not.
func (d *door) Heartbeat(ctx context.Context, ttl time.Duration, beats []store.Beat) ([]store.BeatAnswer, error) {
	c := d.call("beat", true)
	if ctx.Done() == nil {
		c = d.call("look", true, d.w.name(beats[0].ID), "e"+strconv.FormatInt(beats[0].Epoch, 10))
	}
	return through(ctx, d, c, func(order) ([]store.BeatAnswer, error) {
		out, err := d.w.mem.Heartbeat(ctx, ttl, beats)
		d.w.oracle.beaten(d.rep, ttl, beats, out, err)
		return out, err
	}, func(*[]store.BeatAnswer) {})
}

// chore makes a call that no scheduler holds up, because whoever makes it has
// several timers: were two of them ready at once, the runtime would draw which
// comes first, in a way that no seed decides. Its faults hang on the time.
func chore[T any](d *door, what string, do func(o order) (T, error), mute func(*T)) (T, error) {
	var none T
	w := d.w
	w.mu.Lock()
	dead := d.rep.dead
	w.mu.Unlock()
	if dead {
		return none, store.ErrStopped
	}
	rng := w.derive(what, d.rep.name, strconv.FormatInt(time.Now().UnixNano(), 36))
	o := w.fault(rng, true)
	if o.err != nil {
		w.line(d.rep.name + " " + what + " refused as " + short(o.err))
		return none, o.err
	}
	out, err := do(o)
	w.line(d.rep.name + " " + what + ": " + short(err))
	if o.lose {
		return none, store.ErrUnknown
	}
	if o.mute {
		mute(&out)
	}
	return out, err
}

// Rescue is a chore.
func (d *door) Rescue(ctx context.Context, limit int) ([]string, error) {
	return chore(d, "rescue", func(order) ([]string, error) {
		out, err := d.w.mem.Rescue(ctx, limit)
		d.w.oracle.look(d.rep, "rescue")
		return out, err
	}, func(out *[]string) { *out = nil })
}

// Promote is a chore.
func (d *door) Promote(ctx context.Context, r store.PromoteRequest) (store.Promoted, error) {
	return chore(d, "promote", func(o order) (store.Promoted, error) {
		out, err := d.w.mem.Promote(ctx, r)
		if len(out.Agents) > 0 {
			d.w.count("promoted")
		}
		if len(out.Withdrawn) > 0 {
			d.w.count("withdrawn")
		}
		var ttl time.Duration
		if r.Expire != nil {
			ttl = r.Expire.TTL
		}
		d.w.oracle.claimed(d.rep, o, "promote", out.Expired, ttl)
		if out.Next > 0 {
			out.Next += d.rep.odd // or all replicas would come in one instant
		}
		return out, err
	}, func(out *store.Promoted) { out.Agents = nil })
}

// Waiting is not used: the agents of a simulation are a fixed set.
func (d *door) Waiting(ctx context.Context, after string, limit int) ([]string, error) {
	return d.w.mem.Waiting(ctx, after, limit)
}

// Suspects goes through the gate.
func (d *door) Suspects(ctx context.Context, limit int) ([]string, error) {
	return through(ctx, d, d.call("suspects", false), func(order) ([]string, error) {
		return d.w.mem.Suspects(ctx, limit)
	}, func(*[]string) {})
}

// Load goes through the gate.
func (d *door) Load(ctx context.Context, ref task.Ref) (store.Stored, error) {
	return through(ctx, d, d.call("load", false, d.w.name(ref.ID)), func(order) (store.Stored, error) {
		return d.w.mem.Load(ctx, ref)
	}, func(*store.Stored) {})
}

// Read goes through the gate.
func (d *door) Read(ctx context.Context, ref task.Ref, after uint64, maxBytes int) (store.Head, []store.Batch, error) {
	type answer struct {
		head    store.Head
		batches []store.Batch
	}
	a := "head"
	if maxBytes > 0 {
		a = strconv.FormatUint(after, 10)
	}
	out, err := through(ctx, d, d.call("read", false, d.w.name(ref.ID), a), func(order) (answer, error) {
		head, batches, err := d.w.mem.Read(ctx, ref, after, maxBytes)
		return answer{head, batches}, err
	}, func(*answer) {})
	return out.head, out.batches, err
}

// List goes through the gate.
func (d *door) List(ctx context.Context, q store.ListQuery) (store.Page, error) {
	return through(ctx, d, d.call("list", false), func(order) (store.Page, error) { return d.w.mem.List(ctx, q) }, func(*store.Page) {})
}

// Turns goes through the gate.
func (d *door) Turns(ctx context.Context, ref task.Ref, after, limit int) ([]store.Turn, error) {
	return through(ctx, d, d.call("turns", false, d.w.name(ref.ID)), func(order) ([]store.Turn, error) {
		return d.w.mem.Turns(ctx, ref, after, limit)
	}, func(*[]store.Turn) {})
}

// Attempts is for operators: nothing that is simulated asks.
func (d *door) Attempts(ctx context.Context, ref task.Ref) ([]store.Attempt, error) {
	return d.w.mem.Attempts(ctx, ref)
}

// Secret, Ready, About and Close are the store's.
func (d *door) Secret(ctx context.Context, name string) ([]byte, error) {
	return d.w.mem.Secret(ctx, name)
}
func (d *door) Ready(ctx context.Context) error { return d.w.mem.Ready(ctx) }
func (d *door) About() store.About              { return d.w.mem.About() }
func (d *door) Close() error                    { return nil }

// short names an error without the ids in its text, which differ in every run.
func short(err error) string {
	if err == nil {
		return "ok"
	}
	for _, e := range errorNames {
		if errors.Is(err, e.is) {
			return e.name
		}
	}
	return "other error"
}

// errorNames: of an error that is several, the first counts.
var errorNames = []struct {
	name string
	is   error
}{
	{"unknown", store.ErrUnknown}, {"not found", store.ErrNotFound}, {"fenced", store.ErrFenced}, {"stale", store.ErrStale},
	{"past deadline", store.ErrPastDeadline}, {"newer turn", store.ErrNewerTurn}, {"closed", store.ErrClosed},
	{"conflict", store.ErrKeyConflict}, {"overloaded", store.ErrOverloaded}, {"full", store.ErrFull},
	{"unavailable", store.ErrUnavailable}, {"stopped", store.ErrStopped}, {"canceled", context.Canceled},
}
