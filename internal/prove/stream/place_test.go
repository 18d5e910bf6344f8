// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"strings"
	"testing"
)

// chunks is an answer of HTTP/1.1 in chunks, as net/http writes it.
func chunks(bodies ...string) string {
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
	for _, body := range bodies {
		b.WriteString(hex(len(body)) + "\r\n" + body + "\r\n")
	}
	return b.String() + "0\r\n\r\n"
}

func hex(n int) string {
	const digits = "0123456789abcdef"
	if n < 16 {
		return digits[n : n+1]
	}
	return hex(n/16) + digits[n%16:n%16+1]
}

// frames is an answer of gRPC: settings, headers, data and trailers.
func frames(data ...string) string {
	frame := func(kind, flags byte, payload string) string {
		return string([]byte{0, byte(len(payload) >> 8), byte(len(payload)), kind, flags, 0, 0, 0, 1}) + payload
	}
	s := frame(4, 0, "123456") + frame(4, 1, "") + frame(frameHeaders, 4, "headers")
	for _, d := range data {
		s += frame(frameData, 0, d)
	}
	return s + frame(frameHeaders, 4|flagEndStream, "trailers")
}

func message(body string) string {
	return string([]byte{0, 0, 0, byte(len(body) >> 8), byte(len(body))}) + body
}

// A cut is told by where it falls, however the answer was put into pieces.
func TestPlaces(t *testing.T) {
	t.Parallel()
	long := "data: " + strings.Repeat("x", 300) + "\n\n"
	m := message(strings.Repeat("y", 300))
	for _, tt := range []struct {
		name    string
		tracker tracker
		answer  string
		want    string // each place that is passed, in order
	}{
		{"an event in one chunk", &chunked{}, chunks("data: 1\n\n", long), "head between within between within between after"},
		{"two events in one chunk", &chunked{}, chunks("data: 1\n\ndata: 2\n\n"), "head between within between within between after"},
		{"an event in two chunks", &chunked{}, chunks(long[:7], long[7:]), "head between within between after"},
		{"an answer that is no stream", &chunked{}, "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno", "head after"},
		{"a message in one frame", &framed{}, frames(m, m), "head between within between within between after"},
		{"two messages in one frame", &framed{}, frames(m + m), "head between within between within between after"},
		{"a message in two frames", &framed{}, frames(m[:3], m[3:]), "head between within between after"},
		{"a message without anything in it", &framed{}, frames(message("")), "head between within between after"},
		{"an error alone", &framed{}, frames()[len(frames())-17:], "head after"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			words := []string{"head", "within", "between", "after"}
			passed := []string{words[tt.tracker.place()]}
			for i := range len(tt.answer) {
				tt.tracker.feed(tt.answer[i])
				if now := words[tt.tracker.place()]; now != passed[len(passed)-1] {
					passed = append(passed, now)
				}
			}
			if got := strings.Join(passed, " "); got != tt.want {
				t.Errorf("passed %s\nwant   %s", got, tt.want)
			}
		})
	}
}
