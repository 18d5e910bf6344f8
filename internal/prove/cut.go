// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Cuts follows counts through a proxy that cuts.
type Cuts struct {
	// Client speaks through the proxy.
	Client *Client
	Ledger *Ledger
	// To and Every are the count that each stream follows.
	To    int
	Every time.Duration
	// AtATime is how many streams run together.
	AtATime int

	mu      sync.Mutex
	resumed []int
}

// Resumed is how often each stream was taken up again.
func (c *Cuts) Resumed() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.resumed)
}

// Run follows n streams to their ends and compares what they showed.
func (c *Cuts) Run(ctx context.Context, n int) error {
	starts := make(chan struct{})
	faults := make([]error, c.AtATime)
	var wg sync.WaitGroup
	for i := range c.AtATime {
		wg.Go(func() {
			for range starts {
				faults[i] = errors.Join(faults[i], c.follow(ctx))
			}
		})
	}
	for range n {
		starts <- struct{}{}
	}
	close(starts)
	wg.Wait()
	return errors.Join(faults...)
}

// follow reads one stream: its chunks, put together, must be 1..N.
func (c *Cuts) follow(ctx context.Context) error {
	m := newMessage("", fmt.Sprintf("count to %d every %s", c.To, c.Every))
	f := NewFollower(c.Client, m)
	var chunks, frames []string
	f.OnFrame = func(frame Frame) {
		frames = append(frames, hashOf(frame))
		chunks = append(chunks, frame.Event.at("artifactUpdate", "artifact").texts()...)
	}
	if err := f.Follow(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	c.resumed = append(c.resumed, f.Resumed)
	c.mu.Unlock()
	if f.State != stateCompleted {
		return fmt.Errorf("task %s ended %s", f.Task, f.State)
	}
	for i := range max(c.To, len(chunks)) {
		if i >= len(chunks) || chunks[i] != strconv.Itoa(i+1) {
			return fmt.Errorf("task %s: chunk %d of %d is wrong: %q", f.Task, i+1, c.To, chunks[min(i, len(chunks)):min(i+3, len(chunks))])
		}
	}
	if err := c.Ledger.Append(Entry{Op: opSend, Task: f.Task, Text: m.Text, Message: m.ID, Key: m.Key}); err != nil {
		return err
	}
	return c.Ledger.Append(Entry{Op: opStream, Task: f.Task, State: f.State, From: f.First, Frames: frames})
}
