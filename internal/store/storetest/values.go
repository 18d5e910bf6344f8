// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// hostile are strings that a database confuses with one another unless its
// collation is binary, its types are text and its statements have parameters.
var hostile = []string{
	"a", "A", "á", "a\u0301", "ａ", "ä", "ae", "æ", "ss", "ß", "ẞ", "i", "I", "İ", "ı",
	"a ", " a", "a  ", "a\t", "a\n", "😀", "😁", "\U0001F468\u200D\U0001F469", "%", "_", "a%", "a_",
	"'", "\"", "';--", "\\", "\\'", "`", "$1", "?1", ":a", "0", "00", "10", "1e1", "10.0", "0x0A", "+10",
	"NULL", "null", "true", "1", "-0", "x'00'", "\u00a0", "\ufeffa",
}

var valueRules = []rule{
	{"ids are compared byte by byte", valueIDs},
	{"strings come back as they went in", valueStrings},
	{"empty strings are values", valueEmpty},
	{"bodies come back byte for byte", valueBodies},
	{"empty bodies are bodies", valueEmptyBodies},
	{"bodies of 1 MiB are kept whole", valueLargeBodies},
	{"times are kept to the millisecond", valueTimes},
	{"sequences and turns grow large", valueLarge},
}

func valueIDs(w *world) {
	for n, id := range hostile {
		s := w.first(named(id), inContext(fmt.Sprint("context ", n)))
		w.want(fmt.Sprintf("ids that differ in a byte are two tasks: %q", id), w.submit(s).Turn, 1)
	}
	got := w.claim(agent, 100)
	w.want("every one of them is claimed", len(got), len(hostile))
	for n, h := range got {
		w.want("ids that differ in a byte are two tasks", h.Head.ContextID, fmt.Sprint("context ", n))
		h.write(records(n + 1))
	}
	for n, id := range hostile {
		ref := got[0].Head.Ref
		ref.ID = id
		head := w.head(ref)
		w.want(fmt.Sprintf("an id finds its own task: %q", id), []any{head.ID, head.ContextID, head.LastSeq}, []any{id, fmt.Sprint("context ", n), uint64(n + 1)})
	}
	for _, id := range []string{"b", "B", "aa", "😂", "", "A "} {
		ref := got[0].Head.Ref
		ref.ID = id
		_, err := w.Load(w.Context(), ref)
		w.refused(fmt.Sprintf("an id that nobody has is ErrNotFound: %q", id), err, store.ErrNotFound)
	}
}

func valueStrings(w *world) {
	for _, v := range hostile {
		s := w.first(forAgent(v), inContext(v), keyed(v, v))
		s.Tenant, s.Principal, s.MessageID = v, v+v, v
		h := w.accepted(s)
		h.write(records(1), w.shows(v), notes(store.Attempt{
			Number: 1, Worker: v, Outcome: v, Error: v, Stack: v, Refused: []string{v, "", v}, StartedAt: w.clock.Now(),
		}))
		got := w.dump(s.Ref)
		what := fmt.Sprintf("strings come back as they went in: %q", v)
		w.want(what, []any{h.MessageID, h.Head.Ref, got.Stored.Head.Ref, got.Stored.Head.Agent, got.Stored.Head.ContextID, got.Stored.Head.State, got.Turns[0].MessageID},
			[]any{v, s.Ref, s.Ref, v, v, v, v})
		at := got.Attempts[0]
		w.want(what, []any{at.Worker, at.Outcome, at.Error, at.Stack, at.Refused}, []any{v, v, v, v, []string{v, "", v}})
	}
}

func valueEmpty(w *world) {
	s := w.first(forAgent(""), inContext(""))
	s.Tenant, s.Principal, s.MessageID = "", "", ""
	h := w.accepted(s)
	h.write(records(1), w.shows(""))
	got := w.dump(s.Ref)
	w.want("empty strings are values", []any{got.Stored.Head.Ref, got.Stored.Head.Agent, got.Stored.Head.ContextID, got.Stored.Head.State, got.Turns[0].MessageID},
		[]any{s.Ref, "", "", "", ""})
	page, err := w.List(w.Context(), store.ListQuery{Limit: 10})
	w.must("List", err)
	w.want("the zero scope is a scope", ids(page), []string{s.ID})
}

func everyByte() []byte {
	var b []byte
	for n := range 256 {
		b = append(b, byte(n))
	}
	return append(b, 0, 0, 0xff, 0xfe, 0, 'x', 0)
}

// carries sends a body through every field that holds one.
func (w *world) carries(what string, body []byte) {
	w.Helper()
	s := w.first()
	s.Message, s.Request = body, body
	h := w.accepted(s)
	put := func(a *store.Append) { a.Batch.Body = body; a.Snapshot.Body = body }
	h.write(records(1), folds, w.shows("WORKING"), put)
	h.write(records(1), func(a *store.Append) { a.Batch.Body = body })
	_, err := w.RequestCancel(w.Context(), &store.CancelRequest{Ref: s.Ref, Request: body})
	w.must("RequestCancel", err)
	beat := h.beat()
	got := w.dump(s.Ref)
	if len(got.Log) != 2 || len(got.Turns) != 1 || got.Stored.Snapshot == nil || len(got.Stored.Tail) != 1 {
		w.Fatalf("broken rule: %s\nwant 2 batches, 1 turn, a snapshot and 1 batch after it, got %d, %d, %v, %d",
			what, len(got.Log), len(got.Turns), got.Stored.Snapshot != nil, len(got.Stored.Tail))
	}
	for where, b := range map[string][]byte{
		"Claim.Message": h.Message, "Claim.Request": h.Request, "Turn.Message": got.Turns[0].Message, "Turn.Request": got.Turns[0].Request,
		"Batch": got.Log[0].Body, "the second Batch": got.Log[1].Body, "Snapshot": got.Stored.Snapshot.Body, "Tail": got.Stored.Tail[0].Body,
		"CancelRequest": beat.CancelRequest,
	} {
		if !bytes.Equal(b, body) {
			w.Errorf("broken rule: %s\n%s: %d bytes went in, %d bytes came back, not the same", what, where, len(body), len(b))
		}
	}
}

func valueBodies(w *world) {
	for what, body := range map[string][]byte{
		"every byte":     everyByte(),
		"only NUL":       make([]byte, 9),
		"invalid UTF-8":  []byte("\xc3\x28\xed\xa0\x80"),
		"JSON":           []byte(`{"b":1,"a":2, "a":3}` + "\r\n"),
		"a number":       []byte("007"),
		"a zlib header":  {0x78, 0x9c, 0, 1},
		"trailing space": []byte("x   "),
	} {
		w.carries("bodies are opaque bytes: "+what, body)
	}
}

func valueEmptyBodies(w *world) {
	w.carries("a body may have no bytes", []byte{})
	w.carries("a body may be nil", nil)
	h := w.running()
	h.write(records(3), func(a *store.Append) { a.Batch.Body = nil })
	_, got := w.read(h.Head.Ref, 0, 0)
	w.want("a batch without bytes is a batch", []any{len(got), got[0].Last}, []any{1, uint64(3)})
}

func valueLargeBodies(w *world) {
	body := bytes.Repeat(everyByte(), 1<<20/263+1)[:1<<20]
	w.carries("bodies of 1 MiB are kept whole", body)
	w.carries("bodies beside a power of two are kept whole", body[:1<<16+1])
	h := w.running()
	h.write(records(1), notes(store.Attempt{Number: 1, Error: strings.Repeat("e", 1<<16), Stack: strings.Repeat("s", 1<<20), StartedAt: w.clock.Now()}))
	at := w.attempts(h.Head.Ref)[0]
	w.want("long texts of attempts are kept whole", []int{len(at.Error), len(at.Stack)}, []int{1 << 16, 1 << 20})
}

func valueTimes(w *world) {
	base := time.Date(2026, 3, 29, 1, 59, 59, 0, time.UTC)
	for _, at := range []time.Time{
		base, base.Add(ms), base.Add(999 * ms), base.Add(time.Second), base.In(time.FixedZone("z", 5*60*60+30*60)),
		time.Date(1969, 12, 31, 23, 59, 59, int(999*ms), time.UTC), time.Date(2199, 12, 31, 23, 59, 59, int(999*ms), time.UTC),
		base.Add(123456789 * time.Nanosecond), time.Unix(0, 0), time.Unix(0, 0).Add(-ms), {},
	} {
		h := w.running()
		h.write(records(1), func(a *store.Append) { a.View = &store.View{State: "WORKING", StatusAt: at, Listed: true} },
			notes(store.Attempt{Number: 1, StartedAt: at, Duration: 1234567 * ms}))
		// Reading: "with millisecond precision" promises milliseconds, cut; what a driver keeps below is its own.
		cut := at.Truncate(ms)
		w.want(fmt.Sprintf("StatusAt has millisecond precision: %v", at), h.head().StatusAt.Truncate(ms), cut)
		got := w.attempts(h.Head.Ref)[0]
		w.want(fmt.Sprintf("StartedAt has millisecond precision: %v", at), got.StartedAt.Truncate(ms), cut)
		w.want("Duration is kept", got.Duration.Truncate(ms), 1234567*ms)
	}
}

func valueLarge(w *world) {
	h := w.running()
	h.write(func(a *store.Append) {
		a.Batch = &store.Batch{First: 1, Last: 1 << 40, Body: []byte("many")}
	}, w.shows("WORKING"))
	h.write(records(2), folds)
	_, got := w.read(h.Head.Ref, 1<<40, huge)
	w.want("sequences do not end at 32 bits", []any{h.head().LastSeq, len(got), got[0].First}, []any{uint64(1<<40 + 2), 1, uint64(1<<40 + 1)})
	w.want("a retry may be years away", func() time.Duration {
		h.write(retries(5 * 365 * 24 * time.Hour))
		_, next := w.promote()
		return next
	}(), 5*365*24*time.Hour)
}
