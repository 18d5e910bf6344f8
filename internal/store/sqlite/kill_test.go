// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/errand-a2a/errand/internal/store"
)

// writeChild works on a store until it is killed. Whatever the store has
// acknowledged it writes to a file of its own, synced, before it goes on.
func writeChild() int {
	ctx := context.Background()
	s, err := Open(ctx, os.Getenv("ERRAND_SQLITE_TEST_PATH"), Options{CheckpointBytes: 1 << 20})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	acks, err := os.OpenFile(os.Getenv("ERRAND_SQLITE_TEST_PATH")+".acks", os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_SYNC, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for n := 0; ; n++ {
				if err := work(ctx, s, acks, fmt.Sprintf("%d-%02d-%04d", os.Getpid(), g, n)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
	return 0
}

// work makes a task, appends to it a few times and ends it, mostly.
func work(ctx context.Context, s *Store, acks *os.File, id string) error {
	ack := func(seq uint64, closed bool) error {
		_, err := fmt.Fprintf(acks, "%s %d %v\n", id, seq, closed) // one write
		return err
	}
	sub := submission(id)
	sub.Message = bytes.Repeat([]byte(id), 40)
	sub.Agent = fmt.Sprint(os.Getpid()) // of which nothing else is ready, so that it is claimed
	out, err := s.Submit(ctx, sub)
	if err != nil {
		return err
	}
	if out.Claim == nil {
		return fmt.Errorf("%s was not claimed", id)
	}
	if err := ack(0, false); err != nil {
		return err
	}
	head := &out.Claim.Head
	for range rand.IntN(4) {
		a := &store.Append{
			Ref: head.Ref, Epoch: head.Epoch, LastSeq: head.LastSeq, Item: out.Claim.Item, Extend: ttl,
			Batch: &store.Batch{First: head.LastSeq + 1, Last: head.LastSeq + 3, Body: bytes.Repeat([]byte{byte(head.LastSeq)}, 700)},
		}
		if _, err := s.Append(ctx, a); err != nil {
			return err
		}
		head.LastSeq += 3
		if err := ack(head.LastSeq, false); err != nil {
			return err
		}
	}
	if rand.IntN(5) == 0 {
		return nil // stays open
	}
	if _, err := s.Append(ctx, ending(out.Claim)); err != nil {
		return err
	}
	return ack(head.LastSeq+2, true)
}

type acked struct {
	seq    uint64
	closed bool
}

func readAcks(t *testing.T, path string) map[string]acked {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		return nil // not yet
	}
	defer func() { _ = f.Close() }() // only read
	out := map[string]acked{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var id string
		var a acked
		if _, err := fmt.Sscan(lines.Text(), &id, &a.seq, &a.closed); err != nil {
			continue // the last line, cut off
		}
		out[id] = a
	}
	return out
}

func TestWhatWasAcknowledgedSurvivesKills(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	const rounds = 20
	checked := 0
	for round := range rounds {
		before := len(readAcks(t, path+".acks"))
		cmd := child(t, "write", path)
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		enough := before + 20 + rand.IntN(100)
		eventually(t, "the child works", func() bool { return len(readAcks(t, path+".acks")) >= enough })
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		if said.Len() > 0 {
			t.Fatalf("round %d: the child failed: %s", round, said.String())
		}
		checked = check(t, path, readAcks(t, path+".acks"))
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	t.Logf("%d kills, %d tasks", rounds, checked)
}

// check opens the store and compares it with what was acknowledged.
func check(t *testing.T, path string, acks map[string]acked) int {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if got, err := s.db.writer.pragma("integrity_check"); err != nil || got[0] != "ok" {
		t.Errorf("integrity: %v, %v", got, err)
	}
	for id, a := range acks {
		head, log, err := s.Read(t.Context(), ref(id), 0, 1<<30)
		switch {
		case err != nil:
			t.Errorf("%s: %v", id, err)
		case head.LastSeq < a.seq || a.closed && !head.Closed:
			t.Errorf("%s is at %d, closed %v; acknowledged was %d, closed %v", id, head.LastSeq, head.Closed, a.seq, a.closed)
		case head.Running:
			t.Errorf("%s runs, but whoever ran it is dead", id)
		}
		next := uint64(1)
		for _, b := range log {
			if b.First != next {
				t.Errorf("%s: record %d is missing", id, next)
			}
			next = b.Last + 1
		}
		if next != head.LastSeq+1 {
			t.Errorf("%s: the log ends before %d", id, head.LastSeq)
		}
		stored, err := s.Load(t.Context(), ref(id))
		if err != nil || head.Closed && (stored.Snapshot == nil || !strings.HasSuffix(string(stored.Snapshot.Body), id)) {
			t.Errorf("%s: snapshot %v, %v", id, stored.Snapshot, err)
		}
	}
	open, err := s.db.writer.first("SELECT COUNT(*) FROM tasks WHERE closed = 0")
	if err != nil {
		t.Fatal(err)
	}
	if ready, err := s.db.writer.first("SELECT COUNT(*) FROM items WHERE place = 1"); err != nil || ready[0] != open[0] {
		t.Errorf("%v tasks are open and %v items ready (%v)", open, ready, err)
	}
	return len(acks)
}
