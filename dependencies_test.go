// SPDX-License-Identifier: Apache-2.0

package errand_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const dependenciesDoc = "docs/dependencies.md"

// licences that a dependency may have: none asks anything of those who ship Errand but a notice, and MPL-2.0 asks for
// the source of changed files of the library itself.
var licences = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0"}

// A dependency is a decision, so every one has a row that says why, and no row outlives its dependency.
func TestEveryDependencyHasARow(t *testing.T) {
	doc, err := os.ReadFile(dependenciesDoc)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parseRows(string(doc))
	if err != nil {
		t.Fatal(err)
	}
	var mods []modFile
	for _, path := range []string{"go.mod", "bench/go.mod", "interop/go.mod", "tools/go.mod"} {
		mod, err := readModFile(t, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a module that is not there yet
		}
		if err != nil {
			t.Fatal(err)
		}
		mods = append(mods, mod)
	}
	for _, complaint := range compareRows(rows, mods) {
		t.Error(complaint)
	}
}

// modernc.org/libc is half of the SQLite driver, and the two are tested together in one pair of versions only.
func TestLibcIsTheOneThatSQLiteNames(t *testing.T) {
	ours, err := readModFile(t, "go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if ours.version("modernc.org/sqlite") == "" {
		t.Fatal("go.mod does not name modernc.org/sqlite")
	}
	var sqlite struct{ GoMod string }
	goJSON(t, &sqlite, "list", "-m", "-json", "modernc.org/sqlite")
	if sqlite.GoMod == "" { // an empty module cache
		goJSON(t, &sqlite, "mod", "download", "-json", "modernc.org/sqlite")
	}
	theirs, err := readModFile(t, sqlite.GoMod)
	if err != nil {
		t.Fatal(err)
	}
	if complaint := compareLibc(ours, theirs); complaint != "" {
		t.Error(complaint)
	}
}

func compareLibc(ours, theirs modFile) string {
	const libc = "modernc.org/libc"
	if got, want := ours.version(libc), theirs.version(libc); got != want || want == "" {
		return fmt.Sprintf("%s has %s %q, but modernc.org/sqlite %s is made for %q",
			ours.path, libc, got, ours.version("modernc.org/sqlite"), want)
	}
	return ""
}

// modFile is a go.mod as `go mod edit -json` prints it.
type modFile struct {
	path    string
	Require []struct {
		Path, Version string
		Indirect      bool
	}
}

func (m modFile) version(module string) string {
	for _, r := range m.Require {
		if r.Path == module {
			return r.Version
		}
	}
	return ""
}

func readModFile(t *testing.T, path string) (modFile, error) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		return modFile{}, err
	}
	mod := modFile{path: path}
	goJSON(t, &mod, "mod", "edit", "-json", path)
	return mod, nil
}

func goJSON(t *testing.T, into any, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, into)
	}
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
}

// row is one line of a table of docs/dependencies.md. A version of "-" means that the build list decides.
type row struct{ module, version, licence, usedBy, why string }

func parseRows(doc string) ([]row, error) {
	var rows []row
	for line := range strings.Lines(doc) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		if cells[0] == "module" || strings.HasPrefix(cells[0], "--") {
			continue
		}
		if len(cells) != 5 || slices.Contains(cells, "") {
			return nil, fmt.Errorf("%s: a row needs module, version, licence, used by and why: %s", dependenciesDoc, line)
		}
		rows = append(rows, row{cells[0], cells[1], cells[2], cells[3], cells[4]})
	}
	return rows, nil
}

// compareRows returns a sentence for each difference between the rows and what the go.mod files require.
func compareRows(rows []row, mods []modFile) []string {
	var found []string
	byModule := map[string]row{}
	for _, r := range rows {
		if _, twice := byModule[r.module]; twice {
			found = append(found, fmt.Sprintf("%s: two rows for %s", dependenciesDoc, r.module))
		}
		if !slices.Contains(licences, r.licence) {
			found = append(found, fmt.Sprintf("%s: the licence %q of %s is none of %v", dependenciesDoc, r.licence, r.module, licences))
		}
		byModule[r.module] = r
	}
	required := map[string]bool{}
	for _, mod := range mods {
		for _, req := range mod.Require {
			if strings.HasPrefix(req.Path, modulePath) {
				continue
			}
			r, ok := byModule[req.Path]
			switch {
			case !ok:
				found = append(found, fmt.Sprintf("%s requires %s %s, which has no row in %s", mod.path, req.Path, req.Version, dependenciesDoc))
			case required[req.Path]: // the first file that requires it decides about the version
			case r.version == "-" && !req.Indirect:
				found = append(found, fmt.Sprintf("%s: %s is required directly by %s: the row needs its version, %s", dependenciesDoc, req.Path, mod.path, req.Version))
			case r.version != "-" && r.version != req.Version:
				found = append(found, fmt.Sprintf("%s says %s %s, %s says %s", dependenciesDoc, req.Path, r.version, mod.path, req.Version))
			}
			required[req.Path] = true
		}
	}
	for _, r := range rows {
		if !required[r.module] {
			found = append(found, fmt.Sprintf("%s: no go.mod requires %s: the row goes", dependenciesDoc, r.module))
		}
	}
	return found
}

func TestDependencyCheckIsAbleToFail(t *testing.T) {
	mod := func(path, requires string) modFile {
		m := modFile{path: path}
		if err := json.Unmarshal([]byte(`{"Require":[`+requires+`]}`), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	ours := mod("go.mod", `{"Path":"a.org/a","Version":"v1.0.0"},{"Path":"a.org/b","Version":"v2.0.0","Indirect":true}`)
	bench := mod("bench/go.mod", `{"Path":"a.org/a","Version":"v1.1.0"},{"Path":"`+modulePath+`","Version":"v0.0.0"}`)
	const a, b = "| `a.org/a` | v1.0.0 | MIT | root | x |\n", "| a.org/b | - | MIT | root | x |\n"
	tests := []struct{ name, doc, want string }{
		{"in step", "# head\n\n| module | version | licence | used by | why |\n|---|---|---|---|---|\n" + a + b, ""},
		{"a missing row", a, "has no row"},
		{"a row too many", a + b + "| a.org/c | - | MIT | root | x |\n", "the row goes"},
		{"another version", strings.Replace(a, "v1.0.0", "v1.0.1", 1) + b, "says a.org/a v1.0.1"},
		{"another version of an indirect one", a + strings.Replace(b, "-", "v1.0.0", 1), "says a.org/b v1.0.0"},
		{"a direct one without a version", strings.Replace(a, "v1.0.0", "-", 1) + b, "needs its version"},
		{"two rows", a + a + b, "two rows"},
		{"a licence that binds", strings.Replace(a, "MIT", "AGPL-3.0", 1) + b, "AGPL-3.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows, err := parseRows(tt.doc)
			if err != nil {
				t.Fatal(err)
			}
			got := compareRows(rows, []modFile{ours, bench})
			if tt.want == "" && len(got) > 0 {
				t.Errorf("refused: %q", got)
			}
			if tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
				t.Errorf("got %q, want one complaint with %q", got, tt.want)
			}
		})
	}
	for _, line := range []string{"| a.org/a | v1.0.0 | MIT | root |", "| a.org/a | v1.0.0 | MIT | root | |"} {
		if _, err := parseRows(line); err == nil {
			t.Errorf("parseRows accepted %q", line)
		}
	}
	pair := mod("go.mod", `{"Path":"modernc.org/libc","Version":"v1.0.0"}`)
	if got := compareLibc(pair, mod("sqlite", `{"Path":"modernc.org/libc","Version":"v1.0.0"}`)); got != "" {
		t.Error(got)
	}
	if compareLibc(pair, mod("sqlite", `{"Path":"modernc.org/libc","Version":"v1.0.1"}`)) == "" {
		t.Error("compareLibc lets another libc pass")
	}
}
