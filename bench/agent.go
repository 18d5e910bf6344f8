// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
)

// costAgent makes long tasks: "chunks N D" yields N chunks D apart and
// completes; any other text parks the task for the next turn.
type costAgent struct{}

// chunkText is 64 bytes, about what a model's stream says at a time.
var chunkText = strings.Repeat("token by ", 7) + "t"

const chunkArtifact = a2a.ArtifactID("text")

func (costAgent) Execute(ctx context.Context, exec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		if exec.StoredTask == nil && !yield(a2a.NewSubmittedTask(exec, exec.Message), nil) {
			return
		}
		var n int
		var every string
		if _, err := fmt.Sscanf(exec.Message.Parts[0].Text(), "chunks %d %s", &n, &every); err != nil {
			question := a2a.NewMessageForTask(a2a.MessageRoleAgent, exec, a2a.NewTextPart("and what do you say to that?"))
			yield(a2a.NewStatusUpdateEvent(exec, a2a.TaskStateInputRequired, question), nil)
			return
		}
		if err := yieldChunks(ctx, exec, n, every, yield); err != nil {
			yield(nil, err)
		}
	}
}

func yieldChunks(ctx context.Context, exec *a2asrv.ExecutorContext, n int, every string, yield func(a2a.Event, error) bool) error {
	d, err := time.ParseDuration(every)
	if err != nil {
		return err
	}
	for i := range n {
		if d > 0 {
			select {
			case <-time.After(d):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		e := a2a.NewArtifactUpdateEvent(exec, chunkArtifact, a2a.NewTextPart(chunkText))
		e.Append = i > 0
		if !yield(e, nil) {
			return nil
		}
	}
	yield(a2a.NewStatusUpdateEvent(exec, a2a.TaskStateCompleted, nil), nil)
	return nil
}

func (costAgent) Cancel(_ context.Context, exec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(exec, a2a.TaskStateCanceled, nil), nil)
	}
}

func costCard() *a2a.AgentCard {
	return &a2a.AgentCard{
		Name: "cost", Description: "makes long tasks", Version: "1",
		Capabilities:      a2a.AgentCapabilities{Streaming: true},
		DefaultInputModes: []string{"text/plain"}, DefaultOutputModes: []string{"text/plain"},
		Skills: []a2a.AgentSkill{{ID: "cost", Name: "cost", Description: "makes long tasks", Tags: []string{"bench"}}},
	}
}
