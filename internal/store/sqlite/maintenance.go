// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// checkpointPause is how long the log may grow before it is looked at again,
// failedPause the same after a checkpoint that failed: on a full disk the next
// one mostly will too.
const (
	checkpointPause = 50 * time.Millisecond
	failedPause     = time.Second
)

// checkpoints brings the write-ahead log into the file, outside of any commit.
func (s *Store) checkpoints() {
	pause := time.NewTimer(checkpointPause)
	defer pause.Stop()
	failing := false
	for {
		select {
		case <-s.stop:
			return
		case <-s.db.committed:
		}
		wait := checkpointPause
		if s.db.logBytes() >= s.db.o.CheckpointBytes {
			err := s.checkpoint()
			if err != nil {
				wait = failedPause
			}
			if err != nil && !failing {
				s.db.o.Logger.Warn("sqlite: the write-ahead log grows until a checkpoint succeeds", "error", err)
			}
			if err == nil && failing {
				s.db.o.Logger.Info("sqlite: a checkpoint has succeeded again")
			}
			failing = err != nil
		}
		pause.Reset(wait)
		select {
		case <-s.stop:
			return
		case <-pause.C:
		}
	}
}

// checkpoint copies the log into the file while commits go on, and then the
// little that was added meanwhile between two of them: only so is the log
// complete for a moment, and the next commit begins it anew.
func (s *Store) checkpoint() error {
	if err := s.db.checkpoint(); err != nil {
		return err
	}
	var err error
	if e := s.Between(func() { err = s.db.checkpoint() }); e != nil {
		return nil // the store is being closed, which makes a checkpoint too
	}
	return err
}

// checkpoint copies what is in the log when it begins, as far as no reader
// needs it to stay.
func (d *database) checkpoint() error {
	d.keeping.Lock()
	defer d.keeping.Unlock()
	if d.keeper == nil {
		return nil
	}
	if _, err := d.keeper.pragma("wal_checkpoint(PASSIVE)"); err != nil {
		return fmt.Errorf("bring the write-ahead log into the file: %w", err)
	}
	return nil
}

// sweeps removes idempotency keys that have expired.
func (s *Store) sweeps() {
	t := time.NewTicker(s.db.o.SweepEvery)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
		}
		if err := s.SweepKeys(context.Background()); err != nil && !errors.Is(err, store.ErrStopped) {
			s.db.o.Logger.Warn("sqlite: sweep expired idempotency keys", "error", err)
		}
	}
}
