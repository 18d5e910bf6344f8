// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/task"
)

const (
	taskEvent = `{"task":` + taskJSON + `}`
	doneEvent = `{"statusUpdate":{"taskId":"t-1","contextId":"c-1","status":{"state":"TASK_STATE_COMPLETED"}}}`
)

func twoFrames() []engine.Frame {
	return []engine.Frame{{Seq: 1, Event: []byte(taskEvent)}, {Seq: 2, Event: []byte(doneEvent)}}
}

func TestFramesAreFramedAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		if !op.streaming {
			continue
		}
		f := &fake{frames: twoFrames()}
		h := setup(t, f)
		w := do(h, "POST", "/", op.rpc)
		open := `data: {"jsonrpc":"2.0","id":"r","result":`
		if want := "id: 1\n" + open + taskEvent + "}\n\nid: 2\n" + open + doneEvent + "}\n\n"; w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s by JSON-RPC: %d %s", op.name, w.Code, w.Body)
		}
		w2 := do(h, op.method, op.path, op.body)
		if want := "id: 1\ndata: " + taskEvent + "\n\nid: 2\ndata: " + doneEvent + "\n\n"; w2.Code != 200 || w2.Body.String() != want {
			t.Errorf("%s by REST: %d %s", op.name, w2.Code, w2.Body)
		}
		for _, h := range []http.Header{w.Header(), w2.Header()} {
			if h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-cache" || h.Get("X-Accel-Buffering") != "no" || h.Get("Content-Length") != "" {
				t.Errorf("%s: headers %v", op.name, h)
			}
		}
		if f.closings() != 2 {
			t.Errorf("%s: %d of 2 followers closed", op.name, f.closings())
		}
	}
}

func TestCursorReachesTheEngine(t *testing.T) {
	t.Parallel()
	for _, send := range []func(h http.Handler, headers ...string){
		func(h http.Handler, headers ...string) {
			do(h, "POST", "/", rpc("SubscribeToTask", `{"id":"t"}`), headers...)
		},
		func(h http.Handler, headers ...string) { do(h, "GET", "/tasks/t:subscribe", "", headers...) },
		func(h http.Handler, headers ...string) { do(h, "POST", "/tasks/t:subscribe", "", headers...) },
	} {
		f := &fake{}
		send(setup(t, f), "Last-Event-ID", "41")
		if f.cursor == nil || *f.cursor != 41 {
			t.Errorf("cursor %v", f.cursor)
		}
		send(setup(t, f))
		if f.cursor != nil {
			t.Errorf("a cursor out of nothing: %d", *f.cursor)
		}
	}
}

func TestNothingLeftToReplay(t *testing.T) {
	t.Parallel()
	f := &fake{}
	h := setup(t, f)
	if w := do(h, "GET", "/tasks/t:subscribe", "", "Last-Event-ID", "9"); w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("REST: %d %q, want 204, which stops an EventSource", w.Code, w.Body)
	}
	if w := do(h, "POST", "/", rpc("SubscribeToTask", `{"id":"t"}`), "Last-Event-ID", "9"); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("JSON-RPC: %d %q, want an empty stream", w.Code, w.Body)
	}
	if f.closings() != 2 {
		t.Errorf("%d of 2 followers closed", f.closings())
	}
}

// steps is a follower that gives a frame and then an error.
func steps(err error) func(context.Context, time.Duration) ([]engine.Frame, error) {
	n := 0
	return func(context.Context, time.Duration) ([]engine.Frame, error) {
		n++
		if n == 1 {
			return twoFrames()[:1], nil
		}
		return nil, err
	}
}

func TestAnErrorInMidStreamHasNoIdAndEndsIt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		text string
	}{
		{task.Errorf(a2a.ErrUnsupportedOperation, "the turn was canceled"), "the turn was canceled"},
		{errors.New("disk on fire"), "internal error"},
	} {
		w := do(setup(t, &fake{next: steps(tt.err)}), "POST", "/", rpc("SubscribeToTask", `{"id":"t"}`))
		frames := strings.Split(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n")
		if len(frames) != 2 || !strings.HasPrefix(frames[1], `data: {"jsonrpc":"2.0","id":"r","error":{"code":`) || !strings.Contains(frames[1], tt.text) {
			t.Errorf("JSON-RPC: %q", frames)
		}
		w = do(setup(t, &fake{next: steps(tt.err)}), "GET", "/tasks/t:subscribe", "")
		frames = strings.Split(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n")
		if len(frames) != 2 || !strings.HasPrefix(frames[1], `data: {"error":{"code":`) || !strings.Contains(frames[1], tt.text) {
			t.Errorf("REST: %q", frames)
		}
	}
}

func TestAnErrorBeforeTheFirstFrame(t *testing.T) {
	t.Parallel()
	early := func(context.Context, time.Duration) ([]engine.Frame, error) {
		return nil, task.Errorf(a2a.ErrTaskNotFound, "there is no such task")
	}
	f := &fake{next: early}
	w := do(setup(t, f), "POST", "/", rpc("SubscribeToTask", `{"id":"t"}`))
	if a := decodeRPC(t, w); w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream" || a.Error.Code != -32001 {
		t.Errorf("JSON-RPC: %d %s, want one frame", w.Code, w.Body)
	}
	w = do(setup(t, f), "GET", "/tasks/t:subscribe", "")
	if a := decodeREST(t, w); w.Code != 404 || a.Error.Code != 404 {
		t.Errorf("REST: %d %s, want its own status", w.Code, w.Body)
	}
	if f.closings() != 2 {
		t.Errorf("%d of 2 followers closed", f.closings())
	}
}

func TestAnOlderStreamingClientGetsAStreamToo(t *testing.T) {
	t.Parallel()
	h := setup(t, &fake{})
	for _, method := range []string{"message/stream", "tasks/resubscribe", "tasks/sendSubscribe"} {
		w := do(h, "POST", "/", rpc(method, `{}`))
		if w.Header().Get("Content-Type") != "text/event-stream" || decodeRPC(t, w).Error == nil {
			t.Errorf("%s: %s", method, w.Body)
		}
	}
}
