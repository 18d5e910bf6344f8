// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// Stored values are: the format number (one byte), fields in the order below
// (integers as uvarints, strings and JSON with their length before them), and
// the CRC-32C of all that (four bytes, big endian).

// EncodeBatch makes the stored form of consecutive records.
func EncodeBatch(recs []Record) []byte {
	n := 16
	for _, r := range recs {
		n += len(r.Event) + 24
		if r.Opens != nil {
			n += len(r.Opens.Raw) + len(r.Opens.ID) + 8
		}
	}
	b := make([]byte, 0, n)
	b = append(b, Format)
	b = binary.AppendUvarint(b, uint64(len(recs)))
	if len(recs) > 0 {
		b = binary.AppendUvarint(b, recs[0].Seq)
	}
	for _, r := range recs {
		b = binary.AppendUvarint(b, uint64(r.Turn))
		b = binary.AppendUvarint(b, uint64(r.Attempt))
		var flags byte
		if r.Closes {
			flags |= 1
		}
		if r.Opens != nil {
			flags |= 2
		}
		b = append(b, flags)
		b = appendBytes(b, r.Event)
		if r.Opens != nil {
			b = appendBytes(b, []byte(r.Opens.ID))
			b = appendBytes(b, r.Opens.Raw)
		}
	}
	return seal(b)
}

// DecodeBatch reads what EncodeBatch wrote. The records share b's memory.
func DecodeBatch(b []byte) ([]Record, error) {
	d, err := unseal(b)
	if err != nil {
		return nil, err
	}
	n := d.count(4)
	if n == 0 {
		return nil, d.end()
	}
	recs := make([]Record, 0, n)
	seq := d.uvarint()
	for i := range n {
		r := Record{Seq: seq + uint64(i), Turn: int(d.uvarint()), Attempt: int(d.uvarint())}
		flags := d.byte()
		r.Closes = flags&1 != 0
		r.Event = task.Raw(d.bytes())
		if flags&2 != 0 {
			r.Opens = &task.Message{ID: string(d.bytes()), Raw: task.Raw(d.bytes())}
		}
		if d.err != nil {
			return nil, d.err
		}
		recs = append(recs, r)
	}
	return recs, d.end()
}

// EncodeSnapshot makes the stored form of a folded task.
func EncodeSnapshot(s *task.State) []byte {
	b := make([]byte, 0, s.Size()+s.Size()/8+256)
	b = append(b, Format)
	b = binary.AppendUvarint(b, s.Seq)
	b = appendString(b, s.ID)
	b = appendString(b, s.ContextID)
	b = appendMessagePtr(b, s.Reply)
	b = appendString(b, string(s.Status.State))
	b = binary.AppendVarint(b, s.Status.At.UnixMilli())
	b = appendMessagePtr(b, s.Status.Message)
	b = binary.AppendUvarint(b, uint64(len(s.History)))
	for _, m := range s.History {
		b = appendString(b, m.ID)
		b = appendBytes(b, m.Raw)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Artifacts)))
	for _, a := range s.Artifacts {
		b = appendString(b, a.ID)
		b = appendString(b, a.Name)
		b = appendString(b, a.Description)
		b = binary.AppendUvarint(b, uint64(len(a.Extensions)))
		for _, x := range a.Extensions {
			b = appendString(b, x)
		}
		b = appendMeta(b, a.Metadata)
		b = binary.AppendUvarint(b, uint64(len(a.Parts)))
		for _, p := range a.Parts {
			b = appendBytes(b, p)
		}
	}
	b = appendMeta(b, s.Metadata)
	return seal(b)
}

// DecodeSnapshot reads what EncodeSnapshot wrote. The state shares b's memory.
func DecodeSnapshot(b []byte) (*task.State, error) {
	d, err := unseal(b)
	if err != nil {
		return nil, err
	}
	s := task.State{Seq: d.uvarint(), ID: d.string(), ContextID: d.string(), Reply: d.message()}
	s.Status.State = a2a.TaskState(d.string())
	s.Status.At = time.UnixMilli(d.varint()).UTC()
	s.Status.Message = d.message()
	for range d.count(2) {
		s.History = append(s.History, task.Message{ID: d.string(), Raw: task.Raw(d.bytes())})
	}
	for range d.count(5) {
		a := &task.Artifact{ID: d.string(), Name: d.string(), Description: d.string()}
		for range d.count(1) {
			a.Extensions = append(a.Extensions, d.string())
		}
		a.Metadata = d.meta()
		n := d.count(1)
		a.Parts = make([]task.Raw, 0, n)
		for range n {
			a.Parts = append(a.Parts, task.Raw(d.bytes()))
		}
		s.Artifacts = append(s.Artifacts, a)
	}
	s.Metadata = d.meta()
	if err := d.end(); err != nil {
		return nil, err
	}
	return task.Restore(s), nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func seal(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func unseal(b []byte) (*decoder, error) {
	if len(b) < 5 {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrCorrupt)
	}
	if b[0] != Format {
		return nil, fmt.Errorf("format %d, this release reads %d: %w", b[0], Format, ErrFormat)
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return nil, fmt.Errorf("checksum: %w", ErrCorrupt)
	}
	return &decoder{b: body[1:]}, nil
}

func appendBytes(b, v []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendString(b []byte, v string) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendMessagePtr(b []byte, m *task.Message) []byte {
	if m == nil {
		return append(b, 0)
	}
	b = append(b, 1)
	b = appendString(b, m.ID)
	return appendBytes(b, m.Raw)
}

func appendMeta(b []byte, meta map[string]task.Raw) []byte {
	b = binary.AppendUvarint(b, uint64(len(meta)))
	var room [4]string
	for _, k := range appendKeys(room[:0], meta) {
		b = appendString(b, k)
		b = appendBytes(b, meta[k])
	}
	return b
}

// decoder reads fields; after the first error every read gives zero.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%s: %w", what, ErrCorrupt)
	}
	d.b = nil
}

func (d *decoder) end() error {
	if d.err == nil && len(d.b) != 0 {
		d.fail("bytes after the end")
	}
	return d.err
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("integer")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail("integer")
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads a number of elements that take at least min bytes each, so that
// a corrupt number cannot make anybody allocate.
func (d *decoder) count(min int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/min) {
		d.fail("count")
		return 0
	}
	return int(n)
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail("byte")
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail("length")
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) string() string { return string(d.bytes()) }

func (d *decoder) message() *task.Message {
	if d.byte() == 0 {
		return nil
	}
	return &task.Message{ID: d.string(), Raw: task.Raw(d.bytes())}
}

func (d *decoder) meta() map[string]task.Raw {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	m := make(map[string]task.Raw, n)
	for range n {
		k := d.string()
		m[k] = task.Raw(d.bytes())
	}
	return m
}
