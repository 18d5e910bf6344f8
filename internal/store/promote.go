// SPDX-License-Identifier: Apache-2.0

package store

import (
	"time"

	"github.com/errand-a2a/errand/internal/task"
)

// PromoteRequest asks for what has become due.
type PromoteRequest struct {
	// Limit bounds the items of each kind.
	Limit int
	// Expire claims the items whose deadline has passed; nil leaves them.
	Expire *Taker
}

// Promoted tells what has become due. Retryable and scheduled items whose time
// has come are pending now; that time is their run time.
type Promoted struct {
	// Agents (with repeats) have more to do.
	Agents []string
	// Expired are the items that waited (ready, scheduled or for a retry) until
	// their deadline had passed, claimed whatever else is ready.
	Expired []Claim
	// Withdrawn are the tasks of turns that never ran, whose deadline passed
	// while an earlier turn or a cancel item held them back: Turn.Expired is set
	// from now on, and the item is claimed as expired when nothing holds it back.
	Withdrawn []task.Ref
	// Next is how long until Promote has something to do again (0: nothing waits).
	Next time.Duration
}
