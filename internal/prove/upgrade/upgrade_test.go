// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/errand-a2a/errand/internal/prove"
	"github.com/errand-a2a/errand/internal/store"
)

func TestUpgrade(t *testing.T) {
	t.Parallel()
	for _, fixture := range fixtures(t) {
		t.Run("what "+fixture+" has answered is answered the same", func(t *testing.T) {
			t.Parallel()
			checkAnswers(open(t, fixture))
		})
		t.Run("the logs of "+fixture+" hold what followers have seen and fold to what is answered", func(t *testing.T) {
			t.Parallel()
			checkLogs(open(t, fixture))
		})
		t.Run("what "+fixture+" had not ended goes on to its end", func(t *testing.T) {
			t.Parallel()
			w := open(t, fixture)
			checkOpen(w)
			w.run()
			checkParked(w)
			checkCursor(w)
			checkEnds(w)
			checkSettled(w)
			for _, ids := range []map[string]string{w.Settled, w.Open} {
				for _, id := range ids {
					w.log(id)
				}
			}
		})
	}
}

// checkAnswers asks what was asked before.
func checkAnswers(w *world) {
	checkSettled(w)
	for i, p := range w.Listing {
		if i == 0 {
			continue // what was left open has come into the listing since
		}
		token := w.Listing[i-1].Token
		got, err := listPage(w.Context(), w.client, token)
		if err != nil || !slices.Equal(got.IDs, p.IDs) || (got.Token == "") != (p.Token == "") {
			w.Errorf("page %d holds %v, it held %v (next %q, %v)", i+1, got.IDs, p.IDs, got.Token, err)
		}
	}
	var listed []string
	total := ""
	for token := ""; ; {
		p, err := listPage(w.Context(), w.client, token)
		if err != nil {
			w.Fatal(err)
		}
		listed, total = append(listed, p.IDs...), p.Total
		if token = p.Token; token == "" {
			break
		}
	}
	if total != strconv.Itoa(len(listed)) {
		w.Errorf("%d tasks are listed, and the total is %s", len(listed), total)
	}
	for _, ids := range []map[string]string{w.Settled, w.Open} {
		for name, id := range ids {
			if n := strings.Count(strings.Join(listed, " "), id); n != 1 {
				w.Errorf("%s is listed %d times", name, n)
			}
		}
	}
}

// checkSettled sees that what had settled is as it was.
func checkSettled(w *world) {
	w.Helper()
	for name, id := range w.Settled {
		if w.state(id) == "COMPLETED" && (name == "asking" || name == "authorizing") {
			continue // they have been answered
		}
		if got, want := w.get(id), w.text(w.Tasks[id]); got != want {
			w.Errorf("%s is\n%s\nit was\n%s", name, got, want)
		}
	}
}

func checkLogs(w *world) {
	for _, ids := range []map[string]string{w.Settled, w.Open} {
		for name, id := range ids {
			events := w.log(id)
			for _, s := range w.Seen[id] {
				if s.ID > len(events) || compact(w.T, s.Event) != events[s.ID-1] {
					w.Fatalf("%s: a follower has seen %d: %s", name, s.ID, s.Event)
				}
			}
		}
	}
	if n := len(w.Seen[w.Open["counting"]]); n < counts/2 {
		w.Errorf("of the count only %d events were seen", n)
	}
}

// checkOpen sees that the fixture has what it is for, and what a kill costs.
func checkOpen(w *world) {
	count := map[store.ItemState]int{}
	for name, id := range w.Open {
		first := w.turns(id)[0]
		count[first.Item]++
		switch kind, _, _ := strings.Cut(name, "-"); {
		case kind == "waiting" && (first.Attempt != 0 || first.Losses != 0),
			(kind == "counting" || kind == "sleeping") && first.Attempt == 1 && first.Losses != 1,
			kind == "scheduled" && first.Item != store.Scheduled:
			w.Errorf("%s: %+v", name, first)
		}
	}
	if count[store.Retryable] == 0 || count[store.Pending] < 60 {
		w.Errorf("items %v", count)
	}
	if turns := w.turns(w.Open["counting"]); len(turns) != 2 || turns[1].Attempt != 0 {
		w.Errorf("turns of the count: %+v", turns)
	}
}

// checkParked answers what waited for its caller.
func checkParked(w *world) {
	asking := w.Settled["asking"]
	if id := idOf(w.call("SendMessage", w.Keyed.params("", false), w.Keyed)); id != asking {
		w.Errorf("a repeat of the key joins %q", id)
	}
	other := w.Keyed
	other.Text = "ask Which shape?"
	var refused *prove.RPCError
	if _, err := w.client.Call(w.Context(), "SendMessage", other.params("", false), other.header()); !errors.As(err, &refused) {
		w.Errorf("the key with another message: %v", err)
	}
	for name, answer := range map[string]string{"asking": "blue", "authorizing": "authorized"} {
		id := w.Settled[name]
		w.call("SendMessage", message{ID: "answer-" + name, Text: answer}.params(id, false), message{})
		got := w.get(id)
		if w.state(id) != "COMPLETED" || !strings.Contains(got, `"text":"`+answer+`"`) || !strings.Contains(got, "answer-"+name) {
			w.Errorf("%s answered: %s", name, got)
		}
	}
}

// checkCursor goes on with the stream of the count where it broke.
func checkCursor(w *world) {
	id := w.Open["counting"]
	events := w.Seen[id]
	last := events[len(events)-1].ID
	err := w.client.Stream(w.Context(), "SubscribeToTask", map[string]any{"id": id}, http.Header{"Last-Event-Id": {strconv.Itoa(last)}}, func(f prove.Frame) bool {
		if f.ID != last+1 {
			w.Errorf("%d follows %d", f.ID, last)
		}
		last = f.ID
		events = append(events, seen{f.ID, f.Raw})
		return true
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Seen[id] = events
	var parts []string
	for _, ev := range w.log(id) {
		if _, text, ok := strings.Cut(ev, `"parts":[{"text":"`); ok && strings.Contains(ev, "artifactUpdate") {
			text, _, _ = strings.Cut(text, `"`)
			parts = append(parts, text)
		}
	}
	for i := range counts {
		if i >= len(parts) || parts[i] != strconv.Itoa(i+1) {
			w.Fatalf("counted %v", parts)
		}
	}
	for i, ev := range w.log(id) {
		if compact(w.T, events[i].Event) != ev {
			w.Fatalf("event %d was seen as %s and is %s", i+1, events[i].Event, ev)
		}
	}
}

func checkEnds(w *world) {
	for _, kind := range []string{"counting", "failing", "sleeping", "waiting"} {
		w.until(kind, "COMPLETED")
	}
	if id, ok := w.Open["scheduled"]; ok {
		if first := w.turns(id)[0]; first.Item != store.Scheduled || first.Attempt != 0 {
			w.Errorf("what is scheduled for later: %+v", first)
		}
	}
	if got := w.get(w.Open["counting"]); !strings.Contains(got, fmt.Sprintf(`#canceledMessages":[%q`, w.Behind)) {
		w.Errorf("the end of the count does not name the message that waited behind it: %s", got)
	}
	if id := idOf(w.call("SendMessage", message{ID: "new", Text: "echo new"}.params("", false), message{})); w.state(id) != "COMPLETED" {
		w.Errorf("a new task is %s", w.state(id))
	}
}
