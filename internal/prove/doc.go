// SPDX-License-Identifier: Apache-2.0

// Package prove is the machinery that proves the promises of Errand against a
// real server: it drives one over HTTP, kills it, cuts its streams, and then
// compares what the server holds with what it acknowledged.
//
// It stands outside the engine on purpose. It speaks plain HTTP, reads raw
// frames, and folds events with a fold of its own, so that a fault of the
// engine cannot hide behind the same fault here. What was acknowledged stands
// in a Ledger, a file that is synced before an operation counts.
//
// It knows the words of the demo agent and, of the server, what a client knows.
// The one exception comes last: when the server is stopped, its store is read
// through the port, because the queue is what no client sees.
package prove
