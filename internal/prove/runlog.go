// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// Entries of a run's log are of one of these; the others are nil.
type runEntry struct {
	At        time.Time  `json:"at"`
	Begin     *beginning `json:"begin,omitempty"`
	Kill      *Kill      `json:"kill,omitempty"`
	Check     *checking  `json:"check,omitempty"`
	Violation *Violation `json:"violation,omitempty"`
}

// beginning is that of a sitting.
type beginning struct {
	Seed   uint64 `json:"seed"`
	Binary string `json:"binary"`
	// Open is how many operations the sitting before had left unanswered.
	Open int `json:"open,omitempty"`
}

// checking is one check: of a round, or in the end of everything.
type checking struct {
	Round      int   `json:"round,omitempty"`
	Final      bool  `json:"final,omitempty"`
	Kills      int   `json:"kills"`
	Tasks      int   `json:"tasks"`
	Operations int   `json:"operations"`
	Events     int   `json:"events"`
	Violations int   `json:"violations"`
	TookMS     int64 `json:"tookMs"`
}

// progress is what the log of a run says.
type progress struct {
	begun    *beginning // the first sitting
	sittings int
	kills    KillReport
	checked  *checking // the last check
	// rounds is how many rounds have been checked, each near its kills, and
	// roundsAt when the last of them was.
	rounds     int
	roundsAt   time.Time
	violations []Violation
}

// runLog is the synced log of a run. It stands beside the ledgers; with them it
// is all that a run is gone on with.
type runLog struct {
	mu   sync.Mutex
	file *os.File
}

// openRunLog opens or makes a log and tells what it says.
func openRunLog(path string) (*runLog, *progress, error) {
	p := &progress{}
	entries, err := readLines[runEntry](path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("read the run's log: %w", err)
	}
	for _, e := range entries {
		p.take(e)
	}
	f, err := openLines(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open the run's log: %w", err)
	}
	return &runLog{file: f}, p, nil
}

func (p *progress) take(e runEntry) {
	switch {
	case e.Begin != nil:
		if p.sittings++; p.begun == nil {
			p.begun = e.Begin
		}
	case e.Kill != nil:
		p.kills = append(p.kills, *e.Kill)
	case e.Check != nil:
		p.checked = e.Check
		if e.Check.Round > 0 {
			p.rounds, p.roundsAt = e.Check.Round, e.At
		}
	case e.Violation != nil:
		p.violations = append(p.violations, *e.Violation)
	}
}

// done reports whether the last thing was a check of everything after so many
// kills.
func (p *progress) done(kills int) bool {
	return len(p.kills) >= kills && p.checked != nil && p.checked.Final && p.checked.Kills == len(p.kills)
}

// add writes an entry and syncs it.
func (l *runLog) add(e runEntry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode the run's log: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write the run's log: %w", err)
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("sync the run's log: %w", err)
	}
	return nil
}

func (l *runLog) close() error { return l.file.Close() }
