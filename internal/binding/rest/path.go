// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// resource is what a path names. Together with the HTTP method it is an
// operation (5.3 and the annotations of a2a.proto).
type resource int

const (
	nothing resource = iota
	messageSend
	messageStream
	taskList
	oneTask
	taskCancel
	taskSubscribe
	pushConfigs
	onePushConfig
	extendedCard
)

// allow lists the methods of a resource. HEAD is a GET whose body net/http
// leaves out. Subscribing is POST in the specification and GET in the proto.
func (r resource) allow() string {
	switch r {
	case messageSend, messageStream, taskCancel:
		return "POST"
	case taskSubscribe:
		return "GET, POST"
	case taskList, oneTask, extendedCard:
		return "GET, HEAD"
	case pushConfigs:
		return "GET, HEAD, POST"
	case onePushConfig:
		return "GET, HEAD, DELETE"
	}
	return ""
}

func (r resource) allows(method string) bool {
	for m := range strings.SplitSeq(r.allow(), ", ") {
		if m == method {
			return true
		}
	}
	return false
}

type target struct {
	resource resource
	// tenant is the route before the path, or nothing.
	tenant string
	task   a2a.TaskID
	config string
}

// maxSegments is {tenant}/tasks/{id}/pushNotificationConfigs/{id}.
const maxSegments = 5

// parse reads a path as it stands in the request line, percent-encoding and all.
// It is split before it is decoded, so that an encoded slash or colon belongs to
// the id. A path with nothing behind it gives the resource nothing.
//
// ServeMux cannot do this: it has no pattern for {id}:cancel, and none for a
// tenant before it.
func parse(path string) (target, error) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok || strings.Count(rest, "/") >= maxSegments {
		return target{}, nil
	}
	var raw [maxSegments]string
	n := 0
	for s := range strings.SplitSeq(rest, "/") {
		if s == "" {
			return target{}, nil
		}
		raw[n] = s
		n++
	}
	if t, found, err := match(raw[:n]); found || err != nil {
		return t, err
	}
	tenant, err := unescape(raw[0], "tenant")
	if err != nil || task.ReservedRoute(tenant) {
		return target{}, nil
	}
	t, found, err := match(raw[1:n])
	if !found {
		return target{}, err
	}
	t.tenant = tenant
	return t, err
}

func match(raw []string) (t target, found bool, err error) {
	if len(raw) == 0 {
		return t, false, nil
	}
	if len(raw) == 1 {
		t.resource = matchName(raw[0])
		return t, t.resource != nothing, nil
	}
	if raw[0] != "tasks" || len(raw) > 2 && raw[2] != "pushNotificationConfigs" || len(raw) > 4 {
		return t, false, nil
	}
	id := raw[1]
	switch len(raw) {
	case 2:
		t.resource, id = matchVerb(id)
	case 3:
		t.resource = pushConfigs
	default:
		t.resource = onePushConfig
		if t.config, err = unescape(raw[3], "id"); err != nil {
			return t, true, err
		}
	}
	if id == "" {
		return target{}, false, nil
	}
	name, err := unescape(id, "id")
	t.task = a2a.TaskID(name)
	return t, true, err
}

func matchName(raw string) resource {
	name, err := url.PathUnescape(raw) // a colon here separates nothing, encoded or not
	if err != nil {
		return nothing
	}
	switch name {
	case "message:send":
		return messageSend
	case "message:stream":
		return messageStream
	case "tasks":
		return taskList
	case "extendedAgentCard":
		return extendedCard
	}
	return nothing
}

// matchVerb splits {id}:verb. An unknown verb belongs to the id, as does an
// encoded colon.
func matchVerb(raw string) (resource, string) {
	if i := strings.LastIndexByte(raw, ':'); i >= 0 {
		switch raw[i+1:] {
		case "cancel":
			return taskCancel, raw[:i]
		case "subscribe":
			return taskSubscribe, raw[:i]
		}
	}
	return oneTask, raw
}

func unescape(raw, field string) (string, error) {
	s, err := url.PathUnescape(raw)
	if err != nil || !utf8.ValidString(s) {
		return "", task.Invalid(a2a.ErrInvalidParams, field, "the path must be percent-encoded UTF-8")
	}
	return s, nil
}
