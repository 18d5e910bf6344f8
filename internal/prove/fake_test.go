// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is a server that keeps every promise, in memory and at once, until a
// test doctors it. The checker must find nothing in the one and everything in
// the other.
type fake struct {
	mu    sync.Mutex
	tasks map[string]*fakeTask
	order []string
	turns map[string]fakeTurn // by idempotency key
	// drop says that the answer to this request, which is carried out, is lost.
	drop func(method string) bool
	// cut says after how many frames a stream breaks; negative is never.
	cut func() int
	// forgetful makes it ignore idempotency keys, careless what they stood for.
	forgetful, careless bool
	// stall keeps replays open, unsorted lists in no order, and more is added
	// to the total that a listing tells.
	stall, unsorted bool
	more            int
}

// fakeTurn is the task of a message and where the log of its turn begins.
type fakeTurn struct {
	task string
	from int
	text string
}

type fakeTask struct {
	id   string
	log  []json.RawMessage
	user []object // messages that no event carries
	// override replaces what GetTask says.
	override object
	// lie is the event whose frame has the right id whatever its metadata says.
	lie int
}

func newFake(t *testing.T) (*fake, *Client) {
	t.Helper()
	f := &fake{
		tasks: map[string]*fakeTask{}, turns: map[string]fakeTurn{},
		drop: func(string) bool { return false },
		cut:  func() int { return -1 },
	}
	server := httptest.NewServer(f)
	client := NewClient(server.URL)
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return f, client
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req struct {
		ID     int
		Method string
		Params object
	}
	dec := json.NewDecoder(r.Body)
	dec.UseNumber()
	if err := dec.Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch req.Method {
	case "SendStreamingMessage", "SubscribeToTask":
		f.stream(w, r, req.Method, req.Params)
		return
	}
	f.mu.Lock()
	result, err := f.call(req.Method, req.Params, r.Header.Get(idempotencyHeader))
	lost := f.drop(req.Method)
	f.mu.Unlock()
	if lost {
		panic(http.ErrAbortHandler)
	}
	answer := map[string]any{"jsonrpc": "2.0", "id": req.ID, "result": result}
	if err != nil {
		answer = map[string]any{"jsonrpc": "2.0", "id": req.ID, "error": err}
	}
	json.NewEncoder(w).Encode(answer) //nolint:errcheck // the client sees it
}

func (f *fake) call(method string, params object, key string) (any, *RPCError) {
	switch method {
	case "SendMessage":
		t, err := f.send(params.at("message"), key)
		if err != nil {
			return nil, err
		}
		return map[string]any{"task": t.snapshot()}, nil
	case "GetTask":
		if t := f.tasks[params.str("id")]; t != nil {
			return t.snapshot(), nil
		}
		return nil, &RPCError{Code: codeTaskNotFound}
	case "CancelTask":
		t := f.tasks[params.str("id")]
		if t == nil {
			return nil, &RPCError{Code: codeTaskNotFound}
		}
		if state := t.snapshot().state(); terminal(state) && state != stateCanceled {
			return nil, &RPCError{Code: codeNotCancelable}
		} else if state != stateCanceled {
			t.status(stateCanceled, nil)
		}
		return t.snapshot(), nil
	case "ListTasks":
		return f.list(params), nil
	}
	return nil, &RPCError{Code: -32601}
}

func (f *fake) list(params object) any {
	var tasks []any
	for _, id := range slices.Backward(f.order) {
		t := f.tasks[id]
		if t == nil {
			continue
		}
		s := t.snapshot()
		if since := params.str("statusTimestampAfter"); since != "" && laterThan(since, s.at("status").str("timestamp")) {
			continue
		}
		if params.str("status") == "" || s.state() == params.str("status") {
			tasks = append(tasks, s)
		}
	}
	at := func(t any) string { return t.(object).at("status").str("timestamp") }
	if f.unsorted {
		at = func(any) string { return "2026-01-01T00:00:00Z" }
	}
	slices.SortStableFunc(tasks, func(a, b any) int { return boolInt(laterThan(at(b), at(a))) - boolInt(laterThan(at(a), at(b))) })
	from, _ := strconv.Atoi(params.str("pageToken"))
	to, next := min(from+params.number("pageSize"), len(tasks)), ""
	if to < len(tasks) {
		next = strconv.Itoa(to)
	}
	return map[string]any{"tasks": tasks[from:to], "totalSize": len(tasks) + f.more, "nextPageToken": next}
}

// send makes or continues a task and carries it out at once.
func (f *fake) send(m object, key string) (*fakeTask, *RPCError) {
	if turn, ok := f.turns[key]; ok && !f.forgetful && f.tasks[turn.task] != nil {
		if turn.text != m.texts()[0] && !f.careless {
			return nil, &RPCError{Code: codeInvalidParams}
		}
		return f.tasks[turn.task], nil
	}
	if id := m.str("taskId"); id != "" {
		t := f.tasks[id]
		if t == nil {
			return nil, &RPCError{Code: codeTaskNotFound}
		}
		if terminal(t.snapshot().state()) {
			return nil, &RPCError{Code: codeUnsupported}
		}
		f.turns[key] = fakeTurn{id, len(t.log), m.texts()[0]}
		t.user = append(t.user, m)
		t.status(stateWorking, nil)
		t.artifact("echo", m.texts()[0], false)
		t.status(stateCompleted, nil)
		return t, nil
	}
	t := &fakeTask{id: fmt.Sprintf("t%d", len(f.order)+1)}
	f.tasks[t.id], f.turns[key] = t, fakeTurn{t.id, 0, m.texts()[0]}
	f.order = append(f.order, t.id)
	t.add("task", map[string]any{
		"id": t.id, "contextId": "c", "status": status(stateSubmitted, nil), "history": []any{m},
	})
	t.status(stateWorking, nil)
	t.run(m.texts()[0])
	return t, nil
}

func (t *fakeTask) run(text string) {
	command, rest, _ := strings.Cut(text, " ")
	switch command {
	case "count":
		n, _ := strconv.Atoi(strings.Fields(rest)[1])
		for i := range min(n, 50) {
			t.artifact("count", strconv.Itoa(i+1), i > 0)
		}
		if n > 50 {
			return // a long one: it runs until it is canceled
		}
	case "ask":
		t.status(stateInputRequired, &rest)
		return
	case "auth":
		t.status(stateAuthRequired, &text)
		return
	case "fail":
		t.status(stateFailed, &rest)
		return
	case "reject":
		t.status(stateRejected, &rest)
		return
	case "hang":
		return
	case "flaky":
		t.artifact("flaky", "completed on attempt 3", false)
	case "echo":
		t.artifact("echo", rest, false)
	}
	t.status(stateCompleted, nil)
}

func status(state string, text *string) map[string]any {
	s := map[string]any{"state": state, "timestamp": time.Now().UTC().Format(time.RFC3339Nano)}
	if text != nil {
		s["message"] = map[string]any{
			"messageId": newID(), "role": roleAgent, "parts": []any{map[string]any{"text": *text}},
		}
	}
	return s
}

func (t *fakeTask) status(state string, text *string) {
	t.add("statusUpdate", map[string]any{"taskId": t.id, "contextId": "c", "status": status(state, text)})
}

func (t *fakeTask) artifact(id, text string, appended bool) {
	t.add("artifactUpdate", map[string]any{"taskId": t.id, "contextId": "c", "append": appended,
		"artifact": map[string]any{"artifactId": id, "parts": []any{map[string]any{"text": text}}}})
}

func (t *fakeTask) add(kind string, body map[string]any) {
	body["metadata"] = map[string]any{resumeKey: map[string]any{"sequence": len(t.log) + 1, "attempt": 1}}
	raw, err := json.Marshal(map[string]any{kind: body})
	if err != nil {
		panic(err)
	}
	t.log = append(t.log, raw)
}

// snapshot is the task; the users' messages come into the history in their
// place, after the question.
func (t *fakeTask) snapshot() object {
	if t.override != nil {
		return t.override
	}
	var task object
	for _, raw := range t.log {
		event, err := parseObject(raw)
		if err != nil {
			panic(err)
		}
		if task, err = fold(task, event); err != nil {
			panic(err)
		}
	}
	for _, m := range t.user {
		task["history"] = append(task["history"].([]any), map[string]any(m))
	}
	return task
}

// snapshotAt is the task after so many events.
func (f *fake) snapshotAt(id string, events int) object {
	return (&fakeTask{id: id, log: f.tasks[id].log[:events]}).snapshot()
}

func (f *fake) stream(w http.ResponseWriter, r *http.Request, method string, params object) {
	f.mu.Lock()
	id, from := params.str("id"), 0
	if method == "SendStreamingMessage" {
		t, rpcErr := f.send(params.at("message"), r.Header.Get(idempotencyHeader))
		if rpcErr != nil {
			f.mu.Unlock()
			fmt.Fprintf(w, "data: {\"error\":{\"code\":%d}}\n\n", rpcErr.Code)
			return
		}
		id, from = t.id, f.turns[r.Header.Get(idempotencyHeader)].from
	} else {
		from, _ = strconv.Atoi(r.Header.Get(lastEventIDHeader))
	}
	log, lie, cut, stall := f.tasks[id].log, f.tasks[id].lie, f.cut(), f.stall
	f.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, ": keep-alive\n\n")
	for i, raw := range log[from:] {
		if i == cut {
			fmt.Fprintf(w, "id: %d\ndata: {\"resu", from+i+1)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		event, err := parseObject(raw)
		if err != nil {
			panic(err)
		}
		sequence, _ := eventMeta(event)
		if lie == from+i+1 {
			sequence = lie
		}
		fmt.Fprintf(w, "id: %d\ndata: {\"result\":%s}\n\n", sequence, raw)
	}
	if stall {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
}
