// SPDX-License-Identifier: Apache-2.0

package v03

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	"github.com/a2aproject/a2a-go/v2/a2apb/v0/pbjson"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/task"
)

// decodeParams reads the parameters of a JSON-RPC method. The errors of
// encoding/json name types of Go, so they are not passed on.
func decodeParams[L any](params []byte) (*L, error) {
	v := new(L)
	if len(params) == 0 {
		return v, nil
	}
	if err := json.Unmarshal(params, v); err != nil {
		return nil, flawed("params", err)
	}
	return v, nil
}

func decodeWith[L, Q any](params []byte, convert func(*L) *Q) (*Q, error) {
	v, err := decodeParams[L](params)
	if err != nil {
		return nil, err
	}
	return convert(v), nil
}

func flawed(where string, err error) error {
	var wrong *json.UnmarshalTypeError
	var corrupt base64.CorruptInputError
	switch {
	case errors.As(err, &corrupt):
		return task.Invalid(a2a.ErrInvalidParams, "message.parts", "the bytes of a file must be base64")
	case errors.As(err, &wrong) && wrong.Field != "":
		return task.Invalid(a2a.ErrInvalidParams, wrong.Field, "must not be a JSON %s", wrong.Value)
	}
	return &task.Error{Kind: a2a.ErrInvalidParams, Cause: err, Field: where, Message: where + ": not what A2A 0.3 has here; look at the kind and the contents of each part"}
}

// shape is what is checked of a message before the SDK converts it: its
// conversion takes bytes that are not base64 as they are, and needs a message
// where there is a push configuration.
type shape struct {
	Message *struct {
		Parts []struct {
			File *struct {
				Bytes []byte `json:"bytes"`
			} `json:"file"`
		} `json:"parts"`
	} `json:"message"`
	Configuration *struct {
		Push json.RawMessage `json:"pushNotificationConfig"`
	} `json:"configuration"`
}

// decodeSend reads the parameters of message/send and message/stream.
func decodeSend(params []byte) (*a2a.SendMessageRequest, error) {
	s, err := decodeParams[shape](params)
	if err != nil {
		return nil, err
	}
	switch {
	case s.Message == nil:
		return nil, task.Invalid(a2a.ErrInvalidParams, "message", "is required")
	case s.Configuration != nil && given(s.Configuration.Push):
		return nil, binding.PushNotSupported()
	}
	return decodeBy(params, a2av0.ToV1SendMessageRequest)
}

func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

func decodeBy[L, Q any](params []byte, convert func(*L) (*Q, error)) (*Q, error) {
	v, err := decodeParams[L](params)
	if err != nil {
		return nil, err
	}
	q, err := convert(v)
	if err != nil {
		return nil, flawed("params", err)
	}
	return q, nil
}

// decodeProto reads the body of a send over REST, which 0.3 writes as the JSON
// of its proto.
func decodeProto(body []byte) (*a2a.SendMessageRequest, error) {
	var s struct {
		Message *struct {
			Content []json.RawMessage `json:"content"`
			Parts   []json.RawMessage `json:"parts"`
		} `json:"message"`
		Configuration *struct {
			Push json.RawMessage `json:"pushNotification"`
		} `json:"configuration"`
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &s); err != nil {
			return nil, flawed("body", err)
		}
	}
	switch {
	case s.Message == nil:
		return nil, task.Invalid(a2a.ErrInvalidParams, "message", "is required")
	case s.Configuration != nil && given(s.Configuration.Push):
		return nil, binding.PushNotSupported()
	case len(s.Message.Content) == 0 && len(s.Message.Parts) > 0:
		return nil, task.Invalid(a2a.ErrInvalidParams, "message.content", "is required; over HTTP+JSON 0.3 calls the parts of a message so")
	}
	req, err := pbjson.FromProtoSendMessageRequest(body)
	if err != nil {
		return nil, flawed("body", err)
	}
	for i, p := range req.Message.Parts {
		if p.Content == nil {
			return nil, task.Invalid(a2a.ErrInvalidParams, fmt.Sprintf("message.content[%d]", i),
				"must have one of text, file, data; fileWithBytes is base64 of base64")
		}
	}
	return req, nil
}
