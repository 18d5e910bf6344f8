// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/record"
)

func chunk(b *testing.B, text string) []byte {
	b.Helper()
	event, _, err := record.Encode(&a2a.TaskArtifactUpdateEvent{
		TaskID: "01a1fafc-e3b9-7a33-ac00-bbe386164e08", ContextID: "01a1fafc-e3b9-7a35-a8dc-af839f567f9c", Append: true,
		Artifact: &a2a.Artifact{ID: "a", Parts: a2a.ContentParts{a2a.NewTextPart(text)}},
	}, record.Stamp{Seq: 7, Attempt: 1})
	if err != nil {
		b.Fatal(err)
	}
	return event
}

// BenchmarkEvent is one event on its way to its followers: what the conversion
// costs, and what each follower costs beside it.
func BenchmarkEvent(b *testing.B) {
	for _, bb := range []struct {
		name      string
		text      string
		followers int
	}{{"chunk of 5 bytes, 1 follower", "hello", 1}, {"chunk of 5 bytes, 1000 followers", "hello", 1000}, {"chunk of 64 KiB, 1000 followers", strings.Repeat("x", 64<<10), 1000}} {
		b.Run(bb.name, func(b *testing.B) {
			event := chunk(b, bb.text)
			c := newCodec()
			b.ReportAllocs()
			for b.Loop() {
				shared := &record.Shared{}
				for range bb.followers {
					msg, err := encodeFrame(engine.Frame{Seq: 7, Event: event, Shared: shared})
					if err != nil {
						b.Fatal(err)
					}
					out, err := c.Marshal(msg)
					if err != nil {
						b.Fatal(err)
					}
					out.Free()
				}
			}
		})
	}
}
