// SPDX-License-Identifier: Apache-2.0

// Package task holds the rules of a task and nothing else: whose it is, which
// states it knows, how its log folds into the task a client sees, what becomes
// of each event that an executor yields, and when a failed turn runs again.
//
// It does no I/O, reads no clock and starts no goroutine, so that every rule
// can be tested by calling it. Times and random numbers come in as arguments.
package task
