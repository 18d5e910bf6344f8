// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// flaw is what is wrong with a field. It travels up to the request and gets the
// path to the field on its way.
type flaw struct{ path, text string }

func (f *flaw) under(name string) *flaw {
	switch {
	case f.path == "":
		f.path = name
	case f.path[0] == '[':
		f.path = name + f.path
	default:
		f.path = name + "." + f.path
	}
	return f
}

func (f *flaw) invalid() error {
	return task.Invalid(a2a.ErrInvalidParams, f.path, "%s", f.text)
}

// decoder reads JSON that Validate has accepted; on any other it would read
// nonsense, though never outside its bytes. It goes through the text once and
// straight into the protocol's types: encoding/json would read the parts of a
// message several times over, since the SDK's types nest their own decoders,
// and would let a key in other case win over the real one.
type decoder struct {
	b []byte
	i int
}

// peek returns the first byte of the next value, which tells its type.
func (d *decoder) peek() byte {
	for d.i < len(d.b) {
		switch d.b[d.i] {
		case ' ', '\t', '\n', '\r', ',', ':':
			d.i++
		default:
			return d.b[d.i]
		}
	}
	return 0
}

// end passes over a closing bracket, if that is next.
func (d *decoder) end(bracket byte) bool {
	if ch := d.peek(); ch == bracket || ch == 0 {
		d.i = min(d.i+1, len(d.b))
		return true
	}
	return false
}

// token returns the contents of the string that is next and whether they hold
// escapes.
func (d *decoder) token() (raw []byte, escaped bool) {
	d.peek()
	start := min(d.i+1, len(d.b))
	for d.i = start; ; {
		n := bytes.IndexByte(d.b[d.i:], '"')
		if n < 0 {
			d.i = len(d.b)
			return d.b[start:], escaped
		}
		end := d.i + n
		d.i = end + 1
		slashes := 0
		for end-slashes > start && d.b[end-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 { // else the quote is part of the string
			raw = d.b[start:end]
			return raw, bytes.IndexByte(raw, '\\') >= 0
		}
	}
}

// raw returns the next value as it is written.
func (d *decoder) raw() []byte {
	open := d.peek()
	start := d.i
	switch open {
	case '"':
		d.token()
	case '{', '[':
		for depth := 0; d.i < len(d.b); {
			switch d.b[d.i] {
			case '"':
				d.token()
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			d.i++
			if depth == 0 {
				break
			}
		}
	default:
		for d.i < len(d.b) && strings.IndexByte(",]} \t\r\n", d.b[d.i]) < 0 {
			d.i++
		}
	}
	return d.b[start:d.i]
}

// object calls set for each member that is known under its JSON name or its
// proto name (ProtoJSON accepts both), in the text's order and only in exact
// spelling. Others are passed over (5.7). null is as good as absent, but for
// the field named nullable.
func (d *decoder) object(known []string, nullable string, set func(name string) *flaw) *flaw {
	if d.peek() != '{' {
		return &flaw{"", "must be an object"}
	}
	d.i++
	var seen uint64
	for !d.end('}') {
		key, escaped := d.token()
		if escaped {
			key = appendUnescaped(nil, key)
		}
		n := indexOf(known, key)
		if n < 0 {
			d.raw()
			continue
		}
		name := known[n]
		if seen&(1<<n) != 0 {
			return &flaw{name, "stands there twice, under both of its names"}
		}
		seen |= 1 << n
		if d.peek() == 'n' && name != nullable {
			d.raw()
			continue
		}
		if f := set(name); f != nil {
			return f.under(name)
		}
	}
	return nil
}

func indexOf(known []string, key []byte) int {
	for n, name := range known {
		if string(key) == name || isSnake(key, name) {
			return n
		}
	}
	return -1
}

// isSnake tells whether key is the proto spelling of a name: context_id of
// contextId.
func isSnake(key []byte, name string) bool {
	if len(key) <= len(name) {
		return false // each capital costs an underscore more; without any they were equal
	}
	k := 0
	for n := range len(name) {
		ch := name[n]
		if ch >= 'A' && ch <= 'Z' {
			if k >= len(key) || key[k] != '_' {
				return false
			}
			k++
			ch += 'a' - 'A'
		}
		if k >= len(key) || key[k] != ch {
			return false
		}
		k++
	}
	return k == len(key)
}

func (d *decoder) array(add func() *flaw) *flaw {
	if d.peek() != '[' {
		return &flaw{"", "must be an array"}
	}
	d.i++
	for n := 0; !d.end(']'); n++ {
		if f := add(); f != nil {
			return f.under("[" + strconv.Itoa(n) + "]")
		}
	}
	return nil
}

func text[T ~string](d *decoder, dst *T) *flaw {
	if d.peek() != '"' {
		return &flaw{"", "must be a string"}
	}
	raw, escaped := d.token()
	if escaped {
		raw = appendUnescaped(make([]byte, 0, len(raw)), raw)
	}
	*dst = T(raw)
	return nil
}

func texts[T ~string](d *decoder, dst *[]T) *flaw {
	return d.array(func() *flaw {
		var s T
		f := text(d, &s)
		*dst = append(*dst, s)
		return f
	})
}

func (d *decoder) boolean(dst *bool) *flaw {
	switch string(d.raw()) {
	case "true":
		*dst = true
	case "false":
		*dst = false
	default:
		return &flaw{"", "must be true or false"}
	}
	return nil
}

// integer reads an int32, as all of A2A's numbers are. 5.0 and 5e0 are five.
func (d *decoder) integer(dst *int) *flaw {
	raw := string(d.raw())
	n, err := strconv.ParseInt(raw, 10, 32)
	if err != nil {
		x, err := strconv.ParseFloat(raw, 64)
		if err != nil || x != math.Trunc(x) || math.Abs(x) > math.MaxInt32 || !isNumber(raw) {
			return &flaw{"", notInt32}
		}
		n = int64(x)
	}
	*dst = int(n)
	return nil
}

const notInt32 = "must be an integer of 32 bits"

// isNumber keeps out what ParseFloat takes beside JSON's numbers: NaN, Inf.
func isNumber(raw string) bool { return raw != "" && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') }

func (d *decoder) struc(dst *map[string]any) *flaw {
	if d.peek() != '{' {
		return &flaw{"", "must be an object"}
	}
	return decodeAny(d, dst)
}

// decodeAny reads what has no schema. Only a number out of a double's range can
// be wrong with it.
func decodeAny[T any](d *decoder, dst *T) *flaw {
	if err := json.Unmarshal(d.raw(), dst); err != nil {
		return &flaw{"", "holds a number that is out of range"}
	}
	return nil
}

// base64 reads bytes in either alphabet, with or without padding, as ProtoJSON
// has it.
func (d *decoder) base64(dst *[]byte) *flaw {
	var s string
	if f := text(d, &s); f != nil {
		return f
	}
	enc := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		enc = base64.RawURLEncoding
	}
	b, err := enc.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return &flaw{"", "must be base64"}
	}
	*dst = b
	return nil
}

func (d *decoder) time(dst **time.Time) *flaw {
	var s string
	if f := text(d, &s); f != nil {
		return f
	}
	return parseTime(s, dst)
}

// parseTime reads RFC 3339. The specification wants Z, but its own clients send
// offsets, which say no less.
func parseTime(s string, dst **time.Time) *flaw {
	var t time.Time
	if err := t.UnmarshalText([]byte(s)); err != nil {
		return &flaw{"", "must be a time like 2026-01-02T15:04:05.000Z"}
	}
	t = t.UTC()
	*dst = &t
	return nil
}

// appendUnescaped appends the contents of a valid JSON string without its
// escapes.
func appendUnescaped(dst, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 >= len(raw) {
			dst = append(dst, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(raw[i+1:])
			i += 4
			if utf16.IsSurrogate(r) && i+2 < len(raw) {
				low, _ := hex4(raw[i+3:])
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, raw[i])
		}
	}
	return dst
}

// Members calls visit for each of the named members of a validated JSON object,
// with its value as it is written. It reports whether b is an object.
func Members(b []byte, names []string, visit func(name string, value []byte)) bool {
	d := decoder{b: b}
	if d.peek() != '{' {
		return false
	}
	d.i++
	for !d.end('}') {
		key, escaped := d.token()
		if escaped {
			key = appendUnescaped(nil, key)
		}
		value := d.raw()
		for _, name := range names {
			if string(key) == name {
				visit(name, value)
				break
			}
		}
	}
	return true
}

// Text reads a value of validated JSON as a string, if it is one.
func Text(value []byte) (s string, ok bool) {
	return s, text(&decoder{b: value}, &s) == nil
}
