// SPDX-License-Identifier: Apache-2.0

//go:build !race

package sqlite

// powerCuts is how often the power is cut by default.
const powerCuts = 200
