// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Lane is one binding under the knife.
type Lane struct {
	Name string
	// Torn leads through the cutter, Clean does not.
	Torn, Clean Door
	Cutter      *Cutter

	mu      sync.Mutex
	streams int
	events  int
	resumed int
}

// Cuts reads counts through cutters until enough was cut.
type Cuts struct {
	Lanes []*Lane
	// Each is how many cuts a lane has to make.
	Each int
	// Each stream follows a count to at most To. A short one brings cuts near its
	// end.
	To    int
	Every time.Duration
	// AtATime is how many streams a lane reads together.
	AtATime int
}

// Run cuts and then compares every stream with a replay. down is held while
// the server may not be killed: a replay must not break.
func (c *Cuts) Run(ctx context.Context, down *sync.RWMutex) error {
	faults := make([]error, len(c.Lanes)*c.AtATime)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for i := range faults {
		lane := c.Lanes[i%len(c.Lanes)]
		wg.Go(func() {
			for lane.Cutter.Tally().Cut < c.Each {
				err := c.follow(ctx, lane, down)
				if ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
					return // another one has failed, which is enough to know
				}
				if err != nil {
					faults[i] = fmt.Errorf("%s: %w", lane.Name, err)
					cancel()
					return
				}
			}
			lane.Cutter.Stop()
		})
	}
	wg.Wait()
	return errors.Join(faults...)
}

func (c *Cuts) follow(ctx context.Context, lane *Lane, down *sync.RWMutex) error {
	r, to := &Reading{Door: lane.Torn}, 1+rand.IntN(c.To)
	if err := r.Follow(ctx, NewMessage(fmt.Sprintf("count to %d every %s", to, c.Every))); err != nil {
		return err
	}
	if err := r.CheckCount(to); err != nil {
		return err
	}
	lane.mu.Lock()
	lane.streams++
	lane.events += len(r.Events)
	lane.resumed += r.Resumed
	lane.mu.Unlock()
	down.RLock()
	defer down.RUnlock()
	return r.Compare(ctx, lane.Clean)
}

// Summary tells the figures in one line.
func (l *Lane) Summary() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.Cutter.Tally()
	s := fmt.Sprintf("%s: %d streams, %d events, %d cuts", l.Name, l.streams, l.events, t.Cut)
	for p, n := range t.Cuts {
		s += fmt.Sprintf(", %d %s", n, Place(p))
	}
	return s + fmt.Sprintf("; resumed %d times, %d connections met a dead server, %d lost theirs", l.resumed, t.Dead, t.Broken)
}
