// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

var listRules = []rule{
	{"tasks are listed by status time and id, both descending", listOrder},
	{"ids of one time are ordered byte by byte", listTies},
	{"every combination of filters lists what matches", listFilters},
	{"Since is inclusive", listSince},
	{"Until is inclusive, and zero is now or the newest task", listUntil},
	{"a task that is not listed is not there", listUnlisted},
	{"a task moves when its status changes, and only then", listMoves},
	{"a listed task comes with its content", listContent},
	{"filters are compared byte by byte", listExact},
	{"a listing is of one agent", listUnnamed},
	{"an empty scope has an empty listing", listEmpty},
}

// show records one event of the task with the view.
func (h *holder) show(state string, at time.Time) {
	h.w.Helper()
	h.write(records(1), func(a *store.Append) {
		a.View = &store.View{State: state, StatusAt: at, Listed: true}
	})
}

func (w *world) list(q store.ListQuery) store.Page {
	w.Helper()
	if q.Scope.Tenant == "" {
		q.Scope = mine
	}
	if q.Agent == "" {
		q.Agent = agent
	}
	page, err := w.List(w.Context(), q)
	w.must("List", err)
	return page
}

func ids(page store.Page) []string {
	out := []string{}
	for _, t := range page.Tasks {
		out = append(out, t.Head.ID)
	}
	return out
}

func listOrder(w *world) {
	var want []string
	start := w.clock.Now()
	for _, n := range []int{5, 1, 9, 3, 7, 0, 8, 2, 6, 4} {
		h := w.running(named(fmt.Sprint("id ", (n*7)%10, " at ", n)))
		h.show("WORKING", start.Add(time.Duration(n)*ms))
		want = append(want, h.Head.ID)
	}
	slices.SortFunc(want, func(a, b string) int { return strings.Compare(b[len(b)-1:], a[len(a)-1:]) })
	w.want("the order is status time, then id, both descending", ids(w.list(store.ListQuery{Limit: 100})), want)
}

func listTies(w *world) {
	at := w.clock.Now()
	for _, id := range hostile {
		w.running(named(id)).show("WORKING", at)
	}
	want := slices.Clone(hostile)
	slices.Sort(want)
	slices.Reverse(want)
	w.want("ids of one status time are ordered byte by byte, descending", ids(w.list(store.ListQuery{Limit: 100})), want)
	var paged []string
	q := store.ListQuery{Limit: 1}
	for range hostile {
		page := w.list(q)
		paged = append(paged, ids(page)...)
		if len(page.Tasks) == 0 {
			break
		}
		q.After, q.Until = store.ListPosition{StatusAt: at, ID: page.Tasks[0].Head.ID}, page.Until
	}
	w.want("pages cut ties between any two ids", paged, want)
}

// listFilters compares every combination with the plainest filter there is.
func listFilters(w *world) {
	start := w.clock.Now()
	var all []store.Head
	for n := range 32 {
		h := w.running(forAgent([]string{"a", "b"}[n&1]), inContext([]string{"c", ""}[n>>1&1]))
		h.show([]string{"WORKING", "COMPLETED"}[n>>2&1], start.Add(time.Duration(n>>3)*time.Second))
		all = append(all, h.head())
	}
	slices.SortFunc(all, func(a, b store.Head) int {
		if c := b.StatusAt.Compare(a.StatusAt); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	end := start.Add(time.Hour)
	for _, q := range everyQuery(start, end) {
		want := []string{}
		for _, h := range all {
			if q.Agent == h.Agent && (q.ContextID == "" || q.ContextID == h.ContextID) &&
				(q.State == "" || q.State == h.State) && !h.StatusAt.Before(q.Since) && !h.StatusAt.After(q.Until) {
				want = append(want, h.ID)
			}
		}
		page := w.list(q)
		what := fmt.Sprintf("agent %q, context %q, state %q, since %v, until %v", q.Agent, q.ContextID, q.State, q.Since, q.Until)
		w.want("a listing holds what matches every filter: "+what, ids(page), want)
		w.want("Total counts the tasks that match; nothing comes after them: "+what, []any{page.Total, page.More}, []any{len(want), false})

		q.Limit = 3
		page = w.list(q)
		w.want("a page is the beginning of the listing: "+what, ids(page), want[:min(3, len(want))])
		w.want("Total does not depend on the page: "+what, []any{page.Total, page.More}, []any{len(want), len(want) > 3})
	}
}

func everyQuery(start, end time.Time) (out []store.ListQuery) {
	for _, agent := range []string{"a", "b", "nobody"} {
		for _, context := range []string{"", "c", "nowhere"} {
			for _, state := range []string{"", "WORKING", "UNHEARD"} {
				for _, since := range []time.Time{{}, start.Add(time.Second), start.Add(2500 * ms)} {
					for _, until := range []time.Time{end, start.Add(2 * time.Second)} {
						out = append(out, store.ListQuery{
							Agent: agent, ContextID: context, State: state, Since: since, Until: until, Limit: 100, Total: true,
						})
					}
				}
			}
		}
	}
	return out
}

func listSince(w *world) {
	at := w.clock.Now()
	h := w.running()
	h.show("WORKING", at)
	far := time.FixedZone("far", -11*60*60)
	for _, zone := range []*time.Location{time.UTC, far} {
		for d, want := range map[time.Duration]int{-time.Hour: 1, -ms: 1, 0: 1, ms: 0, time.Hour: 0} {
			page := w.list(store.ListQuery{Since: at.Add(d).In(zone), Until: at.Add(2 * time.Hour), Limit: 10, Total: true})
			w.want(fmt.Sprintf("Since: status time at or after, whatever the zone: %v after", d), []int{len(page.Tasks), page.Total}, []int{want, want})
		}
	}
}

func listUntil(w *world) {
	at := w.clock.Now()
	w.running().show("WORKING", at)
	for d, want := range map[time.Duration]int{-time.Hour: 0, -ms: 0, 0: 1, ms: 1, time.Hour: 1} {
		page := w.list(store.ListQuery{Until: at.Add(d), Limit: 10, Total: true})
		w.want(fmt.Sprintf("Until: status time at or before: %v after", d), []int{len(page.Tasks), page.Total}, []int{want, want})
		w.want("Page.Until is the bound that was used", page.Until.Equal(at.Add(d)), true)
	}
	w.clock.advance(time.Minute)
	page := w.list(store.ListQuery{Limit: 10})
	w.want("Until zero is now, as the driver's clock has it", page.Until.Truncate(ms), w.clock.Now())

	// The status time is the worker's clock, which may be ahead of the driver's.
	ahead := w.clock.Now().Add(time.Hour)
	h := w.running()
	h.show("WORKING", ahead)
	page = w.list(store.ListQuery{Limit: 10, Total: true})
	w.want("Until zero is at least every committed task", []any{len(page.Tasks), page.Total, page.Until.Before(ahead)}, []any{2, 2, false})
}

func listUnlisted(w *world) {
	queued := w.queued(forAgent("other"))
	running := w.running()
	message := w.running()
	message.write(records(1), func(a *store.Append) {
		a.View = &store.View{State: "", StatusAt: w.clock.Now(), Closed: true}
	}, ends(store.Completed))
	shown := w.running()
	shown.show("WORKING", w.clock.Now())
	page := w.list(store.ListQuery{Limit: 10, Total: true})
	w.want("a task without a recorded Task is not listed", ids(page), []string{shown.Head.ID})
	w.want("what is not listed is not counted", page.Total, 1)
	w.want("a task whose only record is a Message stays unlisted", w.head(message.Head.Ref).Listed, false)
	w.want("an unlisted task can be loaded", w.load(queued.Ref).Head.ID, queued.ID)
	at := w.clock.Now()
	running.write(records(1), func(a *store.Append) { a.View = &store.View{State: "WORKING", StatusAt: at} })
	w.want("a status alone lists nothing", ids(w.list(store.ListQuery{Limit: 10})), []string{shown.Head.ID})
	running.show("WORKING", at)
	w.want("a task is listed from its first Task on", len(w.list(store.ListQuery{Limit: 10}).Tasks), 2)
}

func listMoves(w *world) {
	a, b, c := w.running(named("a")), w.running(named("b")), w.running(named("c"))
	for _, h := range []*holder{a, b, c} {
		h.show("WORKING", w.clock.Now())
		w.clock.advance(time.Second)
	}
	w.want("the newest status comes first", ids(w.list(store.ListQuery{Limit: 10})), []string{"c", "b", "a"})
	b.write(records(5))
	b.write(records(1), func(x *store.Append) {
		x.View = &store.View{State: "STILL WORKING", StatusAt: b.head().StatusAt, Listed: true}
	})
	w.want("records that leave the status time leave the order", ids(w.list(store.ListQuery{Limit: 10})), []string{"c", "b", "a"})
	a.show("WORKING", w.clock.Now())
	w.want("a new status moves a task to the front", ids(w.list(store.ListQuery{Limit: 10})), []string{"a", "c", "b"})
	w.submit(w.next(b.head()))
	b.beat()
	w.cancel(b.Head.Ref, "stop")
	w.want("turns, heartbeats and requests leave the order", ids(w.list(store.ListQuery{Limit: 10})), []string{"a", "c", "b"})
	w.want("state filters see the newest state", ids(w.list(store.ListQuery{Limit: 10, State: "STILL WORKING"})), []string{"b"})
	c.write(c.closing)
	w.want("a closed task stays listed", ids(w.list(store.ListQuery{Limit: 10, State: "COMPLETED"})), []string{"c"})
	fromOld := w.running(named("d"))
	fromOld.show("WORKING", w.clock.Now().Add(-time.Hour))
	w.want("a status of an earlier time is listed where it belongs", ids(w.list(store.ListQuery{Limit: 10}))[3], "d")
	fromOld.show("WORKING", time.Date(1969, 7, 20, 20, 17, 40, 0, time.UTC))
	w.want("a status from before 1970 is listed last", ids(w.list(store.ListQuery{Limit: 10}))[3], "d")
}

func listContent(w *world) {
	a, b, c := w.running(), w.running(), w.running()
	a.write(records(2), w.shows("WORKING"))
	b.write(records(3), w.shows("WORKING"), folds)
	c.write(records(1), w.shows("WORKING"), folds)
	c.write(records(2))
	c.write(records(1), folds)
	c.write(records(4))
	page := w.list(store.ListQuery{Limit: 10})
	w.want("all are listed", len(page.Tasks), 3)
	for _, got := range page.Tasks {
		w.want("a page holds the content of each task: head, snapshot and the log after it", got, w.load(got.Head.Ref))
	}
}

func listExact(w *world) {
	at := w.clock.Now()
	for n, s := range hostile {
		w.running(named(fmt.Sprint("state", n))).show(s, at)
		w.running(named(fmt.Sprint("context", n)), inContext(s)).show("WORKING", at)
		w.running(named(fmt.Sprint("agent", n)), forAgent(s)).show("WORKING", at)
	}
	for n, s := range hostile {
		w.want(fmt.Sprintf("states are compared byte by byte: %q", s), ids(w.list(store.ListQuery{Limit: 100, State: s})), []string{fmt.Sprint("state", n)})
		w.want(fmt.Sprintf("contexts are compared byte by byte: %q", s), ids(w.list(store.ListQuery{Limit: 100, ContextID: s})), []string{fmt.Sprint("context", n)})
		w.want(fmt.Sprintf("agents are compared byte by byte: %q", s), ids(w.list(store.ListQuery{Limit: 100, Agent: s})), []string{fmt.Sprint("agent", n)})
	}
}

func listUnnamed(w *world) {
	for _, name := range []string{"", agent} {
		w.running(named("of "+name), forAgent(name)).show("WORKING", w.clock.Now())
	}
	for _, name := range []string{"", agent} {
		page, err := w.List(w.Context(), store.ListQuery{Scope: mine, Agent: name, Limit: 10, Total: true})
		w.must("List", err)
		w.want(fmt.Sprintf("the tasks of one agent alone are listed and counted, also of the one without a name: %q", name),
			[]any{ids(page), page.Total}, []any{[]string{"of " + name}, 1})
	}
}

func listEmpty(w *world) {
	page := w.list(store.ListQuery{Limit: 10, Total: true})
	w.want("nothing to list is not an error", []any{len(page.Tasks), page.More, page.Total}, []any{0, false, 0})
	w.want("Page.Until is the bound that was used: now", page.Until.Truncate(ms), w.clock.Now())
}
