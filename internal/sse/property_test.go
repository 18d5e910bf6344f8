// SPDX-License-Identifier: Apache-2.0

package sse_test

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/errand-a2a/errand/internal/sse"
)

// chunks hands out its parts one Read at a time.
type chunks struct{ parts [][]byte }

func (c *chunks) Read(p []byte) (int, error) {
	for len(c.parts) > 0 && len(c.parts[0]) == 0 {
		c.parts = c.parts[1:]
	}
	if len(c.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.parts[0])
	c.parts[0] = c.parts[0][n:]
	return n, nil
}

func TestAnySplitGivesTheSameEvents(t *testing.T) {
	t.Parallel()
	piece := rapid.SampledFrom([]string{"data", "id", "event", "retry", ":", ": ", " ", "\n", "\r", "\r\n", "\n\n", "a", "7", "\x00", "\uFEFF", "data: x\n\n", "id: 3\n"})
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOfN(piece, 0, 40).Draw(t, "stream"), "")
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(in)), 0, 8).Draw(t, "cuts")
		checkSplit(t, []byte(in), cuts, sse.DefaultMaxEvent)
	})
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want []string
		for range rapid.IntRange(0, 5).Draw(t, "events") {
			id := rapid.Uint64().Draw(t, "id")
			pieces := rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom([]byte("ab:{ \r\n\x00\xff")), 0, 12), 0, 3).Draw(t, "pieces")
			stream = sse.AppendEvent(stream, id, pieces...)
			stream = sse.AppendComment(stream, rapid.StringOf(rapid.SampledFrom([]rune("ab\r\n:"))).Draw(t, "comment"))
			stream = append(stream, sse.KeepAlive...)
			want = append(want, strconv.FormatUint(id, 10)+"|"+normal(bytes.Join(pieces, nil)))
		}
		events, _, err := readAll(bytes.NewReader(stream))
		if err != io.EOF {
			t.Fatalf("the stream ended with %v", err)
		}
		var got []string
		for _, ev := range events {
			id := "0"
			if ev.HasID {
				id = ev.ID
			}
			got = append(got, id+"|"+string(ev.Data))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-written +read):\n%s", diff)
		}
	})
}

// normal is the one thing a round trip changes: every line break becomes \n.
func normal(b []byte) string {
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(b))
}
