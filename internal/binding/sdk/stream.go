// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"context"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/engine"
)

// ahead bounds the events that have passed the interceptors and not yet been
// asked for.
const ahead = 8

// Stream is a follower whose events have passed interceptors. The SDK hands
// events on by calling, and a binding asks for them and wants to be told when
// there are none: hence a goroutine between the two.
type Stream struct {
	cancel context.CancelFunc
	frames chan engine.Frame
	// err is how the stream ended; it may be read when frames is closed.
	err error
}

// follow runs the interceptors, and the engine behind them, as far as to know
// that there is something to follow: an early error is the caller's answer.
func (i *Intercepted[F]) follow(ctx context.Context, call engine.Call, cursor *uint64, open func(context.Context) iter.Seq2[a2a.Event, error]) (*Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	ctx, p := i.enter(ctx, call)
	begun, ended := make(chan struct{}), make(chan struct{})
	p.cursor, p.open = cursor, sync.OnceFunc(func() { close(begun) })
	s := &Stream{cancel: cancel, frames: make(chan engine.Frame, ahead)}
	go func() {
		defer close(ended)
		defer close(s.frames)
		s.err = s.run(ctx, p, open(ctx))
	}()
	select {
	case <-begun:
		return s, nil
	case <-ended:
		if s.err != nil && len(s.frames) == 0 {
			cancel()
			return nil, s.err
		}
		return s, nil
	case <-ctx.Done():
		err := context.Cause(ctx)
		cancel()
		return nil, err
	}
}

// run takes events until there are no more. A panic of an interceptor must not
// end the process, which it would here: no server is below to recover it.
func (s *Stream) run(ctx context.Context, p *passage, events iter.Seq2[a2a.Event, error]) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic behind or in an interceptor: %v\n%s", r, debug.Stack())
		}
	}()
	for event, err := range events {
		if err != nil {
			return adopt(err)
		}
		if event == nil {
			continue // an interceptor keeps it to itself
		}
		b, err := encodeEvent(event)
		if err != nil {
			return err
		}
		select {
		case s.frames <- engine.Frame{Seq: p.seq, Event: b}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Next waits for events, at most idle (0: as long as it takes), and gives all
// that are there, as the engine's follower does.
func (s *Stream) Next(ctx context.Context, idle time.Duration) ([]engine.Frame, error) {
	var timeout <-chan time.Time
	if idle > 0 {
		timer := time.NewTimer(idle)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case f, ok := <-s.frames:
		if !ok {
			return nil, s.end()
		}
		return s.gather(f), nil
	case <-timeout:
		return nil, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *Stream) gather(first engine.Frame) []engine.Frame {
	frames := []engine.Frame{first}
	for {
		select {
		case f, ok := <-s.frames:
			if !ok {
				return frames
			}
			frames = append(frames, f)
		default:
			return frames
		}
	}
}

func (s *Stream) end() error {
	if s.err != nil {
		return s.err
	}
	return io.EOF
}

// Close ends the following. It may be called twice.
func (s *Stream) Close() { s.cancel() }
