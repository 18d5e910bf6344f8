// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// class orders the operations of a batch: heartbeats first, so that no lease
// runs out while its renewal waits; then claims, so that what waits is taken
// before what arrives asks whether anything waits; and rescue last, so that it
// sees them.
type class int

const (
	beat class = iota
	claiming
	write
	rescue
	classes
)

// op is one operation in the queue.
type op struct {
	run  func(*batch) error // may run more than once; decides anew each time
	cl   class
	size int64
	err  error
	// state is opWaiting until the committer starts it or its caller gives up.
	state atomic.Int32
	done  chan struct{}
}

const (
	opWaiting int32 = iota
	opStarted
	opAbandoned
)

// crowd is how many operations in a batch mean a busy server.
const crowd = 8

// opOverhead is what an operation costs beside its bodies.
const opOverhead = 256

// committer puts what many callers ask for into few transactions. Its one
// goroutine takes everything that waits, runs it and answers; what arrives
// meanwhile is the next batch. It waits for nobody on an idle server.
type committer struct {
	maxOps   int
	maxBytes int64 // of one batch
	maxQueue int64 // of all that waits

	run func(ops []*op)

	mu      sync.Mutex
	queue   [classes][]*op
	waiting int64 // bytes
	stopped bool

	wake  chan struct{}
	pause chan func()
	idle  chan struct{} // closed when the goroutine has ended
}

func newCommitter(o Options, run func([]*op)) *committer {
	return &committer{
		maxOps: o.BatchOps, maxBytes: int64(o.BatchBytes), maxQueue: int64(o.QueueBytes),
		run:   run,
		wake:  make(chan struct{}, 1),
		pause: make(chan func()),
		idle:  make(chan struct{}),
	}
}

// free as the size of an operation says that it brings nothing: a lease, a claim.
// It is bounded by the number of workers and must go on when clients bring too much.
const free = -1

// do queues an operation and waits for its answer. When ctx ends before the
// operation was started, nothing is written and the answer is ctx's error;
// afterwards the caller gets the true answer, however long it takes.
func (c *committer) do(ctx context.Context, cl class, size int, run func(*batch) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("before it was queued: %w", err)
	}
	o := &op{run: run, cl: cl, size: int64(max(size, 0)) + opOverhead, done: make(chan struct{})}
	if err := c.put(o, size == free); err != nil {
		return err
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		if o.state.CompareAndSwap(opWaiting, opAbandoned) {
			return fmt.Errorf("waiting for a commit: %w", ctx.Err())
		}
		<-o.done
	}
	return o.err
}

func (c *committer) put(o *op, uncapped bool) error {
	c.mu.Lock()
	switch {
	case c.stopped:
		c.mu.Unlock()
		return store.ErrStopped
	case !uncapped && c.waiting+o.size > c.maxQueue:
		c.mu.Unlock()
		return store.ErrOverloaded
	}
	c.queue[o.cl] = append(c.queue[o.cl], o)
	c.waiting += o.size
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default: // it is awake
	}
	return nil
}

// loop runs batches until stop, then what still waits, then returns. again is a
// signal to run an empty batch: to try to open the database once more.
func (c *committer) loop(again <-chan time.Time) {
	defer close(c.idle)
	for {
		select {
		case use := <-c.pause:
			use()
		default:
		}
		ops, stopped := c.take()
		if len(ops) > 0 {
			c.run(ops)
			for _, o := range ops {
				close(o.done)
			}
			if len(ops) >= crowd {
				// Those who were answered may have more to write: on a busy server
				// letting them run first makes half as many transactions.
				runtime.Gosched()
			}
			continue
		}
		if stopped {
			return
		}
		select {
		case <-c.wake:
		case use := <-c.pause:
			use()
		case <-again:
			c.run(nil)
		}
	}
}

// take removes the next batch from the queue.
func (c *committer) take() (ops []*op, stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var bytes int64
	for cl := range c.queue {
		q := c.queue[cl]
		n := 0
		for _, o := range q {
			if len(ops) > 0 && (len(ops) >= c.maxOps || bytes+o.size > c.maxBytes) {
				break
			}
			n++
			c.waiting -= o.size
			if !o.state.CompareAndSwap(opWaiting, opStarted) {
				continue // its caller has gone
			}
			bytes += o.size
			ops = append(ops, o)
		}
		clear(q[:n])
		if c.queue[cl] = q[n:]; n == len(q) {
			c.queue[cl] = q[:0]
		}
	}
	return ops, c.stopped
}

// stop refuses new operations, lets what waits be committed and waits for that.
func (c *committer) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	<-c.idle
}

func (c *committer) length() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, q := range c.queue {
		n += len(q)
	}
	return n
}

func (c *committer) closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

func (c *committer) between(use func()) error {
	done := make(chan struct{})
	select {
	case c.pause <- func() { defer close(done); use() }:
		<-done
		return nil
	case <-c.idle:
		return store.ErrStopped
	}
}
