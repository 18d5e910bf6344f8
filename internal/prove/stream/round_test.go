// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// beside says how a round is done.
type beside struct {
	// atLeast is how long the metronome beats; it goes on until every slow
	// reader was cut off, for as long as patience allows.
	atLeast, every time.Duration
	size           int // of the padding
	normal, slow   int // readers; the normal ones of each of the two tasks
	// pause is the time that a slow reader takes for a byte.
	pause time.Duration
	// sample is the time between two looks at the server's memory.
	sample time.Duration
}

const patience = time.Minute

// outcome is what a round showed.
type outcome struct {
	// beside are the latencies of those who read the task that the slow ones
	// read, apart of those who read another at the same time.
	beside, apart Latencies
	rate          float64 // beats a second
	heap, rss     int     // the most that was seen right after a collection
	peak          int     // the most RSS that was seen
	gone          []time.Duration
}

// doors are the bindings, gRPC at both of its addresses.
func (c *child) doors() []func(Dial) Door {
	return []func(Dial) Door{
		func(d Dial) Door { return NewHTTP(c.Addr, false, d) },
		func(d Dial) Door { return NewHTTP(c.Addr, true, d) },
		func(d Dial) Door { return &grpcDoor{c.Addr, d} },
		func(d Dial) Door { return &grpcDoor{c.GRPC, d} },
	}
}

// crowd are all who read in a round.
type crowd struct {
	*child
	how     beside
	n       int
	cancel  context.CancelCauseFunc
	group   sync.WaitGroup // of all readers
	leaders sync.WaitGroup // of those who made the tasks
	waiting sync.WaitGroup // until everybody reads, and the slow ones slowly
	over    chan struct{}  // closed when the metronome has ended

	mu sync.Mutex
	outcome
	faults error
}

// line is one task and who reads it.
type line struct {
	began chan string
	task  string
	beats int
	lat   *Latencies
}

// round lets the metronome beat for two tasks and everybody read them, the slow
// ones the first.
func (c *child) round(ctx context.Context, n int, b beside) (*outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &crowd{child: c, how: b, n: n, cancel: cancel, over: make(chan struct{})}
	first, twin := &line{began: make(chan string, 1), lat: &r.beside}, &line{began: make(chan string, 1), lat: &r.apart}
	r.waiting.Add(2*b.normal + b.slow)
	for _, l := range []*line{first, twin} {
		if err := r.begin(ctx, l); err != nil {
			r.note(err)
			close(r.over)
			r.group.Wait()
			return nil, r.faults
		}
	}
	for i := range b.slow {
		r.start(ctx, func() error { return r.crawl(ctx, i, first) })
	}
	r.start(ctx, func() error { return r.watch(ctx) })
	r.leaders.Wait()
	close(r.over)
	r.group.Wait()
	if r.faults != nil {
		return nil, r.faults
	}
	return &r.outcome, r.verdict()
}

// begin makes a task and lets everybody read it who keeps up.
func (r *crowd) begin(ctx context.Context, l *line) error {
	r.leaders.Add(1)
	r.start(ctx, func() error {
		defer r.leaders.Done()
		return r.lead(ctx, l)
	})
	select {
	case l.task = <-l.began:
	case <-ctx.Done():
		return fmt.Errorf("make a task: %w", ctx.Err())
	}
	for i := range r.how.normal {
		r.start(ctx, func() error { return r.read(ctx, i+r.n, l) })
	}
	return nil
}

var errAnother = errors.New("another of the crowd has failed")

// start runs one of the crowd. When one fails, the others do because of it.
func (r *crowd) start(ctx context.Context, f func() error) {
	r.group.Go(func() {
		if err := f(); err != nil && !errors.Is(context.Cause(ctx), errAnother) {
			r.note(err)
			r.cancel(errAnother)
		}
	})
}

func (r *crowd) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = errors.Join(r.faults, err)
}

// warm is how many beats nobody measures: those that are there already when a
// reader comes.
const warm = 500

// lead makes the task and measures the rate.
func (r *crowd) lead(ctx context.Context, l *line) error {
	var first, last time.Time
	lead := &Reading{Door: r.doors()[0](nil), Brief: true}
	lead.OnEvent = func(e Event) {
		if e.Seq == 1 {
			l.began <- e.Task
		}
		n, at, ok := beat(e)
		if ok && n == 1 {
			first = at
		}
		if ok {
			last, l.beats = at, n
		}
	}
	err := lead.Follow(ctx, NewMessage(fmt.Sprintf("%d %s %d", r.n, r.how.every, r.how.size)))
	switch {
	case err != nil:
	case lead.State != StateCompleted:
		err = fmt.Errorf("the metronome ended %s", lead.State)
	case lead.Resumed > 0:
		err = errors.New("the first reader was cut off")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rate = float64(l.beats-1) / last.Sub(first).Seconds()
	return err
}

func beat(e Event) (n int, at time.Time, ok bool) {
	if len(e.Chunks) == 0 || e.Seq == 1 {
		return 0, time.Time{}, false
	}
	n, at, err := Beat([]byte(strings.TrimPrefix(e.Chunks[0], beatMark)))
	return n, at, err == nil
}

// read is a reader who keeps up: it is never cut off.
func (r *crowd) read(ctx context.Context, i int, l *line) error {
	var mine Latencies
	beats := 0
	begun := sync.OnceFunc(r.waiting.Done)
	defer begun()
	err := r.taps()[i%4].again(ctx, l.task, func(said []byte) error {
		begun()
		n, at, err := Beat(said)
		if beats++; err != nil || n != beats {
			return fmt.Errorf("beat %d comes as number %d: %w", n, beats, err)
		}
		if n > warm {
			mine = append(mine, time.Since(at))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reader %d: %w", i, err)
	}
	<-r.over
	if beats != l.beats {
		return fmt.Errorf("reader %d was given %d of %d beats", i, beats, l.beats)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	*l.lat = append(*l.lat, mine...)
	return nil
}

// crawl is a reader of a byte a second until the metronome has ended. Then it
// reads what is left and takes the stream up again where it was cut off.
func (r *crowd) crawl(ctx context.Context, i int, l *line) error {
	throttle := NewThrottle(r.how.pause)
	defer context.AfterFunc(ctx, throttle.Quick)()
	go func() {
		<-r.over
		throttle.Quick()
	}()
	begun := sync.OnceFunc(r.waiting.Done)
	defer begun()
	door := r.doors()[i%4]
	reading := &Reading{Door: door(throttle.Dial), Task: l.task, Brief: true}
	beats := 0
	var fault error
	reading.OnEvent = func(e Event) {
		if n, _, ok := beat(e); ok {
			if beats++; n != beats {
				fault = errors.Join(fault, fmt.Errorf("beat %d comes as number %d", n, beats))
			}
		}
		if e.Seq == slowFrom {
			throttle.Slow()
			begun()
		}
	}
	err := errors.Join(reading.Follow(ctx, Message{}), fault)
	if err == nil {
		<-r.over // who has resumed may be done before the beats are counted
	}
	switch {
	case err != nil:
	case reading.Resumed == 0:
		err = errors.New("was never cut off")
	case beats != l.beats:
		err = fmt.Errorf("was given %d of %d beats", beats, l.beats)
	default:
		err = reading.Compare(ctx, door(nil))
	}
	if err != nil {
		return fmt.Errorf("slow reader %d: %w", i, err)
	}
	return nil
}

// slowFrom is the event with which a slow reader becomes slow: it could not
// even connect in a reasonable time before.
const slowFrom = 50

// watch looks at the server, and ends the metronome.
func (r *crowd) watch(ctx context.Context) error {
	r.waiting.Wait()
	since := time.Now()
	var looked time.Time
	all := 2 + 2*r.how.normal + r.how.slow
	for {
		query := ""
		if time.Since(looked) >= r.how.sample {
			query, looked = "gc", time.Now()
		}
		s, err := r.state(ctx, query)
		if err != nil {
			return err
		}
		rss, err := RSS(r.pid)
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.heap, r.peak = max(r.heap, s.Heap), max(r.peak, rss)
		if query != "" {
			r.rss = max(r.rss, rss)
		}
		for ; s.Beating && s.Listeners < all; all-- {
			r.gone = append(r.gone, time.Since(since).Round(10*time.Millisecond))
		}
		done := time.Since(since) > r.how.atLeast && len(r.gone) >= r.how.slow || time.Since(since) > r.how.atLeast+patience
		r.mu.Unlock()
		if done {
			_, err := r.state(ctx, fmt.Sprintf("end=%d", r.n))
			return err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// verdict wants every slow reader to have been cut off by the server while the
// metronome was beating, and nobody else.
func (r *crowd) verdict() error {
	if len(r.gone) != r.how.slow {
		return fmt.Errorf("of %d slow readers %d were cut off while the metronome was beating: %s", r.how.slow, len(r.gone), r.gone)
	}
	return nil
}
