// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/errand-a2a/errand/hack/acts/runner"
	"github.com/errand-a2a/errand/hack/acts/wire"
)

func columns() []string { return append(wire.Names(), runner.ClientSide) }

const head = `# Conformance

This page is made by ` + "`go run ./hack/acts -acts DIR -markdown docs/conformance.md`" + `, where DIR holds the files of ` + "`tests/acts`" + ` on the branch
` + "`conformance-spec`" + ` of a2aproject/A2A; edit the runner and its list of deviations, not this page.
` + "`make conformance ACTS=DIR`" + ` runs the same tests, prints each result, and fails if a **must** fails that is not explained below,
or if an explanation is out of date.

A test runs over every binding that it names, or over all three, against Errand with SQLite and an agent that has the
behaviours of the tests' contract. Tests about a client run against Errand's own client, once.
`

// Markdown writes the report as a page that is the same for the same results.
func (r *Report) Markdown(w io.Writer) error {
	p := &printer{w: w}
	p.printf("%s\n## Counts\n\n%s\n\n", head, r.size())
	p.printf("| level | binding | tests | pass | known deviation | skip | fail |\n|---|---|---:|---:|---:|---:|---:|\n")
	for _, c := range r.counts() {
		p.printf("| %s | %s | %d | %d | %d | %d | %d |\n", c.level, c.binding, c.total(), c.by[Pass], c.by[Deviates], c.by[Skip], c.by[Fail]+c.by[Stale])
	}
	r.deviations(p)
	r.others(p, "Failures", "Nothing explains these.", func(l Line) bool { return l.Verdict == Fail || l.Verdict == Stale })
	r.others(p, "Skips", "", func(l Line) bool { return l.Verdict == Skip })
	r.notes(p)
	r.all(p)
	return p.err
}

// size tells how much was run.
func (r *Report) size() string {
	tests, files := map[string]bool{}, map[string]bool{}
	for _, l := range r.Lines {
		tests[l.Test.ID], files[l.Test.File] = true, true
	}
	return fmt.Sprintf("%d tests of %d files, %d results.", len(tests), len(files), len(r.Lines))
}

// row joins the bindings over which the same is to be said of a test.
type row struct {
	id, level, text string
	deviation       *Deviation
	bindings        []string
}

func (r *Report) rows(pick func(Line) bool) []*row {
	var rows []*row
	for _, l := range r.Lines {
		if !pick(l) {
			continue
		}
		next := &row{id: l.Test.ID, level: l.Test.Level, text: scrub(l.Why), deviation: l.Deviation}
		n := slices.IndexFunc(rows, func(o *row) bool {
			return o.id == next.id && (next.deviation != nil && o.deviation == next.deviation || o.text == next.text)
		})
		if n < 0 {
			n = len(rows)
			rows = append(rows, next)
		}
		rows[n].bindings = append(rows[n].bindings, l.Binding)
	}
	return rows
}

func (r *Report) deviations(p *printer) {
	rows := r.rows(func(l Line) bool { return l.Verdict == Deviates })
	if len(rows) == 0 {
		return
	}
	p.printf("\n## Known deviations\n\nThe tests that fail, and why. Where a section is named the test contradicts the specification there, and Errand follows\nthe specification; the other failures are Errand's.\n\n")
	p.printf("| test | level | bindings | section | why |\n|---|---|---|---|---|\n")
	for _, w := range rows {
		p.printf("| %s | %s | %s | %s | %s%s |\n", w.id, w.level, strings.Join(w.bindings, ", "), w.deviation.Section, cell(w.deviation.Reason), amended(w.deviation))
	}
}

func amended(d *Deviation) string {
	if d.Amend == "" {
		return ""
	}
	return fmt.Sprintf(" With a `%s` added, the test passes; the runner checks that.", d.Amend)
}

func (r *Report) others(p *printer, title, text string, pick func(Line) bool) {
	rows := r.rows(pick)
	if len(rows) == 0 {
		return
	}
	p.printf("\n## %s\n\n", title)
	if text != "" {
		p.printf("%s\n\n", text)
	}
	p.printf("| test | level | bindings | why |\n|---|---|---|---|\n")
	for _, w := range rows {
		p.printf("| %s | %s | %s | %s |\n", w.id, w.level, strings.Join(w.bindings, ", "), cell(w.text))
	}
	for _, f := range r.Faults {
		p.printf("\n%s\n", cell(f))
	}
}

func (r *Report) notes(p *printer) {
	p.printf("\n## How the runner reads the tests\n\n")
	for _, n := range runner.Notes() {
		p.printf("- %s\n", n)
	}
}

func (r *Report) all(p *printer) {
	p.printf("\n## All results\n\n| test | level | %s |\n|---|---|%s\n", strings.Join(columns(), " | "), strings.Repeat("---|", len(columns())))
	var ids []string
	cells := map[string]map[string]Verdict{}
	levels := map[string]string{}
	for _, l := range r.Lines {
		if cells[l.Test.ID] == nil {
			ids = append(ids, l.Test.ID)
			cells[l.Test.ID] = map[string]Verdict{}
			levels[l.Test.ID] = l.Test.Level
		}
		cells[l.Test.ID][l.Binding] = l.Verdict
	}
	for _, id := range ids {
		p.printf("| %s | %s |", id, levels[id])
		for _, c := range columns() {
			p.printf(" %s |", cells[id][c])
		}
		p.printf("\n")
	}
}

// scrub takes out of a failure's text what is different in every run.
func scrub(s string) string {
	for _, v := range []struct{ pattern, name string }{
		{`[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`, "UUID"},
		{`127\.0\.0\.1:\d+`, "ADDRESS"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`, "TIME"},
		{`\b(acts|msg)-[A-Z2-7]{26}\b`, "ID"},
	} {
		s = regexp.MustCompile(v.pattern).ReplaceAllString(s, v.name)
	}
	return s
}

func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s)
}
