// SPDX-License-Identifier: Apache-2.0

package sse_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/errand-a2a/errand/internal/sse"
)

func TestAppendEvent(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		id   uint64
		data []string
		want string
	}{
		"an event carries its id and its data":          {7, []string{`{"a":1}`}, "id: 7\ndata: {\"a\":1}\n\n"},
		"id 0 writes no id line":                        {0, []string{"x"}, "data: x\n\n"},
		"pieces are joined on one data line":            {1, []string{`{"r":`, `{}`, `}`}, "id: 1\ndata: {\"r\":{}}\n\n"},
		"every kind of line break starts a data line":   {0, []string{"a\nb\rc\r\nd"}, "data: a\ndata: b\ndata: c\ndata: d\n\n"},
		"a CRLF split over two pieces is one break":     {0, []string{"a\r", "\nb"}, "data: a\ndata: b\n\n"},
		"an empty piece does not split a CRLF":          {0, []string{"a\r", "", "\nb"}, "data: a\ndata: b\n\n"},
		"a CR and an LF around a piece are two breaks":  {0, []string{"a\r", "x", "\nb"}, "data: a\ndata: x\ndata: b\n\n"},
		"no data at all is still an event":              {3, nil, "id: 3\ndata: \n\n"},
		"data that starts with a space keeps its space": {0, []string{" x"}, "data:  x\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pieces [][]byte
			for _, d := range tc.data {
				pieces = append(pieces, []byte(d))
			}
			got := string(sse.AppendEvent([]byte("before|"), tc.id, pieces...))
			if diff := cmp.Diff("before|"+tc.want, got); diff != "" {
				t.Errorf("framing (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAppendEventAllocatesNothing(t *testing.T) {
	// Not parallel: AllocsPerRun counts the whole process.
	head, body, tail := []byte(`{"result":`), []byte(`{"task":{}}`), []byte(`}`)
	dst := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		dst = sse.AppendEvent(dst[:0], 12345, head, body, tail)
		dst = sse.AppendComment(dst[:0], "alive")
	}); n != 0 {
		t.Errorf("framing allocates %v times an event", n)
	}
}

func TestAppendComment(t *testing.T) {
	t.Parallel()
	if got := string(sse.AppendComment(nil, "a\nb")); got != ": a\n: b\n\n" {
		t.Errorf("comment framed as %q", got)
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	type ev = sse.Event
	for name, tc := range map[string]struct {
		in       string
		want     []ev
		comments []string
		end      error
	}{
		"lines may end in LF":          {in: "id: 1\ndata: a\n\n", want: []ev{{ID: "1", HasID: true, Data: []byte("a")}}},
		"lines may end in CR":          {in: "id: 1\rdata: a\r\r", want: []ev{{ID: "1", HasID: true, Data: []byte("a")}}},
		"lines may end in CRLF":        {in: "id: 1\r\ndata: a\r\n\r\n", want: []ev{{ID: "1", HasID: true, Data: []byte("a")}}},
		"a byte order mark is dropped": {in: "\uFEFFdata: a\n\n", want: []ev{{Data: []byte("a")}}},
		"only the first byte order mark is dropped": {in: "\uFEFFdata: a\n\n\uFEFFdata: b\n\n",
			want: []ev{{Data: []byte("a")}}},
		"a space after the colon is optional and only one goes": {in: "data:a\n\ndata:  b\n\n",
			want: []ev{{Data: []byte("a")}, {Data: []byte(" b")}}},
		"data lines are joined by LF":            {in: "data: a\ndata: b\ndata\n\n", want: []ev{{Data: []byte("a\nb\n")}}},
		"a data line without a value dispatches": {in: "data\n\n", want: []ev{{Data: []byte{}}}},
		"comments are seen and do not dispatch": {in: ": hi\n\n:there\ndata: a\n\n",
			want: []ev{{Data: []byte("a")}}, comments: []string{"hi", "there"}},
		"an event cut off at the end is not delivered": {in: "data: a\n\ndata: b\n",
			want: []ev{{Data: []byte("a")}}, end: io.ErrUnexpectedEOF},
		"a line cut off at the end is not delivered": {in: "data: a\n\ndat",
			want: []ev{{Data: []byte("a")}}, end: io.ErrUnexpectedEOF},
		"the last id persists": {in: "id: 5\ndata: a\n\ndata: b\n\n",
			want: []ev{{ID: "5", HasID: true, Data: []byte("a")}, {ID: "5", Data: []byte("b")}}},
		"an id without data moves the last id": {in: "id: 5\n\ndata: b\n\n", want: []ev{{ID: "5", Data: []byte("b")}}},
		"an empty id resets it": {in: "id: 5\ndata: a\n\nid\ndata: b\n\n",
			want: []ev{{ID: "5", HasID: true, Data: []byte("a")}, {HasID: true, Data: []byte("b")}}},
		"an id with a NUL is ignored": {in: "id: 5\n\nid: 6\x00\ndata: b\n\n", want: []ev{{ID: "5", Data: []byte("b")}}},
		"the event name is for one event": {in: "event: x\ndata: a\n\ndata: b\n\n",
			want: []ev{{Name: "x", Data: []byte("a")}, {Data: []byte("b")}}},
		"a name without data does not leak into the next event": {in: "event: x\n\ndata: b\n\n", want: []ev{{Data: []byte("b")}}},
		"retry is in milliseconds and stays": {in: "retry: 1500\n\ndata: a\n\n",
			want: []ev{{Data: []byte("a"), Retry: 1500 * time.Millisecond}}},
		"a retry that is no number is ignored": {in: "retry: +1\nretry: 1s\nretry:\ndata: a\n\n", want: []ev{{Data: []byte("a")}}},
		"unknown fields are ignored":           {in: "foo: bar\nDATA: x\ndata: a\n\n", want: []ev{{Data: []byte("a")}}},
		"a colon in the value belongs to it":   {in: "data: a: b\n\n", want: []ev{{Data: []byte("a: b")}}},
		"an empty stream has no events":        {in: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.end == nil {
				tc.end = io.EOF
			}
			got, comments, err := readAll(strings.NewReader(tc.in))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.comments, comments); diff != "" {
				t.Errorf("comments (-want +got):\n%s", diff)
			}
			if !errors.Is(err, tc.end) {
				t.Errorf("the stream ended with %v, want %v", err, tc.end)
			}
		})
	}
}

func TestReaderIsPrompt(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{"LF": "data: a\n\n", "CR": "data: a\r\r", "CRLF": "data: a\r\n\r\n"} {
		t.Run("an event is returned before the byte that follows it, with "+name, func(t *testing.T) {
			t.Parallel()
			pr, pw := io.Pipe()
			defer pr.Close()
			go func() { _, _ = pw.Write([]byte(in)) }()
			// The pipe stays open: a reader that peeks one byte further hangs here.
			if ev, err := sse.NewReader(pr, sse.Options{}).Next(); err != nil || string(ev.Data) != "a" {
				t.Errorf("got %q, %v", ev.Data, err)
			}
		})
	}
}

func TestReaderBounds(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"one long line is refused":          "data: " + strings.Repeat("x", 100),
		"many short data lines are refused": strings.Repeat("data: x\n", 50),
		"a long comment is refused":         ": " + strings.Repeat("x", 100) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := sse.NewReader(strings.NewReader(in), sse.Options{MaxEvent: 64})
			_, err := r.Next()
			var large *sse.TooLargeError
			if !errors.As(err, &large) || large.Limit != 64 {
				t.Fatalf("got %v", err)
			}
			if _, again := r.Next(); again != err {
				t.Errorf("the error did not stay: %v", again)
			}
		})
	}
	t.Run("events below the bound pass however many there are", func(t *testing.T) {
		t.Parallel()
		got, _, err := readAll(strings.NewReader(strings.Repeat("data: 0123456789\n\n", 100)))
		if len(got) != 100 || err != io.EOF {
			t.Errorf("%d events, %v", len(got), err)
		}
	})
	t.Run("an event as large as the bound allows passes over many reads", func(t *testing.T) {
		t.Parallel()
		big := bytes.Repeat([]byte("0123456789"), 5000)
		r := sse.NewReader(bytes.NewReader(sse.AppendEvent(nil, 1, big)), sse.Options{MaxEvent: len(big) + 16})
		if ev, err := r.Next(); err != nil || !bytes.Equal(ev.Data, big) {
			t.Errorf("got %d bytes, %v", len(ev.Data), err)
		}
	})
	t.Run("a source that fails is reported with its error", func(t *testing.T) {
		t.Parallel()
		broken := errors.New("broken")
		_, _, err := readAll(io.MultiReader(strings.NewReader("data: a\n"), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
}

func readAll(src io.Reader) (events []sse.Event, comments []string, err error) {
	return readBounded(src, 0)
}

func readBounded(src io.Reader, limit int) (events []sse.Event, comments []string, err error) {
	r := sse.NewReader(src, sse.Options{MaxEvent: limit, OnComment: func(text []byte) { comments = append(comments, string(text)) }})
	for {
		ev, err := r.Next()
		if err != nil {
			return events, comments, err
		}
		events = append(events, ev)
	}
}
