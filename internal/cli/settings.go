// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	sourceFlag    = "flag"
	sourceDefault = "default"
	maxDotenv     = 1 << 20
)

// settings resolves options that no flag gave: from the environment, then the
// local file, then the global one.
type settings struct {
	env      map[string]string
	files    []dotenvFile
	warnings []string
	sources  map[string]string // by flag name, of those not left at their default
}

type dotenvFile struct {
	path   string
	values map[string]string
}

func newSettings(environ []string) *settings {
	s := &settings{env: map[string]string{}, sources: map[string]string{}}
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			s.env[k] = v
		}
	}
	return s
}

// load reads the files. explicit replaces the local one and must exist.
func (s *settings) load(explicit string) error {
	local := explicit
	if local == "" {
		local = nearestDotenv()
	}
	for _, path := range []string{local, s.globalPath()} {
		if path == "" {
			continue
		}
		err := s.read(path)
		if errors.Is(err, fs.ErrNotExist) && path != explicit {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the configuration: %w", err)
		}
	}
	return nil
}

func (s *settings) globalPath() string {
	home := s.env["HOME"]
	if home == "" {
		home = s.env["USERPROFILE"]
	}
	if home == "" {
		return ""
	}
	return filepath.Join(home, ".config", "a2a-cli", ".env")
}

// nearestDotenv looks in the working directory and those above it, as git does.
func nearestDotenv() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		path := filepath.Join(dir, ".env")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

func (s *settings) read(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() > maxDotenv {
		return fmt.Errorf("%s is larger than %d bytes", path, maxDotenv)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	values, err := parseDotenv(string(content))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	secret := values["A2ACLI_BEARER"] != "" || values["A2ACLI_API_KEY"] != ""
	if secret && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		s.warnings = append(s.warnings, fmt.Sprintf("%s holds credentials and others can read it; run: chmod 600 %s", path, shellQuote(path)))
	}
	s.files = append(s.files, dotenvFile{path: path, values: values})
	return nil
}

func variable(flag string) string {
	return "A2ACLI_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// lookup finds an option's value outside the flags and says where.
func (s *settings) lookup(flag string) (value, source string, ok bool) {
	name := variable(flag)
	if v, ok := s.env[name]; ok {
		return v, "environment " + name, true
	}
	for _, f := range s.files {
		if v, ok := f.values[name]; ok {
			return v, f.path, true
		}
	}
	return "", "", false
}

// flagOnly are flags that must stand on the command line: those that shape the
// output or one message, those that are actions, and aliases.
func flagOnly(name string) bool {
	switch name {
	case "stream", "help", "version", "config", "text", "file", "data", "media-type", "idempotency-key",
		"return-immediately", "no-wait", "watch", "validate", "listen", "store":
		return true
	}
	return false
}

// apply sets the flags that the command line did not.
func (s *settings) apply(flags *pflag.FlagSet) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			s.sources[f.Name] = sourceFlag
			return
		}
		if flagOnly(f.Name) {
			return
		}
		v, source, ok := s.lookup(f.Name)
		if !ok {
			return
		}
		values := []string{v}
		if f.Name == "transport" {
			values = strings.Split(v, ",")
		}
		for _, v := range values {
			if err := f.Value.Set(v); err != nil {
				// The value may be a secret: it is not repeated.
				errs = append(errs, fmt.Errorf("the value for --%s from %s is invalid", f.Name, source))
			}
		}
		s.sources[f.Name] = source
	})
	return errors.Join(errs...)
}

func (s *settings) source(flag string) string {
	if src := s.sources[flag]; src != "" {
		return src
	}
	return sourceDefault
}

func (r *run) configShowCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "show", Short: "Show each setting and where its value comes from", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t := r.text()
			cmd.Flags().VisitAll(func(f *pflag.Flag) {
				if flagOnly(f.Name) && f.Name != "config" {
					return
				}
				v := f.Value.String()
				if v != "" && v != "[]" && (f.Name == "bearer" || f.Name == "api-key" || f.Name == "svc-param") {
					v = redacted
				}
				t.field(f.Name, fmt.Sprintf("%s (%s)", v, r.settings.source(f.Name)))
			})
			for _, name := range []string{"async", "wait", "poll-interval", "context-id", "task-id", "metadata", "history"} {
				if v, source, ok := r.settings.lookup(name); ok {
					t.field(name, fmt.Sprintf("%s (%s)", v, source))
				}
			}
			return r.write(t)
		},
	}
	return c
}
