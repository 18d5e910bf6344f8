// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

var readRules = []rule{
	{"reading pages through the log by bytes", readPages},
	{"at least one batch is read however small the limit", readAtLeastOne},
	{"a place inside a batch begins with that batch", readInside},
	{"after the last record there is nothing", readAtEnd},
	{"an unknown task is ErrNotFound", readUnknown},
	{"head and batches are of one moment", readOneMoment},
	{"snapshot and tail are of one moment", loadOneMoment},
	{"what was committed is read", readCommitted},
}

// written makes a running task with batches of the given numbers of records.
func (w *world) written(batches ...int) *holder {
	w.Helper()
	h := w.running()
	for _, n := range batches {
		h.write(records(n), w.shows("WORKING"), func(a *store.Append) {
			a.Batch.Body = make([]byte, 100*n)
		})
	}
	return h
}

func (w *world) read(ref task.Ref, after uint64, maxBytes int) (store.Head, []store.Batch) {
	w.Helper()
	head, batches, err := w.Read(w.Context(), ref, after, maxBytes)
	w.must("Read", err)
	return head, batches
}

// Reading: "until maxBytes is passed" allows the batch that passes it or not;
// but it stops there, and not earlier.
func readPages(w *world) {
	h := w.written(1, 2, 3, 4, 5, 4, 3, 2, 1, 1, 1, 1)
	all := w.log(h.Head.Ref)
	for _, maxBytes := range []int{1, 99, 100, 101, 299, 300, 301, 500, 777, 1000, 2799, 2800, 2801, huge} {
		var got []store.Batch
		after := uint64(0)
		for len(got) < len(all) {
			head, page := w.read(h.Head.Ref, after, maxBytes)
			if len(page) == 0 {
				w.Fatalf("broken rule: Read returns at least one batch if there is any\nnone after %d of %d, maxBytes %d", after, head.LastSeq, maxBytes)
			}
			got = append(got, page...)
			after = page[len(page)-1].Last
			size := 0
			for _, b := range page {
				size += len(b.Body)
			}
			if before := size - len(page[len(page)-1].Body); before > maxBytes {
				w.Errorf("broken rule: Read stops when maxBytes is passed\n%d bytes passed %d and there was one more batch", before, maxBytes)
			}
			if len(got) < len(all) && size+len(all[len(got)].Body) < maxBytes {
				w.Errorf("broken rule: Read goes on until maxBytes is passed\nstopped after %d bytes of %d with %d to come", size, maxBytes, len(all[len(got)].Body))
			}
		}
		w.want(fmt.Sprintf("pages of %d bytes are the whole log, oldest first", maxBytes), got, all)
	}
}

func readAtLeastOne(w *world) {
	h := w.written(5, 5)
	for _, maxBytes := range []int{1, 0, -1} {
		head, got := w.read(h.Head.Ref, 0, maxBytes)
		w.want("Read returns at least one batch if there is any, the oldest", got, w.log(h.Head.Ref)[:1])
		w.want("the head tells how far the log goes", head.LastSeq, uint64(10))
	}
}

func readInside(w *world) {
	h := w.written(3, 4, 5)
	all := w.log(h.Head.Ref)
	for after := range uint64(13) {
		want := all
		for len(want) > 0 && want[0].Last <= after {
			want = want[1:]
		}
		_, got := w.read(h.Head.Ref, after, huge)
		w.want(fmt.Sprintf("batches that hold the records after %d; the first may begin before", after), got, want)
	}
}

func readAtEnd(w *world) {
	h := w.written(3, 4)
	// A cursor comes from a client and may be any number.
	for _, after := range []uint64{7, 8, 1 << 40, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64} {
		head, got := w.read(h.Head.Ref, after, huge)
		w.want("nothing after the last record, and that is no error", len(got), 0)
		w.want("the head comes all the same", head, h.head())
	}
	empty := w.queued()
	head, got := w.read(empty.Ref, 0, huge)
	w.want("a task without records has an empty log", []any{head, len(got)}, []any{empty, 0})
}

func readUnknown(w *world) {
	ref := w.ref()
	_, _, err := w.Read(w.Context(), ref, 0, huge)
	w.refused("Read: ErrNotFound", err, store.ErrNotFound)
	_, err = w.Load(w.Context(), ref)
	w.refused("Load: ErrNotFound", err, store.ErrNotFound)
	_, err = w.Attempts(w.Context(), ref)
	w.refused("Attempts: ErrNotFound", err, store.ErrNotFound)
}

const (
	readers = 4
	writes  = 200
	reads   = 500 // of each reader, at least
)

// whileWriting appends to a task; each head's State names its LastSeq and each
// snapshot its sequence, so that a reader can tell whether what it got fits
// together. look is called by several readers until the writer is done, with
// the sequence that was acknowledged before it.
func (w *world) whileWriting(look func(ref task.Ref, acked uint64) error) {
	h := w.running()
	var acked atomic.Uint64
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					if n >= reads {
						return
					}
				default:
				}
				if err := look(h.Head.Ref, acked.Load()); err != nil {
					w.Error(err)
					return
				}
			}
		})
	}
	for n := range writes {
		_, err := h.try(records(n%3+1), func(a *store.Append) {
			a.View = &store.View{State: fmt.Sprint(a.Batch.Last), StatusAt: w.clock.Now(), Listed: true}
			if n%7 == 0 {
				folds(a)
			}
		})
		if err != nil {
			w.Errorf("Append: %v", err)
			break
		}
		acked.Store(h.seq)
	}
	close(done)
	wg.Wait()
}

func readOneMoment(w *world) {
	w.whileWriting(func(ref task.Ref, acked uint64) error {
		after := acked / 2
		head, batches, err := w.Read(w.Context(), ref, after, huge)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		return fits("Read", head, after, batches)
	})
}

func loadOneMoment(w *world) {
	w.whileWriting(func(ref task.Ref, _ uint64) error {
		s, err := w.Load(w.Context(), ref)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		after := uint64(0)
		if s.Snapshot != nil {
			after = s.Snapshot.Seq
			if want := fmt.Sprintf("%s folded at %d", ref.ID, after); string(s.Snapshot.Body) != want {
				return fmt.Errorf("broken rule: a snapshot is the folded task at its sequence\nat %d got %q", after, s.Snapshot.Body)
			}
		}
		return fits("Load", s.Head, after, s.Tail)
	})
}

// fits checks that batches lead without gap from a sequence to the head.
func fits(call string, head store.Head, after uint64, batches []store.Batch) error {
	at := after
	for n, b := range batches {
		if n == 0 && b.First <= after+1 && b.Last > after || b.First == at+1 {
			at = b.Last
			continue
		}
		return fmt.Errorf("broken rule: %s: head and batches are of one moment, without gap\nafter %d came a batch %d to %d", call, at, b.First, b.Last)
	}
	if at != head.LastSeq {
		return fmt.Errorf("broken rule: %s: head and batches are of one moment\nthe head ends at %d, the batches at %d", call, head.LastSeq, at)
	}
	if head.LastSeq > 0 && head.State != fmt.Sprint(head.LastSeq) {
		return fmt.Errorf("broken rule: %s: state and LastSeq of a head are of one moment\nstate of %s at %d", call, head.State, head.LastSeq)
	}
	return nil
}

// readCommitted: what a write acknowledged, a later read by anybody shows.
func readCommitted(w *world) {
	w.whileWriting(func(ref task.Ref, acked uint64) error {
		head, _, err := w.Read(w.Context(), ref, 1<<40, huge)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if head.LastSeq < acked {
			return fmt.Errorf("broken rule: when a write returns, its effect is there\nacknowledged %d, read %d", acked, head.LastSeq)
		}
		page, err := w.List(w.Context(), store.ListQuery{Scope: mine, Agent: agent, Limit: 1})
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		if acked > 0 && (len(page.Tasks) != 1 || page.Tasks[0].Head.LastSeq < acked) {
			return fmt.Errorf("broken rule: a listing shows every committed task as it is\nacknowledged %d, listed %d tasks", acked, len(page.Tasks))
		}
		for _, t := range page.Tasks {
			after := uint64(0)
			if t.Snapshot != nil {
				after = t.Snapshot.Seq
			}
			if err := fits("List", t.Head, after, t.Tail); err != nil {
				return err
			}
		}
		return nil
	})
}
