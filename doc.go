// SPDX-License-Identifier: Apache-2.0

// Package errand makes an agent written for the official A2A SDK a durable
// service: a task that it has accepted is never lost, is never run by two
// owners at once, and can be watched, resumed, cancelled and retried across
// crashes.
//
// It takes the SDK's a2asrv.AgentExecutor as it is. Where a program made the
// SDK's handler, it makes an Errand instead, mounts it as an http.Handler and
// lets it Run:
//
//	e, err := errand.New(ctx, errand.Options{
//		Store:     errand.SQLite("tasks.db"),
//		PublicURL: "https://agents.example.com",
//	}, errand.Agent{Card: card, Executor: executor})
//	…
//	go e.Run(ctx)
//	http.ListenAndServe(":8080", e)
//
// The handler serves JSON-RPC, HTTP+JSON and, to whoever speaks HTTP/2, gRPC,
// in A2A 1.0 and 0.3, at one address; ServeGRPC is for an address of its own. One
// server has any number of agents. docs/library.md has the equal of each option
// of the SDK's server.
//
// # What an executor should know
//
// Execution is at least once, recording is exactly once. A turn whose process
// died or that returned an error runs again, up to the limits of its Policy;
// Attempt tells the executor which run it is in, and the StoredTask of its
// context has everything that was recorded, so that it can go on from there
// (Policy.OnRetry KeepArtifacts). By default what a failed attempt had added is
// taken back first. Permanent and RetryAfter steer the retries, Progress
// reports how far an attempt is.
//
// An event is recorded when the iterator's yield has returned and a commit has
// followed; nothing is shown to anybody before that commit. yield blocks when
// too much waits for it. The context of an executor is cancelled when the task
// has ended, when another owner has it, at a timeout and at a stop;
// context.Cause tells which.
//
// The StoredTask is for reading. What an executor changes in it is not recorded.
package errand
