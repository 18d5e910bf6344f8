// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"fmt"

	"github.com/errand-a2a/errand/internal/task"
)

// Fold applies the records after s.Seq, in order; older ones are skipped.
func Fold(s *task.State, recs []Record) error {
	for _, r := range recs {
		if r.Seq <= s.Seq {
			continue
		}
		if r.Seq != s.Seq+1 {
			return fmt.Errorf("event %d follows %d: %w", r.Seq, s.Seq, ErrCorrupt)
		}
		c, err := Parse(r)
		if err != nil {
			return err
		}
		if err := s.Apply(c); err != nil {
			return fmt.Errorf("event %d: %w", r.Seq, errors.Join(ErrCorrupt, err))
		}
	}
	return nil
}

// Open folds a task from its snapshot (nil: none) and the batches after it.
func Open(id, contextID string, snapshot []byte, batches [][]byte) (*task.State, error) {
	s := task.NewState(id, contextID)
	if snapshot != nil {
		var err error
		if s, err = DecodeSnapshot(snapshot); err != nil {
			return nil, fmt.Errorf("task %s: snapshot: %w", id, err)
		}
	}
	for _, b := range batches {
		recs, err := DecodeBatch(b)
		if err != nil {
			return nil, fmt.Errorf("task %s: log: %w", id, err)
		}
		if err := Fold(s, recs); err != nil {
			return nil, fmt.Errorf("task %s: log: %w", id, err)
		}
	}
	return s, nil
}
