// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// timeLayout is UTC with milliseconds, as the specification asks (5.6.1).
const timeLayout = "2006-01-02T15:04:05.000Z"

// AppendTime appends a timestamp in quotes.
func AppendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, timeLayout)
	return append(dst, '"')
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD; U+2028 and U+2029 are escaped because JavaScript once choked on them.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := plainPrefix(s); i < len(s); {
		b := s[i]
		if b >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
				dst = append(dst, s[start:i]...)
				dst = appendRune(dst, r)
				start = i + n
			}
			i += n
			continue
		}
		if b >= 0x20 && b != '"' && b != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, b)
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// plainPrefix is the length, in steps of eight, of a beginning of s that can be
// copied as it is: ids and most of English are nothing else.
func plainPrefix(s string) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		// The high bit of a byte that is below a space, a quote, a backslash or
		// not ASCII; a borrow reaches only what lies above such a byte.
		if (w|(w-each*' ')|((w^each*'"')-each)|((w^each*'\\')-each))&high != 0 {
			break
		}
	}
	return i
}

func appendRune(dst []byte, r rune) []byte {
	switch r {
	case '\u2028':
		return append(dst, `\u2028`...)
	case '\u2029':
		return append(dst, `\u2029`...)
	}
	return append(dst, "\ufffd"...)
}

func appendEscape(dst []byte, b byte) []byte {
	switch b {
	case '"', '\\':
		return append(dst, '\\', b)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&0xf])
}

// mend gives s as AppendString writes it: the fold in memory has to be the one
// that is made from the log.
func mend(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// appendAny appends a value of metadata or of a data part. What encoding/json
// refuses (a channel, a cycle, NaN) is an error, so that it can be told to
// whoever made it.
func appendAny(dst []byte, v any) ([]byte, error) { return appendNested(dst, v, maxNested) }

// maxNested is how deep values are written here: encoding/json, which gets
// what lies deeper, finds out whether it is a cycle.
const maxNested = 32

func appendNested(dst []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return AppendString(dst, v), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.AppendInt(dst, int64(v), 10), nil
		}
	case map[string]any:
		if v != nil && depth > 0 {
			return appendObject(dst, v, depth-1)
		}
	case []any:
		if v != nil && depth > 0 {
			return appendArray(dst, v, depth-1)
		}
	}
	return appendMarshaled(dst, v)
}

func appendObject(dst []byte, object map[string]any, depth int) ([]byte, error) {
	dst = append(dst, '{')
	var room [4]string
	for _, k := range appendKeys(room[:0], object) {
		var err error
		if dst, err = appendKey(dst, k); err != nil {
			return dst, err
		}
		if dst, err = appendNested(dst, object[k], depth); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func appendArray(dst []byte, list []any, depth int) ([]byte, error) {
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendNested(dst, v, depth); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// appendMarshaled appends what encoding/json makes of a value. It does not look
// into what a value encodes itself (json.RawMessage is one): not UTF-8, and
// neither a browser nor gRPC could read it.
func appendMarshaled(dst []byte, v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return dst, fmt.Errorf("value of type %T: %w", v, err)
	}
	if !utf8.Valid(buf.Bytes()) {
		return dst, fmt.Errorf("value of type %T: not UTF-8", v)
	}
	return append(dst, bytes.TrimRight(buf.Bytes(), "\n")...), nil
}

// appendKeys appends the keys of an object in the order they are written in.
func appendKeys[V any](dst []string, object map[string]V) []string {
	for k := range object {
		dst = append(dst, k)
	}
	slices.Sort(dst)
	return dst
}

// appendKey appends the separator and a key. Two keys that are not UTF-8 could
// become the same one.
func appendKey(dst []byte, k string) ([]byte, error) {
	if !utf8.ValidString(k) {
		return dst, fmt.Errorf("key %q: not UTF-8", k)
	}
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(AppendString(dst, k), ':'), nil
}

func appendBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// field appends the separator and the name of the next field of an object that
// was opened with '{'.
func field(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

func stringField(dst []byte, name, v string) []byte {
	if v == "" {
		return dst
	}
	return AppendString(field(dst, name), v)
}

func stringsField[S ~string](dst []byte, name string, list []S) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(field(dst, name), '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, string(s))
	}
	return append(dst, ']')
}

func metaField(dst []byte, name string, meta map[string]any) ([]byte, error) {
	if len(meta) == 0 {
		return dst, nil
	}
	dst, err := appendObject(field(dst, name), meta, maxNested)
	if err != nil {
		return dst, fmt.Errorf("%s: %w", name, err)
	}
	return dst, nil
}

// AppendPart appends one part.
func AppendPart(dst []byte, p *a2a.Part) ([]byte, error) {
	if p == nil || p.Content == nil {
		return dst, fmt.Errorf("a part without content")
	}
	dst = append(dst, '{')
	var err error
	switch c := p.Content.(type) {
	case a2a.Text:
		dst = AppendString(field(dst, "text"), string(c))
	case a2a.Raw:
		dst = appendBase64(field(dst, "raw"), c)
	case a2a.URL:
		if c == "" { // the SDK's clients refuse to read it
			return dst, fmt.Errorf("a part with an empty url")
		}
		dst = AppendString(field(dst, "url"), string(c))
	case a2a.Data:
		dst = field(dst, "data")
		from := len(dst)
		if dst, err = appendAny(dst, c.Value); err != nil {
			return dst, fmt.Errorf("data: %w", err)
		}
		if string(dst[from:]) == "null" { // the SDK's clients refuse to read it
			return dst, fmt.Errorf("a part with null for data")
		}
	default:
		return dst, fmt.Errorf("unknown content %T", c)
	}
	dst = stringField(dst, "filename", p.Filename)
	dst = stringField(dst, "mediaType", p.MediaType)
	if dst, err = metaField(dst, "metadata", p.Metadata); err != nil {
		return dst, err
	}
	return append(dst, '}'), nil
}

// AppendMessage appends a message.
func AppendMessage(dst []byte, m *a2a.Message) ([]byte, error) {
	if m == nil {
		return dst, fmt.Errorf("a nil message")
	}
	return appendMessage(dst, m, m.Metadata, nil)
}

func appendMessage(dst []byte, m *a2a.Message, meta map[string]any, stamp *Stamp) ([]byte, error) {
	dst = append(dst, '{')
	dst = AppendString(field(dst, "messageId"), m.ID)
	dst = stringField(dst, "contextId", m.ContextID)
	dst = stringField(dst, "taskId", string(m.TaskID))
	dst = AppendString(field(dst, "role"), m.Role.String())
	dst = append(field(dst, "parts"), '[')
	for i, p := range m.Parts {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = AppendPart(dst, p); err != nil {
			return dst, fmt.Errorf("parts[%d]: %w", i, err)
		}
	}
	dst = append(dst, ']')
	dst = stringsField(dst, "extensions", m.Extensions)
	dst = stringsField(dst, "referenceTaskIds", m.ReferenceTasks)
	var err error
	if dst, err = metaField(dst, "metadata", meta); err != nil {
		return dst, err
	}
	if stamp != nil {
		dst = stampField(dst, len(meta) > 0, *stamp)
	}
	return append(dst, '}'), nil
}

// stampField adds the stamp to the metadata object just written, or makes one.
func stampField(dst []byte, has bool, st Stamp) []byte {
	if has {
		dst = append(dst[:len(dst)-1], ',')
	} else {
		dst = append(field(dst, "metadata"), '{')
	}
	return append(appendStamp(dst, st), '}')
}
