// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/task"
)

// A caller whose time is over hears so, with what is known about its task.
func TestDeadlineOfTheCaller(t *testing.T) {
	t.Parallel()
	d := &door[*engine.Follower]{Handler: &Handler[*engine.Follower]{edge: binding.NewEdge(binding.Options{Log: slog.New(slog.DiscardHandler)})}}
	over, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	left, leave := context.WithCancel(t.Context())
	leave()
	running := &task.Error{Kind: task.ErrUnavailable, Message: "the task goes on", Meta: map[string]string{"taskId": "t"}}
	for _, tt := range []struct {
		name string
		ctx  context.Context
		err  error
		want codes.Code
	}{
		{"after the deadline it is the deadline", over, running, codes.DeadlineExceeded},
		{"after the caller has left it is not", left, running, codes.Unavailable},
		{"what is wrong anyway stays so", over, task.Errorf(task.ErrTooLarge, "too large"), codes.InvalidArgument},
		{"a bare end of the context is told too", over, context.DeadlineExceeded, codes.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			st := status.Convert(d.fail(tt.ctx, &exchange{}, tt.err))
			if st.Code() != tt.want || len(st.Details()) == 0 {
				t.Errorf("got %v with %v", st, st.Details())
			}
		})
	}
}
