// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

func (z *sized) section() section {
	var b strings.Builder
	fmt.Fprintf(&b, "### A large store\n\n"+
		"Two SQLite files, filled through the store's port as the engine and the workers do it: one with %d finished and %d waiting tasks, one with %d and %d\n"+
		"(%s and %s, filled in %s and %s). Nineteen of twenty tasks are of one tenant, over %d days, a twentieth of them in one conversation; one waiting task in ten is\n"+
		"scheduled for next month. Both are open in one process and asked in turns, %d rounds, a first one not counted: Go calls of the store's port, and requests over\n"+
		"HTTP on the loopback where that is said. Tasks and conversations are picked among the newest 5,000 tasks of either store. The files are read once before, so that as much as there is\n"+
		"memory for is in the system's cache.\n",
		z.small.w.finished, z.small.w.waiting, z.large.w.finished, z.large.w.waiting,
		size(z.small.bytes), size(z.large.bytes), tell(z.small.w.took), tell(z.large.w.took), historyDays, z.rounds)
	p := plot{title: "The same call on a small and on a large store", x: "µs, p50 (logarithmic)", log: true,
		bars: []bars{{name: label(z.small.w)}, {name: label(z.large.w)}}}
	for table, says := range []string{
		sameForAll: "",
		farApart: "\nWhat lies everywhere in the file, picked evenly from the whole history: on the small store its pages are in SQLite's own cache, on the large one they are read,\n" +
			"from the system's cache or from the disk. A state within a conversation is looked for among the tasks of the conversation.\n",
		counting: "\nThe total that every answer to ListTasks has, apart (it is part of the requests over HTTP). Without a filter and by state it is kept; by conversation and by time\n" +
			"what matches is counted.\n",
	} {
		b.WriteString(says + "\n| what | calls | small: p50 | p99 | large: p50 | p99 | large / small, p50 | p99 |\n|---|---|---|---|---|---|---|---|\n")
		for _, name := range z.names(func(p probe) bool { return p.table == sizeTable(table) }) {
			small, large := latencyOf(z.small.took[name]), latencyOf(z.large.took[name])
			fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %s | **%.2f** | %.2f |\n", name, small.n, tell(small.p50), tell(small.p99), tell(large.p50), tell(large.p99),
				ratio(large.p50, small.p50), ratio(large.p99, small.p99))
			for i, l := range []latency{small, large} {
				p.bars[i].of = append(p.bars[i].of, name)
				p.bars[i].values = append(p.bars[i].values, float64(l.p50)/1000)
			}
		}
	}
	b.WriteString("\n| the program on the file | small | large |\n|---|---|---|\n")
	fmt.Fprintf(&b, "| from its start until it is ready | %s | %s |\n", durations(z.small.start), durations(z.large.start))
	fmt.Fprintf(&b, "| from its start until it is ready, the file not in the system's cache | %s | %s |\n", durations(z.small.cold), durations(z.large.cold))
	fmt.Fprintf(&b, "| resident memory then | %.1f MiB | %.1f MiB |\n", spreadOf(z.small.memory).median, spreadOf(z.large.memory).median)
	return section{"size", b.String(), p}
}

func label(w *world) string {
	return fmt.Sprintf("%s finished, %s waiting", tickText(float64(w.finished)), tickText(float64(w.waiting)))
}

func size(bytes int64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/mib)
}
