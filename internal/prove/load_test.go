// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load runs a load against a fake and checks the fake against the ledger.
func load(t *testing.T, f *fake, client *Client) (*Load, *Report) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger")
	ledger, err := OpenLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	l := NewLoad(client, ledger, 200, 1)
	stop, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := l.Run(ctx, stop); err != nil {
		t.Fatal(err)
	}
	entries, err := ReadLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.drop, f.cut = func(string) bool { return false }, func() int { return -1 }
	f.mu.Unlock()
	checker := NewChecker(client)
	checker.SettleTimeout = time.Second
	report, err := checker.Check(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	report.Violations = append(report.Violations, l.Violations()...)
	return l, report
}

func TestLoad(t *testing.T) {
	t.Parallel()
	t.Run("counts what a server that loses answers and cuts streams acknowledged", func(t *testing.T) {
		t.Parallel()
		f, client := newFake(t)
		f.drop = func(string) bool { return rand.IntN(5) == 0 }
		f.cut = func() int { return rand.IntN(12) }
		l, report := load(t, f, client)
		for _, v := range report.Violations {
			t.Error(v)
		}
		if l.Acked() < 50 || l.Acked() != report.Operations || l.Resumed() == 0 {
			t.Errorf("acknowledged %d, resumed %d: %s", l.Acked(), l.Resumed(), report.Summary())
		}
	})
	t.Run("finds a server that does not know a key again", func(t *testing.T) {
		t.Parallel()
		f, client := newFake(t)
		f.forgetful = true
		f.drop = func(method string) bool { return method == "SendMessage" && rand.IntN(5) == 0 }
		if _, report := load(t, f, client); report.Count("duplicate") == 0 {
			t.Errorf("not found: %s", report.Summary())
		}
	})
	t.Run("finds a server that takes a key for another message", func(t *testing.T) {
		t.Parallel()
		f, client := newFake(t)
		f.careless = true
		ledger, err := OpenLedger(filepath.Join(t.TempDir(), "ledger"))
		if err != nil {
			t.Fatal(err)
		}
		defer ledger.Close()
		l := NewLoad(client, ledger, 200, 1)
		now := make(chan struct{})
		close(now)
		for range 32 { // every other one sends another message with the key
			if err := (&script{load: l, tokens: now}).repeat(t.Context(), "echo once"); err != nil {
				t.Fatal(err)
			}
		}
		if v := l.Violations(); len(v) == 0 || v[0].Kind != "duplicate" {
			t.Errorf("not found: %v", v)
		}
	})
	t.Run("finds a server that acknowledges and forgets", func(t *testing.T) {
		t.Parallel()
		f, client := newFake(t)
		n := 0
		f.drop = func(method string) bool {
			if n++; method == "SendMessage" && n%10 == 0 {
				delete(f.tasks, f.order[len(f.order)-1])
			}
			return false
		}
		if _, report := load(t, f, client); report.Count("lost") == 0 {
			t.Errorf("not found: %s", report.Summary())
		}
	})
}

func TestFollowerTakesEachFrameOnce(t *testing.T) {
	t.Parallel()
	frame := func(id int) Frame {
		return Frame{ID: id, Event: object{"task": map[string]any{"id": "t1"}}}
	}
	tests := []struct {
		name   string
		task   string
		frames []int
		want   string
	}{
		{"in order", "", []int{1, 2, 3}, ""},
		{"from the middle for a turn that is not the first", "t1", []int{7, 8}, ""},
		{"and refuses one twice", "", []int{1, 2, 2}, "2 follows 2"},
		{"and refuses a gap", "", []int{1, 3}, "3 follows 1"},
		{"and refuses a new task that begins late", "", []int{2}, "starts with 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := NewFollower(nil, Message{Task: tt.task})
			var err error
			for _, id := range tt.frames {
				if err = f.take(frame(id)); err != nil {
					break
				}
			}
			if got := fmt.Sprint(err); (tt.want == "") != (err == nil) || !strings.Contains(got, tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// The transport of net/http repeats what has an idempotency key; a prover that
// does not know of a repeat expects of its answer what only the first must say.
func TestClientSendsEachRequestOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 2 { // on a connection that was used before
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, `{"result":{}}`) //nolint:errcheck // the client sees it
	}))
	defer server.Close()
	client := NewClient(server.URL)
	defer client.Close()
	m := newMessage("", "echo")
	if _, err := client.Call(t.Context(), "SendMessage", m.params(false), m.header()); err != nil {
		t.Fatal(err)
	}
	_, err := client.Call(t.Context(), "SendMessage", m.params(false), m.header())
	if !errors.Is(err, errUnanswered) || asked.Load() != 2 {
		t.Errorf("%v after %d requests", err, asked.Load())
	}
}

func TestFrameReader(t *testing.T) {
	t.Parallel()
	const stream = ": hello\n\nid: 1\ndata: {\"a\":1}\n\nid: 2\r\ndata: x\r\ndata: y\r\n\r\n"
	t.Run("reads frames and keep-alives", func(t *testing.T) {
		t.Parallel()
		r := newFrameReader(strings.NewReader(stream))
		for _, want := range []rawFrame{{}, {"1", []byte(`{"a":1}`)}, {"2", []byte("x\ny")}} {
			got, err := r.next()
			if err != nil || got.id != want.id || string(got.data) != string(want.data) {
				t.Errorf("got %q %q %v, want %q %q", got.id, got.data, err, want.id, want.data)
			}
		}
		if _, err := r.next(); err != io.EOF {
			t.Errorf("got %v at the end", err)
		}
	})
	t.Run("never takes part of a frame for a frame", func(t *testing.T) {
		t.Parallel()
		const one = "id: 1\ndata: {\"a\":1}\n\n"
		for cut := 1; cut < len(one); cut++ {
			if got, err := newFrameReader(strings.NewReader(one[:cut])).next(); err != io.ErrUnexpectedEOF {
				t.Errorf("cut after %d: got %q, %v", cut, got.data, err)
			}
		}
	})
}

func TestLedgerHoldsWhatWasAppended(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	ledger, err := OpenLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if err := ledger.Append(Entry{Op: opSend, Task: fmt.Sprint(i)}); err != nil {
				t.Error(err)
				return
			}
			// Appended means readable by another, at once.
			entries, err := ReadLedger(path)
			if err != nil {
				return // another entry is being written: its line is not whole yet
			}
			for _, e := range entries {
				if e.Task == fmt.Sprint(i) {
					return
				}
			}
			t.Errorf("entry %d was acknowledged and is not there", i)
		})
	}
	wg.Wait()
	if err := ledger.Close(); err != nil {
		t.Fatal(err)
	}
	if entries, err := ReadLedger(path); err != nil || len(entries) != 50 {
		t.Errorf("read %d entries, %v", len(entries), err)
	}
	if err := ledger.Append(Entry{}); err == nil {
		t.Error("a closed ledger acknowledged an entry")
	}
}

func TestLedgerThatIsGoneOnWith(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	reopen := func(entries ...Entry) *Ledger {
		ledger, err := ReopenLedger(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := ledger.Append(e); err != nil {
				t.Fatal(err)
			}
		}
		return ledger
	}
	ledger := reopen(Entry{Op: opSend, Task: "1"})
	if err := ledger.Note(Entry{Op: opIntend, Of: opSend, Message: "m"}); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.file.WriteString(`{"op":"send","task":"2","text":"longer than the next line` + strings.Repeat(" ", 80)); err != nil { // the prover is killed here
		t.Fatal(err)
	}
	if err := ledger.Close(); err != nil {
		t.Fatal(err)
	}
	if entries, err := ReadLedger(path); err != nil || len(entries) != 2 {
		t.Errorf("with a torn line: %v %v", entries, err)
	}
	if err := reopen(Entry{Op: opSend, Task: "3"}).Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := ReadLedger(path)
	if err != nil || len(entries) != 3 || entries[0].Task != "1" || entries[1].Message != "m" || entries[2].Task != "3" {
		t.Errorf("gone on with: %v %v", entries, err)
	}
	if err := os.WriteFile(path, []byte("{\"op\":\"se\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if entries, err := ReadLedger(path); err == nil {
		t.Errorf("a line that is damaged was read as %v", entries)
	}
}

// A load is cut off at any place: whatever the server had done by then, and
// whatever of the answers was written down.
func TestLoadFinishesWhatOneThatWasKilledLeftOpen(t *testing.T) {
	t.Parallel()
	sent, lost := newMessage("", "echo sent"), newMessage("", "echo lost on the way")
	hangs, runs := newMessage("", "hang"), newMessage("", "count to 100000 every 20ms")
	asks, parks := newMessage("", "ask one"), newMessage("", "ask two")
	f, client := newFake(t)
	do := func(m Message) string {
		task, rpcErr := f.send(m.params(false)["message"].(map[string]any), m.Key)
		if rpcErr != nil {
			t.Fatal(rpcErr)
		}
		return task.id
	}
	intend := func(of string, m Message) Entry {
		return Entry{Op: opIntend, Of: of, Task: m.Task, Text: m.Text, Message: m.ID, Key: m.Key}
	}
	acked := func(m Message, task string) Entry {
		return Entry{Op: opSend, Task: task, Text: m.Text, Message: m.ID, Key: m.Key}
	}
	do(sent)
	do(hangs)
	running, canceled := do(runs), newMessage("", "hang")
	gone := do(canceled)
	f.tasks[gone].status(stateCanceled, nil) // nobody was told
	one, two := do(asks), do(parks)
	answer, late := newMessage(one, "echo answer"), newMessage(two, "echo late")
	do(answer)
	before := []Entry{
		intend(opSend, sent), intend(opSend, lost), intend(opSend, hangs), intend(opSend, runs), acked(runs, running),
		acked(canceled, gone), intend(opCancel, Message{Task: gone}), acked(asks, one), acked(parks, two),
		intend(opFollowUp, answer), intend(opFollowUp, late),
	}
	path := filepath.Join(t.TempDir(), "ledger")
	ledger, err := OpenLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	for _, e := range before {
		if err := ledger.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if open, err := NewLoad(client, ledger, 1, 1).Finish(t.Context(), before); err != nil || open != 7 {
		t.Fatalf("finished %d, %v", open, err)
	}
	entries, err := ReadLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	if left := leftOpen(entries); len(left) > 0 {
		t.Errorf("still open: %v", left)
	}
	report, err := NewChecker(client).Check(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Violations {
		t.Error(v)
	}
	if report.Tasks != 7 || len(f.order) != 7 {
		t.Errorf("the ledger knows of %d tasks, the server has %d", report.Tasks, len(f.order))
	}
}
