// SPDX-License-Identifier: Apache-2.0

package v03

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
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
	return &ending[F]{follower: f, turn: true}, nil
}

// Subscribe is the engine's.
func (e endings[F]) Subscribe(ctx context.Context, call engine.Call, req *a2a.SubscribeToTaskRequest, cursor *uint64) (*ending[F], error) {
	f, err := e.Engine.Subscribe(ctx, call, req, cursor)
	if err != nil {
		return nil, err
	}
	return &ending[F]{follower: f}, nil
}

// ending ends a stream with an event that says it is final, as readers of 0.3
// wait for. Such is an event that ends the task, and one that asks for input: if
// there is more of it already, it is part of a replay and ends nothing. One that
// asks for authorization is final if the turn ends there too.
type ending[F binding.Follower[engine.Frame]] struct {
	follower F
	// turn is whether the stream is that of one turn.
	turn bool
	// ahead is what was read to know whether an event is final.
	ahead *batch
}

type batch struct {
	frames []engine.Frame
	err    error
}

// authWait is how long an event that asks for authorization waits for the news
// that its turn has ended there: the two may be two commits.
const authWait = 25 * time.Millisecond

// Next implements binding.Follower.
func (e *ending[F]) Next(ctx context.Context, idle time.Duration) ([]engine.Frame, error) {
	b := e.ahead
	if e.ahead = nil; b == nil {
		b = e.read(ctx, idle)
	}
	n := len(b.frames)
	if n == 0 || b.err != nil && !errors.Is(b.err, io.EOF) {
		return b.frames, b.err
	}
	update := statusOfFrame(b.frames[n-1])
	if update == nil {
		return b.frames, b.err
	}
	if b.err == nil && e.final(ctx, update.Status.State) {
		b.err = io.EOF
	}
	if b.err != nil {
		marked, err := markFinal(update)
		if err != nil {
			return b.frames[:n-1], err
		}
		b.frames[n-1].Event, b.frames[n-1].Shared = marked, nil
	}
	return b.frames, b.err
}

func (e *ending[F]) read(ctx context.Context, idle time.Duration) *batch {
	frames, err := e.follower.Next(ctx, idle)
	return &batch{frames, err}
}

// final tells whether a stream ends with an event of this state.
func (e *ending[F]) final(ctx context.Context, state a2a.TaskState) bool {
	if state != a2a.TaskStateAuthRequired || !e.turn {
		return state.Terminal() || state == a2a.TaskStateInputRequired
	}
	b := e.read(ctx, authWait)
	if len(b.frames) == 0 && errors.Is(b.err, io.EOF) {
		return true
	}
	if len(b.frames) > 0 || b.err != nil {
		e.ahead = b
	}
	return false
}

// Close implements binding.Follower.
func (e *ending[F]) Close() { e.follower.Close() }

func statusOfFrame(f engine.Frame) *a2a.TaskStatusUpdateEvent {
	if !bytes.Contains(f.Event, []byte(`"statusUpdate"`)) {
		return nil
	}
	e, err := decodeEvent(f.Event)
	if err != nil {
		return nil
	}
	u, _ := e.(*a2a.TaskStatusUpdateEvent)
	return u
}

// finalMark stands in the metadata of the last event of a stream on its way to
// the binding, since the types of 1.0 have no other place for it. The binding
// takes it out and says so in the way of 0.3.
const finalMark = "\x00final"

func markFinal(u *a2a.TaskStatusUpdateEvent) ([]byte, error) {
	if u.Metadata == nil {
		u.Metadata = map[string]any{}
	}
	u.Metadata[finalMark] = true
	b, err := json.Marshal(a2a.StreamResponse{Event: u})
	if err != nil {
		return nil, fmt.Errorf("mark the last event: %w", err)
	}
	return b, nil
}

// takeMark takes the mark out of an event. update is whether it could have one.
func takeMark(e a2a.Event) (final, update bool) {
	u, ok := e.(*a2a.TaskStatusUpdateEvent)
	if !ok {
		return false, false
	}
	_, final = u.Metadata[finalMark]
	delete(u.Metadata, finalMark)
	if len(u.Metadata) == 0 {
		u.Metadata = nil
	}
	return final, true
}

// setFinal says in the JSON of a status update whether it is final.
func setFinal(b []byte, final bool) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("read a status update: %w", err)
	}
	if inner, ok := m["statusUpdate"]; ok {
		inner, err := setFinal(inner, final)
		if err != nil {
			return nil, err
		}
		m["statusUpdate"] = inner
	} else {
		m["final"] = strconv.AppendBool(nil, final)
	}
	out, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write a status update: %w", err)
	}
	return out, nil
}
