// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/task"
)

// Inside is the door of one who is in the same process.
type Inside struct{ Engine *engine.Engine }

var _ Door = Inside{}

// Send implements Door.
func (d Inside) Send(ctx context.Context, m Message, take func(Event) error) error {
	msg := a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(m.Text))
	msg.ID = m.ID
	f, err := d.Engine.Stream(ctx, engine.Call{Key: m.Key}, &a2a.SendMessageRequest{Message: msg})
	return d.read(ctx, f, err, take)
}

// Subscribe implements Door.
func (d Inside) Subscribe(ctx context.Context, id string, after int, take func(Event) error) error {
	var cursor *uint64
	if after != Begin {
		n := uint64(after)
		cursor = &n
	}
	f, err := d.Engine.Subscribe(ctx, engine.Call{}, &a2a.SubscribeToTaskRequest{ID: a2a.TaskID(id)}, cursor)
	return d.read(ctx, f, err, take)
}

// Get is the task as JSON.
func (d Inside) Get(ctx context.Context, id string) ([]byte, error) {
	return d.Engine.Get(ctx, engine.Call{}, &a2a.GetTaskRequest{ID: a2a.TaskID(id)})
}

func (d Inside) read(ctx context.Context, f *engine.Follower, err error, take func(Event) error) error {
	if err != nil {
		return refused(err)
	}
	defer f.Close()
	for {
		frames, err := f.Next(ctx, 0)
		for _, frame := range frames {
			e, err := ParseEvent(frame.Event)
			if err == nil && uint64(e.Seq) != frame.Seq {
				err = fmt.Errorf("the frame %d holds the event %d", frame.Seq, e.Seq)
			}
			if err == nil {
				err = take(e)
			}
			if err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return refused(err)
		}
	}
}

func refused(err error) error {
	switch {
	case errors.Is(err, a2a.ErrUnsupportedOperation):
		return ErrEnded
	case errors.Is(err, task.ErrUnavailable):
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}
