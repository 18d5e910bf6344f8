// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/task"
)

// rotten is a store that has lost what it knew of one task.
type rotten struct {
	store.Store
	id     string
	damage func(*store.Stored)
}

func (r *rotten) List(ctx context.Context, q store.ListQuery) (store.Page, error) {
	page, err := r.Store.List(ctx, q)
	for i := range page.Tasks {
		if page.Tasks[i].Head.ID == r.id {
			r.damage(&page.Tasks[i])
		}
	}
	return page, err
}

func (r *rotten) Load(ctx context.Context, ref task.Ref) (store.Stored, error) {
	st, err := r.Store.Load(ctx, ref)
	if err == nil && ref.ID == r.id {
		r.damage(&st)
		err = st.Unreadable
	}
	return st, err
}

func TestAListingWithATaskThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for what, damage := range map[string]func(*store.Stored){
		"a flipped bit":         func(st *store.Stored) { st.Tail[0].Body[7] ^= 1 },
		"a log without its end": func(st *store.Stored) { st.Tail = nil },
		"an unknown format": func(st *store.Stored) {
			*st = store.Stored{Head: st.Head, Unreadable: fmt.Errorf("%w: the head has format 99", store.ErrFormat)}
		},
	} {
		bubble(t, "shows all the others whole, and of that one what its head knows: "+what, func(t *testing.T) {
			var said bytes.Buffer
			m := memory.New(memory.Options{})
			t.Cleanup(func() { _ = m.Close() })
			st := &rotten{Store: m, damage: damage}
			w := nodetest.New(t, nodetest.Options{
				Store: st, Agent: nodetest.Agent{Execute: archive},
				Engine: engine.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))},
			})
			var ids []a2a.TaskID
			var state []a2a.TaskState
			for i := range 9 {
				got := w.MustSend(nodetest.Say([]string{"ask", "fail", "end"}[i%3]))
				ids, state = append(ids, got.ID), append(state, got.Status.State)
				time.Sleep(time.Second)
			}
			want := w.MustGet(ids[4])
			slices.Reverse(ids)
			slices.Reverse(state)
			st.id = string(want.ID)
			var got []a2a.TaskID
			q := &a2a.ListTasksRequest{PageSize: 2, IncludeArtifacts: true}
			for {
				list, err := w.List(w.Call(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range list.Tasks {
					n := len(got)
					got = append(got, l.ID)
					readable := l.ID != want.ID
					if l.Status.State != state[n] || (len(l.Artifacts) == 1) != readable || (len(l.History) > 0) != readable || list.TotalSize != 9 {
						t.Errorf("task %d of %d: %+v", n, list.TotalSize, l)
					}
					if !readable && (l.ContextID != want.ContextID || !l.Status.Timestamp.Equal(*want.Status.Timestamp)) {
						t.Errorf("it is listed as %+v", l)
					}
				}
				if q.PageToken = list.NextPageToken; q.PageToken == "" {
					break
				}
			}
			if !slices.Equal(got, ids) {
				t.Errorf("listed %v, want %v", got, ids)
			}
			if _, err := w.List(w.Call(), &a2a.ListTasksRequest{}); err != nil {
				t.Error(err)
			}
			if strings.Count(said.String(), "\n") != 1 || !strings.Contains(said.String(), "task="+st.id) {
				t.Errorf("the operator is told:\n%s", said.String())
			}
			var forClients *task.Error
			if err := w.Get(want.ID).Err; err == nil || errors.As(err, &forClients) {
				t.Errorf("get: %v", err)
			}
			st.id = "" // for the checks at the end
		})
	}
}
