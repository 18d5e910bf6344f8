// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// text collects one piece of text output, which is written at once: a reader
// of the pipe sees whole fields and whole blocks.
type text struct {
	buf     bytes.Buffer
	verbose bool
	// history shows a task's messages too: what a user sent is no news to them.
	history bool
}

func (r *run) text() *text {
	return &text{verbose: r.global.verbose, history: r.global.verbose || r.wantHistory}
}

func (r *run) write(t *text) error {
	if _, err := r.out.Write(t.buf.Bytes()); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	t.buf.Reset()
	return nil
}

// writeJSON writes an agent's JSON: as it came, or on one line for a stream.
func (r *run) writeJSON(raw json.RawMessage) error {
	raw = bytes.TrimSpace(raw) // white space around the document is no part of it
	var b bytes.Buffer
	if !r.global.stream {
		b.Write(raw)
	} else if err := json.Compact(&b, raw); err != nil {
		return fmt.Errorf("put the event on one line: %w", err)
	}
	b.WriteByte('\n')
	if _, err := r.out.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// field writes "Label: value".
func (t *text) field(label, value string) {
	t.buf.WriteString(label)
	t.buf.WriteString(": ")
	t.buf.WriteString(strings.ReplaceAll(clean(value), "\n", `\n`))
	t.buf.WriteByte('\n')
}

// optional is a field that is left out when it is empty.
func (t *text) optional(label, value string) {
	if value != "" {
		t.field(label, value)
	}
}

// block writes content that one line cannot hold.
func (t *text) block(label, content string) {
	t.buf.WriteString(label)
	t.buf.WriteString(":\n")
	t.buf.WriteString(strings.TrimRight(clean(content), "\n"))
	t.buf.WriteString("\n\n")
}

// content is a field where one line is enough and a block otherwise.
func (t *text) content(label, value string) {
	value = strings.TrimSuffix(value, "\n")
	if strings.ContainsAny(value, "\n\r") {
		t.block(label, value)
		return
	}
	t.field(label, value)
}

func (t *text) gap() { t.buf.WriteByte('\n') }

// clean makes control characters visible. An agent's text must not steer the
// terminal, nor turn the reading direction of what stands beside it.
func clean(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, c := range strings.ReplaceAll(s, "\r\n", "\n") {
		switch {
		case !hidden(c):
			b.WriteRune(c)
		case c < 0x100:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}

func hidden(c rune) bool {
	if c == '\n' || c == '\t' {
		return false
	}
	return unicode.IsControl(c) || c >= 0x202A && c <= 0x202E || c >= 0x2066 && c <= 0x2069
}

func quote(s string) string { return fmt.Sprintf("%q", s) }
