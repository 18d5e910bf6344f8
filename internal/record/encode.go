// SPDX-License-Identifier: Apache-2.0

package record

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// Encode makes the wire form of an event and the change it is to the fold. The
// event is not kept: nothing that the caller does to it later has an effect.
// Timestamps must be set.
func Encode(ev a2a.Event, st Stamp) (task.Raw, *task.Change, error) {
	e := encoder{buf: make([]byte, 0, 384), stamp: st, change: &task.Change{}}
	var err error
	switch ev := ev.(type) {
	case *a2a.TaskStatusUpdateEvent:
		err = e.statusUpdate(ev)
	case *a2a.TaskArtifactUpdateEvent:
		err = e.artifactUpdate(ev)
	case *a2a.Task:
		err = e.task(ev)
	case *a2a.Message:
		err = e.message(ev)
	default:
		err = fmt.Errorf("unknown event type %T", ev)
	}
	if err != nil {
		return nil, nil, err
	}
	e.link()
	return e.buf, e.change, nil
}

// encoder appends to buf and remembers which ranges of it are values of the
// change; link turns the ranges into slices once buf has stopped moving.
type encoder struct {
	buf    []byte
	stamp  Stamp
	change *task.Change
	links  []link
}

type link struct {
	from, to int
	set      func(task.Raw)
}

func (e *encoder) mark(from int, set func(task.Raw)) {
	e.links = append(e.links, link{from, len(e.buf), set})
}

func (e *encoder) link() {
	for _, l := range e.links {
		l.set(task.Raw(e.buf[l.from:l.to:l.to]))
	}
}

func (e *encoder) field(name string) { e.buf = field(e.buf, name) }

func (e *encoder) open(s string)  { e.buf = append(e.buf, s...) }
func (e *encoder) close(s string) { e.buf = append(e.buf, s...) }

func (e *encoder) statusUpdate(ev *a2a.TaskStatusUpdateEvent) error {
	e.change.Kind = task.KindStatus
	e.open(`{"statusUpdate":{`)
	e.buf = AppendString(field(e.buf, "taskId"), string(ev.TaskID))
	e.buf = AppendString(field(e.buf, "contextId"), ev.ContextID)
	if err := e.status(ev.Status); err != nil {
		return err
	}
	if err := e.metadata(ev.Metadata); err != nil {
		return err
	}
	e.close("}}")
	return nil
}

func (e *encoder) status(st a2a.TaskStatus) error {
	if st.Timestamp == nil {
		return fmt.Errorf("status without a timestamp")
	}
	e.change.Status = task.Status{State: st.State, At: st.Timestamp.UTC().Truncate(time.Millisecond)}
	e.field("status")
	e.open("{")
	e.buf = AppendString(field(e.buf, "state"), st.State.String())
	e.buf = AppendTime(field(e.buf, "timestamp"), *st.Timestamp)
	if st.Message != nil {
		e.field("message")
		m := &task.Message{ID: st.Message.ID}
		from := len(e.buf)
		var err error
		if e.buf, err = AppendMessage(e.buf, st.Message); err != nil {
			return fmt.Errorf("status.message: %w", err)
		}
		e.mark(from, func(r task.Raw) { m.Raw = r })
		e.change.Status.Message = m
	}
	e.close("}")
	return nil
}

func (e *encoder) artifactUpdate(ev *a2a.TaskArtifactUpdateEvent) error {
	if ev.Artifact == nil {
		return fmt.Errorf("an artifact update without an artifact")
	}
	e.change.Kind = task.KindArtifact
	e.change.Append = ev.Append
	e.change.Superseded = e.stamp.Superseded
	e.open(`{"artifactUpdate":{`)
	e.buf = AppendString(field(e.buf, "taskId"), string(ev.TaskID))
	e.buf = AppendString(field(e.buf, "contextId"), ev.ContextID)
	e.field("artifact")
	a, err := e.artifact(ev.Artifact)
	if err != nil {
		return fmt.Errorf("artifact %q: %w", ev.Artifact.ID, err)
	}
	e.change.Artifact = a
	if ev.Append {
		e.buf = append(field(e.buf, "append"), "true"...)
	}
	if ev.LastChunk {
		e.buf = append(field(e.buf, "lastChunk"), "true"...)
	}
	if err := e.metadata(ev.Metadata); err != nil {
		return err
	}
	e.close("}}")
	return nil
}

func (e *encoder) artifact(a *a2a.Artifact) (*task.Artifact, error) {
	out := &task.Artifact{
		ID: string(a.ID), Name: a.Name, Description: a.Description,
		Extensions: slices.Clone(a.Extensions),
		Parts:      make([]task.Raw, len(a.Parts)),
	}
	e.open("{")
	e.buf = AppendString(field(e.buf, "artifactId"), string(a.ID))
	e.buf = stringField(e.buf, "name", a.Name)
	e.buf = stringField(e.buf, "description", a.Description)
	e.field("parts")
	e.open("[")
	for i, p := range a.Parts {
		if i > 0 {
			e.open(",")
		}
		from := len(e.buf)
		var err error
		if e.buf, err = AppendPart(e.buf, p); err != nil {
			return nil, fmt.Errorf("parts[%d]: %w", i, err)
		}
		e.mark(from, func(r task.Raw) { out.Parts[i] = r })
	}
	e.close("]")
	e.buf = stringsField(e.buf, "extensions", a.Extensions)
	if len(a.Metadata) > 0 {
		out.Metadata = make(map[string]task.Raw, len(a.Metadata))
		e.field("metadata")
		e.open("{")
		if err := e.pairs(a.Metadata, out.Metadata); err != nil {
			return nil, err
		}
		e.close("}")
	}
	e.close("}")
	return out, nil
}

// metadata writes the event's metadata with the stamp, and gives the fold what
// stands beside the stamp.
func (e *encoder) metadata(meta map[string]any) error {
	e.field("metadata")
	e.open("{")
	if len(meta) > 0 {
		e.change.Metadata = make(map[string]task.Raw, len(meta))
		if err := e.pairs(meta, e.change.Metadata); err != nil {
			return err
		}
	}
	if e.buf[len(e.buf)-1] != '{' {
		e.open(",")
	}
	e.buf = appendStamp(e.buf, e.stamp)
	e.close("}")
	return nil
}

// pairs writes the members of an object; the stamp's key is ours alone.
func (e *encoder) pairs(meta map[string]any, out map[string]task.Raw) error {
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		if k == task.ResumeURI {
			continue
		}
		if e.buf[len(e.buf)-1] != '{' {
			e.open(",")
		}
		e.buf = append(AppendString(e.buf, k), ':')
		from := len(e.buf)
		var err error
		if e.buf, err = appendAny(e.buf, meta[k]); err != nil {
			return fmt.Errorf("metadata[%q]: %w", k, err)
		}
		e.mark(from, func(r task.Raw) { out[k] = r })
	}
	return nil
}

func (e *encoder) task(t *a2a.Task) error {
	c := e.change
	c.Kind = task.KindTask
	e.open(`{"task":{`)
	e.buf = AppendString(field(e.buf, "id"), string(t.ID))
	e.buf = AppendString(field(e.buf, "contextId"), t.ContextID)
	if err := e.status(t.Status); err != nil {
		return err
	}
	if len(t.History) > 0 {
		c.History = make([]task.Message, len(t.History))
		e.field("history")
		e.open("[")
		for i, m := range t.History {
			if i > 0 {
				e.open(",")
			}
			from := len(e.buf)
			var err error
			if e.buf, err = AppendMessage(e.buf, m); err != nil {
				return fmt.Errorf("history[%d]: %w", i, err)
			}
			c.History[i].ID = m.ID
			e.mark(from, func(r task.Raw) { c.History[i].Raw = r })
		}
		e.close("]")
	}
	if len(t.Artifacts) > 0 {
		e.field("artifacts")
		e.open("[")
		for i, a := range t.Artifacts {
			if i > 0 {
				e.open(",")
			}
			out, err := e.artifact(a)
			if err != nil {
				return fmt.Errorf("artifacts[%d]: %w", i, err)
			}
			c.Artifacts = append(c.Artifacts, out)
		}
		e.close("]")
	}
	if err := e.metadata(t.Metadata); err != nil {
		return err
	}
	e.close("}}")
	return nil
}

func (e *encoder) message(m *a2a.Message) error {
	e.change.Kind = task.KindMessage
	meta := m.Metadata
	if _, ours := meta[task.ResumeURI]; ours {
		meta = maps.Clone(meta)
		delete(meta, task.ResumeURI)
	}
	// The context's messages and repeats of the key read it from here: without
	// the stamp, which belongs to the frame.
	plain, err := appendMessage(nil, m, meta, nil)
	if err != nil {
		return err
	}
	e.change.Message = &task.Message{ID: m.ID, Raw: plain}
	e.open(`{"message":`)
	if e.buf, err = appendMessage(e.buf, m, meta, &e.stamp); err != nil {
		return err
	}
	e.close("}")
	return nil
}

func appendStamp(dst []byte, st Stamp) []byte {
	dst = append(dst, `"`+task.ResumeURI+`":{"sequence":`...)
	dst = strconv.AppendUint(dst, st.Seq, 10)
	if st.Attempt > 0 {
		dst = append(dst, `,"attempt":`...)
		dst = strconv.AppendInt(dst, int64(st.Attempt), 10)
	}
	if st.Superseded {
		dst = append(dst, `,"superseded":true`...)
	}
	return append(dst, '}')
}
