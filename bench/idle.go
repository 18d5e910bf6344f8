// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// idleTasks is how many tasks share the idle followers.
const idleTasks = 10

// idleCase is a server, and what is followed on it.
type idleCase struct {
	name   string
	serve  string
	parked bool // the tasks wait for input; otherwise they run and say nothing
}

func idleCases() []idleCase {
	return []idleCase{
		{"a2a-go, in memory; the tasks run in silence", "lab-peer", false},
		{"**Errand, SQLite**; the tasks run in silence", "lab-errand", false},
		{"**Errand, SQLite**; the tasks are parked", "lab-errand", true},
	}
}

// idleStep is a server with so many followers.
type idleStep struct {
	followers int
	vitals
}

// idled is one case, measured.
type idled struct {
	idleCase
	steps []idleStep // from none to all
	after vitals     // when they have gone
	twice vitals     // when as many came once more, and have gone too
	gone  time.Duration
	// of our server: the file's descriptors before and with all followers, and
	// the log's length before and after it was cut off beneath them
	filesBefore, files int
	wal, walAfter      int64
	busy               bool
	cpu                time.Duration // in a second of silence
	event              latency       // from what causes an event to a follower's first byte of it
	eventLast          time.Duration // to the last follower's
}

// measureIdle follows silent tasks by very many.
func measureIdle(ctx context.Context, s settings, say sayer) (all []idled, err error) {
	for _, c := range idleCases() {
		d, err := c.measure(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		say("idle, %s: %s", c.name, d)
		all = append(all, d)
	}
	return all, nil
}

func (d idled) String() string {
	first, last := d.steps[0], d.steps[len(d.steps)-1]
	return fmt.Sprintf("%+v with %d followers, %+v with %d, %+v %s after they went; descriptors %d and %d; log %d, %d bytes, busy %v; cpu %s; event %v, last %s",
		first.vitals, first.followers, last.vitals, last.followers, d.after, d.gone, d.filesBefore, d.files, d.wal, d.walAfter, d.busy, d.cpu, d.event, d.eventLast)
}

func (c idleCase) measure(ctx context.Context, s settings) (d idled, err error) {
	d.idleCase = c
	dir, err := os.MkdirTemp(s.dir, "store-")
	if err != nil {
		return d, fmt.Errorf("make a store: %w", err)
	}
	defer os.RemoveAll(dir)
	p, err := startSelf(ctx, "-serve", c.serve, "-dir", dir)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	text := "quiet"
	if c.parked {
		text = "ask"
	}
	ids := make([]string, idleTasks)
	for i := range ids {
		if ids[i], err = p.post(ctx, text, "", !c.parked); err != nil {
			return d, err
		}
	}
	crowd := newIdleCrowd(p.url, ids)
	defer crowd.leave()
	for step := range 5 {
		if err := crowd.grow(ctx, s.idle*step/4); err != nil {
			return d, err
		}
		at := idleStep{followers: s.idle * step / 4}
		if err := p.ask(ctx, labState, &at.vitals); err != nil {
			return d, err
		}
		d.steps = append(d.steps, at)
		if step == 0 {
			d.filesBefore = openFiles(p.cmd.Process.Pid, dir)
		}
	}
	if err := d.silence(ctx, s, p, dir); err != nil {
		return d, err
	}
	if err := d.cause(ctx, p, crowd, ids); err != nil {
		return d, err
	}
	crowd.leave()
	if d.gone, d.after, err = d.recover(ctx, p); err != nil || c.parked { // their tasks have ended
		return d, err
	}
	if err := crowd.grow(ctx, s.idle); err != nil {
		return d, err
	}
	crowd.leave()
	_, d.twice, err = d.recover(ctx, p)
	return d, err
}

// silence measures what the server does and holds while nothing happens.
func (d *idled) silence(ctx context.Context, s settings, p *process, dir string) error {
	before, err := usedBy(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	select {
	case <-time.After(s.silence):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := usedBy(p.cmd.Process.Pid)
	d.cpu = time.Duration(float64(after-before) / s.silence.Seconds())
	if err != nil || d.serve == "lab-peer" {
		return err
	}
	d.files = openFiles(p.cmd.Process.Pid, dir)
	path := filepath.Join(dir, "errand.db")
	d.wal = fileSize(path + "-wal")
	d.busy, err = cutLog(ctx, path)
	d.walAfter = fileSize(path + "-wal")
	return err
}

// cause makes something happen to every task and waits until all have heard it.
func (d *idled) cause(ctx context.Context, p *process, crowd *idleCrowd, ids []string) error {
	began := crowd.listen()
	if d.parked {
		var group sync.WaitGroup
		errs := make([]error, len(ids))
		for i, id := range ids {
			group.Go(func() { _, errs[i] = p.post(ctx, "go on", id, false) })
		}
		group.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	} else if err := p.ask(ctx, labRing, nil); err != nil {
		return err
	}
	heard, err := crowd.allHeard(ctx, began)
	if err != nil {
		return err
	}
	d.event, d.eventLast = latencyOf(heard), slices.Max(heard)
	return nil
}

// recover waits until the goroutines of the followers are gone.
func (d *idled) recover(ctx context.Context, p *process) (took time.Duration, v vitals, err error) {
	began := time.Now()
	for {
		if err := p.ask(ctx, labState, &v); err != nil {
			return 0, v, err
		}
		took = time.Since(began)
		if v.Goroutines <= d.steps[0].Goroutines+10 || took > 30*time.Second {
			return took, v, nil // what is left is told
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return 0, v, ctx.Err()
		}
	}
}

// idleCrowd are followers that read a little by hand, so that they cost this
// process as little as may be: each a connection of its own.
type idleCrowd struct {
	url   string
	ids   []string
	epoch time.Time
	all   []*idler
	group sync.WaitGroup
}

type idler struct {
	conn  net.Conn
	first chan error   // nil when the first event has come
	heard atomic.Int64 // when the first event since listen came, since the epoch
}

func newIdleCrowd(url string, ids []string) *idleCrowd {
	return &idleCrowd{url: strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"), ids: ids, epoch: time.Now()}
}

// grow adds followers until there are n, and waits until each has had its first
// event.
func (c *idleCrowd) grow(ctx context.Context, n int) error {
	from := len(c.all)
	added := make([]*idler, max(n-from, 0))
	errs := make([]error, len(added))
	var dialling sync.WaitGroup
	slots := make(chan struct{}, 64)
	for i := range added {
		slots <- struct{}{}
		dialling.Go(func() {
			defer func() { <-slots }()
			added[i], errs[i] = c.follow(ctx, c.ids[(from+i)%len(c.ids)])
		})
	}
	dialling.Wait()
	for _, f := range added {
		if f != nil {
			c.all = append(c.all, f)
		}
	}
	return errors.Join(errs...)
}

func (c *idleCrowd) follow(ctx context.Context, id string) (*idler, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.url)
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	f := &idler{conn: conn, first: make(chan error, 1)}
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"SubscribeToTask","params":{"id":%q}}`, id)
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nA2A-Version: 1.0\r\nContent-Length: %d\r\n\r\n%s", c.url, len(body), body)
	if err != nil {
		return f, fmt.Errorf("follow: %w", err)
	}
	c.group.Go(func() { f.read(c.epoch) })
	select {
	case err := <-f.first:
		return f, err
	case <-time.After(time.Minute):
		return f, errors.New("follow: no first event within a minute")
	}
}

func (f *idler) read(epoch time.Time) {
	lines := bufio.NewReaderSize(f.conn, 1<<10)
	told := false
	var head []string
	for long := false; ; {
		line, more, err := lines.ReadLine()
		if err != nil {
			if !told {
				f.first <- fmt.Errorf("follow: %w after %.300q", err, head)
			}
			return
		}
		if !told && len(head) < 12 {
			head = append(head, string(line))
		}
		if !long && strings.HasPrefix(string(line), "data:") {
			f.heard.CompareAndSwap(0, int64(time.Since(epoch)))
			if !told {
				told = true
				var err error
				if strings.Contains(string(line), `"error":{"code"`) {
					err = fmt.Errorf("the stream says %s", line)
				}
				f.first <- err
			}
		}
		long = more
	}
}

// listen forgets what was heard and gives the time.
func (c *idleCrowd) listen() time.Duration {
	for _, f := range c.all {
		f.heard.Store(0)
	}
	return time.Since(c.epoch)
}

func (c *idleCrowd) allHeard(ctx context.Context, began time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out := make([]time.Duration, 0, len(c.all))
	for _, f := range c.all {
		for f.heard.Load() == 0 {
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				return nil, fmt.Errorf("%d of %d followers have heard the event: %w", len(out), len(c.all), ctx.Err())
			}
		}
		out = append(out, time.Duration(f.heard.Load())-began)
	}
	return out, nil
}

// leave closes all connections, as clients do that go away.
func (c *idleCrowd) leave() {
	for _, f := range c.all {
		_ = f.conn.Close() // the reader ends
	}
	c.group.Wait()
	c.all = nil
}
