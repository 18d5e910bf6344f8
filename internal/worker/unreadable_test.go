// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
	"github.com/errand-a2a/errand/internal/worker"
)

// damages are what may have become of a stored task.
func damages() map[string]func(*store.Stored) error {
	return map[string]func(*store.Stored) error{
		"a flipped bit": func(st *store.Stored) error {
			st.Tail[0].Body = bytes.Clone(st.Tail[0].Body)
			st.Tail[0].Body[9] ^= 4
			return nil
		},
		"a log without its end": func(st *store.Stored) error { st.Tail = st.Tail[:0]; return nil },
		"an unknown format": func(st *store.Stored) error {
			st.Tail[0].Body = bytes.Clone(st.Tail[0].Body)
			st.Tail[0].Body[0] = 200
			return nil
		},
		"a row of a newer release": func(*store.Stored) error { return fmt.Errorf("%w: the head has format 99", store.ErrFormat) },
	}
}

// damaged is a world whose first task has failed once and cannot be read any
// more from then on.
type damaged struct {
	*nodetest.World
	id     a2a.TaskID
	said   lockedBuffer
	broken atomic.Bool
	loads  atomic.Int32
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newDamaged(t *testing.T, damage func(*store.Stored) error) *damaged {
	d := &damaged{}
	logger := slog.New(slog.NewTextHandler(&d.said, &slog.HandlerOptions{Level: slog.LevelWarn}))
	d.World = nodetest.New(t, nodetest.Options{
		Policy: agent.Policy{Retry: task.Retry{MaxAttempts: 2}}, Patience: 48 * time.Hour,
		Worker: worker.Options{Lease: 15 * time.Second, Poll: time.Minute, Sweep: time.Minute, Logger: logger},
		Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Artifact("a", "kept")
			if c.Text() == "first" && c.Attempt == 1 {
				return task.RetryAfter(5*time.Second, errAgent)
			}
			c.Complete("done")
			return nil
		}},
		Hooks: nodetest.Hooks{Load: func(ref task.Ref, next func() (store.Stored, error)) (store.Stored, error) {
			st, err := next()
			if err != nil || !d.broken.Load() || ref.ID != string(d.id) {
				return st, err
			}
			d.loads.Add(1)
			if err := damage(&st); err != nil {
				return store.Stored{}, err
			}
			return st, nil
		}},
	})
	d.id = d.MustSend(nodetest.Say("first", nodetest.AtOnce)).ID
	synctest.Wait()
	d.broken.Store(true)
	return d
}

func TestATaskThatCannotBeRead(t *testing.T) {
	t.Parallel()

	for what, damage := range damages() {
		bubble(t, "is left as it is, named once and in nobody's way: "+what, func(t *testing.T) {
			d := newDamaged(t, damage)
			before, head := d.Log(d.id), d.Head(d.id)
			for range 3 {
				time.Sleep(time.Hour)
				wantState(t, d.MustSend(nodetest.Say("other")), completed)
			}
			if n := d.loads.Load(); n < 20 || n > 40 {
				t.Errorf("it was tried %d times in 3 hours", n)
			}
			if turn := d.Turns(d.id)[0]; turn.Failures != 1 || turn.Losses != 0 || turn.Item != store.Scheduled {
				t.Errorf("it has cost: %+v", turn)
			}
			if now := d.Head(d.id); !reflect.DeepEqual(d.Log(d.id), before) || now.LastSeq != head.LastSeq || now.State != head.State || now.StatusAt != head.StatusAt {
				t.Errorf("the task was touched: %+v", now)
			}
			named := strings.Count(d.said.String(), `msg="a task cannot be read; it is left as it is and its message waits" task=`+string(d.id))
			if lines := strings.Count(d.said.String(), "\n"); named != 1 || lines != 2 { // and that it failed once
				t.Errorf("the operator is told:\n%s", d.said.String())
			}
			rows := d.Attempts(d.id)
			if len(rows) != 2 || rows[1].Outcome != "unreadable" || rows[1].Error == "" {
				t.Errorf("attempts %+v", rows)
			}
		})

		bubble(t, "is an internal error to clients, who see nothing of what is wrong: "+what, func(t *testing.T) {
			d := newDamaged(t, damage)
			for call, err := range map[string]error{
				"get": d.Get(d.id).Err, "send": d.Send(nodetest.Say("more", nodetest.To(d.id))).Err, "subscribe": d.Subscribe(d.id, nil).Wait().Err,
			} {
				var forClients *task.Error
				if err == nil || errors.As(err, &forClients) {
					t.Errorf("%s: %v", call, err)
				}
			}
		})

		bubble(t, "goes on with all its attempts when it can be read again: "+what, func(t *testing.T) {
			d := newDamaged(t, damage)
			time.Sleep(time.Hour)
			d.broken.Store(false)
			d.Until("the turn has ended", func() bool { return d.Head(d.id).Closed })
			got := d.MustGet(d.id)
			wantState(t, got, completed)
			if a := artifacts(got); a["a"] != "kept" || len(a) != 1 {
				t.Errorf("artifacts %v", a)
			}
		})

		bubble(t, "can be canceled: "+what, func(t *testing.T) {
			d := newDamaged(t, damage)
			_ = d.Cancel(d.id) // its answer is the task, which cannot be read
			if h := d.Head(d.id); !h.Closed || h.State != string(canceled) {
				t.Errorf("head %+v", h)
			}
		})
	}
}
