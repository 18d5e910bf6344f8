// SPDX-License-Identifier: Apache-2.0

//go:build !race

package owner

// What runs without flags.
const (
	fewStops = 50
	fewRaces = 1000
)
