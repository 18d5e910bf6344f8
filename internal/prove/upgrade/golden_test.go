// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

var (
	writeTo = flag.String("write", "", "write a fixture of this name into testdata/upgrade, by the program of -binary, and run no test")
	binary  = flag.String("binary", "", "the program of the release that writes")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *writeTo != "" {
		if err := write(*binary, *writeTo); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// golden is what clients of the old release were told before it was killed.
type golden struct {
	// Settled are the ids of the tasks that had ended or waited for their caller,
	// by what they are; Open are those of the others.
	Settled, Open map[string]string
	// Tasks are the answers to GetTask, by id, of those that had settled.
	Tasks map[string]json.RawMessage
	// Seen are the events of some tasks, by id, each as it came.
	Seen map[string][]seen
	// Listing are the pages of a listing, which holds what had settled.
	Listing []page
	// Keyed is the message, with its idempotency key, that made Settled["asking"].
	Keyed message
	// Behind is the id of the message that waited behind the turn of Open["counting"].
	Behind string
}

type seen struct {
	ID    int
	Event json.RawMessage
}

type page struct {
	IDs   []string
	Token string // of the next one
	Total string `json:"-"` // tasks that match
}

type message struct{ ID, Text, Key string }

// counts is how far Open["counting"] counts.
const counts = 120

// pageSize is that of golden.Listing.
const pageSize = 5

// fixtures are the releases whose databases are kept.
func fixtures(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join("testdata", "upgrade", "*", "golden.json.gz"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for i, d := range dirs {
		dirs[i] = filepath.Base(filepath.Dir(d))
	}
	return dirs
}

// unpack gives what clients were told, and the path of a copy of the database.
func unpack(t *testing.T, fixture string) (g golden, path string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"errand.db", "errand.db-wal"} {
		if err := os.WriteFile(filepath.Join(dir, name), gunzip(t, fixture, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal(gunzip(t, fixture, "golden.json"), &g); err != nil {
		t.Fatal(err)
	}
	return g, filepath.Join(dir, "errand.db")
}

func gunzip(t *testing.T, fixture, name string) []byte {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("testdata", "upgrade", fixture, name+".gz"))
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
