// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"reflect"

	"github.com/errand-a2a/errand/hack/acts/format"
	"github.com/errand-a2a/errand/hack/acts/sut"
	"github.com/errand-a2a/errand/hack/acts/wire"
)

// held is a task that waits at a gate of the test agent, so that what a test
// does in the middle of a stream is done in the middle, without a clock.
type held struct {
	x      *execution
	gate   string
	first  wire.Stream // of the request that made the task, if that was one
	taskID string
	begun  []wire.Event // what first has given up to here
}

// hold sends a step's message with the instruction to wait.
func hold(ctx context.Context, x *execution, s *format.Step) (*held, error) {
	h := &held{x: x, gate: rand.Text()}
	step := *s
	step.Params = maps.Clone(s.Params)
	step.Params["metadata"] = map[string]any{sut.HoldKey: h.gate}
	if !step.Streams() {
		a, err := x.call(ctx, &step)
		if err != nil {
			return h, err
		}
		if err := x.judge(&step, a); err != nil {
			return h, err
		}
		body, _ := a.body.(map[string]any)
		return h, h.name(body["task"])
	}
	var err error
	if h.first, err = x.open(ctx, &step); err != nil {
		return h, err
	}
	for {
		e, err := h.first.Next()
		if err != nil {
			return h, fmt.Errorf("the stream ended before the agent worked: %w", err)
		}
		h.begun = append(h.begun, e)
		if body, ok := e.Body.(map[string]any); ok && body["task"] != nil {
			if err := h.name(body["task"]); err != nil {
				return h, err
			}
		}
		if stateOf(e) == "TASK_STATE_WORKING" && h.taskID != "" {
			return h, nil
		}
	}
}

func (h *held) name(task any) error {
	m, _ := task.(map[string]any)
	h.taskID, _ = m["id"].(string)
	if h.taskID == "" {
		return fmt.Errorf("the answer has no task")
	}
	return nil
}

// close lets the agent go, whatever has become of the test.
func (h *held) close() {
	if h.first != nil {
		h.first.Close()
	}
	h.release()
}

func (h *held) release() {
	if h.gate != "" {
		h.x.runner.Release(h.gate)
	}
	h.gate = ""
}

// subscribe opens a further stream of the task and reads its first event, which
// must be the Task as it is now.
func (h *held) subscribe(ctx context.Context) (wire.Stream, error) {
	src, err := h.x.open(ctx, &format.Step{ID: "subscribe", Operation: "subscribe_to_task", Params: map[string]any{"id": h.taskID}})
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	e, err := src.Next()
	if err != nil {
		src.Close()
		return nil, fmt.Errorf("subscribe: first event: %w", err)
	}
	if body, _ := e.Body.(map[string]any); body["task"] == nil {
		src.Close()
		return nil, fmt.Errorf("subscribe: the first event is not the task")
	}
	return src, nil
}

// rest reads a stream to its end, which must be that of the task.
func rest(ctx context.Context, src wire.Stream) ([]wire.Event, error) {
	a := &answer{}
	if err := collect(ctx, src, a, nil); err != nil {
		return nil, err
	}
	if a.err != nil {
		return nil, a.err
	}
	if len(a.events) == 0 || stateOf(a.events[len(a.events)-1]) != "TASK_STATE_COMPLETED" {
		return nil, fmt.Errorf("the stream ended after %d events without the end of the task", len(a.events))
	}
	return a.events, nil
}

// sameEvents opens a second stream while the first runs. From there on both
// must give the same.
func sameEvents(ctx context.Context, x *execution) error {
	h, err := hold(ctx, x, x.test.Steps[0])
	defer h.close()
	if err != nil {
		return err
	}
	second, err := h.subscribe(ctx)
	if err != nil {
		return err
	}
	h.release()
	a, err := rest(ctx, h.first)
	if err != nil {
		return fmt.Errorf("first stream: %w", err)
	}
	b, err := rest(ctx, second)
	if err != nil {
		return fmt.Errorf("second stream: %w", err)
	}
	if len(a) != len(b) {
		return fmt.Errorf("one stream has %d further events, the other %d", len(a), len(b))
	}
	for i := range a {
		if !reflect.DeepEqual(a[i].Body, b[i].Body) {
			return fmt.Errorf("further event %d differs between the streams", i)
		}
	}
	return nil
}

// closeOne closes the stream that made the task and reads the other to its end.
func closeOne(ctx context.Context, x *execution) error {
	h, err := hold(ctx, x, x.test.Steps[0])
	defer h.close()
	if err != nil {
		return err
	}
	second, err := h.subscribe(ctx)
	if err != nil {
		return err
	}
	h.first.Close()
	h.release()
	_, err = rest(ctx, second)
	return err
}

// resubscribe leaves a stream in the middle and comes back.
func resubscribe(ctx context.Context, x *execution) error {
	h, err := hold(ctx, x, x.test.Steps[0])
	defer h.close()
	if err != nil {
		return err
	}
	first, err := h.subscribe(ctx)
	if err != nil {
		return err
	}
	first.Close()
	again, err := h.subscribe(ctx)
	if err != nil {
		return fmt.Errorf("after a disconnect: %w", err)
	}
	h.release()
	_, err = rest(ctx, again)
	return err
}
