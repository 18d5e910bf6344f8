// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// childVariable makes the test program do something else in a process of its own.
const childVariable = "ERRAND_SQLITE_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "open":
		os.Exit(openChild())
	case "write":
		os.Exit(writeChild())
	}
	goleak.VerifyTestMain(m)
}

// testClock stands still until it is told to move.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *testClock {
	return &testClock{now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func openIn(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(dir, "store.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func ref(id string) task.Ref { return task.Ref{ID: id} }

const ttl = 15 * time.Second

// submission is a new task that asks to be claimed.
func submission(id string) *store.Submission {
	return &store.Submission{
		Ref: ref(id), Agent: "demo", ContextID: "context", Turn: 1,
		Message: []byte("message of " + id), MessageID: "m-" + id,
		Claim: &store.Taker{Worker: "worker", TTL: ttl},
	}
}

// ending is the append that completes a claimed task.
func ending(c *store.Claim) *store.Append {
	last := c.Head.LastSeq
	return &store.Append{
		Ref: c.Head.Ref, Epoch: c.Head.Epoch, LastSeq: last, LastTurn: c.Head.LastTurn,
		Batch:    &store.Batch{First: last + 1, Last: last + 2, Body: []byte("records of " + c.Head.ID)},
		View:     &store.View{State: "COMPLETED", StatusAt: time.Now(), Listed: true, Closed: true},
		Snapshot: &store.Snapshot{Seq: last + 2, Body: []byte("snapshot of " + c.Head.ID)},
		Item:     c.Item, Finish: &store.Finish{State: store.Completed, EndTurn: true},
	}
}

// submit makes a task, which must be claimed at once.
func submit(t *testing.T, s *Store, id string) *store.Claim {
	t.Helper()
	out, err := s.Submit(t.Context(), submission(id))
	if err != nil {
		t.Fatalf("submit %s: %v", id, err)
	}
	if out.Claim == nil {
		t.Fatalf("submit %s: not claimed", id)
	}
	return out.Claim
}

// blocked runs do, which starts calls, while the committer stands still, waits
// until n of them wait, and lets it go on with all of them in one batch.
func blocked(t *testing.T, s *Store, n int, do func()) {
	t.Helper()
	standing, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.Between(func() {
			close(standing)
			<-goOn
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-standing
	do()
	eventually(t, fmt.Sprintf("%d calls wait", n), func() bool { return s.Backlog() >= n })
	close(goOn)
	wg.Wait()
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never happened: %s", what)
		}
	}
}

// sql runs a statement on a connection of its own, as an operator might.
func sql(t *testing.T, dir, text string) {
	t.Helper()
	c, err := openConn(filepath.Join(dir, "store.db"), "BEGIN", everywhere())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Script(text); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
