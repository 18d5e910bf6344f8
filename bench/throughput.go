// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// comparison is one work on both servers, one result for each alternation.
type comparison struct {
	work       work
	ours, peer []result
}

type sayer func(format string, args ...any)

// measureThroughput drives both servers in turn, each in a process of its own
// that is started for the alternation and on an empty store.
func measureThroughput(ctx context.Context, s settings, say sayer) ([]comparison, error) {
	start, err := errandStarter(ctx, s)
	if err != nil {
		return nil, err
	}
	var all []comparison
	for _, w := range works(s.work) {
		c := comparison{work: w}
		for i := range s.alternations {
			peer, err := driveFresh(ctx, w, s.duration*time.Duration(w.stretch), startPeer)
			if err != nil {
				return nil, fmt.Errorf("a2a-go: %w", err)
			}
			ours, err := driveOurs(ctx, s, w, start)
			if err != nil {
				return nil, fmt.Errorf("errand: %w", err)
			}
			c.peer, c.ours = append(c.peer, peer), append(c.ours, ours)
			say("%s, alternation %d: a2a-go %s, errand %s", w.name, i+1, peer, ours)
		}
		all = append(all, c)
	}
	return all, nil
}

func driveOurs(ctx context.Context, s settings, w work, start starter) (result, error) {
	dir, err := os.MkdirTemp(s.dir, "store-")
	if err != nil {
		return result{}, fmt.Errorf("make a store: %w", err)
	}
	defer os.RemoveAll(dir)
	return driveFresh(ctx, w, s.duration*time.Duration(w.stretch), func(ctx context.Context) (*process, error) { return start(ctx, dir) })
}

func driveFresh(ctx context.Context, w work, d time.Duration, start func(context.Context) (*process, error)) (result, error) {
	p, err := start(ctx)
	if err != nil {
		return result{}, err
	}
	before := processorTime()
	r, tasks, err := drive(ctx, p.url, w, d)
	used := processorTime() - before
	if err := errors.Join(err, p.stop()); err != nil {
		return result{}, err
	}
	r.client = used / time.Duration(tasks)
	r.server = (p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()) / time.Duration(tasks)
	return r, nil
}

// String tells a result in a few words.
func (r result) String() string {
	return fmt.Sprintf("%s tasks/s, p50 %s, p99 %s, processor time %s + %s", perSecond(r.rate),
		r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond),
		r.server.Round(time.Microsecond), r.client.Round(time.Microsecond))
}
