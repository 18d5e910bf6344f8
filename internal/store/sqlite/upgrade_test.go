// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

var kills = flag.Int("kills", 5, "at about how many moments each step of the opening of an old file is killed")

// leftBehind are the files that older releases have left when they were killed.
func leftBehind(t *testing.T) map[string]files {
	t.Helper()
	dirs, err := filepath.Glob("../../prove/upgrade/testdata/upgrade/*/errand.db.gz")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	out := map[string]files{}
	for _, db := range dirs {
		out[filepath.Base(filepath.Dir(db))] = files{gunzip(t, db), gunzip(t, strings.Replace(db, ".db.", ".db-wal.", 1))}
	}
	return out
}

type files struct{ db, wal []byte }

func (f files) put(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	err := errors.Join(os.WriteFile(filepath.Join(dir, "store.db"), f.db, 0o600), os.WriteFile(filepath.Join(dir, "store.db-wal"), f.wal, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func gunzip(t *testing.T, path string) []byte {
	t.Helper()
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dump is everything in a store but the mark of its last batch, with the
// schema; it says too if the file is not whole.
func dump(t *testing.T, s *Store) []string {
	t.Helper()
	var out []string
	query := func(sql string) (rows []string) {
		err := s.db.Read(t.Context(), func(c sqlstore.Conn) error {
			return c.Query(&sqlstore.Statement{ID: -1, SQL: sql}, nil, func(x sqlstore.Row) error {
				rows = append(rows, x.Text(0))
				return nil
			})
		})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return rows
	}
	out = append(out, query("PRAGMA integrity_check")...)
	out = append(out, query("SELECT COALESCE(sql, name) FROM sqlite_master ORDER BY name")...)
	for _, table := range query("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'batches' ORDER BY name") {
		columns := query("SELECT 'quote(' || name || ')' FROM pragma_table_info('" + table + "')")
		for _, row := range query("SELECT " + strings.Join(columns, " || ' ' || ") + " AS line FROM " + table + " ORDER BY line") {
			out = append(out, table+" "+row)
		}
	}
	return out
}

const frameSize = 24 + pageSize // of the write-ahead log, which begins with 32 bytes

// moment is what lay on the disk: what a kill can leave after it is every
// beginning of the write-ahead log from there on.
type moment struct {
	files
	from int
}

// takeover gives the two moments of the opening of an old file: the migrations,
// behind what the kill of the old release has left in the log, and then, the log
// being in the file, what becomes of the leases. The last is how it ends.
func takeover(t *testing.T, old files, o Options) (migrating, voiding moment, want []string) {
	t.Helper()
	dir := old.put(t)
	path := filepath.Join(dir, "store.db")
	db := newDatabase(path, o)
	if err := db.migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	migrating = moment{files{old.db, read(t, path+"-wal")}, len(old.wal)}
	if !bytes.HasPrefix(migrating.wal, old.wal) {
		t.Fatal("the migrations do not stand behind what was in the log")
	}
	if err := db.writer.Close(); err != nil {
		t.Fatal(err)
	}
	s := openIn(t, old.put(t), o)
	voiding = moment{files{read(t, s.db.path), read(t, s.db.path+"-wal")}, 0}
	want = dump(t, s)
	if want[0] != "ok" {
		t.Fatalf("integrity: %s", want[0])
	}
	return migrating, voiding, want
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnOpeningOfAnOldFileThatIsKilledAnywhereIsMadeAgain(t *testing.T) {
	t.Parallel()
	for name, old := range leftBehind(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{Clock: newClock().Now}
			migrating, voiding, want := takeover(t, old, o)
			cuts := 0
			for _, m := range []moment{migrating, voiding} {
				frames := (len(m.wal) - m.from) / frameSize
				for n := 0; n <= frames; n += 1 + frames / *kills {
					end := len(m.wal) - (frames-n)*frameSize
					if cuts++; cuts%4 == 0 {
						end = min(end+frameSize/2, len(m.wal)) // within a frame
					}
					again := openIn(t, files{m.db, m.wal[:end]}.put(t), o)
					if d := cmp.Diff(want, dump(t, again)); d != "" {
						t.Fatalf("cut at %d of %d, from %d (-whole +cut):\n%s", end, len(m.wal), m.from, d)
					}
					if err := again.Close(); err != nil {
						t.Fatal(err)
					}
				}
			}
			t.Logf("killed at %d moments", cuts)
		})
	}
}

func TestAnOldFileHasTheSchemaOfANewOneAfterIt(t *testing.T) {
	t.Parallel()
	schema := func(s *Store) (out []string) {
		for _, line := range dump(t, s) {
			if strings.HasPrefix(line, "CREATE INDEX") || strings.HasPrefix(line, "migrations ") {
				out = append(out, line)
			}
		}
		return out
	}
	want := schema(openIn(t, t.TempDir(), Options{}))
	for name, old := range leftBehind(t) {
		if d := cmp.Diff(want, schema(openIn(t, old.put(t), Options{}))); d != "" {
			t.Errorf("%s (-new +old):\n%s", name, d)
		}
	}
}
