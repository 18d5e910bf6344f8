// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"fmt"
	"strings"
)

// Finish answers what a load that was killed has left open in its ledger. What
// it was about to ask for is asked for again, with the same key: what the server
// had taken joins, what never reached it begins. Tasks that run until they are
// canceled are canceled. Afterwards the ledger knows of every task.
func (l *Load) Finish(ctx context.Context, entries []Entry) (open int, err error) {
	left := leftOpen(entries)
	for _, e := range left {
		s := &script{load: l, task: e.Task}
		m := Message{ID: e.Message, Text: e.Text, Task: e.Task, Key: e.Key}
		switch e.Of {
		case opSend:
			err = s.send(ctx, m, true)
			if err == nil && runsOn(e.Text) {
				err = s.cancelNow(ctx)
			}
		case opFollowUp:
			_, err = s.followUp(ctx, m, true)
		case opCancel:
			err = s.cancelNow(ctx)
		}
		if err != nil {
			return open, fmt.Errorf("finish what the prover before had begun: %w", err)
		}
		open++
	}
	return open, nil
}

// runsOn reports whether a command ends by a cancellation alone.
func runsOn(text string) bool {
	return text == "hang" || strings.HasPrefix(text, "count to 100000 ")
}

// leftOpen are the intentions that were not answered, in order, and the
// cancellations that nobody came to ask for.
func leftOpen(entries []Entry) []Entry {
	answered := make(map[string]bool) // message ids, and tasks that were canceled
	for _, e := range entries {
		switch e.Op {
		case opSend, opFollowUp, opRefused:
			answered[e.Message] = true
		case opCancel:
			answered[e.Task] = true
		}
	}
	var open []Entry
	for _, e := range entries {
		switch {
		case e.Op == opIntend && e.Of == opCancel && !answered[e.Task]:
			answered[e.Task] = true
			open = append(open, e)
		case e.Op == opIntend && e.Of != opCancel && !answered[e.Message]:
			answered[e.Message] = true
			open = append(open, e)
		}
	}
	for _, e := range entries {
		if e.Op == opSend && runsOn(e.Text) && !answered[e.Task] {
			answered[e.Task] = true
			open = append(open, Entry{Op: opIntend, Of: opCancel, Task: e.Task})
		}
	}
	return open
}
