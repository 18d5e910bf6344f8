// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"path/filepath"
	"testing"
)

// The newest Python SDK drives every behaviour of the demo agent in A2A 1.0.
func TestPython(t *testing.T) {
	t.Parallel()
	unknownVersion := sdkCase{
		id: "unknown version", says: "an unknown version is the SDK's version not supported error",
		without: []string{"GRPC"},
	}
	bindings := []string{"JSONRPC", "HTTP+JSON", "GRPC"}
	results := runPython(t, "requirements.txt", "demo.py", bindings)
	report(t, results, bindings, casesV1(unknownVersion))
}

// The last Python SDK of A2A 0.3 drives every behaviour in that version.
func TestPythonV03(t *testing.T) {
	t.Parallel()
	bindings := []string{"JSONRPC", "HTTP+JSON", "GRPC"}
	results := runPython(t, "requirements-v03.txt", "demo_v03.py", bindings)
	report(t, results, bindings, casesV03())
}

func runPython(t *testing.T, requirements, script string, bindings []string) []result {
	t.Helper()
	python := pythonWith(t, requirements)
	s := startServer(t, "--max-attempts", "2")
	env := []string{"PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"}
	return runScript(t, "python", env, python, append([]string{script, s.url()}, bindings...)...)
}

// pythonWith is the interpreter of a virtual environment that holds what the
// file of requirements pins.
func pythonWith(t *testing.T, requirements string) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("python", requirements))
	if err != nil {
		t.Fatal(err)
	}
	version, err := tool("", "python3", "--version")
	if err != nil {
		t.Fatalf("this needs Python with its venv module (interop/setup.sh installs it on Debian): %v", err)
	}
	key := version + "\n" + string(contents(t, file))
	dir := installed(t, "python", key, func(dir string) error {
		if _, err := tool("", "python3", "-m", "venv", dir); err != nil {
			return err
		}
		_, err := tool("", filepath.Join(dir, "bin", "python"), "-m", "pip", "install",
			"--quiet", "--no-input", "--disable-pip-version-check", "--requirement", file)
		return err
	})
	return filepath.Join(dir, "bin", "python")
}
