// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCheckerFindsAKeyThatStandsForTwoTasks(t *testing.T) {
	t.Parallel()
	p := play(t)
	p.entries[1].Key = "k"
	p.entries = append(p.entries, Entry{Op: opRepeat, Task: "t2", Key: "k"})
	if r := p.check(t); len(r.Violations) != 0 || r.Operations != 15 {
		t.Errorf("a repeat that joined: %s %v", r.Summary(), r.Violations)
	}
	p.entries = append(p.entries, Entry{Op: opRepeat, Task: "t4", Key: "k"})
	if r := p.check(t); !found(r, "duplicate", "t2") {
		t.Errorf("not found: %v", r.Violations)
	}
}

func TestCheckerWantsFollowUpsInTheOrderOfTheirAcknowledgement(t *testing.T) {
	t.Parallel()
	s := &story{message: "m0", text: "ask", sent: []Message{{ID: "m1", Text: "a"}, {ID: "m2", Text: "b"}}}
	check := func(order ...string) (found []string) {
		history := []any{map[string]any{"role": roleUser, "messageId": "m0", "parts": []any{map[string]any{"text": "ask"}}}}
		for _, id := range order {
			text := map[string]string{"m1": "a", "m2": "b"}[id]
			history = append(history, map[string]any{"role": roleUser, "messageId": id, "parts": []any{map[string]any{"text": text}}})
		}
		checkHistory(nil, object{"history": history}, s, func(kind, format string, args ...any) {
			found = append(found, kind+": "+fmt.Sprintf(format, args...))
		})
		return found
	}
	if found := check("m1", "m2"); len(found) != 0 {
		t.Error(found)
	}
	if found := check("m2", "m1"); len(found) != 1 || !strings.HasPrefix(found[0], "history") {
		t.Errorf("the wrong order: %v", found)
	}
}

func TestCheckerReadsOneLedgerAfterTheOther(t *testing.T) {
	t.Parallel()
	p := play(t)
	ledger := func(entries []Entry) string {
		path := filepath.Join(t.TempDir(), "ledger")
		l, err := OpenLedger(path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for _, e := range entries {
			if err := l.Append(e); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	last := time.Now()
	p.send(t, "echo later") // t12
	first, second := ledger(p.entries[:14]), ledger(append(p.entries[14:], Entry{Op: opIntend, Of: opSend, Message: "m"}))
	check := func(since time.Time, paths ...string) *Report {
		c := NewChecker(p.client)
		report, err := c.CheckLedgers(t.Context(), since, paths...)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Answers()) != report.Tasks {
			t.Errorf("%d answers of %d tasks", len(c.Answers()), report.Tasks)
		}
		return report
	}
	if r := check(time.Time{}, first, second); len(r.Violations) != 0 || r.Tasks != 12 || r.Operations != 15 {
		t.Errorf("both: %s %v", r.Summary(), r.Violations)
	}
	if r := check(last, second); len(r.Violations) != 0 || r.Tasks != 1 {
		t.Errorf("what is new: %s %v", r.Summary(), r.Violations)
	}
	if r := check(time.Time{}, first); !found(r, "duplicate", "t12") || len(r.Violations) != 1 {
		t.Errorf("without the second: %v", r.Violations)
	}
	if _, err := NewChecker(p.client).CheckLedgers(t.Context(), last, "no such file"); err == nil {
		t.Error("a ledger that is not there was compared")
	}
}
