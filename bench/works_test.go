// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlite"
)

// The works start this program as a server.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Each work runs with a few of everything, and its section names what it must.
func TestEveryWorkMakesItsSection(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"idle":     {"a2a-go, in memory; the tasks run", "the tasks are parked** | 24 |", "cut off to 0 bytes"},
		"parked":   {"a2a-go, in memory; parked | 40 | ", "**; finished | 40 | "},
		"artifact": {"| **Errand, SQLite** | 40 | ", "| a2a-go, in memory | 8 |"},
		"size":     {"200 finished and 40 waiting", "submit, 64 callers | 32 |", "total: no filter", "HTTP: GetTask", "from its start until it is ready |"},
		"latency":  {"| idle | – |", "| 80 % |", stageNames[0], "network, client"},
	}
	for _, w := range sectionWorks() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			s := settings{
				alternations: 1, duration: 100 * time.Millisecond, silence: 20 * time.Millisecond,
				idle: 24, parked: 40, chunks: 40, finished: 200, waiting: 40, each: 4, dir: t.TempDir(),
				start: func(ctx context.Context, dir string) (*process, error) {
					return startSelf(ctx, "-serve", "lab-errand", "-dir", dir)
				},
			}
			got, err := w.measure(t.Context(), s, func(string, ...any) {})
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range want[w.name] {
				if !strings.Contains(strings.ReplaceAll(got.text, "SQLite**; the tasks are parked", "the tasks are parked**"), text) {
					t.Errorf("%q is missing:\n%s", text, got.text)
				}
			}
			checkSVG(t, got.plot.svg())
			dir := filepath.Join(t.TempDir(), "plots")
			if err := savePlots(dir, []section{got}); err != nil {
				t.Error(err)
			}
			if saved, err := os.ReadFile(filepath.Join(dir, w.name+".svg")); err != nil || string(saved) != got.plot.svg() {
				t.Errorf("the plot was not saved: %v", err)
			}
		})
	}
}

func checkSVG(t *testing.T, svg string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot is not XML: %v", err)
		}
	}
	for _, bad := range []string{"NaN", "Inf"} {
		if strings.Contains(svg, bad) {
			t.Errorf("the plot has a %s:\n%s", bad, svg)
		}
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values []float64
		log    bool
		ticks  []float64
		at     map[float64]float64
	}{
		{[]float64{3, 41}, false, []float64{0, 10, 20, 30, 40, 50}, map[float64]float64{0: 100, 25: 150, 50: 200}},
		{[]float64{30, 900}, true, []float64{10, 100, 1000}, map[float64]float64{10: 100, 100: 150, 1000: 200, 0: 100}},
		{[]float64{0}, false, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}, map[float64]float64{0: 100, 1: 200}},
		{[]float64{5, 5}, true, []float64{1, 10}, map[float64]float64{1: 100, 10: 200}},
	} {
		s := newScale(tt.values, tt.log, 100, 200)
		ticks := s.ticks()
		if !slices.EqualFunc(ticks, tt.ticks, func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }) {
			t.Errorf("%v: ticks %v, want %v", tt.values, ticks, tt.ticks)
		}
		for v, want := range tt.at {
			if got := s.at(v); got-want > 1e-9 || want-got > 1e-9 {
				t.Errorf("%v: %v is at %v, want %v", tt.values, v, got, want)
			}
		}
	}
}

func TestTickText(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 5000: "5000", 10_000: "10k", 2_500_000: "2.5M", 3e9: "3G"} {
		if got := tickText(v); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
}

func TestTell(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 µs", 1234: "1.23 µs", 150 * time.Microsecond: "150 µs", 2345 * time.Microsecond: "2.35 ms", 1500 * time.Millisecond: "1.5 s", 200 * time.Second: "200 s",
	} {
		if got := tell(d); got != want {
			t.Errorf("%d: got %q, want %q", d, got, want)
		}
	}
}

// The log can only be cut off if nobody has a transaction open: the figure that
// says so must be able to say the opposite.
func TestCutLogFindsAnOpenTransaction(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	st, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := reader.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := tx.QueryRow("SELECT COUNT(*) FROM tasks").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Submit(t.Context(), &store.Submission{Turn: 1, Message: []byte("m")}); err != nil {
		t.Fatal(err)
	}
	if busy, err := cutLog(t.Context(), path); err != nil || !busy || fileSize(path+"-wal") == 0 {
		t.Errorf("with an open transaction: busy %v, %v, the log has %d bytes", busy, err, fileSize(path+"-wal"))
	}
	if err := errors.Join(tx.Rollback(), reader.Close()); err != nil {
		t.Fatal(err)
	}
	if busy, err := cutLog(t.Context(), path); err != nil || busy || fileSize(path+"-wal") != 0 {
		t.Errorf("without: busy %v, %v, the log has %d bytes", busy, err, fileSize(path+"-wal"))
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

func TestWorldNames(t *testing.T) {
	t.Parallel()
	w := &world{finished: 4000, waiting: 1000, began: time.Now()}
	seen := map[string]bool{}
	last := ""
	for i := range uint64(5000) {
		id := w.name(taskName, i)
		if seen[id] || len(id) != 36 || id[14] != '7' || !strings.ContainsRune("89ab", rune(id[19])) {
			t.Fatalf("task %d is named %q", i, id)
		}
		if id[:13] < last {
			t.Fatalf("task %d, %q, is before %q", i, id, last)
		}
		seen[id], last = true, id[:13]
	}
	small := map[store.ListQuery]int{}
	for i := range uint64(4000) {
		small[store.ListQuery{Scope: w.scope(i)}]++
	}
	if own := small[store.ListQuery{}]; own != 3800 || len(small) != 1+int(w.tenants()) {
		t.Errorf("%d of %d tasks are the large tenant's, among %d", own, 4000, len(small))
	}
}

func TestRenamingKeepsTheChecksum(t *testing.T) {
	t.Parallel()
	f := &form{messageID: "message-1"}
	f.head.ID, f.head.ContextID = "task-1", "context-1"
	ids := f.renaming("task-2", "context-2", "message-2")
	sum := func(s string) []byte {
		c := crc32.Checksum([]byte(s), crc32.MakeTable(crc32.Castagnoli))
		return append([]byte(s), byte(c>>24), byte(c>>16), byte(c>>8), byte(c))
	}
	if got, want := ids.Replace(sum("\x01 task-1 context-1 message-1")), sum("\x01 task-2 context-2 message-2"); string(got) != string(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := ids.Replace([]byte(`{"id":"message-1"}`)); string(got) != `{"id":"message-2"}` {
		t.Errorf("what has no checksum became %q", got)
	}
}

// A store that was kept is used again, and not taken for one of another size.
func TestAStoreThatIsKept(t *testing.T) {
	t.Parallel()
	s := settings{keep: t.TempDir(), alternations: 1}
	form, err := learn(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	say := func(f string, args ...any) { said = append(said, fmt.Sprintf(f, args...)) }
	first, err := prepare(t.Context(), s, "large", &world{finished: 40, waiting: 10, form: form}, say)
	if err != nil {
		t.Fatal(err)
	}
	again, err := prepare(t.Context(), s, "large", &world{finished: 40, waiting: 10, form: form}, say)
	if err != nil || !again.w.began.Equal(first.w.began) || again.next.Load() != 50 {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := prepare(t.Context(), s, "large", &world{finished: 41, waiting: 10, form: form}, say); err == nil {
		t.Error("a store of another size was taken")
	}
}
