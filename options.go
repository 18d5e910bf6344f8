// SPDX-License-Identifier: Apache-2.0

package errand

import (
	"context"
	"log/slog"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
)

// Store says where tasks are kept. Make one with SQLite or Memory.
type Store struct {
	open func(context.Context, *slog.Logger) (store.Store, error)
}

// IsZero tells whether no store was chosen.
func (s Store) IsZero() bool { return s.open == nil }

// SQLite keeps tasks in a file, and every commit is synced to the disk before
// anybody sees it. The file belongs to one process at a time; a second one is
// told who has it.
func SQLite(path string) Store {
	return Store{open: func(ctx context.Context, log *slog.Logger) (store.Store, error) {
		return sqlite.Open(ctx, path, sqlite.Options{Logger: log})
	}}
}

// Memory keeps tasks in this process: they are gone when it ends.
func Memory() Store {
	return Store{open: func(context.Context, *slog.Logger) (store.Store, error) {
		return memory.New(memory.Options{}), nil
	}}
}

// Options are the settings of an Errand. The zero value of each field but
// Store means its default.
type Options struct {
	// Store is required.
	Store Store
	// PublicURL is the URL at which clients reach the handler, with the path it
	// is mounted under, for example https://agents.example.com/a2a. The agent
	// card says it. Default http://127.0.0.1:8080.
	PublicURL string
	// GRPC is where clients reach the gRPC binding, as in
	// agents.example.com:443; the agent card says it. Default: the host of an
	// https PublicURL without a path, where HTTP/2 comes with TLS; otherwise the
	// card names none.
	GRPC string
	// Lease is how long a worker owns a task without a sign of life (default
	// 15 s); the heartbeat comes three times as often.
	Lease time.Duration
	// Probation is how long a message that was lost three times or more, since
	// its process died, runs before another such one may begin (default 30 s).
	// They run one at a time, so that one that kills its process takes no others
	// along. Messages of agents with unlimited losses are not held apart.
	Probation time.Duration
	// ShutdownTimeout is how long a stop waits for what runs; default 30 s.
	ShutdownTimeout time.Duration
	// MaxEvent bounds a message and an event in bytes (default 1 MiB), MaxTask
	// a whole task (default 64 MiB).
	MaxEvent, MaxTask int
	// KeyTTL is how long an idempotency key is kept; default 24 h.
	KeyTTL time.Duration
	// Resolve finds agents beyond those given to New, by the tenant that calls
	// (empty without authentication) and the name that the request has. It is
	// asked for every call and every attempt, also after a restart and on every
	// replica, so it keeps what is dear to make. It answers ErrUnknownAgent for a
	// name that has none; any other error refuses a call with 503 and fails an
	// attempt. 64 executions of a name run at a time.
	Resolve func(ctx context.Context, tenant, name string) (Agent, error)
	// MaxExecutions bounds how many executions run here at a time, of all agents;
	// what exceeds it waits in the queue. 0: no bound but that of each agent
	// (Policy.Concurrency).
	MaxExecutions int
	// CORSOrigins are the origins whose pages may call the handler from a
	// browser, as in https://app.example.com, or "*" alone for all. By default
	// there are none, and a browser keeps pages of other origins away.
	CORSOrigins []string
	// ContextCodec carries values of the context of a call, which a middleware or
	// an interceptor has put there, to the executor, as a2asrv's does in cluster
	// mode. What Encode returns is stored with the turn as JSON.
	ContextCodec a2asrv.ContextCodec
	// Interceptors see every call and every answer, over every binding, with all
	// headers. The user that one sets on the CallContext owns what the call makes
	// and sees nothing of others. An error of theirs refuses the call: those of
	// package a2a keep their kind, any other is an internal error.
	Interceptors []a2asrv.CallInterceptor
	// ExecutorContextInterceptors may change what an executor is called with, in
	// every attempt. An error fails the attempt.
	ExecutorContextInterceptors []a2asrv.ExecutorContextInterceptor
	// PanicHandler makes the error of an attempt whose executor panicked. The
	// stack is kept for the operator either way.
	PanicHandler func(p any) error
	// KeepAlive is the silence after which a stream carries a comment, so that
	// nobody between takes it for dead; default 15 s.
	KeepAlive time.Duration
	// CloseInterrupted ends the streams of SubscribeToTask where the task waits for
	// input or authorization, for clients that take that for the end (11.7); by
	// default they go on until the task has ended (3.1.6).
	CloseInterrupted bool
	// StrictVersion refuses requests that do not say which version of A2A they
	// speak and can only be 1.0's; by default they are served.
	StrictVersion bool
	// Logger receives what operators need to know; default slog.Default().
	Logger *slog.Logger
}

// Agent is an agent to be served: the card that describes it and the executor
// that runs it, both of the official SDK.
type Agent struct {
	// Name is how requests name the agent, in the wire's tenant field or in the
	// path /agents/NAME. The agent without a name is the one that is meant when
	// none is named.
	Name     string
	Card     *a2a.AgentCard
	Executor a2asrv.AgentExecutor
	Policy   Policy
	// ExtendedCard makes the card for callers who have said who they are, as
	// a2asrv.WithExtendedAgentCardProducer does; nil: there is none.
	ExtendedCard a2asrv.ExtendedAgentCardProducer
}

func (a Agent) entry() agent.Agent {
	return agent.Agent{Name: a.Name, Card: a.Card, Executor: a.Executor, Policy: a.Policy, ExtendedCard: a.ExtendedCard}
}

// AcceptedModesKey keys, in ExecutorContext.Metadata, the media types that the
// caller said it accepts; it is absent if the caller said nothing.
const AcceptedModesKey = task.AcceptedModesKey

// ErrUnknownAgent is what Options.Resolve answers for a name that has no agent.
var ErrUnknownAgent = agent.ErrUnknown

// Policy is how the turns of an agent are run; see each field for its default.
type Policy = agent.Policy

// Retry is when a failed attempt is followed by another, and by how many.
type Retry = task.Retry

// What becomes of the artifacts that a failed attempt touched.
const (
	ResetArtifacts = agent.ResetArtifacts
	KeepArtifacts  = agent.KeepArtifacts
)

// What becomes of a turn whose worker died.
const (
	RetryLost = agent.RetryLost
	FailLost  = agent.FailLost
)

// Unlimited as Retry.MaxAttempts or Retry.MaxLosses never gives up.
const Unlimited = task.Unlimited
