// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/errand-a2a/errand/hack/acts/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// judged runs the tests of a directory and returns the lines by test and binding.
func judged(t *testing.T, s settings, args ...string) (*report.Report, map[string]report.Line) {
	t.Helper()
	parsed, err := parseArgs(args, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	parsed.known = s.known
	rep, err := parsed.test(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]report.Line{}
	for _, l := range rep.Lines {
		lines[l.Test.ID+" "+l.Binding] = l
	}
	return rep, lines
}

func TestRightExpectationsPass(t *testing.T) {
	t.Parallel()
	rep, lines := judged(t, settings{}, "-acts", "testdata/good")
	if !rep.OK() || len(lines) != 15 {
		t.Errorf("ok is %v with %d results", rep.OK(), len(lines))
	}
	for name, l := range lines {
		want := report.Pass
		if strings.HasPrefix(name, "GOOD-SKIP") {
			want = report.Skip
		}
		if l.Verdict != want {
			t.Errorf("%s: %s: %s", name, l.Verdict, l.Why)
		}
	}
}

func TestWrongExpectationsFailAndSayWhy(t *testing.T) {
	t.Parallel()
	rep, lines := judged(t, settings{}, "-acts", "testdata/wrong")
	want := map[string]string{
		"WRONG-BODY-001 jsonrpc":      `send: task.status.state: want "TASK_STATE_FAILED", got "TASK_STATE_COMPLETED"`,
		"WRONG-BODY-001 rest":         `send: task.status.state: want "TASK_STATE_FAILED", got "TASK_STATE_COMPLETED"`,
		"WRONG-BODY-001 grpc":         `send: task.status.state: want "TASK_STATE_FAILED", got "TASK_STATE_COMPLETED"`,
		"WRONG-STATUS-001 rest":       "get: status: want 204, got 200",
		"WRONG-NOERROR-001 rest":      "get: want an error, got {",
		"WRONG-ANYERROR-001 rest":     "get: want an error, got {",
		"WRONG-ERROR-001 jsonrpc":     "get: want an answer, got TaskNotFoundError",
		"WRONG-ERRORNAME-001 jsonrpc": `get: error: want "TaskNotCancelableError", got "TaskNotFoundError"`,
		"WRONG-ERRORNAME-001 grpc":    `get: error: want "TaskNotCancelableError", got "TaskNotFoundError"`,
		"WRONG-CAPTURE-001 rest":      "get: capture x: there is nothing at no.such.member",
		"WRONG-VARIABLE-001 rest":     "get: there is no variable {{nobody}}",
		"WRONG-ASSERTION-001 rest":    "get: get.response: any: skills[*]: none of 1 elements matches",
		"WRONG-ASSERTION-002 rest":    `get.response: want "nobody", got "conformance"`,
		"WRONG-REPEAT-001 rest":       "get: name == nobody: did not become true in 2 attempts",
		"WRONG-STREAM-001 rest":       "events, want at least 50",
		"WRONG-STREAM-002 jsonrpc":    "events, want at most 1",
		"WRONG-STREAM-003 rest":       "final event: status.state: want",
		"WRONG-STREAM-003 grpc":       "final event: status.state: want",
		"WRONG-STREAM-004 rest":       "events matches; the last: message: is missing",
		"WRONG-STREAM-005 rest":       "event 0: status_update: is missing",
		"WRONG-STREAM-006 jsonrpc":    "stream: the stream did not end within 300ms",
		"WRONG-STREAM-006 grpc":       "stream: the stream did not end within 300ms",
		"WRONG-STREAM-007 rest":       "stream: want an answer, got TaskNotFoundError",
		"WRONG-STREAM-007 grpc":       "stream: want an answer, got TaskNotFoundError",
		"WRONG-RAW-001 rest":          "get: status: want 200, got 404",
		"WRONG-CLIENT-001 client":     `parse: id: want "other", got "t"`,
		"WRONG-CLIENT-002 client":     "parse: the client refuses the answer",
	}
	if rep.OK() {
		t.Error("the report is in order")
	}
	for name, l := range lines {
		if l.Verdict != report.Fail || want[name] == "" || !strings.Contains(l.Why, want[name]) {
			t.Errorf("%s: %s: %s\nwant %s", name, l.Verdict, l.Why, want[name])
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d results, want %d", len(lines), len(want))
	}
}

func TestADeviationThatPassesIsAnError(t *testing.T) {
	t.Parallel()
	known := []report.Deviation{{Test: "GOOD-ERROR-001", Says: "x", Reason: "It was so once."}}
	rep, lines := judged(t, settings{known: known}, "-acts", "testdata/good", "-run", "GOOD-ERROR")
	if l := lines["GOOD-ERROR-001 rest"]; rep.OK() || l.Verdict != report.Stale {
		t.Errorf("ok is %v, the verdict %s", rep.OK(), l.Verdict)
	}
}

func TestTheExitStatusSaysHowItWent(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "page.md")
	tests := []struct {
		name string
		args []string
		want int
		says string
	}{
		{"tests that pass", []string{"-acts", "testdata/good", "-run", "GOOD-RAW-001"}, exitOK, "pass      must   rest     GOOD-RAW-001"},
		{"a must that fails", []string{"-acts", "testdata/wrong", "-run", "WRONG-RAW"}, exitFailed, "error: WRONG-RAW-001 over rest: get: status"},
		{"deviations of tests that there are not", []string{"-acts", "testdata/good", "-markdown", page}, exitFailed, "which is no test"},
		{"no directory", nil, exitUsage, "want -acts DIR"},
		{"a directory without tests", []string{"-acts", t.TempDir()}, exitUsage, "no .yaml file"},
		{"tests that match nothing", []string{"-acts", "testdata/good", "-run", "nothing"}, exitUsage, "matches no test"},
		{"a page about some tests", []string{"-acts", "testdata/good", "-run", "x", "-markdown", page}, exitUsage, "-markdown is about all tests"},
		{"an expression that is none", []string{"-acts", "testdata/good", "-run", "("}, exitUsage, "missing closing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if code := run(t.Context(), tt.args, &out, &out); code != tt.want || !strings.Contains(out.String(), tt.says) {
				t.Errorf("ended with %d, want %d and %q:\n%s", code, tt.want, tt.says, out.String())
			}
		})
	}
	t.Cleanup(func() {
		if b, err := os.ReadFile(page); err != nil || !bytes.HasPrefix(b, []byte("# Conformance\n")) {
			t.Errorf("the page: %v, %.40q", err, b)
		}
	})
}
