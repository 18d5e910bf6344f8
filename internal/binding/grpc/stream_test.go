// SPDX-License-Identifier: Apache-2.0

package grpc_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	"github.com/google/go-cmp/cmp"
	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/engine"
)

// Whatever a reader has seen, it gets the rest and nothing twice.
func TestResumeFromEachPlace(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, _ *world, c a2apb.A2AServiceClient) {
		all := streamed(t, c, "count to 4")
		id := all[0].GetTask().GetId()
		resume := func(k string) ([]*a2apb.StreamResponse, error) {
			s, err := c.SubscribeToTask(metadata.AppendToOutgoingContext(t.Context(), "last-event-id", k), &a2apb.SubscribeToTaskRequest{Id: id})
			if err != nil {
				t.Fatal(err)
			}
			return readAll(s)
		}
		for k := range len(all) + 1 {
			rest, err := resume(strconv.Itoa(k))
			if err != nil {
				t.Fatalf("from %d: %v", k, err)
			}
			if d := cmp.Diff(all[k:], rest, protocmp.Transform()); len(all[k:]) != len(rest) || len(rest) > 0 && d != "" {
				t.Errorf("from %d (-all +resumed):\n%s", k, d)
			}
		}
		for _, k := range []string{strconv.Itoa(len(all) + 1), "-1", "x", "1.0"} {
			_, err := resume(k)
			if got := wantReason(t, err, codes.InvalidArgument, "INVALID_PARAMS"); got.field != "Last-Event-ID" {
				t.Errorf("from %q: %+v", k, got)
			}
		}
	})
}

// A stream of a message ends with its own turn, a subscription with the task.
func TestEndOfStreams(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, _ *world, c a2apb.A2AServiceClient) {
		asked := streamed(t, c, "ask why")
		if last := asked[len(asked)-1].GetStatusUpdate(); last.GetStatus().GetState() != a2apb.TaskState_TASK_STATE_INPUT_REQUIRED {
			t.Errorf("the first turn ends with %v", last)
		}
		id := asked[0].GetTask().GetId()
		s, err := c.SubscribeToTask(t.Context(), &a2apb.SubscribeToTaskRequest{Id: id})
		if err != nil {
			t.Fatal(err)
		}
		if first, err := s.Recv(); err != nil || first.GetTask().GetId() != id {
			t.Fatalf("a subscription begins with %v, %v", first, err)
		}
		r := say("because")
		r.Message.TaskId = id
		if _, err := c.SendMessage(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		rest, err := readAll(s)
		if err != nil {
			t.Fatal(err)
		}
		if last := rest[len(rest)-1].GetStatusUpdate(); last.GetStatus().GetState() != a2apb.TaskState_TASK_STATE_COMPLETED {
			t.Errorf("the subscription ends with %v", last)
		}
	})
}

// A server that stops ends streams so that nobody takes them for complete.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run("a stream "+way+" ends with UNAVAILABLE", func(t *testing.T) {
			t.Parallel()
			w := serve(t)
			s, err := w.client(way).SendStreamingMessage(t.Context(), say("hang"))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the task, and that it works
				if _, err := s.Recv(); err != nil {
					t.Fatal(err)
				}
			}
			go w.stop()
			_, err = readAll(s)
			if got := wantReason(t, err, codes.Unavailable, "UNAVAILABLE"); !strings.Contains(got.text, "last-event-id") || got.retry == 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAgeOfStreams(t *testing.T) {
	t.Parallel()
	f := &fake{follow: func(context.Context, *uint64) (*script, error) { return newScript(nil), nil }}
	eachWay(t, f, binding.Options{MaxStreamAge: 20 * time.Millisecond, HeaderWait: time.Millisecond}, func(t *testing.T, s *stage, way string) {
		stream, err := s.client(way).SubscribeToTask(t.Context(), &a2apb.SubscribeToTaskRequest{Id: "t"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = readAll(stream)
		if got := wantReason(t, err, codes.Unavailable, "UNAVAILABLE"); !strings.Contains(got.text, "age") {
			t.Errorf("%+v", got)
		}
	})
}

// A reader that is up to date hears at least that it is connected.
func TestHeaderWithoutEvents(t *testing.T) {
	t.Parallel()
	ends := make(chan *script, 2)
	f := &fake{follow: func(context.Context, *uint64) (*script, error) {
		s := newScript(nil)
		ends <- s
		return s, nil
	}}
	eachWay(t, f, binding.Options{HeaderWait: time.Millisecond}, func(t *testing.T, s *stage, way string) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream, err := s.client(way).SubscribeToTask(ctx, &a2apb.SubscribeToTaskRequest{Id: "t"})
		if err != nil {
			t.Fatal(err)
		}
		if h, err := stream.Header(); err != nil || len(h.Get("x-request-id")) != 1 {
			t.Errorf("header %v, %v", h, err)
		}
		follower := <-ends
		cancel()
		<-follower.closed // a reader that leaves is not followed for
	})
}

// A reader that stops reading is cut off, having cost a bounded buffer; whoever
// shares its connection notices nothing.
func TestReaderThatStopsReading(t *testing.T) {
	t.Parallel()
	event := fmt.Sprintf(`{"artifactUpdate":{"artifact":{"artifactId":"a","parts":[{"text":%q}]}}}`, strings.Repeat("x", 32<<10))
	var given atomic.Int64
	slow := make(chan *script, 2)
	f := &fake{follow: func(_ context.Context, cursor *uint64) (*script, error) {
		if cursor != nil { // the other reader
			return frames(event, event, event), nil
		}
		s := newScript(func(context.Context) ([]engine.Frame, error) {
			given.Add(1)
			return []engine.Frame{{Seq: 1, Event: []byte(event)}}, nil
		})
		slow <- s
		return s, nil
	}}
	eachWay(t, f, binding.Options{WriteTimeout: 100 * time.Millisecond}, func(t *testing.T, s *stage, way string) {
		c := s.client(way, gogrpc.WithStaticStreamWindowSize(64<<10), gogrpc.WithStaticConnWindowSize(8<<20))
		if _, err := c.SubscribeToTask(t.Context(), &a2apb.SubscribeToTaskRequest{Id: "t"}); err != nil {
			t.Fatal(err)
		}
		follower := <-slow
		for reading := true; reading; {
			other, err := c.SubscribeToTask(metadata.AppendToOutgoingContext(t.Context(), "last-event-id", "0"), &a2apb.SubscribeToTaskRequest{Id: "t"})
			if err != nil {
				t.Fatal(err)
			}
			if events, err := readAll(other); err != nil || len(events) != 3 {
				t.Fatalf("the other reader has %d events, %v", len(events), err)
			}
			select {
			case <-follower.closed:
				reading = false
			default:
			}
		}
		if n := given.Load(); n > 40 {
			t.Errorf("it was given %d events of 32 KiB", n)
		}
		if way == ways[0] { // nothing of the call is left to wait for
			began := time.Now()
			if s.stop(); time.Since(began) > 4*time.Second {
				t.Errorf("the server needed %v to stop", time.Since(began))
			}
		}
	})
}

// A call whose request does not arrive is given up.
func TestRequestThatDoesNotArrive(t *testing.T) {
	t.Parallel()
	f := &fake{answer: func(context.Context, engine.Call) ([]byte, error) { return []byte(`{"id":"t"}`), nil }}
	eachWay(t, f, binding.Options{BodyTimeout: 50 * time.Millisecond}, func(t *testing.T, s *stage, way string) {
		for _, d := range []*gogrpc.StreamDesc{{ClientStreams: true}, {ClientStreams: true, ServerStreams: true}} {
			method := a2apb.A2AService_GetTask_FullMethodName
			if d.ServerStreams {
				method = a2apb.A2AService_SubscribeToTask_FullMethodName
			}
			stream, err := s.dial(way).NewStream(t.Context(), d, method)
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.RecvMsg(&a2apb.Task{}); err == nil || err == io.EOF {
				t.Errorf("%s: %v", method, err)
			}
		}
	})
}

// The deadline of a call is its caller's; the work goes on.
func TestDeadline(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, w *world, c a2apb.A2AServiceClient) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := say("hang")
		r.Message.ContextId = a2a.NewMessageID()
		sent := make(chan error, 1)
		go func() {
			_, err := c.SendMessage(ctx, r)
			sent <- err
		}()
		var id string
		for id == "" {
			page, err := c.ListTasks(t.Context(), &a2apb.ListTasksRequest{ContextId: r.GetMessage().GetContextId()})
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range page.GetTasks() {
				id = got.GetId()
			}
		}
		cancel()
		if err := <-sent; saidBy(err).code != codes.Canceled {
			t.Errorf("the caller hears %v", err)
		}
		if got, err := c.GetTask(t.Context(), &a2apb.GetTaskRequest{Id: id}); err != nil || got.GetStatus().GetState() != a2apb.TaskState_TASK_STATE_WORKING {
			t.Errorf("the task: %v, %v", got, err)
		}
		if got, err := c.CancelTask(t.Context(), &a2apb.CancelTaskRequest{Id: id}); err != nil || got.GetStatus().GetState() != a2apb.TaskState_TASK_STATE_CANCELED {
			t.Errorf("canceled: %v, %v", got, err)
		}
	})
}

// Many follow one task; each has every event, once and in order.
func TestManyFollowers(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, _ *world, c a2apb.A2AServiceClient) {
		asked := streamed(t, c, "ask why")
		id := asked[0].GetTask().GetId()
		var group sync.WaitGroup
		var ready sync.WaitGroup
		for range 100 {
			ready.Add(1)
			group.Go(func() {
				s, err := c.SubscribeToTask(t.Context(), &a2apb.SubscribeToTaskRequest{Id: id})
				if err == nil {
					_, err = s.Recv()
				}
				ready.Done()
				if err != nil {
					t.Error(err)
					return
				}
				rest, err := readAll(s)
				for i, ev := range rest {
					if got, want := sequenceOf(ev), uint64(len(asked)+i+1); got != want {
						t.Errorf("event %d where %d was to come", got, want)
					}
				}
				if err != nil || len(rest) == 0 || rest[len(rest)-1].GetStatusUpdate().GetStatus().GetState() != a2apb.TaskState_TASK_STATE_COMPLETED {
					t.Errorf("%d events, %v", len(rest), err)
				}
			})
		}
		ready.Wait()
		r := say("because")
		r.Message.TaskId = id
		if _, err := c.SendMessage(t.Context(), r); err != nil {
			t.Error(err)
		}
		group.Wait()
	})
}

// A stream may be silent for longer than a write may take, or a request.
func TestSilenceLongerThanAWrite(t *testing.T) {
	t.Parallel()
	const patience = 50 * time.Millisecond
	f := &fake{follow: func(context.Context, *uint64) (*script, error) {
		given := 0
		return newScript(func(ctx context.Context) ([]engine.Frame, error) {
			if given++; given > 2 {
				return nil, io.EOF
			}
			if given == 2 {
				silence, cancel := context.WithTimeout(ctx, 4*patience)
				defer cancel()
				<-silence.Done()
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
			}
			return []engine.Frame{{Seq: uint64(given), Event: []byte(`{"task":{"id":"t"}}`)}}, nil
		}), nil
	}}
	eachWay(t, f, binding.Options{WriteTimeout: patience, BodyTimeout: patience}, func(t *testing.T, s *stage, way string) {
		stream, err := s.client(way).SubscribeToTask(t.Context(), &a2apb.SubscribeToTaskRequest{Id: "t"})
		if err != nil {
			t.Fatal(err)
		}
		if events, err := readAll(stream); err != nil || len(events) != 2 {
			t.Errorf("%d events, %v", len(events), err)
		}
	})
}

// A call that waits is answered while the server stops.
func TestAnswerWhileTheServerStops(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run("to a call "+way, func(t *testing.T) {
			t.Parallel()
			asked, answer := make(chan struct{}), make(chan struct{})
			s := perform(t, &fake{answer: func(ctx context.Context, _ engine.Call) ([]byte, error) {
				close(asked)
				select {
				case <-answer:
					return []byte(`{"id":"t"}`), nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}}, binding.Options{})
			got := make(chan error, 1)
			go func() {
				_, err := s.client(way).GetTask(t.Context(), &a2apb.GetTaskRequest{Id: "t"})
				got <- err
			}()
			<-asked
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				s.stop()
			}()
			for { // until it takes no more connections
				conn, err := net.Dial("tcp", s.addrs[way])
				if err != nil {
					break
				}
				_ = conn.Close()
			}
			close(answer)
			if err := <-got; err != nil {
				t.Errorf("the caller hears %v", err)
			}
			<-stopped
		})
	}
}
