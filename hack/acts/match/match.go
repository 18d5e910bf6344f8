// SPDX-License-Identifier: Apache-2.0

// Package match is the assertion language of ACTS: what a value may be, paths
// into a value, assertions over collections, and conditions of polling. It is
// pure: it knows decoded JSON and nothing of A2A.
package match

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Missing stands for a value that is not there, which is not the same as null.
type Missing struct{}

// Expand resolves the variables in a text. A text that is nothing but one
// variable gives the variable's value, whatever its type.
type Expand func(text string) (any, error)

// Assertion says what a value may be.
type Assertion struct {
	exact  any // a scalar that the value must equal
	isOps  bool
	ops    []operator
	fields map[string]*Assertion
	list   []*Assertion
}

// Failure is an assertion that does not hold.
type Failure struct{ Path, Message string }

func (f *Failure) Error() string {
	if f.Path == "" {
		return f.Message
	}
	return f.Path + ": " + f.Message
}

func failf(path, format string, args ...any) error {
	return &Failure{Path: path, Message: fmt.Sprintf(format, args...)}
}

// Compile reads an assertion. A scalar is an exact match; a list is about the
// first elements of an array, in order; a map whose keys are all operators with
// arguments that suit them is a set of operators; any other map is about the
// members of an object. A map that is half of each is refused, since half of it
// would not be what it seems.
func Compile(v any) (*Assertion, error) {
	switch v := v.(type) {
	case map[string]any:
		return compileMap(v)
	case []any:
		a := &Assertion{list: []*Assertion{}}
		for i, e := range v {
			c, err := Compile(e)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			a.list = append(a.list, c)
		}
		return a, nil
	}
	return &Assertion{exact: v}, nil
}

func compileMap(m map[string]any) (*Assertion, error) {
	var operators, fields []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if suits(key, m[key]) {
			operators = append(operators, key)
		} else {
			fields = append(fields, key)
		}
	}
	switch {
	case len(operators) > 0 && len(fields) > 0:
		return nil, fmt.Errorf("%s are operators and %s are not: it cannot be told what is meant",
			strings.Join(operators, ", "), strings.Join(fields, ", "))
	case len(operators) > 0:
		return compileOps(m, operators)
	}
	a := &Assertion{fields: map[string]*Assertion{}}
	for _, key := range fields {
		c, err := Compile(m[key])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		a.fields[key] = c
	}
	return a, nil
}

// Check tells how v does not meet the assertion, as a *Failure with the path to
// the first difference, or that a variable in it cannot be resolved.
func (a *Assertion) Check(v any, expand Expand) error { return a.check("", v, expand) }

func (a *Assertion) check(path string, v any, expand Expand) error {
	switch {
	case a.isOps:
		for _, op := range a.ops {
			if err := op.check(path, v, expand); err != nil {
				return err
			}
		}
		return nil
	case a.fields != nil:
		return a.checkFields(path, v, expand)
	case a.list != nil:
		return checkList(a.list, path, v, expand)
	}
	return checkExact(a.exact, path, v, expand)
}

// checkFields lets the members of an object that is not there be absent too.
func (a *Assertion) checkFields(path string, v any, expand Expand) error {
	object, ok := v.(map[string]any)
	if _, missing := v.(Missing); !ok && !missing {
		return failf(path, "want an object, got %s", Show(v))
	}
	for _, key := range slices.Sorted(maps.Keys(a.fields)) {
		if err := a.fields[key].check(join(path, key), member(object, key), expand); err != nil {
			return err
		}
	}
	return nil
}

func checkList(list []*Assertion, path string, v any, expand Expand) error {
	array, ok := v.([]any)
	if !ok {
		return failf(path, "want an array, got %s", Show(v))
	}
	for i, a := range list {
		e := any(Missing{})
		if i < len(array) {
			e = array[i]
		}
		if err := a.check(fmt.Sprintf("%s[%d]", path, i), e, expand); err != nil {
			return err
		}
	}
	return nil
}

func checkExact(want any, path string, v any, expand Expand) error {
	want, err := expanded(want, expand)
	if err != nil {
		return err
	}
	if !Equal(want, v) {
		return failf(path, "want %s, got %s", Show(want), Show(v))
	}
	return nil
}

func expanded(v any, expand Expand) (any, error) {
	if s, ok := v.(string); ok && expand != nil && strings.Contains(s, "{{") {
		return expand(s)
	}
	return v, nil
}

func member(object map[string]any, key string) any {
	if v, ok := object[key]; ok {
		return v
	}
	return Missing{}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Equal compares scalars. Numbers are equal whatever decoder they came from.
func Equal(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	switch a.(type) {
	case string, bool, nil:
		return a == b
	}
	return false
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// maxShown bounds what a failure quotes of an answer.
const maxShown = 300

// Show renders a value for people.
func Show(v any) string {
	if _, ok := v.(Missing); ok {
		return "nothing"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%T", v)
	}
	if s := string(b); len(s) <= maxShown {
		return s
	}
	return string(b[:maxShown]) + "…"
}
