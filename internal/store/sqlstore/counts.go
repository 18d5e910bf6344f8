// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// counted is what listed tasks are counted by.
type counted struct {
	task.Scope
	agent, state string
}

func (s *statements) counts() {
	const owner = "tenant = ? AND principal = ? AND agent = ?"
	s.countChange = s.text("UPDATE counts SET tasks = tasks + ? WHERE " + owner + " AND state = ?")
	s.countFirst = s.text("INSERT INTO counts (tasks, tenant, principal, agent, state) VALUES (?, ?, ?, ?, ?)")
	for shape := range plainShapes {
		one := ""
		if shape == withState {
			one = " AND state = ?"
		}
		s.sums[shape] = s.text("SELECT COALESCE(SUM(tasks), 0) FROM counts WHERE " + owner + one)
		s.newer[shape] = s.text("SELECT COUNT(*) FROM tasks WHERE listed = 1 AND " + owner + one + " AND status_at >= ?")
	}
}

// recount notes how a row that is about to be written changes the counts.
func (b *batch) recount(r *row) {
	was, is := r.was.view, r.view()
	if was.Listed == is.Listed && was.State == is.State {
		return
	}
	if was.Listed {
		b.counts[counted{r.head.Scope, r.head.Agent, was.State}]--
	}
	if is.Listed {
		b.counts[counted{r.head.Scope, r.head.Agent, is.State}]++
	}
}

// writeCounts comes once at the end of a batch: however many tasks it has
// changed, few counts have.
func (b *batch) writeCounts() error {
	for c, change := range b.counts {
		if change == 0 {
			continue
		}
		args := []Value{Int(change), Text(c.Tenant), Text(c.Principal), Text(c.agent), Text(c.state)}
		n, err := b.exec("count listed tasks", b.s.countChange, args...)
		if err == nil && n == 0 {
			_, err = b.exec("count the first listed task", b.s.countFirst, args...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// total counts what matches. Without a filter or by state that is known, but
// for what has a newer status than the listing's bound: little, since pages are
// asked for one after the other. By conversation or time what matches is
// counted, in an index that holds all that is asked for.
func (v view) total(q store.ListQuery, shape listShape, from int64, args []Value) (n int64, err error) {
	one := func(doing string, s *Statement, args ...Value) (n int64, err error) {
		err = v.query(doing, s, func(x Row) error {
			n = x.Int(0)
			return nil
		}, args...)
		return n, err
	}
	if shape >= plainShapes {
		return one("count tasks", v.s.totals[shape], args...)
	}
	of := []Value{Text(q.Tenant), Text(q.Principal), Text(q.Agent)}
	if shape&withState != 0 {
		of = append(of, Text(q.State))
	}
	n, err = one("count tasks", v.s.sums[shape], of...)
	if err != nil || q.Until.IsZero() { // then the bound is that of everything
		return n, err
	}
	newer, err := one("count newer tasks", v.s.newer[shape], append(of, Int(from))...)
	return n - newer, err
}
