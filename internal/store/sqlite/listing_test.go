// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

func TestAPageIsServedThoughANewerReleaseWroteSomeOfItsTasks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	for n, id := range []string{"a", "b", "c", "d", "e"} {
		end := ending(submit(t, s, id))
		end.View = &store.View{State: "COMPLETED", StatusAt: time.UnixMilli(int64(1000 + n)), Listed: true, Closed: true}
		if _, err := s.Append(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sql(t, dir, "UPDATE tasks SET format = 99 WHERE id = 'b'; UPDATE snapshots SET format = 98 WHERE id = 'd'")
	s = openIn(t, dir, Options{})
	want := map[string]string{"b": "99", "d": "98"}
	q := store.ListQuery{Scope: ref("a").Scope, Agent: "demo", Limit: 2, Total: true}
	var got []string
	for {
		page, err := s.List(t.Context(), q)
		if err != nil || page.Total != 5 {
			t.Fatalf("%d tasks, %v", page.Total, err)
		}
		for _, l := range page.Tasks {
			got = append(got, l.Head.ID)
			format, unreadable := want[l.Head.ID]
			switch {
			case unreadable != errors.Is(l.Unreadable, store.ErrFormat) || unreadable != (l.Snapshot == nil):
				t.Errorf("%s: %+v", l.Head.ID, l)
			case l.Head.State != "COMPLETED":
				t.Errorf("%s is in the state %q", l.Head.ID, l.Head.State)
			case unreadable && !strings.Contains(l.Unreadable.Error(), "of task "+l.Head.ID+" has format "+format):
				t.Errorf("%s: %v", l.Head.ID, l.Unreadable)
			}
			q.After = store.ListPosition{StatusAt: l.Head.StatusAt, ID: l.Head.ID}
		}
		if !page.More {
			break
		}
		q.Until = page.Until
	}
	if fmt.Sprint(got) != "[e d c b a]" {
		t.Errorf("listed %v", got)
	}
}
