// SPDX-License-Identifier: Apache-2.0

package report

import "github.com/errand-a2a/errand/hack/acts/runner"

const (
	noMessageID = "The raw message has no `messageId`, which is REQUIRED of every message; Errand validates that, as 5.7 wants it."
	partForm    = "The test has parts with `file` and `fileUrl`. In 1.0 a file is a part with `raw` or `url` beside `filename` and `mediaType`."
	pushError   = "The test wants UnsupportedOperationError. The specification has an error of its own: PushNotificationNotSupportedError."
)

// Known are the deviations of Errand from the official tests.
func Known() []Deviation {
	return []Deviation{
		{
			Test: "CARD-DISC-002", Section: "4.4.6", Says: `protocolBinding: want one of`,
			Reason: "The test allows JSONRPC, GRPC and REST. The specification's name of the third is `HTTP+JSON`.",
		},
		{
			Test: "CORE-CAP-001", Section: "3.3.4", Says: `got "PushNotificationNotSupportedError"`,
			Reason: pushError,
		},
		{
			Test: "PUSH-CFG-004", Section: "3.3.4", Says: `got "PushNotificationNotSupportedError"`,
			Reason: pushError,
		},
		{
			Test: "CORE-ERR-007", Section: "3.3.2, 9.5, 10.6, 11.6", Says: `error data: want type object, got [`,
			Reason: "The test wants an object as the details of an error. The specification has an array of objects.",
		},
		{
			Test: "REST-PD-001", Section: "11.6", Says: "status: is missing",
			Reason: "The test wants problem+json. The specification has google.rpc.Status, an object `error` with code, status, message and details.",
		},
		{
			Test: "DM-ART-003", Section: "4.1.6", Says: "file.mediaType: is missing",
			Reason: partForm,
		},
		{
			Test: "DM-ART-004", Section: "4.1.6", Says: "fileUrl.name: is missing",
			Reason: partForm,
		},
		{
			Test: "CLIENT-PARSE-006", Section: "4.1.6", Says: "unknown part content type: [file]",
			Reason: partForm,
		},
		{
			Test: "DM-FMT-003", Section: "3.4.1, 4.1.4", Says: "message.contextId: must be absent",
			Reason: "The test wants a Message without `contextId`. A context that the agent has generated MUST be in the response.",
		},

		{Test: "JSONRPC-ENV-001", Section: "4.1.4", Reason: noMessageID, Says: "is missing", Amend: runner.AddMessageID},
		{Test: "JSONRPC-CT-001", Section: "4.1.4", Reason: noMessageID, Says: "is missing", Amend: runner.AddMessageID},
		{Test: "JSONRPC-SSE-001", Section: "4.1.4", Reason: noMessageID, Says: "1 events, want at least 2", Amend: runner.AddMessageID},
		{Test: "DM-FMT-001", Section: "4.1.4", Reason: noMessageID, Says: "is missing", Amend: runner.AddMessageID},
		{Test: "DM-EXTRA-001", Section: "4.1.4", Reason: noMessageID, Says: "is missing", Amend: runner.AddMessageID},
		{Test: "VER-NEG-002", Section: "4.1.4", Reason: noMessageID, Says: "is missing", Amend: runner.AddMessageID},
	}
}
