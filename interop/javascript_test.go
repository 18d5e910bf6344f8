// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"os"
	"path/filepath"
	"testing"
)

// The newest JavaScript SDK drives every behaviour of the demo agent in A2A 1.0.
func TestJavaScript(t *testing.T) {
	t.Parallel()
	bindings := []string{"JSONRPC", "HTTP+JSON", "GRPC"}
	report(t, runJavaScript(t, "demo.mjs", bindings), bindings, casesV1())
}

// The last JavaScript SDK of A2A 0.3 drives every behaviour in that version.
func TestJavaScriptV03(t *testing.T) {
	t.Parallel()
	bindings := []string{"JSONRPC", "HTTP+JSON", "GRPC"}
	report(t, runJavaScript(t, "demo_v03.mjs", bindings), bindings, casesV03())
}

func runJavaScript(t *testing.T, script string, bindings []string) []result {
	t.Helper()
	dir := scriptsBesideModules(t)
	s := startServer(t, "--max-attempts", "2")
	return runScript(t, dir, nil, "node", append([]string{script, s.url()}, bindings...)...)
}

// scriptsBesideModules is a folder with the scripts and what they import,
// which Node looks for beside the importing file and nowhere else.
func scriptsBesideModules(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(nodeModules(t), "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob(filepath.Join("javascript", "*.mjs"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("found the scripts %v: %v", scripts, err)
	}
	for _, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(script)), contents(t, script), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// nodeModules is a folder in which npm installed what the lock file pins.
func nodeModules(t *testing.T) string {
	t.Helper()
	version, err := tool("", "node", "--version")
	if err != nil {
		t.Fatalf("this needs Node 18 or newer and npm (interop/setup.sh installs them on Debian): %v", err)
	}
	files := map[string][]byte{}
	key := version
	for _, name := range []string{"package.json", "package-lock.json"} {
		files[name] = contents(t, filepath.Join("javascript", name))
		key += "\n" + string(files[name])
	}
	return installed(t, "javascript", key, func(dir string) error {
		for name, b := range files {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				return err
			}
		}
		// No package of these needs its install scripts, so none is run.
		_, err := tool(dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		return err
	})
}
