// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

// The log is begun anew while writers never pause: its file stays far shorter
// than what went through it.
func TestTheLogStaysShortHoweverMuchIsWritten(t *testing.T) {
	t.Parallel()
	const writers, batches, size = 8, 80, 64 << 10
	s := openIn(t, t.TempDir(), Options{CheckpointBytes: 1 << 20})
	body := bytes.Repeat([]byte("x"), size)
	var wg sync.WaitGroup
	for w := range writers {
		c := submit(t, s, fmt.Sprint("task ", w))
		wg.Go(func() {
			for n := range uint64(batches) {
				_, err := s.Append(t.Context(), &store.Append{
					Ref: c.Head.Ref, Epoch: 1, LastSeq: n, Item: c.Item,
					Batch: &store.Batch{First: n + 1, Last: n + 1, Body: body},
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := s.db.logBytes(); n > writers*batches*size/2 {
		t.Errorf("the log has %d MiB after %d MiB were written", n>>20, writers*batches*size>>20)
	}
	for w := range writers {
		_, log, err := s.Read(t.Context(), ref(fmt.Sprint("task ", w)), 0, 1<<30)
		if err != nil || len(log) != batches || !bytes.Equal(log[batches/2].Body, body) {
			t.Errorf("task %d: %d batches, %v", w, len(log), err)
		}
	}
}

func TestExpiredKeysAreSweptWhenTheirTaskHasEnded(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := openIn(t, t.TempDir(), Options{Clock: clock.Now})
	claims := map[string]*store.Claim{}
	for i := range 450 { // more than two rounds of the sweep
		sub := submission(fmt.Sprintf("t%03d", i))
		sub.Key = &store.Key{Value: sub.ID, Hash: []byte("hash"), TTL: time.Hour}
		out, err := s.Submit(t.Context(), sub)
		if err != nil {
			t.Fatal(err)
		}
		claims[sub.ID] = out.Claim
		if i >= 3 {
			if _, err := s.Append(t.Context(), ending(out.Claim)); err != nil {
				t.Fatal(err)
			}
		}
	}
	keys := func(want string) {
		t.Helper()
		if err := s.SweepKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got string
		err := s.db.Read(t.Context(), func(c sqlstore.Conn) error {
			row, err := c.(*conn).first("SELECT COUNT(*) FROM keys")
			got = row[0]
			return err
		})
		if err != nil || got != want {
			t.Errorf("%s keys are left (%v), want %s", got, err, want)
		}
	}
	keys("450")
	clock.advance(time.Hour)
	keys("3")
	joined, err := s.Submit(t.Context(), func() *store.Submission {
		sub := submission("other")
		sub.Key = &store.Key{Value: "t000", Hash: []byte("hash"), TTL: time.Hour}
		return sub
	}())
	if err != nil || !joined.Joined || joined.Head.ID != "t000" {
		t.Errorf("a key whose task goes on: %+v, %v", joined, err)
	}
	for _, id := range []string{"t000", "t001", "t002"} {
		if _, err := s.Append(t.Context(), ending(claims[id])); err != nil {
			t.Fatal(err)
		}
	}
	clock.advance(time.Hour)
	keys("0")
}

func TestWhatANewerReleaseWroteIsNamedAndLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	for _, id := range []string{"newer", "ours"} {
		sub := submission(id)
		sub.Claim = nil
		sub.IfQueued = &store.Opening{Batch: store.Batch{First: 1, Last: 1, Body: []byte("record")}, View: store.View{State: "SUBMITTED"}}
		if _, err := s.Submit(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sql(t, dir, "UPDATE tasks SET format = 99 WHERE id = 'newer'; UPDATE items SET format = 99 WHERE id = 'newer'")
	s = openIn(t, dir, Options{})
	_, loadErr := s.Load(t.Context(), ref("newer"))
	_, _, readErr := s.Read(t.Context(), ref("newer"), 0, 1000)
	_, appendErr := s.Append(t.Context(), &store.Append{Ref: ref("newer"), LastSeq: 1, TakeEpoch: true})
	_, cancelErr := s.RequestCancel(t.Context(), &store.CancelRequest{Ref: ref("newer")})
	next := submission("newer")
	next.Turn, next.LastSeq = 2, 1
	_, submitErr := s.Submit(t.Context(), next)
	for what, err := range map[string]error{
		"load": loadErr, "read": readErr, "append": appendErr, "cancel": cancelErr, "submit": submitErr,
	} {
		if !errors.Is(err, store.ErrFormat) || !strings.Contains(err.Error(), "newer") || !strings.Contains(err.Error(), "99") {
			t.Errorf("%s: %v", what, err)
		}
	}
	// It stands first in the queue and is in nobody's way.
	claims, err := s.Claim(t.Context(), store.ClaimRequest{Agent: "demo", Limit: 1, Taker: store.Taker{Worker: "w", TTL: ttl}})
	if err != nil || len(claims) != 1 || claims[0].Head.ID != "ours" {
		t.Errorf("claims: %+v, %v", claims, err)
	}
	submit(t, s, "granted") // nothing that can be claimed is ready
	if got, err := s.db.writer.first("SELECT attempt, state FROM items WHERE id = 'newer'"); err != nil || got[0] != "0" || got[1] != "pending" {
		t.Errorf("its item: %v, %v", got, err)
	}
}

func TestALogRecordOfANewerReleaseIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	if _, err := s.Append(t.Context(), ending(submit(t, s, "a"))); err != nil {
		t.Fatal(err)
	}
	sql(t, dir, "UPDATE log SET format = 7")
	if _, _, err := s.Read(t.Context(), ref("a"), 0, 1000); !errors.Is(err, store.ErrFormat) || !strings.Contains(err.Error(), "7") {
		t.Errorf("read: %v", err)
	}
	sql(t, dir, "UPDATE snapshots SET format = 8")
	if _, err := s.Load(t.Context(), ref("a")); !errors.Is(err, store.ErrFormat) || !strings.Contains(err.Error(), "8") {
		t.Errorf("load: %v", err)
	}
}

func TestSecretsStayTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var keys [][]byte
	for range 2 {
		s := openIn(t, dir, Options{})
		key, err := s.Secret(t.Context(), "page-token")
		if err != nil || len(key) != 32 {
			t.Fatalf("secret: %x, %v", key, err)
		}
		keys = append(keys, key)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(keys[0], keys[1]) {
		t.Error("the secret has changed")
	}
}

// What is remembered of tasks must never be needed: with hardly any memory the
// store does the same.
func TestATaskThatWasForgottenIsReadAgain(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir(), Options{remembered: 1})
	for i := range 10 {
		submit(t, s, fmt.Sprint("filler ", i))
	}
	claim := submit(t, s, "a")
	for turn := 2; turn <= 4; turn++ { // wait behind the one that runs
		next := submission("a")
		next.Turn = turn
		next.LastSeq = claim.Head.LastSeq
		if out, err := s.Submit(t.Context(), next); err != nil || out.Claim != nil || out.Head.LastTurn != turn {
			t.Fatalf("turn %d: %+v, %v", turn, out, err)
		}
		submit(t, s, fmt.Sprint("between ", turn))
	}
	end := ending(claim)
	end.View, end.LastTurn = &store.View{State: "INPUT_REQUIRED", StatusAt: time.Now(), Listed: true}, 4
	out, err := s.Append(t.Context(), end)
	if err != nil || len(out.Due) != 1 {
		t.Fatalf("append: %+v, %v", out, err)
	}
	claims, err := s.Claim(t.Context(), store.ClaimRequest{Agent: "demo", Limit: 5, Taker: store.Taker{Worker: "w", TTL: ttl}})
	if err != nil || len(claims) != 1 {
		t.Fatalf("claims: %+v, %v", claims, err)
	}
	c := claims[0]
	if c.Item.Turn != 2 || c.TurnSeq != 2 || c.Head.DoneTurn != 1 || c.SnapshotBytes != int64(len("snapshot of a")) || c.TailBytes != 0 {
		t.Errorf("claim: %+v", c)
	}
	last := ending(&c)
	if _, err := s.Append(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	turns, err := s.Turns(t.Context(), ref("a"), 0, 0)
	if err != nil || len(turns) != 4 {
		t.Fatalf("turns: %+v, %v", turns, err)
	}
	for n, want := range []store.ItemState{store.Completed, store.Completed, store.Canceled, store.Canceled} {
		if turns[n].Item != want {
			t.Errorf("turn %d is %s, want %s", n+1, turns[n].Item, want)
		}
	}
}
