// SPDX-License-Identifier: Apache-2.0

package format

import (
	"strings"
	"testing"
	"testing/fstest"
)

var known = Known{Behaviors: []string{"tck-complete-task"}, Errors: []string{"TaskNotFoundError"}}

// file wraps steps into a file with one test; extra are further keys of the test.
func file(steps, extra string) string {
	return "acts_version: \"1.0\"\nspec_version: \"1.0\"\nsuites:\n- id: s\n  name: S\n  tests:\n  - id: T-1\n    name: N\n    level: must\n" +
		extra + "    steps:\n" + steps
}

const okStep = `    - id: a
      operation: get_task
      params: {id: x}
      expect: {status: 200}
`

func load(files map[string]string) (*Suite, error) {
	dir := fstest.MapFS{}
	for name, text := range files {
		dir[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return Load(dir, known)
}

func TestWhatTheFormatDoesNotHaveIsRefusedWithFileAndTest(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, steps, extra, want string }{
		{"a key of a test", okStep, "    colour: red\n", `x.yaml: T-1: unknown key "colour"`},
		{"a key of a step", okStep + "      colour: red\n", "", `x.yaml: T-1: steps[0] (a): unknown key "colour"`},
		{"a key of expect", strings.Replace(okStep, "{status: 200}", "{status: 200, colour: red}", 1), "", `expect: unknown key "colour"`},
		{"a key of expect_error", "    - id: a\n      operation: get_task\n      params: {}\n      expect_error: {codes: x}\n", "", `unknown key "codes"`},
		{"a key of expect_stream", "    - id: a\n      operation: subscribe_to_task\n      params: {}\n      expect_stream: {max: 1}\n", "", `unknown key "max"`},
		{"a key of raw", "    - id: a\n      raw: {method: GET, path: /, query: x}\n", "    transport: [rest]\n", `raw: unknown key "query"`},
		{"a key of repeat", okStep + "      repeat: {until: a == b, every: 3}\n", "", `unknown key "every"`},
		{"a key of a precondition", okStep, "    preconditions: {weather: fine}\n", `preconditions: unknown key "weather"`},
		{"a key of an assertion", okStep + "      assertions: [{source: a.response, match: 1, some: 2}]\n", "", `unknown key "some"`},
		{"a key of a client's answer", "    - id: a\n      client_response: {operation: get_task, wire_payload: {}, x: 1}\n      expect_parsed: {}\n", "", `unknown key "x"`},
		{"an operation that there is not", strings.Replace(okStep, "get_task", "get_tusk", 1), "", `no operation "get_tusk"`},
		{"a step of no kind", "    - id: a\n", "", "got 0 of them"},
		{"a step of two kinds", okStep + "      raw: {method: GET, path: /}\n", "", "got 2 of them"},
		{"a binding that there is not", okStep, "    transport: [soap]\n", `no binding "soap"`},
		{"raw steps without a binding", "    - id: a\n      raw: {method: GET, path: /}\n", "", "does not say of which transport"},
		{"a method that there is not", "    - id: a\n      raw: {method: BREW, path: /}\n", "    transport: [rest]\n", `"BREW" is none of`},
		{"a behaviour that is not known", okStep, "    requires_behaviors: [tck-dance]\n", `does not know "tck-dance"`},
		{"a message that asks for one", "    - id: a\n      operation: send_message\n      params: {message: {parts: [{text: tck-dance now}]}}\n", "", `does not know "tck-dance"`},
		{"an error that there is not", "    - id: a\n      operation: get_task\n      params: {}\n      expect_error: {code: TuskNotFoundError}\n", "", "no error"},
		{"an error beside an answer", okStep + "      expect_error: {code: TaskNotFoundError}\n", "", "beside another expectation"},
		{"an assertion with two meanings", strings.Replace(okStep, "{status: 200}", "{body: {type: string, state: x}}", 1), "", "cannot be told"},
		{"requirements of the runner", okStep, "    runner_requirements: [webhook_endpoint]\n", "runner_requirements are not understood"},
		{"a source that is no step", okStep + "      assertions: [{source: b.response, match: 1}]\n", "", `no step "b"`},
		{"an assertion of nothing", okStep + "      assertions: [{source: a.response}]\n", "", "asserts nothing"},
		{"the id of an earlier step", okStep + okStep, "", "that of an earlier step"},
		{"a capture from a stream", "    - id: a\n      operation: subscribe_to_task\n      params: {}\n      capture: {x: id}\n", "", "of which event"},
		{"an event of which nothing is said", "    - id: a\n      operation: subscribe_to_task\n      params: {}\n      expect_stream: {events: [{index: 0}]}\n", "", "says nothing"},
		{"a key that stands twice", okStep + "      params: {id: y}\n", "", "x.yaml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(map[string]string{"x.yaml": file(tt.steps, tt.extra)})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "x.yaml") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestDocumentsFitTogetherOrAreRefused(t *testing.T) {
	t.Parallel()
	other := strings.Replace(file(okStep, ""), "T-1", "T-2", 1)
	master := "acts_version: \"1.0\"\nspec_version: \"1.0\"\nvariables: {v: master, w: master}\ninclude: [b.yaml, a.yaml]\n"
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"two files", map[string]string{"a.yaml": file(okStep, ""), "b.yaml": other}, ""},
		{"a master file", map[string]string{"a.yaml": file(okStep, ""), "b.yaml": other, "suite.yaml": master}, ""},
		{"no file", nil, "no .yaml file"},
		{"one id in two files", map[string]string{"a.yaml": file(okStep, ""), "b.yaml": file(okStep, "")}, "b.yaml: T-1: the id stands in a.yaml"},
		{"a file that is not included", map[string]string{"a.yaml": file(okStep, ""), "b.yaml": other, "suite.yaml": strings.Replace(master, ", a.yaml", "", 1)}, "a.yaml lies beside it"},
		{"an included file that is missing", map[string]string{"b.yaml": other, "suite.yaml": master}, "no file a.yaml"},
		{"a newer format", map[string]string{"a.yaml": strings.Replace(file(okStep, ""), "1.0", "2.0", 1)}, "only 1.x"},
		{"two versions of A2A", map[string]string{"a.yaml": file(okStep, ""), "b.yaml": strings.Replace(other, "spec_version: \"1.0\"", "spec_version: \"1.1\"", 1)}, "where others have"},
		{"neither tests nor files", map[string]string{"a.yaml": "acts_version: \"1.0\"\nspec_version: \"1.0\"\n"}, "neither suites nor include"},
		{"a level that there is not", map[string]string{"a.yaml": strings.Replace(file(okStep, ""), "must", "maybe", 1)}, `"maybe" is none of must`},
		{"no level", map[string]string{"a.yaml": strings.Replace(file(okStep, ""), "    level: must\n", "", 1)}, "a.yaml: T-1: level is missing"},
		{"an unknown key", map[string]string{"a.yaml": file(okStep, "") + "colour: red\n"}, `a.yaml: unknown key "colour"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(tt.files)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAMasterFileGivesOrderAndVariables(t *testing.T) {
	t.Parallel()
	s, err := load(map[string]string{
		"a.yaml":     file(okStep, "") + "variables: {w: own}\n",
		"b.yaml":     strings.Replace(file(okStep, ""), "T-1", "T-2", 1),
		"suite.yaml": "acts_version: \"1.0\"\nspec_version: \"1.0\"\nvariables: {v: master, w: master}\ninclude: [b.yaml, a.yaml]\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Tests) != 2 || s.Tests[0].ID != "T-2" || s.Tests[1].Variables["w"] != "own" || s.Tests[1].Variables["v"] != "master" {
		t.Errorf("got %+v", s.Tests)
	}
}

func TestTheFormsOfTheOfficialFilesAreRead(t *testing.T) {
	t.Parallel()
	s, err := load(map[string]string{"x.yaml": file(`    - id: card
      operation: get_agent_card
      params: {extended: true}
      expect_error: {code: {one_of: [TaskNotFoundError]}, data: {type: array}}
    - id: push
      operation: set_push_notification_config
      params: {}
      expect: {status: error, error: {exists: true}}
    - id: bare
      operation: get_task
      params: {}
      expect: {task: {id: {type: string}}}
    - id: stream
      operation: subscribe_to_task
      params: {}
      expect_stream:
        events:
        - {match: any_position, artifact: {exists: true}}
        - {index: 3, one_of: [{task: {exists: true}}]}
`, "")})
	if err != nil {
		t.Fatal(err)
	}
	steps := s.Tests[0].Steps
	if steps[0].Operation != "get_extended_agent_card" || len(steps[0].Params) != 0 || steps[0].Error.Details == nil {
		t.Errorf("card: %+v", steps[0])
	}
	if steps[1].Operation != "create_push_config" || !steps[1].Expect.AnyError || steps[1].Expect.Failure == nil {
		t.Errorf("push: %+v", steps[1])
	}
	body := map[string]any{"task": map[string]any{"id": "x"}}
	if steps[2].Expect.Body.Check(body, nil) != nil || steps[2].Expect.Body.Check(map[string]any{}, nil) == nil {
		t.Error("bare: the task is not what is checked")
	}
	if e := steps[3].Stream.Events; !e[0].Anywhere || e[1].Anywhere || e[1].Index != 3 {
		t.Errorf("stream: %+v", e)
	}
}
