// SPDX-License-Identifier: Apache-2.0

// Package sdk joins the engine to the official SDK's server: a RequestHandler
// over the engine, for those who bring the SDK's transports or others made for
// it, and an engine behind the SDK's call interceptors, for our own bindings.
package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/task"
)

// Follower is a place in a task's log.
type Follower interface {
	Next(ctx context.Context, idle time.Duration) ([]engine.Frame, error)
	Close()
}

// Sender accepts messages.
type Sender[F Follower] interface {
	Admit(context.Context, engine.Call) (engine.Call, error)
	Send(context.Context, engine.Call, *a2a.SendMessageRequest) (engine.Reply, error)
	Stream(context.Context, engine.Call, *a2a.SendMessageRequest) (F, error)
}

// Reader answers about tasks and agents, and cancels tasks.
type Reader[F Follower] interface {
	Get(context.Context, engine.Call, *a2a.GetTaskRequest) ([]byte, error)
	List(context.Context, engine.Call, *a2a.ListTasksRequest) ([]byte, error)
	Cancel(context.Context, engine.Call, *a2a.CancelTaskRequest) ([]byte, error)
	Subscribe(ctx context.Context, call engine.Call, req *a2a.SubscribeToTaskRequest, cursor *uint64) (F, error)
	ExtendedCard(context.Context, engine.Call, *a2a.GetExtendedAgentCardRequest) ([]byte, error)
}

// Engine is all that is needed of an engine.
type Engine[F Follower] interface {
	Sender[F]
	Reader[F]
}

// Options of a RequestHandler. The zero value serves every agent to the SDK's
// transports.
type Options struct {
	// Route is the agent that every request is for, where requests cannot name
	// one; a request that names another is refused.
	Route string
	// Explain makes what a transport gets of an error; nil: what the SDK's
	// transports understand, without internal text.
	Explain func(context.Context, error) error
	// Headers gives the headers of a request whose transport has made no
	// CallContext; nil: there are none.
	Headers func(context.Context) map[string][]string
	// Logger receives what callers are not told; default slog.Default().
	Logger *slog.Logger
}

// New returns a RequestHandler over an engine.
func New[F Follower](e Engine[F], o Options) a2asrv.RequestHandler {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	h := &handler[F]{engine: e, o: o}
	if o.Explain == nil {
		h.o.Explain = h.explain
	}
	return h
}

type handler[F Follower] struct {
	engine Engine[F]
	o      Options
	// inner is set behind interceptors: there the call comes from the context.
	inner bool
}

func (h *handler[F]) GetTask(ctx context.Context, req *a2a.GetTaskRequest) (*a2a.Task, error) {
	return ask[a2a.Task](ctx, h, req.Tenant, req, h.engine.Get)
}

func (h *handler[F]) ListTasks(ctx context.Context, req *a2a.ListTasksRequest) (*a2a.ListTasksResponse, error) {
	return ask[a2a.ListTasksResponse](ctx, h, req.Tenant, req, h.engine.List)
}

func (h *handler[F]) CancelTask(ctx context.Context, req *a2a.CancelTaskRequest) (*a2a.Task, error) {
	return ask[a2a.Task](ctx, h, req.Tenant, req, h.engine.Cancel)
}

func (h *handler[F]) GetExtendedAgentCard(ctx context.Context, req *a2a.GetExtendedAgentCardRequest) (*a2a.AgentCard, error) {
	return ask[a2a.AgentCard](ctx, h, req.Tenant, req, h.engine.ExtendedCard)
}

// ask asks the engine what has one answer and reads it as the SDK's type.
func ask[A, Q any, F Follower](ctx context.Context, h *handler[F], tenant string, req *Q, run func(context.Context, engine.Call, *Q) ([]byte, error)) (*A, error) {
	in, err := h.enter(ctx, tenant)
	if err != nil {
		return nil, h.o.Explain(ctx, err)
	}
	b, err := run(ctx, in.call, req)
	if err != nil {
		return nil, h.o.Explain(ctx, err)
	}
	in.answered(b)
	answer := new(A)
	if err := json.Unmarshal(b, answer); err != nil {
		return nil, h.o.Explain(ctx, fmt.Errorf("decode an answer: %w", err))
	}
	return answer, nil
}

func (h *handler[F]) SendMessage(ctx context.Context, req *a2a.SendMessageRequest) (a2a.SendMessageResult, error) {
	result, err := h.send(ctx, req)
	if err != nil {
		return nil, h.o.Explain(ctx, err)
	}
	return result, nil
}

func (h *handler[F]) send(ctx context.Context, req *a2a.SendMessageRequest) (a2a.SendMessageResult, error) {
	in, err := h.enter(ctx, tenantOf(req))
	if err != nil {
		return nil, err
	}
	if in.call.Key, err = in.key(); err != nil {
		return nil, err
	}
	reply, err := h.engine.Send(ctx, in.call, req)
	if err != nil {
		return nil, err
	}
	event, err := decodeEvent(reply.JSON)
	if err != nil {
		return nil, err
	}
	result, ok := event.(a2a.SendMessageResult)
	if !ok {
		return nil, fmt.Errorf("a send was answered with %T", event)
	}
	return result, nil
}

func tenantOf(req *a2a.SendMessageRequest) string {
	if req == nil {
		return ""
	}
	return req.Tenant
}

func (h *handler[F]) SendStreamingMessage(ctx context.Context, req *a2a.SendMessageRequest) iter.Seq2[a2a.Event, error] {
	return h.events(ctx, tenantOf(req), func(in *entry) (f F, err error) {
		if in.call.Key, err = in.key(); err != nil {
			return f, err
		}
		return h.engine.Stream(ctx, in.call, req)
	})
}

func (h *handler[F]) SubscribeToTask(ctx context.Context, req *a2a.SubscribeToTaskRequest) iter.Seq2[a2a.Event, error] {
	return h.events(ctx, req.Tenant, func(in *entry) (f F, err error) {
		cursor, err := in.cursor()
		if err != nil {
			return f, err
		}
		return h.engine.Subscribe(ctx, in.call, req, cursor)
	})
}

// events gives the events of a follower until it ends or nobody wants more.
func (h *handler[F]) events(ctx context.Context, tenant string, open func(*entry) (F, error)) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		err := h.follow(ctx, tenant, open, func(e a2a.Event) bool { return yield(e, nil) })
		if err != nil {
			yield(nil, h.o.Explain(ctx, err))
		}
	}
}

func (h *handler[F]) follow(ctx context.Context, tenant string, open func(*entry) (F, error), yield func(a2a.Event) bool) error {
	in, err := h.enter(ctx, tenant)
	if err != nil {
		return err
	}
	f, err := open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	in.opened()
	for {
		frames, err := f.Next(ctx, 0)
		for _, frame := range frames {
			event, err := decodeEvent(frame.Event)
			if err != nil {
				return err
			}
			in.pulled(frame.Seq)
			if !yield(event) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func decodeEvent(b []byte) (a2a.Event, error) {
	var sr a2a.StreamResponse
	if err := json.Unmarshal(b, &sr); err != nil {
		return nil, fmt.Errorf("decode an event: %w", err)
	}
	return sr.Event, nil
}

func (h *handler[F]) GetTaskPushConfig(ctx context.Context, _ *a2a.GetTaskPushConfigRequest) (*a2a.PushConfig, error) {
	return nil, h.o.Explain(ctx, noPush())
}

func (h *handler[F]) ListTaskPushConfigs(ctx context.Context, _ *a2a.ListTaskPushConfigRequest) (*a2a.ListTaskPushConfigResponse, error) {
	return nil, h.o.Explain(ctx, noPush())
}

func (h *handler[F]) CreateTaskPushConfig(ctx context.Context, _ *a2a.PushConfig) (*a2a.PushConfig, error) {
	return nil, h.o.Explain(ctx, noPush())
}

func (h *handler[F]) DeleteTaskPushConfig(ctx context.Context, _ *a2a.DeleteTaskPushConfigRequest) error {
	return h.o.Explain(ctx, noPush())
}

func noPush() error {
	return task.Errorf(a2a.ErrPushNotificationNotSupported, "this agent sends no push notifications; stream, subscribe or poll GetTask instead")
}
