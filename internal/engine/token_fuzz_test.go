// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// Nothing but a token of ours opens, and it opens to what was sealed.
func FuzzToken(f *testing.F) {
	e := &Engine{Options: Options{TokenKey: []byte("0123456789abcdef0123456789abcdef")}}
	other := &Engine{Options: Options{TokenKey: []byte("another key, another key, anothe")}}
	seed := token{until: time.UnixMilli(1), after: store.ListPosition{StatusAt: time.UnixMilli(2), ID: "task"}}
	f.Add(e.sealToken(seed), int64(1), int64(2), "task")
	f.Add(other.sealToken(seed), int64(-1), int64(1)<<60, "")
	f.Add("AQ", int64(0), int64(0), "\x00\xff")
	f.Fuzz(func(t *testing.T, s string, until, at int64, id string) {
		if got, err := e.openToken(s); err == nil && e.sealToken(got) != s {
			t.Errorf("%q opens to %+v, which is sealed as %q", s, got, e.sealToken(got))
		}
		if _, err := other.openToken(s); err == nil {
			if _, err := e.openToken(s); err == nil {
				t.Errorf("%q opens under two keys", s)
			}
		}
		want := token{filter: filterOf(store.ListQuery{ContextID: id}), until: time.UnixMilli(until).UTC()}
		want.after = store.ListPosition{StatusAt: time.UnixMilli(at).UTC(), ID: id}
		sealed := e.sealToken(want)
		if got, err := e.openToken(sealed); err != nil || got != want {
			t.Errorf("%+v was sealed, %+v opened (%v)", want, got, err)
		}
		if len(s) > 0 && s[0]&1 == 1 {
			bent := []byte(sealed)
			i := len(s) % len(bent)
			if bent[i]++; string(bent) != sealed {
				if got, err := e.openToken(string(bent)); err == nil {
					t.Errorf("a token that was changed at %d opens to %+v", i, got)
				}
			}
		}
	})
}
