// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
)

// work is one kind of load: a command, by how many connections at a time.
type work struct {
	name        string
	chunks      int
	connections int
	// stretch multiplies the duration, for tasks that take the peer long.
	stretch int
}

// works are the measured ones.
func works(which string) []work {
	all := map[string]work{
		"short":  {"short tasks (`count to 1`)", 1, 64, 1},
		"chunks": {"100-chunk tasks (`count to 100`)", 100, 32, 1},
		"long":   {"1,000-chunk tasks (`count to 1000`)", 1000, 2, 5},
	}
	if w, ok := all[which]; ok {
		return []work{w}
	}
	return []work{all["short"], all["chunks"], all["long"]}
}

// result is one closed loop against one server.
type result struct {
	rate     float64 // tasks a second
	p50, p99 time.Duration
	// server and client are the processor time of a task on either side. On a
	// machine that others use too, they tell more than the rate.
	server, client time.Duration
}

// warmUp is driven and not counted: connections, caches, the first pages.
const warmUp = time.Second

// drive sends blocking messages in a closed loop: each connection sends its
// next as soon as it has read the whole answer to its last.
func drive(ctx context.Context, url string, w work, duration time.Duration) (r result, tasks int, err error) {
	transport := &http.Transport{
		MaxConnsPerHost: w.connections, MaxIdleConnsPerHost: w.connections, MaxIdleConns: w.connections,
	}
	defer transport.CloseIdleConnections()
	client, err := a2aclient.NewFromEndpoints(ctx,
		[]*a2a.AgentInterface{a2a.NewAgentInterface(url, a2a.TransportProtocolJSONRPC)},
		a2aclient.WithJSONRPCTransport(&http.Client{Transport: transport, Timeout: 5 * time.Minute}))
	if err != nil {
		return r, 0, fmt.Errorf("make a client: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	begin := time.Now()
	end := begin.Add(warmUp + duration)
	latencies := make([][]time.Duration, w.connections)
	var all atomic.Int64  // tasks, those of the warm-up too
	var late atomic.Int64 // when the last counted answer came
	var wg sync.WaitGroup
	for i := range w.connections {
		wg.Go(func() {
			for ctx.Err() == nil && time.Now().Before(end) {
				sent := time.Now()
				if err := sendOne(ctx, client, w.chunks); err != nil {
					cancel(err)
					return
				}
				all.Add(1)
				if now := time.Now(); sent.Sub(begin) >= warmUp {
					latencies[i] = append(latencies[i], now.Sub(sent))
					storeMax(&late, int64(now.Sub(begin)))
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return r, 0, err
	}
	r, err = summarize(latencies, time.Duration(late.Load())-warmUp)
	return r, int(all.Load()), err
}

func storeMax(to *atomic.Int64, v int64) {
	for {
		old := to.Load()
		if v <= old || to.CompareAndSwap(old, v) {
			return
		}
	}
}

// sendOne sends one task and checks that the answer is the whole of it.
func sendOne(ctx context.Context, client *a2aclient.Client, chunks int) error {
	text := fmt.Sprintf("count to %d", chunks)
	res, err := client.SendMessage(ctx, &a2a.SendMessageRequest{
		Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text)),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	t, ok := res.(*a2a.Task)
	if !ok || t.Status.State != a2a.TaskStateCompleted || len(t.Artifacts) != 1 || len(t.Artifacts[0].Parts) != chunks {
		return fmt.Errorf("%s was answered with %+v", text, res)
	}
	return nil
}
