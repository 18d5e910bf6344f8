// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/errand-a2a/errand/internal/store/sqlite"
)

// The store that the large one is compared with.
const (
	fewWaiting  = 1000
	fewFinished = 5000
	pageLimit   = 50
)

// rig is a store that is measured.
type rig struct {
	w       *world
	st      *sqlite.Store
	next    atomic.Int64 // number of the next task that is made
	took    map[string][]time.Duration
	mu      sync.Mutex
	counted bool // the round

	http        *asker
	bytes       int64
	start, cold []time.Duration // of the program, on this file
	memory      []float64       // MiB of the program once it is ready
	totals      map[string]int
}

// sized is the small store and the large one.
type sized struct {
	small, large *rig
	probes       []probe
	rounds       int
}

// measureSize fills two stores and does the same to both, in turns.
func measureSize(ctx context.Context, s settings, say sayer) (out *sized, err error) {
	form, err := learn(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	out = &sized{probes: append(probes(s), httpProbes(s)...), rounds: s.alternations}
	for _, x := range []struct {
		rig               **rig
		name              string
		finished, waiting int
	}{
		{&out.small, "small", min(fewFinished, s.finished), min(fewWaiting, s.waiting)},
		{&out.large, "large", s.finished, s.waiting},
	} {
		if *x.rig, err = prepare(ctx, s, x.name, &world{finished: x.finished, waiting: x.waiting, form: form}, say); err != nil {
			return nil, err
		}
	}
	for _, r := range []*rig{out.small, out.large} {
		if err := warm(r.w.path); err != nil {
			return nil, err
		}
	}
	if err := out.probeAll(ctx, s); err != nil {
		return nil, err
	}
	if err := out.askAll(ctx, s); err != nil {
		return nil, err
	}
	for _, name := range out.names(func(probe) bool { return true }) {
		a, b := latencyOf(out.small.took[name]), latencyOf(out.large.took[name])
		say("%-60s %9s %9s   %9s %9s   %.2f %.2f", name, tell(a.p50), tell(a.p99), tell(b.p50), tell(b.p99), ratio(b.p50, a.p50), ratio(b.p99, a.p99))
	}
	return out, out.startAll(ctx, s, say)
}

// names are those of the figures of some probes.
func (z *sized) names(which func(probe) bool) (out []string) {
	for _, p := range z.probes {
		switch {
		case !which(p):
		case p.parts != nil:
			out = append(out, p.parts...)
		default:
			out = append(out, p.name)
		}
	}
	return out
}

// prepare fills a store, unless it is there.
func prepare(ctx context.Context, s settings, name string, w *world, say sayer) (*rig, error) {
	dir := filepath.Join(s.dir, name)
	if s.keep != "" {
		dir = filepath.Join(s.keep, name)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	w.path, w.began = filepath.Join(dir, "errand.db"), time.Now()
	found, err := w.known()
	if err != nil {
		return nil, err
	}
	say("the %s store: %d finished and %d waiting tasks", name, w.finished, w.waiting)
	if !found {
		if err := w.fill(ctx, say); err != nil {
			return nil, err
		}
		if err := w.keep(); err != nil {
			return nil, err
		}
	}
	r := &rig{w: w, took: map[string][]time.Duration{}, totals: map[string]int{}}
	r.next.Store(w.made)
	info, err := os.Stat(w.path)
	if err != nil {
		return nil, fmt.Errorf("measure a store: %w", err)
	}
	r.bytes = info.Size()
	say("  %s, %.2f GiB", w.took.Round(time.Second), float64(r.bytes)/(1<<30))
	return r, nil
}

// probeAll alternates between the stores, both of which are open.
func (z *sized) probeAll(ctx context.Context, s settings) (err error) {
	for _, r := range []*rig{z.small, z.large} {
		if r.st, err = sqlite.Open(ctx, r.w.path, sqlite.Options{}); err != nil {
			return err
		}
		defer func() {
			r.w.made = r.next.Load()
			err = errors.Join(err, r.st.Close(), r.w.keep())
		}()
	}
	return z.inTurns(ctx, probes(s))
}

// inTurns does everything to one store and then to the other, again and again.
func (z *sized) inTurns(ctx context.Context, all []probe) error {
	for round := range z.rounds + 1 { // the first is not counted
		for _, r := range []*rig{z.small, z.large} {
			for _, p := range all {
				if err := r.probe(ctx, p, round > 0); err != nil {
					return fmt.Errorf("%s%v: %w", p.name, p.parts, err)
				}
			}
		}
	}
	return nil
}

func (r *rig) probe(ctx context.Context, p probe, counted bool) error {
	r.counted = counted
	took := make([]time.Duration, p.n)
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, p.callers)
	for c := range p.callers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(p.n) && errs[c] == nil; i = next.Add(1) - 1 {
				began := time.Now()
				errs[c] = p.do(ctx, r)
				took[i] = time.Since(began)
			}
		})
	}
	group.Wait()
	if counted && p.parts == nil {
		r.took[p.name] = append(r.took[p.name], took...)
	}
	return errors.Join(errs...)
}

// startAll starts the program on each file, again and again. It finds work to
// do, and begins it; so this comes last.
func (z *sized) startAll(ctx context.Context, s settings, say sayer) error {
	start, err := errandStarter(ctx, s)
	if err != nil {
		return err
	}
	once := func(r *rig) (took time.Duration, resident float64, err error) {
		began := time.Now()
		p, err := start(ctx, filepath.Dir(r.w.path))
		if err != nil {
			return 0, 0, err
		}
		took = time.Since(began)
		resident, err = residentMemory(p.cmd.Process.Pid)
		return took, resident, errors.Join(err, p.stop())
	}
	for range s.alternations {
		for _, r := range []*rig{z.small, z.large} {
			took, resident, err := once(r)
			if err != nil {
				return err
			}
			r.start, r.memory = append(r.start, took), append(r.memory, resident)
			if err := uncache(r.w.path); err != nil {
				return err
			}
			if took, _, err = once(r); err != nil {
				return err
			}
			r.cold = append(r.cold, took)
		}
	}
	for _, r := range []*rig{z.small, z.large} {
		say("started in %v, from the disk in %v, memory %.1f MiB", r.start, r.cold, r.memory)
	}
	return nil
}

// latency is what many of the same took.
type latency struct {
	n        int
	p50, p99 time.Duration
}

func latencyOf(took []time.Duration) latency {
	r, err := summarize([][]time.Duration{took}, time.Second)
	if err != nil {
		return latency{}
	}
	return latency{len(took), r.p50.Round(100 * time.Nanosecond), r.p99.Round(100 * time.Nanosecond)}
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }
