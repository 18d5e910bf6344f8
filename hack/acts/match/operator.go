// SPDX-License-Identifier: Apache-2.0

package match

import (
	"fmt"
	"regexp"
	"strings"
)

// operator is one entry of a map of operators.
type operator struct {
	name  string
	arg   any
	regex *regexp.Regexp
	subs  []*Assertion
}

// suits tells whether key is an operator and v an argument of it. A field of an
// answer may have an operator's name; what stands below it tells them apart.
func suits(key string, v any) bool {
	switch key {
	case "type":
		switch v {
		case "string", "number", "boolean", "array", "object", "null":
			return true
		}
	case "exists", "absent":
		_, ok := v.(bool)
		return ok
	case "contains", "matches", "starts_with", "ends_with":
		_, ok := v.(string)
		return ok
	case "gte", "lte", "gt", "lt", "count", "count_gte", "count_lte":
		_, ok := number(v)
		return ok
	case "one_of", "all_of", "any_of":
		_, ok := v.([]any)
		return ok
	case "not":
		return true
	case "items": // of the test files; the format's own text does not have it
		switch v.(type) {
		case map[string]any, []any:
			return true
		}
	}
	return false
}

func compileOps(m map[string]any, names []string) (*Assertion, error) {
	a := &Assertion{isOps: true}
	for _, name := range names {
		op := operator{name: name, arg: m[name]}
		if err := op.compile(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		a.ops = append(a.ops, op)
	}
	return a, nil
}

func (o *operator) compile() (err error) {
	switch o.name {
	case "exists", "absent":
		if o.arg != true {
			return fmt.Errorf("only true has a meaning")
		}
	case "matches":
		// RE2 lacks a few things that ECMA-262 has; such an expression is refused here.
		o.regex, err = regexp.Compile(o.arg.(string))
		return err
	case "not", "items":
		return o.compileSubs([]any{o.arg})
	case "all_of", "any_of":
		return o.compileSubs(o.arg.([]any))
	case "one_of":
		return o.compileSubs(o.arg.([]any))
	}
	return nil
}

func (o *operator) compileSubs(args []any) error {
	if len(args) == 0 {
		return fmt.Errorf("the list is empty")
	}
	for i, arg := range args {
		a, err := Compile(arg)
		if err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
		o.subs = append(o.subs, a)
	}
	return nil
}

func (o *operator) check(path string, v any, expand Expand) error {
	_, missing := v.(Missing)
	switch o.name {
	case "exists":
		if missing {
			return failf(path, "is missing")
		}
		return nil
	case "absent":
		if !missing {
			return failf(path, "must be absent, got %s", Show(v))
		}
		return nil
	case "any_of", "one_of", "all_of", "not":
		return o.combine(path, v, expand)
	}
	if missing {
		return failf(path, "is missing")
	}
	switch o.name {
	case "type":
		if got := typeOf(v); got != o.arg {
			return failf(path, "want type %v, got %s", o.arg, Show(v))
		}
		return nil
	case "contains", "matches", "starts_with", "ends_with":
		return o.checkText(path, v, expand)
	case "items":
		return o.checkItems(path, v, expand)
	}
	return o.compare(path, v)
}

func (o *operator) combine(path string, v any, expand Expand) error {
	var failures []string
	for _, sub := range o.subs {
		err := sub.check(path, v, expand)
		if err == nil {
			continue
		}
		if _, ok := err.(*Failure); !ok {
			return err
		}
		if o.name == "all_of" {
			return err
		}
		failures = append(failures, err.Error())
	}
	switch {
	case o.name == "not" && len(failures) == 0:
		return failf(path, "must not match %s, got %s", Show(o.arg), Show(v))
	case o.name == "one_of" && len(failures) == len(o.subs):
		return failf(path, "want one of %s, got %s", Show(o.arg), Show(v))
	case o.name == "any_of" && len(failures) == len(o.subs):
		return failf(path, "none of the alternatives holds: %s", strings.Join(failures, "; "))
	}
	return nil
}

func (o *operator) checkText(path string, v any, expand Expand) error {
	s, ok := v.(string)
	if !ok {
		return failf(path, "want a string, got %s", Show(v))
	}
	arg, err := expanded(o.arg, expand)
	if err != nil {
		return err
	}
	want := fmt.Sprint(arg)
	switch o.name {
	case "contains":
		ok = strings.Contains(s, want)
	case "starts_with":
		ok = strings.HasPrefix(s, want)
	case "ends_with":
		ok = strings.HasSuffix(s, want)
	default:
		ok = o.regex.MatchString(s)
	}
	if !ok {
		return failf(path, "want %s %q, got %s", o.name, want, Show(v))
	}
	return nil
}

// checkItems reads a list as the first elements in order, and anything else as
// what every element must be.
func (o *operator) checkItems(path string, v any, expand Expand) error {
	sub := o.subs[0]
	if sub.list != nil {
		return sub.check(path, v, expand)
	}
	array, ok := v.([]any)
	if !ok {
		return failf(path, "want an array, got %s", Show(v))
	}
	for i, e := range array {
		if err := sub.check(fmt.Sprintf("%s[%d]", path, i), e, expand); err != nil {
			return err
		}
	}
	return nil
}

// compare has the operators on numbers and on lengths.
func (o *operator) compare(path string, v any) error {
	got, ok := number(v)
	kind := "number"
	if strings.HasPrefix(o.name, "count") {
		var array []any
		array, ok = v.([]any)
		got, kind = float64(len(array)), "array"
	}
	if !ok {
		return failf(path, "want %s, got %s", kind, Show(v))
	}
	want, _ := number(o.arg)
	switch o.name {
	case "gte", "count_gte":
		ok = got >= want
	case "lte", "count_lte":
		ok = got <= want
	case "gt":
		ok = got > want
	case "lt":
		ok = got < want
	case "count":
		ok = got == want
	default:
		return fmt.Errorf("operator %s compares no numbers", o.name)
	}
	if !ok {
		return failf(path, "want %s %v, got %v", o.name, want, got)
	}
	return nil
}

func typeOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case nil:
		return "null"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	if _, ok := number(v); ok {
		return "number"
	}
	return fmt.Sprintf("%T", v)
}
