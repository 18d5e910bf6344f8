// SPDX-License-Identifier: Apache-2.0

package binding_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/binding"
)

func many(n int, key func(int) string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%d", key(i), i)
	}
	return "{" + b.String() + "}"
}

func TestStrictJSONAccepts(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`{}`, `[]`, `null`, `true`, `false`, `0`, `-0`, `1.5e-3`, `1E+9`, `""`, ` {"a" : [ 1 , {"a":2} ] } `, "\t[\r\n]",
		`"\"\\\/\b\f\n\r\tAé"`, `"😀"`, `"aé😀"`, `{"a":1,"A":2,"":3}`, "\"\u007f\"",
		strings.Repeat("[", binding.MaxDepth) + strings.Repeat("]", binding.MaxDepth),
		many(1000, func(i int) string { return fmt.Sprint("k", i) }),
	} {
		if err := binding.Validate([]byte(in)); err != nil {
			t.Errorf("Validate(%.60q) refused: %v", in, err)
		}
	}
}

func TestStrictJSONRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{``, "a value is missing"},
		{`{this is not valid json`, "expected a key"},
		{`{"a":1}x`, "more follows"},
		{`{"a":1}{"a":1}`, "more follows"},
		{`{"a":1,"a":2}`, `the key "a" stands twice`},
		{`{"a":1,"b":2,"\u0061":3}`, `the key "a" stands twice`},
		{`{"\u0061":1,"\u0062":2,"b":3}`, `the key "b" stands twice`},
		{`[{"x":{"y":[{"a":1,"a":2}]}}]`, `the key "a" stands twice`},
		{`{"o":{"a":1},"a":1,"b":{"a":1},"a":2}`, `the key "a" stands twice`},
		{many(fewKeysAndMore, func(i int) string { return fmt.Sprint("k", i%(fewKeysAndMore-1)) }), `the key "k0" stands twice`},
		{many(1000, func(i int) string { return fmt.Sprint("k", i%999) }), `the key "k0" stands twice`},
		{`{"a":1,}`, "expected a key"},
		{`{"a" 1}`, "expected :"},
		{`{"a":1 "b":2}`, "expected , or }"},
		{`{a:1}`, "expected a key"},
		{`[1,]`, "expected a value"},
		{`[1 2]`, "expected , or ]"},
		{`[1`, "expected , or ]"},
		{`{"a"`, "expected :"},
		{`{"a":`, "a value is missing"},
		{"\"a\xffb\"", "not valid UTF-8"},
		{"{\"a\xff\":1}", "not valid UTF-8"},
		{"\"\xed\xa0\x80\"", "not valid UTF-8"},
		{"\xef\xbb\xbf{}", "expected a value"},
		{`"\ud800"`, "surrogate"},
		{`"\ud800A"`, "surrogate"},
		{`"\ude00"`, "surrogate"},
		{`"\ud83dx"`, "surrogate"},
		{`"\ud83d\u0041"`, "surrogate"},
		{`"\ud83d\ud83d"`, "surrogate"},
		{`"\ud83d\u"`, "surrogate"},
		{`"\x"`, "no such escape"},
		{`"\u00g0"`, "hexadecimal"},
		{`"\u00`, "hexadecimal"},
		{`"\`, "no end"},
		{`"abc`, "no end"},
		{"\"a\nb\"", "control character"},
		{"\"a\x00b\"", "control character"},
		{`01`, "more follows"},
		{`1.`, "digits after its point"},
		{`1e`, "exponent"},
		{`-`, "expected a value"},
		{`+1`, "expected a value"},
		{`.5`, "expected a value"},
		{`NaN`, "expected a value"},
		{`nul`, "expected null"},
		{`True`, "expected a value"},
		{"/* */{}", "expected a value"},
		{strings.Repeat("[", binding.MaxDepth+1) + strings.Repeat("]", binding.MaxDepth+1), "deeper than 100"},
		{strings.Repeat(`{"a":`, 100000), "deeper than 100"},
	} {
		err := binding.Validate([]byte(tt.in))
		if !errors.Is(err, a2a.ErrParseError) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Validate(%.60q) = %v, want a parse error with %q", tt.in, err, tt.want)
		}
	}
}

// fewKeysAndMore is one more than where comparing gives way to sorting.
const fewKeysAndMore = 17

func TestAParseErrorNamesTheByte(t *testing.T) {
	t.Parallel()
	err := binding.Validate([]byte(`{"a": tru}`))
	if want := "invalid JSON at byte 6: expected true"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestKeysOfAHugeObjectAreComparedInTime(t *testing.T) {
	t.Parallel()
	// 200,000 keys, each against each, would be 20,000,000,000 comparisons.
	if err := binding.Validate([]byte(many(200_000, func(i int) string { return fmt.Sprint(i) }))); err != nil {
		t.Error(err)
	}
}

// What Validate accepts is JSON, without a key twice, with the same strings.
func FuzzValidate(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":[true,null,"xA"],"a":2}`, `{"a":{"a":1},"A":-1.5e9}`, `"😀"`, `[[[{}]]]`, "\"\xff\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if binding.Validate(in) != nil {
			return
		}
		if !json.Valid(in) {
			t.Fatalf("accepted %q, which is not JSON", in)
		}
		if !utf8.Valid(in) {
			t.Fatalf("accepted %q, which is not UTF-8", in)
		}
		if key, twice := hasTwice(in); twice {
			t.Fatalf("accepted %q, which has %q twice", in, key)
		}
	})
}

// hasTwice looks for a key that an object has twice, by encoding/json's tokens.
func hasTwice(in []byte) (string, bool) {
	dec := json.NewDecoder(bytes.NewReader(in))
	dec.UseNumber()
	type level struct {
		keys  map[string]bool
		value bool // an object: a value is next, not a key
	}
	var open []level
	done := func() {
		if len(open) > 0 {
			open[len(open)-1].value = false
		}
	}
	for {
		tok, err := dec.Token()
		if err == io.EOF || err != nil {
			return "", false
		}
		top := len(open) - 1
		if key, ok := tok.(string); ok && top >= 0 && open[top].keys != nil && !open[top].value {
			if open[top].keys[key] {
				return key, true
			}
			open[top].keys[key] = true
			open[top].value = true
			continue
		}
		switch tok {
		case json.Delim('{'):
			open = append(open, level{keys: map[string]bool{}})
		case json.Delim('['):
			open = append(open, level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:top]
			done()
		default:
			done()
		}
	}
}
