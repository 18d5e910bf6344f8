// SPDX-License-Identifier: Apache-2.0

// Package upgrade proves that today's release takes over what the releases
// before it have left behind: testdata/upgrade holds databases that they wrote
// until they were killed, each with what they had told their clients.
package upgrade
