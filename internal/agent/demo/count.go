// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"strconv"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
)

// count appends the numbers that are not in the artifact yet. Where an earlier
// attempt recorded some, it goes on with the next: that is what on_retry: keep
// is for.
func (t *turn) count(ctx context.Context, args string) {
	c, err := parseCount(args)
	if err != nil {
		t.reject(err.Error())
		return
	}
	if !t.work() {
		return
	}
	done := min(t.counted(), c.to)
	tenth := done * 10 / c.to
	for i := done + 1; i <= c.to; i++ {
		// Only the first number comes at once: an attempt that goes on with
		// a later one keeps the distance.
		wait := c.every
		if i == 1 {
			wait = 0
		}
		if err := pause(ctx, wait); err != nil {
			t.yield(nil, err)
			return
		}
		if !t.chunk(i, i == c.to) {
			return
		}
		// The last tenth is not reported: completed says it.
		if now := i * 10 / c.to; now > tenth && now < 10 {
			tenth = now
			agent.Progress(ctx, tenth*10)
		}
	}
	t.status(a2a.TaskStateCompleted, "")
}

func (t *turn) chunk(i int, last bool) bool {
	e := a2a.NewArtifactUpdateEvent(t.exec, countArtifact, a2a.NewTextPart(strconv.Itoa(i)))
	e.Append, e.LastChunk = i > 1, last
	if i == 1 {
		e.Artifact.Name = string(countArtifact)
	}
	return t.yield(e, nil)
}

// counted is how many numbers the task holds already.
func (t *turn) counted() int {
	if t.exec.StoredTask == nil {
		return 0
	}
	for _, a := range t.exec.StoredTask.Artifacts {
		if a.ID == countArtifact {
			return len(a.Parts)
		}
	}
	return 0
}
