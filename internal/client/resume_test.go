// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"

	"github.com/errand-a2a/errand/internal/client"
	"github.com/errand-a2a/errand/internal/sse"
)

func drain(seq iter.Seq2[client.StreamItem, error]) (raws []string, err error) {
	for item, err := range seq {
		if err != nil {
			return raws, err
		}
		raws = append(raws, string(item.Raw))
	}
	return raws, nil
}

func TestAStreamSurvivesACutAtEveryByte(t *testing.T) {
	t.Parallel()
	for _, b := range bindings {
		t.Run("every event comes once over "+string(b), func(t *testing.T) {
			t.Parallel()
			log := counted(2)
			length := len(sse.KeepAlive)
			for i, e := range log {
				length += len(sse.AppendEvent(nil, uint64(i+1), []byte(wrap(b, e))))
			}
			// Each connection gets the same number of bytes before it breaks; where
			// that is less than one event needs, later ones get more.
			var journals []*journal
			for limit := range length + 1 {
				journals = append(journals, &journal{binding: b, log: log, cut: func(conn int) (int, bool) {
					return limit << (conn / 2 * 2), conn < 6
				}})
			}
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var n int
				_, _ = fmt.Sscanf(r.URL.Path, "/%d", &n)
				journals[n].ServeHTTP(w, r)
			}))
			t.Cleanup(s.Close)
			tr := &http.Transport{}
			t.Cleanup(tr.CloseIdleConnections)
			slots := make(chan struct{}, 64)
			var wg sync.WaitGroup
			for n := range journals {
				slots <- struct{}{}
				wg.Go(func() {
					defer func() { <-slots }()
					c, err := client.New(cardFor(fmt.Sprintf("%s/%d", s.URL, n), b), client.Options{HTTP: &http.Client{Transport: tr}})
					if err != nil {
						t.Errorf("make a client: %v", err)
						return
					}
					got, err := drain(c.Stream(t.Context(), hello(), client.SendOptions{}))
					if diff := cmp.Diff(log, got); diff != "" || err != nil {
						t.Errorf("cut at %d: %v (-want +got):\n%s", n, err, diff)
					}
					if len(journals[n].tasks) != 1 {
						t.Errorf("cut at %d: %d tasks were made", n, len(journals[n].tasks))
					}
				})
			}
			wg.Wait()
		})
	}
}

// script answers the nth request with the nth step and repeats the last one.
type script struct {
	binding a2a.TransportProtocol
	steps   []func(w http.ResponseWriter, req request)

	mu   sync.Mutex
	seen []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := speak(s.binding, r)
	s.mu.Lock()
	step := s.steps[min(len(s.seen), len(s.steps)-1)]
	name := req.method
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		name += "@" + id
	}
	s.seen = append(s.seen, name)
	s.mu.Unlock()
	step(w, req)
}

// frames streams events; ids may be nil, and abort breaks the connection behind them.
func frames(b a2a.TransportProtocol, abort bool, ids []string, events ...string) func(http.ResponseWriter, request) {
	return func(w http.ResponseWriter, _ request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i, e := range events {
			if ids != nil {
				_, _ = fmt.Fprintf(w, "id: %s\n", ids[i])
			}
			if !strings.Contains(e, `"error"`) {
				e = wrap(b, e)
			}
			_, _ = fmt.Fprintf(w, "data: %s\n\n", e)
		}
		w.(http.Flusher).Flush()
		if abort {
			panic(http.ErrAbortHandler)
		}
	}
}

func answer(code int, body string) func(http.ResponseWriter, request) {
	return func(w http.ResponseWriter, _ request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = fmt.Fprint(w, body)
	}
}

type steps = []func(http.ResponseWriter, request)

func TestResume(t *testing.T) {
	t.Parallel()
	for _, b := range bindings {
		terminal := answer(400, wrapError(b, -32004, 400, "UNSUPPORTED_OPERATION"))
		if b == a2a.TransportProtocolJSONRPC {
			terminal = frames(b, false, nil, wrapError(b, -32004, 400, "UNSUPPORTED_OPERATION"))
		}
		for name, tc := range map[string]struct {
			steps     steps
			subscribe bool
			want      []string
			calls     []string
		}{
			"a clean close in a working state is a break": {
				steps: steps{
					frames(b, false, []string{"1", "2"}, taskEvent("SUBMITTED"), status("WORKING")),
					frames(b, false, []string{"3"}, status("COMPLETED")),
				},
				want:  []string{taskEvent("SUBMITTED"), status("WORKING"), status("COMPLETED")},
				calls: []string{"SendStreamingMessage", "SubscribeToTask@2"},
			},
			"a clean close in an interrupted state is the end": {
				steps: steps{frames(b, false, []string{"1", "2"}, taskEvent("WORKING"), status("INPUT_REQUIRED"))},
				want:  []string{taskEvent("WORKING"), status("INPUT_REQUIRED")},
				calls: []string{"SendStreamingMessage"},
			},
			"a send's stream that breaks in an interrupted state has said all": {
				steps: steps{frames(b, true, []string{"1", "2"}, taskEvent("WORKING"), status("INPUT_REQUIRED"))},
				want:  []string{taskEvent("WORKING"), status("INPUT_REQUIRED")},
				calls: []string{"SendStreamingMessage"},
			},
			"a send that goes on as a subscription ends with its turn": {
				steps: steps{
					frames(b, true, []string{"1"}, taskEvent("WORKING")),
					frames(b, false, []string{"2", "3"}, status("INPUT_REQUIRED"), status("WORKING")),
				},
				want:  []string{taskEvent("WORKING"), status("INPUT_REQUIRED")},
				calls: []string{"SendStreamingMessage", "SubscribeToTask@1"},
			},
			"a subscription goes on into the next turn": {
				subscribe: true,
				steps:     steps{frames(b, false, []string{"4", "5", "6"}, taskEvent("INPUT_REQUIRED"), status("WORKING"), status("COMPLETED"))},
				want:      []string{taskEvent("INPUT_REQUIRED"), status("WORKING"), status("COMPLETED")},
				calls:     []string{"SubscribeToTask"},
			},
			"a message ends the stream": {
				steps: steps{frames(b, false, nil, `{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"hi"}]}}`)},
				want:  []string{`{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"hi"}]}}`},
				calls: []string{"SendStreamingMessage"},
			},
			"events that were seen are dropped": {
				steps: steps{
					frames(b, true, []string{"1", "2"}, taskEvent("WORKING"), chunk(1)),
					frames(b, false, []string{"1", "2", "3", "4"}, taskEvent("WORKING"), chunk(1), chunk(2), status("COMPLETED")),
				},
				want:  []string{taskEvent("WORKING"), chunk(1), chunk(2), status("COMPLETED")},
				calls: []string{"SendStreamingMessage", "SubscribeToTask@2"},
			},
			"a gap is a break": {
				steps: steps{
					frames(b, false, []string{"1", "3"}, taskEvent("WORKING"), status("COMPLETED")),
					frames(b, false, []string{"2", "3"}, chunk(1), status("COMPLETED")),
				},
				want:  []string{taskEvent("WORKING"), chunk(1), status("COMPLETED")},
				calls: []string{"SendStreamingMessage", "SubscribeToTask@1"},
			},
			"an agent that numbers sparsely is believed": {
				steps: steps{
					frames(b, false, []string{"10", "20"}, taskEvent("WORKING"), status("COMPLETED")),
					frames(b, false, []string{"20", "30", "40"}, chunk(1), chunk(2), status("COMPLETED")),
				},
				want:  []string{taskEvent("WORKING"), chunk(1), chunk(2), status("COMPLETED")},
				calls: []string{"SendStreamingMessage", "SubscribeToTask@10"},
			},
			"a snapshot may jump over a pruned log": {
				steps: steps{
					frames(b, true, []string{"1"}, taskEvent("WORKING")),
					frames(b, false, []string{"9", "10"}, taskEvent("WORKING"), status("COMPLETED")),
				},
				want:  []string{taskEvent("WORKING"), taskEvent("WORKING"), status("COMPLETED")},
				calls: []string{"SendStreamingMessage", "SubscribeToTask@1"},
			},
			"an agent that does not number is subscribed to from its snapshot": {
				steps: steps{
					frames(b, true, []string{"f81d4fae", "7dec"}, taskEvent("SUBMITTED"), status("WORKING")),
					frames(b, false, nil, taskEvent("WORKING"), status("COMPLETED")),
				},
				want:  []string{taskEvent("SUBMITTED"), status("WORKING"), taskEvent("WORKING"), status("COMPLETED")},
				calls: []string{"SendStreamingMessage", "SubscribeToTask"},
			},
			"a task that ended meanwhile is fetched": {
				steps: steps{
					frames(b, true, nil, taskEvent("SUBMITTED")), terminal,
					answer(200, wrap(b, task("COMPLETED"))),
				},
				want:  []string{taskEvent("SUBMITTED"), taskEvent("COMPLETED")},
				calls: []string{"SendStreamingMessage", "SubscribeToTask", "GetTask"},
			},
			"a task that cannot be subscribed to is polled": {
				steps: steps{
					frames(b, true, nil, taskEvent("SUBMITTED")), terminal, answer(200, wrap(b, task("WORKING"))),
					terminal, answer(200, wrap(b, task("COMPLETED"))),
				},
				want:  []string{taskEvent("SUBMITTED"), taskEvent("COMPLETED")},
				calls: []string{"SendStreamingMessage", "SubscribeToTask", "GetTask", "SubscribeToTask", "GetTask"},
			},
			"a subscription to a task that is over gives the task": {
				subscribe: true,
				steps:     steps{terminal, answer(200, wrap(b, task("FAILED")))},
				want:      []string{taskEvent("FAILED")},
				calls:     []string{"SubscribeToTask", "GetTask"},
			},
			"a stream with nothing left gives the task": {
				steps: steps{
					frames(b, true, []string{"1"}, taskEvent("WORKING")),
					func(w http.ResponseWriter, _ request) { w.WriteHeader(http.StatusNoContent) },
					answer(200, wrap(b, task("CANCELED"))),
				},
				want:  []string{taskEvent("WORKING"), taskEvent("CANCELED")},
				calls: []string{"SendStreamingMessage", "SubscribeToTask@1", "GetTask"},
			},
			"a stream that closes at once gives the task": {
				steps: steps{
					frames(b, true, []string{"1"}, taskEvent("WORKING")), frames(b, false, nil),
					answer(200, wrap(b, task("CANCELED"))),
				},
				want:  []string{taskEvent("WORKING"), taskEvent("CANCELED")},
				calls: []string{"SendStreamingMessage", "SubscribeToTask@1", "GetTask"},
			},
			"an agent in trouble is asked again": {
				steps: steps{
					frames(b, true, []string{"1"}, taskEvent("WORKING")),
					answer(502, "<html>bad gateway</html>"), answer(503, `{"error":{"code":503,"status":"UNAVAILABLE","message":"draining"}}`),
					frames(b, false, []string{"2"}, status("COMPLETED")),
				},
				want:  []string{taskEvent("WORKING"), status("COMPLETED")},
				calls: []string{"SendStreamingMessage", "SubscribeToTask@1", "SubscribeToTask@1", "SubscribeToTask@1"},
			},
			"a send that broke before its first event is repeated": {
				steps: steps{
					func(http.ResponseWriter, request) { panic(http.ErrAbortHandler) },
					frames(b, false, nil),
					frames(b, false, []string{"1", "2"}, taskEvent("WORKING"), status("COMPLETED")),
				},
				want:  []string{taskEvent("WORKING"), status("COMPLETED")},
				calls: []string{"SendStreamingMessage", "SendStreamingMessage", "SendStreamingMessage"},
			},
			"an agent that answers a stream with one object is heard": {
				steps: steps{answer(200, wrap(b, taskEvent("COMPLETED")))},
				want:  []string{taskEvent("COMPLETED")},
				calls: []string{"SendStreamingMessage"},
			},
		} {
			t.Run(name+", over "+string(b), func(t *testing.T) {
				t.Parallel()
				s := &script{binding: b, steps: tc.steps}
				c := newClient(t, cardFor(serve(t, s), b), client.Options{})
				seq := c.Stream(t.Context(), hello(), client.SendOptions{})
				if tc.subscribe {
					seq = c.Subscribe(t.Context(), "t1", 0)
				}
				got, err := drain(seq)
				if err != nil {
					t.Errorf("the stream failed: %v", err)
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tc.calls, s.seen); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestStreamErrors(t *testing.T) {
	t.Parallel()
	for _, b := range bindings {
		notFound := wrapError(b, -32001, 404, "TASK_NOT_FOUND")
		for name, tc := range map[string]struct {
			steps steps
			want  string
		}{
			"an early error in a frame is the stream's error": {steps{frames(b, false, nil, wrapError(b, -32602, 400, "INVALID_PARAMS"))}, client.InvalidParams},
			"an early plain error is the stream's error":      {steps{answer(400, wrapError(b, -32602, 400, "INVALID_PARAMS"))}, client.InvalidParams},
			"an early error of a send is not looked behind":   {steps{answer(404, notFound), answer(200, wrap(b, task("COMPLETED")))}, client.TaskNotFound},
			"a task that is gone ends the stream":             {steps{frames(b, true, []string{"1"}, taskEvent("WORKING")), answer(404, notFound)}, client.TaskNotFound},
			"an error in the middle ends the stream":          {steps{frames(b, false, []string{"1", "2"}, taskEvent("WORKING"), wrapError(b, -32603, 500, "INTERNAL_ERROR"))}, client.Internal},
		} {
			t.Run(name+", over "+string(b), func(t *testing.T) {
				t.Parallel()
				c := newClient(t, cardFor(serve(t, &script{binding: b, steps: tc.steps}), b), client.Options{})
				_, err := drain(c.Stream(t.Context(), hello(), client.SendOptions{}))
				if !client.IsName(err, tc.want) {
					t.Errorf("got %v, want %s", err, tc.want)
				}
			})
		}
	}
	t.Run("an agent that was never reached is reported at once", func(t *testing.T) {
		t.Parallel()
		gone := httptest.NewServer(nil)
		gone.Close()
		c := newClient(t, cardFor(gone.URL, bindings[0]), client.Options{Hooks: client.Hooks{
			Reconnecting: func(error, int) { t.Error("it tried again") },
		}})
		_, err := drain(c.Stream(t.Context(), hello(), client.SendOptions{}))
		var u *client.UnreachableError
		if !errors.As(err, &u) || u.Sent {
			t.Errorf("got %v", err)
		}
	})
	t.Run("leaving the loop leaves no connection behind", func(t *testing.T) {
		t.Parallel()
		left := make(chan struct{})
		c := newClient(t, cardFor(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			req := speak(bindings[0], r)
			frames(bindings[0], false, []string{"1"}, taskEvent("WORKING"))(w, req)
			<-r.Context().Done()
			close(left)
		})), bindings[0]), client.Options{})
		for range c.Stream(t.Context(), hello(), client.SendOptions{}) {
			break
		}
		<-left
	})
	t.Run("a caller's cancellation ends the stream with its cause", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		why := errors.New("had enough")
		c := newClient(t, cardFor(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			req := speak(bindings[0], r)
			frames(bindings[0], false, []string{"1"}, taskEvent("WORKING"))(w, req)
			<-r.Context().Done()
		})), bindings[0]), client.Options{})
		var last error
		for _, err := range c.Stream(ctx, hello(), client.SendOptions{}) {
			cancel(why)
			last = err
		}
		if !errors.Is(last, why) {
			t.Errorf("got %v", last)
		}
	})
}

func TestHooksTellOfTheBreakAndTheResumption(t *testing.T) {
	t.Parallel()
	b := bindings[0]
	s := &script{binding: b, steps: steps{
		frames(b, true, []string{"1", "2"}, taskEvent("WORKING"), chunk(1)),
		answer(502, "no"),
		frames(b, false, []string{"3"}, status("COMPLETED")),
	}}
	var said []string
	c := newClient(t, cardFor(serve(t, s), b), client.Options{Hooks: client.Hooks{
		Reconnecting: func(_ error, n int) { said = append(said, fmt.Sprint("attempt ", n)) },
		Resumed:      func(after uint64) { said = append(said, fmt.Sprint("resumed after ", after)) },
	}})
	if _, err := drain(c.Stream(t.Context(), hello(), client.SendOptions{})); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"attempt 1", "attempt 2", "resumed after 2"}, said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
