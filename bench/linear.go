// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand"
)

// shape is one way for a task to grow long.
type shape struct {
	name  string
	unit  string
	small int
	large int
	// grow makes a task of n units.
	grow func(c *caller, n int) error
}

func shapes() []shape {
	return []shape{
		{"chunks as fast as they come", "chunk", 200, 1600, func(c *caller, n int) error { return c.chunks(n, "0s") }},
		{"chunks 1 ms apart", "chunk", 200, 1600, func(c *caller, n int) error { return c.chunks(n, "1ms") }},
		{"turns", "turn", 50, 400, (*caller).turns},
	}
}

// cost is what one unit costs, in bytes.
type cost struct{ allocated, written float64 }

// costs are those of tasks of the small and of the large size, one a round.
type costs struct{ small, large []cost }

// growth is one shape on both servers.
type growth struct {
	shape      shape
	ours, peer costs
}

// measureLinear grows tasks in this process, without a network: what is
// allocated is the server's, but for a small constant per request.
func measureLinear(ctx context.Context, s settings, say sayer) (all []growth, err error) {
	ours, end, err := errandHandler(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	peer := a2asrv.NewJSONRPCHandler(a2asrv.NewHandler(costAgent{}))
	for _, sh := range shapes() {
		g := growth{shape: sh}
		for range s.alternations {
			if err := g.peer.round(ctx, peer, sh); err != nil {
				return nil, fmt.Errorf("a2a-go: %s: %w", sh.name, err)
			}
			if err := g.ours.round(ctx, ours, sh); err != nil {
				return nil, fmt.Errorf("errand: %s: %w", sh.name, err)
			}
		}
		say("%s: a2a-go %s, errand %s", sh.name, g.peer, g.ours)
		all = append(all, g)
	}
	return all, nil
}

func (c costs) String() string {
	return fmt.Sprintf("%.0f -> %.0f bytes allocated, %.0f -> %.0f written",
		spreadBy(c.small, allocated).median, spreadBy(c.large, allocated).median,
		spreadBy(c.small, written).median, spreadBy(c.large, written).median)
}

func allocated(c cost) float64 { return c.allocated }
func written(c cost) float64   { return c.written }

// round makes as many units in small tasks as in one large one.
func (c *costs) round(ctx context.Context, h http.Handler, sh shape) error {
	small, err := measureCost(ctx, h, sh, sh.small, sh.large/sh.small)
	if err != nil {
		return err
	}
	large, err := measureCost(ctx, h, sh, sh.large, 1)
	if err != nil {
		return err
	}
	c.small, c.large = append(c.small, small), append(c.large, large)
	return nil
}

func measureCost(ctx context.Context, h http.Handler, sh shape, n, tasks int) (cost, error) {
	var before, after runtime.MemStats
	c := &caller{ctx: ctx, handler: h}
	runtime.GC()
	wroteBefore, err := bytesWritten()
	if err != nil {
		return cost{}, err
	}
	runtime.ReadMemStats(&before)
	for range tasks {
		if err := sh.grow(c, n); err != nil {
			return cost{}, err
		}
	}
	runtime.ReadMemStats(&after)
	wroteAfter, err := bytesWritten()
	units := float64(n * tasks)
	return cost{
		allocated: float64(after.TotalAlloc-before.TotalAlloc) / units,
		written:   float64(wroteAfter-wroteBefore) / units,
	}, err
}

// bytesWritten is what this process has given to write calls so far: the log
// and its copy into the database at a checkpoint.
func bytesWritten() (int64, error) {
	data, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, fmt.Errorf("bytes written are counted on Linux alone: %w", err)
	}
	var n int64
	for line := range strings.Lines(string(data)) {
		if _, err := fmt.Sscanf(line, "wchar: %d", &n); err == nil {
			return n, nil
		}
	}
	return 0, errors.New("/proc/self/io does not tell wchar")
}

// errandHandler is our server through the public library, on SQLite.
func errandHandler(ctx context.Context, dir string) (http.Handler, func() error, error) {
	e, err := errand.New(ctx, errand.Options{
		Store:  errand.SQLite(filepath.Join(dir, "linear.db")),
		Logger: slog.New(slog.DiscardHandler),
	}, errand.Agent{Card: costCard(), Executor: costAgent{}})
	if err != nil {
		return nil, nil, err
	}
	running, stop := context.WithCancel(ctx)
	worked := make(chan error, 1)
	go func() { worked <- e.Run(running) }()
	<-e.Started()
	return e, func() error {
		stop()
		return errors.Join(<-worked, e.Close())
	}, nil
}

// caller sends blocking messages to a handler.
type caller struct {
	ctx     context.Context
	handler http.Handler
	sent    int
	body    bytes.Buffer
}

func (c *caller) chunks(n int, every string) error {
	_, err := c.send(fmt.Sprintf("chunks %d %s", n, every), "", "TASK_STATE_COMPLETED")
	return err
}

func (c *caller) turns(n int) error {
	task := ""
	for range n {
		id, err := c.send("let us talk about the weather", task, "TASK_STATE_INPUT_REQUIRED")
		if err != nil {
			return err
		}
		task = id
	}
	return nil
}

// send returns the task's id. It asks for no history: how long an answer is,
// is the caller's choice, not the server's cost.
func (c *caller) send(text, task, wantState string) (string, error) {
	c.sent++
	message := map[string]any{
		"messageId": fmt.Sprintf("m-%p-%d", c, c.sent), "role": "ROLE_USER", "parts": []any{map[string]any{"text": text}},
	}
	if task != "" {
		message["taskId"] = task
	}
	request, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": 1, "method": "SendMessage",
		"params": map[string]any{"message": message, "configuration": map[string]any{"historyLength": 0}},
	})
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	req := httptest.NewRequestWithContext(c.ctx, http.MethodPost, "http://127.0.0.1:8080/", bytes.NewReader(request))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("A2A-Version", "1.0")
	c.body.Reset()
	w := &answer{header: http.Header{}, body: &c.body}
	c.handler.ServeHTTP(w, req)
	if !bytes.Contains(c.body.Bytes(), []byte(wantState)) {
		return "", fmt.Errorf("%q was answered %d %.300s", text, w.status, c.body.Bytes())
	}
	if task != "" {
		return task, nil
	}
	var reply struct {
		Result struct{ Task struct{ ID string } }
	}
	if err := json.Unmarshal(c.body.Bytes(), &reply); err != nil {
		return "", fmt.Errorf("decode: %w", err)
	}
	return reply.Result.Task.ID, nil
}

// answer keeps the body in a buffer that is used again.
type answer struct {
	header http.Header
	status int
	body   *bytes.Buffer
}

var (
	_ http.Flusher = (*answer)(nil)
	_ io.Writer    = (*answer)(nil)
)

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
func (a *answer) Flush()                      {}
