// SPDX-License-Identifier: Apache-2.0

package errand

import "github.com/a2aproject/a2a-go/v2/a2asrv"

// RequestHandler serves the same agents and tasks to the transports of the
// official SDK (a2asrv.NewJSONRPCHandler, a2asrv.NewRESTHandler, a2agrpc) or to
// others made for it: each request goes to the agent that its tenant names.
// Options.Interceptors run here too.
//
// Tasks are as durable as over ServeHTTP; what those transports do by
// themselves is theirs. With a2a-go v2.4.0 callers lose, against ServeHTTP:
//
//   - the sequence as the id of a stream's events, which are numbered at random.
//     The sequence also stands in their metadata, and a reader that sends it as
//     Last-Event-ID resumes here as well;
//   - the status of an error that comes before a stream's first event: it is 200
//     with an event. 409, 413, 415 and 503 become other statuses, without
//     Retry-After;
//   - limits: of a body's size and the time it may take, of the time in which a
//     reader must take what is written; keep-alive comments unless switched on;
//   - the check of A2A-Version, strict reading of JSON (ids beyond 2^53 come back
//     rounded, either spelling of a name, fields named in errors), requests
//     without params, and A2A-Extensions in the answer;
//   - one encoding of an event for all who follow it;
//   - A2A 0.3, unless its handlers of the SDK are mounted as well.
//
// Over its gRPC, cancelling and subscribing lose the tenant and with it every
// agent but the default one.
func (e *Errand) RequestHandler() a2asrv.RequestHandler { return e.node.RequestHandler() }
