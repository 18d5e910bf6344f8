// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// fill resolves the variables in all texts of a value.
func (x *execution) fill(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return x.expand(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			var err error
			if out[i], err = x.fill(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			var err error
			if out[k], err = x.fill(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

func (x *execution) fillText(s string) (string, error) {
	v, err := x.expand(s)
	return fmt.Sprint(v), err
}

// expand resolves the variables in a text. A text that is one variable and
// nothing else becomes that variable's value.
func (x *execution) expand(text string) (any, error) {
	var out strings.Builder
	for rest := text; ; {
		before, after, ok := strings.Cut(rest, "{{")
		out.WriteString(before)
		if !ok {
			return out.String(), nil
		}
		name, after, ok := strings.Cut(after, "}}")
		if !ok {
			return nil, fmt.Errorf("%q: a variable has no end", text)
		}
		v, err := x.resolve(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		if before == "" && after == "" && rest == text {
			return v, nil
		}
		_, _ = fmt.Fprint(&out, v)
		rest = after
	}
}

func (x *execution) resolve(name string) (any, error) {
	if v, ok := x.lookup(name); ok {
		return v, nil
	}
	if text, ok := x.test.Variables[name]; ok && text != "{{"+name+"}}" {
		return x.expand(text)
	}
	if env, ok := strings.CutPrefix(name, "env."); ok {
		if v, ok := x.runner.Getenv(env); ok {
			return v, nil
		}
	}
	switch name {
	case "$uuid":
		return uuid.NewString(), nil
	case "SUT_BASE_URL": // the master file of the official tests names it so
		return x.runner.Base, nil
	}
	return nil, fmt.Errorf("there is no variable {{%s}}", name)
}

// lookup finds what a step left behind: a captured value, or its whole answer
// under the name response.
func (x *execution) lookup(name string) (any, bool) {
	step, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil, false
	}
	if v, ok := x.captured[step][rest]; ok {
		return v, true
	}
	if a := x.answers[step]; a != nil && rest == "response" {
		return a.body, true
	}
	return nil, false
}
