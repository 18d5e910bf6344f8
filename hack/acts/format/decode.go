// SPDX-License-Identifier: Apache-2.0

package format

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/errand-a2a/errand/hack/acts/match"
)

// faults collects all that is wrong with a file, so that it can be mended at
// once.
type faults struct{ errs []error }

func (f *faults) add(where, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("%s: "+format, append([]any{where}, args...)...))
}

func (f *faults) err() error { return errors.Join(f.errs...) }

// object is a map of which every key must be asked for before done.
type object struct {
	*faults
	where string
	m     map[string]any
	asked map[string]bool
}

func (f *faults) object(where string, v any) *object {
	o := &object{faults: f, where: where, asked: map[string]bool{}}
	m, ok := v.(map[string]any)
	if !ok {
		f.add(where, "want a map, got %s", match.Show(v))
	}
	o.m = m
	return o
}

// get returns the value of a key, nil where there is none.
func (o *object) get(key string) (any, bool) {
	o.asked[key] = true
	v, ok := o.m[key]
	return v, ok
}

func (o *object) path(key string) string { return o.where + ": " + key }

// need returns the value of a key that must be there.
func (o *object) need(key string) any {
	v, ok := o.get(key)
	if !ok && o.m != nil {
		o.add(o.where, "%s is missing", key)
	}
	return v
}

func (o *object) text(key string) string {
	v, ok := o.get(key)
	if !ok {
		return ""
	}
	s, isText := v.(string)
	if !isText {
		o.add(o.path(key), "want a text, got %s", match.Show(v))
	}
	return s
}

func (o *object) needText(key string) string {
	if o.need(key) == nil {
		return ""
	}
	s := o.text(key)
	if s == "" {
		o.add(o.path(key), "is empty")
	}
	return s
}

// choice is a text that is one of those given, or absent.
func (o *object) choice(key string, allowed ...string) string {
	s := o.text(key)
	if _, ok := o.m[key]; ok && !slices.Contains(allowed, s) {
		o.add(o.path(key), "%q is none of %s", s, strings.Join(allowed, ", "))
	}
	return s
}

func (o *object) texts(key string) []string {
	v, ok := o.get(key)
	if !ok {
		return nil
	}
	var out []string
	list, isList := v.([]any)
	for _, e := range list {
		s, isText := e.(string)
		isList = isList && isText
		out = append(out, s)
	}
	if !isList {
		o.add(o.path(key), "want a list of texts, got %s", match.Show(v))
	}
	return out
}

// number returns a whole number, or other where the key is absent.
func (o *object) number(key string, other int) int {
	v, ok := o.get(key)
	if !ok {
		return other
	}
	switch n := v.(type) {
	case uint64:
		return int(n)
	case int64:
		return int(n)
	}
	o.add(o.path(key), "want a whole number, got %s", match.Show(v))
	return other
}

func (o *object) list(key string) []any {
	v, ok := o.get(key)
	if !ok {
		return nil
	}
	list, isList := v.([]any)
	if !isList {
		o.add(o.path(key), "want a list, got %s", match.Show(v))
	}
	return list
}

// textMap returns a map of texts, the keys in order.
func (o *object) textMap(key string) (map[string]string, []string) {
	v, ok := o.get(key)
	if !ok {
		return nil, nil
	}
	in := o.object(o.path(key), v)
	out := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(in.m)) {
		out[k] = in.text(k)
	}
	return out, slices.Sorted(maps.Keys(out))
}

func (o *object) anyMap(key string) map[string]any {
	v, ok := o.get(key)
	if !ok {
		return nil
	}
	return o.object(o.path(key), v).m
}

// assertion compiles the value of a key, nil where there is none.
func (o *object) assertion(key string) *match.Assertion {
	v, ok := o.get(key)
	if !ok {
		return nil
	}
	return o.compile(key, v)
}

func (o *object) compile(key string, v any) *match.Assertion {
	a, err := match.Compile(v)
	if err != nil {
		o.add(o.path(key), "%w", err)
	}
	return a
}

// rest returns what has not been asked for.
func (o *object) rest() map[string]any {
	left := map[string]any{}
	for k, v := range o.m {
		if !o.asked[k] {
			left[k] = v
			o.asked[k] = true
		}
	}
	return left
}

// done complains of what nobody asked for.
func (o *object) done() {
	for _, k := range slices.Sorted(maps.Keys(o.rest())) {
		o.add(o.where, "unknown key %q", k)
	}
}
