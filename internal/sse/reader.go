// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"time"
)

// DefaultMaxEvent bounds an event when Options does not.
const DefaultMaxEvent = 16 << 20

// Event is one dispatched event.
type Event struct {
	// ID is the last event id of the stream at this event: it persists from
	// event to event. HasID tells whether this event itself carried an id line.
	ID    string
	HasID bool
	// Name is the event's type, empty for the default ("message").
	Name string
	// Data belongs to the caller.
	Data []byte
	// Retry is the reconnection time the stream last asked for, 0 if it never did.
	Retry time.Duration
}

// Options tune a Reader. The zero value is ready to use.
type Options struct {
	// MaxEvent bounds the bytes buffered for one event; 0 is DefaultMaxEvent.
	MaxEvent int
	// OnComment is called for every comment line, with its text. The bytes are
	// valid during the call only.
	OnComment func(text []byte)
}

// TooLargeError says that an event exceeded the bound. The stream cannot be
// read further: its framing is lost.
type TooLargeError struct{ Limit int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("server-sent event exceeds %d bytes", e.Limit)
}

// Reader parses a stream of events. It is not safe for concurrent use.
type Reader struct {
	src  io.Reader
	opts Options
	err  error

	buf        []byte // what src gave and nobody has looked at: buf[start:end]
	start, end int
	line       []byte // the beginning of a line whose end has not been read
	skipLF     bool   // the last line ended in CR: an LF that follows belongs to it
	begun      bool   // the first line is behind us, and with it any byte order mark

	data    []byte // each data line is followed by a \n, as the standard has it
	name    string
	idBuf   string
	sawID   bool
	pending bool // fields were read since the last blank line
	lastID  string
	retry   time.Duration
}

// NewReader returns a Reader of src.
func NewReader(src io.Reader, opts Options) *Reader {
	if opts.MaxEvent <= 0 {
		opts.MaxEvent = DefaultMaxEvent
	}
	return &Reader{src: src, opts: opts, buf: make([]byte, 8<<10)}
}

// LastEventID is the id to send in Last-Event-ID. It moves with events that
// carry an id and no data too, which Next does not return.
func (r *Reader) LastEventID() string { return r.lastID }

// Next returns the next event with data. It returns io.EOF at the end of the
// stream, io.ErrUnexpectedEOF when the stream ended inside an event (which is
// discarded, as the standard says), a *TooLargeError, or the reader's error.
// Errors stay.
func (r *Reader) Next() (Event, error) {
	for r.err == nil {
		line, err := r.readLine()
		if err != nil {
			r.err = err
			break
		}
		if len(line) > 0 {
			if r.err = r.field(line); r.err != nil {
				break
			}
			continue
		}
		if ev, ok := r.dispatch(); ok {
			return ev, nil
		}
	}
	return Event{}, r.err
}

// readLine returns the next line without its end. The bytes are valid until
// the next call. A line that ends in CR is returned at once: waiting for the
// byte behind it would hold an event back until the next one comes.
func (r *Reader) readLine() ([]byte, error) {
	r.line = r.line[:0]
	for {
		if r.skipLF && r.start < r.end {
			r.skipLF = false
			if r.buf[r.start] == '\n' {
				r.start++
			}
		}
		if i := lineEnd(r.buf[r.start:r.end]); i >= 0 {
			rest := r.buf[r.start : r.start+i]
			r.skipLF = r.buf[r.start+i] == '\r'
			r.start += i + 1
			if len(r.line)+len(rest)+len(r.data) > r.opts.MaxEvent {
				return nil, &TooLargeError{Limit: r.opts.MaxEvent}
			}
			if len(r.line) > 0 {
				r.line = append(r.line, rest...)
				rest = r.line
			}
			return r.stripBOM(rest), nil
		}
		r.line = append(r.line, r.buf[r.start:r.end]...)
		r.start, r.end = 0, 0
		if len(r.line)+len(r.data) > r.opts.MaxEvent {
			return nil, &TooLargeError{Limit: r.opts.MaxEvent}
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads once from the source. Bytes that come with an error are looked at
// before the error is reported.
func (r *Reader) fill() error {
	for range 100 {
		n, err := r.src.Read(r.buf)
		r.end = n
		if n > 0 {
			return nil
		}
		if err == io.EOF && (r.pending || len(r.line) > 0) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (r *Reader) stripBOM(line []byte) []byte {
	if r.begun {
		return line
	}
	r.begun = true
	return bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
}

func lineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

// field takes one line that is not blank.
func (r *Reader) field(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	if len(name) == 0 && line[0] == ':' {
		if r.opts.OnComment != nil {
			r.opts.OnComment(value)
		}
		return nil
	}
	r.pending = true
	switch string(name) {
	case "data":
		if len(r.data)+len(value)+1 > r.opts.MaxEvent {
			return &TooLargeError{Limit: r.opts.MaxEvent}
		}
		r.data = append(append(r.data, value...), '\n')
	case "event":
		r.name = string(value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			r.idBuf, r.sawID = string(value), true
		}
	case "retry":
		if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
			r.retry = time.Duration(ms) * time.Millisecond
		}
	}
	return nil
}

// dispatch ends an event at its blank line. Without a data line there is none,
// but its id counts.
func (r *Reader) dispatch() (Event, bool) {
	if r.sawID {
		r.lastID = r.idBuf
	}
	ev := Event{ID: r.lastID, HasID: r.sawID, Name: r.name, Retry: r.retry}
	ok := len(r.data) > 0
	if ok {
		ev.Data = bytes.Clone(r.data[:len(r.data)-1])
	}
	// A huge event must not pin its buffer for the life of a long stream.
	if cap(r.data) > 1<<20 {
		r.data = nil
	}
	if cap(r.line) > 1<<20 {
		r.line = nil
	}
	r.data, r.name, r.sawID, r.pending = r.data[:0], "", false, false
	return ev, ok
}
