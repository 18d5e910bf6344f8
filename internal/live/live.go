// SPDX-License-Identifier: Apache-2.0

// Package live is the tail of the tasks that run on this replica: whoever has
// committed publishes, followers listen.
//
// It carries hints. A follower accepts only the record that comes right after
// its cursor and otherwise reads the log, so that everything here may be lost,
// late or repeated without harm. A follower that does not keep up costs a
// bounded buffer and delays nobody: what does not fit is dropped, and it reads
// the log.
package live

import (
	"sync"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

// Tail is what one commit made visible.
type Tail struct {
	// Records are the records of the commit, in order; possibly none.
	Records []record.Record
	// DoneTurn is how many turns have ended.
	DoneTurn int
	// Seq is the last sequence of the log after the commit, where Records do not
	// tell it: who has not had that one yet must not take the turn for ended.
	Seq uint64
	// Settled is the folded task after the commit, if the commit ended a turn
	// (or stopped at auth-required). It is frozen and shared.
	Settled *task.State
	// shared has a cell for each record, if several listen.
	shared []record.Shared
}

// Shared is the cell of a record, by its place in Records: what one listener
// makes of the record the others need not make again. It is nil if there are no
// others.
func (t *Tail) Shared(n int) *record.Shared {
	if t.shared == nil {
		return nil
	}
	return &t.shared[n]
}

// Limits bound what one follower may hold.
type Limits struct {
	Records int // default 256; a tail without any counts as one
	Bytes   int // of their JSON; default 1 MiB
}

// Hub connects publishers and followers of this process.
type Hub struct {
	limits Limits
	shards [64]shard
}

type shard struct {
	mu     sync.Mutex
	topics map[task.Ref]map[*Listener]struct{}
}

// NewHub makes an empty hub.
func NewHub(l Limits) *Hub {
	if l.Records <= 0 {
		l.Records = 256
	}
	if l.Bytes <= 0 {
		l.Bytes = 1 << 20
	}
	h := &Hub{limits: l}
	for i := range h.shards {
		h.shards[i].topics = make(map[task.Ref]map[*Listener]struct{})
	}
	return h
}

// Listener is one follower's end.
type Listener struct {
	hub *Hub
	ref task.Ref

	mu     sync.Mutex
	tails  []Tail
	held   int // places
	bytes  int
	lagged bool
	bell   chan struct{}
}

// Listen begins to listen to a task. Close must be called.
func (h *Hub) Listen(ref task.Ref) *Listener {
	l := &Listener{hub: h, ref: ref, bell: make(chan struct{}, 1)}
	s := h.shard(ref)
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.topics[ref]
	if set == nil {
		set = make(map[*Listener]struct{}, 1)
		s.topics[ref] = set
	}
	set[l] = struct{}{}
	return l
}

// Close stops listening. It may be called twice.
func (l *Listener) Close() {
	s := l.hub.shard(l.ref)
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.topics[l.ref]
	delete(set, l)
	if len(set) == 0 {
		delete(s.topics, l.ref)
	}
}

// Bell rings (once, however much there is) when Take has something to give.
func (l *Listener) Bell() <-chan struct{} { return l.bell }

// Take gives what was published since the last Take, in order. lagged says
// that something was dropped: the log has it.
func (l *Listener) Take() (tails []Tail, lagged bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tails, lagged = l.tails, l.lagged
	l.tails, l.held, l.bytes, l.lagged = nil, 0, 0, false
	return tails, lagged
}

// Publish hands a commit to the listeners of its task. It never blocks. The
// records must not be modified afterwards.
func (h *Hub) Publish(ref task.Ref, t Tail) {
	s := h.shard(ref)
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.topics[ref]
	if len(set) > 1 && len(t.Records) > 0 {
		t.shared = make([]record.Shared, len(t.Records))
	}
	for l := range set {
		l.offer(t, h.limits)
	}
}

// Listening reports whether anybody listens to a task.
func (h *Hub) Listening(ref task.Ref) bool {
	s := h.shard(ref)
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.topics[ref]) > 0
}

// Nudge makes the listeners of a task look at the store.
func (h *Hub) Nudge(ref task.Ref) {
	s := h.shard(ref)
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.topics[ref] {
		l.mu.Lock()
		l.lagged = true
		l.mu.Unlock()
		l.ring()
	}
}

// Listeners counts all listeners of the process.
func (h *Hub) Listeners() int {
	n := 0
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		for _, set := range s.topics {
			n += len(set)
		}
		s.mu.Unlock()
	}
	return n
}

func (l *Listener) offer(t Tail, lim Limits) {
	n := 0
	for _, r := range t.Records {
		n += len(r.Event)
		if r.Opens != nil {
			n += len(r.Opens.Raw)
		}
	}
	// A tail without records (the end of a turn alone) takes a place too.
	places := max(len(t.Records), 1)
	l.mu.Lock()
	if l.held+places > lim.Records || l.bytes+n > lim.Bytes {
		// Keep the order: what is dropped is the newest, and everything after it
		// until the follower has taken what it holds.
		l.lagged = true
	} else if !l.lagged {
		l.tails = append(l.tails, t)
		l.held += places
		l.bytes += n
	}
	l.mu.Unlock()
	l.ring()
}

func (l *Listener) ring() {
	select {
	case l.bell <- struct{}{}:
	default:
	}
}

// shard spreads the tasks: ids are random in their last bytes.
func (h *Hub) shard(ref task.Ref) *shard {
	var n uint32 = 2166136261
	for i := 0; i < len(ref.ID); i++ {
		n = (n ^ uint32(ref.ID[i])) * 16777619
	}
	return &h.shards[n%uint32(len(h.shards))]
}
