// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
)

// The benchmarks serve this executor through the SDK's own handler, so it has
// to obey the SDK's rules too.
func TestUnderTheSDK(t *testing.T) {
	t.Parallel()
	send := func(t *testing.T, h a2asrv.RequestHandler, task *a2a.Task, text string) a2a.SendMessageResult {
		t.Helper()
		m := a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text))
		if task != nil {
			m.TaskID, m.ContextID = task.ID, task.ContextID
		}
		res, err := h.SendMessage(t.Context(), &a2a.SendMessageRequest{Message: m})
		if err != nil {
			t.Fatalf("send %q: %v", text, err)
		}
		return res
	}
	tell := func(res a2a.SendMessageResult) string {
		task, ok := res.(*a2a.Task)
		if !ok {
			return "message " + textOf(res.(*a2a.Message))
		}
		s := short(task.Status)
		for _, a := range task.Artifacts {
			s += " " + string(a.ID) + ":"
			for _, p := range a.Parts {
				s += fmt.Sprintf("%v", p.Content)
			}
		}
		return s
	}
	for text, want := range map[string]string{
		"count to 5":  "COMPLETED count:12345",
		"echo a b":    "COMPLETED echo:a b",
		"fail x":      "FAILED",
		"reject x":    "REJECTED",
		"count to x":  "REJECTED",
		"sleep 1ms":   "COMPLETED",
		"flaky 0":     "COMPLETED flaky:completed on attempt 1",
		"message x":   "message x",
		"data":        "COMPLETED data:{map[agent:errand demo durable:true numbers:[1 2 3]]}",
		"ask who":     "INPUT_REQUIRED",
		"file please": "COMPLETED file:[65 32 102 105 108 101 32 102 114 111 109 32 116 104 101 32 69 114 114 97 110 100 32 100 101 109 111 32 97 103 101 110 116 46 10]",
	} {
		t.Run(text+" gives "+want[:min(len(want), 24)], func(t *testing.T) {
			t.Parallel()
			if got := tell(send(t, a2asrv.NewHandler(New()), nil, text)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	t.Run("the answer to a question completes the task", func(t *testing.T) {
		t.Parallel()
		h := a2asrv.NewHandler(New())
		asked := send(t, h, nil, "ask who").(*a2a.Task)
		if got := tell(send(t, h, asked, "me")); got != "COMPLETED echo:me" {
			t.Errorf("got %s", got)
		}
	})
}
