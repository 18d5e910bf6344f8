// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Proxy passes TCP connections on to a server and cuts each after a number of
// bytes of the answer, wherever in a frame, a chunk or a header that falls.
type Proxy struct {
	listener net.Listener
	target   string
	// budget says after how many bytes the next connection is cut; negative
	// means never.
	budget func() int64
	cuts   atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	done  bool
	wg    sync.WaitGroup
}

// NewProxy listens on a free port of this machine.
func NewProxy(target string, budget func() int64) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{listener: l, target: target, budget: budget, conns: make(map[net.Conn]struct{})}
	p.wg.Go(p.accept)
	return p, nil
}

// URL is the JSON-RPC endpoint as seen through the proxy.
func (p *Proxy) URL() string { return "http://" + p.listener.Addr().String() + "/" }

// Cuts is how many connections were cut within an answer.
func (p *Proxy) Cuts() int { return int(p.cuts.Load()) }

// Close ends the proxy and every connection through it.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.done = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.wg.Go(func() { p.pass(in) })
	}
}

// pass copies in both directions until one ends or the budget is used up.
func (p *Proxy) pass(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", p.target)
	if err != nil {
		return // the server is down: the client sees a closed connection
	}
	defer out.Close()
	if !p.track(in, out) {
		return
	}
	defer p.untrack(in, out)
	p.wg.Go(func() {
		io.Copy(out, in) //nolint:errcheck // a broken connection is what this is for
		out.Close()
	})
	n := p.budget()
	if n < 0 {
		io.Copy(in, out) //nolint:errcheck // as above
		return
	}
	if _, err := io.CopyN(in, out, n); err == nil {
		p.cuts.Add(1)
		reset(in)
	} else if !errors.Is(err, io.EOF) {
		reset(in)
	}
}

// reset closes so that the peer sees an error and not an end.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0) //nolint:errcheck // it is about to be closed
	}
	c.Close()
}

func (p *Proxy) track(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return !p.done
}

func (p *Proxy) untrack(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}
