// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand"
	"github.com/errand-a2a/errand/internal/agent/demo"
)

// The figures are made by `make bench`. The tests see to it that what makes
// them works: that a loop counts whole answers only, and that both servers
// give them.

func TestDrive(t *testing.T) {
	t.Parallel()
	w := work{"chunks", 7, 3, 1}
	t.Run("gets whole tasks from the peer", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(a2asrv.NewJSONRPCHandler(a2asrv.NewHandler(demo.New())))
		defer server.Close()
		checkDrive(t, server.URL, w)
	})
	t.Run("gets whole tasks from Errand", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(nil)
		defer server.Close()
		a := demo.Agent()
		e, err := errand.New(t.Context(), errand.Options{Store: errand.Memory(), PublicURL: server.URL},
			errand.Agent{Card: a.Card, Executor: a.Executor, Policy: a.Policy})
		if err != nil {
			t.Fatal(err)
		}
		server.Config.Handler = e
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		<-e.Started()
		checkDrive(t, server.URL, w)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("does not count an answer that lacks a chunk", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(a2asrv.NewJSONRPCHandler(a2asrv.NewHandler(costAgent{})))
		defer server.Close()
		if _, _, err := drive(t.Context(), server.URL, w, time.Millisecond); err == nil {
			t.Error("an answer without chunks was counted")
		}
	})
}

func checkDrive(t *testing.T, url string, w work) {
	t.Helper()
	r, tasks, err := drive(t.Context(), url+"/", w, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if tasks < w.connections || r.rate <= 0 || r.p50 <= 0 || r.p99 < r.p50 {
		t.Errorf("%d tasks: %s", tasks, r)
	}
}

func TestCosts(t *testing.T) {
	t.Parallel()
	handler, end, err := errandHandler(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	}()
	for _, sh := range shapes() {
		sh.small, sh.large = 3, 9
		var c costs
		if err := c.round(t.Context(), handler, sh); err != nil {
			t.Fatalf("%s: %v", sh.name, err)
		}
		if c.small[0].allocated <= 0 || c.large[0].written <= 0 {
			t.Errorf("%s costs nothing: %s", sh.name, c)
		}
	}
}

func TestSpreadOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{3, 1, 2}, spread{2, 1, 3}},
		{[]float64{4, 1, 2, 3}, spread{2.5, 1, 4}},
		{nil, spread{}},
	} {
		if got := spreadOf(tt.values); got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	one := make([]time.Duration, 100)
	for i := range one {
		one[i] = time.Duration(100 - i)
	}
	r, err := summarize([][]time.Duration{one[:40], nil, one[40:]}, 2*time.Second)
	if err != nil || r.rate != 50 || r.p50 != 50 || r.p99 != 99 {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := summarize(nil, time.Second); err == nil {
		t.Error("no task at all was a result")
	}
}

func TestWriteSection(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "doc.md")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("replaces what stands between the marks", func(t *testing.T) {
		write("before\n" + sectionBegin + "old\n" + sectionEnd + "after\n")
		if err := writeSection(path, "new\n"); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if want := "before\n" + sectionBegin + "new\n" + sectionEnd + "after\n"; err != nil || string(got) != want {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("refuses a document without marks", func(t *testing.T) {
		write("nothing")
		if err := writeSection(path, "new\n"); err == nil {
			t.Error("it was written somewhere")
		}
	})
}

func TestDocumentHasItsSection(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	begin, end := strings.Index(string(doc), sectionBegin), strings.Index(string(doc), sectionEnd)
	if begin < 0 || end < begin {
		t.Error("make bench has no place to write to")
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-work", "nothing"}, {"-alternations", "0"}, {"-duration", "0s"}, {"stray"},
		{"-out", "x.md", "-work", "short"}, {"-unknown"},
	} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v were taken", args)
		}
	}
	if s, err := parse(nil, io.Discard); err != nil || s.alternations != 5 || s.work != "all" {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestReportNamesWhatItMeasured(t *testing.T) {
	t.Parallel()
	r := report{
		machine:  machine{cores: 2, commit: "abc", goVersion: "go1"},
		settings: settings{alternations: 3, duration: time.Second},
		throughput: []comparison{{
			work: work{"w", 1, 64, 1},
			ours: []result{{rate: 100, p50: time.Millisecond, p99: 2 * time.Millisecond, server: 1, client: 1}},
			peer: []result{{rate: 10, p50: 10 * time.Millisecond, p99: 40 * time.Millisecond, server: 10, client: 10}},
		}},
		linear: []growth{{
			shape: shape{name: "chunks", small: 2, large: 4},
			ours:  costs{small: []cost{{1024, 2048}}, large: []cost{{1024, 4096}}},
			peer:  costs{small: []cost{{1024, 0}}, large: []cost{{7168, 0}}},
		}},
		followers: []audience{{
			binding: "gRPC", ours: []heard{{events: 5, perEvent: time.Microsecond, took: time.Second}},
			peer: []heard{{events: 6, perEvent: 30 * time.Microsecond, took: 2 * time.Second}},
		}},
	}
	text := r.markdown()
	for _, want := range []string{"2 cores", "abc", "go1", "**10.0 times** | 1/10.0 | 1/20.0 | 1/10.0", "chunks, 2 and 4", "**7.00**", "**2.00**", "**1/30.0**"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
}
