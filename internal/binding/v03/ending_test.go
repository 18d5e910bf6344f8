// SPDX-License-Identifier: Apache-2.0

package v03

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/engine"
)

// batches gives what it holds, one batch at a time. The batch {"end"} is its end.
type batches [][]string

func (b *batches) Next(context.Context, time.Duration) ([]engine.Frame, error) {
	if len(*b) == 0 {
		return nil, nil
	}
	if len((*b)[0]) == 1 && (*b)[0][0] == "end" {
		return nil, io.EOF
	}
	var frames []engine.Frame
	for i, event := range (*b)[0] {
		frames = append(frames, engine.Frame{Seq: uint64(i + 1), Event: []byte(event)})
	}
	*b = (*b)[1:]
	return frames, nil
}

func (*batches) Close() {}

func TestTheLastEventOfAStreamIsFinal(t *testing.T) {
	t.Parallel()
	status := func(state string) string {
		return `{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_` + state + `"},"metadata":{"kept":1}}}`
	}
	working, asks, auth, done := status("WORKING"), status("INPUT_REQUIRED"), status("AUTH_REQUIRED"), status("COMPLETED")
	const snapshot = `{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_INPUT_REQUIRED"}}}`
	for what, tt := range map[string]struct {
		batches batches
		turn    bool // the stream of one turn
		frames  int
		final   []int // which of the frames say so
		ends    bool
	}{
		"a question":                                 {batches{{working, asks}}, true, 2, []int{1}, true},
		"a question alone":                           {batches{{asks}}, false, 1, []int{0}, true},
		"a question that was answered":               {batches{{asks, working}}, true, 2, nil, false},
		"a question of a replay, and its end":        {batches{{asks, working, done}}, false, 3, []int{2}, true},
		"work":                                       {batches{{working}}, true, 1, nil, false},
		"a task that waits":                          {batches{{snapshot}}, false, 1, nil, false},
		"nothing":                                    {nil, true, 0, nil, false},
		"authorization, and the turn ends":           {batches{{working, auth}, {"end"}}, true, 2, []int{1}, true},
		"authorization, and the turn goes on":        {batches{{auth}, {working}, {done}}, true, 3, []int{2}, true},
		"authorization, and nothing more for now":    {batches{{auth}, {}, {done}}, true, 2, []int{1}, true},
		"authorization of a task that is subscribed": {batches{{auth}, {done}}, false, 2, []int{1}, true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			e := &ending[*batches]{follower: &tt.batches, turn: tt.turn}
			var frames []engine.Frame
			var err error
			for range 4 {
				var more []engine.Frame
				more, err = e.Next(t.Context(), 0)
				if frames = append(frames, more...); err != nil {
					break
				}
			}
			var said []int
			for i, f := range frames {
				u, bad := decodeEvent(f.Event)
				if bad != nil {
					t.Fatal(bad)
				}
				final, update := takeMark(u)
				if final {
					said = append(said, i)
				}
				if s, ok := u.(*a2a.TaskStatusUpdateEvent); ok != update || ok && s.Metadata["kept"] == nil {
					t.Errorf("event %d became %s", i, f.Event)
				}
			}
			if len(frames) != tt.frames || !slices.Equal(said, tt.final) || errors.Is(err, io.EOF) != tt.ends || err != nil && !tt.ends {
				t.Errorf("%d frames, final are %v, error %v", len(frames), said, err)
			}
		})
	}
}

func TestFinalIsSaidInBothForms(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"kind":"status-update","final":false}`: `{"final":true,"kind":"status-update"}`,
		`{"statusUpdate":{"taskId":"t"}}`:        `{"statusUpdate":{"final":true,"taskId":"t"}}`,
	} {
		if got, err := setFinal([]byte(in), true); err != nil || string(got) != want {
			t.Errorf("%s became %s (%v)", in, got, err)
		}
	}
}
