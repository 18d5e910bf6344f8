// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/store"
)

// probe is one thing that is done to both stores, n times a round.
type probe struct {
	name    string
	n       int
	callers int
	table   sizeTable
	do      func(ctx context.Context, r *rig) error
	parts   []string // instead of a name, if parts of it are noted
}

// sizeTable is the table that a probe stands in.
type sizeTable int

const (
	sameForAll sizeTable = iota // what it costs does not depend on the store
	farApart                    // what it asks for lies everywhere in the file
	counting                    // totals of listings
)

func newProbe(name string, n, callers int, table sizeTable, do func(ctx context.Context, r *rig) error) probe {
	return probe{name: name, n: n, callers: callers, table: table, do: do}
}

// probes are all that is asked of the two stores.
func probes(s settings) []probe {
	all := []probe{turns("one caller", s.each, 1), turns("64 callers", 8*s.each, 64)}
	all = append(all,
		newProbe("get one of the newest 5,000", 5*s.each, 1, sameForAll, getNew),
		newProbe("get one of the newest 5,000, 16 callers", 5*s.each, 16, sameForAll, getNew),
		newProbe("get one of all finished", 5*s.each, 1, farApart, getAny),
		newProbe("who has work (Waiting)", s.each/4, 1, sameForAll, censusOne),
		newProbe("what is due (Promote)", s.each/4, 1, sameForAll, promoteOne),
		newProbe("lost leases (Rescue)", s.each/4, 1, sameForAll, rescueOne),
	)
	for _, q := range listings() {
		all = append(all, newProbe("page: "+q.name, s.each/4, 1, q.table, q.page))
	}
	for _, q := range listings() {
		if !q.middle {
			all = append(all, newProbe("total: "+q.name, max(s.each/100, 2), 1, counting, q.total))
		}
	}
	return all
}

// listing is one query of ListTasks.
type listing struct {
	name   string
	middle bool // from the middle of the history, not from its end
	table  sizeTable
	make   func(w *world, q *store.ListQuery)
}

func listings() []listing {
	failed := string(a2a.TaskStateFailed)
	none := func(*world, *store.ListQuery) {}
	inLarge := func(w *world, q *store.ListQuery) { q.ContextID = w.name(contextName, largeContext) }
	return []listing{
		{"no filter", false, sameForAll, none},
		{"no filter, from the middle", true, sameForAll, none},
		{"state", false, sameForAll, func(_ *world, q *store.ListQuery) { q.State = failed }},
		{"state, from the middle", true, sameForAll, func(_ *world, q *store.ListQuery) { q.State = failed }},
		{"one conversation", false, sameForAll, func(w *world, q *store.ListQuery) {
			q.ContextID = w.conversation(w.newest)
		}},
		{"one conversation, of all", false, farApart, func(w *world, q *store.ListQuery) { q.ContextID = w.conversation(w.any) }},
		{"the largest conversation", false, sameForAll, inLarge},
		{"the largest conversation, from the middle", true, sameForAll, inLarge},
		{"the largest conversation and state", false, farApart, func(w *world, q *store.ListQuery) { inLarge(w, q); q.State = string(a2a.TaskStateCompleted) }},
		{"the last month", false, sameForAll, func(w *world, q *store.ListQuery) { q.Since = w.began.Add(-30 * 24 * time.Hour) }},
		{"one of the small tenants", false, farApart, func(w *world, q *store.ListQuery) { q.Scope = w.small(rand.Uint64N(w.tenants())) }},
	}
}

func (l listing) page(ctx context.Context, r *rig) error {
	q := store.ListQuery{Limit: pageLimit}
	l.make(r.w, &q)
	if l.middle {
		i := uint64(r.w.finished+r.w.waiting)/2 + rand.Uint64N(100)
		q.After = store.ListPosition{StatusAt: r.w.at(i), ID: r.w.name(taskName, i)}
	}
	_, err := r.st.List(ctx, q)
	return err
}

func (l listing) total(ctx context.Context, r *rig) error {
	q := store.ListQuery{Total: true}
	l.make(r.w, &q)
	page, err := r.st.List(ctx, q)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.totals[l.name] = page.Total
	return err
}

// turns submits a task, claims the first that waits and finishes it: as much
// waits afterwards as before. Each of the three is noted apart.
func turns(by string, n, callers int) probe {
	submit, claim, finish := "submit, "+by, "claim, "+by, "finish, "+by
	return probe{parts: []string{submit, claim, finish}, n: n, callers: callers, do: func(ctx context.Context, r *rig) error {
		sub := r.w.queued(uint64(r.next.Add(1) - 1))
		began := time.Now()
		if _, err := r.st.Submit(ctx, sub); err != nil {
			return err
		}
		submitted := time.Now()
		got, err := r.st.Claim(ctx, store.ClaimRequest{Limit: 1, Taker: store.Taker{Worker: sizeWorker, TTL: fillLease}})
		if err != nil || len(got) != 1 {
			return errors.Join(err, fmt.Errorf("%d items were claimed", len(got)))
		}
		claimed := time.Now()
		end := r.w.ending(uint64(r.next.Add(1)-1), &got[0], claimed)
		ending := time.Now()
		if _, err := r.st.Append(ctx, end); err != nil {
			return err
		}
		ended := time.Now()
		r.note(submit, submitted.Sub(began))
		r.note(claim, claimed.Sub(submitted))
		r.note(finish, ended.Sub(ending))
		return nil
	}}
}

// note keeps what a part of a probe took.
func (r *rig) note(name string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counted {
		r.took[name] = append(r.took[name], took)
	}
}

func getNew(ctx context.Context, r *rig) error {
	_, err := r.st.Load(ctx, r.w.ref(r.w.newest()))
	return err
}

func getAny(ctx context.Context, r *rig) error {
	_, err := r.st.Load(ctx, r.w.ref(r.w.any()))
	return err
}

// any is one of all finished tasks.
func (w *world) any() uint64 { return rand.Uint64N(uint64(w.finished)) }

// newest is one of the last finished tasks, as many in each store: what clients
// ask for.
func (w *world) newest() uint64 {
	return uint64(w.finished) - 1 - rand.Uint64N(uint64(min(w.finished, fewFinished)))
}

func censusOne(ctx context.Context, r *rig) error {
	_, err := r.st.Waiting(ctx, "", 10)
	return err
}

func promoteOne(ctx context.Context, r *rig) error {
	_, err := r.st.Promote(ctx, store.PromoteRequest{Limit: 100, Expire: &store.Taker{Worker: sizeWorker, TTL: fillLease}})
	return err
}

func rescueOne(ctx context.Context, r *rig) error {
	_, err := r.st.Rescue(ctx, 100)
	return err
}
