// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

// What may be walked through or sorted, and why that is little.
var walks = []string{
	"SCAN items USING INDEX items_leased",          // what runs: not more than there are slots
	"SCAN items USING COVERING INDEX items_leased", // the same
	"SCAN items USING COVERING INDEX items_due",    // its first entry
	"SCAN items USING INDEX items_due",             // once after the clock was set back
	"SCAN items USING INDEX items_late",            // its first entry of a format that is known
}

var sorts = []string{
	"SELECT id, tenant, principal FROM items WHERE place = 2 ", // what runs
	"SELECT kind, turn, number, worker",                        // the attempts of one task, for operators
}

func TestNoStatementWalksThroughATable(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir(), Options{})
	plans := 0
	for _, st := range sqlstore.Statements(dialect()) {
		args := make([]sqlstore.Value, strings.Count(st.SQL, "?"))
		explain := &sqlstore.Statement{ID: -1, SQL: "EXPLAIN QUERY PLAN " + st.SQL}
		err := s.db.writer.Query(explain, args, func(x sqlstore.Row) error {
			plans++
			step := x.Text(3)
			walk := strings.HasPrefix(step, "SCAN") && !strings.HasSuffix(step, "VALUES CLAUSE") && !slices.Contains(walks, step)
			sort := strings.Contains(step, "TEMP B-TREE") &&
				!slices.ContainsFunc(sorts, func(known string) bool { return strings.HasPrefix(st.SQL, known) })
			if walk || sort {
				t.Errorf("%s\n\t%s", st.SQL, step)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", st.SQL, err)
		}
	}
	if plans < 50 {
		t.Errorf("only %d steps of plans were seen", plans)
	}
}

// The last page must cost what the first did, whatever the filter: counted in
// steps of the database's machine, which do not depend on the load.
func TestThePagesOfAListingCostTheSame(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := openIn(t, t.TempDir(), Options{Clock: clock.Now})
	const tasks, limit = 600, 10
	for i := range tasks {
		sub := submission(fmt.Sprintf("t%04d", i))
		sub.ContextID = fmt.Sprint("context-", i%2)
		out, err := s.Submit(t.Context(), sub)
		if err != nil {
			t.Fatal(err)
		}
		end := ending(out.Claim)
		end.View.StatusAt = clock.Now()
		end.View.State = []string{"COMPLETED", "FAILED"}[i/2%2]
		if i == 0 {
			end.View.State = "REJECTED"
		}
		if _, err := s.Append(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		clock.advance(time.Millisecond)
	}
	for name, q := range map[string]store.ListQuery{
		"no filter": {}, "context": {ContextID: "context-1"}, "state": {State: "FAILED"},
		"since":      {Since: clock.Now().Add(-time.Hour)},
		"everything": {ContextID: "context-0", State: "COMPLETED", Since: clock.Now().Add(-time.Hour)},
	} {
		q.Limit, q.Agent = limit, "demo"
		var costs []int
		for more := true; more; {
			page, cost := listCost(t, s, q)
			if len(page.Tasks) == limit {
				costs = append(costs, cost)
			}
			if more = page.More; more {
				last := page.Tasks[len(page.Tasks)-1].Head
				q.After, q.Until = store.ListPosition{StatusAt: last.StatusAt, ID: last.ID}, page.Until
			}
		}
		if len(costs) < 10 || slices.Max(costs) > 2*slices.Min(costs) {
			t.Errorf("%s: steps of the pages: %v", name, costs)
		}
	}
	rare := submission("of a rare agent")
	rare.Agent = "rare"
	out, err := s.Submit(t.Context(), rare)
	if err != nil {
		t.Fatal(err)
	}
	end := ending(out.Claim)
	end.View.StatusAt = clock.Now()
	if _, err := s.Append(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	page, cost := listCost(t, s, store.ListQuery{Agent: "rare", Limit: limit})
	if cost > 500 || len(page.Tasks) != 1 {
		t.Errorf("the only task of an agent (%d found) took %d steps among %d", len(page.Tasks), cost, tasks)
	}
	if _, cost := listCost(t, s, store.ListQuery{Agent: "demo", State: "REJECTED", Limit: limit}); cost > 500 {
		t.Errorf("the only task of a state took %d steps among %d", cost, tasks)
	}
}

// listCost lists and tells how many steps the statements of the only reader took.
func listCost(t *testing.T, s *Store, q store.ListQuery) (store.Page, int) {
	t.Helper()
	before := readSteps(s)
	page, err := s.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return page, readSteps(s) - before
}

// steps counts what the statements of a connection have taken so far.
func (c *conn) steps() (n int) {
	for _, st := range c.stmts {
		if st != 0 {
			n += int(lib.Xsqlite3_stmt_status(c.tls, st, lib.SQLITE_STMTSTATUS_VM_STEP, 0))
		}
	}
	return n
}

// readSteps counts the steps of the readers, none of which may be in use.
func readSteps(s *Store) (n int) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	for _, c := range s.db.idle {
		n += c.steps()
	}
	return n
}

// Taking an item, looking for what is due and asking who has work must cost the
// same however much waits.
func TestTheQueueCostsTheSameHoweverMuchWaits(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := openIn(t, t.TempDir(), Options{Clock: clock.Now})
	made := 0
	wait := func(n int) {
		t.Helper()
		for range n {
			made++
			sub := submission(fmt.Sprintf("t%05d", made))
			sub.Claim, sub.Agent = nil, fmt.Sprint("agent-", made%3)
			sub.Priority = made % 5
			sub.Deadline = clock.Now().Add(time.Hour + time.Duration(made)*time.Second)
			if made%2 == 0 {
				sub.ScheduledFor = clock.Now().Add(30*time.Minute + time.Duration(made)*time.Millisecond)
			}
			if _, err := s.Submit(t.Context(), sub); err != nil {
				t.Fatal(err)
			}
		}
	}
	taker := store.Taker{Worker: "worker", TTL: ttl}
	calls := map[string]func() error{
		"claim": func() error {
			got, err := s.Claim(t.Context(), store.ClaimRequest{Agent: "agent-1", Limit: 1, Taker: taker})
			if err == nil && len(got) != 1 {
				err = fmt.Errorf("%d claims", len(got))
			}
			return err
		},
		"promote": func() error {
			due, err := s.Promote(t.Context(), store.PromoteRequest{Limit: 100, Expire: &taker})
			if err == nil && (due.Next == 0 || len(due.Agents)+len(due.Expired) > 0) {
				err = fmt.Errorf("%+v", due)
			}
			return err
		},
		"waiting": func() error {
			names, err := s.Waiting(t.Context(), "", 10)
			if err == nil && len(names) != 3 {
				err = fmt.Errorf("%v", names)
			}
			return err
		},
	}
	calls["suspect"] = func() error {
		got, err := s.Claim(t.Context(), store.ClaimRequest{Agent: "agent-1", Limit: 1, Suspects: true, Taker: taker})
		if err == nil && len(got) != 1 {
			err = fmt.Errorf("%d suspects", len(got))
		}
		return err
	}
	calls["suspects"] = func() error {
		names, err := s.Suspects(t.Context(), 10)
		if err == nil && len(names) != 3 {
			err = fmt.Errorf("%v", names)
		}
		return err
	}
	// lose makes suspects of all that is ready and makes as much again.
	lose := func(n int) {
		t.Helper()
		for range store.SuspectLosses {
			for a := range 3 {
				if _, err := s.Claim(t.Context(), store.ClaimRequest{Agent: fmt.Sprint("agent-", a), Limit: n, Taker: taker}); err != nil {
					t.Fatal(err)
				}
			}
			clock.advance(ttl)
			if _, err := s.Rescue(t.Context(), 10*n); err != nil {
				t.Fatal(err)
			}
		}
		wait(n)
	}
	cost := func() map[string]int {
		t.Helper()
		out := map[string]int{}
		for name, call := range calls {
			before := s.db.writer.steps() + readSteps(s)
			if err := call(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			out[name] = s.db.writer.steps() + readSteps(s) - before
		}
		return out
	}
	wait(60)
	lose(60)
	cost() // prepares the statements
	few := cost()
	wait(1500)
	lose(1500)
	many := cost()
	for name := range calls {
		if few[name] < 10 || many[name] > few[name]*5/4 {
			t.Errorf("%s took %d steps while little waited and %d while much did", name, few[name], many[name])
		}
	}
}
