// SPDX-License-Identifier: Apache-2.0

// Package owner proves the third promise: a task has one owner. Workers are
// stopped past their leases and go on, clocks are set, cancellations race
// completions, and an input kills its process; the tests are all of it.
package owner
