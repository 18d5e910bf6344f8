// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"slices"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var censusRules = []rule{
	{"the agents with ready items are told once each, in the order of their bytes", censusNames},
	{"agents without a ready item are not among them", censusReady},
	{"pages go on after a name", censusPages},
}

const censusRule = "Waiting returns the names of the agents that have a ready item"

func (w *world) waiting(after string, limit int) []string {
	w.Helper()
	names, err := w.Waiting(w.Context(), after, limit)
	w.must("Waiting", err)
	return names
}

func censusNames(w *world) {
	w.want(censusRule+": there is none", w.waiting("", 10), []string(nil))
	names := slices.Clone(hostile)
	for n, a := range names {
		for range n%3 + 1 {
			w.queued(forAgent(a), ownedBy(task.Scope{Tenant: "of " + a}))
		}
	}
	names = slices.DeleteFunc(names, func(a string) bool { return a == "" })
	slices.Sort(names)
	names = slices.Compact(names)
	w.want(censusRule+", once each, byte by byte, whoever owns the items", w.waiting("", 1000), names)
}

func censusReady(w *world) {
	running := w.running(forAgent("running"))
	running.write(records(1), w.shows("WORKING"))
	w.submit(w.next(running.head()))
	w.running(forAgent("failed")).write(records(1), w.shows("WORKING"), retries(time.Minute))
	w.running(forAgent("parked")).park()
	w.running(forAgent("closed")).close()
	w.queued(forAgent("taken"))
	w.hold(w.claim("taken", 1)[0].Claim).write(takesOver, records(1))
	w.queued(forAgent("ready"))
	w.running(forAgent("released")).write(ends(store.Pending))
	w.want(censusRule, w.waiting("", 10), []string{"ready", "released"})
	w.clock.advance(time.Minute)
	w.promote()
	w.want(censusRule+": promoted", w.waiting("", 10), []string{"failed", "ready", "released"})
	w.rescue()
	w.want(censusRule+": rescued", w.waiting("", 10), []string{"failed", "ready", "released", "running"})
	w.want("the item is ready", len(w.claim("ready", 1)), 1)
	w.want(censusRule+": a claimed item is not ready", w.waiting("", 10), []string{"failed", "released", "running"})
}

func censusPages(w *world) {
	for _, a := range []string{"e", "a", "c", "b", "d"} {
		w.queued(forAgent(a))
	}
	w.want("Waiting returns at most limit names", w.waiting("", 2), []string{"a", "b"})
	w.want("Waiting returns the names after the given one", w.waiting("b", 2), []string{"c", "d"})
	w.want("Waiting goes on after a name that has nothing", w.waiting("cc", 10), []string{"d", "e"})
	w.want("Waiting: nothing comes after the last", w.waiting("e", 10), []string(nil))
	w.want("Waiting: a limit of none", w.waiting("", 0), []string(nil))
}
