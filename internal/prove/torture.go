// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// What a kill hits.
const (
	// KillRunning ends a server that has been ready for a while.
	KillRunning = "running"
	// KillStarting ends one a moment after it was executed, ready or not.
	KillStarting = "starting"
	// KillFresh ends one that has just become ready: the second of two in quick
	// succession.
	KillFresh = "fresh"
	// KillDraining ends one that was asked to end and is about to.
	KillDraining = "draining"
	// stopGently is no kill: the server is asked to end and left to it.
	stopGently = "stopped"
)

// How long a server is left alone at most before a kill of that kind: a start
// takes some 30 ms; a drain takes 3 s, and then what runs is given back.
const (
	startingFor = 100 * time.Millisecond
	freshFor    = 50 * time.Millisecond
	drainingFor = 400 * time.Millisecond
	releaseAt   = 2900 * time.Millisecond
)

// Torture kills a server again and again while a load runs.
type Torture struct {
	Server *Server
	Client *Client
	Load   *Load
	// Kills is how often it is killed, First the number of the first kill. Until,
	// where it is set, ends the killing earlier.
	Kills, First int
	Until        time.Time
	// Mixed draws a kind for each kill; otherwise all hit a running server.
	Mixed bool
	// Gently stops it with SIGTERM instead: what runs is drained or given back.
	Gently bool
	// MinUp and MaxUp bound how long the server lives between two kills.
	MinUp, MaxUp time.Duration
	// OnKill is told each kill before the next; its error ends the killing.
	OnKill func(Kill) error
	// Log tells what happens.
	Log func(format string, args ...any)
}

// fresh is how long ago a task that is running may have shown a chunk: the
// slowest of the load's counts does every 25 ms.
const fresh = 150 * time.Millisecond

// drainTimeout bounds how long the load may take to be answered in the end.
const drainTimeout = 2 * time.Minute

// Run starts the server, loads it, kills it, and leaves it running once every
// operation is answered. An error means that it could not be done.
func (t *Torture) Run(ctx context.Context, seed uint64) (KillReport, error) {
	loading, stop := context.WithCancel(ctx)
	defer stop()
	answered, cancel := context.WithCancel(ctx)
	defer cancel()
	loaded := make(chan error, 1)
	go func() { loaded <- t.Load.Run(answered, loading) }()

	report, err := t.killAll(ctx, seed)
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

func (t *Torture) killAll(ctx context.Context, seed uint64) (report KillReport, err error) {
	for n := t.First; len(report) < t.Kills && (t.Until.IsZero() || time.Now().Before(t.Until)); n++ {
		// A source for each kill: a run that is interrupted goes on with the
		// kills that it would have had.
		k, err := t.life(ctx, rand.New(rand.NewPCG(seed, uint64(n)<<8|2)))
		if err != nil {
			return report, fmt.Errorf("kill %d: %w", n+1, err)
		}
		k.N = n + 1
		t.Log("%s", k)
		if t.OnKill != nil {
			if err := t.OnKill(k); err != nil {
				return report, err
			}
		}
		report = append(report, k)
	}
	if _, err := t.start(ctx); err != nil {
		return report, err
	}
	return report, wait(ctx, t.MinUp)
}

// start starts the server unless it runs.
func (t *Torture) start(ctx context.Context) (ready time.Duration, err error) {
	if t.Server.Running() {
		return 0, nil
	}
	return t.Server.Start(ctx)
}

// life is one life of the server, from its start to its kill.
func (t *Torture) life(ctx context.Context, random *rand.Rand) (k Kill, err error) {
	begin := time.Now()
	defer func() { k.Acked, k.TookMS = t.Load.Acked(), time.Since(begin).Milliseconds() }()
	for killed := false; !killed; {
		k = Kill{Kind: t.kind(random), Working: -1}
		if k.Kind == KillStarting {
			if err := t.Server.Launch(); err != nil {
				return k, err
			}
			most := startingFor
			if random.IntN(2) == 0 {
				most /= 20
			}
			if err := wait(ctx, upTo(random, most)); err != nil {
				return k, err
			}
			return k, t.Server.Kill()
		}
		ready, err := t.start(ctx)
		if err != nil {
			return k, err
		}
		k.ReadyMS = ready.Milliseconds()
		if killed, err = t.kill(ctx, random, &k); err != nil {
			return k, err
		}
	}
	return k, nil
}

// kill ends a server that is ready. A drain may come to its end before.
func (t *Torture) kill(ctx context.Context, random *rand.Rand, k *Kill) (killed bool, err error) {
	if k.Kind == KillFresh {
		if err := wait(ctx, upTo(random, freshFor)); err != nil {
			return false, err
		}
		return true, t.Server.Kill()
	}
	if err := wait(ctx, t.MinUp+upTo(random, t.MaxUp-t.MinUp)); err != nil {
		return false, err
	}
	if k.Working, err = CountTasks(ctx, t.Client, stateWorking); err != nil {
		return false, err
	}
	k.Moving = t.Load.Moving(fresh)
	switch k.Kind {
	case KillDraining:
		after := upTo(random, drainingFor)
		if random.IntN(4) == 0 {
			after += releaseAt
		}
		return t.Server.KillDraining(ctx, after)
	case stopGently:
		return true, t.Server.Stop()
	}
	return true, t.Server.Kill()
}

// kind draws what the kill hits. A server that runs already was ready long ago.
func (t *Torture) kind(random *rand.Rand) string {
	n := random.IntN(100)
	switch {
	case t.Gently:
		return stopGently
	case !t.Mixed || n < 60:
		return KillRunning
	case n < 72:
		return KillDraining
	case t.Server.Running():
		return KillRunning
	case n < 86:
		return KillStarting
	default:
		return KillFresh
	}
}

func upTo(r *rand.Rand, most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(most)))
}
