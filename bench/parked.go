// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
)

// parkers is how many connections make the tasks.
const parkers = 32

// parkedCase is a server, and what is made on it.
type parkedCase struct {
	name  string
	serve string
	text  string
	state a2a.TaskState
}

func parkedCases() []parkedCase {
	return []parkedCase{
		{"a2a-go, in memory; parked", "lab-peer", "ask", a2a.TaskStateInputRequired},
		{"**Errand, SQLite**; parked", "lab-errand", "ask", a2a.TaskStateInputRequired},
		{"**Errand, SQLite**; finished", "lab-errand", "echo done", a2a.TaskStateCompleted},
	}
}

// parkedStep is a server with so many tasks.
type parkedStep struct {
	tasks int
	vitals
}

// parked is one case, measured.
type parked struct {
	parkedCase
	steps []parkedStep
	bytes int64           // the file
	start []time.Duration // of the program on that file, until it is ready
	ready []vitals        // Resident alone is known of the program
}

// measureParked makes very many tasks that wait for somebody, and as many that
// have ended.
func measureParked(ctx context.Context, s settings, say sayer) (all []parked, err error) {
	start, err := errandStarter(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, c := range parkedCases() {
		d, err := c.measure(ctx, s, start)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		say("parked, %s: %+v, file %d MiB, start %v, then %v", c.name, d.steps, d.bytes>>20, d.start, d.ready)
		all = append(all, d)
	}
	return all, nil
}

func (c parkedCase) measure(ctx context.Context, s settings, start starter) (d parked, err error) {
	d.parkedCase = c
	dir, err := os.MkdirTemp(s.dir, "store-")
	if err != nil {
		return d, fmt.Errorf("make a store: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := d.make(ctx, s, dir); err != nil || c.serve == "lab-peer" {
		return d, err
	}
	d.bytes = fileSize(filepath.Join(dir, "errand.db"))
	for range s.alternations {
		began := time.Now()
		p, err := start(ctx, dir)
		if err != nil {
			return d, err
		}
		d.start = append(d.start, time.Since(began))
		var v vitals
		v.Resident, err = residentMemory(p.cmd.Process.Pid)
		if err := errors.Join(err, p.stop()); err != nil {
			return d, err
		}
		d.ready = append(d.ready, v)
	}
	return d, nil
}

// make makes the tasks in steps and looks at the server after each.
func (d *parked) make(ctx context.Context, s settings, dir string) (err error) {
	p, err := startSelf(ctx, "-serve", d.serve, "-dir", dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	made := 0
	for step := range 5 {
		n := s.parked * step / 4
		if err := d.send(ctx, p.url, n-made); err != nil {
			return err
		}
		made = n
		http.DefaultClient.CloseIdleConnections()
		at := parkedStep{tasks: n}
		if err := p.ask(ctx, labState, &at.vitals); err != nil {
			return err
		}
		d.steps = append(d.steps, at)
	}
	return nil
}

// send makes n tasks by blocking messages.
func (d *parked) send(ctx context.Context, url string, n int) error {
	transport := &http.Transport{MaxIdleConnsPerHost: parkers}
	defer transport.CloseIdleConnections()
	client, err := a2aclient.NewFromEndpoints(ctx,
		[]*a2a.AgentInterface{a2a.NewAgentInterface(url, a2a.TransportProtocolJSONRPC)},
		a2aclient.WithJSONRPCTransport(&http.Client{Transport: transport, Timeout: time.Minute}))
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, parkers)
	for c := range parkers {
		group.Go(func() {
			for errs[c] == nil && next.Add(1) <= int64(n) {
				errs[c] = d.sendOne(ctx, client)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (d *parked) sendOne(ctx context.Context, client *a2aclient.Client) error {
	res, err := client.SendMessage(ctx, &a2a.SendMessageRequest{
		Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(d.text)),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", d.text, err)
	}
	if t, ok := res.(*a2a.Task); !ok || t.Status.State != d.state {
		return fmt.Errorf("%s was answered with %+v", d.text, res)
	}
	return nil
}
