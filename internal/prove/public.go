// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"io"
	"maps"
)

// ResumeKey is the metadata key under which every event carries its sequence.
const ResumeKey = resumeKey

// Frames reads server-sent events as the machinery of this package does: what a
// cut left of one is nothing.
type Frames struct{ r *frameReader }

// NewFrames reads the events of r.
func NewFrames(r io.Reader) *Frames { return &Frames{newFrameReader(r)} }

// Next returns the next event, io.EOF at a clean end and io.ErrUnexpectedEOF
// within an event. Without data it is a keep-alive.
func (f *Frames) Next() (id string, data []byte, err error) {
	raw, err := f.r.next()
	return raw.id, raw.data, err
}

// Folded is a task as far as its events were applied to it.
type Folded struct{ task object }

// Apply applies the next event, a StreamResponse as JSON.
func (f *Folded) Apply(event []byte) error {
	e, err := parseObject(event)
	if err != nil {
		return err
	}
	next, err := fold(f.task, e)
	if err != nil {
		return err
	}
	f.task = next
	return nil
}

// Text writes the task so that two that mean the same look the same.
func (f *Folded) Text() string { return canonical(f.task) }

// TaskText writes a task as JSON in the way of Folded.Text, without what
// belongs to a frame and not to the task.
func TaskText(task []byte) (string, error) {
	t, err := parseObject(task)
	if err != nil {
		return "", err
	}
	t = maps.Clone(t)
	t["metadata"] = map[string]any(withoutResume(t.at("metadata")))
	return canonical(t), nil
}
