// SPDX-License-Identifier: Apache-2.0

//go:build race

package sim

// The race detector makes a seed several times as slow, and draws the order of
// goroutines itself, so that no seed has one trace.
const (
	defaultSeeds = 200
	defaultTwice = 0
)
