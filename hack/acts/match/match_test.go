// SPDX-License-Identifier: Apache-2.0

package match

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func decode(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// expand knows one variable.
func expand(text string) (any, error) {
	if strings.Contains(text, "{{unknown}}") {
		return nil, errors.New("there is no variable {{unknown}}")
	}
	return strings.ReplaceAll(text, "{{id}}", "t-1"), nil
}

func TestAssertionsHoldOrNameTheFirstDifference(t *testing.T) {
	t.Parallel()
	const task = `{"task": {"id": "t-1", "n": 3, "ok": true, "none": null, "status": {"state": "DONE"}, "list": [{"k": 1}, {"k": 2}]}}`
	tests := []struct {
		name, assertion string
		want            string // what the failure says; "" when it holds
	}{
		{"an exact text", `{"task": {"id": "t-1"}}`, ""},
		{"another exact text", `{"task": {"id": "t-2"}}`, `task.id: want "t-2", got "t-1"`},
		{"a text with a variable", `{"task": {"id": "{{id}}"}}`, ""},
		{"an unknown variable", `{"task": {"id": "{{unknown}}"}}`, "no variable"},
		{"an exact number", `{"task": {"n": 3}}`, ""},
		{"a number and a text of the same look", `{"task": {"n": "3"}}`, "task.n: want"},
		{"an exact bool", `{"task": {"ok": true}}`, ""},
		{"null that is there", `{"task": {"none": null}}`, ""},
		{"null that is missing", `{"task": {"other": null}}`, "task.other: want null, got nothing"},
		{"a member of what is no object", `{"task": {"id": {"x": 1}}}`, "task.id: want an object"},
		{"a member of what is not there", `{"other": {"x": {"type": "string"}}}`, "other.x: is missing"},

		{"a type", `{"task": {"id": {"type": "string"}}}`, ""},
		{"another type", `{"task": {"id": {"type": "number"}}}`, "task.id: want type number"},
		{"the types of all", `{"task": {"n": {"type": "number"}, "ok": {"type": "boolean"}, "none": {"type": "null"}, "status": {"type": "object"}, "list": {"type": "array"}}}`, ""},
		{"a type of what is missing", `{"x": {"type": "null"}}`, "x: is missing"},
		{"exists", `{"task": {"none": {"exists": true}}}`, ""},
		{"exists not", `{"task": {"x": {"exists": true}}}`, "task.x: is missing"},
		{"absent", `{"task": {"x": {"absent": true}}}`, ""},
		{"absent not, though null", `{"task": {"none": {"absent": true}}}`, "task.none: must be absent"},
		{"absent below what is absent", `{"x": {"y": {"absent": true}}}`, ""},

		{"contains", `{"task": {"id": {"contains": "-"}}}`, ""},
		{"contains not", `{"task": {"id": {"contains": "_"}}}`, "task.id: want contains"},
		{"contains a variable", `{"task": {"id": {"contains": "{{id}}"}}}`, ""},
		{"contains of a number", `{"task": {"n": {"contains": "3"}}}`, "want a string"},
		{"matches", `{"task": {"id": {"matches": "^t-\\d$"}}}`, ""},
		{"matches not", `{"task": {"id": {"matches": "^\\d"}}}`, "want matches"},
		{"starts and ends", `{"task": {"id": {"starts_with": "t", "ends_with": "1"}}}`, ""},
		{"starts and ends otherwise", `{"task": {"id": {"starts_with": "t", "ends_with": "2"}}}`, "want ends_with"},
		{"starts otherwise", `{"task": {"id": {"starts_with": "x"}}}`, "want starts_with"},

		{"numbers within", `{"task": {"n": {"gte": 3, "lte": 3, "gt": 2, "lt": 4}}}`, ""},
		{"gte", `{"task": {"n": {"gte": 4}}}`, "want gte"},
		{"lte", `{"task": {"n": {"lte": 2}}}`, "want lte"},
		{"gt", `{"task": {"n": {"gt": 3}}}`, "want gt"},
		{"lt", `{"task": {"n": {"lt": 3}}}`, "want lt"},
		{"a comparison of a text", `{"task": {"id": {"lt": 3}}}`, "want number"},
		{"counts", `{"task": {"list": {"count": 2, "count_gte": 2, "count_lte": 2}}}`, ""},
		{"count", `{"task": {"list": {"count": 1}}}`, "want count 1, got 2"},
		{"count_gte", `{"task": {"list": {"count_gte": 3}}}`, "want count_gte"},
		{"count_lte", `{"task": {"list": {"count_lte": 1}}}`, "want count_lte"},
		{"a count of a text", `{"task": {"id": {"count": 3}}}`, "want array"},

		{"one of", `{"task": {"status": {"state": {"one_of": ["WORKING", "DONE"]}}}}`, ""},
		{"none of", `{"task": {"status": {"state": {"one_of": ["WORKING"]}}}}`, "want one of"},
		{"one of several objects", `{"one_of": [{"message": {"exists": true}}, {"task": {"exists": true}}]}`, ""},
		{"none of several objects", `{"one_of": [{"message": {"exists": true}}]}`, "want one of"},
		{"any of", `{"task": {"x": {"any_of": [{"absent": true}, {"type": "array"}]}}}`, ""},
		{"any of, none", `{"task": {"id": {"any_of": [{"absent": true}, {"type": "array"}]}}}`, "none of the alternatives"},
		{"any of at the root", `{"any_of": [{"x": {"exists": true}}, {"task": {"exists": true}}]}`, ""},
		{"all of", `{"task": {"id": {"all_of": [{"type": "string"}, {"contains": "1"}]}}}`, ""},
		{"all of, one not", `{"task": {"id": {"all_of": [{"type": "string"}, {"contains": "2"}]}}}`, "want contains"},
		{"not", `{"task": {"id": {"not": "t-2"}}}`, ""},
		{"not, but is", `{"task": {"id": {"not": {"contains": "1"}}}}`, "must not match"},

		{"a list about the first element", `{"task": {"list": [{"k": 1}]}}`, ""},
		{"a list about the second element", `{"task": {"list": [{"k": 1}, {"k": 1}]}}`, "task.list[1].k: want 1"},
		{"a list longer than the array", `{"task": {"list": [{"k": 1}, {"k": 2}, {"k": 3}]}}`, "task.list[2].k: want 3, got nothing"},
		{"items as a list", `{"task": {"list": {"items": [{"k": 1}]}}}`, ""},
		{"items as a list, not", `{"task": {"list": {"items": [{"k": 2}]}}}`, "task.list[0].k"},
		{"items as a map", `{"task": {"list": {"type": "array", "items": {"k": {"type": "number"}}}}}`, ""},
		{"items as a map, not all", `{"task": {"list": {"items": {"k": {"lt": 2}}}}}`, "task.list[1].k"},
		{"a member with an operator's name", `{"task": {"status": {"type": {"absent": true}, "state": "DONE"}}}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := Compile(decode(t, tt.assertion))
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(a.Check(decode(t, task), expand))
			if tt.want == "" && got != "<nil>" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAssertionsWithoutAMeaningAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"operators beside members":    `{"type": "string", "state": "DONE"}`,
		"exists that is false":        `{"exists": false}`,
		"absent that is false":        `{"x": {"absent": false}}`,
		"an empty list of choices":    `{"one_of": []}`,
		"an expression that is none":  `[{"matches": "("}]`,
		"a flaw deep in alternatives": `{"any_of": [{"not": {"matches": "("}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Compile(decode(t, text)); err == nil {
				t.Error("it was compiled")
			}
		})
	}
}

func TestPathsLeadToValues(t *testing.T) {
	t.Parallel()
	root := decode(t, `{"a": {"b": [{"c": 1, "d": [7]}, {"c": 2, "d": [8, 9]}]}}`)
	for path, want := range map[string]string{
		"":                 `[{"a":{"b":[{"c":1,"d":[7]},{"c":2,"d":[8,9]}]}}]`,
		"a.b[1].c":         `[2]`,
		"a.b[*].c":         `[1,2]`,
		"a.b[*].d[*]":      `[7,8,9]`,
		"a.b[0].d[0]":      `[7]`,
		"a.b[5].c":         `null`,
		"a.x.y":            `null`,
		"a.b.c":            `null`,
		"a.b[0].c.further": `null`,
	} {
		p, err := ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := Show(p.All(root)); got != want {
			t.Errorf("%q leads to %s, want %s", path, got, want)
		}
	}
	for _, path := range []string{"a..b", ".a", "a[", "a[x]", "a[-1]", "a.[0]"} {
		if _, err := ParsePath(path); err == nil {
			t.Errorf("%q was parsed", path)
		}
	}
}

func TestCollectionsQuantifyOverElements(t *testing.T) {
	t.Parallel()
	root := decode(t, `{"l": [{"k": "a"}, {"k": "b"}], "empty": []}`)
	tests := []struct {
		name, path, match string
		q                 Quantifier
		want              string
	}{
		{"any that matches", "l[*]", `{"k": "b"}`, Any, ""},
		{"any that does not", "l[*]", `{"k": "c"}`, Any, "none of 2 elements"},
		{"any of nothing", "empty[*]", `{"k": "c"}`, Any, "no element"},
		{"all that match", "l[*]", `{"k": {"type": "string"}}`, All, ""},
		{"all but one", "l[*]", `{"k": "a"}`, All, "element 1 of 2"},
		{"all of nothing", "empty[*]", `{"k": "a"}`, All, "no element"},
		{"none", "l[*]", `{"k": "c"}`, None, ""},
		{"none but one", "l[*]", `{"k": "a"}`, None, "1 of 2"},
		{"a variable that is not known", "l[*]", `{"k": "{{unknown}}"}`, Any, "no variable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path, err := ParsePath(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			a, err := Compile(decode(t, tt.match))
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint((&Collection{Path: path, Match: a}).Check(tt.q, root, expand))
			if tt.want == "" && got != "<nil>" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestConditionsOfPollingAreRead(t *testing.T) {
	t.Parallel()
	root := decode(t, `{"status": {"state": "WORKING", "n": 2, "binary": true}}`)
	for text, want := range map[string]bool{
		"status.state == WORKING":       true,
		"status.state == DONE":          false,
		`status.state == "WORKING"`:     true,
		"status.state != WORKING":       false,
		"status.state != DONE":          true,
		"status.state in [DONE, OTHER]": false,
		"status.state in [A, WORKING]":  true,
		"status.n == 2":                 true,
		"status.binary in [true]":       true,
		"status.missing != DONE":        false,
	} {
		u, err := ParseUntil(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Holds(root); got != want {
			t.Errorf("%q is %v", text, got)
		}
	}
	for _, text := range []string{"", "status.state", "a > 1", "a in b", "a[*].b == 1", "a..b == 1"} {
		if _, err := ParseUntil(text); err == nil {
			t.Errorf("%q was parsed", text)
		}
	}
}
