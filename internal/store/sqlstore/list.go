// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"

	"github.com/errand-a2a/errand/internal/store"
)

// listShape says which filters a listing has. Each shape has its own text, so
// that the database can plan it with the index that fits.
type listShape int

const (
	withState listShape = 1 << iota
	withContext
	withSince
	listShapes = 1 << iota
	// plainShapes are those whose total is kept: without a filter and by state.
	plainShapes = withContext
)

func (s *statements) lists() {
	for shape := range listShape(listShapes) {
		// One bound for both the page and Until: with two, the database would
		// seek by one and walk to the other.
		where := " FROM tasks WHERE listed = 1 AND tenant = ? AND principal = ? AND agent = ? AND (status_at, id) < (?, ?)"
		for _, f := range []struct {
			with listShape
			cond string
		}{
			{withContext, " AND context = ?"},
			{withState, " AND state = ?"},
			{withSince, " AND status_at >= ?"},
		} {
			if shape&f.with != 0 {
				where += f.cond
			}
		}
		s.pages[shape] = s.text("SELECT " + headColumns + where + " ORDER BY status_at DESC, id DESC LIMIT ?")
		s.totals[shape] = s.text("SELECT COUNT(*)" + where)
	}
	s.newest = s.text("SELECT status_at FROM tasks WHERE listed = 1 AND tenant = ? AND principal = ? AND agent = ? ORDER BY status_at DESC LIMIT 1")
}

// List returns listed tasks of a scope, the newest status first. A page costs
// what its own tasks cost; see total for Total.
func (s *Store) List(ctx context.Context, q store.ListQuery) (page store.Page, err error) {
	err = s.read(ctx, "list", func(v view) error {
		page = store.Page{Until: truncated(q.Until)}
		if q.Until.IsZero() {
			if err := v.until(s.o.Clock().UnixMilli(), q, &page); err != nil {
				return err
			}
		}
		return v.page(q, &page)
	})
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}

// until is now, or the newest status if somebody's clock is ahead of ours.
func (v view) until(now int64, q store.ListQuery, page *store.Page) error {
	page.Until = fromMillis(now)
	return v.query("find the newest task", v.s.newest, func(x Row) error {
		page.Until = fromMillis(max(now, x.Int(0)))
		return nil
	}, Text(q.Tenant), Text(q.Principal), Text(q.Agent))
}

func (v view) page(q store.ListQuery, page *store.Page) error {
	// What is listed comes before this position: the first that is after Until.
	from, id := toMillis(page.Until)+1, ""
	shape, args := listShape(0), []Value{Text(q.Tenant), Text(q.Principal), Text(q.Agent), Int(from), Text(id)}
	add := func(with listShape, values ...Value) {
		shape |= with
		args = append(args, values...)
	}
	if q.ContextID != "" {
		add(withContext, Text(q.ContextID))
	}
	if q.State != "" {
		add(withState, Text(q.State))
	}
	if !q.Since.IsZero() {
		// A status between two milliseconds counts as the earlier one.
		add(withSince, Int(after(q.Since, 0)))
	}
	if q.Total {
		n, err := v.total(q, shape, from, args)
		if err != nil {
			return err
		}
		page.Total = int(n)
	}
	if at := toMillis(q.After.StatusAt); q.After != (store.ListPosition{}) && at < from {
		args[3], args[4] = Int(at), Text(q.After.ID)
	}
	var tasks []store.Stored
	err := v.query("list tasks", v.s.pages[shape], func(x Row) error {
		var t store.Stored
		format := scanHead(x, &t.Head)
		t.Unreadable = known(format, "the head", t.Head.Ref)
		tasks = append(tasks, t)
		return nil
	}, append(args, Int(max(q.Limit, 0)+1))...)
	if err != nil {
		return err
	}
	if len(tasks) > q.Limit {
		tasks, page.More = tasks[:q.Limit], true
	}
	if len(tasks) > 0 {
		page.Tasks = tasks
	}
	return v.fill(page.Tasks)
}

// fill adds the content of listed tasks. One that a newer release has written
// takes nothing away from the others.
func (v view) fill(tasks []store.Stored) error {
	for i, t := range tasks {
		if t.Unreadable != nil {
			continue
		}
		whole, err := v.stored(t.Head)
		switch {
		case errors.Is(err, store.ErrFormat):
			tasks[i].Unreadable = err
		case err != nil:
			return err
		default:
			tasks[i] = whole
		}
	}
	return nil
}
