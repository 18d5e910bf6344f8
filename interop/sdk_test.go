// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// result is one line that a script prints: one case over one binding.
type result struct {
	Binding string `json:"binding"`
	Case    string `json:"case"`
	OK      bool   `json:"ok"`
	Detail  string `json:"detail"`

	// Versions stands alone in the first line.
	Versions map[string]string `json:"versions"`
}

// scriptTimeout is many times what a script needs, and still leaves the test
// the time to say which cases are missing.
const scriptTimeout = 5 * time.Minute

// runScript runs a script of an SDK to its end and returns what it printed
// about every case. A script that dies halfway has printed what it did until
// then, so that the rest is reported as missing.
func runScript(t *testing.T, dir string, env []string, name string, args ...string) []result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if err != nil {
		t.Errorf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
	results, parseErr := parseResults(&out)
	if parseErr != nil {
		t.Errorf("what the script printed: %v", parseErr)
	}
	if s := strings.TrimSpace(errOut.String()); s != "" {
		t.Logf("the script's stderr:\n%s", s)
	}
	return results
}

func parseResults(r io.Reader) ([]result, error) {
	var results []result
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line result
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&line); err != nil {
			return results, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		results = append(results, line)
	}
	return results, lines.Err()
}

// report makes a subtest of every case of every binding, and fails where the
// script left out a case, ran one twice or knows one that nobody expects.
func report(t *testing.T, results []result, bindings []string, cases []sdkCase) {
	t.Helper()
	logVersions(t, results)
	for _, complaint := range compareCases(results, bindings, cases) {
		t.Error(complaint)
	}
	for _, binding := range bindings {
		t.Run(binding, func(t *testing.T) {
			for _, c := range cases {
				i := slices.IndexFunc(results, func(r result) bool { return r.Binding == binding && r.Case == c.id })
				if i < 0 {
					continue // complained about above, where it should be there
				}
				t.Run(c.says, func(t *testing.T) {
					if r := results[i]; !r.OK {
						t.Errorf("case %q:\n%s", r.Case, r.Detail)
					}
				})
			}
		})
	}
}

func logVersions(t *testing.T, results []result) {
	t.Helper()
	for _, r := range results {
		if r.Versions == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
			t.Logf("%s %s", name, r.Versions[name])
		}
		return
	}
	t.Error("the script did not say which versions it uses")
}

// compareCases returns a sentence for every difference between the cases that
// ran and those that there must be.
func compareCases(results []result, bindings []string, cases []sdkCase) []string {
	type key struct{ binding, id string }
	ran := map[key]int{}
	for _, r := range results {
		if r.Versions == nil {
			ran[key{r.Binding, r.Case}]++
		}
	}
	var complaints []string
	for _, binding := range bindings {
		for _, c := range cases {
			k := key{binding, c.id}
			if n := ran[k]; c.over(binding) && n != 1 {
				complaints = append(complaints, fmt.Sprintf("%s: case %q ran %d times, want once", binding, c.id, n))
			}
			if c.over(binding) {
				delete(ran, k)
			}
		}
	}
	for k := range ran {
		complaints = append(complaints, fmt.Sprintf("%s: case %q is in no list", k.binding, k.id))
	}
	slices.Sort(complaints)
	return complaints
}
