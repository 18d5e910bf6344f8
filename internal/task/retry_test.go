// SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/errand-a2a/errand/internal/task"
)

func TestRetryDefaults(t *testing.T) {
	t.Parallel()
	want := task.Retry{MaxAttempts: 4, MaxLosses: 10, InitialDelay: time.Second, MaxDelay: 5 * time.Minute, BackoffFactor: 2}
	for name, r := range map[string]task.Retry{
		"the zero value means the defaults":    {},
		"negative values mean the defaults":    {MaxAttempts: -1, MaxLosses: -1, InitialDelay: -1, MaxDelay: -1, BackoffFactor: -1},
		"a factor below one means the default": {BackoffFactor: 0.99},
		"no number means the default":          {BackoffFactor: math.NaN()},
		"infinity means the default":           {BackoffFactor: math.Inf(1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := r.WithDefaults(); got != want {
				t.Errorf("got %+v", got)
			}
			if d := r.Ceiling(1); d != time.Second {
				t.Errorf("first ceiling %v", d)
			}
			if r.Exhausted(3, 9) || !r.Exhausted(4, 0) || !r.Exhausted(0, 10) {
				t.Error("exhausted too early or too late")
			}
		})
	}

	t.Run("what is set stays", func(t *testing.T) {
		t.Parallel()
		r := task.Retry{MaxAttempts: 1, MaxLosses: 2, InitialDelay: 3, MaxDelay: 4, BackoffFactor: 1}
		if got := r.WithDefaults(); got != r {
			t.Errorf("got %+v", got)
		}
	})
}

func TestRetryCeiling(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		retry    task.Retry
		failures int
		want     time.Duration
	}{
		{"the first failure waits up to the initial delay", task.Retry{}, 1, time.Second},
		{"no failure is like the first", task.Retry{}, 0, time.Second},
		{"a negative number is like the first", task.Retry{}, math.MinInt, time.Second},
		{"each failure doubles it", task.Retry{}, 5, 16 * time.Second},
		{"it ends at the maximum", task.Retry{}, 10, 5 * time.Minute},
		{"it stays there at a million", task.Retry{}, 1_000_000, 5 * time.Minute},
		{"it stays there for ever", task.Retry{}, math.MaxInt, 5 * time.Minute},
		{"the longest maximum does not overflow", task.Retry{MaxDelay: math.MaxInt64}, 64, math.MaxInt64},
		{"a power that hits the longest maximum does not overflow", task.Retry{InitialDelay: 1 << 62, MaxDelay: math.MaxInt64}, 2, math.MaxInt64},
		{"an initial delay above the maximum is the maximum", task.Retry{InitialDelay: time.Hour, MaxDelay: time.Minute}, 1, time.Minute},
		{"a factor of one keeps it", task.Retry{BackoffFactor: 1}, 1_000_000, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.retry.Ceiling(tt.failures); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAnyPolicyKeepsItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		duration := rapid.OneOf(rapid.Int64Range(-1, 1e12), rapid.Int64())
		r := task.Retry{
			InitialDelay:  time.Duration(duration.Draw(t, "initial")),
			MaxDelay:      time.Duration(duration.Draw(t, "max")),
			BackoffFactor: rapid.OneOf(rapid.Float64Range(1, 4), rapid.Float64()).Draw(t, "factor"),
		}
		most := r.WithDefaults().MaxDelay
		n := rapid.OneOf(rapid.IntRange(1, 100), rapid.IntRange(1, 1_000_000)).Draw(t, "failures")
		ceiling := r.Ceiling(n)
		if ceiling < 0 || ceiling > most {
			t.Fatalf("ceiling %d of at most %d", ceiling, most)
		}
		if next := r.Ceiling(n + 1); next < ceiling {
			t.Fatalf("ceiling %d after %d failures, then %d", ceiling, n, next)
		}
		random := rapid.OneOf(rapid.Float64Range(0, 1), rapid.Just(math.Nextafter(1, 0))).Draw(t, "random")
		if random == 1 {
			random = 0
		}
		if d := r.Delay(n, random); d < 0 || d > ceiling {
			t.Fatalf("delay %d of at most %d", d, ceiling)
		}
	})
}

func TestRetryDelay(t *testing.T) {
	t.Parallel()
	r := task.Retry{InitialDelay: 8 * time.Second}
	for random, want := range map[float64]time.Duration{0: 0, 0.25: 2 * time.Second, 0.5: 4 * time.Second} {
		if got := r.Delay(1, random); got != want {
			t.Errorf("%v of the way is %v, want %v", random, got, want)
		}
	}
}

func TestRetryExhausted(t *testing.T) {
	t.Parallel()
	never := task.Retry{MaxAttempts: task.Unlimited, MaxLosses: task.Unlimited}
	tests := []struct {
		name             string
		retry            task.Retry
		failures, losses int
		want             bool
	}{
		{"nothing has happened yet", task.Retry{}, 0, 0, false},
		{"one attempt is left", task.Retry{MaxAttempts: 3}, 2, 0, false},
		{"no attempt is left", task.Retry{MaxAttempts: 3}, 3, 0, true},
		{"one loss is left", task.Retry{MaxLosses: 3}, 0, 2, false},
		{"no loss is left", task.Retry{MaxLosses: 3}, 0, 3, true},
		{"failures and losses are not added up", task.Retry{MaxAttempts: 3, MaxLosses: 3}, 2, 2, false},
		{"unlimited never gives up", never, 1 << 40, 1 << 40, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.retry.Exhausted(tt.failures, tt.losses); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
