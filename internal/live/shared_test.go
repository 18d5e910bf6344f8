// SPDX-License-Identifier: Apache-2.0

package live_test

import (
	"testing"

	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

func TestCellsOfRecords(t *testing.T) {
	t.Parallel()
	ref := task.Ref{ID: "t"}
	tail := live.Tail{Records: []record.Record{{Seq: 1}, {Seq: 2}}}
	take := func(l *live.Listener) live.Tail {
		tails, _ := l.Take()
		if len(tails) != 1 {
			t.Fatalf("%d tails", len(tails))
		}
		return tails[0]
	}
	hub := live.NewHub(live.Limits{})
	one := hub.Listen(ref)
	defer one.Close()
	hub.Publish(ref, tail)
	if got := take(one); got.Shared(0) != nil {
		t.Error("who listens alone has nobody to share with")
	}
	two := hub.Listen(ref)
	defer two.Close()
	hub.Publish(ref, tail)
	first, second := take(one), take(two)
	for n := range tail.Records {
		if first.Shared(n) == nil || first.Shared(n) != second.Shared(n) {
			t.Errorf("record %d is not shared", n)
		}
	}
	if first.Shared(0) == first.Shared(1) {
		t.Error("two records share one cell")
	}
}
