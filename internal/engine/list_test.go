// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/task"
)

var errSecret = errors.New("secret")

func asTask(err error, to **task.Error) bool { return errors.As(err, to) }

// archive is an agent that parks, completes or fails as it is told.
func archive(c *nodetest.Turn) error {
	c.Artifact("a", "content")
	switch c.Text() {
	case "ask":
		c.Ask("what?")
	case "fail":
		c.Status(a2a.TaskStateFailed)
	default:
		c.Complete()
	}
	return nil
}

func idsOf(list *a2a.ListTasksResponse) []a2a.TaskID {
	var out []a2a.TaskID
	for _, t := range list.Tasks {
		out = append(out, t.ID)
	}
	return out
}

func TestListTasks(t *testing.T) {
	t.Parallel()

	setup := func(t *testing.T) (w *nodetest.World, ids []a2a.TaskID) {
		w = nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: archive}, More: []string{"other"}})
		for i := range 12 {
			say := nodetest.Say([]string{"ask", "fail", "end"}[i%3])
			say.Message.ContextID = fmt.Sprint("c", i%2)
			ids = append(ids, w.MustSend(say).ID)
			time.Sleep(time.Second)
		}
		slices.Reverse(ids)
		return w, ids
	}

	bubble(t, "gives the newest status first, in pages that make the whole", func(t *testing.T) {
		w, ids := setup(t)
		for _, size := range []int{1, 5, 12, 100, 0} {
			var got []a2a.TaskID
			q := &a2a.ListTasksRequest{PageSize: size}
			for {
				list, err := w.List(w.Call(), q)
				if err != nil {
					t.Fatal(err)
				}
				if list.TotalSize != 12 || size > 0 && (len(list.Tasks) > size || list.PageSize != size) || size == 0 && list.PageSize != 50 {
					t.Errorf("size %d: %d tasks of %d, page size %d", size, len(list.Tasks), list.TotalSize, list.PageSize)
				}
				got = append(got, idsOf(list)...)
				if q.PageToken = list.NextPageToken; q.PageToken == "" {
					break
				}
			}
			if !slices.Equal(got, ids) {
				t.Errorf("size %d: %v, want %v", size, got, ids)
			}
		}
	})

	bubble(t, "filters by context, state, time and agent", func(t *testing.T) {
		w, ids := setup(t)
		at := w.MustGet(ids[3]).Status.Timestamp
		for name, q := range map[string]struct {
			req  a2a.ListTasksRequest
			want int
		}{
			"context":             {a2a.ListTasksRequest{ContextID: "c0"}, 6},
			"unknown context":     {a2a.ListTasksRequest{ContextID: "none"}, 0},
			"state":               {a2a.ListTasksRequest{Status: asking}, 4},
			"state that none has": {a2a.ListTasksRequest{Status: working}, 0},
			"time":                {a2a.ListTasksRequest{StatusTimestampAfter: at}, 4},
			"all at once":         {a2a.ListTasksRequest{ContextID: "c0", Status: completed, StatusTimestampAfter: at}, 1},
		} {
			list, err := w.List(w.Call(), &q.req)
			if err != nil || len(list.Tasks) != q.want || list.TotalSize != q.want {
				t.Errorf("%s: %d tasks of %d, want %d: %v", name, len(list.Tasks), list.TotalSize, q.want, err)
			}
		}
		if list, err := w.List(engine.Call{Agent: "other"}, &a2a.ListTasksRequest{}); err != nil || len(list.Tasks) != 0 {
			t.Errorf("another agent lists %v, %v", list, err)
		}
	})

	bubble(t, "shows artifacts and history as asked", func(t *testing.T) {
		w, _ := setup(t)
		for _, show := range []bool{false, true} {
			list, err := w.List(w.Call(), &a2a.ListTasksRequest{IncludeArtifacts: show, HistoryLength: ptr(0)})
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range list.Tasks {
				if (len(got.Artifacts) == 1) != show || len(got.History) != 0 {
					t.Errorf("%d artifacts, %d messages", len(got.Artifacts), len(got.History))
				}
			}
		}
	})

	bubble(t, "refuses what is out of range", func(t *testing.T) {
		w, _ := setup(t)
		for _, q := range []a2a.ListTasksRequest{
			{PageSize: -1}, {PageSize: 101}, {Status: "NEW"}, {HistoryLength: ptr(-1)}, {PageToken: "x"}, {PageToken: "AAAA"},
		} {
			_, err := w.List(w.Call(), &q)
			wantErr(t, err, a2a.ErrInvalidParams)
		}
	})

	bubble(t, "refuses a token that was forged, or belongs to other filters, another owner or another server", func(t *testing.T) {
		w, _ := setup(t)
		first, err := w.List(w.Call(), &a2a.ListTasksRequest{PageSize: 2})
		if err != nil {
			t.Fatal(err)
		}
		good := first.NextPageToken
		raw, err := base64.RawURLEncoding.DecodeString(good)
		if err != nil {
			t.Fatal(err)
		}
		for i := range raw {
			bad := slices.Clone(raw)
			bad[i] ^= 1
			_, err := w.List(w.Call(), &a2a.ListTasksRequest{PageSize: 2, PageToken: base64.RawURLEncoding.EncodeToString(bad)})
			wantErr(t, err, a2a.ErrInvalidParams)
		}
		for _, cut := range []string{good[:len(good)-1], good + "A", " " + good, good + "="} {
			_, err := w.List(w.Call(), &a2a.ListTasksRequest{PageToken: cut})
			wantErr(t, err, a2a.ErrInvalidParams)
		}
		now := time.Now()
		for name, q := range map[string]a2a.ListTasksRequest{
			"context": {ContextID: "c0"}, "state": {Status: asking}, "time": {StatusTimestampAfter: &now},
		} {
			q.PageToken = good
			if _, err := w.List(w.Call(), &q); !errors.Is(err, a2a.ErrInvalidParams) {
				t.Errorf("with another %s: %v", name, err)
			}
		}
		for _, c := range []engine.Call{
			{Scope: task.Scope{Tenant: "t"}}, {Scope: task.Scope{Principal: "p"}}, {Agent: "other"},
		} {
			_, err := w.List(c, &a2a.ListTasksRequest{PageToken: good})
			wantErr(t, err, a2a.ErrInvalidParams)
		}
		other := nodetest.New(t, nodetest.Options{})
		_, err = other.List(other.Call(), &a2a.ListTasksRequest{PageToken: good})
		wantErr(t, err, a2a.ErrInvalidParams)
		if list, err := w.List(w.Call(), &a2a.ListTasksRequest{PageSize: 100, PageToken: good}); err != nil || len(list.Tasks) != 10 {
			t.Errorf("another page size: %v", err)
		}
	})

	bubble(t, "repeats nothing and skips nothing that stays, while tasks change", func(t *testing.T) {
		w, ids := setup(t)
		q := &a2a.ListTasksRequest{PageSize: 2}
		var got []a2a.TaskID
		changed := map[a2a.TaskID]bool{}
		for page := 0; ; page++ {
			list, err := w.List(w.Call(), q)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, idsOf(list)...)
			if list.TotalSize > len(ids) {
				t.Errorf("page %d counts %d tasks: newer ones belong to the next listing", page, list.TotalSize)
			}
			if q.PageToken = list.NextPageToken; q.PageToken == "" {
				break
			}
			// A new task, and the last of the parked ones moves to the front.
			time.Sleep(time.Second)
			w.MustSend(nodetest.Say("end"))
			if page == 0 {
				moved := ids[len(ids)-1]
				w.MustSend(nodetest.Say("ask", nodetest.To(moved)))
				changed[moved] = true
			}
		}
		want := slices.DeleteFunc(slices.Clone(ids), func(id a2a.TaskID) bool { return changed[id] })
		if !slices.Equal(got, want) {
			t.Errorf("the pages have %v, want %v", got, want)
		}
		if list, err := w.List(w.Call(), &a2a.ListTasksRequest{PageSize: 100}); err != nil || !slices.Contains(idsOf(list), ids[len(ids)-1]) {
			t.Errorf("the next listing lacks the task that moved: %v", err)
		}
	})
}

func TestScope(t *testing.T) {
	t.Parallel()

	owner := task.Scope{Tenant: "t", Principal: "p"}
	strangers := []engine.Call{
		{}, {Scope: task.Scope{Tenant: "t"}}, {Scope: task.Scope{Principal: "p"}},
		{Scope: task.Scope{Tenant: "t", Principal: "q"}}, {Scope: task.Scope{Tenant: "p", Principal: "t"}},
		{Scope: owner, Agent: "other"},
	}
	for name, text := range map[string]string{"live": "hang", "parked": "ask", "ended": "end"} {
		bubble(t, "a "+name+" task of somebody else is answered like one that is not there, on every operation", func(t *testing.T) {
			w := nodetest.New(t, nodetest.Options{
				More: []string{"other"},
				Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
					if c.Text() == "hang" {
						c.Working()
						return c.Wait()
					}
					return archive(c)
				}},
			})
			mine := engine.Call{Scope: owner}
			a := w.SendAs(mine, nodetest.Say(text, nodetest.AtOnce))
			if a.Err != nil {
				t.Fatal(a.Err)
			}
			time.Sleep(100 * time.Millisecond)
			before := len(w.LogOf(task.Ref{Scope: owner, ID: string(a.Task.ID)}))
			for _, c := range strangers {
				for op, ask := range map[string]func(id a2a.TaskID) error{
					"get": func(id a2a.TaskID) error {
						_, err := w.Engine.Get(t.Context(), c, &a2a.GetTaskRequest{ID: id})
						return err
					},
					"send": func(id a2a.TaskID) error { return w.SendAs(c, nodetest.Say("x", nodetest.To(id))).Err },
					"send with a wrong context": func(id a2a.TaskID) error {
						say := nodetest.Say("x", nodetest.To(id))
						say.Message.ContextID = "guess"
						return w.SendAs(c, say).Err
					},
					"stream": func(id a2a.TaskID) error { return w.StreamAs(c, nodetest.Say("x", nodetest.To(id))).Err },
					"cancel": func(id a2a.TaskID) error { return w.CancelAs(c, &a2a.CancelTaskRequest{ID: id}).Err },
					"subscribe": func(id a2a.TaskID) error {
						_, err := w.Engine.Subscribe(t.Context(), c, &a2a.SubscribeToTaskRequest{ID: id}, nil)
						return err
					},
					"resume": func(id a2a.TaskID) error {
						_, err := w.Engine.Subscribe(t.Context(), c, &a2a.SubscribeToTaskRequest{ID: id}, ptr(uint64(99)))
						return err
					},
				} {
					foreign, unknown := ask(a.Task.ID), ask("00000000-0000-7000-8000-000000000000")
					if foreign == nil || unknown == nil || foreign.Error() != unknown.Error() || !errors.Is(foreign, a2a.ErrTaskNotFound) {
						t.Errorf("%s by %+v: %v for the foreign task, %v for an unknown one", op, c, foreign, unknown)
					}
				}
				if list, err := w.List(c, &a2a.ListTasksRequest{ContextID: a.Task.ContextID}); err != nil || len(list.Tasks) != 0 || list.TotalSize != 0 {
					t.Errorf("%+v lists %v, %v", c, list, err)
				}
			}
			if after := len(w.LogOf(task.Ref{Scope: owner, ID: string(a.Task.ID)})); after != before {
				t.Errorf("strangers made %d records", after-before)
			}
			if list, err := w.List(mine, &a2a.ListTasksRequest{}); err != nil || len(list.Tasks) != 1 {
				t.Errorf("the owner lists %v, %v", list, err)
			}
			w.CancelAs(mine, &a2a.CancelTaskRequest{ID: a.Task.ID})
		})
	}
}
