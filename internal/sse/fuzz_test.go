// SPDX-License-Identifier: Apache-2.0

package sse_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/errand-a2a/errand/internal/sse"
)

// FuzzReader: however a stream is cut into reads, and whatever the bound is,
// it holds the same events and ends the same way.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"", "data: a\n\n", "\uFEFFid: 1\r\ndata: a\r\n\r\n", ":c\rdata\r\r", "data: a\ndata: b", "id: 5\n\nevent: x\ndata: a\nretry: 7\n\n"} {
		f.Add([]byte(s), uint16(3), uint16(7), uint16(0))
		f.Add([]byte(s), uint16(1), uint16(2), uint16(6))
	}
	f.Fuzz(func(t *testing.T, in []byte, a, b, limit uint16) {
		checkSplit(t, in, []int{int(a), int(b)}, int(limit))
	})
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func checkSplit(t fataler, in []byte, cuts []int, limit int) {
	t.Helper()
	whole, comments, end := readBounded(bytes.NewReader(in), limit)
	// At the extreme every byte comes alone, which separates every CR from its LF.
	single := &chunks{}
	for i := range in {
		single.parts = append(single.parts, in[i:i+1])
	}
	mixed := &chunks{}
	rest := in
	for _, c := range cuts {
		c = min(c, len(rest))
		mixed.parts = append(mixed.parts, rest[:c])
		rest = rest[c:]
	}
	mixed.parts = append(mixed.parts, rest)
	for _, src := range []*chunks{single, mixed} {
		got, gotComments, gotEnd := readBounded(src, limit)
		if diff := cmp.Diff(whole, got); diff != "" {
			t.Fatalf("split %q (-whole +split):\n%s", in, diff)
		}
		if diff := cmp.Diff(comments, gotComments); diff != "" {
			t.Fatalf("comments of %q (-whole +split):\n%s", in, diff)
		}
		if fmt.Sprint(end) != fmt.Sprint(gotEnd) {
			t.Fatalf("%q ended with %v whole and %v split", in, end, gotEnd)
		}
	}
}

// FuzzRoundTrip: what is written is read, however the data was pieced together
// and whatever stands in the comments between the events.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(`{"a":1}`), uint16(3), uint16(4), "alive", uint64(7))
	f.Add([]byte("a\r\nb\rc\n"), uint16(2), uint16(2), "\r\n\ndata: x", uint64(0))
	f.Add([]byte("\n\n"), uint16(1), uint16(1), "", ^uint64(0))
	f.Fuzz(func(t *testing.T, data []byte, a, b uint16, comment string, id uint64) {
		i := min(int(a), len(data))
		j := min(i+int(b), len(data))
		stream := sse.AppendEvent(nil, id, data[:i], data[i:j], data[j:])
		stream = sse.AppendComment(stream, comment)
		stream = append(stream, sse.KeepAlive...)
		stream = sse.AppendEvent(stream, 1, data)
		events, _, err := readAll(bytes.NewReader(stream))
		if err != io.EOF || len(events) != 2 {
			t.Fatalf("%q: %d events, %v", stream, len(events), err)
		}
		first := sse.Event{Data: []byte(normal(data))}
		if id != 0 {
			first.ID, first.HasID = strconv.FormatUint(id, 10), true
		}
		want := []sse.Event{first, {ID: "1", HasID: true, Data: first.Data}}
		if diff := cmp.Diff(want, events); diff != "" {
			t.Fatalf("(-written +read):\n%s", diff)
		}
	})
}

// endless repeats its bytes until so many were read.
type endless struct {
	bytes []byte
	at    int
	left  int
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.bytes) == 0 || e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && e.left > 0 {
		k := copy(p[n:], e.bytes[e.at:])
		n += k
		e.left -= k
		e.at = (e.at + k) % len(e.bytes)
	}
	return n, nil
}

// FuzzBound: a stream without an end costs a bounded buffer, whatever it says.
func FuzzBound(f *testing.F) {
	for _, s := range []string{"x", "data: x\n", ":", ": x\n", "id: xxxx\n", "event: xxxxxxx\n", "data: a\n\n", "\r", "\n", "retry: 1\ndata\n", "id:1\n\n"} {
		f.Add([]byte(s), uint16(100))
	}
	f.Fuzz(func(t *testing.T, in []byte, limit uint16) {
		most := 1 + int(limit)%1024
		const window = 8 << 10 // what is read at once
		src := &endless{bytes: in, left: 10 * window}
		r := sse.NewReader(src, sse.Options{MaxEvent: most})
		for {
			ev, err := r.Next()
			// A line and the data grow up to the bound and what is read at once;
			// growing takes at most twice that.
			if held := r.Held(); held > window+2*(most+window)+5*most {
				t.Fatalf("%q for ever, bounded to %d: %d bytes are held", in, most, held)
			}
			if err != nil {
				var large *sse.TooLargeError
				if !errors.As(err, &large) && err != io.EOF && err != io.ErrUnexpectedEOF {
					t.Fatalf("ended with %v", err)
				}
				return
			}
			if len(ev.Data)+len(ev.Name) > 2*most {
				t.Fatalf("an event of %d and %d bytes passes the bound of %d", len(ev.Data), len(ev.Name), most)
			}
		}
	})
}
