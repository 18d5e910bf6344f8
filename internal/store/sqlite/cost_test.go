// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

// counted notes the statements that go through a connection.
type counted struct {
	sqlstore.Conn
	seen *[]string
}

func (c counted) note(s *sqlstore.Statement) {
	words := strings.Fields(s.SQL)
	table := map[string]int{"UPDATE": 1, "INSERT": 2}[words[0]]
	if words[0] == "SELECT" {
		table = slices.Index(words, "FROM") + 1
	}
	*c.seen = append(*c.seen, strings.ToLower(words[0])+" "+words[table])
}

func (c counted) Exec(s *sqlstore.Statement, args []sqlstore.Value) (int64, error) {
	c.note(s)
	return c.Conn.Exec(s, args)
}

func (c counted) Query(s *sqlstore.Statement, args []sqlstore.Value, row func(sqlstore.Row) error) error {
	c.note(s)
	return c.Conn.Query(s, args, row)
}

// What a message may ask of the queue costs those that ask for nothing no
// statement and no row, and those that ask no more than they need.
func TestWhatAMessageCostsInStatements(t *testing.T) {
	t.Parallel()
	var seen []string
	clock := newClock()
	s := openIn(t, t.TempDir(), Options{
		Clock: clock.Now,
		seam:  func(c sqlstore.Conn) sqlstore.Conn { return counted{c, &seen} },
	})
	statements := func() (out []string) {
		out, seen = seen, nil
		return out
	}
	accepted := []string{"select items", "insert tasks", "insert items", "insert turns", "update batches"}
	ended := []string{"update items", "update tasks", "insert log", "insert snapshots", "update counts", "update batches"}
	wantStatements := func(what string, want []string) {
		t.Helper()
		if got := statements(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	first, err := s.Submit(t.Context(), submission("the first of its state, which begins a count"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), ending(first.Claim)); err != nil {
		t.Fatal(err)
	}
	statements()
	for name, plan := range map[string]func(*store.Submission){
		"asks for nothing":         func(*store.Submission) {},
		"has a priority":           func(sub *store.Submission) { sub.Priority = 5 },
		"has a deadline":           func(sub *store.Submission) { sub.Deadline = clock.Now().Add(time.Hour) },
		"has a time that has come": func(sub *store.Submission) { sub.ScheduledFor = clock.Now() },
	} {
		sub := submission(name)
		plan(sub)
		out, err := s.Submit(t.Context(), sub)
		if err != nil || out.Claim == nil {
			t.Fatalf("%s: %+v, %v", name, out, err)
		}
		wantStatements("accepting a message that "+name, accepted)
		if _, err := s.Append(t.Context(), ending(out.Claim)); err != nil {
			t.Fatal(err)
		}
		wantStatements("ending a turn that "+name, ended)
	}
}
