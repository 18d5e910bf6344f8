// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
)

// benchStore is on the disk of the working directory: the one for temporary
// files is often in memory, where an fsync costs nothing.
func benchStore(b *testing.B) *sqlite.Store {
	b.Helper()
	dir, err := os.MkdirTemp(".", ".bench-*")
	if err != nil {
		b.Fatal(err)
	}
	s, err := sqlite.Open(b.Context(), filepath.Join(dir, "store.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			b.Error(err)
		}
	})
	return s
}

// crowd runs b.N times do on many goroutines and reports what the process used.
func crowd(b *testing.B, goroutines int, do func(n int64)) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	used, began := cpuTime(), time.Now()
	for range goroutines {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				do(n)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(cpuTime()-used)/1e3/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "op/s")
}

func newRef() task.Ref {
	id, err := uuid.NewV7()
	if err != nil {
		panic(err)
	}
	return task.Ref{ID: id.String()}
}

func begin(ctx context.Context, s *sqlite.Store, message []byte) (store.Submitted, error) {
	return s.Submit(ctx, &store.Submission{
		Ref: newRef(), Agent: "demo", ContextID: "0198b0a0-0000-7000-8000-000000000000", Turn: 1,
		Message: message, MessageID: "0198b0a0-0000-7000-8000-000000000001",
		Claim: &store.Taker{Worker: "worker-1", TTL: 15 * time.Second},
	})
}

func complete(ctx context.Context, s *sqlite.Store, c *store.Claim, last uint64, records, snapshot []byte) error {
	_, err := s.Append(ctx, &store.Append{
		Ref: c.Head.Ref, Epoch: c.Head.Epoch, LastSeq: last, LastTurn: 1,
		Batch:    &store.Batch{First: last + 1, Last: last + 4, Body: records},
		View:     &store.View{State: "TASK_STATE_COMPLETED", StatusAt: time.Now(), Listed: true, Closed: true},
		Snapshot: &store.Snapshot{Seq: last + 4, Body: snapshot},
		Item:     c.Item, Finish: &store.Finish{State: store.Completed, EndTurn: true},
	})
	return err
}

// One short task: accepted and claimed in one commit, ended in another.
func BenchmarkPairs(b *testing.B) {
	for _, goroutines := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d-goroutines", goroutines), func(b *testing.B) {
			s := benchStore(b)
			message, records, snapshot := make([]byte, 600), make([]byte, 1000), make([]byte, 1000)
			crowd(b, goroutines, func(int64) {
				sub, err := begin(b.Context(), s, message)
				if err != nil || sub.Claim == nil {
					b.Errorf("submit: %v, claim %v", err, sub.Claim)
					return
				}
				if err := complete(b.Context(), s, sub.Claim, 0, records, snapshot); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// Chunks of running tasks: 20 records of 4 KB together, which renew the lease.
func BenchmarkChunks(b *testing.B) {
	s := benchStore(b)
	const tasks = 32
	claims := make(chan *store.Claim, tasks)
	for range tasks {
		sub, err := begin(b.Context(), s, make([]byte, 600))
		if err != nil || sub.Claim == nil {
			b.Fatal(err, sub.Claim)
		}
		claims <- sub.Claim
	}
	body := make([]byte, 4000)
	crowd(b, tasks, func(int64) {
		c := <-claims
		_, err := s.Append(b.Context(), &store.Append{
			Ref: c.Head.Ref, Epoch: c.Head.Epoch, LastSeq: c.Head.LastSeq,
			Batch: &store.Batch{First: c.Head.LastSeq + 1, Last: c.Head.LastSeq + 20, Body: body},
			Item:  c.Item, Extend: 15 * time.Second,
		})
		if err != nil {
			b.Error(err)
		}
		c.Head.LastSeq += 20
		claims <- c
	})
}
