// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/task"
)

type mute struct{}

func (mute) Execute(context.Context, *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] { return nil }
func (mute) Cancel(context.Context, *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error]  { return nil }

// prepared is an attempt that is ready to be supervised.
func prepared(t *testing.T) *attempt {
	t.Helper()
	st := memory.New(memory.Options{})
	t.Cleanup(func() { _ = st.Close() })
	agents, err := agent.NewRegistry(nil, agent.Agent{Card: &a2a.AgentCard{}, Executor: mute{}})
	if err != nil {
		t.Fatal(err)
	}
	w := New(Options{ID: "w", Queue: st, Reader: st, Hub: live.NewHub(live.Limits{}), Agents: agents})
	body, err := record.AppendMessage(nil, a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart("go")))
	if err != nil {
		t.Fatal(err)
	}
	res, err := st.Submit(t.Context(), &store.Submission{
		Ref: task.Ref{ID: "task"}, ContextID: "context", Turn: 1, Message: body, MessageID: "m",
		Claim: &store.Taker{Worker: "w", TTL: time.Minute},
	})
	if err != nil || res.Claim == nil {
		t.Fatalf("%+v, %v", res, err)
	}
	a, _ := agents.Lookup("")
	at := newAttempt(w, a, res.Claim, &slot{w: w})
	if err := at.prepare(); err != nil {
		t.Fatal(err)
	}
	return at
}

// The moment between the two cannot be hit from outside: an event ends the turn
// after the verdict was asked for and before what is pending is taken.
func TestTheEndIsCommittedWithItsAck(t *testing.T) {
	t.Parallel()
	for _, end := range []a2a.TaskState{a2a.TaskStateCompleted, a2a.TaskStateInputRequired} {
		at := prepared(t)
		at.accept(&a2a.TaskStatusUpdateEvent{Status: a2a.TaskStatus{State: a2a.TaskStateWorking}})
		if v := at.verdict(); v != nil {
			t.Fatalf("verdict %+v", v)
		}
		at.accept(&a2a.TaskStatusUpdateEvent{Status: a2a.TaskStatus{State: end}})
		if b := at.take(nil); b != nil {
			t.Errorf("%s is committed without the ack: %+v", end, b)
		}
		v := at.verdict()
		if v == nil {
			t.Fatalf("no verdict after %s", end)
		}
		if b := at.take(v); b == nil || len(b.recs) != 3 {
			t.Errorf("with the ack %+v is committed", b)
		}
	}
}

// Once the verdict is spoken nothing changes it any more.
func TestNothingIsAcceptedAfterTheVerdict(t *testing.T) {
	t.Parallel()
	at := prepared(t)
	at.exec = &result{err: ErrDrained}
	v := at.verdict()
	if v == nil || v.finish.State != store.Retryable {
		t.Fatalf("verdict %+v", v)
	}
	if at.accept(&a2a.TaskStatusUpdateEvent{Status: a2a.TaskStatus{State: a2a.TaskStateCompleted}}) || at.state.Closed() {
		t.Error("COMPLETED is accepted after the attempt was judged a failure")
	}
}
