// SPDX-License-Identifier: Apache-2.0

package jsonrpc

import (
	"bytes"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/sse"
	"github.com/errand-a2a/errand/internal/task"
)

// The methods of A2A 1.0 (5.3).
const (
	sendMessage          = "SendMessage"
	sendStreamingMessage = "SendStreamingMessage"
	getTask              = "GetTask"
	listTasks            = "ListTasks"
	cancelTask           = "CancelTask"
	subscribeToTask      = "SubscribeToTask"
	createPushConfig     = "CreateTaskPushNotificationConfig"
	getPushConfig        = "GetTaskPushNotificationConfig"
	listPushConfigs      = "ListTaskPushNotificationConfigs"
	deletePushConfig     = "DeleteTaskPushNotificationConfig"
	getExtendedAgentCard = "GetExtendedAgentCard"
)

func known(method string) bool {
	switch method {
	case sendMessage, sendStreamingMessage, getTask, listTasks, cancelTask, subscribeToTask,
		createPushConfig, getPushConfig, listPushConfigs, deletePushConfig, getExtendedAgentCard:
		return true
	}
	return false
}

// successorOf names the method of 1.0 in place of an older one. legacy says that
// the older one is in 0.3; otherwise it was gone by then.
func successorOf(method string) (successor string, legacy bool) {
	switch method {
	case "message/send":
		return sendMessage, true
	case "message/stream":
		return sendStreamingMessage, true
	case "tasks/get":
		return getTask, true
	case "tasks/list":
		return listTasks, true
	case "tasks/cancel":
		return cancelTask, true
	case "tasks/resubscribe":
		return subscribeToTask, true
	case "tasks/pushNotificationConfig/set":
		return createPushConfig, true
	case "tasks/pushNotificationConfig/get":
		return getPushConfig, true
	case "tasks/pushNotificationConfig/list":
		return listPushConfigs, true
	case "tasks/pushNotificationConfig/delete":
		return deletePushConfig, true
	case "agent/getAuthenticatedExtendedCard":
		return getExtendedAgentCard, true
	case "tasks/send":
		return sendMessage, false
	case "tasks/sendSubscribe":
		return sendStreamingMessage, false
	}
	return "", false
}

// maxID bounds an id, which every frame of a stream repeats.
const maxID = 1 << 10

type request struct {
	method string
	// route is the agent that the path names, or nothing.
	route string
	// params points into the body: an object, or nothing.
	params []byte
	// id is as the client wrote it, so that no number loses digits on its way
	// back. nil is null.
	id []byte
}

// parse reads the envelope of a validated body. With an error the request holds
// what could be read, so that the answer can carry the id.
func parse(body []byte) (*request, error) {
	req := &request{}
	var version, method, id, params []byte
	names := []string{"jsonrpc", "method", "id", "params"}
	isObject := binding.Members(body, names, func(name string, value []byte) {
		switch name {
		case "jsonrpc":
			version = value
		case "method":
			method = value
		case "id":
			id = value
		default:
			params = value
		}
	})
	switch {
	case len(body) == 0:
		return req, task.Errorf(a2a.ErrParseError, "the body is empty; send a JSON-RPC 2.0 request")
	case !isObject && bytes.TrimLeft(body, " \t\r\n")[0] == '[':
		return req, invalid("batches are not part of A2A; send each request by itself")
	case !isObject:
		return req, invalid("a JSON-RPC request is an object")
	case id == nil:
		// To JSON-RPC this is a notification, which must not be answered. A2A has
		// none: its requests have an id (9.3), and a task that is accepted without
		// a word is lost to the client. So it is refused, and not carried out.
		return req, invalid("id: is required; A2A has no notifications")
	case len(id) > maxID:
		return req, invalid("id: is longer than %d bytes", maxID)
	case id[0] != '"' && id[0] != '-' && id[0] != 'n' && (id[0] < '0' || id[0] > '9'):
		return req, invalid("id: must be a string, a number or null")
	}
	req.id = bytes.Clone(id)
	if string(version) != `"2.0"` {
		return req, invalid(`jsonrpc: must be "2.0"`)
	}
	var ok bool
	if req.method, ok = binding.Text(method); !ok || req.method == "" {
		return req, invalid("method: must be the name of a method")
	}
	if string(params) != "null" {
		req.params = params
	}
	return req, nil
}

func invalid(format string, args ...any) error {
	return task.Errorf(a2a.ErrInvalidRequest, format, args...)
}

// streaming also knows the older streaming methods: their clients wait for a
// stream as well.
func (q *request) streaming() bool {
	successor, _ := successorOf(q.method)
	for _, m := range [...]string{q.method, successor} {
		if m == sendStreamingMessage || m == subscribeToTask {
			return true
		}
	}
	return false
}

// opening is the envelope up to its payload: result or error.
func (q *request) opening(member string) []byte {
	id := q.id
	if id == nil {
		id = []byte("null")
	}
	b := make([]byte, 0, len(id)+40)
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = append(b, id...)
	return append(b, member...)
}

func closing() []byte { return []byte{'}'} }

// frame appends an error as an event of its own. It has no id: a reader that
// resumes asks for what follows the last real event.
func (q *request) frame(dst []byte, f binding.Fault) []byte {
	return sse.AppendEvent(dst, 0, q.opening(`,"error":`), f.RPC(), closing())
}
