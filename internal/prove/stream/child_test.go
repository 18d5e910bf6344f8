// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node"
	"github.com/errand-a2a/errand/internal/store/sqlite"
)

// childEnv makes a process of this test binary a server.
const childEnv = "ERRAND_STREAM_SERVER"

// childOptions are what the server of its own process is made of.
type childOptions struct {
	Dir          string
	WriteTimeout time.Duration
	// Buffer is what the kernel holds for each connection; 0: as it likes.
	Buffer int
}

// childReady is what it says when it serves.
type childReady struct{ Addr, GRPC, Control string }

// childState is what it says about itself.
type childState struct {
	Listeners int
	// Beating says that the metronome had not ended when they were counted.
	Beating bool
	Heap    int // bytes that live after a collection
}

// serveChild is the server: a node on SQLite with the metronome, set up as
// errand dev sets up its own. It ends with its standard input.
func serveChild(options string, in io.Reader, out io.Writer) error {
	var o childOptions
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	debug.SetGCPercent(400)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	st, err := sqlite.Open(ctx, filepath.Join(o.Dir, "errand.db"), sqlite.Options{})
	if err != nil {
		return err
	}
	var lns [3]net.Listener
	for i := range lns {
		if lns[i], err = listen(ctx, o.Buffer); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
	}
	m := &metronome{}
	no := node.Options{
		Store: st, PublicURL: "http://" + lns[0].Addr().String(), LoopbackOnly: true,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Agents: []agent.Agent{{Card: &a2a.AgentCard{Name: "metronome", Capabilities: a2a.AgentCapabilities{Streaming: true}}, Executor: m}},
	}
	no.Binding.WriteTimeout = o.WriteTimeout
	no.Worker.ID, no.Worker.Shutdown = "child", time.Second
	n, err := node.New(ctx, no)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	control := &http.Server{Handler: tellState(n, m), ReadHeaderTimeout: time.Minute}
	go control.Serve(lns[2]) //nolint:errcheck // it ends with the process
	go func() {
		_, _ = io.Copy(io.Discard, in) // until the parent has left
		cancel()
	}()
	go func() {
		<-n.Started()
		ready := childReady{lns[0].Addr().String(), lns[1].Addr().String(), lns[2].Addr().String()}
		_ = json.NewEncoder(out).Encode(ready) // a parent that is gone needs nothing
	}()
	return errors.Join(n.Serve(ctx, lns[0], time.Second, lns[1]), control.Close(), st.Close())
}

// listen takes a free port. Connections have the buffer of their listener.
func listen(ctx context.Context, buffer int) (net.Listener, error) {
	var lc net.ListenConfig
	if buffer > 0 {
		lc.Control = func(_, _ string, c syscall.RawConn) (err error) {
			failed := c.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, buffer)
			})
			return errors.Join(failed, err)
		}
	}
	return lc.Listen(ctx, "tcp", "127.0.0.1:0")
}

func tellState(n *node.Node, m *metronome) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if end, err := strconv.ParseInt(r.URL.Query().Get("end"), 10, 64); err == nil {
			m.ended.Store(end)
		}
		s := childState{Listeners: n.Engine().Hub.Listeners()}
		s.Beating = m.beating.Load() > 0 // in this order
		if r.URL.Query().Has("gc") {
			runtime.GC()         // empties the pools,
			debug.FreeOSMemory() // and this gives back what was in them
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			s.Heap = int(m.HeapAlloc + m.StackInuse)
		}
		_ = json.NewEncoder(w).Encode(s) // the parent sees what is missing
	})
}

// metronome is an agent that beats: "3 1ms 400" is a beat every millisecond, with
// 400 bytes of padding each, until round 3 is ended. It keeps the time, so that
// the rate is what was asked for, and each beat replaces the one before, so that
// the task stays small however long it runs.
type metronome struct{ beating, ended atomic.Int64 }

var _ a2asrv.AgentExecutor = (*metronome)(nil)

// Execute implements a2asrv.AgentExecutor.
func (m *metronome) Execute(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		var round int64
		var size int
		var every string
		_, err := fmt.Sscanf(ec.Message.Parts[0].Text(), "%d %s %d", &round, &every, &size)
		d, err2 := time.ParseDuration(every)
		if err := errors.Join(err, err2); err != nil {
			yield(nil, err)
			return
		}
		m.beating.Add(1)
		ended := sync.OnceFunc(func() { m.beating.Add(-1) })
		defer ended()
		padding := strings.Repeat("x", size)
		begin := time.Now()
		for i := 1; m.ended.Load() < round; i++ {
			if err := pause(ctx, time.Until(begin.Add(time.Duration(i)*d))); err != nil {
				yield(nil, err)
				return
			}
			e := a2a.NewArtifactUpdateEvent(ec, "beat", a2a.NewTextPart(fmt.Sprintf(beatMark+"%d %d %s", i, time.Now().UnixNano(), padding)))
			e.Append = false
			if !yield(e, nil) {
				return
			}
		}
		ended()
		yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCompleted, nil), nil)
	}
}

// Cancel implements a2asrv.AgentExecutor.
func (*metronome) Cancel(context.Context, *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) { yield(nil, a2a.ErrTaskNotCancelable) }
}
