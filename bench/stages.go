// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/store"
)

// stageNames are the stages of a blocking send, in order; together they are all
// the time between the server's first look at the request and its last byte of
// the answer.
var stageNames = [...]string{
	"decode, admit",
	"commit of the task (fsync)",
	"worker starts the executor",
	"executor to its last event, fold, encode",
	"commit of the events and the end (fsync)",
	"wake the caller, encode, write",
}

const stageCount = len(stageNames)

// trace is when a message came to the end of each stage.
type trace struct {
	begin time.Time
	ends  [stageCount]time.Time
}

// stageHeader brings the id of the message past the decoder.
const stageHeader = "X-Bench-Message"

// stageLog notes when a message passes the seams of the server: the handler,
// the store's port, the executor. Messages without stageHeader are not noted.
type stageLog struct {
	mu       sync.Mutex
	messages map[string]*trace // by message id
	tasks    map[string]*trace // by task id
	done     []trace
}

func newStageLog() *stageLog {
	return &stageLog{messages: map[string]*trace{}, tasks: map[string]*trace{}}
}

// mark notes the end of a stage.
func (l *stageLog) mark(from map[string]*trace, id string, stage int) *trace {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	t := from[id]
	if t != nil {
		t.ends[stage] = now
	}
	return t
}

// answer gives what was noted since it was asked last: for each message the
// nanoseconds of each stage.
func (l *stageLog) answer(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	done := l.done
	l.done = nil
	l.mu.Unlock()
	out := make([][stageCount]int64, 0, len(done))
	for _, t := range done {
		var took [stageCount]int64
		whole := true
		for i, from := 0, t.begin; i < stageCount; i++ {
			whole = whole && !t.ends[i].Before(from)
			took[i], from = int64(t.ends[i].Sub(from)), t.ends[i]
		}
		if whole {
			out = append(out, took)
		}
	}
	answerJSON(w, out)
}

func (l *stageLog) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(stageHeader)
		if id == "" {
			h.ServeHTTP(w, r)
			return
		}
		t := &trace{begin: time.Now()}
		l.mu.Lock()
		l.messages[id] = t
		l.mu.Unlock()
		h.ServeHTTP(w, r)
		l.mark(l.messages, id, stageCount-1)
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.messages, id)
		l.done = append(l.done, *t)
	})
}

// store notes the calls that a new task makes: Submit, and the append that
// closes it.
func (l *stageLog) store(s store.Store) store.Store { return &stagedStore{s, l} }

type stagedStore struct {
	store.Store
	log *stageLog
}

func (s *stagedStore) Submit(ctx context.Context, sub *store.Submission) (store.Submitted, error) {
	t := s.log.mark(s.log.messages, sub.MessageID, 0)
	if t != nil {
		// Before the commit: the executor may begin before Submit has returned.
		s.log.mu.Lock()
		s.log.tasks[sub.ID] = t
		s.log.mu.Unlock()
	}
	out, err := s.Store.Submit(ctx, sub)
	s.log.mark(s.log.messages, sub.MessageID, 1)
	return out, err
}

func (s *stagedStore) Append(ctx context.Context, a *store.Append) (store.Appended, error) {
	closes := a.View != nil && a.View.Closed
	if closes {
		s.log.mark(s.log.tasks, a.ID, 3)
	}
	out, err := s.Store.Append(ctx, a)
	if closes && s.log.mark(s.log.tasks, a.ID, 4) != nil {
		s.log.mu.Lock()
		delete(s.log.tasks, a.ID)
		s.log.mu.Unlock()
	}
	return out, err
}

// executor notes when an attempt begins.
func (l *stageLog) executor(e a2asrv.AgentExecutor) a2asrv.AgentExecutor {
	return stagedExecutor{e, l}
}

type stagedExecutor struct {
	a2asrv.AgentExecutor
	log *stageLog
}

func (e stagedExecutor) Execute(ctx context.Context, exec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	inner := e.AgentExecutor.Execute(ctx, exec)
	return func(yield func(a2a.Event, error) bool) {
		e.log.mark(e.log.messages, exec.Message.ID, 2)
		inner(yield)
	}
}
