// SPDX-License-Identifier: Apache-2.0

package errand

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/uuid"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// Errand is a durable A2A server as an http.Handler. Mount it anywhere, with
// http.StripPrefix where it is not at the root, and let Run work.
type Errand struct {
	node  *node.Node
	store store.Store
}

// New opens the store and puts a server together. Nothing runs before Run;
// until then sends are answered 503, and reads are answered. There is at least
// one agent, or Options.Resolve. Close closes the store.
func New(ctx context.Context, o Options, agents ...Agent) (*Errand, error) {
	if o.Store.open == nil {
		return nil, errors.New("errand: Options.Store is required: errand.SQLite(path) or errand.Memory()")
	}
	if len(agents) == 0 && o.Resolve == nil {
		return nil, errors.New("errand: no agent, and no Options.Resolve to find one")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.PublicURL == "" {
		o.PublicURL = "http://127.0.0.1:8080"
	}
	st, err := o.Store.open(ctx, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("errand: open store: %w", err)
	}
	n, err := node.New(ctx, nodeOptions(o, agents, st))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("errand: %w", err), st.Close())
	}
	return &Errand{node: n, store: st}, nil
}

func nodeOptions(o Options, agents []Agent, st store.Store) node.Options {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	n := node.Options{
		Store: st, PublicURL: o.PublicURL, GRPC: o.GRPC, KeyTTL: o.KeyTTL, Logger: o.Logger,
		Origins: o.CORSOrigins, Codec: o.ContextCodec, Interceptors: o.Interceptors,
	}
	for _, a := range agents {
		n.Agents = append(n.Agents, a.entry())
	}
	if o.Resolve != nil {
		n.Resolve = func(ctx context.Context, tenant, name string) (agent.Agent, error) {
			a, err := o.Resolve(ctx, tenant, name)
			return a.entry(), err
		}
	}
	n.Engine.Event, n.CloseInterrupted = o.MaxEvent, o.CloseInterrupted
	n.Binding.KeepAlive, n.Binding.StrictVersion = o.KeepAlive, o.StrictVersion
	n.Worker.Intercept, n.Worker.OnPanic = o.ExecutorContextInterceptors, o.PanicHandler
	n.Worker.MaxExecutions = o.MaxExecutions
	n.Worker.ID = fmt.Sprintf("%s-%d-%s", host, os.Getpid(), uuid.NewString()[:8])
	n.Worker.Lease, n.Worker.Probation, n.Worker.Shutdown = o.Lease, o.Probation, o.ShutdownTimeout
	n.Worker.Limits.Event, n.Worker.Limits.Task = o.MaxEvent, o.MaxTask
	return n
}

// ServeHTTP serves JSON-RPC and HTTP+JSON, A2A 0.3, the cards of the agents and
// their index at /agents, /livez and /readyz; and gRPC to whoever speaks HTTP/2,
// where it is mounted at the root.
func (e *Errand) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.node.Handler().ServeHTTP(w, r) }

// Run works until ctx ends, then drains: it takes no more work, ends streams
// (their readers resume), waits for what runs, at most ShutdownTimeout, and
// gives back the rest to be run again. It may be called once.
func (e *Errand) Run(ctx context.Context) error { return e.node.Run(ctx) }

// Started returns a channel that is closed when Run has begun: from then on
// messages are accepted.
func (e *Errand) Started() <-chan struct{} { return e.node.Started() }

// Close closes the store. Call it after Run has returned.
func (e *Errand) Close() error { return e.store.Close() }

// Event is one event of a task's log.
type Event struct {
	// Sequence is its place in the log, from 1 without a gap.
	Sequence uint64
	a2a.Event
}

// Follow gives the events of a task after a sequence (0: all), each once and
// in order, as they are committed, until the task has ended or ctx has. It
// works on any task, running, parked or ended, also of an earlier process: of
// the user and the agent of ctx where that is the context of a call
// (a2asrv.CallContextFrom, also in an executor), and otherwise of callers who
// have not said who they are and of the agent without a name. The last pair
// has an error if the following did not come to the task's end:
// a2a.ErrTaskNotFound, or why ctx ended.
func (e *Errand) Follow(ctx context.Context, id a2a.TaskID, after uint64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f, err := e.node.Follow(ctx, id, after)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer f.Close()
		for {
			frames, err := f.Next(ctx, 0)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, fr := range frames {
				var sr a2a.StreamResponse
				if err := json.Unmarshal(fr.Event, &sr); err != nil {
					yield(Event{}, fmt.Errorf("decode event %d: %w", fr.Seq, err))
					return
				}
				if !yield(Event{Sequence: fr.Seq, Event: sr.Event}, nil) {
					return
				}
			}
		}
	}
}

// Attempt tells an executor which run of the turn it is in, from 1. A run
// after a lost worker, a failure or a release has a higher number.
func Attempt(ctx context.Context) int { return agent.Attempt(ctx) }

// Progress reports how far an executor is, in percent. It becomes a status
// event with the progress extension; values at or below one already reported
// in this attempt are ignored.
func Progress(ctx context.Context, percent int) { agent.Progress(ctx, percent) }

// Permanent marks an error of an executor as one that no retry can mend.
func Permanent(err error) error { return task.Permanent(err) }

// RetryAfter marks an error of an executor with the delay before the next
// attempt.
func RetryAfter(d time.Duration, err error) error { return task.RetryAfter(d, err) }
