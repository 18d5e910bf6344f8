// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

// FuzzDamage writes what the bytes say and damages it: one bit, the format
// number, the length. What was written is read again; the damaged is refused
// with the error that says which of the two it is, and never with the other.
func FuzzDamage(f *testing.F) {
	f.Add([]byte("\x03\x02\x01\x05event\x02m1\x07message"), uint32(0), byte(0), byte(0))
	f.Add([]byte{}, uint32(1), byte(7), byte(2))
	f.Add(bytes.Repeat([]byte("\xff\x09"), 40), uint32(77), byte(3), byte(255))
	f.Fuzz(func(t *testing.T, tape []byte, at uint32, bit, format byte) {
		recs := recordsOf(tape)
		stored := record.EncodeBatch(recs)
		got, err := record.DecodeBatch(stored)
		if err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
		if d := cmp.Diff(recs, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("(-written +read):\n%s", d)
		}
		damage(t, stored, func(b []byte) error { _, err := record.DecodeBatch(b); return err }, at, bit, format)

		s := task.NewState(string(tape), "context")
		s.Seq = uint64(at)
		stored = record.EncodeSnapshot(s)
		again, err := record.DecodeSnapshot(stored)
		if err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
		if again.ID != s.ID || again.Seq != s.Seq {
			t.Fatalf("%q at %d is read as %q at %d", s.ID, s.Seq, again.ID, again.Seq)
		}
		damage(t, stored, func(b []byte) error { _, err := record.DecodeSnapshot(b); return err }, at, bit, format)
	})
}

func damage(t *testing.T, stored []byte, read func([]byte) error, at uint32, bit, format byte) {
	t.Helper()
	flipped := bytes.Clone(stored)
	i := int(at) % len(flipped)
	flipped[i] ^= 1 << (bit % 8)
	want := record.ErrCorrupt
	if i == 0 {
		want = record.ErrFormat
	}
	wantOnly(t, read(flipped), want)
	wantOnly(t, read(stored[:int(at)%len(stored)]), record.ErrCorrupt)
	if format != record.Format {
		other := bytes.Clone(unsealed(stored))
		other[0] = format
		wantOnly(t, read(seal(other)), record.ErrFormat)
	}
}

// wantOnly wants one of the two errors and not the other: an operator reads
// the one as "upgrade" and the other as "restore".
func wantOnly(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || errors.Is(err, record.ErrFormat) && errors.Is(err, record.ErrCorrupt) {
		t.Fatalf("error %v, want one that is only: %v", err, want)
	}
}

// recordsOf makes consecutive records of any bytes.
func recordsOf(tape []byte) (recs []record.Record) {
	number := func() uint64 {
		n, read := binary.Uvarint(tape)
		if read <= 0 {
			tape = nil
			return 0
		}
		tape = tape[read:]
		return n
	}
	chunk := func() []byte {
		n := min(number()%32, uint64(len(tape)))
		b := tape[:n]
		tape = tape[n:]
		return b
	}
	for seq := number(); len(tape) > 0; seq++ {
		r := record.Record{Seq: seq, Turn: int(number()), Attempt: int(number()), Closes: number()%2 == 1, Event: chunk()}
		if number()%2 == 1 {
			r.Opens = &task.Message{ID: string(chunk()), Raw: chunk()}
		}
		recs = append(recs, r)
	}
	return recs
}

// FuzzRequest reads any bytes as the request data of a turn.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{"metadata":{"k":[1.5,"x",null]},"params":{"a":["b"]},"extensions":["urn:x"],"accepts":["text/plain"],"maxAttempts":3,"parked":"TASK_STATE_AUTH_REQUIRED"}`,
		`{"user":{"name":"ann","authenticated":true,"attributes":{"team":"red"}},"context":{"trace":"1"}}`,
		`{"parked":"TASK_STATE_UNSPECIFIED","metadata":{}}`, `{}`, `null`, `[]`, `{`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := record.DecodeRequest(b)
		if err != nil {
			wantOnly(t, err, record.ErrCorrupt)
			return
		}
		stored, err := record.EncodeRequest(r)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := record.DecodeRequest(stored)
		if err != nil {
			t.Fatalf("%q is written as %q, which is not read: %v", b, stored, err)
		}
		if d := cmp.Diff(r, again, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("%q is written as %q (-first +second):\n%s", b, stored, d)
		}
	})
}

// FuzzMessage reads any bytes as the stored message of a turn.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		`{"messageId":"m","role":"ROLE_USER","parts":[{"text":"x"},{"raw":"AP8=","filename":"a"},{"url":"https://x","mediaType":"a/b"},{"data":{"n":[1e15]}}]}`,
		`{"messageId":"m","taskId":"t","contextId":"c","role":"ROLE_AGENT","extensions":["urn:x"],"referenceTaskIds":["o"],"metadata":{"k":1}}`,
		`{"parts":[{}]}`, `{"parts":[{"text":"x","metadata":{"k":null}}]}`, `{}`, `null`, `[]`, `{`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := record.DecodeMessage(b)
		if err != nil {
			wantOnly(t, err, record.ErrCorrupt)
			return
		}
		if m == nil {
			return
		}
		stored, err := record.AppendMessage(nil, m)
		if err != nil {
			return // a part with nothing in it; it was refused when it came
		}
		again, err := record.DecodeMessage(stored)
		if err != nil {
			t.Fatalf("%q is written as %q, which is not read: %v", b, stored, err)
		}
		if d := cmp.Diff(m, again, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("%q is written as %q (-first +second):\n%s", b, stored, d)
		}
	})
}

// FuzzLog folds any lines as the events of a log: whatever the fold takes it
// takes the same way from the log at once, and from a snapshot and the rest.
func FuzzLog(f *testing.F) {
	f.Add([]byte(wireSeeds[0]+"\n"+wireSeeds[4]+"\n"+wireSeeds[3]), uint16(1))
	f.Add([]byte(wireSeeds[0]+"\n"+wireSeeds[6]+"\n"+wireSeeds[7]+"\n"+wireSeeds[3]), uint16(2))
	f.Add([]byte(wireSeeds[1]), uint16(0))
	f.Fuzz(func(t *testing.T, lines []byte, cut uint16) {
		var recs []record.Record
		s := task.NewState("task", "context")
		for event := range bytes.SplitSeq(lines, []byte("\n")) {
			r := record.Record{Seq: s.Seq + 1, Event: task.Raw(event)}
			c, err := record.Parse(r)
			if err != nil {
				wantOnly(t, err, record.ErrCorrupt)
				continue
			}
			if s.Apply(c) == nil {
				recs = append(recs, r)
			}
		}
		final := record.EncodeSnapshot(s)
		k := int(cut) % (len(recs) + 1)
		first, err := record.Open("task", "context", nil, [][]byte{record.EncodeBatch(recs[:k])})
		if err != nil {
			t.Fatalf("the first %d events: %v", k, err)
		}
		got, err := record.Open("task", "context", record.EncodeSnapshot(first), [][]byte{record.EncodeBatch(recs[k:])})
		if err != nil {
			t.Fatalf("the snapshot at %d and the rest: %v", k, err)
		}
		if b := record.EncodeSnapshot(got); !bytes.Equal(b, final) {
			t.Fatalf("the snapshot at %d and the rest give\n%q, the fold\n%q", k, b, final)
		}
	})
}
