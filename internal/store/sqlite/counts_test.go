// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// Miscounted names a count of listed tasks in a file that is not what counting
// gives, for the tests outside of this package; "" if there is none.
func Miscounted(path string) (string, error) {
	c, err := openConn(path, "BEGIN", everywhere())
	if err != nil {
		return "", err
	}
	const kept = "SELECT tenant, principal, agent, state, tasks FROM counts WHERE tasks <> 0"
	const are = "SELECT tenant, principal, agent, state, COUNT(*) FROM tasks WHERE listed = 1 GROUP BY tenant, principal, agent, state"
	wrong, err := c.first("SELECT * FROM (" + kept + " EXCEPT " + are + ")")
	missing, err2 := c.first("SELECT * FROM (" + are + " EXCEPT " + kept + ")")
	for _, err := range []error{err, err2, c.Close()} {
		if err != nil {
			return "", err
		}
	}
	if wrong == nil && missing == nil {
		return "", nil
	}
	return fmt.Sprintf("the count %q is wrong, %q is right", wrong, missing), nil
}

// makeTasks ends tasks that differ in agent and state, a millisecond apart.
func makeTasks(t *testing.T, s *Store, clock *testClock, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		c := submit(t, s, fmt.Sprintf("t%05d", i))
		end := ending(c)
		end.View.StatusAt = clock.Now()
		end.View.State = []string{"COMPLETED", "FAILED", "REJECTED"}[i%3]
		if _, err := s.Append(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		clock.advance(time.Millisecond)
	}
}

// Every answer to ListTasks has the total: it must not cost more the more tasks
// there are, on the first page and on a later one.
func TestTheTotalOfAListingCostsTheSame(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := openIn(t, t.TempDir(), Options{Clock: clock.Now})
	const few, many, later = 60, 1500, 10
	totals := func(made int) (costs []int) {
		t.Helper()
		for name, q := range map[string]store.ListQuery{
			"no filter": {}, "state": {State: "FAILED"},
			"a later page": {Until: clock.Now().Add(-later * time.Millisecond)},
		} {
			q.Agent, q.Total = "demo", true
			page, cost := listCost(t, s, q)
			want := map[string]int{"no filter": made, "state": made / 3, "a later page": made - later + 1}[name]
			if page.Total != want {
				t.Errorf("%s: the total is %d of %d", name, page.Total, want)
			}
			costs = append(costs, cost)
		}
		slices.Sort(costs)
		return costs
	}
	makeTasks(t, s, clock, 0, few)
	totals(few) // prepares the statements
	before := totals(few)
	makeTasks(t, s, clock, few, many)
	after := totals(many)
	for i := range before {
		if after[i] > before[i]*5/4 {
			t.Errorf("steps of the totals: %v with %d tasks, %v with %d", before, few, after, many)
			break
		}
	}
}

func TestAFileFromBeforeTheCountsIsCounted(t *testing.T) {
	t.Parallel()
	s := schema1(t, newClock())
	for state, want := range map[string]int{"": 2, "COMPLETED": 1, "INPUT_REQUIRED": 1, "WORKING": 0} {
		page, err := s.List(t.Context(), store.ListQuery{Agent: "demo", State: state, Limit: 10, Total: true})
		if err != nil || page.Total != want || len(page.Tasks) != want {
			t.Errorf("state %q: total %d of %d tasks, %v; want %d", state, page.Total, len(page.Tasks), err, want)
		}
	}
}
