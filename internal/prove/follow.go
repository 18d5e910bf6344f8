// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Message is what the prover sends.
type Message struct {
	ID   string
	Text string
	// Task is the task that the message continues; empty makes a new one.
	Task string
	// Key is the idempotency key.
	Key string
}

func (m Message) params(returnImmediately bool) map[string]any {
	msg := map[string]any{
		"messageId": m.ID, "role": roleUser,
		"parts": []any{map[string]any{"text": m.Text}},
	}
	if m.Task != "" {
		msg["taskId"] = m.Task
	}
	p := map[string]any{"message": msg}
	if returnImmediately {
		p["configuration"] = map[string]any{"returnImmediately": true}
	}
	return p
}

func (m Message) header() http.Header {
	return http.Header{idempotencyHeader: {m.Key}}
}

// Follower reads the stream of one turn to its end, through every break.
type Follower struct {
	client  *Client
	message Message
	// OnFrame is called with each frame, in order, each once.
	OnFrame func(Frame)
	// ended says which states end the turn. The stream of a follow-up may
	// begin while the turn before it still runs, and shows how that one
	// parks: so a follow-up is read until the task is terminal.
	ended func(state string) bool

	Task    string
	First   int // sequence of the first frame
	Last    int // sequence of the last frame
	Resumed int // how often the stream was taken up again
	State   string
}

// NewFollower returns a follower of the turn that the message will make.
func NewFollower(c *Client, m Message) *Follower {
	f := &Follower{client: c, message: m, Task: m.Task, OnFrame: func(Frame) {}, ended: settled}
	if m.Task != "" {
		f.ended = terminal
	}
	return f
}

// Follow sends the message and reads until the turn has ended. It repeats the
// send, with its key, until it has seen a frame; from then on it resumes.
func (f *Follower) Follow(ctx context.Context) error {
	for {
		broken := f.read(ctx)
		if broken != nil && !errors.Is(broken, errUnanswered) {
			return broken
		}
		if f.ended(f.State) {
			return nil
		}
		f.Resumed++
		if err := wait(ctx, retryWhileDown); err != nil {
			return fmt.Errorf("task %q stopped at %d: %w (last: %v)", f.Task, f.Last, err, broken)
		}
	}
}

func (f *Follower) read(ctx context.Context) error {
	var fault error
	handle := func(frame Frame) bool {
		if fault = f.take(frame); fault != nil {
			return false
		}
		return !f.ended(f.State)
	}
	err := f.open(ctx, handle)
	if fault != nil {
		return fault
	}
	return err
}

func (f *Follower) open(ctx context.Context, handle func(Frame) bool) error {
	if f.Last == 0 {
		return f.client.Stream(ctx, "SendStreamingMessage", f.message.params(false), f.message.header(), handle)
	}
	header := http.Header{lastEventIDHeader: {strconv.Itoa(f.Last)}}
	return f.client.Stream(ctx, "SubscribeToTask", map[string]any{"id": f.Task}, header, handle)
}

// take accepts the next frame and no other.
func (f *Follower) take(frame Frame) error {
	switch {
	case f.Last == 0 && f.message.Task == "" && frame.ID != 1:
		return fmt.Errorf("the stream of a new task starts with %d", frame.ID)
	case f.Last == 0:
		f.First = frame.ID
	case frame.ID != f.Last+1:
		return fmt.Errorf("task %s: %d follows %d", f.Task, frame.ID, f.Last)
	}
	if f.Task == "" {
		if f.Task = frame.Event.at("task").str("id"); f.Task == "" {
			return fmt.Errorf("the first frame names no task: %.200s", frame.Raw)
		}
	}
	f.Last = frame.ID
	if s := eventState(frame.Event); s != "" {
		f.State = s
	}
	f.OnFrame(frame)
	return nil
}

// hashOf identifies what a frame said. A follower that was shown a frame must
// find the same bytes in the log.
func hashOf(f Frame) string {
	sum := sha256.Sum256(f.Raw)
	return hex.EncodeToString(sum[:8])
}

// wait lets time pass or returns the error of ctx.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
