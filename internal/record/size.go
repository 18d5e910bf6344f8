// SPDX-License-Identifier: Apache-2.0

package record

import "github.com/a2aproject/a2a-go/v2/a2a"

// sizeOf guesses how long an encoded event is, so that its buffer is made once
// and holds little more: the fold keeps it. A wrong guess costs an allocation.
func sizeOf(ev a2a.Event) int {
	const frame, member = 304, 96
	switch ev := ev.(type) {
	case *a2a.TaskStatusUpdateEvent:
		return frame + member*len(ev.Metadata) + sizeOfMessage(ev.Status.Message)
	case *a2a.TaskArtifactUpdateEvent:
		n := frame - 16 + member*len(ev.Metadata)
		if ev.Artifact != nil {
			n += len(ev.Artifact.Name) + len(ev.Artifact.Description) + sizeOfParts(ev.Artifact.Parts)
		}
		return n
	case *a2a.Task:
		n := frame + member*len(ev.Metadata) + sizeOfMessage(ev.Status.Message)
		for _, m := range ev.History {
			n += sizeOfMessage(m)
		}
		for _, a := range ev.Artifacts {
			if a != nil {
				n += member + sizeOfParts(a.Parts)
			}
		}
		return n
	case *a2a.Message:
		return frame + sizeOfMessage(ev)
	}
	return frame
}

func sizeOfMessage(m *a2a.Message) int {
	if m == nil {
		return 0
	}
	return 224 + sizeOfParts(m.Parts)
}

func sizeOfParts(parts a2a.ContentParts) int {
	n := 0
	for _, p := range parts {
		if p == nil {
			continue
		}
		n += 16 + len(p.Filename) + len(p.MediaType)
		switch c := p.Content.(type) {
		case a2a.Text:
			n += len(c) + len(c)/32
		case a2a.Raw:
			n += len(c)/3*4 + 4
		case a2a.URL:
			n += len(c)
		}
	}
	return n
}
