// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"slices"
	"strings"
	"testing"
)

// sdkCase is one thing that an SDK does with the demo agent.
type sdkCase struct {
	// id is the name by which a script knows the case.
	id string
	// says is what holds when the case passes.
	says string
	// without names the bindings that cannot have the case.
	without []string
}

func (c sdkCase) over(binding string) bool { return !slices.Contains(c.without, binding) }

// behaviours are what the demo agent does on demand. Every one is sent over a
// stream and without one.
func behaviours() []sdkCase {
	return inBothModes([]sdkCase{
		{id: "count", says: "count gives every number once and in order"},
		{id: "sleep", says: "sleep completes after its time"},
		{id: "ask", says: "ask parks the task and the next message completes it"},
		{id: "auth", says: "auth parks the task and the next message completes it"},
		{id: "fail", says: "fail ends failed with the agent's words"},
		{id: "reject", says: "reject ends rejected with the agent's words"},
		{id: "flaky", says: "flaky completes on its second attempt"},
		{id: "crash", says: "crash ends failed when its attempts are used up and tells nothing internal"},
		{id: "message", says: "message answers with a Message and no task"},
		{id: "file", says: "file gives an artifact with the bytes of a file"},
		{id: "data", says: "data gives an artifact with structured data"},
		{id: "echo", says: "echo gives back every character"},
	})
}

func inBothModes(in []sdkCase) []sdkCase {
	var out []sdkCase
	for _, c := range in {
		out = append(out,
			sdkCase{id: c.id + "/stream", says: c.says + " over a stream"},
			sdkCase{id: c.id + "/blocking", says: c.says + " in one answer"})
	}
	return out
}

// casesV1 are the cases of SDKs that speak A2A 1.0.
func casesV1(more ...sdkCase) []sdkCase {
	cases := append(behaviours(), casesOfEveryVersion()...)
	cases = append(cases,
		sdkCase{id: "list", says: "tasks of a context are listed over pages and by state"},
		sdkCase{id: "resume", says: "a cut stream goes on after its last event with a Last-Event-ID"},
		sdkCase{id: "idempotency", says: "two sends with one idempotency key make one task"},
		sdkCase{id: "invalid message", says: "a message without parts is the SDK's invalid params error"},
	)
	return append(cases, more...)
}

// casesV03 are the cases of SDKs that speak A2A 0.3, which has no list.
func casesV03(more ...sdkCase) []sdkCase {
	return append(append(behaviours(), casesOfEveryVersion()...), more...)
}

func casesOfEveryVersion() []sdkCase {
	return []sdkCase{
		{id: "card", says: "the SDK finds its binding in the card"},
		{id: "cancel/stream", says: "hang ends canceled over its stream when another call cancels it"},
		{id: "cancel/blocking", says: "hang returns immediately and ends canceled when asked to"},
		{id: "get", says: "a task is read back with as much of its history as asked for"},
		{id: "subscribe", says: "a subscription shows a running task to its end"},
		{id: "unknown task", says: "an unknown task is the SDK's task not found error on every operation"},
		{id: "ended task", says: "a task that has ended refuses to be canceled, watched or continued"},
		{id: "push", says: "webhooks are what the card says about them"},
	}
}

func TestAMissingCaseIsSeen(t *testing.T) {
	t.Parallel()
	cases := []sdkCase{{id: "a"}, {id: "b", without: []string{"GRPC"}}}
	bindings := []string{"JSONRPC", "GRPC"}
	all := []result{
		{Versions: map[string]string{"sdk": "1"}},
		{Binding: "JSONRPC", Case: "a"}, {Binding: "JSONRPC", Case: "b"}, {Binding: "GRPC", Case: "a"},
	}
	tests := []struct {
		name    string
		results []result
		want    string // a part of the only complaint; "" when there is none
	}{
		{"every case ran once", all, ""},
		{"one did not run", all[:3], `GRPC: case "a" ran 0 times`},
		{"one ran twice", append(slices.Clone(all), all[1]), `JSONRPC: case "a" ran 2 times`},
		{"one that the binding cannot have", append(slices.Clone(all), result{Binding: "GRPC", Case: "b"}), `GRPC: case "b" is in no list`},
		{"one of an unknown binding", append(slices.Clone(all), result{Binding: "X", Case: "a"}), `X: case "a" is in no list`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(compareCases(tt.results, bindings, cases), "\n")
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("complaints %q, want %q", got, tt.want)
			}
		})
	}
}
