// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/errand-a2a/errand/hack/acts/format"
	"github.com/errand-a2a/errand/hack/acts/match"
	"github.com/errand-a2a/errand/hack/acts/wire"
)

// judge compares an answer with what its step expects.
func (x *execution) judge(s *format.Step, a *answer) error {
	switch {
	case s.Error != nil:
		return x.judgeError(s.Error, a)
	case s.Expect.WantsError():
		if a.err == nil || !a.err.Refusal() {
			return wantError(a)
		}
		if s.Expect.Failure == nil {
			return nil
		}
		return s.Expect.Failure.Check(a.err.View(), x.expand)
	case a.err != nil:
		return fmt.Errorf("want an answer, got %w", a.err)
	}
	if err := x.judgeStatus(s, a); err != nil {
		return err
	}
	if s.Expect != nil && s.Expect.Body != nil {
		if err := s.Expect.Body.Check(a.body, x.expand); err != nil {
			return err
		}
	}
	if s.Stream != nil {
		return x.judgeStream(s.Stream, a.events)
	}
	return nil
}

// judgeStatus wants 200 of a raw answer of which nothing else is said. Bindings
// check the status of theirs.
func (x *execution) judgeStatus(s *format.Step, a *answer) error {
	if s.Expect != nil && s.Expect.Status != nil {
		if err := s.Expect.Status.Check(float64(a.status), x.expand); err != nil {
			return fmt.Errorf("status: %w", err)
		}
		return nil
	}
	if s.Raw != nil && a.status != http.StatusOK {
		return fmt.Errorf("status: want 200, got %d", a.status)
	}
	return nil
}

func wantError(a *answer) error {
	if a.err != nil {
		return fmt.Errorf("want an error that refuses the request, got %w", a.err)
	}
	if len(a.events) > 0 {
		return fmt.Errorf("want an error, got a stream of %d events", len(a.events))
	}
	return fmt.Errorf("want an error, got %s", match.Show(a.body))
}

func (x *execution) judgeError(e *format.ExpectError, a *answer) error {
	if a.err == nil || e.Name == nil && !a.err.Refusal() {
		return wantError(a)
	}
	if e.Name != nil {
		if a.err.Name == "" {
			return a.err
		}
		if err := e.Name.Check(a.err.Name, x.expand); err != nil {
			return fmt.Errorf("error: %w", err)
		}
	}
	if e.Message != nil {
		if err := e.Message.Check(a.err.Message, x.expand); err != nil {
			return fmt.Errorf("error message: %w", err)
		}
	}
	if e.Details != nil {
		details := a.err.Details
		if details == nil {
			details = match.Missing{}
		}
		if err := e.Details.Check(details, x.expand); err != nil {
			return fmt.Errorf("error data: %w", err)
		}
	}
	return nil
}

func (x *execution) judgeStream(want *format.ExpectStream, events []wire.Event) error {
	if n := len(events); n < want.MinCount {
		return fmt.Errorf("%d events, want at least %d: %s", n, want.MinCount, showFrames(events))
	} else if want.MaxCount >= 0 && n > want.MaxCount {
		return fmt.Errorf("%d events, want at most %d", n, want.MaxCount)
	}
	if want.Monotonic {
		if err := monotonic(events); err != nil {
			return err
		}
	}
	for i, w := range want.Events {
		if err := x.judgeEvent(w, events); err != nil {
			return fmt.Errorf("events[%d]: %w", i, err)
		}
	}
	if want.Each != nil {
		for i, e := range events {
			if err := want.Each.Check(e.View(), x.expand); err != nil {
				return fmt.Errorf("event %d: %w", i, err)
			}
		}
	}
	if want.Final == nil {
		return nil
	}
	if len(events) == 0 {
		return fmt.Errorf("there is no final event")
	}
	if err := want.Final.Check(events[len(events)-1].View(), x.expand); err != nil {
		return fmt.Errorf("final event: %w", err)
	}
	return nil
}

func showFrames(events []wire.Event) string {
	var frames []any
	for _, e := range events {
		frames = append(frames, e.Frame)
	}
	return match.Show(frames)
}

func (x *execution) judgeEvent(want format.Event, events []wire.Event) error {
	if !want.Anywhere {
		if want.Index >= len(events) {
			return fmt.Errorf("there are only %d events", len(events))
		}
		return want.Match.Check(events[want.Index].View(), x.expand)
	}
	var last error
	for _, e := range events {
		if last = want.Match.Check(e.View(), x.expand); last == nil {
			return nil
		}
	}
	return fmt.Errorf("none of %d events matches; the last: %w", len(events), last)
}

// monotonic checks the two transitions that are never legal: back to SUBMITTED,
// and out of a terminal state. A state may repeat.
func monotonic(events []wire.Event) error {
	terminal := []string{"TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED", "TASK_STATE_REJECTED"}
	last := ""
	for i, e := range events {
		state := stateOf(e)
		if state == "" {
			continue
		}
		if last != "" && state != last {
			if slices.Contains(terminal, last) || strings.HasSuffix(state, "_SUBMITTED") {
				return fmt.Errorf("event %d: %s follows %s", i, state, last)
			}
		}
		last = state
	}
	return nil
}

func stateOf(e wire.Event) string {
	view, _ := e.View().(map[string]any)
	status, _ := view["status"].(map[string]any)
	state, _ := status["state"].(string)
	return state
}
