// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

const (
	benchTask    = "019394f4-5c1e-7d33-9f1e-0242ac120002"
	benchContext = "019394f4-5c1e-7d33-9f1e-0242ac120003"
)

func benchChunk() *a2a.TaskArtifactUpdateEvent {
	return &a2a.TaskArtifactUpdateEvent{
		TaskID: benchTask, ContextID: benchContext, Append: true,
		Artifact: &a2a.Artifact{ID: "count", Parts: a2a.ContentParts{a2a.NewTextPart("1234")}},
	}
}

func benchStatus() *a2a.TaskStatusUpdateEvent {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	return &a2a.TaskStatusUpdateEvent{
		TaskID: benchTask, ContextID: benchContext,
		Status: a2a.TaskStatus{State: a2a.TaskStateWorking, Timestamp: &at},
	}
}

// BenchmarkEncodeArtifact encodes the commonest event: one appended text.
func BenchmarkEncodeArtifact(b *testing.B) {
	benchEncode(b, benchChunk())
}

// BenchmarkEncodeStatus encodes a status without, with a message and with a progress.
func BenchmarkEncodeStatus(b *testing.B) {
	b.Run("plain", func(b *testing.B) { benchEncode(b, benchStatus()) })
	b.Run("message", func(b *testing.B) {
		ev := benchStatus()
		ev.Status.Message = &a2a.Message{
			ID: "m-1", TaskID: benchTask, ContextID: benchContext, Role: a2a.MessageRoleAgent,
			Parts: a2a.ContentParts{a2a.NewTextPart("Reading the third of seven files")},
		}
		benchEncode(b, ev)
	})
	b.Run("progress", func(b *testing.B) {
		ev := benchStatus()
		ev.Metadata = map[string]any{task.ProgressURI: map[string]any{"percent": 42}}
		benchEncode(b, ev)
	})
}

func benchEncode(b *testing.B, ev a2a.Event) {
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := record.Encode(ev, record.Stamp{Seq: 1234, Attempt: 1}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApply encodes and folds a chunk onto an artifact that grows.
func BenchmarkApply(b *testing.B) {
	s := benchState(b, 0)
	ev := benchChunk()
	b.ReportAllocs()
	for b.Loop() {
		_, c, err := record.Encode(ev, record.Stamp{Seq: s.Seq + 1, Attempt: 1})
		if err == nil {
			err = s.Apply(c)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSnapshot writes and reads the snapshot of a task with many chunks.
func BenchmarkSnapshot(b *testing.B) {
	for _, chunks := range []int{100, 1600} {
		s := benchState(b, chunks)
		body := record.EncodeSnapshot(s)
		b.Run(fmt.Sprintf("encode %d chunks", chunks), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				record.EncodeSnapshot(s)
			}
		})
		b.Run(fmt.Sprintf("decode %d chunks", chunks), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := record.DecodeSnapshot(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParse takes a stored event apart again.
func BenchmarkParse(b *testing.B) {
	raw, _, err := record.Encode(benchChunk(), record.Stamp{Seq: 1234, Attempt: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.Parse(record.Record{Seq: 1234, Event: raw}); err != nil {
			b.Fatal(err)
		}
	}
}

func benchState(b *testing.B, chunks int) *task.State {
	b.Helper()
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	s := task.NewState(benchTask, benchContext)
	first := benchChunk()
	first.Append = false
	events := []a2a.Event{&a2a.Task{
		ID: benchTask, ContextID: benchContext,
		Status: a2a.TaskStatus{State: a2a.TaskStateSubmitted, Timestamp: &at},
	}, first}
	for range chunks {
		events = append(events, benchChunk())
	}
	for _, ev := range events {
		_, c, err := record.Encode(ev, record.Stamp{Seq: s.Seq + 1, Attempt: 1})
		if err == nil {
			err = s.Apply(c)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return s
}
