// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// Worker is the worker of this replica, as far as accepting needs it.
type Worker interface {
	// Reserve takes a free execution slot of an agent; ok is false if none is free.
	Reserve(agent string) (t store.Taker, ok bool)
	// Release gives a reserved slot back.
	Release(agent string)
	// Start runs a claim on a reserved slot. It returns at once. given is what
	// the claim says, decoded, or nil; it is the worker's from then on.
	Start(c *store.Claim, given *record.Given)
	// Ring says that an agent has something ready.
	Ring(agent string)
	// Hint says that a cancellation of a running task was asked for.
	Hint(ref task.Ref)
}

// Limits bound what a client may send. Zero fields mean the defaults.
type Limits struct {
	// Event bounds one event, and so one message, in bytes; default 1 MiB.
	Event int
}

// ContextCodec turns values of a context into data that is stored with a turn.
type ContextCodec interface {
	Encode(context.Context) (map[string]any, error)
}

// Options are what an engine is made of.
type Options struct {
	Intake store.Intake
	Reader store.Reader
	Hub    *live.Hub
	Agents *agent.Registry
	Worker Worker
	// TokenKey signs page tokens: 32 bytes, the same on every replica.
	TokenKey []byte
	// Gate refuses sends while it returns an error (no worker runs yet, or the
	// server is stopping). nil: never.
	Gate func() error
	// Stopped is closed when nothing runs here any more: calls that wait are
	// answered that they must follow the task elsewhere. nil: never.
	Stopped <-chan struct{}
	Limits  Limits
	// RenderCard makes the JSON of an agent's card, with what the server decides.
	RenderCard func(agent string, card *a2a.AgentCard) ([]byte, error)
	// CloseInterrupted ends a subscription where its task waits for input or
	// authorization; by default it goes on until the task has ended.
	CloseInterrupted bool
	// Codec carries values of the caller's context to the executor; nil: none.
	Codec ContextCodec
	// KeyTTL is how long an idempotency key is kept; default 24 h.
	KeyTTL time.Duration
	// Now is the clock for timestamps in events; default time.Now.
	Now    func() time.Time
	Logger *slog.Logger
}

// Engine accepts messages and answers questions about tasks. Its methods may
// be called concurrently.
type Engine struct {
	Options
	told record.Told
}

// New makes an engine.
func New(o Options) *Engine {
	if o.Limits.Event <= 0 {
		o.Limits.Event = 1 << 20
	}
	if o.KeyTTL <= 0 {
		o.KeyTTL = 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Gate == nil {
		o.Gate = func() error { return nil }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Engine{Options: o}
}

func (e *Engine) now() time.Time { return e.Now().UTC().Truncate(time.Millisecond) }

// Admit finds the agent of a call and settles the extensions: a caller who
// does not ask for one that the agent requires is refused, and the answer's
// Extensions are those that are active. Every other method admits a call that
// was not.
func (e *Engine) Admit(ctx context.Context, call Call) (Call, error) {
	if call.agent != nil {
		return call, nil
	}
	a, err := e.Agents.Find(ctx, call.Tenant, call.Agent)
	switch {
	case errors.Is(err, agent.ErrUnknown):
		if call.Agent == "" {
			return call, task.Invalid(a2a.ErrInvalidParams, "tenant", "must name one of the agents here; there is none without a name")
		}
		return call, task.Invalid(a2a.ErrInvalidParams, "tenant", "there is no agent of that name here")
	case err != nil:
		return call, &task.Error{Kind: task.ErrUnavailable, Cause: err, Message: "the agent cannot be found out now; nothing was accepted, try again later"}
	}
	if call.Extensions, err = a.Activate(call.Extensions); err != nil {
		return call, err
	}
	call.agent = a
	return call, nil
}

// notFound is the one answer for a task that is missing, of somebody else, of
// another agent, or not published.
func notFound() error {
	return task.Errorf(a2a.ErrTaskNotFound, "task not found")
}

// head reads the head of a task that the client may know about.
func (e *Engine) head(ctx context.Context, call Call, id a2a.TaskID) (store.Head, error) {
	if id == "" {
		return store.Head{}, task.Invalid(a2a.ErrInvalidParams, "id", "must be the id of a task")
	}
	ref := task.Ref{Scope: call.Scope, ID: string(id)}
	head, _, err := e.Reader.Read(ctx, ref, ^uint64(0), 0)
	if err != nil {
		return head, e.storeError("read task", err)
	}
	if !visible(head, call) {
		return head, notFound()
	}
	return head, nil
}

func visible(h store.Head, call Call) bool { return h.Listed && h.Agent == call.Agent }

// load reads and folds a whole task that the client may know about.
func (e *Engine) load(ctx context.Context, call Call, id a2a.TaskID) (store.Head, *task.State, error) {
	if id == "" {
		return store.Head{}, nil, task.Invalid(a2a.ErrInvalidParams, "id", "must be the id of a task")
	}
	head, s, err := e.open(ctx, task.Ref{Scope: call.Scope, ID: string(id)})
	if err != nil {
		return head, nil, err
	}
	if !visible(head, call) {
		return head, nil, notFound()
	}
	return head, s, nil
}

// open reads and folds a whole task, visible or not.
func (e *Engine) open(ctx context.Context, ref task.Ref) (store.Head, *task.State, error) {
	st, err := e.Reader.Load(ctx, ref)
	if err != nil {
		return st.Head, nil, e.storeError("load task", err)
	}
	s, err := fold(st)
	if err != nil {
		return st.Head, nil, &internalError{"fold task " + ref.ID, err}
	}
	return st.Head, s, nil
}

// request is what the executor gets of a call besides the message.
func (e *Engine) request(ctx context.Context, call Call, metadata map[string]any) (record.Request, error) {
	r := record.Request{Metadata: metadata, Params: call.Params, Extensions: call.Extensions, User: call.User}
	if e.Codec == nil {
		return r, nil
	}
	var err error
	if r.Context, err = e.Codec.Encode(ctx); err != nil {
		return r, &internalError{"encode the caller's context", err}
	}
	return r, nil
}

func fold(st store.Stored) (*task.State, error) {
	var snapshot []byte
	if st.Snapshot != nil {
		snapshot = st.Snapshot.Body
	}
	tail := make([][]byte, len(st.Tail))
	for i, b := range st.Tail {
		tail[i] = b.Body
	}
	s, err := record.Open(st.Head.ID, st.Head.ContextID, snapshot, tail)
	if err == nil && s.Seq != st.Head.LastSeq {
		// Shown, it would be the task as it never was when somebody asks for it.
		err = fmt.Errorf("the log ends at %d, the task is at %d: %w", s.Seq, st.Head.LastSeq, record.ErrCorrupt)
	}
	return s, err
}

// storeError turns a refusal of the store into what a client is told.
func (e *Engine) storeError(doing string, err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return notFound()
	case errors.Is(err, store.ErrKeyConflict):
		return task.Errorf(task.ErrKeyConflict, "the idempotency key was used before with another message")
	case errors.Is(err, store.ErrOverloaded), errors.Is(err, store.ErrFull),
		errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrStopped):
		return &task.Error{
			Kind: task.ErrUnavailable, Cause: err, RetryAfter: time.Second,
			Message: "the server cannot store this now; nothing was accepted, try again later",
		}
	case errors.Is(err, store.ErrUnknown):
		return &task.Error{
			Kind: task.ErrUnavailable, Cause: err, RetryAfter: time.Second,
			Message: "the outcome is unknown; repeat with the same Idempotency-Key to find out",
		}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &task.Error{Kind: task.ErrUnavailable, Cause: err, Message: "the call ended early"}
	}
	return &internalError{doing, err}
}

// internalError carries what a client must not see to the log at the edge.
type internalError struct {
	doing string
	err   error
}

func (e *internalError) Error() string { return e.doing + ": " + e.err.Error() }
func (e *internalError) Unwrap() error { return e.err }
