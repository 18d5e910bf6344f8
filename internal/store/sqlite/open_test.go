// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

func TestCommitsAreDurableAndItSaysSo(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir(), Options{})
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "wal_autocheckpoint": "0", "busy_timeout": "5000",
		"temp_store": "2", "page_size": fmt.Sprint(pageSize),
	} {
		got, err := s.db.writer.pragma(pragma)
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s of the writer is %v (%v), want %s", pragma, got, err, want)
		}
	}
	err := s.db.Read(t.Context(), func(c sqlstore.Conn) error {
		got, err := c.(*conn).pragma("query_only")
		if err != nil || got[0] != "1" {
			t.Errorf("query_only of a reader is %v (%v)", got, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	about := s.About()
	if about.Driver != "sqlite" || about.Location != s.db.path || !strings.Contains(about.Durable, "synchronous=FULL") {
		t.Errorf("about: %+v", about)
	}
}

func TestWhatACommitIsWorthIsLogged(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	openIn(t, t.TempDir(), Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if !strings.Contains(log.String(), "journal_mode=WAL, synchronous=FULL") {
		t.Errorf("the log does not say how durable a commit is: %s", log.String())
	}
}

func TestAnOldSQLiteIsRefused(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"3.51.2": true, "3.9.99": true, "2.99.99": true, "3.51.3": false, "3.52.0": false, "4.0": false, "": true,
	} {
		if got := older(version, oldest); got != want {
			t.Errorf("%q is older: %v, want %v", version, got, want)
		}
	}
}

// openChild tries to open a store that its parent has open.
func openChild() int {
	s, err := Open(context.Background(), os.Getenv("ERRAND_SQLITE_TEST_PATH"), Options{})
	if err != nil {
		fmt.Println(err)
		return 3
	}
	_ = s.Close() // the exit code is the answer
	return 0
}

func child(t *testing.T, what, path string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childVariable+"="+what, "ERRAND_SQLITE_TEST_PATH="+path)
	return cmd
}

func TestASecondProcessIsRefusedAndToldWhoHasIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := child(t, "open", path).Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("the second process: %v, %s", err, out)
	}
	for _, part := range []string{path, "another process", fmt.Sprintf("pid %d on ", os.Getpid()), " since 20"} {
		if !strings.Contains(string(out), part) {
			t.Errorf("the second process was not told %q: %s", part, out)
		}
	}
	if _, err := Open(t.Context(), path, Options{}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opened twice in one process: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := child(t, "open", path).Output(); err != nil {
		t.Errorf("after the first has gone: %v, %s", err, out)
	}
}

func TestLeasesAreVoidWhenTheFileIsOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	first := submit(t, s, "a")
	done := submit(t, s, "b")
	if _, err := s.Append(t.Context(), ending(done)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openIn(t, dir, Options{})
	if _, err := s.Append(t.Context(), ending(first)); !errors.Is(err, store.ErrFenced) {
		t.Errorf("the owner of before writes: %v", err)
	}
	claims, err := s.Claim(t.Context(), store.ClaimRequest{Agent: "demo", Limit: 10, Taker: store.Taker{Worker: "next", TTL: ttl}})
	if err != nil || len(claims) != 1 {
		t.Fatalf("claims: %v, %v", claims, err)
	}
	if c := claims[0]; c.Head.ID != "a" || c.Losses != 1 || c.Attempt != 2 || c.Head.Epoch != first.Head.Epoch+2 {
		t.Errorf("claim: %+v", c)
	}
}

func TestOpeningDoesNotTakeLongerWithFinishedTasks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	fill(t, s, 3000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	best := time.Hour
	for range 5 {
		began := time.Now()
		s, err := Open(t.Context(), filepath.Join(dir, "store.db"), Options{})
		best = min(best, time.Since(began))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("opened in %v", best)
	if best > time.Second { // a plain scan would be seen in the plans; this is for what nobody thought of
		t.Errorf("opening took %v", best)
	}
}

// fill makes tasks that have ended.
func fill(t *testing.T, s *Store, n int) {
	t.Helper()
	todo := make(chan int)
	errs := make(chan error)
	for range 32 {
		go func() {
			var err error
			for i := range todo {
				out, e := s.Submit(context.Background(), submission(fmt.Sprintf("t%07d", i)))
				if e == nil {
					_, e = s.Append(context.Background(), ending(out.Claim))
				}
				err = errors.Join(err, e)
			}
			errs <- err
		}()
	}
	for i := range n {
		todo <- i
	}
	close(todo)
	for range 32 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

func TestAMigrationThatIsNotOursIsRefusedAndNothingIsTouched(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]struct{ sql, says string }{
		"one that was changed":    {"UPDATE migrations SET checksum = 'other'", "not the one of this release"},
		"one of a newer release":  {"INSERT INTO migrations VALUES (99, '0099_later.sql', 'x')", "made by a newer one"},
		"a number that is absent": {"UPDATE migrations SET version = 7 WHERE version = 2", "not the one of this release"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := openIn(t, dir, Options{})
			submit(t, s, "a")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			sql(t, dir, spoil.sql)
			before, err := os.ReadFile(filepath.Join(dir, "store.db"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(t.Context(), filepath.Join(dir, "store.db"), Options{})
			if err == nil || !strings.Contains(err.Error(), spoil.says) || !strings.Contains(err.Error(), "nothing was changed") {
				t.Errorf("opened: %v", err)
			}
			after, err := os.ReadFile(filepath.Join(dir, "store.db"))
			if err != nil || string(before) != string(after) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

func TestAMigrationThatFailsIsMadeAgainAsAWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := newDatabase(path, Options{})
	c, err := d.openWriter()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	read := func(second string) sqlstore.Migrations {
		m, err := sqlstore.ReadMigrations(fstest.MapFS{
			"0001_one.sql": {Data: []byte("CREATE TABLE secrets (name TEXT, value BLOB);")},
			"0002_two.sql": {Data: []byte(second)},
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if err := read("CREATE TABLE two (a); CREATE TABLE two (a);").Migrate(c, dialect()); err == nil {
		t.Fatal("a migration that fails was accepted")
	}
	count := func(want string) {
		t.Helper()
		got, err := c.first("SELECT COUNT(*) FROM migrations")
		if err != nil || got[0] != want {
			t.Errorf("%v migrations (%v), want %s", got, err, want)
		}
	}
	count("1")
	for range 2 { // the second time there is nothing to do
		if err := read("CREATE TABLE two (a);").Migrate(c, dialect()); err != nil {
			t.Fatal(err)
		}
		count("2")
	}
	if _, err := sqlstore.ReadMigrations(fstest.MapFS{"0002_two.sql": {}}); err == nil {
		t.Error("migrations that do not begin with 1 were accepted")
	}
}

func TestNothingIsDoneAfterClose(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir(), Options{})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, submitErr := s.Submit(t.Context(), submission("a"))
	_, loadErr := s.Load(t.Context(), ref("a"))
	for _, err := range []error{submitErr, loadErr, s.Ready(t.Context()), s.db.Read(t.Context(), nil)} {
		if !errors.Is(err, store.ErrStopped) {
			t.Errorf("after Close: %v", err)
		}
	}
}
