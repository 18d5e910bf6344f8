// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/node/nodetest"
)

func TestAnEndThatNamesCanceledTurnsIsOtherwiseTheAgents(t *testing.T) {
	t.Parallel()

	const large = 1<<53 + 1 // no float64 is this
	meta := map[string]any{"n": int64(large), "z": "<&>\u2028"}
	message := func(c *nodetest.Turn) *a2a.Message {
		m := a2a.NewMessageForTask(a2a.MessageRoleAgent, c, a2a.NewDataPart(map[string]any{"n": int64(large)}))
		m.Metadata = meta
		return m
	}
	for kind, end := range map[string]func(*nodetest.Turn) a2a.Event{
		"status": func(c *nodetest.Turn) a2a.Event {
			ev := a2a.NewStatusUpdateEvent(c, completed, message(c))
			ev.Metadata = meta
			return ev
		},
		"task": func(c *nodetest.Turn) a2a.Event {
			return &a2a.Task{ID: c.TaskID, ContextID: c.ContextID, Status: a2a.TaskStatus{State: completed, Message: message(c)}, Metadata: meta}
		},
	} {
		bubble(t, "the numbers of its "+kind+" are not rounded, in the log and in the task", func(t *testing.T) {
			gate := make(chan struct{})
			w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
				c.Working()
				<-gate
				c.Yield(end(c))
				return nil
			}}})
			id := w.MustSend(nodetest.Say("1", nodetest.AtOnce)).ID
			synctest.Wait()
			second := w.Later(nodetest.Say("2", nodetest.To(id), nodetest.ID("m2")))
			synctest.Wait()
			close(gate)
			wantErr(t, (<-second).Err, a2a.ErrUnsupportedOperation)
			recs := w.Log(id)
			for where, b := range map[string]string{"event": string(recs[len(recs)-1].Event), "task": string(w.Get(id).JSON)} {
				if strings.Count(b, "9007199254740993") != 3 || strings.Count(b, `["m2"]`) != 1 {
					t.Errorf("the %s is %s", where, b)
				}
			}
		})
	}
}
