// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"time"
)

// mishap draws something that goes wrong, or right again.
func (w *world) mishap() {
	living := w.living()
	if len(living) == 0 {
		w.line("start")
		w.startReplica()
		return
	}
	r := living[w.rng.IntN(len(living))]
	switch w.rng.IntN(12) {
	case 0, 1:
		w.crash(r)
	case 2:
		w.count("graceful stops")
		w.line("stop " + r.name)
		w.mu.Lock()
		r.stopping = true
		w.mu.Unlock()
		r.stop()
	case 3, 4, 5:
		if len(living) < 3 {
			w.line("start")
			w.startReplica()
		}
	case 6, 7:
		w.line("freeze " + r.name)
		w.count("freezes")
		r.frozen = true
	case 8, 9:
		w.line("thaw " + r.name)
		r.frozen = false
	case 10:
		w.stepClock(r)
	case 11:
		w.cutOff()
	}
	for _, r := range w.replicas {
		w.mu.Lock()
		due := r.ended && !r.halted && !r.dead && !slices.ContainsFunc(w.parked, func(c *call) bool { return c.rep == r && c.op != nil })
		w.mu.Unlock()
		if due {
			w.halt(r)
			return
		}
	}
}

// stepClock makes a clock jump.
func (w *world) stepClock(r *replica) {
	d := time.Duration(w.rng.Int64N(int64(4*lease))) - 2*lease
	w.count("steps of a clock")
	w.line("clock")
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rng.IntN(2) == 0 {
		r.skew += d
	} else {
		w.storeSkew += d
	}
}

// cutOff ends the connection of a client that waits, and is not in the middle
// of a call of the store: there two things would be ready at once.
func (w *world) cutOff() {
	var idle []*op
	w.mu.Lock()
	for _, o := range w.ops {
		if !o.done && !o.cut && !slices.ContainsFunc(w.parked, func(c *call) bool { return c.op == o }) {
			idle = append(idle, o)
		}
	}
	w.mu.Unlock()
	if len(idle) == 0 {
		return
	}
	o := idle[w.rng.IntN(len(idle))]
	w.count("clients cut off")
	w.line("cut " + o.name)
	w.mu.Lock()
	o.cut = true
	w.mu.Unlock()
	o.cancel()
}
