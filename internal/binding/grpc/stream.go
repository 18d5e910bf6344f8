// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"context"
	"errors"
	"io"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/task"
)

// pump sends a stream until it ends, its reader leaves or reads too slowly, it
// is too old, or the server drains; each time but the first the reader can
// resume. The task does not notice any of these.
func (d *door[F]) pump(ss gogrpc.ServerStream, f F) error {
	ctx, cancel := context.WithCancel(ss.Context())
	defer cancel()
	defer context.AfterFunc(d.drain, cancel)()
	out := newOutlet(ss, d.edge.Options().WriteTimeout)
	defer out.timer.Stop()

	end := d.edge.StreamEnd()
	// The header waits for the first event, but a reader that resumes may be up
	// to date.
	idle := d.edge.Options().HeaderWait
	for {
		frames, err := f.Next(ctx, idle)
		for _, fr := range frames {
			if err := out.send(fr); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && ctx.Err() != nil && ss.Context().Err() == nil:
			return ended("the server is stopping")
		case err != nil:
			return err
		}
		if err := out.header(); err != nil {
			return err
		}
		idle = 0
		if !end.IsZero() {
			if idle = time.Until(end); idle <= 0 {
				return ended("the stream has reached its age")
			}
		}
	}
}

// ended is the end of a stream that is not the end of what it is about.
func ended(why string) error {
	return task.Errorf(task.ErrUnavailable, "%s; subscribe again with the metadata last-event-id", why)
}

// outlet writes to one reader, and cuts it off when it does not read: a write
// waits where the reader's window and a buffer of 64 KiB are full.
type outlet struct {
	ss       gogrpc.ServerStream
	patience time.Duration
	timer    *time.Timer
	begun    bool
}

func newOutlet(ss gogrpc.ServerStream, patience time.Duration) *outlet {
	o := &outlet{ss: ss, patience: patience, timer: time.AfterFunc(patience, guardOf(ss.Context()).cut)}
	o.timer.Stop()
	return o
}

func (o *outlet) send(f engine.Frame) error {
	b, err := encodeFrame(f)
	if err != nil {
		return err
	}
	o.begun = true
	o.timer.Reset(o.patience)
	defer o.timer.Stop()
	if err := o.ss.SendMsg(b); err != nil {
		return gone{err}
	}
	return nil
}

// gone is the error of a write: the reader has left, or was cut off.
type gone struct{ error }

// header sends the header, unless an event has taken it along.
func (o *outlet) header() error {
	if o.begun {
		return nil
	}
	o.begun = true
	if err := o.ss.SendHeader(metadata.MD{}); err != nil {
		return gone{err}
	}
	return nil
}
