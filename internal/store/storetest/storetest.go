// SPDX-License-Identifier: Apache-2.0

// Package storetest is the conformance suite of the storage port: a driver is
// done when Run passes, and RunReopen too if it keeps anything. A bug of a
// driver becomes a rule here first.
//
// The suite judges by the text of package store. Where that text leaves a
// choice, it asks only for what every reading shares, or for the reading that
// keeps the promises of the design, and says so in a comment that begins with
// "Reading:". A failure cites the rule that was broken.
package storetest

import (
	"testing"

	"github.com/errand-a2a/errand/internal/store"
)

// rule is one sentence of the contract and how it is checked.
type rule struct {
	name  string
	check func(w *world)
}

var groups = []struct {
	name  string
	rules []rule
}{
	{"submit", submitRules},
	{"key", keyRules},
	{"grant", grantRules},
	{"claim", claimRules},
	{"census", censusRules},
	{"quarantine", quarantineRules},
	{"order", orderRules},
	{"schedule", scheduleRules},
	{"deadline", deadlineRules},
	{"append", appendRules},
	{"fence", fenceRules},
	{"finish", finishRules},
	{"lease", leaseRules},
	{"clock", clockRules},
	{"cancel", cancelRules},
	{"cancelitem", cancelItemRules},
	{"takeover", takeoverRules},
	{"closing", closingRules},
	{"read", readRules},
	{"list", listRules},
	{"paging", pagingRules},
	{"scope", scopeRules},
	{"values", valueRules},
	{"attempts", attemptRules},
	{"race", raceRules},
	{"keeper", keeperRules},
	{"model", modelRules},
}

// Run judges a driver. open makes an empty store that lives by the given
// clock; the suite closes it. Every rule gets a store of its own, and rules
// run side by side.
func Run(t *testing.T, open func(t *testing.T, clock store.Clock) store.Store) {
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, r := range g.rules {
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					r.check(newWorld(t, open))
				})
			}
		})
	}
}

// RunReopen judges a driver whose data outlives it. open opens the store in
// dir, which is empty at first and is opened again after each Close.
func RunReopen(t *testing.T, open func(t *testing.T, dir string, clock store.Clock) store.Store) {
	for _, r := range reopenRules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r.check(newWorld(t, func(t *testing.T, clock store.Clock) store.Store {
				return open(t, dir, clock)
			}))
		})
	}
}
