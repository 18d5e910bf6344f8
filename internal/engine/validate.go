// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// maxID bounds the ids that clients choose, in bytes: they become keys.
const maxID = 256

// validateSend checks what the protocol asks of a message.
func validateSend(req *a2a.SendMessageRequest) error {
	if req == nil || req.Message == nil {
		return task.Invalid(a2a.ErrInvalidParams, "message", "is required")
	}
	m := req.Message
	if err := validID("message.messageId", m.ID, true); err != nil {
		return err
	}
	if err := validID("message.contextId", m.ContextID, false); err != nil {
		return err
	}
	if err := validID("message.taskId", string(m.TaskID), false); err != nil {
		return err
	}
	if m.Role != a2a.MessageRoleUser {
		return task.Invalid(a2a.ErrInvalidParams, "message.role", "must be ROLE_USER")
	}
	if len(m.Parts) == 0 {
		return task.Invalid(a2a.ErrInvalidParams, "message.parts", "must have at least one part")
	}
	for i, p := range m.Parts {
		if p == nil || p.Content == nil {
			return task.Invalid(a2a.ErrInvalidParams, fmt.Sprintf("message.parts[%d]", i), "must have exactly one of text, raw, url, data")
		}
	}
	return validateConfig(req.Config)
}

func validateConfig(c *a2a.SendMessageConfig) error {
	if c == nil {
		return nil
	}
	if err := validHistory("configuration.historyLength", c.HistoryLength); err != nil {
		return err
	}
	if c.PushConfig != nil {
		return task.Invalid(a2a.ErrPushNotificationNotSupported, "configuration.taskPushNotificationConfig", "push notifications are not supported here")
	}
	return nil
}

func validID(field, id string, required bool) error {
	if id == "" && required {
		return task.Invalid(a2a.ErrInvalidParams, field, "is required")
	}
	if len(id) > maxID {
		return task.Invalid(a2a.ErrInvalidParams, field, "%d bytes; at most %d are allowed", len(id), maxID)
	}
	return nil
}

func validHistory(field string, n *int) error {
	if n != nil && *n < 0 {
		return task.Invalid(a2a.ErrInvalidParams, field, "%d; must be 0 or more", *n)
	}
	return nil
}
