// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

type wireEvent struct {
	Task           *wireTask       `json:"task"`
	Message        json.RawMessage `json:"message"`
	StatusUpdate   *wireStatusUpd  `json:"statusUpdate"`
	ArtifactUpdate *wireArtUpd     `json:"artifactUpdate"`
}

type wireTask struct {
	Status    wireStatus                 `json:"status"`
	History   []json.RawMessage          `json:"history"`
	Artifacts []wireArtifact             `json:"artifacts"`
	Metadata  map[string]json.RawMessage `json:"metadata"`
}

type wireStatus struct {
	State     a2a.TaskState   `json:"state"`
	Timestamp time.Time       `json:"timestamp"`
	Message   json.RawMessage `json:"message"`
}

type wireStatusUpd struct {
	Status   wireStatus                 `json:"status"`
	Metadata map[string]json.RawMessage `json:"metadata"`
}

type wireArtUpd struct {
	Artifact wireArtifact               `json:"artifact"`
	Append   bool                       `json:"append"`
	Metadata map[string]json.RawMessage `json:"metadata"`
}

type wireArtifact struct {
	ID          string                     `json:"artifactId"`
	Name        string                     `json:"name"`
	Description string                     `json:"description"`
	Extensions  []string                   `json:"extensions"`
	Metadata    map[string]json.RawMessage `json:"metadata"`
	Parts       []json.RawMessage          `json:"parts"`
}

// Parse takes a record's event apart for the fold. It reads what Encode wrote:
// Parse(Encode(e)) is the change that Encode returned.
func Parse(r Record) (*task.Change, error) {
	var w wireEvent
	if err := json.Unmarshal(r.Event, &w); err != nil {
		return nil, fmt.Errorf("event %d: %w: %w", r.Seq, ErrCorrupt, err)
	}
	c := &task.Change{Opens: r.Opens}
	var err error
	switch {
	case w.Task != nil:
		err = parseTask(c, w.Task)
	case w.StatusUpdate != nil:
		c.Kind = task.KindStatus
		c.Status, err = parseStatus(w.StatusUpdate.Status)
		c.Metadata, _ = metadata(w.StatusUpdate.Metadata)
	case w.ArtifactUpdate != nil:
		c.Kind = task.KindArtifact
		c.Append = w.ArtifactUpdate.Append
		c.Artifact = w.ArtifactUpdate.Artifact.change()
		var st Stamp
		c.Metadata, st = metadata(w.ArtifactUpdate.Metadata)
		c.Superseded = st.Superseded
	case w.Message != nil:
		err = parseMessage(c, w.Message)
	default:
		err = fmt.Errorf("none of task, message, statusUpdate, artifactUpdate")
	}
	if err != nil {
		return nil, fmt.Errorf("event %d: %w: %w", r.Seq, ErrCorrupt, err)
	}
	return c, nil
}

func parseTask(c *task.Change, w *wireTask) error {
	c.Kind = task.KindTask
	var err error
	if c.Status, err = parseStatus(w.Status); err != nil {
		return err
	}
	for _, raw := range w.History {
		m, err := message(raw)
		if err != nil {
			return err
		}
		c.History = append(c.History, *m)
	}
	for i := range w.Artifacts {
		c.Artifacts = append(c.Artifacts, w.Artifacts[i].change())
	}
	c.Metadata, _ = metadata(w.Metadata)
	return nil
}

func parseStatus(w wireStatus) (task.Status, error) {
	st := task.Status{State: w.State, At: w.Timestamp.UTC().Truncate(time.Millisecond)}
	if w.Message != nil {
		m, err := message(w.Message)
		if err != nil {
			return st, err
		}
		st.Message = m
	}
	return st, nil
}

// parseMessage takes the stamp away: the fold holds the message alone.
func parseMessage(c *task.Change, raw json.RawMessage) error {
	c.Kind = task.KindMessage
	var err error
	c.Message, err = message(unstamp(raw))
	return err
}

// unstamp undoes stampField by its bytes: to decode the message and encode it
// again would round large numbers.
func unstamp(raw []byte) []byte {
	const key = `"` + task.ResumeURI + `":{"sequence":`
	at := bytes.LastIndex(raw, []byte(key))
	if at < 0 || bytes.IndexByte(raw[at:], '}') != len(raw)-at-len("}}}") {
		return raw
	}
	head := raw[:at]
	if plain, only := bytes.CutSuffix(head, []byte(`,"metadata":{`)); only {
		return append(plain[:len(plain):len(plain)], '}')
	}
	return append(bytes.TrimSuffix(head, []byte(","))[:len(head)-1:len(head)-1], "}}"...)
}

func message(raw []byte) (*task.Message, error) {
	var id struct {
		ID string `json:"messageId"`
	}
	if err := json.Unmarshal(raw, &id); err != nil {
		return nil, err
	}
	return &task.Message{ID: id.ID, Raw: task.Raw(raw)}, nil
}

// metadata separates the stamp from the rest.
func metadata(w map[string]json.RawMessage) (map[string]task.Raw, Stamp) {
	var out map[string]task.Raw
	var st Stamp
	for k, v := range w {
		if k == task.ResumeURI {
			var s struct {
				Sequence   uint64 `json:"sequence"`
				Attempt    int    `json:"attempt"`
				Superseded bool   `json:"superseded"`
			}
			if json.Unmarshal(v, &s) == nil {
				st = Stamp{s.Sequence, s.Attempt, s.Superseded}
			}
			continue
		}
		if out == nil {
			out = make(map[string]task.Raw, len(w))
		}
		out[k] = task.Raw(v)
	}
	return out, st
}

func (w *wireArtifact) change() *task.Artifact {
	a := &task.Artifact{
		ID: w.ID, Name: w.Name, Description: w.Description, Extensions: w.Extensions,
		Parts: make([]task.Raw, len(w.Parts)),
	}
	for i, p := range w.Parts {
		a.Parts[i] = task.Raw(p)
	}
	if len(w.Metadata) > 0 {
		a.Metadata = make(map[string]task.Raw, len(w.Metadata))
		for k, v := range w.Metadata {
			a.Metadata[k] = task.Raw(v)
		}
	}
	return a
}
