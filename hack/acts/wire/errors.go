// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"net/http"

	"google.golang.org/grpc/codes"
)

// Error is an error that the agent answered with.
type Error struct {
	// Name is its A2A name, if what the binding carries says one without
	// contradiction; Doubt says what is wrong where there is none.
	Name, Doubt string
	Message     string
	// Code is the number or name that the binding has for it.
	Code any
	// Details is the list of detail objects, as it came.
	Details any
	Status  int
}

func (e *Error) Error() string {
	name := e.Name
	if name == "" {
		name = "an error without a name (" + e.Doubt + ")"
	}
	return fmt.Sprintf("%s, code %v: %s", name, e.Code, e.Message)
}

// Refusal tells an answer that says no from a server that broke down on the
// way. A test that wants any error wants the former.
func (e *Error) Refusal() bool {
	switch e.Code {
	case codes.Internal.String(), codes.Unknown.String(), codes.Unavailable.String(), codes.DataLoss.String(),
		codes.DeadlineExceeded.String(), codes.Canceled.String(), -32603.0:
		return false
	}
	return e.Status < 500 || e.Code == codes.Unimplemented.String() || e.Status == http.StatusNotImplemented
}

// View is the error as assertions see it. Details go by the name they have in
// JSON-RPC and by that of the other bindings.
func (e *Error) View() any {
	v := map[string]any{"code": e.Code, "message": e.Message}
	if e.Details != nil {
		v["data"], v["details"] = e.Details, e.Details
	}
	return v
}

// kind is a row of the error tables of the specification (5.4, 9.5).
type kind struct {
	name   string
	code   int
	grpc   codes.Code
	http   int
	reason string // only A2A's own errors have one
}

const domain = "a2a-protocol.org"

func kinds() []kind {
	return []kind{
		{"TaskNotFoundError", -32001, codes.NotFound, 404, "TASK_NOT_FOUND"},
		{"TaskNotCancelableError", -32002, codes.FailedPrecondition, 400, "TASK_NOT_CANCELABLE"},
		{"PushNotificationNotSupportedError", -32003, codes.FailedPrecondition, 400, "PUSH_NOTIFICATION_NOT_SUPPORTED"},
		{"UnsupportedOperationError", -32004, codes.FailedPrecondition, 400, "UNSUPPORTED_OPERATION"},
		{"ContentTypeNotSupportedError", -32005, codes.InvalidArgument, 400, "CONTENT_TYPE_NOT_SUPPORTED"},
		{"InvalidAgentResponseError", -32006, codes.Internal, 500, "INVALID_AGENT_RESPONSE"},
		{"ExtendedAgentCardNotConfiguredError", -32007, codes.FailedPrecondition, 400, "EXTENDED_AGENT_CARD_NOT_CONFIGURED"},
		{"ExtensionSupportRequiredError", -32008, codes.FailedPrecondition, 400, "EXTENSION_SUPPORT_REQUIRED"},
		{"VersionNotSupportedError", -32009, codes.FailedPrecondition, 400, "VERSION_NOT_SUPPORTED"},
		{"JSONParseError", -32700, codes.InvalidArgument, 400, ""},
		{"InvalidRequestError", -32600, codes.InvalidArgument, 400, ""},
		{"InvalidParamsError", -32602, codes.InvalidArgument, 400, ""},
		{"MethodNotFoundError", -32601, codes.Unimplemented, 501, ""},
		{"InternalError", -32603, codes.Internal, 500, ""},
	}
}

// ErrorNames are the names of A2A 1.0's errors.
func ErrorNames() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// reasonOf finds the reason that the details of an A2A error carry.
func reasonOf(details any) string {
	list, _ := details.([]any)
	for _, d := range list {
		m, _ := d.(map[string]any)
		if m["@type"] == "type.googleapis.com/google.rpc.ErrorInfo" && m["domain"] == domain {
			reason, _ := m["reason"].(string)
			return reason
		}
	}
	return ""
}

func kindOfReason(reason string) (kind, bool) {
	for _, k := range kinds() {
		if k.reason != "" && k.reason == reason {
			return k, true
		}
	}
	return kind{}, false
}

// rpcError names a JSON-RPC error by its code. ErrorInfo may be missing (9.5
// says SHOULD), but must not contradict.
func rpcError(status, code int, message string, details any) *Error {
	e := &Error{Code: float64(code), Message: message, Details: details, Status: status}
	for _, k := range kinds() {
		if k.code != code {
			continue
		}
		if reason := reasonOf(details); k.reason != "" && reason != "" && reason != k.reason {
			e.Doubt = fmt.Sprintf("the code is that of %s, the reason is %s", k.name, reason)
			return e
		}
		e.Name = k.name
		return e
	}
	e.Doubt = "A2A has no such code"
	return e
}

// restError names an error of the REST binding by its reason, which A2A's own
// errors must carry, since several share a status (11.6).
func restError(status int, code any, message string, details any) *Error {
	e := &Error{Code: code, Message: message, Details: details, Status: status}
	if n, ok := code.(float64); !ok || int(n) != status {
		e.Doubt = fmt.Sprintf("error.code is %v at HTTP status %d", code, status)
		return e
	}
	k, ok := kindOfReason(reasonOf(details))
	switch {
	case ok && k.http != status:
		e.Doubt = fmt.Sprintf("the reason is that of %s, the HTTP status is %d", k.name, status)
	case ok:
		e.Name = k.name
	case status == http.StatusBadRequest:
		e.Name = "InvalidParamsError"
	case status == http.StatusInternalServerError:
		e.Name = "InternalError"
	default:
		e.Doubt = fmt.Sprintf("no ErrorInfo of %s at HTTP status %d", domain, status)
	}
	return e
}

// grpcError names an error of the gRPC binding by its reason, which A2A's own
// errors must carry (10.6).
func grpcError(code codes.Code, message string, details any) *Error {
	e := &Error{Code: code.String(), Message: message, Details: details}
	k, ok := kindOfReason(reasonOf(details))
	switch {
	case ok && k.grpc != code:
		e.Doubt = fmt.Sprintf("the reason is that of %s, the status is %s", k.name, code)
	case ok:
		e.Name, e.Status = k.name, k.http
	case code == codes.InvalidArgument:
		e.Name, e.Status = "InvalidParamsError", http.StatusBadRequest
	case code == codes.Internal:
		e.Name, e.Status = "InternalError", http.StatusInternalServerError
	default:
		e.Doubt = fmt.Sprintf("no ErrorInfo of %s with status %s", domain, code)
	}
	return e
}
