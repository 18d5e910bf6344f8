// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// watched is what page.html reports.
type watched struct {
	Frames []struct {
		ID    int      `json:"id"`
		Kind  string   `json:"kind"`
		State string   `json:"state"`
		Texts []string `json:"texts"`
	} `json:"frames"`
	Opens  int `json:"opens"`
	Errors int `json:"errors"`
}

// The task runs for nine seconds, because a browser waits three before it
// connects again: some cuts then hit a replay, and some a live stream.
const counting = "count to 60 every 150ms"

func TestABrowserMissesNothingWhenItsConnectionIsCut(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := newCutter(t, "testdata/page.html", s.url(), 6, 30, 10)
	id := start(t, s.url(), counting)

	got := browse[watched](t, c.URL+"/page?source="+url.QueryEscape("/tasks/"+id+":subscribe"))

	checkFrames(t, got)
	checkSubscriptions(t, c.subscriptions(), 5)
	if got.Opens != 4 {
		t.Errorf("the stream was opened %d times, want 4: once and after each of the cuts", got.Opens)
	}
}

func TestABrowserMissesNothingWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := newCutter(t, "testdata/page.html", s.url())
	// The kills come while the numbers do: after a few frames of the first
	// connection and again after a few of the second.
	var kills sync.WaitGroup
	due := make(chan struct{}, 2)
	c.onFrames = func(n int) {
		if n == 8 || n == 40 {
			due <- struct{}{}
		}
	}
	killed := 0
	kills.Go(func() {
		for range due {
			s.kill()
			s.start()
			killed++
		}
	})
	id := start(t, s.url(), counting)

	got := browse[watched](t, c.URL+"/page?source="+url.QueryEscape("/tasks/"+id+":subscribe"))
	close(due)
	kills.Wait()

	if killed != 2 {
		t.Errorf("the server was killed %d times, want 2", killed)
	}
	checkFrames(t, got)
	checkSubscriptions(t, c.subscriptions(), 4)
}

// checkFrames holds what the page saw to the promise: a Task first, then every
// event once and in order to the end.
func checkFrames(t *testing.T, got watched) {
	t.Helper()
	if len(got.Frames) == 0 {
		t.Fatal("the page saw no frame")
	}
	var texts []string
	for i, f := range got.Frames {
		if want := got.Frames[0].ID + i; f.ID != want {
			t.Errorf("frame %d has the id %d, want %d", i, f.ID, want)
		}
		if (f.Kind == "task") != (i == 0) {
			t.Errorf("frame %d is of the kind %q: the Task is the first and no other", i, f.Kind)
		}
		texts = append(texts, f.Texts...)
	}
	var want []string
	for i := range 60 {
		want = append(want, strconv.Itoa(i+1))
	}
	if !slices.Equal(texts, want) {
		t.Errorf("the page saw the numbers %v, want 1 to 60", texts)
	}
	if last := got.Frames[len(got.Frames)-1]; last.State != "TASK_STATE_COMPLETED" {
		t.Errorf("the last frame is %+v, want completed", last)
	}
}

// checkSubscriptions looks at the same story from the network: each connection
// asks for what follows the last whole frame, and 204 ends it.
func checkSubscriptions(t *testing.T, subs []subscription, want int) {
	t.Helper()
	if len(subs) != want {
		t.Fatalf("%d subscriptions reached the server, want %d", len(subs), want)
	}
	last := ""
	for i, sub := range subs {
		if sub.lastEventID != last {
			t.Errorf("subscription %d asked for what follows %q, want %q", i, sub.lastEventID, last)
		}
		if ends := i == len(subs)-1; (sub.status == http.StatusNoContent) != ends {
			t.Errorf("subscription %d was answered %d; only the last is answered 204", i, sub.status)
		}
		if sub.lastPassed != "" {
			last = sub.lastPassed
		}
	}
}
