// SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

func TestError(t *testing.T) {
	t.Parallel()
	wrap := func(err error) error { return fmt.Errorf("while sending: %w", err) }

	t.Run("what it is and what caused it are found through wrappers", func(t *testing.T) {
		t.Parallel()
		cause := fmt.Errorf("disk: %w", io.ErrShortWrite)
		err := wrap(&task.Error{Kind: task.ErrUnavailable, Message: "try later", RetryAfter: time.Second, Cause: cause})
		for _, is := range []error{task.ErrUnavailable, io.ErrShortWrite, cause} {
			if !errors.Is(err, is) {
				t.Errorf("it is not %v", is)
			}
		}
		if errors.Is(err, task.ErrTooLarge) || errors.Is(err, io.EOF) {
			t.Error("it is what it is not")
		}
		var e *task.Error
		if !errors.As(err, &e) || e.RetryAfter != time.Second || e.Error() != "try later" {
			t.Errorf("found %+v", e)
		}
	})

	t.Run("without a cause it is its kind alone", func(t *testing.T) {
		t.Parallel()
		err := &task.Error{Kind: a2a.ErrTaskNotFound}
		if !errors.Is(wrap(err), a2a.ErrTaskNotFound) || len(err.Unwrap()) != 1 {
			t.Errorf("unwraps to %v", err.Unwrap())
		}
		if err.Error() != a2a.ErrTaskNotFound.Error() {
			t.Errorf("text %q", err.Error())
		}
	})

	t.Run("the text for the client does not hold the cause", func(t *testing.T) {
		t.Parallel()
		err := task.Errorf(task.ErrTooLarge, "at most %d bytes", 7)
		err.Cause = errors.New("secret")
		if err.Error() != "at most 7 bytes" || !errors.Is(err, task.ErrTooLarge) {
			t.Errorf("%v of kind %v", err, err.Kind)
		}
	})

	t.Run("an invalid field is named", func(t *testing.T) {
		t.Parallel()
		err := task.Invalid(a2a.ErrInvalidParams, "pageSize", "%d is above %d", 101, 100)
		if err.Error() != "pageSize: 101 is above 100" || err.Field != "pageSize" || !errors.Is(err, a2a.ErrInvalidParams) {
			t.Errorf("%+v", err)
		}
	})
}

func TestMarksOfExecutors(t *testing.T) {
	t.Parallel()

	t.Run("nil stays nil", func(t *testing.T) {
		t.Parallel()
		if err := task.Permanent(nil); err != nil {
			t.Errorf("Permanent(nil) is %v", err)
		}
		if err := task.RetryAfter(time.Second, nil); err != nil {
			t.Errorf("RetryAfter(d, nil) is %v", err)
		}
		if d, ok := task.AfterOf(nil); ok || d != 0 || task.IsPermanent(nil) {
			t.Errorf("nil is marked: %v, %v", d, ok)
		}
	})

	t.Run("an unmarked error is not marked", func(t *testing.T) {
		t.Parallel()
		if _, ok := task.AfterOf(io.EOF); ok || task.IsPermanent(io.EOF) {
			t.Error("io.EOF is marked")
		}
	})

	t.Run("marks are found through wrappers and through each other", func(t *testing.T) {
		t.Parallel()
		for _, err := range []error{
			task.Permanent(task.RetryAfter(time.Minute, context.DeadlineExceeded)),
			task.RetryAfter(time.Minute, task.Permanent(context.DeadlineExceeded)),
			errors.Join(io.EOF, fmt.Errorf("b: %w", task.Permanent(fmt.Errorf("a: %w", task.RetryAfter(time.Minute, context.DeadlineExceeded))))),
			&task.Error{Kind: task.ErrUnavailable, Cause: task.Permanent(task.RetryAfter(time.Minute, context.DeadlineExceeded))},
		} {
			d, ok := task.AfterOf(err)
			if !task.IsPermanent(err) || !ok || d != time.Minute || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v: permanent %v, after %v %v", err, task.IsPermanent(err), d, ok)
			}
		}
	})

	t.Run("a mark does not change the text", func(t *testing.T) {
		t.Parallel()
		if got := task.Permanent(task.RetryAfter(time.Minute, io.EOF)).Error(); got != "EOF" {
			t.Errorf("text %q", got)
		}
	})

	t.Run("one mark is not the other", func(t *testing.T) {
		t.Parallel()
		if _, ok := task.AfterOf(task.Permanent(io.EOF)); ok {
			t.Error("Permanent has a delay")
		}
		if task.IsPermanent(task.RetryAfter(0, io.EOF)) {
			t.Error("RetryAfter is permanent")
		}
	})

	t.Run("a negative delay is none, and still a mark", func(t *testing.T) {
		t.Parallel()
		if d, ok := task.AfterOf(task.RetryAfter(-time.Second, io.EOF)); !ok || d != 0 {
			t.Errorf("%v, %v", d, ok)
		}
	})
}
