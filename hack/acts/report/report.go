// SPDX-License-Identifier: Apache-2.0

// Package report judges the results of a run beside the list of known
// deviations, and writes them down.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/errand-a2a/errand/hack/acts/format"
	"github.com/errand-a2a/errand/hack/acts/runner"
)

// Deviation is a test that is known to fail, and why that is right or not yet
// mended.
type Deviation struct {
	Test string
	// Bindings are those it fails over; none: all that it has.
	Bindings []string
	// Section is where the specification contradicts the test; empty where it
	// does not, and the fault is ours.
	Section string
	Reason  string
	// Says is a part of what the failure says. A test that fails otherwise is
	// not the known failure.
	Says string
	// Amend names a change to what the test sends, with which it must pass: the
	// proof that the reason is the whole reason. See runner.Amendments.
	Amend string
}

func (d Deviation) covers(r runner.Result) bool {
	return d.Test == r.Test.ID && (len(d.Bindings) == 0 || slices.Contains(d.Bindings, r.Binding))
}

// Verdict is what a result means.
type Verdict string

// The verdicts. Stale is a known deviation that is none any more.
const (
	Pass     Verdict = "pass"
	Fail     Verdict = "fail"
	Skip     Verdict = "skip"
	Deviates Verdict = "deviation"
	Stale    Verdict = "stale"
)

// Line is one result with its verdict and the reason for it.
type Line struct {
	Test      *format.Test
	Binding   string
	Verdict   Verdict
	Why       string
	Deviation *Deviation
}

// Report is a judged run.
type Report struct {
	Lines []Line
	// Faults are what is wrong with the list of deviations itself.
	Faults []string
}

// Rerun runs a test once more with a change to what it sends.
type Rerun func(t *format.Test, binding, amend string) runner.Result

// Judge puts results and known deviations together. complete says that every
// test was run, so that a deviation without a result is a fault.
func Judge(results []runner.Result, known []Deviation, complete bool, rerun Rerun) *Report {
	rep := &Report{}
	used := make([]bool, len(known))
	for _, r := range results {
		line := Line{Test: r.Test, Binding: r.Binding, Why: r.Why}
		n := slices.IndexFunc(known, func(d Deviation) bool { return d.covers(r) })
		if n < 0 {
			line.Verdict = plain(r.Outcome)
			rep.Lines = append(rep.Lines, line)
			continue
		}
		used[n] = true
		line.Deviation = &known[n]
		line.judge(r, rerun)
		rep.Lines = append(rep.Lines, line)
	}
	for i, d := range known {
		if !used[i] && complete {
			rep.Faults = append(rep.Faults, fmt.Sprintf("the list of deviations names %s over %v, which is no test", d.Test, d.Bindings))
		}
	}
	return rep
}

func plain(o runner.Outcome) Verdict {
	switch o {
	case runner.Pass:
		return Pass
	case runner.Skip:
		return Skip
	}
	return Fail
}

func (l *Line) judge(r runner.Result, rerun Rerun) {
	switch {
	case r.Outcome == runner.Pass:
		l.Verdict, l.Why = Stale, "listed as a known deviation, and passes"
		return
	case r.Outcome == runner.Skip:
		l.Verdict, l.Why = Stale, "listed as a known deviation, and skipped: "+r.Why
		return
	}
	l.Verdict = Deviates
	if !strings.Contains(r.Why, l.Deviation.Says) {
		l.Verdict = Fail
		l.Why = fmt.Sprintf("fails otherwise than the known deviation (%s): %s", l.Deviation.Says, r.Why)
		return
	}
	if l.Deviation.Amend == "" {
		return
	}
	if again := rerun(r.Test, r.Binding, l.Deviation.Amend); again.Outcome != runner.Pass {
		l.Verdict = Fail
		l.Why = fmt.Sprintf("listed as failing only for want of %s, and fails with it too: %s", l.Deviation.Amend, again.Why)
	}
}

// OK tells whether all that must hold does: no failure of a must test, and a
// list of deviations that is true.
func (r *Report) OK() bool {
	return len(r.Faults) == 0 && !slices.ContainsFunc(r.Lines, Line.breaks)
}

func (l Line) breaks() bool {
	return l.Verdict == Stale || l.Verdict == Fail && l.Test.Level == "must"
}

// Print writes one line per test and binding, and a summary.
func (r *Report) Print(w io.Writer, verbose bool) error {
	p := &printer{w: w}
	for _, l := range r.Lines {
		p.printf("%-9s %-6s %-8s %s", l.Verdict, l.Test.Level, l.Binding, l.Test.ID)
		if verbose {
			p.printf("  %s", l.Test.Name)
		}
		switch {
		case l.Verdict == Deviates && !verbose:
			p.printf(": %s", l.Deviation.Reason)
		case l.Verdict == Deviates:
			p.printf(": %s (%s)", l.Why, l.Deviation.Reason)
		case l.Why != "":
			p.printf(": %s", l.Why)
		}
		p.printf("\n")
	}
	p.printf("\n")
	for _, c := range r.counts() {
		p.printf("%-6s %-8s %s\n", c.level, c.binding, c)
	}
	for _, f := range r.Faults {
		p.printf("error: %s\n", f)
	}
	for _, l := range r.Lines {
		if l.breaks() {
			p.printf("error: %s over %s: %s\n", l.Test.ID, l.Binding, l.Why)
		}
	}
	return p.err
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// count is a row of the summary.
type count struct {
	level, binding string
	by             map[Verdict]int
}

func (c count) total() int {
	n := 0
	for _, k := range c.by {
		n += k
	}
	return n
}

func (c count) String() string {
	s := fmt.Sprintf("%d of %d passed", c.by[Pass], c.total())
	for _, v := range []Verdict{Deviates, Skip, Fail, Stale} {
		if n := c.by[v]; n > 0 {
			s += fmt.Sprintf(", %d %s", n, v)
		}
	}
	return s
}

func (r *Report) counts() []count {
	var counts []count
	for _, level := range []string{"must", "should", "may"} {
		for _, binding := range columns() {
			c := count{level, binding, map[Verdict]int{}}
			for _, l := range r.Lines {
				if l.Test.Level == level && l.Binding == binding {
					c.by[l.Verdict]++
				}
			}
			if c.total() > 0 {
				counts = append(counts, c)
			}
		}
	}
	return counts
}
