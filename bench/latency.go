// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"sync"
	"time"
)

// loaded is a server at one rate: what a task took from the moment at which it
// was to be sent, and where that time went.
type loaded struct {
	server string
	load   string
	rate   float64 // tasks a second; 0: one at a time, with pauses
	sent   int
	took   latency
	mean   time.Duration
	// means of the stages of our server; what is left of the mean is the
	// network, and the client that waits for a processor
	stages []time.Duration
	p99    []time.Duration // of each stage
	noted  int             // tasks whose stages are known
}

// latencies is all of the work latency.
type latencies struct {
	most map[string]float64 // tasks a second in a closed loop
	all  []loaded
}

// latencyCase is a server that is measured.
type latencyCase struct {
	name   string
	start  starter
	stages bool // it notes the stages, and is sent what the program is sent
}

// latencyMost is how many connections the closed loop has that finds the most.
const latencyMost = 64

// measureLatency sends one task after the other to an idle server, finds the
// highest rate, and sends at parts of it.
func measureLatency(ctx context.Context, s settings, say sayer) (*latencies, error) {
	program, err := errandStarter(ctx, s)
	if err != nil {
		return nil, err
	}
	out := &latencies{most: map[string]float64{}}
	most := 0.0
	for _, c := range []latencyCase{
		{"a2a-go, in memory", func(ctx context.Context, _ string) (*process, error) { return startPeer(ctx) }, false},
		{"**Errand, SQLite, fsync on**", program, false},
		{"Errand with the stages noted", func(ctx context.Context, dir string) (*process, error) {
			return startSelf(ctx, "-serve", "lab-errand", "-dir", dir)
		}, true},
	} {
		if !c.stages {
			err := c.on(ctx, s, func(p *process) (err error) {
				most, err = closedLoop(ctx, p.url, s.duration)
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			out.most[c.name] = most
			say("latency, %s: at most %.0f tasks a second", c.name, most)
		}
		for _, l := range []loaded{{load: "idle"}, {load: "25 %", rate: most / 4}, {load: "50 %", rate: most / 2}, {load: "80 %", rate: most * 4 / 5}} {
			l.server = c.name
			if err := c.on(ctx, s, func(p *process) error { return l.measure(ctx, s, p, c.stages) }); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", c.name, l.load, err)
			}
			say("latency, %s, %s: %.0f/s, %d tasks, p50 %s, p99 %s, mean %s, stages %v", l.server, l.load, l.rate, l.sent, l.took.p50, l.took.p99, l.mean, l.stages)
			out.all = append(out.all, l)
		}
	}
	return out, nil
}

// on starts the server on an empty store.
func (c latencyCase) on(ctx context.Context, s settings, do func(p *process) error) (err error) {
	dir, err := os.MkdirTemp(s.dir, "store-")
	if err != nil {
		return fmt.Errorf("make a store: %w", err)
	}
	defer os.RemoveAll(dir)
	p, err := c.start(ctx, dir)
	if err != nil {
		return err
	}
	return errors.Join(do(p), p.stop())
}

// measure sends at the rate for twice the duration, after a second that is not
// counted.
func (l *loaded) measure(ctx context.Context, s settings, p *process, stages bool) error {
	o := newSender(p.url, stages)
	defer o.transport.CloseIdleConnections()
	send := func(d time.Duration) ([]time.Duration, error) {
		if l.rate > 0 {
			return o.atRate(ctx, l.rate, d)
		}
		return o.oneByOne(ctx, d)
	}
	if _, err := send(min(warmUp, s.duration)); err != nil {
		return err
	}
	if stages {
		if err := p.ask(ctx, labStages, nil); err != nil {
			return err
		}
	}
	took, err := send(2 * s.duration)
	if err != nil {
		return err
	}
	l.sent, l.took = len(took), latencyOf(took)
	for _, d := range took {
		l.mean += d / time.Duration(len(took))
	}
	if !stages {
		return nil
	}
	return l.stagesOf(ctx, p)
}

func (l *loaded) stagesOf(ctx context.Context, p *process) error {
	var noted [][stageCount]int64
	if err := p.ask(ctx, labStages, &noted); err != nil {
		return err
	}
	if len(noted) < l.sent*9/10 {
		return fmt.Errorf("the stages of %d tasks of %d are known", len(noted), l.sent)
	}
	l.noted = len(noted)
	for i := range stageCount {
		of := make([]time.Duration, len(noted))
		sum := time.Duration(0)
		for n, t := range noted {
			of[n] = time.Duration(t[i])
			sum += of[n]
		}
		l.stages = append(l.stages, sum/time.Duration(len(noted)))
		l.p99 = append(l.p99, latencyOf(of).p99)
	}
	return nil
}

// closedLoop finds the rate at which tasks end if every connection always has
// one under way.
func closedLoop(ctx context.Context, url string, d time.Duration) (float64, error) {
	o := newSender(url, false)
	defer o.transport.CloseIdleConnections()
	var group sync.WaitGroup
	errs := make([]error, latencyMost)
	counts := make([]int, latencyMost)
	begin, warm := time.Now(), min(warmUp, d)
	for c := range latencyMost {
		group.Go(func() {
			for errs[c] == nil && time.Since(begin) < warm+d {
				counted := time.Since(begin) >= warm
				if errs[c] = o.send(ctx); counted {
					counts[c]++
				}
			}
		})
	}
	group.Wait()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return float64(sum) / (time.Since(begin) - warm).Seconds(), errors.Join(errs...)
}

// sender sends blocking messages.
type sender struct {
	url       string
	noted     bool
	transport *http.Transport
	client    *http.Client
}

func newSender(url string, noted bool) *sender {
	t := &http.Transport{MaxConnsPerHost: 512, MaxIdleConnsPerHost: 512, MaxIdleConns: 512}
	return &sender{url: url, noted: noted, transport: t, client: &http.Client{Transport: t, Timeout: time.Minute}}
}

func (o *sender) send(ctx context.Context) error {
	id := fmt.Sprintf("m-%016x", rand.Uint64())
	body := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":%q,"role":"ROLE_USER","parts":[{"text":"echo hello"}]}}}`, id)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("A2A-Version", "1.0")
	if o.noted {
		req.Header.Set(stageHeader, id)
	}
	res, err := o.client.Do(req)
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if !bytes.Contains(data, []byte("TASK_STATE_COMPLETED")) {
		return fmt.Errorf("the answer is %d %.300s", res.StatusCode, data)
	}
	return nil
}

// oneByOne leaves the server idle between two tasks.
func (o *sender) oneByOne(ctx context.Context, d time.Duration) (took []time.Duration, err error) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		began := time.Now()
		if err := o.send(ctx); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
		pause(2 * time.Millisecond)
	}
	return took, nil
}

// atRate sends at times that do not depend on the answers, and measures from
// the moment at which a task was to be sent: one that waits because the server
// or this program is late, waits in the figures too.
func (o *sender) atRate(ctx context.Context, rate float64, d time.Duration) ([]time.Duration, error) {
	runtime.LockOSThread() // so that pause holds up nobody else
	defer runtime.UnlockOSThread()
	took := make([]time.Duration, 0, int(rate*d.Seconds()*3/2))
	var group sync.WaitGroup
	var mu sync.Mutex
	var failed error
	begin := time.Now()
	for due := time.Duration(0); due < d && ctx.Err() == nil; due += time.Duration(rand.ExpFloat64() / rate * float64(time.Second)) {
		if early := due - time.Since(begin); early > 0 {
			pause(early)
		}
		group.Go(func() {
			err := o.send(ctx)
			after := time.Since(begin) - due
			mu.Lock()
			defer mu.Unlock()
			took = append(took, after)
			failed = errors.Join(failed, err)
		})
	}
	group.Wait()
	return took, errors.Join(failed, ctx.Err())
}
