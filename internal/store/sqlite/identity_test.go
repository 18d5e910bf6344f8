// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// photograph is everything in a directory: bytes, modes and times.
func photograph(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&out, strings.TrimPrefix(path, dir), info.Mode(), info.ModTime(), info.Size())
		if !info.Mode().IsRegular() {
			return nil
		}
		body, err := os.ReadFile(path)
		out.Write(body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// somebodyElses makes a database as another program would.
func somebodyElses(t *testing.T, path, script string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := openConn(path, "BEGIN", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Script(script); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// aStore makes a store that is closed, and changes its bytes.
func aStore(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	submit(t, s, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFileThatIsNoStoreIsNamedAndNothingIsTouched(t *testing.T) {
	t.Parallel()
	write := func(body string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	sql := func(script string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) { t.Helper(); somebodyElses(t, path, script) }
	}
	spoilt := func(change func([]byte) []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) { t.Helper(); aStore(t, path, change) }
	}
	for name, test := range map[string]struct {
		make func(t *testing.T, path string)
		says string
	}{
		"a text":                       {write("Dear diary,\n"), "not a database of SQLite"},
		"a long text":                  {write(strings.Repeat("Dear diary,\n", 1000)), "not a database of SQLite"},
		"the beginning of a header":    {write("SQLite format 3\x00"), "not a database of SQLite"},
		"a database with a number":     {sql("PRAGMA application_id = 1234; CREATE TABLE t (a)"), "another application (application_id 0x4d2)"},
		"a database with other tables": {sql("CREATE TABLE cats (a); CREATE TABLE dogs (a)"), "another application (with the tables cats, dogs)"},
		"one with migrations of its own": {
			sql("CREATE TABLE migrations (version INTEGER, name TEXT); INSERT INTO migrations VALUES (1, 'cats'); CREATE TABLE cats (a)"),
			"another application (with the tables cats, migrations)",
		},
		"one with a log of its own": {sql("PRAGMA journal_mode = WAL; CREATE TABLE cats (a)"), "another application"},
		"a store that was cut off":  {spoilt(func(b []byte) []byte { return b[:20000] }), "malformed"},
		"a store without its header": {
			spoilt(func(b []byte) []byte { copy(b, make([]byte, 100)); return b }), "not a database of SQLite",
		},
		"a store whose first page is noise": {
			spoilt(func(b []byte) []byte { copy(b[headerSize:pageSize], bytes.Repeat([]byte{0xa5}, pageSize)); return b }), "malformed",
		},
		"a directory": {func(t *testing.T, path string) {
			t.Helper()
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "it is no file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "store.db")
			test.make(t, path)
			if err := os.WriteFile(filepath.Join(dir, "neighbour"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			long := time.Now().Add(-time.Hour)
			if err := os.Chtimes(dir, long, long); err != nil {
				t.Fatal(err)
			}
			before := photograph(t, dir)
			s, err := Open(t.Context(), path, Options{})
			if err == nil {
				t.Fatal("it was opened", s.Close())
			}
			if text := err.Error(); !strings.Contains(text, path) || !strings.Contains(text, test.says) || strings.Contains(text, "\n") {
				t.Errorf("it says %q", text)
			}
			if photograph(t, dir) != before {
				t.Error("something was changed")
			}
		})
	}
}

// A store of a release that did not mark its files is one all the same, and
// marked from then on. So is one whose log has not been brought into it yet.
func TestAStoreIsKnownByItsMigrationsOrItsNumber(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	submit(t, s, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sql(t, dir, "PRAGMA application_id = 0")
	for range 2 {
		s = openIn(t, dir, Options{})
		if got, err := s.db.writer.pragma("application_id"); err != nil || got[0] != fmt.Sprint(applicationID) {
			t.Errorf("its number is %v (%v)", got, err)
		}
		if _, err := s.Load(t.Context(), ref("a")); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What another program has only in its log is seen when the log is read.
func TestADatabaseWhoseTablesAreInItsLogIsRefusedToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := openConn(path, "BEGIN", []string{"journal_mode = WAL", "wal_autocheckpoint = 0"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Script("CREATE TABLE cats (a); INSERT INTO cats VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path, Options{})
	if err == nil {
		t.Fatal("it was opened", s.Close())
	}
	if !strings.Contains(err.Error(), "another application (with the tables cats)") {
		t.Errorf("it says %q", err)
	}
	got, err := c.first("SELECT group_concat(name) FROM sqlite_master")
	if err != nil || !slices.Equal(got, []string{"cats"}) {
		t.Errorf("its tables are %v (%v)", got, err)
	}
}
