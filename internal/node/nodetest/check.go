// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"context"
	"fmt"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// Check says what is wrong once everything has come to rest: a log with a gap,
// a repeat or two ends, a task that is not the fold of its log, a slot or a
// listener that leaked.
func (w *World) Check() {
	w.mu.Lock()
	refs := make([]task.Ref, 0, len(w.seen))
	for ref := range w.seen {
		refs = append(refs, ref)
	}
	w.mu.Unlock()
	for _, ref := range refs {
		w.LogOf(ref)
	}
	for name, n := range w.Worker.Stats() {
		if n != 0 {
			w.Errorf("%d slots of agent %q are still taken", n, name)
		}
	}
	if n := w.Hub.Listeners(); n != 0 {
		w.Errorf("%d listeners are still there", n)
	}
}

// Ref names a task of the unnamed owner.
func Ref(id a2a.TaskID) task.Ref { return task.Ref{ID: string(id)} }

// Log reads the log of a task of the unnamed owner and checks it.
func (w *World) Log(id a2a.TaskID) []record.Record {
	w.Helper()
	return w.LogOf(Ref(id))
}

// LogOf reads a log and checks it.
func (w *World) LogOf(ref task.Ref) []record.Record {
	w.Helper()
	ctx := context.Background()
	st, err := w.Store.Load(ctx, ref)
	if err != nil {
		w.Fatalf("Load %s: %v", ref.ID, err)
	}
	_, batches, err := w.Store.Read(ctx, ref, 0, 1<<40)
	if err != nil {
		w.Fatalf("Read %s: %v", ref.ID, err)
	}
	var all []record.Record
	whole := task.NewState(st.Head.ID, st.Head.ContextID)
	for _, b := range batches {
		recs, err := record.DecodeBatch(b.Body)
		if err != nil {
			w.Fatalf("decode %s: %v", ref.ID, err)
		}
		if err := record.Fold(whole, recs); err != nil {
			w.Errorf("fold %s: %v", ref.ID, err)
		}
		all = append(all, recs...)
	}
	if err := checkRecords(all, st.Head); err != nil {
		w.Errorf("log of %s: %v", ref.ID, err)
	}
	stored, err := foldStored(st)
	if err != nil {
		w.Errorf("task %s: %v", ref.ID, err)
		return all
	}
	a, b := record.AppendReply(nil, whole, record.View{}), record.AppendReply(nil, stored, record.View{})
	if string(a) != string(b) {
		w.Errorf("task %s is not the fold of its log\nlog   %s\nstored %s", ref.ID, a, b)
	}
	return all
}

func foldStored(st store.Stored) (*task.State, error) {
	var snapshot []byte
	if st.Snapshot != nil {
		snapshot = st.Snapshot.Body
	}
	tail := make([][]byte, len(st.Tail))
	for i, b := range st.Tail {
		tail[i] = b.Body
	}
	return record.Open(st.Head.ID, st.Head.ContextID, snapshot, tail)
}

func checkRecords(recs []record.Record, h store.Head) error {
	turn := 0
	for i, r := range recs {
		if r.Seq != uint64(i+1) {
			return fmt.Errorf("record %d has sequence %d", i+1, r.Seq)
		}
		if r.Closes != (h.Closed && i == len(recs)-1) {
			return fmt.Errorf("record %d of %d: closes %v, head closed %v", r.Seq, len(recs), r.Closes, h.Closed)
		}
		if r.Turn < turn {
			return fmt.Errorf("record %d of turn %d after one of turn %d", r.Seq, r.Turn, turn)
		}
		turn = r.Turn
	}
	if uint64(len(recs)) != h.LastSeq {
		return fmt.Errorf("%d records, the head says %d", len(recs), h.LastSeq)
	}
	return nil
}

// Events are the events of a log.
func (w *World) Events(id a2a.TaskID) []a2a.Event {
	w.Helper()
	var out []a2a.Event
	for _, r := range w.Log(id) {
		out = append(out, w.Event(r.Event))
	}
	return out
}

// States are the states that a log says, in order.
func (w *World) States(id a2a.TaskID) []a2a.TaskState {
	w.Helper()
	return StatesOf(w.Events(id))
}

// StatesOf are the states that events say, in order.
func StatesOf(events []a2a.Event) []a2a.TaskState {
	var out []a2a.TaskState
	for _, ev := range events {
		switch ev := ev.(type) {
		case *a2a.Task:
			out = append(out, ev.Status.State)
		case *a2a.TaskStatusUpdateEvent:
			out = append(out, ev.Status.State)
		}
	}
	return out
}

// Attempts is the table of attempts of a task.
func (w *World) Attempts(id a2a.TaskID) []store.Attempt {
	w.Helper()
	out, err := w.Store.Attempts(context.Background(), Ref(id))
	if err != nil {
		w.Fatalf("Attempts: %v", err)
	}
	return out
}

// Turns are the turns of a task.
func (w *World) Turns(id a2a.TaskID) []store.Turn {
	w.Helper()
	out, err := w.Store.Turns(context.Background(), Ref(id), 0, 0)
	if err != nil {
		w.Fatalf("Turns: %v", err)
	}
	return out
}

// Head is the head of a task of the unnamed owner.
func (w *World) Head(id a2a.TaskID) store.Head {
	w.Helper()
	h, _, err := w.Store.Read(context.Background(), Ref(id), ^uint64(0), 0)
	if err != nil {
		w.Fatalf("Read: %v", err)
	}
	return h
}

// Until waits until ok, in a bubble.
func (w *World) Until(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("waited too long until %s", what)
		}
	}
}
