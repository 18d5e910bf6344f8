// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"net"
	"sync"
	"time"
)

// Throttle makes the first connection that it dials slow for a while: it then
// gives a byte at a time, with a pause between.
type Throttle struct {
	// Pause is the time between two bytes.
	Pause time.Duration

	mu     sync.Mutex
	dialed bool
	slow   chan struct{} // closed when it is to be slow
	quick  chan struct{} // closed when it may be quick again
}

// NewThrottle returns a throttle that pauses so long for each byte.
func NewThrottle(pause time.Duration) *Throttle {
	return &Throttle{Pause: pause, slow: make(chan struct{}), quick: make(chan struct{})}
}

// Slow makes the connection slow from now on.
func (t *Throttle) Slow() { t.shut(t.slow) }

// Quick lets it go on as fast as it can.
func (t *Throttle) Quick() { t.shut(t.quick) }

func (t *Throttle) shut(c chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !shut(c) {
		close(c)
	}
}

func shut(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Dial is a Dial.
func (t *Throttle) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dialed {
		return conn, nil
	}
	t.dialed = true
	return &throttled{conn, t}, nil
}

type throttled struct {
	net.Conn
	t *Throttle
}

// Read implements net.Conn. A read that waits when the slowness begins ends as
// it would have.
func (c *throttled) Read(b []byte) (int, error) {
	if shut(c.t.slow) && !shut(c.t.quick) && len(b) > 0 {
		timer := time.NewTimer(c.t.Pause)
		defer timer.Stop()
		select {
		case <-timer.C:
			b = b[:1]
		case <-c.t.quick:
		}
	}
	return c.Conn.Read(b)
}
