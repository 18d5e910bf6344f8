// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// listing holds the listed tasks of a scope by status time and id, ascending:
// what changes goes to the end, where a slice is cheap.
type listing struct{ rows []*row }

func byStatus(r *row, p store.ListPosition) int {
	return cmp.Or(r.head.StatusAt.Compare(p.StatusAt), strings.Compare(r.head.ID, p.ID))
}

func position(r *row) store.ListPosition {
	return store.ListPosition{StatusAt: r.head.StatusAt, ID: r.head.ID}
}

func (l *listing) remove(r *row) {
	if n, ok := slices.BinarySearchFunc(l.rows, position(r), byStatus); ok {
		l.rows = slices.Delete(l.rows, n, n+1)
	}
}

func (l *listing) insert(r *row) {
	n, _ := slices.BinarySearchFunc(l.rows, position(r), byStatus)
	l.rows = slices.Insert(l.rows, n, r)
}

// show gives a task the view that was recorded, unless it is nil, and keeps
// its place in the listing of its scope.
func (s *Store) show(r *row, v *store.View) {
	if v == nil {
		return
	}
	l := s.lists[r.head.Scope]
	if l == nil {
		l = &listing{}
		s.lists[r.head.Scope] = l
	}
	at := toMillis(v.StatusAt)
	moves := r.head.Listed != v.Listed || !r.head.StatusAt.Equal(at)
	if moves && r.head.Listed {
		l.remove(r)
	}
	r.head.State, r.head.StatusAt, r.head.Listed, r.head.Closed = v.State, at, v.Listed, v.Closed
	if moves && r.head.Listed {
		l.insert(r)
	}
}

// List returns listed tasks of a scope, the newest status first.
func (s *Store) List(ctx context.Context, q store.ListQuery) (store.Page, error) {
	var page store.Page
	err := s.read(ctx, func() error {
		l := s.lists[q.Scope]
		if l == nil {
			l = &listing{}
		}
		page = l.page(q, s.o.Clock())
		return nil
	})
	return page, err
}

func (l *listing) page(q store.ListQuery, now time.Time) store.Page {
	page := store.Page{Until: q.Until}
	if page.Until.IsZero() {
		page.Until = toMillis(now)
		if n := len(l.rows); n > 0 && l.rows[n-1].head.StatusAt.After(page.Until) {
			page.Until = l.rows[n-1].head.StatusAt
		}
	}
	paging := q.After != store.ListPosition{}
	for _, r := range slices.Backward(l.rows) {
		if r.head.StatusAt.Before(q.Since) {
			break
		}
		if r.head.StatusAt.After(page.Until) || !matches(r, q) {
			continue
		}
		page.Total++
		switch {
		case paging && byStatus(r, q.After) >= 0:
		case len(page.Tasks) < q.Limit:
			page.Tasks = append(page.Tasks, r.stored())
		default:
			page.More = true
			if !q.Total {
				page.Total = 0
				return page
			}
		}
	}
	if !q.Total {
		page.Total = 0
	}
	return page
}

func matches(r *row, q store.ListQuery) bool {
	return q.Agent == r.head.Agent &&
		(q.ContextID == "" || q.ContextID == r.head.ContextID) &&
		(q.State == "" || q.State == r.head.State)
}
