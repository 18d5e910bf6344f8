// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// MaxDepth bounds how deep JSON may nest, as protobuf's own parsers do.
const MaxDepth = 100

// Validate reads JSON strictly, and its refusal is a parse error that names the
// byte. Beyond the grammar it refuses what two readers could understand in two
// ways: an object that names a key twice, bytes after the value, text that is
// not Unicode. What it accepts, encoding/json reads with the same meaning.
//
// It is one pass without a tree. Everything behind it may rely on it, so that
// a reader of validated JSON needs no error paths of its own for syntax.
func Validate(b []byte) error {
	var few [32]span // most requests need no more keys at once, and no heap
	c := checker{b: b, keys: few[:0]}
	c.space()
	problem := c.value()
	if problem == "" {
		c.space()
		if c.i == len(b) {
			return nil
		}
		problem = "more follows after the end of the JSON value"
	}
	if c.i >= len(b) {
		problem += " (the text ends there)"
	}
	return task.Errorf(a2a.ErrParseError, "invalid JSON at byte %d: %s", min(c.i, len(b)), problem)
}

// span is a key: a piece of the text, or of the unescaped keys beside it.
type span struct {
	start, end int
	unescaped  bool
}

type checker struct {
	b     []byte
	i     int
	depth int
	// keys is a stack of the keys of all objects that are open.
	keys []span
	// side holds the keys that had escapes, without them.
	side []byte
}

func (c *checker) space() {
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return
		}
	}
}

func (c *checker) at(ch byte) bool {
	if c.i < len(c.b) && c.b[c.i] == ch {
		c.i++
		return true
	}
	return false
}

// value returns what is wrong, or nothing.
func (c *checker) value() string {
	if c.i >= len(c.b) {
		return "a value is missing"
	}
	switch ch := c.b[c.i]; ch {
	case '{':
		return c.object()
	case '[':
		return c.array()
	case '"':
		_, problem := c.text()
		return problem
	case 't':
		return c.word("true")
	case 'f':
		return c.word("false")
	case 'n':
		return c.word("null")
	default:
		return c.number()
	}
}

func (c *checker) word(w string) string {
	if !bytes.HasPrefix(c.b[c.i:], []byte(w)) {
		return "expected " + w
	}
	c.i += len(w)
	return ""
}

func (c *checker) enter() string {
	c.i++
	c.depth++
	if c.depth > MaxDepth {
		return "nested deeper than " + strconv.Itoa(MaxDepth) + " levels"
	}
	return ""
}

func (c *checker) array() string {
	if problem := c.enter(); problem != "" {
		return problem
	}
	c.space()
	for first := true; !c.at(']'); first = false {
		if !first {
			if !c.at(',') {
				return "expected , or ] in an array"
			}
			c.space()
		}
		if problem := c.value(); problem != "" {
			return problem
		}
		c.space()
	}
	c.depth--
	return ""
}

func (c *checker) object() string {
	if problem := c.enter(); problem != "" {
		return problem
	}
	base, side := len(c.keys), len(c.side)
	c.space()
	for first := true; !c.at('}'); first = false {
		if !first {
			if !c.at(',') {
				return "expected , or } in an object"
			}
			c.space()
		}
		if problem := c.member(base); problem != "" {
			return problem
		}
		c.space()
	}
	if problem := c.distinct(base); problem != "" {
		return problem
	}
	c.keys, c.side = c.keys[:base], c.side[:side]
	c.depth--
	return ""
}

func (c *checker) member(base int) string {
	if c.i >= len(c.b) || c.b[c.i] != '"' {
		return "expected a key in an object"
	}
	key, problem := c.key()
	if problem != "" {
		return problem
	}
	if problem := c.once(base, key); problem != "" {
		return problem
	}
	c.keys = append(c.keys, key)
	c.space()
	if !c.at(':') {
		return "expected : after a key"
	}
	c.space()
	return c.value()
}

func (c *checker) key() (span, string) {
	start := c.i + 1
	escaped, problem := c.text()
	if problem != "" || !escaped {
		return span{start, c.i - 1, false}, problem
	}
	from := len(c.side)
	c.side = appendUnescaped(c.side, c.b[start:c.i-1])
	return span{from, len(c.side), true}, ""
}

func (c *checker) bytes(s span) []byte {
	if s.unescaped {
		return c.side[s.start:s.end]
	}
	return c.b[s.start:s.end]
}

// fewKeys is up to where comparing each pair is cheaper than sorting. Above it
// the keys of an object are sorted at its end: no body makes this quadratic.
const fewKeys = 16

func (c *checker) once(base int, key span) string {
	if len(c.keys)-base >= fewKeys {
		return ""
	}
	k := c.bytes(key)
	for _, other := range c.keys[base:] {
		if bytes.Equal(c.bytes(other), k) {
			return twice(k)
		}
	}
	return ""
}

func (c *checker) distinct(base int) string {
	if len(c.keys)-base <= fewKeys {
		return ""
	}
	keys := make([][]byte, 0, len(c.keys)-base)
	for _, k := range c.keys[base:] {
		keys = append(keys, c.bytes(k))
	}
	slices.SortFunc(keys, bytes.Compare)
	for i := 1; i < len(keys); i++ {
		if bytes.Equal(keys[i-1], keys[i]) {
			return twice(keys[i])
		}
	}
	return ""
}

func twice(key []byte) string {
	return "the key " + Quote(string(key)) + " stands twice in an object"
}

// Quote shows a caller a piece of what it sent: printable and short.
func Quote(s string) string {
	const most = 64
	if len(s) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		return strconv.Quote(s[:cut]) + "…"
	}
	return strconv.Quote(s)
}

// text passes over a string and tells whether it has escapes.
func (c *checker) text() (escaped bool, problem string) {
	c.i++
	start, ascii := c.i, true
	for {
		i := c.i
		for i < len(c.b) && c.b[i] >= 0x20 && c.b[i] != '"' && c.b[i] != '\\' && c.b[i] < utf8.RuneSelf {
			i++
		}
		c.i = i
		if i == len(c.b) {
			return escaped, "a string has no end"
		}
		switch ch := c.b[i]; {
		case ch == '"':
			if !ascii && !utf8.Valid(c.b[start:i]) {
				return escaped, "a string is not valid UTF-8"
			}
			c.i++
			return escaped, ""
		case ch == '\\':
			escaped = true
			if problem := c.escape(); problem != "" {
				return escaped, problem
			}
		case ch < 0x20:
			return escaped, "a control character stands bare in a string"
		default:
			ascii = false
			c.i++
		}
	}
}

func (c *checker) escape() string {
	c.i++
	if c.i >= len(c.b) {
		return "a string has no end"
	}
	switch c.b[c.i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		c.i++
		return ""
	case 'u':
		r, ok := hex4(c.b[c.i+1:])
		switch {
		case !ok:
			return "\\u needs four hexadecimal digits"
		case r < surrogate1 || r >= surrogateEnd:
			c.i += 5
			return ""
		}
		// Half of a character: encoding/json would put another in its place.
		rest := c.b[c.i+5:]
		if r < surrogate2 && len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
			if low, ok := hex4(rest[2:]); ok && low >= surrogate2 && low < surrogateEnd {
				c.i += 11
				return ""
			}
		}
		return "half of a surrogate pair stands alone"
	}
	return "no such escape in a string"
}

const (
	surrogate1   = 0xD800 // first halves begin
	surrogate2   = 0xDC00 // second halves begin
	surrogateEnd = 0xE000
)

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, ch := range b[:4] {
		switch {
		case ch >= '0' && ch <= '9':
			r = r<<4 | rune(ch-'0')
		case ch|0x20 >= 'a' && ch|0x20 <= 'f':
			r = r<<4 | rune(ch|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

func (c *checker) number() string {
	c.at('-')
	switch {
	case c.at('0'):
	case c.digits():
	default:
		return "expected a value"
	}
	if c.at('.') && !c.digits() {
		return "a number needs digits after its point"
	}
	if c.at('e') || c.at('E') {
		if !c.at('+') {
			c.at('-')
		}
		if !c.digits() {
			return "a number needs digits in its exponent"
		}
	}
	return ""
}

func (c *checker) digits() bool {
	start := c.i
	for c.i < len(c.b) && c.b[c.i] >= '0' && c.b[c.i] <= '9' {
		c.i++
	}
	return c.i > start
}
