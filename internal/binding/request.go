// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// The Decode functions read the parameters of an operation out of validated
// JSON; nothing at all stands for no parameters. Their errors name the field.

// DecodeSend reads a SendMessageRequest.
func DecodeSend(b []byte) (*a2a.SendMessageRequest, error) {
	req := &a2a.SendMessageRequest{}
	push := false
	err := decode(b, func(d *decoder) *flaw {
		return d.object([]string{"message", "configuration", "metadata", "tenant"}, "", func(name string) *flaw {
			switch name {
			case "message":
				req.Message = &a2a.Message{}
				return d.message(req.Message)
			case "configuration":
				req.Config = &a2a.SendMessageConfig{}
				return d.sendConfig(req.Config, &push)
			case "metadata":
				return d.struc(&req.Metadata)
			default:
				return text(d, &req.Tenant)
			}
		})
	})
	switch {
	case err != nil:
		return nil, err
	case push:
		return nil, PushNotSupported()
	case req.Message == nil:
		return nil, required("message")
	}
	return req, nil
}

// PushNotSupported answers all that needs a capability that the card says is
// off (3.3.4).
func PushNotSupported() error {
	return task.Errorf(a2a.ErrPushNotificationNotSupported,
		"this agent sends no push notifications; stream, subscribe or poll GetTask instead")
}

// sendConfig notes a push configuration without reading it, since it will be
// refused as a whole.
func (d *decoder) sendConfig(c *a2a.SendMessageConfig, push *bool) *flaw {
	known := []string{"acceptedOutputModes", "returnImmediately", "historyLength", "taskPushNotificationConfig"}
	return d.object(known, "", func(name string) *flaw {
		switch name {
		case "acceptedOutputModes":
			return texts(d, &c.AcceptedOutputModes)
		case "returnImmediately":
			return d.boolean(&c.ReturnImmediately)
		case "historyLength":
			return d.historyLength(&c.HistoryLength)
		default:
			*push = true
			d.raw()
			return nil
		}
	})
}

func (d *decoder) message(m *a2a.Message) *flaw {
	known := []string{"messageId", "role", "parts", "contextId", "taskId", "metadata", "extensions", "referenceTaskIds"}
	return d.object(known, "", func(name string) *flaw {
		switch name {
		case "messageId":
			return text(d, &m.ID)
		case "role":
			return d.role(&m.Role)
		case "parts":
			return d.array(func() *flaw {
				p := &a2a.Part{}
				m.Parts = append(m.Parts, p)
				return d.part(p)
			})
		case "contextId":
			return text(d, &m.ContextID)
		case "taskId":
			return text(d, &m.TaskID)
		case "metadata":
			return d.struc(&m.Metadata)
		case "extensions":
			return texts(d, &m.Extensions)
		default:
			return texts(d, &m.ReferenceTasks)
		}
	})
}

func (d *decoder) role(dst *a2a.MessageRole) *flaw {
	var s string
	if f := text(d, &s); f != nil {
		return f
	}
	switch role := a2a.MessageRole(s); role {
	case a2a.MessageRoleUser, a2a.MessageRoleAgent:
		*dst = role
	case "", "ROLE_UNSPECIFIED":
		*dst = a2a.MessageRoleUnspecified
	default:
		return &flaw{"", "unknown role " + Quote(s) + "; must be ROLE_USER or ROLE_AGENT"}
	}
	return nil
}

// part reads one part. Of the four contents there must be exactly one; null is
// a value for data alone, whose type is google.protobuf.Value.
func (d *decoder) part(p *a2a.Part) *flaw {
	contents := 0
	f := d.object([]string{"text", "data", "raw", "url", "mediaType", "filename", "metadata"}, "data", func(name string) *flaw {
		switch name {
		case "mediaType":
			return text(d, &p.MediaType)
		case "filename":
			return text(d, &p.Filename)
		case "metadata":
			return d.struc(&p.Metadata)
		}
		contents++
		return d.content(p, name)
	})
	if f == nil && contents != 1 {
		return &flaw{"", "must have exactly one of text, raw, url and data"}
	}
	return f
}

func (d *decoder) content(p *a2a.Part, name string) (f *flaw) {
	switch name {
	case "text":
		var s a2a.Text
		f = text(d, &s)
		p.Content = s
	case "url":
		var s a2a.URL
		if f = text(d, &s); f == nil && s == "" {
			f = &flaw{"", "must not be empty"}
		}
		p.Content = s
	case "raw":
		var b []byte
		f = d.base64(&b)
		p.Content = a2a.Raw(b)
	default:
		var v any
		f = decodeAny(d, &v)
		p.Content = a2a.Data{Value: v}
	}
	return f
}

// DecodeGet reads a GetTaskRequest.
func DecodeGet(b []byte) (*a2a.GetTaskRequest, error) {
	req := &a2a.GetTaskRequest{}
	err := decode(b, func(d *decoder) *flaw {
		return d.object([]string{"id", "historyLength", "tenant"}, "", func(name string) *flaw {
			switch name {
			case "id":
				return text(d, &req.ID)
			case "historyLength":
				return d.historyLength(&req.HistoryLength)
			default:
				return text(d, &req.Tenant)
			}
		})
	})
	return req, firstError(err, req.ID)
}

// DecodeCancel reads a CancelTaskRequest.
func DecodeCancel(b []byte) (*a2a.CancelTaskRequest, error) {
	req, err := decodeTask(b, "id", "tenant", "metadata")
	return req, firstError(err, req.ID)
}

func decodeTask(b []byte, known ...string) (*a2a.CancelTaskRequest, error) {
	req := &a2a.CancelTaskRequest{}
	return req, decode(b, func(d *decoder) *flaw {
		return d.object(known, "", func(name string) *flaw {
			switch name {
			case "id":
				return text(d, &req.ID)
			case "metadata":
				return d.struc(&req.Metadata)
			default:
				return text(d, &req.Tenant)
			}
		})
	})
}

// DecodeSubscribe reads a SubscribeToTaskRequest.
func DecodeSubscribe(b []byte) (*a2a.SubscribeToTaskRequest, error) {
	req, err := decodeTask(b, "id", "tenant")
	return &a2a.SubscribeToTaskRequest{ID: req.ID, Tenant: req.Tenant}, firstError(err, req.ID)
}

// DecodeCancelOf reads the optional body of a request whose path names the task
// already.
func DecodeCancelOf(id a2a.TaskID, b []byte) (*a2a.CancelTaskRequest, error) {
	req, err := decodeTask(b, "id", "tenant", "metadata")
	return req, samePath(err, id, &req.ID)
}

// DecodeSubscribeOf is the same for a subscription.
func DecodeSubscribeOf(id a2a.TaskID, b []byte) (*a2a.SubscribeToTaskRequest, error) {
	req, err := decodeTask(b, "id", "tenant")
	return &a2a.SubscribeToTaskRequest{ID: id, Tenant: req.Tenant}, samePath(err, id, &req.ID)
}

func samePath(err error, path a2a.TaskID, body *a2a.TaskID) error {
	if err == nil && *body != "" && *body != path {
		return task.Invalid(a2a.ErrInvalidParams, "id", "the path names another task")
	}
	*body = path
	return err
}

// DecodeList reads a ListTasksRequest.
func DecodeList(b []byte) (*a2a.ListTasksRequest, error) {
	req := &a2a.ListTasksRequest{}
	known := []string{"contextId", "status", "pageSize", "pageToken", "historyLength", "statusTimestampAfter", "includeArtifacts", "tenant"}
	return req, decode(b, func(d *decoder) *flaw {
		return d.object(known, "", func(name string) *flaw {
			switch name {
			case "contextId":
				return text(d, &req.ContextID)
			case "status":
				var s string
				if f := text(d, &s); f != nil {
					return f
				}
				return parseState(s, &req.Status)
			case "pageSize":
				if f := d.integer(&req.PageSize); f != nil {
					return f
				}
				return checkPageSize(req.PageSize)
			case "pageToken":
				return text(d, &req.PageToken)
			case "historyLength":
				return d.historyLength(&req.HistoryLength)
			case "statusTimestampAfter":
				return d.time(&req.StatusTimestampAfter)
			case "includeArtifacts":
				return d.boolean(&req.IncludeArtifacts)
			default:
				return text(d, &req.Tenant)
			}
		})
	})
}

// DecodeTenant reads what every request has, for operations that are refused
// whatever else they say.
func DecodeTenant(b []byte) (tenant string, err error) {
	err = decode(b, func(d *decoder) *flaw {
		return d.object([]string{"tenant"}, "", func(string) *flaw { return text(d, &tenant) })
	})
	return tenant, err
}

func decode(b []byte, read func(*decoder) *flaw) error {
	if len(b) == 0 {
		return nil
	}
	if f := read(&decoder{b: b}); f != nil {
		if f.path == "" {
			f.path = "params" // what the operation takes is itself of the wrong type
		}
		return f.invalid()
	}
	return nil
}

func firstError(err error, id a2a.TaskID) error {
	if err == nil && id == "" {
		return required("id")
	}
	return err
}

func required(field string) error {
	return task.Invalid(a2a.ErrInvalidParams, field, "is required")
}

func (d *decoder) historyLength(dst **int) *flaw {
	var n int
	if f := d.integer(&n); f != nil {
		return f
	}
	return setHistoryLength(n, dst)
}

func setHistoryLength(n int, dst **int) *flaw {
	if n < 0 {
		return &flaw{"", "must be 0 or more"}
	}
	*dst = &n
	return nil
}

// checkPageSize refuses an explicit 0 too, which the SDK's type cannot tell from
// an absent one; hence it is checked where it is read.
func checkPageSize(n int) *flaw {
	if n < 1 || n > 100 {
		return &flaw{"", "must be between 1 and 100"}
	}
	return nil
}

func parseState(s string, dst *a2a.TaskState) *flaw {
	state := a2a.TaskState(s)
	switch {
	case s == "" || s == a2a.TaskStateUnspecified.String():
		return nil // ProtoJSON's default value: no filter
	case !task.Known(state):
		return &flaw{"", "unknown state " + Quote(s) + "; must be one of " + strings.Join(states(), ", ")}
	}
	*dst = state
	return nil
}

func states() []string {
	return []string{
		string(a2a.TaskStateSubmitted), string(a2a.TaskStateWorking), string(a2a.TaskStateInputRequired),
		string(a2a.TaskStateAuthRequired), string(a2a.TaskStateCompleted), string(a2a.TaskStateFailed),
		string(a2a.TaskStateCanceled), string(a2a.TaskStateRejected),
	}
}
