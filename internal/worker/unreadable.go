// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"errors"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
)

// unreadablePause is after how many leases an item is tried again whose task
// cannot be read: an upgrade or an operator may have mended it, and time alone
// never does.
const unreadablePause = 20

// abandon gives back an item whose task cannot be read here. Nothing of the
// task is touched, and the attempt costs nothing: neither the agent nor the
// message is to blame.
func (at *attempt) abandon(err error) {
	after := at.w.o.Lease
	var row *store.Attempt
	if isUnreadable(err) {
		after *= unreadablePause
		if at.w.told.First(at.ref) {
			at.log().Error("a task cannot be read; it is left as it is and its message waits", "error", err)
			row = at.account(&verdict{outcome: outcomeUnreadable, err: err})
		}
	} else {
		at.log().Error("cannot prepare an attempt; it is made again", "error", err)
	}
	if at.claim.Expired {
		return // given back it would be claimed again at once; its lease will run out
	}
	op := &store.Append{
		Ref: at.ref, Epoch: at.claim.Head.Epoch, LastSeq: at.claim.Head.LastSeq, Item: at.claim.Item,
		Finish: &store.Finish{State: store.Scheduled, After: after}, Attempt: row,
	}
	if _, err := at.w.o.Queue.Append(at.ctx, op); err != nil {
		at.log().Warn("cannot give the item back; its lease will run out", "error", err)
	}
}

func isUnreadable(err error) bool {
	return errors.Is(err, record.ErrCorrupt) || errors.Is(err, record.ErrFormat) || errors.Is(err, store.ErrFormat)
}
