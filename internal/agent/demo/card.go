// SPDX-License-Identifier: Apache-2.0

package demo

import "github.com/a2aproject/a2a-go/v2/a2a"

// Card describes the demo agent. It names no interface: the server that serves
// the card knows its addresses.
func Card() *a2a.AgentCard {
	return &a2a.AgentCard{
		Name:               "Errand demo agent",
		Description:        "Counts, sleeps, asks, fails and crashes on demand, to show how a durable A2A task behaves.",
		Version:            "1.0.0",
		Capabilities:       a2a.AgentCapabilities{Streaming: true},
		DefaultInputModes:  []string{"text/plain"},
		DefaultOutputModes: []string{"text/plain", "application/json"},
		Skills: []a2a.AgentSkill{
			skill("count", "Count", "Appends 1, 2, … to one artifact and goes on where it was after a crash.",
				"count to 5", "count to 200 every 20ms"),
			skill("echo", "Echo", "Returns the text as an artifact; any text that names no other skill does the same.",
				"echo hello", "hello"),
			skill("sleep", "Sleep", "Works for a while, then completes.", "sleep 2s"),
			skill("ask", "Ask", "Asks for input, or for authorization; the next message is echoed and completes.",
				"ask What is your name?", "auth"),
			skill("outcome", "Fail or reject", "Ends as asked, with your text as the reason.",
				"fail out of paper", "reject not my job"),
			skill("trouble", "Trouble", "Fails the first N attempts, panics on every one, or hangs until canceled.",
				"flaky 2", "crash", "hang"),
			skill("kinds", "Other answers", "A message without a task, an artifact with a file, or one with data.",
				"message hello", "file", "data"),
		},
	}
}

func skill(id, name, description string, examples ...string) a2a.AgentSkill {
	return a2a.AgentSkill{ID: id, Name: name, Description: description, Tags: []string{"demo"}, Examples: examples}
}
