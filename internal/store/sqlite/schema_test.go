// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// schema1 is a store that the release with the first schema has left.
func schema1(t *testing.T, clock *testClock) *Store {
	t.Helper()
	text, err := os.ReadFile("testdata/schema1.sql")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "store.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sql(t, dir, string(text))
	return openIn(t, dir, Options{Clock: clock.Now})
}

func TestAFileOfTheFirstSchemaGoesOn(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := schema1(t, clock)
	for _, sub := range []*store.Submission{submission("third"), submission("urgent"), submission("planned")} {
		sub.Claim = nil
		switch sub.ID {
		case "urgent":
			sub.Priority = 1
		case "planned":
			sub.ScheduledFor = clock.Now().Add(time.Hour)
		}
		if _, err := s.Submit(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
	}
	claims := func() (ids []string) {
		t.Helper()
		got, err := s.Claim(t.Context(), store.ClaimRequest{Agent: "demo", Limit: 10, Taker: store.Taker{Worker: "next", TTL: ttl}})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got {
			ids = append(ids, string(c.Item.Kind)+" "+c.Head.ID)
		}
		return ids
	}
	want := []string{"execute urgent", "execute running", "execute first", "execute second", "cancel parked", "execute third"}
	if got := claims(); !slices.Equal(got, want) {
		t.Errorf("claimed %v, want %v", got, want)
	}
	clock.advance(time.Hour)
	due, err := s.Promote(t.Context(), store.PromoteRequest{Limit: 10})
	if err != nil || len(due.Agents) != 2 {
		t.Errorf("promoted %+v, %v", due, err)
	}
	if got := claims(); !slices.Equal(got, []string{"execute retry", "execute planned"}) {
		t.Errorf("claimed %v later", got)
	}
}

func TestWhatWasLostOftenBeforeTheUpgradeIsASuspect(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/schema1.sql")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "store.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sql(t, dir, string(text)+"UPDATE items SET losses = 3 WHERE id IN ('second', 'running');")
	s := openIn(t, dir, Options{Clock: newClock().Now})
	taker := store.Taker{Worker: "next", TTL: ttl}
	var ids [2][]string
	for n, suspects := range []bool{false, true} {
		got, err := s.Claim(t.Context(), store.ClaimRequest{Agent: "demo", Limit: 10, Suspects: suspects, Taker: taker})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got {
			ids[n] = append(ids[n], c.Head.ID)
		}
	}
	if want := [2][]string{{"first", "parked"}, {"running", "second"}}; !slices.Equal(ids[0], want[0]) || !slices.Equal(ids[1], want[1]) {
		t.Errorf("claimed %v, want %v", ids, want)
	}
}

func TestAFileOfTheFirstSchemaKeepsWhatItSays(t *testing.T) {
	t.Parallel()
	s := schema1(t, newClock())
	done, err := s.Load(t.Context(), ref("done"))
	if err != nil || !done.Head.Closed || string(done.Snapshot.Body) != "snapshot of done" {
		t.Errorf("%+v, %v", done, err)
	}
	turns, err := s.Turns(t.Context(), ref("first"), 0, 0)
	if err != nil || len(turns) != 2 || turns[1].MessageID != "m-first-2" || turns[1].Expired {
		t.Errorf("%+v, %v", turns, err)
	}
	key, err := s.Secret(t.Context(), "page-token")
	if err != nil || len(key) != 32 || key[0] != 0x5a {
		t.Errorf("the key of page tokens is %x, %v", key, err)
	}
	sub := submission("again")
	sub.Key = &store.Key{Value: "second", Hash: []byte("h"), TTL: time.Hour}
	if out, err := s.Submit(t.Context(), sub); err != nil || !out.Joined || out.Head.ID != "second" {
		t.Errorf("a repeat: %+v, %v", out, err)
	}
}
