// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/agent/demo"
	"github.com/errand-a2a/errand/internal/node"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
)

// kept is the store of a node after a few operations, and what was acknowledged
// and answered.
type kept struct {
	path, ledger string
	answers      Answers
	// asked is a task of two turns, failed one whose first attempt failed,
	// canceled one that was canceled while it ran.
	asked, failed, canceled string
}

// keep lets a node in this process carry out operations of each kind and stops it.
func keep(t *testing.T) *kept {
	t.Helper()
	dir := t.TempDir()
	k := &kept{path: filepath.Join(dir, "errand.db"), ledger: filepath.Join(dir, "ledger")}
	client, stop := serve(t, k.path)
	defer stop()
	ledger, err := OpenLedger(k.ledger)
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	tokens := make(chan struct{})
	close(tokens)
	load := NewLoad(client, ledger, 1, 1)
	play := func(scenes ...func(*script) error) string {
		s := &script{load: load, tokens: tokens}
		for _, scene := range scenes {
			if err := scene(s); err != nil {
				t.Fatal(err)
			}
		}
		return s.task
	}
	send := func(text string) func(*script) error {
		return func(s *script) error { return s.send(t.Context(), newMessage("", text), false) }
	}
	k.asked = play(send("ask who"), func(s *script) error { return s.streamAnswer(t.Context(), true) })
	k.failed = play(send("flaky 1"))
	k.canceled = play(func(s *script) error { return s.cancel(t.Context(), "hang") })
	play(send("ask nobody"))
	play(func(s *script) error { return s.repeat(t.Context(), "echo twice") })
	k.check(t, client)
	return k
}

// serve serves the demo agent on a store until stop is called.
func serve(t *testing.T, path string) (_ *Client, stop func()) {
	t.Helper()
	st, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := node.Options{
		Store: st, Agents: []agent.Agent{demo.Agent()}, PublicURL: "http://127.0.0.1", Logger: slog.New(slog.DiscardHandler),
	}
	o.Worker.ID = "w"
	n, err := node.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- n.Run(ctx) }()
	server := httptest.NewServer(n.Handler())
	client := NewClient(server.URL + "/")
	return client, func() {
		client.Close()
		server.Close()
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

// check finds nothing over the wire and remembers what was answered.
func (k *kept) check(t *testing.T, client *Client) {
	t.Helper()
	checker := NewChecker(client)
	report, err := checker.CheckLedgers(t.Context(), time.Time{}, k.ledger)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Violations {
		t.Error(v)
	}
	k.answers = checker.Answers()
}

func (k *kept) stories(t *testing.T) map[string]*story {
	t.Helper()
	entries, err := ReadLedger(k.ledger)
	if err != nil {
		t.Fatal(err)
	}
	return tellStories(entries)
}

// doctored is a store that tells of one task what a test wants.
type doctored struct {
	store.Store
	task     string
	fault    error
	stored   func(*store.Stored)
	batches  func([]store.Batch) []store.Batch
	turns    func([]store.Turn) []store.Turn
	attempts func([]store.Attempt) []store.Attempt
	ready    []store.Claim
	due      time.Duration
}

func (d *doctored) Load(ctx context.Context, ref task.Ref) (store.Stored, error) {
	st, err := d.Store.Load(ctx, ref)
	if ref.ID == d.task && d.fault != nil {
		return store.Stored{}, d.fault
	}
	if ref.ID == d.task && d.stored != nil {
		d.stored(&st)
	}
	return st, err
}

func (d *doctored) Read(ctx context.Context, ref task.Ref, after uint64, maxBytes int) (store.Head, []store.Batch, error) {
	h, batches, err := d.Store.Read(ctx, ref, after, maxBytes)
	if ref.ID == d.task && d.batches != nil {
		batches = d.batches(batches)
	}
	return h, batches, err
}

func (d *doctored) Turns(ctx context.Context, ref task.Ref, after, limit int) ([]store.Turn, error) {
	turns, err := d.Store.Turns(ctx, ref, after, limit)
	if ref.ID == d.task && d.turns != nil {
		turns = d.turns(turns)
	}
	return turns, err
}

func (d *doctored) Attempts(ctx context.Context, ref task.Ref) ([]store.Attempt, error) {
	attempts, err := d.Store.Attempts(ctx, ref)
	if ref.ID == d.task && d.attempts != nil {
		attempts = d.attempts(attempts)
	}
	return attempts, err
}

func (d *doctored) Claim(context.Context, store.ClaimRequest) ([]store.Claim, error) {
	return d.ready, nil
}

func (d *doctored) Promote(context.Context, store.PromoteRequest) (store.Promoted, error) {
	return store.Promoted{Next: d.due}, nil
}

func (k *kept) inspect(t *testing.T, st store.Store, stories map[string]*story) *Report {
	t.Helper()
	c := &storeCheck{store: st, answers: k.answers}
	c.checkAll(t.Context(), stories)
	if err := c.checkIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &c.report
}

// recode changes the last record of the second batch.
func recode(batches []store.Batch, change func(*record.Record)) []store.Batch {
	records, err := record.DecodeBatch(batches[1].Body)
	if err != nil {
		panic(err)
	}
	change(&records[len(records)-1])
	batches[1].Body = record.EncodeBatch(records)
	return batches
}

// withSnapshot puts what the log folds to in the place of the log.
func withSnapshot(s *store.Stored, change func(*task.State)) {
	var bodies [][]byte
	for _, b := range s.Tail {
		bodies = append(bodies, b.Body)
	}
	state, err := record.Open(s.Head.ID, s.Head.ContextID, nil, bodies)
	if err != nil {
		panic(err)
	}
	change(state)
	s.Snapshot, s.Tail = &store.Snapshot{Seq: state.Seq, Body: record.EncodeSnapshot(state)}, nil
}
