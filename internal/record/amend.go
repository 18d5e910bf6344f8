// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"fmt"
	"maps"

	"github.com/errand-a2a/errand/internal/task"
)

// Amend adds to the metadata of a recorded event (no message) and gives what
// is new to the fold. All that the agent said keeps its bytes: decoded and
// encoded again, its integers above 2^53 would be others.
func Amend(r Record, more map[string]any) (task.Raw, map[string]task.Raw, error) {
	c, err := Parse(r)
	if err != nil {
		return nil, nil, err
	}
	added := make(map[string]task.Raw, len(more))
	for k, v := range more {
		if added[k], err = appendAny(nil, v); err != nil {
			return nil, nil, fmt.Errorf("metadata[%q]: %w", k, err)
		}
	}
	// The metadata stands last in an event, and in it the stamp.
	at := bytes.LastIndex(r.Event, []byte(`"`+task.ResumeURI+`":{"sequence":`))
	head, ok := bytes.CutSuffix(r.Event[:max(at, 0)], appendMembers(nil, c.Metadata))
	if !ok || at < 0 {
		return nil, nil, fmt.Errorf("event %d: its metadata is not where we write it: %w", r.Seq, ErrCorrupt)
	}
	all := maps.Clone(c.Metadata)
	if all == nil {
		all = added
	}
	maps.Copy(all, added)
	raw := append(make([]byte, 0, 2*len(r.Event)), head...)
	return append(appendMembers(raw, all), r.Event[at:]...), added, nil
}

// appendMembers appends metadata up to the stamp.
func appendMembers(dst []byte, meta map[string]task.Raw) []byte {
	dst = append(dst, `"metadata":{`...)
	if len(meta) == 0 {
		return dst
	}
	return append(appendPairs(dst, meta), ',')
}
