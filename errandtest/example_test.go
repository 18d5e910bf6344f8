// SPDX-License-Identifier: Apache-2.0

package errandtest_test

import (
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand"
	"github.com/errand-a2a/errand/errandtest"
)

// An executor is run on a message, and the task is looked at.
func ExampleExecute() {
	_ = func(t *testing.T) {
		s := errandtest.Execute(t, clerk{}, a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart("hello")))
		if s.Task.Status.State != a2a.TaskStateCompleted || s.Text() != "HELLO" {
			t.Errorf("%v: %q", s.States(), s.Text())
		}
	}
}

// A server is started in one line, and called as a stranger would.
func ExampleNewServer() {
	_ = func(t *testing.T) {
		s := errandtest.NewServer(t, errand.Options{}, errand.Agent{Card: &a2a.AgentCard{Name: "clerk"}, Executor: clerk{}})
		res, err := s.Client("").SendMessage(t.Context(), &a2a.SendMessageRequest{
			Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart("hello")),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(res)
	}
}
