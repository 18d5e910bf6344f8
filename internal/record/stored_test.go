// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

// seal gives bytes the checksum of what was written.
func seal(body []byte) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(body), crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

func unsealed(stored []byte) []byte { return stored[:len(stored)-4] }

// checkSame compares two states, what they have not exported too: they give
// the same answers, and go on the same way.
func checkSame(t tb, want, got *task.State) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(task.State{}), cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
	if want.Size() != got.Size() || want.Exists() != got.Exists() || want.Closed() != got.Closed() {
		t.Fatalf("size %d, exists %v, closed %v; want %d, %v, %v", got.Size(), got.Exists(), got.Closed(), want.Size(), want.Exists(), want.Closed())
	}
	if zone := got.Status.At.Location(); zone != time.UTC {
		t.Fatalf("the status time is in %v", zone)
	}
	for _, a := range want.Artifacts {
		if _, known := got.Artifact(a.ID); !known {
			t.Fatalf("artifact %q is not found", a.ID)
		}
	}
	for _, m := range want.History {
		if !got.HasMessage(m.ID) {
			t.Fatalf("message %q is not found", m.ID)
		}
	}
}

// drawState folds random events; the state is what a snapshot is made of.
func drawState(t *rapid.T) *task.State {
	s := task.NewState(drawText(t), drawText(t))
	if rapid.IntRange(0, 9).Draw(t, "reply") == 0 {
		_, c := encode(t, drawMessage(t), record.Stamp{Seq: 1})
		apply(t, s, c)
		return s
	}
	for range rapid.IntRange(0, 6).Draw(t, "events") {
		var ev a2a.Event = drawTask(t)
		if s.Exists() {
			ev = drawEvent(t)
		}
		_, c := encode(t, ev, record.Stamp{Seq: s.Seq + 1})
		_ = s.Apply(c) // what it refuses is not in the state
	}
	return s
}

func apply(t tb, s *task.State, c *task.Change) {
	t.Helper()
	if err := s.Apply(c); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

func TestASnapshotIsTheState(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawState(t)
		stored := record.EncodeSnapshot(want)
		got, err := record.DecodeSnapshot(stored)
		if err != nil {
			t.Fatalf("decode: %v", err)
		}
		checkSame(t, want, got)
		for range rapid.IntRange(0, 4).Draw(t, "more") {
			_, c := encode(t, drawEvent(t), record.Stamp{Seq: want.Seq + 1})
			first, second := want.Apply(c), got.Apply(c)
			if fmt.Sprint(first) != fmt.Sprint(second) {
				t.Fatalf("the state answers %v, the snapshot %v", first, second)
			}
			checkSame(t, want, got)
		}
	})
}

func TestABatchIsItsRecords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint64Range(1, math.MaxUint64-10).Draw(t, "first")
		var want []record.Record
		for i := range rapid.IntRange(0, 5).Draw(t, "records") {
			r := record.Record{
				Seq: first + uint64(i), Turn: rapid.IntRange(0, 500).Draw(t, "turn"), Attempt: rapid.IntRange(0, 500).Draw(t, "attempt"),
				Closes: rapid.Bool().Draw(t, "closes"), Event: drawBytes(t),
			}
			if rapid.Bool().Draw(t, "opens") {
				r.Opens = &task.Message{ID: drawText(t), Raw: drawBytes(t)}
			}
			want = append(want, r)
		}
		got, err := record.DecodeBatch(record.EncodeBatch(want))
		if err != nil {
			t.Fatalf("decode: %v", err)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
	})
}

func drawBytes(t *rapid.T) task.Raw {
	return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")
}

// reader is one of the two decoders, without its result.
type reader struct {
	name   string
	stored []byte
	read   func([]byte) error
}

func readers() []reader {
	batch := func(b []byte) error { _, err := record.DecodeBatch(b); return err }
	snapshot := func(b []byte) error { _, err := record.DecodeSnapshot(b); return err }
	return []reader{
		{"a batch", record.EncodeBatch(goldenRecords()), batch},
		{"an empty batch", record.EncodeBatch(nil), batch},
		{"a snapshot", record.EncodeSnapshot(goldenState()), snapshot},
		{"a snapshot of a reply", record.EncodeSnapshot(goldenReply()), snapshot},
		{"a snapshot of nothing", record.EncodeSnapshot(task.NewState("", "")), snapshot},
	}
}

func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	for _, r := range readers() {
		t.Run(r.name+" as written is read", func(t *testing.T) {
			t.Parallel()
			if err := r.read(r.stored); err != nil {
				t.Error(err)
			}
		})
		t.Run("every changed byte in "+r.name+" is found", func(t *testing.T) {
			t.Parallel()
			for i := range r.stored {
				for flip := 1; flip < 256; flip++ {
					b := bytes.Clone(r.stored)
					b[i] ^= byte(flip)
					want := record.ErrCorrupt
					if i == 0 {
						want = record.ErrFormat
					}
					if err := r.read(b); !errors.Is(err, want) {
						t.Fatalf("byte %d as %#x: %v", i, b[i], err)
					}
				}
			}
		})
		t.Run("every length of "+r.name+" but its own is found", func(t *testing.T) {
			t.Parallel()
			for n := range r.stored {
				if err := r.read(r.stored[:n]); !errors.Is(err, record.ErrCorrupt) {
					t.Fatalf("cut at %d: %v", n, err)
				}
				if n < 1 {
					continue
				}
				if err := r.read(seal(r.stored[:n])); n < len(r.stored)-4 && !errors.Is(err, record.ErrCorrupt) {
					t.Fatalf("cut at %d and sealed: %v", n, err)
				}
			}
			if err := r.read(append(bytes.Clone(r.stored), 0)); !errors.Is(err, record.ErrCorrupt) {
				t.Errorf("one byte more: %v", err)
			}
			if err := r.read(seal(append(bytes.Clone(unsealed(r.stored)), 0))); !errors.Is(err, record.ErrCorrupt) {
				t.Errorf("one byte more, sealed: %v", err)
			}
		})
		t.Run("a format number that "+r.name+" cannot have is named", func(t *testing.T) {
			t.Parallel()
			b := bytes.Clone(unsealed(r.stored))
			b[0] = record.Format + 1
			err := r.read(seal(b))
			if want := fmt.Sprintf("format %d, this release reads %d", record.Format+1, record.Format); !errors.Is(err, record.ErrFormat) || errors.Is(err, record.ErrCorrupt) || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v", err)
			}
		})
		t.Run("no number in "+r.name+" makes anybody allocate or panic", func(t *testing.T) {
			t.Parallel()
			for _, huge := range []uint64{math.MaxUint64, math.MaxInt64, 1 << 62, 1 << 40, 1 << 31} {
				number := binary.AppendUvarint(nil, huge)
				body := unsealed(r.stored)
				for i := 1; i <= len(body); i++ {
					for _, skip := range []int{0, 1} {
						b := append(bytes.Clone(body[:i]), number...)
						b = append(b, body[min(i+skip, len(body)):]...)
						if err := r.read(seal(b)); err != nil && !errors.Is(err, record.ErrCorrupt) {
							t.Fatalf("%d at %d: %v", huge, i, err)
						}
					}
				}
			}
			endless := append([]byte{record.Format}, bytes.Repeat([]byte{0xff}, 40)...)
			if err := r.read(seal(endless)); !errors.Is(err, record.ErrCorrupt) {
				t.Errorf("a number without an end: %v", err)
			}
		})
	}
}

// chunked is a short log of two turns.
func chunked(t *testing.T) []record.Record {
	t.Helper()
	var recs []record.Record
	add := func(ev a2a.Event, opens *task.Message) {
		seq := uint64(len(recs) + 1)
		raw, _ := encode(t, ev, record.Stamp{Seq: seq, Attempt: 1})
		recs = append(recs, record.Record{Seq: seq, Turn: 1, Attempt: 1, Event: raw, Opens: opens})
	}
	add(&a2a.Task{ID: "task", ContextID: "context", Status: status(nil).Status}, nil)
	for range 3 {
		ev := benchChunk()
		ev.Append = len(recs) > 1
		add(ev, nil)
	}
	add(status(map[string]any{"k": 1}), &task.Message{ID: "user-2", Raw: task.Raw(`{"messageId":"user-2"}`)})
	end := status(nil)
	end.Status.State = a2a.TaskStateCompleted
	add(end, nil)
	return recs
}

func TestFold(t *testing.T) {
	t.Parallel()

	t.Run("a prefix is folded, and what was folded is skipped", func(t *testing.T) {
		t.Parallel()
		recs := chunked(t)
		want := task.NewState("task", "context")
		for k := range recs {
			s := task.NewState("task", "context")
			if err := record.Fold(s, recs[:k]); err != nil || s.Seq != uint64(k) {
				t.Fatalf("prefix %d: at %d, %v", k, s.Seq, err)
			}
			if err := record.Fold(want, recs[:k]); err != nil {
				t.Fatal(err)
			}
			checkSame(t, want, s)
		}
	})

	t.Run("a gap is corrupt and nothing after it is folded", func(t *testing.T) {
		t.Parallel()
		recs := chunked(t)
		for k := range recs[1:] {
			s := task.NewState("task", "context")
			if err := record.Fold(s, append(recs[:k:k], recs[k+1:]...)); !errors.Is(err, record.ErrCorrupt) || s.Seq != uint64(k) {
				t.Errorf("without %d, at %d: %v", k+1, s.Seq, err)
			}
		}
	})

	t.Run("the message that opens a turn joins the history", func(t *testing.T) {
		t.Parallel()
		s := task.NewState("task", "context")
		if err := record.Fold(s, chunked(t)); err != nil || !s.HasMessage("user-2") {
			t.Errorf("history %v, %v", s.History, err)
		}
	})

	t.Run("an event that the rules refuse is corrupt", func(t *testing.T) {
		t.Parallel()
		recs := chunked(t)
		late := recs[4]
		late.Seq = 7
		s := task.NewState("task", "context")
		if err := record.Fold(s, append(recs, late)); !errors.Is(err, record.ErrCorrupt) || !errors.Is(err, task.ErrClosed) || s.Seq != 6 {
			t.Errorf("at %d: %v", s.Seq, err)
		}
	})

	for name, event := range map[string]string{
		"nothing": ``, "no JSON": `{`, "no event": `{}`, "an event of another release": `{"dream":{}}`, "a list": `[]`,
		"a status of another kind": `{"statusUpdate":{"status":{"state":7}}}`, "a time that is none": `{"statusUpdate":{"status":{"timestamp":"now"}}}`,
		"a message that is none": `{"message":7}`, "a status message that is none": `{"statusUpdate":{"status":{"message":7}}}`,
		"a history that is none": `{"task":{"history":[7]}}`, "a status message of a Task that is none": `{"task":{"status":{"message":[]}}}`,
	} {
		t.Run("in place of an event "+name+" is corrupt", func(t *testing.T) {
			t.Parallel()
			_, err := record.Parse(record.Record{Seq: 1, Event: task.Raw(event)})
			if !errors.Is(err, record.ErrCorrupt) || !strings.Contains(err.Error(), "event 1") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()

	t.Run("snapshot and batches are the whole log wherever they are cut", func(t *testing.T) {
		t.Parallel()
		recs := chunked(t)
		want, err := record.Open("task", "context", nil, [][]byte{record.EncodeBatch(recs)})
		if err != nil {
			t.Fatal(err)
		}
		for k := range recs {
			for first := 0; first <= k; first++ { // batches may begin before the snapshot
				s, err := record.Open("task", "context", nil, [][]byte{record.EncodeBatch(recs[:k])})
				if err != nil {
					t.Fatal(err)
				}
				got, err := record.Open("task", "context", record.EncodeSnapshot(s), [][]byte{
					record.EncodeBatch(recs[first:k]), record.EncodeBatch(recs[k : k+1]), record.EncodeBatch(recs[k+1:]),
				})
				if err != nil {
					t.Fatalf("snapshot at %d, batches from %d: %v", k, first, err)
				}
				checkSame(t, want, got)
			}
		}
	})

	t.Run("an error names the task and what is wrong", func(t *testing.T) {
		t.Parallel()
		recs := chunked(t)
		for want, open := range map[string]func() error{
			"task t: snapshot: ": func() error { _, err := record.Open("t", "c", []byte("?"), nil); return err },
			"task t: log: 1 byt": func() error { _, err := record.Open("t", "c", nil, [][]byte{{1}}); return err },
			"task t: log: event": func() error {
				_, err := record.Open("t", "c", nil, [][]byte{record.EncodeBatch(recs[1:])})
				return err
			},
		} {
			if err := open(); !errors.Is(err, record.ErrCorrupt) || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error %v, want one that begins with %q", err, want)
			}
		}
	})

	t.Run("no records are an empty task", func(t *testing.T) {
		t.Parallel()
		s, err := record.Open("t", "c", nil, nil)
		if err != nil || s.ID != "t" || s.ContextID != "c" || s.Exists() || s.Seq != 0 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}
