// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/task"
)

// actor is the agent of one replica. What it does with a message is decided by
// the seed, the message and the attempt, and when it does it by the scheduler.
type actor struct {
	w   *world
	rep *replica
}

// derive gives randomness that hangs on nothing but the seed and words: it may
// be asked for in any order.
func (w *world) derive(words ...string) *rand.Rand {
	h := fnv.New64a()
	for _, s := range words {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// performance is one call of Execute or Cancel.
type performance struct {
	*actor
	ctx   context.Context
	ec    *a2asrv.ExecutorContext
	label string
	yield func(a2a.Event, error) bool
	rng   *rand.Rand
	// deaf goes on although its context has ended.
	deaf bool
	// tries is how many attempts fail before one does not.
	tries, attempt int
}

// Execute performs what the message is for.
func (a *actor) Execute(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		n := agent.Attempt(ctx)
		id := ec.Message.ID
		drawn := a.w.derive("plan", id)
		plan := choose(drawn, plans)
		p := &performance{
			actor: a, ctx: ctx, ec: ec, yield: yield, attempt: n,
			label: a.rep.name + " agent " + id + "#" + strconv.Itoa(n),
			tries: 1 + drawn.IntN(3), rng: a.w.derive("attempt", id, strconv.Itoa(n)),
		}
		p.deaf = p.rng.IntN(4) == 0
		a.w.started(p, id)
		if p.step() {
			plan.do(p)
		}
	}
}

// Cancel answers a cancellation.
func (a *actor) Cancel(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		name := a.w.name(string(ec.TaskID))
		n := agent.Attempt(ctx)
		p := &performance{
			actor: a, ctx: ctx, ec: ec, yield: yield, attempt: n,
			label: a.rep.name + " agent cancels " + name + "#" + strconv.Itoa(n), rng: a.w.derive("cancel", name, strconv.Itoa(n)),
		}
		if p.step() {
			choose(p.rng, cancelPlans).do(p)
		}
	}
}

// Cleanup is not there: a task that waits for its next turn stays warm.

// step parks; false means that the run is over.
func (p *performance) step() bool {
	if p.w.park(&call{label: p.label, what: "agent", rep: p.rep}).kill {
		return false
	}
	if p.ctx.Err() != nil && !p.deaf {
		p.w.count("agents that heard the end of their context")
		p.yield(nil, context.Cause(p.ctx))
		return false
	}
	return true
}

func (p *performance) steps(n int) bool {
	for range n {
		if !p.step() {
			return false
		}
	}
	return true
}

func (p *performance) say(state a2a.TaskState, text string) bool {
	ev := a2a.NewStatusUpdateEvent(p.ec, state, nil)
	if text != "" {
		ev.Status.Message = &a2a.Message{ID: p.ec.Message.ID + "-" + strconv.Itoa(p.attempt) + "-" + text, Role: a2a.MessageRoleAgent, Parts: a2a.ContentParts{a2a.NewTextPart(text)}}
	}
	return p.yield(ev, nil)
}

// chunks appends to an artifact, a step each.
func (p *performance) chunks() bool {
	pad := ""
	if p.rng.IntN(6) == 0 {
		pad = strings.Repeat("x", 4096)
	}
	id := a2a.ArtifactID("a" + strconv.Itoa(p.rng.IntN(2)))
	for n := range p.rng.IntN(7) {
		ev := a2a.NewArtifactUpdateEvent(p.ec, id, a2a.NewTextPart(p.ec.Message.ID+"/"+strconv.Itoa(p.attempt)+"/"+strconv.Itoa(n)+pad))
		ev.Append = n > 0
		if !p.yield(ev, nil) || !p.step() {
			return false
		}
		if p.rng.IntN(8) == 0 {
			agent.Progress(p.ctx, 10*n)
			if !p.step() {
				return false
			}
		}
	}
	return true
}

// work is what most plans begin with.
func (p *performance) work() bool {
	if p.rng.IntN(2) == 0 && (!p.say(a2a.TaskStateWorking, "") || !p.step()) {
		return false
	}
	return p.chunks()
}

func (p *performance) complete() {
	p.say(a2a.TaskStateCompleted, "")
	if p.rng.IntN(5) == 0 && p.step() { // against the rules: it has ended
		p.w.count("events after the end of a turn")
		p.say(a2a.TaskStateWorking, "late")
	}
}

type plan struct {
	weight int
	name   string
	do     func(*performance)
}

func choose(rng *rand.Rand, from []plan) plan {
	sum := 0
	for _, p := range from {
		sum += p.weight
	}
	n := rng.IntN(sum)
	for _, p := range from {
		if n -= p.weight; n < 0 {
			return p
		}
	}
	panic("unreachable")
}

var errAgent = errors.New("the agent's own words")

var plans = []plan{
	{30, "complete", func(p *performance) {
		if p.work() {
			p.complete()
		}
	}},
	{16, "ask", func(p *performance) {
		if p.work() {
			p.say(a2a.TaskStateInputRequired, "which?")
		}
	}},
	{5, "authorize", func(p *performance) {
		if p.work() {
			p.say(a2a.TaskStateAuthRequired, "who?")
		}
	}},
	{6, "authorize and go on", func(p *performance) {
		if p.say(a2a.TaskStateAuthRequired, "who?") && p.steps(2) && p.work() {
			p.complete()
		}
	}},
	{4, "fail", func(p *performance) {
		if p.work() {
			p.say(a2a.TaskStateFailed, "no")
		}
	}},
	{3, "reject", func(p *performance) { p.say(a2a.TaskStateRejected, "no") }},
	{1, "cancel itself", func(p *performance) { p.say(a2a.TaskStateCanceled, "") }},
	{14, "flaky", func(p *performance) {
		if !p.work() {
			return
		}
		if p.attempt > p.tries {
			p.complete()
			return
		}
		p.trouble()
	}},
	{2, "hopeless", func(p *performance) { p.yield(nil, task.Permanent(errAgent)) }},
	{4, "broken", func(p *performance) { p.trouble() }},
	{5, "message", func(p *performance) {
		p.yield(&a2a.Message{ID: p.ec.Message.ID + "-reply", Role: a2a.MessageRoleAgent, Parts: a2a.ContentParts{a2a.NewTextPart("so be it")}}, nil)
	}},
	{3, "task", func(p *performance) {
		t := &a2a.Task{ID: p.ec.TaskID, ContextID: p.ec.ContextID, Status: a2a.TaskStatus{State: a2a.TaskStateWorking}, History: []*a2a.Message{p.ec.Message}}
		if p.yield(t, nil) && p.step() && p.work() {
			p.complete()
		}
	}},
	{4, "silent", func(p *performance) {}},
	{3, "no end", func(p *performance) { p.work() }},
	{8, "hang", func(p *performance) {
		if !p.work() {
			return
		}
		for !p.w.calm {
			if !p.step() {
				return
			}
			if p.deaf && p.ctx.Err() != nil {
				p.w.count("agents that do not hear the end of their context")
				if !p.say(a2a.TaskStateWorking, "") {
					return
				}
			}
		}
		p.complete()
	}},
	{4, "rule breaker", func(p *performance) {
		other := a2a.NewStatusUpdateEvent(p.ec, a2a.TaskStateWorking, nil)
		other.TaskID = "another"
		unknown := a2a.NewArtifactUpdateEvent(p.ec, "never seen", a2a.NewTextPart("x"))
		unknown.Append = true
		if p.yield(other, nil) && p.step() && p.yield(unknown, nil) && p.step() && p.work() {
			p.complete()
		}
	}},
}

// trouble is how an attempt fails.
func (p *performance) trouble() {
	switch p.rng.IntN(5) {
	case 0:
		p.w.count("panics")
		panic(errAgent)
	case 1:
		p.w.count("exits")
		runtime.Goexit()
	case 2:
		p.yield(nil, task.RetryAfter(time.Duration(p.rng.IntN(400))*time.Millisecond, errAgent))
	default:
		p.yield(nil, errAgent)
	}
}

var cancelPlans = []plan{
	{60, "agree", func(p *performance) { p.say(a2a.TaskStateCanceled, "") }},
	{10, "agree late", func(p *performance) {
		if p.steps(2) {
			p.say(a2a.TaskStateCanceled, "")
		}
	}},
	{10, "say nothing", func(p *performance) {}},
	{15, "refuse", func(p *performance) { p.yield(nil, a2a.ErrTaskNotCancelable) }},
	{5, "complete", func(p *performance) { p.say(a2a.TaskStateCompleted, "") }},
	{4, "panic", func(p *performance) { panic(errAgent) }},
	{10, "hang", func(p *performance) {
		for !p.w.calm && p.step() {
		}
	}},
}
