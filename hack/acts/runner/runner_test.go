// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"fmt"
	"strings"
	"testing"

	"github.com/errand-a2a/errand/hack/acts/format"
	"github.com/errand-a2a/errand/hack/acts/wire"
)

func states(names ...string) (events []wire.Event) {
	for _, s := range names {
		events = append(events, wire.Event{Body: map[string]any{
			"statusUpdate": map[string]any{"status": map[string]any{"state": "TASK_STATE_" + s}},
		}})
	}
	return events
}

func TestStatesDoNotRegress(t *testing.T) {
	t.Parallel()
	tests := []struct {
		states []string
		want   string
	}{
		{[]string{"SUBMITTED", "WORKING", "WORKING", "COMPLETED"}, "<nil>"},
		{[]string{"SUBMITTED", "SUBMITTED", "COMPLETED", "COMPLETED"}, "<nil>"},
		{[]string{"WORKING", "INPUT_REQUIRED", "WORKING", "FAILED"}, "<nil>"},
		{[]string{"WORKING", "SUBMITTED"}, "event 1: TASK_STATE_SUBMITTED follows TASK_STATE_WORKING"},
		{[]string{"COMPLETED", "WORKING"}, "event 1: TASK_STATE_WORKING follows TASK_STATE_COMPLETED"},
		{[]string{"CANCELED", "COMPLETED"}, "follows"},
		{nil, "<nil>"},
	}
	for _, tt := range tests {
		if got := fmt.Sprint(monotonic(states(tt.states...))); !strings.Contains(got, tt.want) {
			t.Errorf("%v: got %s, want %s", tt.states, got, tt.want)
		}
	}
}

func TestVariablesAreResolvedFromStepsThenDocumentThenEnvironment(t *testing.T) {
	t.Parallel()
	x := &execution{
		runner: &Runner{Base: "http://base", Getenv: func(name string) (string, bool) { return "from env", name == "HOME_OF" }},
		test: &format.Test{Variables: map[string]string{
			"s.id": "hidden", "v": "doc {{s.id}}", "baseUrl": "{{SUT_BASE_URL}}", "loop": "{{loop}}", "env.HOME_OF": "doc first",
		}},
		captured: map[string]map[string]any{"s": {"id": "captured", "n": 5.0}},
		answers:  map[string]*answer{"s": {body: map[string]any{"k": "v"}}},
	}
	for text, want := range map[string]string{
		"plain":                 "plain",
		"{{s.id}}":              "captured",
		"a {{ s.id }} b {{v}}":  "a captured b doc captured",
		"{{s.n}}":               "5",
		"{{s.response}}":        "map[k:v]",
		"{{baseUrl}}/x":         "http://base/x",
		"{{env.HOME_OF}}":       "doc first",
		"{{loop}}":              "no variable {{loop}}",
		"{{s.other}}":           "no variable {{s.other}}",
		"{{env.MISSING}}":       "no variable",
		"{{open":                "has no end",
		"{{s.id}}{{s.id}} tail": "capturedcaptured tail",
	} {
		v, err := x.expand(text)
		if got := fmt.Sprint(v, err); !strings.Contains(got, want) {
			t.Errorf("%q became %s, want %s", text, got, want)
		}
	}
	if v, err := x.expand("{{s.n}}"); v != 5.0 || err != nil {
		t.Errorf("a number became %T", v)
	}
	a, _ := x.expand("{{$uuid}}")
	if b, _ := x.expand("{{$uuid}}"); a == b {
		t.Error("two generated ids are the same")
	}
	delete(x.test.Variables, "env.HOME_OF")
	if v, _ := x.expand("{{env.HOME_OF}}"); v != "from env" {
		t.Errorf("the environment gave %v", v)
	}
}

func TestATestThatAsksForACheckInWordsNeedsOne(t *testing.T) {
	t.Parallel()
	for _, tag := range asking() {
		if err := Check([]*format.Test{{ID: "NEW-001", File: "f.yaml", Tags: []string{"x", tag}}}); err == nil || !strings.Contains(err.Error(), "f.yaml: NEW-001") {
			t.Errorf("%s: got %v", tag, err)
		}
	}
	ours := []*format.Test{{ID: "CARD-CACHE-001", Tags: []string{"runner-special"}}, {ID: "SEC-AUTH-001", Tags: []string{"runner-special"}}, {ID: "NEW-001"}}
	if err := Check(ours); err != nil {
		t.Error(err)
	}
}

func TestAnyErrorIsOneThatRefuses(t *testing.T) {
	t.Parallel()
	x := &execution{}
	steps := map[string]*format.Step{
		"status: error": {Expect: &format.Expect{AnyError: true}},
		"expect_error":  {Error: &format.ExpectError{}},
	}
	for name, s := range steps {
		for _, tt := range []struct {
			answer answer
			want   string
		}{
			{answer{err: &wire.Error{Code: -32602.0, Status: 200}}, "<nil>"},
			{answer{err: &wire.Error{Code: -32603.0, Status: 200}}, "an error that refuses"},
			{answer{body: map[string]any{}}, "want an error, got {}"},
		} {
			if got := fmt.Sprint(x.judge(s, &tt.answer)); !strings.Contains(got, tt.want) {
				t.Errorf("%s: got %s, want %s", name, got, tt.want)
			}
		}
	}
}

func TestPreconditionsAreThoseOfTheCard(t *testing.T) {
	t.Parallel()
	r := &Runner{Card: map[string]any{
		"capabilities": map[string]any{"streaming": true, "extensions": []any{map[string]any{"uri": "u"}}},
		"skills":       []any{map[string]any{"id": "a"}},
	}}
	caps := func(name string, v any) format.Preconditions {
		return format.Preconditions{Capabilities: map[string]any{name: v}}
	}
	for want, unmet := range map[string][]format.Preconditions{
		"": {
			caps("streaming", true), caps("pushNotifications", false), {Skills: []string{"a"}}, {Extensions: []string{"u"}},
		},
		"precondition: ": {
			caps("streaming", false), caps("pushNotifications", true), {Skills: []string{"b"}}, {Extensions: []string{"v"}},
		},
	} {
		for _, p := range unmet {
			if got := r.unmet(p); (got == "") != (want == "") || !strings.HasPrefix(got, want) {
				t.Errorf("%+v: got %q, want %q", p, got, want)
			}
		}
	}
}

func TestMessagesOfRawRequestsAreAmendedOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	body := func() map[string]any {
		return map[string]any{"params": map[string]any{"message": map[string]any{}}}
	}
	id := func(b map[string]any) any {
		return b["params"].(map[string]any)["message"].(map[string]any)["messageId"]
	}
	plain, amended, own := body(), body(), body()
	own["params"].(map[string]any)["message"].(map[string]any)["messageId"] = "own"
	amendBody("", plain)
	amendBody(AddMessageID, amended)
	amendBody(AddMessageID, own)
	amendBody(AddMessageID, []any{"no envelope"})
	if id(plain) != nil || id(amended) == nil || id(own) != "own" {
		t.Errorf("got %v, %v, %v", id(plain), id(amended), id(own))
	}
}

func TestSnakeCaseIsFoundAtAnyDepthButNotInFreeForm(t *testing.T) {
	t.Parallel()
	if got := snakeName(map[string]any{"a": []any{map[string]any{"b_c": 1}}}); got != "b_c" {
		t.Errorf("got %q", got)
	}
	if got := snakeName(map[string]any{"metadata": map[string]any{"b_c": 1}, "data": map[string]any{"b_c": 1}}); got != "" {
		t.Errorf("got %q", got)
	}
}
