// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
)

// Cut says where a connection is cut.
type Cut struct {
	// Bytes of the answer are passed on.
	Bytes int
	// Whole passes on the rest of an event too, so that the cut falls right
	// between two.
	Whole bool
	// Reset makes the reader see an error at once instead of an end.
	Reset bool
}

// Tally counts what happened to the connections of a cutter.
type Tally struct {
	// Cuts are those by place, and Cut is their number.
	Cuts [places]int
	Cut  int
	// Dead connections met no server; Broken ones lost theirs in the answer.
	Dead, Broken int
}

// Cutter passes TCP connections on to a server and cuts each somewhere in its
// answer.
type Cutter struct {
	listener net.Listener
	target   string
	grpc     bool
	draw     func() Cut
	done     atomic.Bool

	mu    sync.Mutex
	tally Tally
	conns map[net.Conn]struct{}
	wg    sync.WaitGroup
}

// NewCutter listens on a free port of this machine. draw says where the next
// connection is cut; it is called by one goroutine at a time.
func NewCutter(target string, grpc bool, draw func() Cut) (*Cutter, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cutter: %w", err)
	}
	c := &Cutter{listener: l, target: target, grpc: grpc, draw: draw, conns: map[net.Conn]struct{}{}}
	c.wg.Go(c.accept)
	return c, nil
}

// Anywhere draws cuts: most within the first events, some in the head, some
// right between two events.
func Anywhere(random *rand.Rand, head, most int) func() Cut {
	return func() Cut {
		cut := Cut{Bytes: random.IntN(most), Reset: random.IntN(2) == 0}
		switch n := random.IntN(20); {
		case n < 2:
			cut.Bytes = random.IntN(head)
		case n < 5:
			cut.Whole = true
		}
		return cut
	}
}

// Addr is where the cutter listens.
func (c *Cutter) Addr() string { return c.listener.Addr().String() }

// Tally is what has happened so far.
func (c *Cutter) Tally() Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally
}

// Stop lets what comes from now on pass uncut.
func (c *Cutter) Stop() { c.done.Store(true) }

// Close ends the cutter and every connection through it.
func (c *Cutter) Close() error {
	err := c.listener.Close()
	c.mu.Lock()
	for conn := range c.conns {
		_ = conn.Close() // it is being thrown away
	}
	c.mu.Unlock()
	c.wg.Wait()
	return err
}

func (c *Cutter) accept() {
	for {
		in, err := c.listener.Accept()
		if err != nil {
			return // closed
		}
		c.mu.Lock()
		cut := c.draw()
		c.mu.Unlock()
		c.wg.Go(func() { c.pass(in, cut) })
	}
}

func (c *Cutter) pass(in net.Conn, cut Cut) {
	defer in.Close()
	out, err := net.Dial("tcp", c.target)
	if err != nil {
		c.count(func(t *Tally) { t.Dead++ })
		reset(in)
		return
	}
	defer out.Close()
	c.track(in, out)
	defer c.untrack(in, out)
	c.wg.Go(func() {
		copyAll(out, in)
		_ = out.Close() // the reader has left: so has the answer nobody to go to
	})
	c.answer(in, out, cut)
}

func copyAll(to, from net.Conn) {
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		if _, wErr := to.Write(buf[:n]); err != nil || wErr != nil {
			return
		}
	}
}

// answer passes on what the server says, until the cut.
func (c *Cutter) answer(in, out net.Conn, cut Cut) {
	var at tracker = &chunked{}
	if c.grpc {
		at = &framed{}
	}
	due := func(passed int) bool {
		return passed >= cut.Bytes && (!cut.Whole || at.place() == Between) && !c.done.Load()
	}
	buf := make([]byte, 16<<10)
	passed := 0
	for {
		n, err := out.Read(buf)
		give := 0
		for give < n && !due(passed) {
			at.feed(buf[give])
			give++
			passed++
		}
		if _, wErr := in.Write(buf[:give]); wErr != nil {
			return // the reader has left
		}
		switch {
		case n > 0 && due(passed):
			c.count(func(t *Tally) { t.Cuts[at.place()]++; t.Cut++ })
			if cut.Reset {
				reset(in)
			}
			return
		case err != nil:
			if at.place() != After {
				c.count(func(t *Tally) { t.Broken++ })
				reset(in)
			}
			return
		}
	}
}

// reset closes so that the peer sees an error and not an end.
func reset(conn net.Conn) {
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // it is about to be closed
	}
	_ = conn.Close()
}

func (c *Cutter) count(f func(*Tally)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.tally)
}

func (c *Cutter) track(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		c.conns[conn] = struct{}{}
	}
}

func (c *Cutter) untrack(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		delete(c.conns, conn)
	}
}
