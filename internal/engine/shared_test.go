// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"testing"
	"testing/synctest"

	"github.com/errand-a2a/errand/internal/node/nodetest"
)

// What one follower makes of an event the others find made.
func TestFollowersShareTheirWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		on := make(chan struct{})
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(turn *nodetest.Turn) error {
			turn.Working()
			<-on
			turn.Artifact("a", "live")
			turn.Complete()
			return nil
		}}})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		synctest.Wait() // it works: the two begin with the same
		one, two := w.Subscribe(id, nil), w.Subscribe(id, nil)
		synctest.Wait()
		close(on)
		a, b := one.Wait().Frames, two.Wait().Frames
		last := len(a) - 1
		if len(b)-1 != last || a[last].Shared == nil || a[last].Shared != b[last].Shared {
			t.Fatalf("the last of %d and %d events is not shared", len(a), len(b))
		}
		if &a[last].Event[0] != &b[last].Event[0] {
			t.Error("the JSON of an event was encoded for each follower")
		}
		old := w.Subscribe(id, new(uint64)).Wait().Frames
		if n := len(old) - 1; old[n].Shared != nil {
			t.Error("what is read from the log is shared with nobody")
		}
	})
}
