// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"testing"

	"github.com/errand-a2a/errand/hack/acts/format"
	"github.com/errand-a2a/errand/hack/acts/runner"
)

func result(level string, o runner.Outcome, why string) runner.Result {
	return runner.Result{Test: &format.Test{ID: "T-1", Name: "N", Level: level}, Binding: "rest", Outcome: o, Why: why}
}

func TestResultsAreJudgedBesideTheKnownDeviations(t *testing.T) {
	t.Parallel()
	known := Deviation{Test: "T-1", Says: "red", Reason: "It is so."}
	amend := Deviation{Test: "T-1", Says: "red", Amend: "x", Reason: "It is so."}
	tests := []struct {
		name     string
		res      runner.Result
		known    []Deviation
		again    runner.Outcome // of the amended run
		want     Verdict
		ok       bool
		complete bool
	}{
		{"a pass", result("must", runner.Pass, ""), nil, "", Pass, true, true},
		{"a skip", result("must", runner.Skip, "s"), nil, "", Skip, true, true},
		{"a failure of a must", result("must", runner.Fail, "f"), nil, "", Fail, false, true},
		{"a failure of a should", result("should", runner.Fail, "f"), nil, "", Fail, true, true},
		{"a known failure", result("must", runner.Fail, "it is red"), []Deviation{known}, "", Deviates, true, true},
		{"a known failure that fails otherwise", result("must", runner.Fail, "it is blue"), []Deviation{known}, "", Fail, false, true},
		{"a known failure that passes", result("may", runner.Pass, ""), []Deviation{known}, "", Stale, false, true},
		{"a known failure that is skipped", result("may", runner.Skip, "s"), []Deviation{known}, "", Stale, false, true},
		{"a known failure over another binding", result("must", runner.Fail, "it is red"), []Deviation{{Test: "T-1", Bindings: []string{"grpc"}}}, "", Fail, false, true},
		{"a deviation of no test", result("must", runner.Pass, ""), []Deviation{{Test: "T-2"}}, "", Pass, false, true},
		{"a deviation of a test that was left out", result("must", runner.Pass, ""), []Deviation{{Test: "T-2"}}, "", Pass, true, false},
		{"a failure that the amendment mends", result("must", runner.Fail, "it is red"), []Deviation{amend}, runner.Pass, Deviates, true, true},
		{"a failure that the amendment does not mend", result("must", runner.Fail, "it is red"), []Deviation{amend}, runner.Fail, Fail, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rep := Judge([]runner.Result{tt.res}, tt.known, tt.complete, func(_ *format.Test, _, amend string) runner.Result {
				if amend != "x" {
					t.Errorf("run again with the amendment %q", amend)
				}
				return runner.Result{Outcome: tt.again}
			})
			if got := rep.Lines[0].Verdict; got != tt.want || rep.OK() != tt.ok {
				t.Errorf("judged %s, ok %v; want %s, %v", got, rep.OK(), tt.want, tt.ok)
			}
		})
	}
}

func TestThePageIsTheSameForTheSameResults(t *testing.T) {
	t.Parallel()
	page := func(id, port string) string {
		why := `got "` + id + `" from 127.0.0.1:` + port + " at 2026-01-02T03:04:05.678Z | more"
		rep := Judge([]runner.Result{result("must", runner.Fail, why)}, nil, true, nil)
		var b strings.Builder
		if err := rep.Markdown(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	one := page("01a1fafb-4a86-7d57-9b6c-18ba932a0e29", "1234")
	if two := page("01a1fafb-4a88-70bb-a08b-c9f4ce1212b8", "54321"); one != two {
		t.Error("ids and addresses of the run are in the page")
	}
	for _, want := range []string{"| must | rest | 1 | 0 | 0 | 0 | 1 |", `| T-1 | must | rest | got "UUID" from ADDRESS at TIME \| more |`, "| T-1 | must |  | fail |  |  |"} {
		if !strings.Contains(one, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestThePageJoinsBindingsAndNamesSections(t *testing.T) {
	t.Parallel()
	a, b := result("must", runner.Fail, "it is red"), result("must", runner.Fail, "it is red indeed")
	b.Binding = "grpc"
	known := []Deviation{{Test: "T-1", Says: "red", Section: "4.2", Reason: "It is so.", Amend: "x"}}
	rep := Judge([]runner.Result{a, b}, known, true, func(*format.Test, string, string) runner.Result { return runner.Result{Outcome: runner.Pass} })
	var page, lines strings.Builder
	if err := rep.Markdown(&page); err != nil {
		t.Fatal(err)
	}
	if want := "| T-1 | must | rest, grpc | 4.2 | It is so. With a `x` added, the test passes; the runner checks that. |"; !strings.Contains(page.String(), want) {
		t.Errorf("the page lacks %q:\n%s", want, page.String())
	}
	if err := rep.Print(&lines, false); err != nil {
		t.Fatal(err)
	}
	if want := "deviation must   rest     T-1: It is so.\n"; !strings.HasPrefix(lines.String(), want) {
		t.Errorf("printed %q, want %q", lines.String(), want)
	}
}

// Every deviation says how the failure shows, or it would cover others too.
func TestKnownDeviationsAreWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, d := range Known() {
		if d.Test == "" || d.Says == "" || d.Reason == "" || seen[d.Test] {
			t.Errorf("%+v lacks something or stands twice", d)
		}
		seen[d.Test] = true
	}
}
