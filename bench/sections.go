// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// section is what one work says: text with tables, and a plot.
type section struct {
	name string
	text string
	plot plot
}

// write adds the section to a page that has its plots in a directory beside it.
func (s section) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s\n![%s](benchmarks/%s.svg)\n", s.text, s.plot.title, s.name)
}

// savePlots writes the plots into a directory.
func savePlots(dir string, all []section) error {
	if len(all) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of the plots: %w", err)
	}
	for _, s := range all {
		if err := os.WriteFile(filepath.Join(dir, s.name+".svg"), []byte(s.plot.svg()), 0o644); err != nil {
			return fmt.Errorf("write a plot: %w", err)
		}
	}
	return nil
}

// sectionWork is a work that makes a section of its own.
type sectionWork struct {
	name    string
	measure func(ctx context.Context, s settings, say sayer) (section, error)
}

func sectionWorks() []sectionWork {
	return []sectionWork{
		{"idle", func(ctx context.Context, s settings, say sayer) (section, error) {
			all, err := measureIdle(ctx, s, say)
			return idleSection(all), err
		}},
		{"parked", func(ctx context.Context, s settings, say sayer) (section, error) {
			all, err := measureParked(ctx, s, say)
			return parkedSection(all), err
		}},
		{"artifact", func(ctx context.Context, s settings, say sayer) (section, error) {
			a, err := measureArtifacts(ctx, s, say)
			if err != nil {
				return section{}, err
			}
			return a.section(), nil
		}},
		{"size", func(ctx context.Context, s settings, say sayer) (section, error) {
			z, err := measureSize(ctx, s, say)
			if err != nil {
				return section{}, err
			}
			return z.section(), nil
		}},
		{"latency", func(ctx context.Context, s settings, say sayer) (section, error) {
			l, err := measureLatency(ctx, s, say)
			if err != nil {
				return section{}, err
			}
			return l.section(), nil
		}},
	}
}

// tell gives a duration three digits and the unit that fits.
func tell(d time.Duration) string {
	switch {
	case d < 0:
		return d.String()
	case d < time.Millisecond:
		return figure3(float64(d)/1e3) + " µs"
	case d < time.Second:
		return figure3(float64(d)/1e6) + " ms"
	}
	return figure3(d.Seconds()) + " s"
}

// plain takes the marks of a table out of a name.
func plain(s string) string { return strings.ReplaceAll(s, "*", "") }

// durations is their spread, told with units.
func durations(of []time.Duration) string {
	s := spreadBy(of, func(d time.Duration) float64 { return float64(d) })
	return fmt.Sprintf("%s (%s – %s)", tell(time.Duration(s.median)), tell(time.Duration(s.least)), tell(time.Duration(s.most)))
}

const mib = 1 << 20

func (a *artifacts) section() section {
	var b strings.Builder
	last := a.ours[len(a.ours)-1]
	fmt.Fprintf(&b, "### One artifact of many chunks\n\n"+
		"An artifact grows to %d chunks of 64 bytes, as fast as they come, in the benchmark's own process; then its task is asked for five times.\n"+
		"Each figure is of one chunk, the median of %d rounds; a round makes as many chunks in short artifacts as in a long one. a2a-go is asked for the short ones alone.\n\n",
		last.chunks, len(last.took))
	b.WriteString("| server | chunks | time | allocated | allocations | written | GetTask answers | GetTask takes | of a KiB |\n|---|---|---|---|---|---|---|---|---|\n")
	p := plot{title: "One more chunk of a long artifact", x: "chunks of the artifact", y: "µs for a chunk, all in all (logarithmic)", log: true}
	for _, x := range []struct {
		name string
		all  []grown
	}{{"a2a-go, in memory", a.peer}, {"**Errand, SQLite**", a.ours}} {
		l := line{name: plain(x.name)}
		for _, g := range x.all {
			get := micros(g.get).median
			wrote := fmt.Sprintf("%.2f KiB", spreadOf(g.written).median/1024)
			if x.name == "a2a-go, in memory" {
				wrote = "–"
			}
			fmt.Fprintf(&b, "| %s | %d | %s µs | %.1f KiB | %.1f | %s | %.0f KiB | %s µs | %s µs |\n", x.name, g.chunks, figure3(micros(g.took).median),
				spreadOf(g.allocated).median/1024, spreadOf(g.allocs).median, wrote, float64(g.answer)/1024, figure3(get), figure3(get*1024/float64(g.answer)))
			l.at = append(l.at, point{float64(g.chunks), micros(g.took).median})
		}
		p.lines = append(p.lines, l)
	}
	return section{"artifact", b.String(), p}
}

func parkedSection(all []parked) section {
	var b strings.Builder
	p := plot{title: "Memory of tasks that wait for somebody", x: "tasks", y: "MiB of the server, resident"}
	b.WriteString("### Parked tasks\n\n" +
		"Tasks that ask for input and wait, made by blocking messages on 32 connections; beside them as many finished ones. After each step the server\n" +
		"collects its garbage and gives free memory back. Then the program is started on the file, from its start until it is ready.\n\n" +
		"| server | tasks | goroutines | heap | resident | file | started on it in | resident then |\n|---|---|---|---|---|---|---|---|\n")
	for _, c := range all {
		l := line{name: plain(c.name)}
		for i, s := range c.steps {
			file := "| | |"
			if i == len(c.steps)-1 && len(c.start) > 0 {
				file = fmt.Sprintf("%d MiB | %s | %.1f MiB |", c.bytes/mib, durations(c.start), spreadBy(c.ready, func(v vitals) float64 { return v.Resident }).median)
			}
			fmt.Fprintf(&b, "| %s | %d | %d | %.1f MiB | %.1f MiB | %s\n", c.name, s.tasks, s.Goroutines, float64(s.Heap)/mib, s.Resident, file)
			l.at = append(l.at, point{float64(s.tasks), s.Resident})
		}
		p.lines = append(p.lines, l)
	}
	return section{"parked", b.String(), p}
}

func idleSection(all []idled) section {
	var b strings.Builder
	p := plot{title: "Memory of followers that wait", x: "followers", y: "MiB of the server, resident"}
	fmt.Fprintf(&b, "### Idle followers\n\n"+
		"Followers of %d tasks that say nothing, each by Server-Sent Events on a connection of its own, over the loopback; the sockets' buffers are the kernel's and not counted.\n"+
		"Memory is what is left after a collection that gives free memory back; that of one follower is the difference to the server without any, divided. The event: something happens\n"+
		"to all tasks (an executor yields a chunk, or a message comes), and it is measured until its first byte is with a follower.\n\n"+
		"| server | followers | goroutines of one | heap of one | resident of one | processor time in a second | event, p50 | p99 | the last |\n"+
		"|---|---|---|---|---|---|---|---|---|\n", idleTasks)
	for _, c := range all {
		none, most := c.steps[0], c.steps[len(c.steps)-1]
		n := float64(most.followers)
		fmt.Fprintf(&b, "| %s | %d | %.2f | %.1f KiB | %.1f KiB | %s | %s | %s | %s |\n", c.name, most.followers,
			float64(most.Goroutines-none.Goroutines)/n, (float64(most.Heap)-float64(none.Heap))/n/1024, (most.Resident-none.Resident)/n*1024,
			tell(c.cpu), tell(c.event.p50), tell(c.event.p99), tell(c.eventLast))
		l := line{name: plain(c.name)}
		for _, s := range c.steps {
			l.at = append(l.at, point{float64(s.followers), s.Resident})
		}
		p.lines = append(p.lines, l)
	}
	b.WriteString("\nBefore they came, when all had gone, and when as many had come once more and gone. Go keeps the descriptors of goroutines that have ended and uses them again,\n" +
		"so some heap stays after the first time; what grows the second time would be a leak.\n\n" +
		"| server | goroutines: before | after | after the second | heap: before | after | after the second | resident: before | after | after the second |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range all {
		none := c.steps[0]
		twice := "– | %s – | %s –"
		if c.twice.Goroutines > 0 {
			twice = fmt.Sprintf("%d | %%s %.1f MiB | %%s %.1f MiB", c.twice.Goroutines, float64(c.twice.Heap)/mib, c.twice.Resident)
		}
		fmt.Fprintf(&b, "| %s | %d | %d | "+twice+" |\n", c.name, none.Goroutines, c.after.Goroutines,
			fmt.Sprintf("%.1f MiB | %.1f MiB |", float64(none.Heap)/mib, float64(c.after.Heap)/mib),
			fmt.Sprintf("%.1f MiB | %.1f MiB |", none.Resident, c.after.Resident))
	}
	for _, c := range all {
		if c.serve == "lab-peer" {
			continue
		}
		kept := "cut off to"
		if c.busy {
			kept = "held by an open transaction, so that it stayed at"
		}
		fmt.Fprintf(&b, "\n%s: with all followers there, the write-ahead log of %.1f KiB was %s %d bytes by another process (`PRAGMA wal_checkpoint(TRUNCATE)`, which an open\n"+
			"transaction prevents); the server had %d descriptors of its database open, without followers %d. The goroutines were gone %s after the last follower.\n",
			plain(c.name), float64(c.wal)/1024, kept, c.walAfter, c.files, c.filesBefore, tell(c.gone))
	}
	return section{"idle", b.String(), p}
}

func (l *latencies) section() section {
	var b strings.Builder
	b.WriteString("### The latency of one task\n\n" +
		"`echo hello`, sent blocking, from the moment at which it was to be sent until its answer has been read. Idle: one at a time, with a pause of 2 ms. Under load: at times that do not depend on the\n" +
		"answers, at a quarter, a half and four fifths of the server's own most (64 connections that always have a task under way), so that what waits is in the figures.\n" +
		"Whoever sends by a clock takes more of the two cores than a closed loop does: four fifths may be more than both can carry, and then the figure tells how long the run was.\n\n" +
		"| server | load | tasks/s | tasks | p50 | p99 | mean |\n|---|---|---|---|---|---|---|\n")
	p := plot{title: "Where the time of one task goes", x: "ms, mean (idle | 25 % | 50 % of the most)", stack: true}
	for _, name := range append(stageNames[:], "network, client") {
		p.bars = append(p.bars, bars{name: name})
	}
	var noted []loaded
	for _, x := range l.all {
		rate := "–"
		if x.rate > 0 {
			rate = perSecond(x.rate)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %s | %s | %s |\n", x.server, x.load, rate, x.sent, tell(x.took.p50), tell(x.took.p99), tell(x.mean))
		if x.stages != nil {
			noted = append(noted, x)
		}
	}
	b.WriteString("\nThe stages of Errand, mean and p99:\n\n| stage |")
	for _, x := range noted {
		fmt.Fprintf(&b, " %s |", x.load)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(noted)) + "\n")
	for i, name := range append(stageNames[:], "network, client") {
		fmt.Fprintf(&b, "| %s |", name)
		for _, x := range noted {
			mean, p99 := x.rest(), ""
			if i < stageCount {
				mean, p99 = x.stages[i], ", "+tell(x.p99[i])
			}
			fmt.Fprintf(&b, " %s%s |", tell(mean), p99)
			if x.load == "80 %" {
				continue // a queue that grows would leave nothing else to be seen
			}
			p.bars[i].of = append(p.bars[i].of, x.load)
			p.bars[i].values = append(p.bars[i].values, float64(max(mean, 0))/1e6)
		}
		b.WriteString("\n")
	}
	return section{"latency", b.String(), p}
}

// rest is what the stages do not explain.
func (l loaded) rest() time.Duration {
	d := l.mean
	for _, s := range l.stages {
		d -= s
	}
	return d
}
