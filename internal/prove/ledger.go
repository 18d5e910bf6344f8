// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// What an Entry tells.
const (
	opSend     = "send"     // a message was acknowledged and made a task
	opFollowUp = "followup" // a message to a task was acknowledged
	opRefused  = "refused"  // a message to a task was refused
	opCancel   = "cancel"   // a cancellation was answered
	opRepeat   = "repeat"   // a message was sent again with its key
	opStream   = "stream"   // a stream was read to its end
	opIntend   = "intend"   // an operation is about to be asked for
)

// Entry is one acknowledged operation, or one that is intended.
type Entry struct {
	Op   string `json:"op"`
	Task string `json:"task"`
	// Of is the operation that is intended.
	Of string `json:"of,omitempty"`
	// Text, Message and Key are the command, the messageId and the
	// idempotency key of what was sent.
	Text    string `json:"text,omitempty"`
	Message string `json:"message,omitempty"`
	Key     string `json:"key,omitempty"`
	// State is the state in the answer; of a cancellation that was refused,
	// empty.
	State string `json:"state,omitempty"`
	// From is the sequence of the first frame that a stream showed, Frames
	// the hashes of all of them.
	From   int      `json:"from,omitempty"`
	Frames []string `json:"frames,omitempty"`
	// Snapshot is the Task with which the stream of a follow-up begins in
	// place of the event with its sequence. Parked says that the task waited
	// for the follow-up, whose turn then began with it.
	Snapshot json.RawMessage `json:"snapshot,omitempty"`
	Parked   bool            `json:"parked,omitempty"`
}

// Ledger is the file of what a server acknowledged. It stands outside the
// server, and Append returns once the entry is synced: only then may the
// prover count an operation. Entries that wait share one sync.
type Ledger struct {
	file *os.File

	mu      sync.Mutex
	waiting []byte
	// round is the sync that what waits now takes part in.
	round *syncRound
	busy  bool
}

type syncRound struct {
	done chan struct{}
	err  error
}

// OpenLedger makes a new file.
func OpenLedger(path string) (*Ledger, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return &Ledger{file: f, round: &syncRound{done: make(chan struct{})}}, nil
}

// ReopenLedger goes on with a file, or makes it where there is none. What a
// prover that was killed has left of a line is cut off: it was never synced, so
// it never counted.
func ReopenLedger(path string) (*Ledger, error) {
	f, err := openLines(path)
	if err != nil {
		return nil, fmt.Errorf("reopen ledger: %w", err)
	}
	return &Ledger{file: f, round: &syncRound{done: make(chan struct{})}}, nil
}

// Append writes an entry and syncs the file.
func (l *Ledger) Append(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode ledger entry: %w", err)
	}
	l.mu.Lock()
	l.waiting = append(append(l.waiting, line...), '\n')
	round := l.round
	if !l.busy {
		l.busy = true
		go l.flush()
	}
	l.mu.Unlock()
	<-round.done
	return round.err
}

// Note writes an entry and does not sync it: it is there for the next prover
// when this one is killed, which is all that an intention needs.
func (l *Ledger) Note(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode ledger entry: %w", err)
	}
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

// flush syncs rounds until none waits.
func (l *Ledger) flush() {
	for {
		l.mu.Lock()
		if len(l.waiting) == 0 {
			l.busy = false
			l.mu.Unlock()
			return
		}
		data, round := l.waiting, l.round
		l.waiting, l.round = nil, &syncRound{done: make(chan struct{})}
		l.mu.Unlock()
		if _, err := l.file.Write(data); err != nil {
			round.err = fmt.Errorf("write ledger: %w", err)
		} else if err := l.file.Sync(); err != nil {
			round.err = fmt.Errorf("sync ledger: %w", err)
		}
		close(round.done)
	}
}

// Close closes the file.
func (l *Ledger) Close() error { return l.file.Close() }

// ReadLedger reads a ledger back.
func ReadLedger(path string) ([]Entry, error) {
	entries, err := readLines[Entry](path)
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	return entries, nil
}

// readLines reads a file of JSON lines. A last line that does not end was being
// written when its writer was killed, and is not read.
func readLines[T any](path string) ([]T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []T
	lines := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		var one T
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, fmt.Errorf("line %d of %s: %w", len(all)+1, path, err)
		}
		all = append(all, one)
	}
}

// openLines opens a file of JSON lines at the end of its last whole line.
func openLines(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	end, err := wholeLines(f)
	if err == nil {
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// wholeLines is how many bytes of a file are lines that end.
func wholeLines(f *os.File) (int64, error) {
	var end int64
	for lines := bufio.NewReaderSize(f, 1<<20); ; {
		line, err := lines.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF):
			return end, nil
		case err != nil:
			return 0, err
		}
		end += int64(len(line))
	}
}
