// SPDX-License-Identifier: Apache-2.0

package record

import (
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// Encode makes the wire form of an event and the change it is to the fold. The
// event is not kept: nothing that the caller does to it later has an effect.
// Timestamps must be set. What cannot be read again by everybody (a part with
// nothing in it, a NaN, a metadata key that is not UTF-8) is an error.
func Encode(ev a2a.Event, st Stamp) (task.Raw, *task.Change, error) {
	e := encoder{buf: make([]byte, 0, sizeOf(ev)), stamp: st, change: &task.Change{}}
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
	return e.buf, e.change, nil
}

// encoder appends to buf and hands ranges of it to the change. When buf has to
// grow, a range stays where it was written: the same bytes, in memory that the
// change then keeps besides. sizeOf makes that rare.
type encoder struct {
	buf    []byte
	stamp  Stamp
	change *task.Change
}

// since is the value that began at from.
func (e *encoder) since(from int) task.Raw {
	return task.Raw(e.buf[from:len(e.buf):len(e.buf)])
}

func (e *encoder) field(name string) { e.buf = field(e.buf, name) }

func (e *encoder) write(s string) { e.buf = append(e.buf, s...) }

func (e *encoder) statusUpdate(ev *a2a.TaskStatusUpdateEvent) error {
	e.change.Kind = task.KindStatus
	e.write(`{"statusUpdate":{`)
	e.buf = AppendString(field(e.buf, "taskId"), string(ev.TaskID))
	e.buf = AppendString(field(e.buf, "contextId"), ev.ContextID)
	if err := e.status(ev.Status); err != nil {
		return err
	}
	if err := e.metadata(ev.Metadata); err != nil {
		return err
	}
	e.write("}}")
	return nil
}

func (e *encoder) status(st a2a.TaskStatus) error {
	if st.Timestamp == nil {
		return fmt.Errorf("status without a timestamp")
	}
	e.change.Status = task.Status{State: st.State, At: st.Timestamp.UTC().Truncate(time.Millisecond)}
	e.field("status")
	e.write("{")
	e.buf = AppendString(field(e.buf, "state"), st.State.String())
	e.buf = AppendTime(field(e.buf, "timestamp"), *st.Timestamp)
	if st.Message != nil {
		e.field("message")
		m := &task.Message{ID: mend(st.Message.ID)}
		from := len(e.buf)
		var err error
		if e.buf, err = AppendMessage(e.buf, st.Message); err != nil {
			return fmt.Errorf("status.message: %w", err)
		}
		m.Raw = e.since(from)
		e.change.Status.Message = m
	}
	e.write("}")
	return nil
}

func (e *encoder) artifactUpdate(ev *a2a.TaskArtifactUpdateEvent) error {
	if ev.Artifact == nil {
		return fmt.Errorf("an artifact update without an artifact")
	}
	e.change.Kind = task.KindArtifact
	e.change.Append = ev.Append
	e.change.Superseded = e.stamp.Superseded
	e.write(`{"artifactUpdate":{`)
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
	e.write("}}")
	return nil
}

func (e *encoder) artifact(a *a2a.Artifact) (*task.Artifact, error) {
	out := newArtifact(len(a.Parts))
	out.ID, out.Name, out.Description = mend(string(a.ID)), mend(a.Name), mend(a.Description)
	for _, x := range a.Extensions {
		out.Extensions = append(out.Extensions, mend(x))
	}
	e.write("{")
	e.buf = AppendString(field(e.buf, "artifactId"), string(a.ID))
	e.buf = stringField(e.buf, "name", a.Name)
	e.buf = stringField(e.buf, "description", a.Description)
	e.field("parts")
	e.write("[")
	for i, p := range a.Parts {
		if i > 0 {
			e.write(",")
		}
		from := len(e.buf)
		var err error
		if e.buf, err = AppendPart(e.buf, p); err != nil {
			return nil, fmt.Errorf("parts[%d]: %w", i, err)
		}
		out.Parts = append(out.Parts, e.since(from))
	}
	e.write("]")
	e.buf = stringsField(e.buf, "extensions", a.Extensions)
	if len(a.Metadata) > 0 {
		e.field("metadata")
		e.write("{")
		var err error
		if out.Metadata, err = e.pairs(a.Metadata); err != nil {
			return nil, err
		}
		e.write("}")
	}
	e.write("}")
	return out, nil
}

// newArtifact makes an artifact with room for its parts; for one part, which
// most have, in one allocation.
func newArtifact(parts int) *task.Artifact {
	if parts != 1 {
		return &task.Artifact{Parts: make([]task.Raw, 0, parts)}
	}
	a := new(struct {
		task.Artifact
		one [1]task.Raw
	})
	a.Parts = a.one[:0]
	return &a.Artifact
}

// metadata writes the event's metadata with the stamp, and gives the fold what
// stands beside the stamp.
func (e *encoder) metadata(meta map[string]any) error {
	e.field("metadata")
	e.write("{")
	var err error
	if e.change.Metadata, err = e.pairs(meta); err != nil {
		return err
	}
	if e.buf[len(e.buf)-1] != '{' {
		e.write(",")
	}
	e.buf = appendStamp(e.buf, e.stamp)
	e.write("}")
	return nil
}

// pairs writes the members of an object, and gives them for the fold: nil if
// there are none. The stamp's key is ours alone.
func (e *encoder) pairs(meta map[string]any) (map[string]task.Raw, error) {
	var out map[string]task.Raw
	var room [4]string
	for _, k := range appendKeys(room[:0], meta) {
		if k == task.ResumeURI {
			continue
		}
		var err error
		if e.buf, err = appendKey(e.buf, k); err != nil {
			return nil, err
		}
		from := len(e.buf)
		if e.buf, err = appendAny(e.buf, meta[k]); err != nil {
			return nil, fmt.Errorf("metadata[%q]: %w", k, err)
		}
		if out == nil {
			out = make(map[string]task.Raw, len(meta))
		}
		out[k] = e.since(from)
	}
	return out, nil
}

func (e *encoder) task(t *a2a.Task) error {
	c := e.change
	c.Kind = task.KindTask
	e.write(`{"task":{`)
	e.buf = AppendString(field(e.buf, "id"), string(t.ID))
	e.buf = AppendString(field(e.buf, "contextId"), t.ContextID)
	if err := e.status(t.Status); err != nil {
		return err
	}
	if len(t.History) > 0 {
		c.History = make([]task.Message, len(t.History))
		e.field("history")
		e.write("[")
		for i, m := range t.History {
			if i > 0 {
				e.write(",")
			}
			from := len(e.buf)
			var err error
			if e.buf, err = AppendMessage(e.buf, m); err != nil {
				return fmt.Errorf("history[%d]: %w", i, err)
			}
			c.History[i].ID = mend(m.ID)
			c.History[i].Raw = e.since(from)
		}
		e.write("]")
	}
	if len(t.Artifacts) > 0 {
		e.field("artifacts")
		e.write("[")
		for i, a := range t.Artifacts {
			if i > 0 {
				e.write(",")
			}
			out, err := e.artifact(a)
			if err != nil {
				return fmt.Errorf("artifacts[%d]: %w", i, err)
			}
			c.Artifacts = append(c.Artifacts, out)
		}
		e.write("]")
	}
	if err := e.metadata(t.Metadata); err != nil {
		return err
	}
	e.write("}}")
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
	plain, err := appendMessage(make([]byte, 0, sizeOfMessage(m)), m, meta, nil)
	if err != nil {
		return err
	}
	e.change.Message = &task.Message{ID: mend(m.ID), Raw: plain}
	e.write(`{"message":`)
	if e.buf, err = appendMessage(e.buf, m, meta, &e.stamp); err != nil {
		return err
	}
	e.write("}")
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
