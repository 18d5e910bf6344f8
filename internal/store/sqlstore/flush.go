// SPDX-License-Identifier: Apache-2.0

package sqlstore

import "fmt"

// flush writes everything that the operations so far have changed, one kind of
// row after the other.
func (b *batch) flush() error {
	for _, p := range b.passed {
		if err := b.writeItem(p.r, p.i); err != nil {
			return err
		}
	}
	b.passed = b.passed[:0]
	for _, r := range b.touched {
		if err := b.writeRow(r); err != nil {
			return err
		}
	}
	for _, w := range []struct {
		what string
		wave *wave
		rows *[]Value
		all  bool // each row must be new
	}{
		{"insert tasks", &b.s.tasks, &b.newTasks, true},
		{"insert items", &b.s.items, &b.newItems, false},
		{"insert turns", &b.s.turnRows, &b.newTurns, true},
		{"append to the log", &b.s.logRows, &b.newLog, true},
		{"write snapshots", &b.s.snapshots, &b.newSnapshots, false},
		{"write attempts", &b.s.attemptRows, &b.newAttempts, false},
	} {
		if err := b.insert(w.what, w.wave, w.rows, w.all); err != nil {
			return err
		}
	}
	return nil
}

// insert writes rows in the widest statements that fit.
func (b *batch) insert(what string, w *wave, rows *[]Value, all bool) error {
	rest := *rows
	for len(rest) > 0 {
		s, n := w.one, int64(1)
		if len(rest) >= waveRows*w.columns {
			s, n = w.many, waveRows
		}
		args := rest[:int(n)*w.columns]
		rest = rest[len(args):]
		changed, err := b.exec(what, s, args...)
		if err != nil {
			return err
		}
		if all && changed != n {
			return fmt.Errorf("%s: %w", what, errMoved)
		}
	}
	clear(*rows)
	*rows = (*rows)[:0]
	return nil
}

// writeRow writes a task's head and its items, new ones into their waves.
func (b *batch) writeRow(r *row) error {
	for _, i := range []*item{r.turn, r.cancel} {
		if i == nil {
			continue
		}
		if err := b.writeItem(r, i); err != nil {
			return err
		}
	}
	h := &r.head
	b.recount(r)
	if r.isNew {
		b.newTasks = append(b.newTasks, Text(h.ID), Text(h.Tenant), Text(h.Principal), Text(h.Agent), Text(h.ContextID),
			Text(h.State), Int(toMillis(h.StatusAt)), Bool(h.Listed), Bool(h.Closed), Int(h.LastSeq), Int(h.Epoch),
			Int(h.LastTurn), Int(h.DoneTurn), Bool(h.Running), Bool(h.Started), Int(h.Cancel), Int(r.format),
			Blob(r.cancelRequest), Int(r.snapshotBytes), Int(r.tailBytes))
		r.saved()
		return nil
	}
	if !r.dirty {
		return nil
	}
	s, args := b.s.taskUpdate, b.args[:0]
	if r.view() != r.was.view {
		s = b.s.taskUpdateView
		args = append(args, Text(h.State), Int(toMillis(h.StatusAt)), Bool(h.Listed), Bool(h.Closed))
	}
	args = append(args, Int(h.LastSeq), Int(h.Epoch), Int(h.LastTurn), Int(h.DoneTurn), Bool(h.Running), Bool(h.Started),
		Int(h.Cancel), Int(r.format), Blob(r.cancelRequest), Int(r.snapshotBytes), Int(r.tailBytes),
		Text(h.ID), Text(h.Tenant), Text(h.Principal), Int(r.was.epoch), Int(r.was.lastSeq))
	b.args = args
	n, err := b.exec("update a task", s, args...)
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("update a task: %w", errMoved)
	}
	r.saved()
	return nil
}

func (b *batch) writeItem(r *row, i *item) error {
	h := &r.head
	switch {
	case i.isNew:
		b.newItems = append(b.newItems, Text(h.ID), Text(h.Tenant), Text(h.Principal), Text(h.Agent), Int(r.format),
			Text(i.ref.Kind), Int(i.ref.Turn), Text(i.state), Int(i.place), Bool(i.taken), Int(i.arrival),
			Int(i.attempt), Int(i.failures), Int(i.losses), Int(i.at), Int(i.turnSeq), Bool(i.waited), Text(i.worker),
			Int(i.priority), Int(i.runAt), Int(i.deadline), Bool(i.watched), Bool(i.expired), Int(i.tried))
	case i.dirty:
		s, args := b.s.itemUpdate, append(b.args[:0], Text(i.state), Int(i.place), Bool(i.taken), Int(i.attempt), Int(i.failures),
			Int(i.losses), Int(i.at), Int(i.turnSeq), Bool(i.waited), Text(i.worker), Int(i.runAt), Int(i.tried))
		if i.deadline != 0 {
			s, args = b.s.itemUpdateTimed, append(args, Bool(i.watched), Bool(i.expired))
		}
		args = append(args, Text(h.ID), Text(h.Tenant), Text(h.Principal), Text(i.ref.Kind), Int(i.ref.Turn))
		b.args = args
		n, err := b.exec("update an item", s, args...)
		if err != nil {
			return err
		}
		if n != 1 {
			return fmt.Errorf("update an item: %w", errMoved)
		}
	}
	i.isNew, i.dirty = false, false
	return nil
}
