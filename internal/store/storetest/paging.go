// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

var pagingRules = []rule{
	{"pages of every size make the whole listing", pagingSizes},
	{"More is exact at the edge of a page", pagingMore},
	{"a page after a place that is gone goes on from there", pagingGone},
	{"filters hold on every page", pagingFilters},
	{"while tasks change nothing repeats and nothing still is missed", pagingChanges},
	{"beside concurrent writers nothing repeats and nothing still is missed", pagingRace},
}

// pages walks a listing to its end, calling between after each page.
func (w *world) pages(q store.ListQuery, between func(page store.Page)) (out []store.Stored) {
	w.Helper()
	for {
		page := w.list(q)
		out = append(out, page.Tasks...)
		if between != nil {
			between(page)
		}
		if !page.More {
			return out
		}
		if len(page.Tasks) == 0 || len(out) > 10000 {
			w.Fatalf("broken rule: More says that there are tasks after the last one of the page\na page of %d tasks has more, %d so far", len(page.Tasks), len(out))
		}
		last := page.Tasks[len(page.Tasks)-1].Head
		q.After, q.Until = store.ListPosition{StatusAt: last.StatusAt, ID: last.ID}, page.Until
	}
}

// listed makes n listed tasks, three to each status time.
func (w *world) listed(n int) (out []*holder) {
	w.Helper()
	for i := range n {
		h := w.running()
		h.show([]string{"WORKING", "INPUT_REQUIRED"}[i%2], w.clock.Now())
		if i%3 == 2 {
			w.clock.advance(ms)
		}
		out = append(out, h)
	}
	w.clock.advance(time.Second)
	return out
}

func pagingSizes(w *world) {
	w.listed(25)
	all := w.list(store.ListQuery{Limit: 100})
	for _, limit := range []int{1, 2, 3, 4, 5, 7, 12, 24, 25, 26} {
		got := store.Page{Tasks: w.pages(store.ListQuery{Limit: limit, Total: true}, func(page store.Page) {
			w.want("a page has at most Limit tasks", len(page.Tasks) <= limit, true)
			w.want("Total is the same on every page", page.Total, 25)
		})}
		w.want(fmt.Sprintf("pages of %d make the whole listing", limit), ids(got), ids(all))
	}
}

func pagingMore(w *world) {
	w.listed(10)
	for limit, more := range map[int]bool{9: true, 10: false, 11: false} {
		page := w.list(store.ListQuery{Limit: limit})
		w.want(fmt.Sprintf("More: are there tasks after the last one: 10 tasks, limit %d", limit), page.More, more)
	}
	first := w.list(store.ListQuery{Limit: 5})
	last := first.Tasks[4].Head
	page := w.list(store.ListQuery{Limit: 5, Until: first.Until, After: store.ListPosition{StatusAt: last.StatusAt, ID: last.ID}})
	w.want("More on an exact last page", []any{len(page.Tasks), page.More}, []any{5, false})
	last = page.Tasks[4].Head
	page = w.list(store.ListQuery{Limit: 5, Until: first.Until, After: store.ListPosition{StatusAt: last.StatusAt, ID: last.ID}})
	w.want("after the last task there is nothing", []any{len(page.Tasks), page.More}, []any{0, false})
}

func pagingGone(w *world) {
	held := w.listed(9)
	page := w.list(store.ListQuery{Limit: 4})
	last := page.Tasks[3].Head
	rest := ids(w.list(store.ListQuery{Limit: 100, Until: page.Until, After: store.ListPosition{StatusAt: last.StatusAt, ID: last.ID}}))
	for _, h := range held {
		if h.Head.ID == last.ID {
			h.show("WORKING", w.clock.Now().Add(time.Hour))
		}
	}
	again := ids(w.list(store.ListQuery{Limit: 100, Until: page.Until, After: store.ListPosition{StatusAt: last.StatusAt, ID: last.ID}}))
	w.want("After is a place, whether a task is there or not", again, rest)
	w.want("five of nine come after the fourth", len(rest), 5)
}

func pagingFilters(w *world) {
	w.listed(30)
	var states []string
	got := w.pages(store.ListQuery{Limit: 4, State: "WORKING", Total: true}, func(page store.Page) {
		w.want("Total counts what matches, on every page", page.Total, 15)
	})
	for _, t := range got {
		states = append(states, t.Head.State)
	}
	want := make([]string, 15)
	for n := range want {
		want[n] = "WORKING"
	}
	w.want("a filter holds on every page", states, want)
}

// once checks that no task came twice and that those that did not change came.
func (w *world) once(got []store.Stored, still []*holder) {
	w.Helper()
	seen := map[string]int{}
	for _, t := range got {
		seen[t.Head.ID]++
		if seen[t.Head.ID] == 2 {
			w.Errorf("broken rule: nothing repeats while pages are read\n%s came twice", t.Head.ID)
		}
	}
	for _, h := range still {
		if seen[h.Head.ID] != 1 {
			w.Errorf("broken rule: nothing that did not change is missed\n%s came %d times", h.Head.ID, seen[h.Head.ID])
		}
	}
}

func pagingChanges(w *world) {
	held := w.listed(60)
	var still, moving []*holder
	for n, h := range held {
		if n%3 == 0 {
			moving = append(moving, h)
		} else {
			still = append(still, h)
		}
	}
	round := 0
	got := w.pages(store.ListQuery{Limit: 7}, func(page store.Page) {
		w.clock.advance(10 * ms)
		for n, h := range moving {
			switch (n + round) % 4 {
			case 0:
				h.show("WORKING", w.clock.Now())
			case 1:
				h.write(records(1))
			}
		}
		for _, h := range still {
			h.write(records(1)) // content only
		}
		w.running().show("WORKING", w.clock.Now())
		w.queued(forAgent("other"))
		round++
	})
	w.once(got, still)
	for _, t := range got {
		if n := len(t.Tail); n == 0 || t.Tail[n-1].Last != t.Head.LastSeq {
			w.Errorf("broken rule: head and content of a listed task are of one moment\n%s ends at %d", t.Head.ID, t.Head.LastSeq)
		}
	}
	w.want("what changed or came meanwhile appears in the next listing", len(w.list(store.ListQuery{Limit: 1000}).Tasks), 60+round)
}

func pagingRace(w *world) {
	held := w.listed(90)
	var still []*holder
	var wg sync.WaitGroup
	done := make(chan struct{})
	for k := range 3 {
		var moving []*holder
		for n, h := range held {
			if n%6 == k {
				moving = append(moving, h)
			}
		}
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				w.clock.advance(ms)
				if _, err := moving[n%len(moving)].try(records(1), w.shows("WORKING")); err != nil {
					w.Errorf("Append: %v", err)
					return
				}
			}
		})
	}
	defer wg.Wait()
	defer close(done)
	for n, h := range held {
		if n%6 > 2 {
			still = append(still, h)
		}
	}
	for _, limit := range []int{1, 4, 13, 30} {
		w.once(w.pages(store.ListQuery{Limit: limit}, nil), still)
	}
}
