// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// The views decode an agent's answers for showing them. They are not the SDK's
// types because those refuse parts they do not know and round large numbers;
// here nothing is refused and data stays as it was written.

type taskView struct {
	ID        string          `json:"id"`
	ContextID string          `json:"contextId"`
	Status    statusView      `json:"status"`
	Artifacts []artifactView  `json:"artifacts"`
	History   []messageView   `json:"history"`
	Metadata  json.RawMessage `json:"metadata"`
}

type statusView struct {
	State     string       `json:"state"`
	Timestamp string       `json:"timestamp"`
	Message   *messageView `json:"message"`
}

type messageView struct {
	MessageID string            `json:"messageId"`
	Role      string            `json:"role"`
	ContextID string            `json:"contextId"`
	TaskID    string            `json:"taskId"`
	Parts     []json.RawMessage `json:"parts"`
	Metadata  json.RawMessage   `json:"metadata"`
}

type artifactView struct {
	ArtifactID  string            `json:"artifactId"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Parts       []json.RawMessage `json:"parts"`
	Metadata    json.RawMessage   `json:"metadata"`
}

type partView struct {
	Text      *string         `json:"text"`
	Raw       *string         `json:"raw"`
	URL       *string         `json:"url"`
	Data      json.RawMessage `json:"data"`
	Filename  string          `json:"filename"`
	MediaType string          `json:"mediaType"`
	Metadata  json.RawMessage `json:"metadata"`
}

type eventView struct {
	Task         *taskView    `json:"task"`
	Message      *messageView `json:"message"`
	StatusUpdate *struct {
		TaskID    string          `json:"taskId"`
		ContextID string          `json:"contextId"`
		Status    statusView      `json:"status"`
		Metadata  json.RawMessage `json:"metadata"`
	} `json:"statusUpdate"`
	ArtifactUpdate *struct {
		Append    bool         `json:"append"`
		LastChunk bool         `json:"lastChunk"`
		Artifact  artifactView `json:"artifact"`
	} `json:"artifactUpdate"`
}

func viewTask(raw json.RawMessage) (*taskView, error) {
	var v taskView
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("show the task: %w", err)
	}
	return &v, nil
}

func viewEvent(raw json.RawMessage) (*eventView, error) {
	var v eventView
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("show the event: %w", err)
	}
	return &v, nil
}

// names writes the three fields that every word about a task must carry.
func (t *text) names(task, contextID, state string) {
	t.field("Task", task)
	t.field("Context", contextID)
	t.field("State", state)
}

func (t *text) task(v *taskView) {
	t.names(v.ID, v.ContextID, v.Status.State)
	t.optional("Updated", v.Status.Timestamp)
	t.status(v.Status)
	t.metadata(v.Metadata)
	for _, a := range v.Artifacts {
		t.artifact(a)
	}
	if t.history {
		for _, m := range v.History {
			t.past(m)
		}
	}
}

func (t *text) status(s statusView) {
	if s.Message != nil {
		t.parts("Message", s.Message.Parts)
		t.metadata(s.Message.Metadata)
	}
}

func (t *text) message(m *messageView) {
	t.optional("Message id", m.MessageID)
	t.optional("Task", m.TaskID)
	t.optional("Context", m.ContextID)
	t.parts("Message", m.Parts)
	t.metadata(m.Metadata)
}

func (t *text) past(m messageView) {
	t.field("History", strings.TrimSpace(m.Role+" "+m.MessageID))
	t.parts("Text", m.Parts)
	t.metadata(m.Metadata)
}

func (t *text) artifact(a artifactView) {
	t.artifactHead(a)
	t.parts("Text", a.Parts)
}

func (t *text) artifactHead(a artifactView) {
	t.field("Artifact", a.ArtifactID)
	t.optional("Name", a.Name)
	t.optional("Description", a.Description)
	t.metadata(a.Metadata)
}

func (t *text) parts(textLabel string, parts []json.RawMessage) {
	for _, p := range parts {
		t.part(textLabel, p)
	}
}

// part shows one part. One of a kind nobody knows is shown as its JSON.
func (t *text) part(textLabel string, raw json.RawMessage) {
	var p partView
	err := json.Unmarshal(raw, &p)
	switch {
	case err == nil && p.Text != nil:
		t.content(textLabel, *p.Text)
		if t.verbose {
			t.optional("Media type", p.MediaType)
		}
	case err == nil && p.Raw != nil:
		t.field("File", cmp.Or(p.Filename, "(unnamed)"))
		t.field("Media type", cmp.Or(p.MediaType, "(not given)"))
		t.field("Size", decodedSize(*p.Raw))
	case err == nil && p.URL != nil:
		t.field("File", cmp.Or(p.Filename, "(unnamed)"))
		t.field("Media type", cmp.Or(p.MediaType, "(not given)"))
		t.field("URL", *p.URL)
	case err == nil && p.Data != nil:
		t.block("Data", indent(p.Data))
		if t.verbose {
			t.optional("Media type", p.MediaType)
		}
	default:
		t.block("Part", indent(raw))
		return
	}
	t.metadata(p.Metadata)
}

func (t *text) metadata(raw json.RawMessage) {
	if t.verbose && len(raw) > 0 && string(raw) != "null" {
		t.block("Metadata", indent(raw))
	}
}

func decodedSize(b64 string) string {
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := enc.DecodeString(b64); err == nil {
			return fmt.Sprintf("%d bytes", len(b))
		}
	}
	return "unknown (not base64)"
}

func indent(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}

// event shows one event of a stream, and reports the state it brings, if any.
func (t *text) event(v *eventView) {
	switch {
	case v.Task != nil:
		t.task(v.Task)
	case v.Message != nil:
		t.message(v.Message)
	case v.StatusUpdate != nil:
		u := v.StatusUpdate
		if settledState(u.Status.State) {
			t.names(u.TaskID, u.ContextID, u.Status.State)
			t.optional("Updated", u.Status.Timestamp)
		} else {
			t.field("State", u.Status.State)
		}
		t.status(u.Status)
		t.metadata(u.Metadata)
	case v.ArtifactUpdate != nil:
		u := v.ArtifactUpdate
		// Only an artifact that comes whole is Text; what others may follow is a Chunk.
		label := "Chunk"
		if !u.Append {
			t.artifactHead(u.Artifact)
			if u.LastChunk {
				label = "Text"
			}
		}
		t.parts(label, u.Artifact.Parts)
	}
}
