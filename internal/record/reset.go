// SPDX-License-Identifier: Apache-2.0

package record

import (
	"github.com/errand-a2a/errand/internal/task"
)

// EncodeReset makes the artifact update that gives an artifact the content it
// had before a failed attempt touched it. If there was none (old is nil) it
// has one empty text part, since the protocol wants one, and the stamp says
// superseded: our fold drops the artifact and a stock client sees it emptied.
func EncodeReset(taskID, contextID, artifactID string, old *task.Artifact, st Stamp) (task.Raw, *task.Change) {
	if old == nil {
		old = &task.Artifact{ID: artifactID, Parts: []task.Raw{task.Raw(`{"text":""}`)}}
		st.Superseded = true
	}
	buf := append(make([]byte, 0, 512), `{"artifactUpdate":{`...)
	buf = AppendString(field(buf, "taskId"), taskID)
	buf = AppendString(field(buf, "contextId"), contextID)
	buf = appendArtifact(field(buf, "artifact"), old)
	buf = append(field(buf, "lastChunk"), "true"...)
	buf = append(field(buf, "metadata"), '{')
	buf = append(appendStamp(buf, st), "}}}"...)
	return buf, &task.Change{Kind: task.KindArtifact, Artifact: old, Superseded: st.Superseded}
}
