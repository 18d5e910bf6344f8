// SPDX-License-Identifier: Apache-2.0

package record

import "github.com/errand-a2a/errand/internal/task"

// View says how much of a task an answer shows.
type View struct {
	// History is the number of most recent messages; nil shows all.
	History *int
	// NoArtifacts leaves the artifacts out.
	NoArtifacts bool
	// Stamp, if set, stands in the metadata.
	Stamp *Stamp
}

// AppendTask appends a folded task as a Task. The cost is that of the answer.
func AppendTask(dst []byte, s *task.State, v View) []byte {
	dst = append(dst, '{')
	dst = AppendString(field(dst, "id"), s.ID)
	dst = AppendString(field(dst, "contextId"), s.ContextID)
	dst = append(field(dst, "status"), '{')
	dst = AppendString(field(dst, "state"), s.Status.State.String())
	dst = AppendTime(field(dst, "timestamp"), s.Status.At)
	if m := s.Status.Message; m != nil {
		dst = append(field(dst, "message"), m.Raw...)
	}
	dst = append(dst, '}')
	if !v.NoArtifacts && len(s.Artifacts) > 0 {
		dst = append(field(dst, "artifacts"), '[')
		for i, a := range s.Artifacts {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendArtifact(dst, a)
		}
		dst = append(dst, ']')
	}
	dst = appendHistory(dst, s.History, v.History)
	if len(s.Metadata) > 0 || v.Stamp != nil {
		dst = append(field(dst, "metadata"), '{')
		dst = appendPairs(dst, s.Metadata)
		if v.Stamp != nil {
			if dst[len(dst)-1] != '{' {
				dst = append(dst, ',')
			}
			dst = appendStamp(dst, *v.Stamp)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func appendHistory(dst []byte, history []task.Message, limit *int) []byte {
	if limit != nil && *limit < len(history) {
		history = history[len(history)-max(*limit, 0):]
	}
	if len(history) == 0 {
		return dst
	}
	dst = append(field(dst, "history"), '[')
	for i, m := range history {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, m.Raw...)
	}
	return append(dst, ']')
}

func appendArtifact(dst []byte, a *task.Artifact) []byte {
	dst = append(dst, '{')
	dst = AppendString(field(dst, "artifactId"), a.ID)
	dst = stringField(dst, "name", a.Name)
	dst = stringField(dst, "description", a.Description)
	dst = append(field(dst, "parts"), '[')
	for i, p := range a.Parts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, p...)
	}
	dst = append(dst, ']')
	dst = stringsField(dst, "extensions", a.Extensions)
	if len(a.Metadata) > 0 {
		dst = append(field(dst, "metadata"), '{')
		dst = append(appendPairs(dst, a.Metadata), '}')
	}
	return append(dst, '}')
}

func appendPairs(dst []byte, meta map[string]task.Raw) []byte {
	var room [4]string
	for _, k := range appendKeys(room[:0], meta) {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(append(AppendString(dst, k), ':'), meta[k]...)
	}
	return dst
}

// AppendTaskFrame appends a StreamResponse that carries the folded task.
func AppendTaskFrame(dst []byte, s *task.State, v View) []byte {
	dst = append(dst, `{"task":`...)
	return append(AppendTask(dst, s, v), '}')
}

// AppendReply appends the SendMessageResponse of a settled task or of a
// Message reply.
func AppendReply(dst []byte, s *task.State, v View) []byte {
	if s.Reply != nil {
		dst = append(dst, `{"message":`...)
		return append(append(dst, s.Reply.Raw...), '}')
	}
	return AppendTaskFrame(dst, s, v)
}
