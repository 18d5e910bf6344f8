// SPDX-License-Identifier: Apache-2.0

package v03

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/engine"
)

// batches gives what it holds, one batch at a time.
type batches [][]string

func (b *batches) Next(context.Context, time.Duration) ([]engine.Frame, error) {
	if len(*b) == 0 {
		return nil, nil
	}
	var frames []engine.Frame
	for i, event := range (*b)[0] {
		frames = append(frames, engine.Frame{Seq: uint64(i + 1), Event: []byte(event)})
	}
	*b = (*b)[1:]
	return frames, nil
}

func (*batches) Close() {}

func TestAFinalEventEndsAStreamUnlessMoreFollowsIt(t *testing.T) {
	t.Parallel()
	const (
		working  = `{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING"}}}`
		asks     = `{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_INPUT_REQUIRED"}}}`
		snapshot = `{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_INPUT_REQUIRED"}}}`
	)
	for what, tt := range map[string]struct {
		batch []string
		ends  bool
	}{
		"a question":                   {[]string{working, asks}, true},
		"a question alone":             {[]string{asks}, true},
		"a question that was answered": {[]string{asks, working}, false},
		"work":                         {[]string{working}, false},
		"a task that waits":            {[]string{snapshot}, false},
		"nothing":                      {nil, false},
	} {
		b := &batches{tt.batch}
		frames, err := (&ending[*batches]{b}).Next(t.Context(), 0)
		if len(frames) != len(tt.batch) || errors.Is(err, io.EOF) != tt.ends || err != nil && !tt.ends {
			t.Errorf("%s: %d frames, error %v", what, len(frames), err)
		}
	}
}
