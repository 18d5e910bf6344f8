// SPDX-License-Identifier: Apache-2.0

package v03

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
)

// endings is an engine whose streams end where those of 0.3 do.
type endings[F binding.Follower[engine.Frame]] struct {
	binding.Engine[engine.Call, engine.Reply, F]
}

// Stream is the engine's.
func (e endings[F]) Stream(ctx context.Context, call engine.Call, req *a2a.SendMessageRequest) (*ending[F], error) {
	f, err := e.Engine.Stream(ctx, call, req)
	if err != nil {
		return nil, err
	}
	return &ending[F]{f}, nil
}

// Subscribe is the engine's.
func (e endings[F]) Subscribe(ctx context.Context, call engine.Call, req *a2a.SubscribeToTaskRequest, cursor *uint64) (*ending[F], error) {
	f, err := e.Engine.Subscribe(ctx, call, req, cursor)
	if err != nil {
		return nil, err
	}
	return &ending[F]{f}, nil
}

// ending ends a stream with an event that says it is final. In 0.3 a task that
// waits for input says so, and its reader waits for the server to close the
// stream then. If there is more of it already, the event is part of a replay
// and ends nothing.
type ending[F binding.Follower[engine.Frame]] struct{ follower F }

// Next implements binding.Follower.
func (e *ending[F]) Next(ctx context.Context, idle time.Duration) ([]engine.Frame, error) {
	frames, err := e.follower.Next(ctx, idle)
	if n := len(frames); n > 0 && err == nil && final(frames[n-1].Event) {
		err = io.EOF
	}
	return frames, err
}

// Close implements binding.Follower.
func (e *ending[F]) Close() { e.follower.Close() }

func final(b []byte) bool {
	if !bytes.Contains(b, []byte(`"statusUpdate"`)) {
		return false
	}
	e, err := decodeEvent(b)
	if err != nil {
		return false
	}
	u, ok := e.(*a2a.TaskStatusUpdateEvent)
	return ok && (u.Status.State.Terminal() || u.Status.State == a2a.TaskStateInputRequired)
}
