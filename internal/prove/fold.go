// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"fmt"
	"maps"
	"slices"
)

// fold applies one event to a task and returns the task. It is written from
// the specification and from DESIGN, not from the engine's. It changes task and
// may change event.
func fold(task, event object) (object, error) {
	if t := event.at("task"); t != nil {
		if task != nil {
			return nil, fmt.Errorf("a second Task frame")
		}
		first := maps.Clone(t)
		first["metadata"] = withoutResume(t.at("metadata"))
		return first, nil
	}
	if task == nil {
		return nil, fmt.Errorf("the first frame is no Task: %s", canonical(event))
	}
	if u := event.at("statusUpdate"); u != nil {
		foldStatus(task, u)
		return task, nil
	}
	if u := event.at("artifactUpdate"); u != nil {
		return task, foldArtifact(task, u)
	}
	return nil, fmt.Errorf("neither task nor update: %s", canonical(event))
}

func foldStatus(task, update object) {
	if old := task.at("status", "message"); old != nil {
		if update.at("status", "message").str("messageId") != old.str("messageId") {
			history, _ := task["history"].([]any)
			task["history"] = append(slices.Clip(history), map[string]any(old))
		}
	}
	task["status"] = map[string]any(update.at("status"))
	foldMetadata(task, update)
}

func foldArtifact(task, update object) error {
	artifact := update.at("artifact")
	id := artifact.str("artifactId")
	artifacts, _ := task["artifacts"].([]any)
	known := slices.IndexFunc(artifacts, func(a any) bool {
		m, _ := a.(map[string]any)
		return object(m).str("artifactId") == id
	})
	switch {
	case update.at("metadata", resumeKey).flag("superseded"):
		if known >= 0 {
			artifacts = slices.Delete(artifacts, known, known+1)
		}
	case !update.flag("append") && known >= 0:
		artifacts[known] = map[string]any(artifact)
	case !update.flag("append"):
		artifacts = append(artifacts, map[string]any(artifact))
	case known < 0:
		return fmt.Errorf("appends to the artifact %q, which is not there", id)
	default:
		appendParts(artifacts[known].(map[string]any), artifact)
	}
	task["artifacts"] = artifacts
	foldMetadata(task, update)
	return nil
}

func appendParts(to map[string]any, chunk object) {
	old, _ := to["parts"].([]any)
	more, _ := chunk["parts"].([]any)
	to["parts"] = append(old, more...)
	if m := chunk.at("metadata"); len(m) > 0 {
		merged, _ := to["metadata"].(map[string]any)
		to["metadata"] = merge(merged, m)
	}
}

func foldMetadata(task, update object) {
	if m := withoutResume(update.at("metadata")); len(m) > 0 {
		old, _ := task["metadata"].(map[string]any)
		task["metadata"] = merge(old, m)
	}
}

func merge(old, more map[string]any) map[string]any {
	merged := maps.Clone(old)
	if merged == nil {
		merged = make(map[string]any, len(more))
	}
	maps.Copy(merged, more)
	return merged
}

// withoutResume is metadata as the fold sees it: the sequence and the attempt
// belong to the frame.
func withoutResume(metadata object) map[string]any {
	m := maps.Clone(metadata)
	delete(m, resumeKey)
	return m
}

// eventState is the state that a frame sets, "" where it sets none.
func eventState(event object) string {
	if t := event.at("task"); t != nil {
		return t.state()
	}
	return event.at("statusUpdate").state()
}

// eventMeta is what a frame's metadata says about its place in the log.
func eventMeta(event object) (sequence, attempt int) {
	for _, kind := range []string{"task", "statusUpdate", "artifactUpdate", "message"} {
		if m := event.at(kind, "metadata", resumeKey); m != nil {
			return m.number("sequence"), m.number("attempt")
		}
	}
	return -1, -1
}
