// SPDX-License-Identifier: Apache-2.0

// Package sse frames and parses Server-Sent Events as the WHATWG HTML standard
// defines them. It is pure: it knows bytes and an io.Reader, no network.
package sse

import (
	"bytes"
	"strconv"
)

// KeepAlive is the comment a server sends so that proxies and readers know the
// connection is alive. It is a string so that nobody can change its bytes.
const KeepAlive = ": keep-alive\n\n"

// AppendEvent appends one event to dst and returns the extended slice. The data
// is the concatenation of the pieces, so that an envelope and a stored payload
// need not be joined in a buffer of their own first; id 0 writes no id line.
//
// It allocates nothing when dst has room. The data should hold no line breaks
// (JSON never needs one); where it does, each line becomes a data line of its
// own and the reader sees \n for every kind of break.
func AppendEvent(dst []byte, id uint64, data ...[]byte) []byte {
	if id != 0 {
		dst = append(dst, "id: "...)
		dst = strconv.AppendUint(dst, id, 10)
		dst = append(dst, '\n')
	}
	dst = append(dst, "data: "...)
	afterCR := false
	for _, piece := range data {
		if bytes.IndexByte(piece, '\n') < 0 && bytes.IndexByte(piece, '\r') < 0 {
			dst = append(dst, piece...)
			afterCR = afterCR && len(piece) == 0
			continue
		}
		dst, afterCR = appendLines(dst, "data: ", piece, afterCR)
	}
	return append(dst, '\n', '\n')
}

// AppendComment appends a comment, which readers ignore except as a sign of
// life. Line breaks in text start a further comment line.
func AppendComment(dst []byte, text string) []byte {
	dst = append(dst, ": "...)
	dst, _ = appendLines(dst, ": ", text, false)
	return append(dst, '\n', '\n')
}

// appendLines copies text and starts a new prefixed line at each CR, LF or
// CRLF. afterCR carries a CRLF that is split over two pieces.
func appendLines[T ~string | ~[]byte](dst []byte, prefix string, text T, afterCR bool) ([]byte, bool) {
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\n' && afterCR:
			afterCR = false
		case c == '\n' || c == '\r':
			dst = append(dst, '\n')
			dst = append(dst, prefix...)
			afterCR = c == '\r'
		default:
			dst = append(dst, c)
			afterCR = false
		}
	}
	return dst, afterCR
}
