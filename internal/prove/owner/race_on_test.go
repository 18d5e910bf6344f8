// SPDX-License-Identifier: Apache-2.0

//go:build race

package owner

// What runs without flags; the race detector makes each many times as long.
const (
	fewStops = 12
	fewRaces = 200
)
