// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/agent/demo"
	"github.com/errand-a2a/errand/internal/node"
	"github.com/errand-a2a/errand/internal/store/sqlite"
)

// A laboratory is a server in a process of its own that can be looked into:
// beside the A2A server, its port answers labState, labRing and labStages.
const (
	labState  = "lab/state"
	labRing   = "lab/ring"
	labStages = "lab/stages"
)

// vitals are what a process holds, after a collection of its garbage.
type vitals struct {
	Goroutines int
	Heap       uint64  // bytes in use
	Resident   float64 // MiB
}

func takeVitals(w http.ResponseWriter, _ *http.Request) {
	runtime.GC()
	debug.FreeOSMemory() // collects again, and gives back what is free
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	rss, err := residentMemory(os.Getpid())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answerJSON(w, vitals{Goroutines: runtime.NumGoroutine(), Heap: m.HeapAlloc, Resident: rss})
}

func answerJSON(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// ask gets one of the addresses of a laboratory.
func (p *process) ask(ctx context.Context, what string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+what, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server for %s: %w", what, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the server for %s: status %d", what, res.StatusCode)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		return fmt.Errorf("ask the server for %s: %w", what, err)
	}
	return nil
}

// bell wakes all quiet tasks at once.
type bell struct {
	mu   sync.Mutex
	next chan struct{}
}

func (b *bell) heard() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next
}

func (b *bell) ring(http.ResponseWriter, *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.next)
	b.next = make(chan struct{})
}

// labAgent is the demo agent and, for "quiet", a task that runs and says
// nothing but one chunk whenever the bell rings.
type labAgent struct {
	*demo.Executor
	bell *bell
}

func (a labAgent) Execute(ctx context.Context, exec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	if exec.Message.Parts[0].Text() != "quiet" {
		return a.Executor.Execute(ctx, exec)
	}
	return func(yield func(a2a.Event, error) bool) {
		if exec.StoredTask == nil && !yield(a2a.NewSubmittedTask(exec, exec.Message), nil) {
			return
		}
		heard := a.bell.heard()
		if !yield(a2a.NewStatusUpdateEvent(exec, a2a.TaskStateWorking, nil), nil) {
			return
		}
		for {
			select {
			case <-ctx.Done():
				yield(nil, context.Cause(ctx))
				return
			case <-heard:
			}
			heard = a.bell.heard()
			if !yield(a2a.NewArtifactEvent(exec, a2a.NewTextPart("ding")), nil) {
				return
			}
		}
	}
}

// serveLab serves the laboratory's agent, ours or the SDK's server.
func serveLab(ctx context.Context, s settings, stdout io.Writer) error {
	a := labAgent{demo.New(), &bell{next: make(chan struct{})}}
	mux := http.NewServeMux()
	mux.HandleFunc("/"+labState, takeVitals)
	mux.HandleFunc("/"+labRing, a.bell.ring)
	if s.serve == "lab-peer" {
		mux.Handle("/", a2asrv.NewJSONRPCHandler(a2asrv.NewHandler(a)))
		return serveUntil(ctx, mux, stdout)
	}
	log := newStageLog()
	mux.HandleFunc("/"+labStages, log.answer)
	return serveNode(ctx, filepath.Join(s.dir, "errand.db"), a, log, mux, stdout)
}

// serveNode puts a node together as errand.New does, with the log of stages
// around its store, its executor and its handler.
func serveNode(ctx context.Context, path string, executor a2asrv.AgentExecutor, log *stageLog, mux *http.ServeMux, stdout io.Writer) (err error) {
	st, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	d := demo.Agent()
	o := node.Options{
		Store: log.store(st), PublicURL: "http://127.0.0.1:8080",
		Agents: []agent.Agent{{Card: d.Card, Executor: log.executor(executor), Policy: d.Policy}},
	}
	o.Worker.ID, o.Worker.Shutdown = "bench", time.Second
	n, err := node.New(ctx, o)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- n.Run(running) }()
	<-n.Started()
	mux.Handle("/", log.handler(n.Handler()))
	served := serveUntil(ctx, mux, stdout)
	stop()
	return errors.Join(served, <-ran)
}
