// SPDX-License-Identifier: Apache-2.0

package match

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Path leads from a value into it: members with dots between them, elements in
// brackets, * for every element. The empty path is the value itself.
type Path struct {
	text  string
	steps []any // a string for a member, an int for an element, nil for every one
}

// ParsePath reads a path.
func ParsePath(text string) (Path, error) {
	p := Path{text: text}
	if text == "" {
		return p, nil
	}
	for part := range strings.SplitSeq(text, ".") {
		name, rest, bracket := strings.Cut(part, "[")
		if name == "" && (!bracket || len(p.steps) > 0) {
			return p, fmt.Errorf("path %q has an empty member", text)
		}
		if name != "" {
			p.steps = append(p.steps, name)
		}
		if !bracket {
			continue
		}
		for index := range strings.SplitSeq(rest, "[") {
			inner, ok := strings.CutSuffix(index, "]")
			n, err := strconv.ParseUint(inner, 10, 31)
			switch {
			case ok && inner == "*":
				p.steps = append(p.steps, nil)
			case ok && err == nil:
				p.steps = append(p.steps, int(n))
			default:
				return p, fmt.Errorf("path %q: [%s is no index", text, index)
			}
		}
	}
	return p, nil
}

func (p Path) String() string { return p.text }

// Many tells whether the path may lead to several values.
func (p Path) Many() bool {
	for _, s := range p.steps {
		if s == nil {
			return true
		}
	}
	return false
}

// All returns what the path leads to, in order.
func (p Path) All(v any) []any {
	found := []any{v}
	for _, step := range p.steps {
		var next []any
		for _, v := range found {
			next = append(next, descend(v, step)...)
		}
		found = next
	}
	return found
}

// One returns what a path without * leads to, or Missing.
func (p Path) One(v any) any {
	if found := p.All(v); len(found) == 1 {
		return found[0]
	}
	return Missing{}
}

func descend(v, step any) []any {
	switch step := step.(type) {
	case string:
		if object, ok := v.(map[string]any); ok {
			if e, ok := object[step]; ok {
				return []any{e}
			}
		}
	case int:
		if array, ok := v.([]any); ok && step < len(array) {
			return []any{array[step]}
		}
	default:
		array, _ := v.([]any)
		return array
	}
	return nil
}

// Collection is what elements of a value must be.
type Collection struct {
	Path  Path
	Match *Assertion
}

// Quantifier says how many elements of a Collection must match.
type Quantifier string

// The quantifiers.
const (
	Any  Quantifier = "any"
	All  Quantifier = "all"
	None Quantifier = "none"
)

// Check tells how v does not meet the collection assertion. A variable that
// cannot be resolved is reported as such.
func (c *Collection) Check(q Quantifier, v any, expand Expand) error {
	found := c.Path.All(v)
	var last error
	matched := 0
	for i, e := range found {
		err := c.Match.Check(e, expand)
		var f *Failure
		switch {
		case err == nil:
			matched++
		case !errors.As(err, &f):
			return err
		case q == All:
			return failf(c.Path.text, "element %d of %d: %s", i, len(found), err)
		default:
			last = err
		}
	}
	switch {
	case q == All && len(found) == 0:
		return failf(c.Path.text, "there is no element of which something could be said")
	case q == Any && matched == 0 && last != nil:
		return failf(c.Path.text, "none of %d elements matches; the last: %s", len(found), last)
	case q == Any && matched == 0:
		return failf(c.Path.text, "there is no element")
	case q == None && matched > 0:
		return failf(c.Path.text, "%d of %d elements match", matched, len(found))
	}
	return nil
}

// Until is the condition of a step that is repeated.
type Until struct {
	path   Path
	negate bool
	values []any
	text   string
}

// ParseUntil reads one of: path == value, path != value, path in [a, b].
func ParseUntil(text string) (*Until, error) {
	fields := strings.Fields(text)
	if len(fields) < 3 {
		return nil, fmt.Errorf("condition %q: want path == value, path != value or path in [a, b]", text)
	}
	path, err := ParsePath(fields[0])
	if err != nil {
		return nil, err
	}
	if path.Many() {
		return nil, fmt.Errorf("condition %q: its path must lead to one value", text)
	}
	u := &Until{path: path, text: text}
	rest := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), fields[0]))
	rest = strings.TrimSpace(strings.TrimPrefix(rest, fields[1]))
	switch fields[1] {
	case "==":
		u.values = []any{literal(rest)}
	case "!=":
		u.values, u.negate = []any{literal(rest)}, true
	case "in":
		inner, ok := strings.CutPrefix(rest, "[")
		if ok {
			inner, ok = strings.CutSuffix(inner, "]")
		}
		if !ok {
			return nil, fmt.Errorf("condition %q: want a list in brackets after in", text)
		}
		for v := range strings.SplitSeq(inner, ",") {
			u.values = append(u.values, literal(strings.TrimSpace(v)))
		}
	default:
		return nil, fmt.Errorf("condition %q: %s is none of ==, != and in", text, fields[1])
	}
	return u, nil
}

func (u *Until) String() string { return u.text }

// Holds tells whether the condition is met.
func (u *Until) Holds(v any) bool {
	got := u.path.One(v)
	if _, missing := got.(Missing); missing {
		return false
	}
	for _, want := range u.values {
		if Equal(want, got) {
			return !u.negate
		}
	}
	return u.negate
}

func literal(s string) any {
	switch s {
	case "true":
		return true
	case "false":
		return false
	case "null":
		return nil
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return n
	}
	return strings.Trim(s, `"'`)
}
