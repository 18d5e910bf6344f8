// SPDX-License-Identifier: Apache-2.0

package client

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// Kind tells which member of a StreamResponse or SendMessageResponse is set.
type Kind int

// The members.
const (
	KindTask Kind = iota + 1
	KindMessage
	KindStatus
	KindArtifact
)

// Reply is a StreamResponse or SendMessageResponse as the agent sent it, with
// what every caller needs of it read out.
type Reply struct {
	Raw       json.RawMessage
	Kind      Kind
	TaskID    string
	ContextID string
	// State is set for KindTask and KindStatus.
	State a2a.TaskState
}

// Event decodes the whole reply. It fails on parts that the SDK does not know.
func (r Reply) Event() (a2a.Event, error) {
	var sr a2a.StreamResponse
	if err := json.Unmarshal(r.Raw, &sr); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	return sr.Event, nil
}

// TaskReply is a Task as the agent sent it.
type TaskReply struct {
	Raw       json.RawMessage
	TaskID    string
	ContextID string
	State     a2a.TaskState
}

// Task decodes the whole task. It fails on parts that the SDK does not know.
func (r TaskReply) Task() (*a2a.Task, error) {
	var t a2a.Task
	if err := json.Unmarshal(r.Raw, &t); err != nil {
		return nil, fmt.Errorf("decode task: %w", err)
	}
	return &t, nil
}

// Reply is the task in the form that SendMessage and streams give it.
func (r TaskReply) Reply() Reply {
	raw := make([]byte, 0, len(r.Raw)+len(`{"task":}`))
	raw = append(append(append(raw, `{"task":`...), r.Raw...), '}')
	return Reply{Raw: raw, Kind: KindTask, TaskID: r.TaskID, ContextID: r.ContextID, State: r.State}
}

// ListReply is a ListTasksResponse as the agent sent it.
type ListReply struct {
	Raw           json.RawMessage   `json:"-"`
	Tasks         []json.RawMessage `json:"tasks"`
	NextPageToken string            `json:"nextPageToken"`
	PageSize      int               `json:"pageSize"`
	TotalSize     int               `json:"totalSize"`
}

// Interrupted reports whether a task in that state waits for its caller.
func Interrupted(s a2a.TaskState) bool {
	return s == a2a.TaskStateInputRequired || s == a2a.TaskStateAuthRequired
}

// Settled reports whether a turn that reached this state is over.
func Settled(s a2a.TaskState) bool { return s.Terminal() || Interrupted(s) }

// head holds what Reply shows of the four kinds of event. Decoding no more than
// this keeps parts of kinds yet unknown from breaking a stream.
type head struct {
	ID        string `json:"id"`
	TaskID    string `json:"taskId"`
	ContextID string `json:"contextId"`
	Status    struct {
		State a2a.TaskState `json:"state"`
	} `json:"status"`
}

func parseReply(raw json.RawMessage) (Reply, error) {
	var u struct {
		Task           *head `json:"task"`
		Message        *head `json:"message"`
		StatusUpdate   *head `json:"statusUpdate"`
		ArtifactUpdate *head `json:"artifactUpdate"`
	}
	if err := json.Unmarshal(raw, &u); err != nil {
		return Reply{}, fmt.Errorf("decode event: %w", err)
	}
	r, n := Reply{Raw: raw}, 0
	for _, m := range []struct {
		kind Kind
		head *head
	}{{KindTask, u.Task}, {KindMessage, u.Message}, {KindStatus, u.StatusUpdate}, {KindArtifact, u.ArtifactUpdate}} {
		if m.head == nil {
			continue
		}
		n++
		r.Kind, r.TaskID, r.ContextID, r.State = m.kind, m.head.TaskID, m.head.ContextID, m.head.Status.State
		if m.kind == KindTask {
			r.TaskID = m.head.ID
		}
	}
	if n != 1 {
		return Reply{}, fmt.Errorf("an event must hold one of task, message, statusUpdate and artifactUpdate; this one holds %d of them", n)
	}
	if r.Kind != KindMessage && r.TaskID == "" {
		return Reply{}, errors.New("an event of a task names no task")
	}
	return r, nil
}

func parseTask(raw json.RawMessage) (TaskReply, error) {
	var h head
	if err := json.Unmarshal(raw, &h); err != nil {
		return TaskReply{}, fmt.Errorf("decode task: %w", err)
	}
	if h.ID == "" {
		return TaskReply{}, errors.New("the task has no id")
	}
	return TaskReply{Raw: raw, TaskID: h.ID, ContextID: h.ContextID, State: h.Status.State}, nil
}

func parseList(raw json.RawMessage) (ListReply, error) {
	r := ListReply{}
	if err := json.Unmarshal(raw, &r); err != nil {
		return ListReply{}, fmt.Errorf("decode the list of tasks: %w", err)
	}
	r.Raw = raw
	return r, nil
}
