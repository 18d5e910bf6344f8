// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// rawFrame is one server-sent event; without data it is a keep-alive.
type rawFrame struct {
	id   string
	data []byte
}

// frameReader reads server-sent events. A frame counts only with the blank
// line after it: what a cut left of one is nothing.
type frameReader struct{ r *bufio.Reader }

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// next returns io.EOF at a clean end and io.ErrUnexpectedEOF within a frame.
func (f *frameReader) next() (rawFrame, error) {
	var frame rawFrame
	begun := false
	for {
		line, err := f.r.ReadBytes('\n')
		if errors.Is(err, io.EOF) && (begun || len(line) > 0) {
			return rawFrame{}, io.ErrUnexpectedEOF
		}
		if err != nil {
			return rawFrame{}, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			if begun {
				return frame, nil
			}
			continue
		}
		begun = true
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "id":
			frame.id = string(value)
		case "data":
			if frame.data != nil {
				frame.data = append(frame.data, '\n')
			}
			frame.data = append(frame.data, value...)
		}
	}
}
