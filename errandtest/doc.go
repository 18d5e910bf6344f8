// SPDX-License-Identifier: Apache-2.0

// Package errandtest helps to test agents: Execute runs an executor on one
// message and collects what a client would see, and NewServer starts a server
// in one line.
//
// Both run the whole of Errand over a store in memory, so an executor is held
// to the same rules as in production: what it yields against them is refused,
// what it leaves open is failed, and its errors are retried if the policy of
// the agent says so.
package errandtest
