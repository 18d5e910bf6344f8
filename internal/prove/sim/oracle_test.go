// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// oracle knows what the store holds, by reading it after every commit, and
// says what may not be.
type oracle struct {
	w     *world
	mu    sync.Mutex
	books map[task.Ref]*book
	order []*book
	posts map[string]post // by message id
}

// post is the turn that a message became.
type post struct {
	b    *book
	turn int
}

// book is what the oracle knows of one task.
type book struct {
	ref       task.Ref
	name      string
	agent     string
	contextID string
	head      store.Head
	recs      []record.Record
	state     *task.State // the fold of recs
	ends      int         // terminal events among them
	// owner is who was told that it holds an epoch; nobody was if the answer to
	// the claim was lost.
	owner map[int64]*replica
	runs  map[run]store.Claim
	lease time.Time // until when the running item is somebody's
	// until is where each turn ended: what comes later may still bear its number,
	// as the cancellation of a task that waits does.
	until map[int]uint64
	// held is the item that was claimed last, lost how often each was rescued.
	held store.ItemRef
	lost map[store.ItemRef]int
}

// run is one run of an item.
type run struct {
	item    store.ItemRef
	attempt int
}

func newOracle(w *world) *oracle {
	return &oracle{w: w, books: map[task.Ref]*book{}, posts: map[string]post{}}
}

func (o *oracle) submitted(rep *replica, ord order, s *store.Submission, out store.Submitted, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case errors.Is(err, store.ErrStale):
		o.w.count("stale submissions")
	case errors.Is(err, store.ErrKeyConflict):
		o.w.count("key conflicts")
	case err == nil && out.Joined:
		o.w.count("joined keys")
		if p, ok := o.posts[s.MessageID]; ok && (p.b.ref != out.Head.Ref || p.turn != out.Turn) {
			o.w.fail("I19 idempotency", "%s joined turn %d of %s, its key stands for turn %d of %s", s.MessageID, out.Turn, o.w.name(out.Head.ID), p.turn, p.b.name)
		}
	case err == nil:
		b := o.books[s.Ref]
		if b == nil {
			b = &book{
				ref: s.Ref, name: o.w.name(s.ID), agent: s.Agent, contextID: s.ContextID, state: task.NewState(s.ID, s.ContextID),
				owner: map[int64]*replica{}, runs: map[run]store.Claim{}, until: map[int]uint64{}, lost: map[store.ItemRef]int{},
			}
			o.books[s.Ref] = b
			o.order = append(o.order, b)
		}
		if p, ok := o.posts[s.MessageID]; ok {
			o.w.fail("I19 idempotency", "%s is turn %d of %s and was accepted again as turn %d of %s", s.MessageID, p.turn, p.b.name, s.Turn, b.name)
		}
		o.posts[s.MessageID] = post{b, s.Turn}
		if s.Turn > 1 && b.head.DoneTurn < s.Turn-1 {
			o.w.count("queued turns")
		}
		if out.Claim != nil {
			o.w.count("claimed in the accepting commit")
			o.take(rep, ord, *out.Claim, s.Claim.TTL)
		}
	}
	o.compare(rep, "submit")
}

func (o *oracle) asked(rep *replica, ord order, r *store.CancelRequest, out store.Cancellation, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil && out.Claim != nil {
		o.take(rep, ord, *out.Claim, r.Claim.TTL)
	}
	o.compare(rep, "cancel")
}

func (o *oracle) claimed(rep *replica, ord order, why string, claims []store.Claim, ttl time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range claims {
		o.take(rep, ord, c, ttl)
	}
	o.compare(rep, why)
}

// take notes a claim that was just committed.
func (o *oracle) take(rep *replica, ord order, c store.Claim, ttl time.Duration) {
	b := o.books[c.Head.Ref]
	if b.head.Running || b.head.Closed {
		o.w.fail("I12 one owner", "%s was claimed while running=%v closed=%v", b.name, b.head.Running, b.head.Closed)
	}
	if c.Item.Kind == store.Execute && c.Item.Turn != b.head.DoneTurn+1 {
		o.w.fail("I17 order of turns", "turn %d of %s was claimed after turn %d", c.Item.Turn, b.name, b.head.DoneTurn)
	}
	if c.Item.Kind == store.Execute && c.Losses != b.lost[c.Item] {
		o.w.fail("I14 attempts", "turn %d of %s was lost %d times, its claim says %d", c.Item.Turn, b.name, b.lost[c.Item], c.Losses)
	}
	b.held = c.Item
	b.lease = o.w.storeNow().Add(ttl)
	if _, known := b.runs[run{c.Item, c.Attempt}]; known && !c.Expired {
		o.w.fail("I14 attempts", "attempt %d of %v of %s was claimed twice", c.Attempt, c.Item, b.name)
	}
	if c.Expired {
		o.w.count("expired claims") // no run: it only records the end
	} else {
		b.runs[run{c.Item, c.Attempt}] = c
	}
	if c.Item.Kind == store.CancelItem {
		o.w.count("cancel items claimed")
	}
	if c.Losses > 0 {
		o.w.count("claimed again after a loss")
	}
	if !ord.lose && !ord.kill {
		b.owner[c.Head.Epoch] = rep
	} else {
		o.w.count("claims whose answer was lost")
	}
}

func (o *oracle) beaten(rep *replica, ttl time.Duration, beats []store.Beat, answers []store.BeatAnswer, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		return
	}
	for n, beat := range beats {
		b := o.books[beat.Ref]
		if answers[n].Lost {
			o.w.count("heartbeats that said lost")
			continue
		}
		if beat.Epoch != b.head.Epoch || b.owner[beat.Epoch] != rep || !b.head.Running {
			o.w.fail("I12 one owner", "a heartbeat of %s renewed %s with epoch %d; the epoch is %d and running %v", rep.name, b.name, beat.Epoch, b.head.Epoch, b.head.Running)
		}
		if answers[n].Cancel == store.CancelRequested {
			o.w.count("cancellations heard by a heartbeat")
		}
		b.lease = o.w.storeNow().Add(ttl)
	}
	o.compare(rep, "beat")
}

func (o *oracle) appended(rep *replica, ord order, a *store.Append, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.books[a.Ref]
	if err != nil {
		o.refused(err)
		o.compare(rep, "refusal")
		return
	}
	was := b.head
	if a.Epoch != was.Epoch || a.LastSeq != was.LastSeq || was.Closed {
		o.w.fail("I12 fence", "a write to %s that named epoch %d after %d was accepted; it is at epoch %d after %d, closed %v", b.name, a.Epoch, a.LastSeq, was.Epoch, was.LastSeq, was.Closed)
	}
	if a.TakeEpoch {
		o.w.count("takeovers")
		o.compare(rep, "take")
		if b.head.Epoch != was.Epoch+1 {
			o.w.fail("I12 one owner", "%s was taken over and its epoch is %d as before", b.name, was.Epoch)
		}
		return
	}
	if !was.Running || b.owner[a.Epoch] != rep {
		o.w.fail("I12 one owner", "%s wrote to %s with epoch %d, which is not its own", rep.name, b.name, a.Epoch)
	}
	if a.Extend > 0 {
		b.lease = o.w.storeNow().Add(a.Extend)
	}
	if a.Snapshot != nil {
		o.w.count("snapshots")
	}
	if a.Batch != nil && a.Batch.Last > a.Batch.First+1 {
		o.w.count("commits of several events")
	}
	if a.RefuseCancel {
		o.w.count("cancellations refused by the agent")
	}
	if ord.lose {
		o.w.count("appends that stand unheard")
	}
	if f := a.Finish; f != nil {
		o.w.count("finished " + string(f.State))
	}
	o.compare(rep, "append")
}

func (o *oracle) refused(err error) {
	switch {
	case errors.Is(err, store.ErrFenced):
		o.w.count("writes fenced off")
	case errors.Is(err, store.ErrNewerTurn):
		o.w.count("ends refused for a newer turn")
	case errors.Is(err, store.ErrClosed):
		o.w.count("writes to a closed task refused")
	}
}

// look compares what the store holds now with what was there before.
func (o *oracle) look(rep *replica, why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.compare(rep, why)
}

// raises are the operations that may raise an epoch, by one.
var raises = map[string]bool{"submit": true, "cancel": true, "claim": true, "promote": true, "rescue": true, "take": true}

// grows are those that may write records.
var grows = map[string]bool{"submit": true, "append": true, "take": true}

func (o *oracle) compare(rep *replica, why string) {
	for _, b := range o.order {
		head, batches, err := o.w.mem.Read(context.Background(), b.ref, b.head.LastSeq, 1<<30)
		if err != nil {
			o.w.fail("I14 durable", "%s cannot be read: %v", b.name, err)
			continue
		}
		was := b.head
		b.head = head
		if head == was {
			continue
		}
		if why == "refusal" {
			o.w.fail("I12 fence", "a refused write changed %s: %+v became %+v", b.name, was, head)
		}
		o.compareHeads(b, was, head, why)
		o.w.announce(b, rep)
		if head.LastSeq != was.LastSeq {
			if !grows[why] {
				o.w.fail("I1 log", "the log of %s grew by %s", b.name, why)
			}
			o.compareLog(b, batches)
		}
	}
}

func (o *oracle) compareHeads(b *book, was, head store.Head, why string) {
	bad := func(inv, format string, args ...any) {
		o.w.fail(inv, "%s after %s: "+format, append([]any{b.name, why}, args...)...)
	}
	switch {
	case head.Epoch == was.Epoch:
		if head.Running && !was.Running {
			bad("I12 one owner", "it runs now and its epoch was not raised")
		}
	case head.Epoch != was.Epoch+1 || !raises[why]:
		bad("I12 one owner", "epoch %d became %d", was.Epoch, head.Epoch)
	}
	if why == "rescue" && was.Running {
		o.w.count("rescues")
		b.lost[b.held]++
		if o.w.storeNow().Before(b.lease) {
			bad("I12 one owner", "rescued %s before its lease ran out", b.lease.Sub(o.w.storeNow()))
		}
		if head.Epoch == was.Epoch || head.Running {
			bad("I12 one owner", "rescued, with epoch %d as before", head.Epoch)
		}
	}
	if was.Closed && (!head.Closed || head.LastSeq != was.LastSeq || head.Epoch != was.Epoch || head.LastTurn != was.LastTurn || head.State != was.State) {
		bad("I8 one end", "a closed task changed: %+v became %+v", was, head)
	}
	if head.LastSeq < was.LastSeq || head.LastTurn < was.LastTurn || head.DoneTurn < was.DoneTurn || head.DoneTurn > head.LastTurn {
		bad("I1 log", "sequence %d became %d, turns %d/%d became %d/%d", was.LastSeq, head.LastSeq, was.DoneTurn, was.LastTurn, head.DoneTurn, head.LastTurn)
	}
	if head.Closed && (head.DoneTurn != head.LastTurn || head.Running || head.Cancel == store.CancelRequested) {
		bad("I9 turns end", "closed, with turns %d/%d, running %v, cancel %v", head.DoneTurn, head.LastTurn, head.Running, head.Cancel)
	}
	for n := was.DoneTurn + 1; n <= head.DoneTurn; n++ {
		b.until[n] = head.LastSeq
	}
	if head.Running && head.Cancel == store.CancelRequested && was.Cancel != store.CancelRequested {
		o.w.count("cancellations of running tasks")
	}
}

// compareLog takes what was written since the last look.
func (o *oracle) compareLog(b *book, batches []store.Batch) {
	for _, batch := range batches {
		recs, err := record.DecodeBatch(batch.Body)
		if err != nil {
			o.w.fail("I1 log", "batch %d-%d of %s: %v", batch.First, batch.Last, b.name, err)
			return
		}
		for _, r := range recs {
			if r.Seq <= uint64(len(b.recs)) {
				continue
			}
			o.add(b, r)
		}
	}
	if n := uint64(len(b.recs)); n != b.head.LastSeq {
		o.w.fail("I1 log", "the log of %s has %d records, its head says %d", b.name, n, b.head.LastSeq)
	}
	o.compareFold(b)
}

// add appends one record of the log.
func (o *oracle) add(b *book, r record.Record) {
	bad := func(inv, format string, args ...any) {
		o.w.fail(inv, "record %d of %s: "+format, append([]any{r.Seq, b.name}, args...)...)
	}
	if r.Seq != uint64(len(b.recs))+1 {
		bad("I1 log", "comes after %d", len(b.recs))
	}
	if b.ends > 0 {
		bad("I8 one end", "comes after the terminal event")
	}
	if r.Turn < 1 || r.Turn > b.head.LastTurn || len(b.recs) > 0 && r.Turn < b.recs[len(b.recs)-1].Turn {
		bad("I17 order of turns", "turn %d of %d comes after turn %d", r.Turn, b.head.LastTurn, b.recs[len(b.recs)-1].Turn)
	}
	if err := record.Fold(b.state, []record.Record{r}); err != nil {
		bad("I2 fold", "%v", err)
	}
	b.recs = append(b.recs, r)
	if b.state.Closed() {
		b.ends++
	}
	if r.Closes != b.state.Closed() {
		bad("I8 one end", "says closes=%v, the state is %s", r.Closes, b.state.Status.State)
	}
}

// compareFold: what is loaded is the fold of the whole log.
func (o *oracle) compareFold(b *book) {
	st, err := o.w.mem.Load(context.Background(), b.ref)
	if err != nil {
		o.w.fail("I2 fold", "load %s: %v", b.name, err)
		return
	}
	var snapshot []byte
	if st.Snapshot != nil {
		snapshot = st.Snapshot.Body
	}
	tail := make([][]byte, len(st.Tail))
	for n, batch := range st.Tail {
		tail[n] = batch.Body
	}
	s, err := record.Open(b.ref.ID, b.contextID, snapshot, tail)
	if err != nil {
		o.w.fail("I2 fold", "open %s: %v", b.name, err)
		return
	}
	if loaded, folded := record.AppendTask(nil, s, record.View{}), record.AppendTask(nil, b.state, record.View{}); !bytes.Equal(loaded, folded) {
		o.w.fail("I2 fold", "%s is loaded as\n%s\nits log folds to\n%s", b.name, loaded, folded)
	}
	h := b.head
	if h.State != string(b.state.Status.State) || h.Listed != b.state.Exists() || h.Closed != b.state.Closed() || !h.StatusAt.Equal(b.state.Status.At) {
		o.w.fail("I2 fold", "the head of %s says %s listed=%v closed=%v at %v, its log %s %v %v at %v", b.name, h.State, h.Listed, h.Closed, h.StatusAt,
			b.state.Status.State, b.state.Exists(), b.state.Closed(), b.state.Status.At)
	}
}

// prefix folds the first n records.
func (b *book) prefix(n int) *task.State {
	s := task.NewState(b.ref.ID, b.contextID)
	if err := record.Fold(s, b.recs[:n]); err != nil {
		panic(err) // the same records were folded when they came
	}
	return s
}
