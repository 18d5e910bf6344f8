// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// report is all that was measured.
type report struct {
	machine    machine
	settings   settings
	throughput []comparison
	linear     []growth
	followers  []audience
	sections   []section
}

func (r report) markdown() string {
	var b strings.Builder
	m := r.machine
	fmt.Fprintf(&b, "Measured %s on %d cores (%s), %s, %s/%s, kernel %s; 4 KiB and an fsync on the disk of the database take %s.\n"+
		"Errand commit %s, a2a-go v2.4.0, %s.\n",
		m.date, m.cores, m.cpu, m.memory, m.os, m.arch, m.kernel, m.sync.Round(10*time.Microsecond), m.commit, m.goVersion)
	if len(r.throughput) > 0 {
		r.writeThroughput(&b)
	}
	if len(r.linear) > 0 {
		r.writeLinear(&b)
	}
	if len(r.followers) > 0 {
		r.writeFollowers(&b)
	}
	for _, s := range r.sections {
		s.write(&b)
	}
	return b.String()
}

func (r report) writeFollowers(b *strings.Builder) {
	fmt.Fprintf(b, "\n%d followers of one task with %d events, %s apart; %d rounds, median (least – most). Processor time is the server's, over that of the\n"+
		"same task without followers, for each event that a follower has read.\n\n", followers, audienceChunks, audiencePace, r.settings.alternations)
	b.WriteString("| binding | server | events read | processor time for one | until the last has the last event |\n|---|---|---|---|---|\n")
	for _, a := range r.followers {
		peer := writeAudience(b, a.binding, "a2a-go, in memory", a.peer)
		ours := writeAudience(b, a.binding, "**Errand, SQLite, fsync on**", a.ours)
		fmt.Fprintf(b, "| | Errand to a2a-go | | **1/%.1f** | |\n", peer/ours)
	}
}

func writeAudience(b *strings.Builder, binding, server string, rounds []heard) (median float64) {
	cpu := spreadBy(rounds, func(h heard) float64 { return float64(h.perEvent) / 1000 })
	took := spreadBy(rounds, func(h heard) float64 { return h.took.Seconds() })
	events := spreadBy(rounds, func(h heard) float64 { return float64(h.events) })
	fmt.Fprintf(b, "| %s | %s | %.0f (%.0f – %.0f) | %.2f (%.2f – %.2f) µs | %.1f (%.1f – %.1f) s |\n", binding, server,
		events.median, events.least, events.most, cpu.median, cpu.least, cpu.most, took.median, took.least, took.most)
	return cpu.median
}

func (r report) writeThroughput(b *strings.Builder) {
	fmt.Fprintf(b, "\n%d alternations of %s each; median (least – most). Processor time is that of one task, of the server and of the client.\n\n",
		r.settings.alternations, r.settings.duration)
	b.WriteString("| work | server | tasks/s | p50 | p99 | processor time |\n|---|---|---|---|---|---|\n")
	for _, c := range r.throughput {
		name := fmt.Sprintf("%s, %d connections", c.work.name, c.work.connections)
		writeResults(b, name, "a2a-go, in memory", c.peer)
		writeResults(b, name, "**Errand, SQLite, fsync on**", c.ours)
		ours, peer := spreadBy(c.ours, rate).median, spreadBy(c.peer, rate).median
		oursP99, peerP99 := spreadBy(c.ours, p99).median, spreadBy(c.peer, p99).median
		fmt.Fprintf(b, "| | Errand to a2a-go | **%.1f times** | 1/%.1f | 1/%.1f | 1/%.1f |\n", ours/peer,
			spreadBy(c.peer, p50).median/spreadBy(c.ours, p50).median, peerP99/oursP99,
			spreadBy(c.peer, processor).median/spreadBy(c.ours, processor).median)
	}
}

func rate(r result) float64      { return r.rate }
func processor(r result) float64 { return (r.server + r.client).Seconds() }

func p50(r result) float64 { return r.p50.Seconds() * 1000 }
func p99(r result) float64 { return r.p99.Seconds() * 1000 }

func writeResults(b *strings.Builder, name, server string, results []result) {
	rates, mid, slow := spreadBy(results, rate), spreadBy(results, p50), spreadBy(results, p99)
	onServer := spreadBy(results, func(r result) float64 { return r.server.Seconds() * 1000 })
	onClient := spreadBy(results, func(r result) float64 { return r.client.Seconds() * 1000 })
	fmt.Fprintf(b, "| %s | %s | %s (%s – %s) | %s ms | %s ms | %.2f + %.2f ms |\n", name, server,
		perSecond(rates.median), perSecond(rates.least), perSecond(rates.most), milliseconds(mid), milliseconds(slow), onServer.median, onClient.median)
}

// perSecond keeps two digits of what is slow.
func perSecond(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.2f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

func milliseconds(s spread) string {
	return fmt.Sprintf("%.1f (%.1f – %.1f)", s.median, s.least, s.most)
}

func (r report) writeLinear(b *strings.Builder) {
	fmt.Fprintf(b, "\nBytes for one more unit, averaged over a task of the small and of the large size; %d rounds, median (least – most).\n"+
		"Written: bytes given to write calls (wchar of /proc/self/io): write-ahead log and checkpoints.\n\n", r.settings.alternations)
	b.WriteString("| work | server | figure | small | large | large / small |\n|---|---|---|---|---|---|\n")
	for _, g := range r.linear {
		name := fmt.Sprintf("%s, %d and %d", g.shape.name, g.shape.small, g.shape.large)
		writeGrowth(b, name, "a2a-go, in memory", "allocated", g.peer, allocated)
		writeGrowth(b, name, "**Errand, SQLite**", "allocated", g.ours, allocated)
		writeGrowth(b, name, "**Errand, SQLite**", "written", g.ours, written)
	}
}

func writeGrowth(b *strings.Builder, name, server, what string, c costs, figure func(cost) float64) {
	small, large := spreadBy(c.small, figure), spreadBy(c.large, figure)
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s | **%.2f** |\n", name, server, what, kib(small), kib(large), large.median/small.median)
}

func kib(s spread) string {
	return fmt.Sprintf("%.1f KiB (%.1f – %.1f)", s.median/1024, s.least/1024, s.most/1024)
}

// The section of the document that the program may write.
const (
	sectionBegin = "<!-- make bench writes from here -->\n"
	sectionEnd   = "<!-- to here -->\n"
)

// writeSection replaces the marked section of a document.
func writeSection(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the document: %w", err)
	}
	before, rest, found := strings.Cut(string(old), sectionBegin)
	_, after, closed := strings.Cut(rest, sectionEnd)
	if !found || !closed {
		return fmt.Errorf("%s has no section between %q and %q", path, sectionBegin, sectionEnd)
	}
	if err := os.WriteFile(path, []byte(before+sectionBegin+text+sectionEnd+after), 0o644); err != nil {
		return fmt.Errorf("write the document: %w", err)
	}
	return nil
}
