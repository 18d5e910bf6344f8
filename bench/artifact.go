// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2asrv"
)

// artifactSizes are the chunks of one artifact; the peer's cost grows with the
// square, so it is asked for the smaller ones only.
func artifactSizes(s settings) (ours, peer []int) {
	for _, n := range []int{1000, 2000, 4000, 6000, 8000, 10000} {
		n = max(n*s.chunks/10000, 2)
		ours = append(ours, n)
		if n <= 2000 {
			peer = append(peer, n)
		}
	}
	return ours, peer
}

// grown is an artifact of so many chunks: what one chunk cost, and what getting
// the task costs afterwards.
type grown struct {
	chunks int
	tasks  int // of a round, so that all sizes make as many chunks
	// of one chunk
	took      []time.Duration
	allocated []float64 // bytes
	allocs    []float64
	written   []float64 // bytes
	// of a GetTask
	answer int // bytes
	get    []time.Duration
}

// artifacts are both servers.
type artifacts struct{ ours, peer []grown }

// measureArtifacts makes artifacts in this process, as measureLinear does.
func measureArtifacts(ctx context.Context, s settings, say sayer) (a *artifacts, err error) {
	handler, end, err := errandHandler(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	peer := a2asrv.NewJSONRPCHandler(a2asrv.NewHandler(costAgent{}))
	ours, theirs := artifactSizes(s)
	a = &artifacts{}
	for _, x := range []struct {
		name  string
		h     http.Handler
		sizes []int
		out   *[]grown
	}{{"a2a-go", peer, theirs, &a.peer}, {"errand", handler, ours, &a.ours}} {
		for _, n := range x.sizes {
			g := grown{chunks: n, tasks: slices.Max(x.sizes) / n}
			for range s.alternations {
				if err := g.round(ctx, x.h); err != nil {
					return nil, fmt.Errorf("%s: %d chunks: %w", x.name, n, err)
				}
			}
			say("artifact, %s: %s", x.name, g)
			*x.out = append(*x.out, g)
		}
	}
	return a, nil
}

func (g grown) String() string {
	return fmt.Sprintf("%d chunks: one takes %.2f µs, %.0f bytes in %.1f allocations, %.0f bytes written; GetTask %d bytes in %.0f µs",
		g.chunks, micros(g.took).median, spreadOf(g.allocated).median, spreadOf(g.allocs).median, spreadOf(g.written).median, g.answer, micros(g.get).median)
}

func micros(took []time.Duration) spread {
	return spreadBy(took, func(d time.Duration) float64 { return float64(d) / 1000 })
}

// round makes artifacts and gets the task of the last one five times.
func (g *grown) round(ctx context.Context, h http.Handler) error {
	var before, after runtime.MemStats
	c := &caller{ctx: ctx, handler: h}
	runtime.GC()
	wrote, err := bytesWritten()
	if err != nil {
		return err
	}
	runtime.ReadMemStats(&before)
	began := time.Now()
	id := ""
	for range g.tasks {
		if id, err = c.send(fmt.Sprintf("chunks %d 0s", g.chunks), "", "TASK_STATE_COMPLETED"); err != nil {
			return err
		}
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	now, err := bytesWritten()
	if err != nil {
		return err
	}
	n := float64(g.chunks * g.tasks)
	g.took = append(g.took, time.Duration(float64(took)/n))
	g.allocated = append(g.allocated, float64(after.TotalAlloc-before.TotalAlloc)/n)
	g.allocs = append(g.allocs, float64(after.Mallocs-before.Mallocs)/n)
	g.written = append(g.written, float64(now-wrote)/n)
	for range 5 {
		took, err := c.get(id)
		if err != nil {
			return err
		}
		g.get, g.answer = append(g.get, took), c.body.Len()
	}
	return nil
}

// get asks for a task and leaves the answer in the body.
func (c *caller) get(id string) (time.Duration, error) {
	request := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":%q,"historyLength":0}}`, id)
	req := httptest.NewRequestWithContext(c.ctx, http.MethodPost, "http://127.0.0.1:8080/", bytes.NewReader(request))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("A2A-Version", "1.0")
	c.body.Reset()
	began := time.Now()
	c.handler.ServeHTTP(&answer{header: http.Header{}, body: &c.body}, req)
	took := time.Since(began)
	if !bytes.Contains(c.body.Bytes(), []byte("TASK_STATE_COMPLETED")) {
		return 0, fmt.Errorf("GetTask was answered %.300s", c.body.Bytes())
	}
	return took, nil
}
