// SPDX-License-Identifier: Apache-2.0

package stream

import "strings"

// Place is where in an answer a cut falls.
type Place int

// The places.
const (
	// Head is before the first byte of the body.
	Head Place = iota
	// Within is inside of an event.
	Within
	// Between is after an event and before the next.
	Between
	// After is behind the last event, where only the end of the answer is left.
	After
	places
)

func (p Place) String() string {
	return [...]string{"in the head", "within an event", "between events", "after the last event"}[p]
}

// tracker follows an answer byte by byte and knows the place.
type tracker interface {
	feed(b byte)
	place() Place
}

// chunked follows an answer of HTTP/1.1 with server-sent events.
type chunked struct {
	head  []byte
	state chunkState
	size  int // of the chunk: what is left of it
	line  int // how many digits the size has so far
	body  int // bytes of the body so far
	two   [2]byte
}

type chunkState int

const (
	inHead chunkState = iota
	inSize
	inData
	inGap // the line break behind a chunk
	atEnd // the last chunk has come, or there are none
)

func (c *chunked) place() Place {
	switch {
	case c.state == inHead:
		return Head
	case c.state == atEnd:
		return After
	case c.body == 0 || c.two == [2]byte{'\n', '\n'}:
		return Between
	}
	return Within
}

func (c *chunked) feed(b byte) {
	switch c.state {
	case inHead:
		c.head = append(c.head, b)
		if n := len(c.head); b == '\n' && n > 3 && string(c.head[n-4:]) == "\r\n\r\n" {
			c.state = atEnd
			if strings.Contains(strings.ToLower(string(c.head)), "transfer-encoding: chunked") {
				c.state = inSize
			}
			c.head = nil
		}
	case inSize:
		c.feedSize(b)
	case inData:
		c.two = [2]byte{c.two[1], b}
		c.body++
		if c.size--; c.size == 0 {
			c.state = inGap
		}
	case inGap:
		if b == '\n' {
			c.state = inSize
		}
	}
}

func (c *chunked) feedSize(b byte) {
	digit := strings.IndexByte("0123456789abcdef", b|0x20)
	switch {
	case digit >= 0:
		c.size = c.size<<4 + digit
		c.line++
	case b == '\n' && c.line > 0:
		if c.state = inData; c.size == 0 {
			c.state = atEnd
		}
		c.line = 0
	}
}

// framed follows an answer of gRPC over HTTP/2, which is the only one of its
// connection.
type framed struct {
	header  [9]byte
	have    int // bytes of the header
	left    int // bytes of the payload that are still to come
	begun   bool
	ended   bool
	prefix  int // bytes of the message's prefix
	message int // bytes of the message that are still to come
}

// What there is to know of HTTP/2 here.
const (
	frameData      = 0
	frameHeaders   = 1
	flagEndStream  = 1
	messagePrefix  = 5
	frameHeaderLen = 9
)

func (f *framed) place() Place {
	switch {
	case f.ended:
		return After
	case !f.begun:
		return Head
	case f.prefix > 0:
		return Within
	}
	return Between
}

func (f *framed) feed(b byte) {
	if f.have < frameHeaderLen {
		f.header[f.have] = b
		if f.have++; f.have == frameHeaderLen {
			f.left = int(f.header[0])<<16 | int(f.header[1])<<8 | int(f.header[2])
			f.finish()
		}
		return
	}
	if f.header[3] == frameData {
		f.feedMessage(b)
	}
	f.left--
	f.finish()
}

// finish looks whether a frame is complete.
func (f *framed) finish() {
	if f.left > 0 {
		return
	}
	f.have = 0
	if f.header[3] == frameHeaders {
		f.ended = f.header[4]&flagEndStream != 0
		f.begun = true
	}
}

func (f *framed) feedMessage(b byte) {
	switch {
	case f.prefix < messagePrefix:
		if f.prefix > 0 { // the first byte is a flag, then comes the length
			f.message = f.message<<8 | int(b)
		}
		f.prefix++
	default:
		f.message--
	}
	if f.prefix == messagePrefix && f.message == 0 {
		f.prefix = 0
	}
}
