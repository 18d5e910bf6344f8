// SPDX-License-Identifier: Apache-2.0

package runner

// Notes say where the files leave open what is to be done, and what is done.
func Notes() []string {
	return []string{
		"Errors are named by the tables of the specification (5.4, 9.5), which the text of the format gives precedence over its own: over REST and gRPC the HTTP or gRPC status and the reason of `ErrorInfo` must both be those of the error, over JSON-RPC the code, and a reason that is there must agree.",
		"What the files use and the text of the format does not have is read as it is evidently meant: `items`, `expect_error.code` and `.data`, `expect.error`, `status: error`, `taskId` and `contextId` beside the message, the names `set_push_notification_config` and so on, events addressed by the members of what they hold. Any other unknown key is refused.",
		"Where a test wants any error, one that says that the server broke down (-32603, 500, INTERNAL and so on) does not do.",
		"Raw requests are sent as they stand. Messages of the other steps get the `messageId` that the files leave to the runner.",
		"A card is fetched over HTTP whatever the binding. Endpoints are those that the card lists; a binding that it does not list fails its tests.",
		"Subscribing over REST is `POST`, as 5.3 and 11.3.2 have it.",
		"A stream must be ended by the server within 30 s in every test that reads one.",
		"Over gRPC, a status of 200 is OK, and answers are compared as ProtoJSON. Members of `ListTasksResponse` that are REQUIRED count as present when they are empty, since gRPC knows no difference.",
		"STREAM-MULTI-001, STREAM-MULTI-002, STREAM-RESUB-001: the agent is held in the middle of its turn while the runner opens and closes streams, so that nothing depends on timing.",
		"CARD-SCHEMA-001, DM-SERIAL-002: the object is decoded strictly into the type of a2a.proto and must have every REQUIRED field. The members of 0.3 that a card has for older clients are left out of that.",
		"CARD-CACHE-001, JSONRPC-CT-001, REST-CT-001: the response headers are checked as well. DM-FMT-001: no member of the answer has an underscore, at any depth. GRPC-STATUS-001: the status itself is checked.",
		"CORE-CTX-001 wants a contextId that the server refuses: one of a thousand bytes is sent.",
		"CLIENT-*: what Errand's client decodes is compared, not the bytes it received. CLIENT-CAP-001: `errand send --stream` is run against an agent whose card says that it does not stream, and must not ask for a stream.",
	}
}
