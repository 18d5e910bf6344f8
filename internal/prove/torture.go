// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Torture kills a server again and again while a load runs.
type Torture struct {
	Server *Server
	Client *Client
	Load   *Load
	// Kills is how often it is killed. Bound, where it is set, ends the
	// killing earlier.
	Kills int
	Bound time.Duration
	// Gently stops it with SIGTERM instead: what runs is drained or given back.
	Gently bool
	// MinUp and MaxUp bound how long the server lives between two kills.
	MinUp, MaxUp time.Duration
	// Log tells what happens.
	Log func(format string, args ...any)
}

// KillReport is what the kills hit.
type KillReport struct {
	Kills int
	// HitRunning counts the kills before which a followed task had shown a
	// chunk a moment ago and had not ended.
	HitRunning int
	// Working is how many tasks were in the state WORKING before each kill.
	Working []int
	// Ready is how long each restart took.
	Ready []time.Duration
	Acked int
	Took  time.Duration
}

// Summary tells the figures in one line.
func (r *KillReport) Summary() string {
	ready := slices.Sorted(slices.Values(r.Ready))
	working := slices.Sorted(slices.Values(r.Working))
	if len(ready) == 0 {
		return "no kills"
	}
	return fmt.Sprintf("%d kills in %s, %d hit a running attempt; tasks working at a kill: median %d, least %d; "+
		"ready again after: median %s, most %s; %.0f acknowledged operations a second, time down included",
		r.Kills, r.Took.Round(time.Second), r.HitRunning, working[len(working)/2], working[0],
		ready[len(ready)/2].Round(time.Millisecond), ready[len(ready)-1].Round(time.Millisecond),
		float64(r.Acked)/r.Took.Seconds())
}

// fresh is how long ago a task that is running may have shown a chunk: the
// slowest of the load's counts does every 25 ms.
const fresh = 150 * time.Millisecond

// drainTimeout bounds how long the load may take to be answered in the end.
const drainTimeout = 2 * time.Minute

// Run starts the server, loads it, kills it, and leaves it running once every
// operation is answered. An error means that it could not be done.
func (t *Torture) Run(ctx context.Context, seed uint64) (*KillReport, error) {
	if _, err := t.Server.Start(ctx); err != nil {
		return nil, err
	}
	loading, stop := context.WithCancel(ctx)
	defer stop()
	answered, cancel := context.WithCancel(ctx)
	defer cancel()
	loaded := make(chan error, 1)
	go func() { loaded <- t.Load.Run(answered, loading) }()

	begin := time.Now()
	report, err := t.killAll(ctx, rand.New(rand.NewPCG(seed, 2)))
	report.Took, report.Acked = time.Since(begin), t.Load.Acked()
	stop()
	if err != nil {
		cancel() // nothing will be answered any more
	}
	late := time.AfterFunc(drainTimeout, cancel)
	defer late.Stop()
	if ended := <-loaded; err == nil {
		err = ended
	}
	return report, err
}

func (t *Torture) killAll(ctx context.Context, random *rand.Rand) (*KillReport, error) {
	report := &KillReport{}
	begin := time.Now()
	for report.Kills < t.Kills && (t.Bound == 0 || time.Since(begin) < t.Bound) {
		if err := wait(ctx, t.MinUp+rand64(random, t.MaxUp-t.MinUp)); err != nil {
			return report, err
		}
		if err := t.killOnce(ctx, report); err != nil {
			return report, fmt.Errorf("kill %d: %w", report.Kills, err)
		}
	}
	return report, wait(ctx, t.MinUp)
}

func (t *Torture) killOnce(ctx context.Context, report *KillReport) error {
	working, err := CountTasks(ctx, t.Client, stateWorking)
	if err != nil {
		return err
	}
	moving := t.Load.Moving(fresh)
	end := t.Server.Kill
	if t.Gently {
		end = t.Server.Stop
	}
	if err := end(); err != nil {
		return err
	}
	ready, err := t.Server.Start(ctx)
	if err != nil {
		return err
	}
	report.Kills++
	if moving > 0 {
		report.HitRunning++
	}
	report.Working = append(report.Working, working)
	report.Ready = append(report.Ready, ready)
	t.Log("kill %d: %d tasks working, %d followed and running; %d acknowledged; ready after %s",
		report.Kills, working, moving, t.Load.Acked(), ready.Round(time.Millisecond))
	return nil
}

func rand64(r *rand.Rand, most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(most)))
}
