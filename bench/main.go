// SPDX-License-Identifier: Apache-2.0

// Bench measures Errand beside the server of the official Go SDK, and what one
// more event costs on a long task. docs/benchmarks.md says how to repeat it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	work         string
	duration     time.Duration
	alternations int
	profile      string
	out          string
	plots        string
	dir          string
	serve        string
	// of the work size
	finished, waiting, each int
	// of the works idle and parked
	idle, parked, chunks int
	silence              time.Duration
	// start starts our server, in tests; nil: the program is built and started
	start starter
	keep  string
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&s.work, "work", "all", "what to measure: short, chunks, long, linear, followers, idle, parked, artifact, size, latency or all")
	f.DurationVar(&s.duration, "duration", 5*time.Second, "how long each server is driven in each alternation")
	f.IntVar(&s.alternations, "alternations", 5, "how often the servers take turns")
	f.StringVar(&s.profile, "profile", "", "write a CPU profile of our server to this file; it then runs from the library")
	f.StringVar(&s.out, "out", "", "write the tables into the marked section of this file, too")
	f.StringVar(&s.plots, "plots", "", "write the plots into this directory; -out writes them beside its file, too")
	f.StringVar(&s.dir, "dir", "", "where the database is put; its disk is what is measured (default: the system's temporary directory)")
	f.IntVar(&s.finished, "finished", 500_000, "size: how many finished tasks the large store holds")
	f.IntVar(&s.waiting, "waiting", 100_000, "size: how many tasks wait in the large store")
	f.IntVar(&s.each, "each", 400, "size: how often a round does each thing")
	f.StringVar(&s.keep, "keep", "", "size: fill the stores in this directory and leave them there, or use those that it holds")
	f.IntVar(&s.idle, "idle", 10_000, "idle: how many followers")
	f.DurationVar(&s.silence, "silence", 5*time.Second, "idle: how long nothing happens while the processor time is taken")
	f.IntVar(&s.parked, "parked", 100_000, "parked: how many tasks")
	f.IntVar(&s.chunks, "chunks", 10_000, "artifact: chunks of the largest one")
	f.StringVar(&s.serve, "serve", "", "used by bench itself: be a server, peer or errand")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	switch s.work {
	case "short", "chunks", "long", "linear", "followers", "idle", "parked", "artifact", "size", "latency", "all":
	default:
		return s, fmt.Errorf("-work %q: want short, chunks, long, linear, followers, idle, parked, artifact, size, latency or all", s.work)
	}
	if s.out != "" && s.work != "all" {
		return s, fmt.Errorf("-out replaces the whole section: it wants -work all")
	}
	if f.NArg() > 0 || s.alternations < 1 || s.duration <= 0 {
		return s, fmt.Errorf("want flags alone, -alternations of at least 1 and a -duration above 0")
	}
	return s, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	switch s.serve {
	case "":
	case "peer":
		return servePeer(ctx, stdout)
	case "errand":
		return serveErrand(ctx, s, stdout)
	case "lab-errand", "lab-peer":
		return serveLab(ctx, s, stdout)
	default:
		return fmt.Errorf("-serve %q: want peer or errand", s.serve)
	}
	dir, err := os.MkdirTemp(s.dir, "errand-bench-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	s.dir = dir
	return measure(ctx, s, stdout, stderr)
}

// measure runs what -work names and writes the tables.
func measure(ctx context.Context, s settings, stdout, stderr io.Writer) error {
	where, err := inspect(s.dir)
	if err != nil {
		return err
	}
	r := report{machine: where, settings: s}
	say := func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	if s.work == "short" || s.work == "chunks" || s.work == "long" || s.work == "all" {
		if r.throughput, err = measureThroughput(ctx, s, say); err != nil {
			return err
		}
	}
	if s.work == "linear" || s.work == "all" {
		if r.linear, err = measureLinear(ctx, s, say); err != nil {
			return err
		}
	}
	if s.work == "followers" || s.work == "all" {
		if r.followers, err = measureFollowers(ctx, s, say); err != nil {
			return err
		}
	}
	for _, w := range sectionWorks() {
		if s.work != w.name && s.work != "all" {
			continue
		}
		section, err := w.measure(ctx, s, say)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		r.sections = append(r.sections, section)
	}
	if s.plots != "" {
		if err := savePlots(s.plots, r.sections); err != nil {
			return err
		}
	}
	text := r.markdown()
	if _, err := io.WriteString(stdout, text); err != nil {
		return fmt.Errorf("write the tables: %w", err)
	}
	if s.out == "" {
		return nil
	}
	if err := savePlots(filepath.Join(filepath.Dir(s.out), "benchmarks"), r.sections); err != nil {
		return err
	}
	return writeSection(filepath.Clean(s.out), text)
}
