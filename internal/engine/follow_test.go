// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/live"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// counter appends n chunks to one artifact, and ends as the message says.
func counter(n int, wait func()) nodetest.Agent {
	return nodetest.Agent{Execute: func(c *nodetest.Turn) error {
		c.Artifact("a", "0,")
		for i := 1; i < n; i++ {
			c.Append("a", fmt.Sprint(i, ","))
			wait()
		}
		if c.Text() == "ask" {
			c.Ask()
		} else {
			c.Complete()
		}
		return nil
	}}
}

func counted(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprint(&b, i, ",")
	}
	return b.String()
}

// refold is what a client makes of a stream: the Task and what is added to it.
func refold(s *nodetest.Stream) string {
	var b strings.Builder
	for _, ev := range s.Events {
		switch ev := ev.(type) {
		case *a2a.Task:
			for _, a := range ev.Artifacts {
				b.WriteString(nodetest.TextOf(a.Parts))
			}
		case *a2a.TaskArtifactUpdateEvent:
			b.WriteString(nodetest.TextOf(ev.Artifact.Parts))
		}
	}
	return b.String()
}

// Thousands of subscriptions at any moment of a task see its state and then
// exactly what came after it.
func TestSnapshotAndTail(t *testing.T) {
	t.Parallel()
	const tasks, chunks, followers = 20, 60, 60
	w := nodetest.New(t, nodetest.Options{Agent: counter(chunks, runtime.Gosched), Live: live.Limits{Records: 16}, Worker: nodetest.RealTime})
	var group sync.WaitGroup
	var ended atomic.Int32
	for range tasks / 4 {
		for range 4 {
			group.Go(func() {
				id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
				for n := range followers {
					var cursor *uint64
					if n%2 == 1 {
						cursor = ptr(uint64(0))
					}
					s := w.Subscribe(id, cursor)
					if errors.Is(s.Err, a2a.ErrUnsupportedOperation) {
						ended.Add(1)
						continue
					}
					if s.Wait().Err != nil || refold(s) != counted(chunks) {
						t.Errorf("a follower has %d frames, %s, %v", len(s.Frames), refold(s), s.Err)
					}
					if n%2 == 0 && n < followers-1 { // and many at once
						more := []*nodetest.Stream{w.Subscribe(id, ptr(uint64(1))), w.Subscribe(id, ptr(uint64(2)))}
						for _, s := range more {
							if s.Wait().Err != nil {
								t.Error(s.Err)
							}
						}
					}
				}
			})
		}
		group.Wait()
	}
	t.Logf("%d subscriptions, %d came after the end", tasks*followers*2, ended.Load())
}

func TestSubscribe(t *testing.T) {
	t.Parallel()

	bubble(t, "with every cursor of a log it gives exactly what comes after it", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: counter(20, func() {})})
		for _, text := range []string{"ask", "go"} { // parked, and ended
			id := w.MustSend(nodetest.Say(text)).ID
			last := w.Head(id).LastSeq
			for k := range last + 1 {
				s := w.Subscribe(id, ptr(k))
				if text == "ask" {
					synctest.Wait()
				} else if s.Wait().Err != nil {
					t.Error(s.Err)
				}
				if uint64(len(s.Seen())) != last-k || k < last && s.Seen()[0].Seq != k+1 {
					t.Errorf("%s: after %d of %d come %d frames", text, k, last, len(s.Seen()))
				}
			}
			if text == "ask" { // so that the streams end
				w.Cancel(id)
				synctest.Wait()
			}
		}
	})

	bubble(t, "a cursor past the end is InvalidParams", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{})
		id := w.MustSend(nodetest.Say("go")).ID
		last := w.Head(id).LastSeq
		for _, k := range []uint64{last + 1, ^uint64(0)} {
			wantErr(t, w.Subscribe(id, ptr(k)).Err, a2a.ErrInvalidParams)
		}
		if s := w.Subscribe(id, ptr(last)).Wait(); s.Err != nil || len(s.Frames) != 0 {
			t.Errorf("%d frames, %v", len(s.Frames), s.Err)
		}
	})

	bubble(t, "a task that has ended is UnsupportedOperation without a cursor, and names GetTask", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{})
		err := w.Subscribe(w.MustSend(nodetest.Say("go")).ID, nil).Err
		wantErr(t, err, a2a.ErrUnsupportedOperation)
		if err == nil || !strings.Contains(err.Error(), "GetTask") {
			t.Errorf("%v", err)
		}
	})

	bubble(t, "it works on a parked task and crosses turns until the end", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			if c.Text() == "end" {
				c.Complete()
			} else {
				c.Ask("what?")
			}
			return nil
		}}})
		id := w.MustSend(nodetest.Say("1")).ID
		s := w.Subscribe(id, nil)
		synctest.Wait()
		if len(s.Seen()) != 1 || s.Seen()[0].Seq != 2 {
			t.Fatalf("%d frames", len(s.Seen()))
		}
		w.MustSend(nodetest.Say("2", nodetest.To(id)))
		w.MustSend(nodetest.Say("end", nodetest.To(id)))
		if s.Wait().Err != nil {
			t.Error(s.Err)
		}
		wantStates(t, nodetest.StatesOf(s.Events), asking, working, asking, working, completed)
	})

	bubble(t, "a stream of a message ends with its own turn", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			time.Sleep(100 * time.Millisecond)
			c.Ask("re " + c.Text())
			return nil
		}}})
		first := w.Stream(nodetest.Say("1"))
		time.Sleep(50 * time.Millisecond)
		time.Sleep(600 * time.Millisecond)
		id := first.Wait().ID()
		second := w.Stream(nodetest.Say("2", nodetest.To(id)))
		third := w.Stream(nodetest.Say("3", nodetest.To(id)))
		for i, s := range []*nodetest.Stream{first, second, third} {
			if s.Wait().Err != nil {
				t.Fatal(s.Err)
			}
			last := s.Events[len(s.Events)-1].(*a2a.TaskStatusUpdateEvent)
			if got, want := nodetest.TextOf(last.Status.Message.Parts), fmt.Sprint("re ", i+1); got != want {
				t.Errorf("stream %d ends with %q", i+1, got)
			}
		}
	})

	bubble(t, "auth-required and return ends the stream of the turn", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Status(a2a.TaskStateAuthRequired)
			time.Sleep(time.Second) // a commit of its own
			return nil
		}}})
		if s := w.Stream(nodetest.Say("go")).Wait(); s.Err != nil || len(s.Frames) != 2 {
			t.Errorf("%d frames, %v", len(s.Frames), s.Err)
		}
	})

	bubble(t, "Next gives nothing when idle has passed, and ends with its context", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error { c.Ask(); return nil }}})
		id := w.MustSend(nodetest.Say("go")).ID
		f, err := w.Engine.Subscribe(w.Context(), w.Call(), &a2a.SubscribeToTaskRequest{ID: id}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		defer f.Close() // twice is fine
		if frames, err := f.Next(w.Context(), time.Second); len(frames) != 1 || err != nil || f.Cursor() != 2 {
			t.Errorf("%v, %v", frames, err)
		}
		began := time.Now()
		if frames, err := f.Next(w.Context(), time.Second); len(frames) != 0 || err != nil || time.Since(began) != time.Second {
			t.Errorf("%v, %v after %v", frames, err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		if _, err := f.Next(ctx, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// What the hub says are hints: late, repeated, out of order, or lost.
func TestHints(t *testing.T) {
	t.Parallel()
	bubble(t, "a follower takes the record after its cursor and nothing else, and reads the log for the rest", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Artifact(c.Text(), "x")
			c.Ask()
			return nil
		}}})
		id := w.MustSend(nodetest.Say("1")).ID
		s := w.Subscribe(id, ptr(uint64(0)))
		recs := w.Log(id)
		publish := func(recs ...record.Record) {
			w.Hub.Publish(nodetest.Ref(id), live.Tail{Records: recs, DoneTurn: 1})
			synctest.Wait()
		}
		synctest.Wait()
		publish(recs...)
		publish(recs[1])
		publish(record.Record{Seq: 9, Turn: 1, Event: recs[1].Event})
		publish(record.Record{Seq: 9, Turn: 1, Event: recs[1].Event}, recs[0])
		publish()
		if n := len(s.Seen()); n != len(recs) {
			t.Errorf("%d frames of a log of %d", n, len(recs))
		}
		w.MustSend(nodetest.Say("2", nodetest.To(id)))
		w.Hub.Nudge(nodetest.Ref(id))
		w.Cancel(id)
		if s.Wait().Err != nil || len(s.Frames) != len(w.Log(id)) {
			t.Errorf("%d frames of a log of %d: %v", len(s.Frames), len(w.Log(id)), s.Err)
		}
	})
}

func TestSlowFollower(t *testing.T) {
	t.Parallel()

	bubble(t, "one that never reads delays nobody, holds a bounded buffer, and is cut over to the log", func(t *testing.T) {
		const chunks = 5000
		var reads atomic.Int32
		w := nodetest.New(t, nodetest.Options{
			Agent: counter(chunks, func() {}),
			Hooks: nodetest.Hooks{Read: func(_ task.Ref, next func() (store.Head, []store.Batch, error)) (store.Head, []store.Batch, error) {
				reads.Add(1)
				return next()
			}},
		})
		id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		f, err := w.Engine.Subscribe(w.Context(), w.Call(), &a2a.SubscribeToTaskRequest{ID: id}, ptr(uint64(0)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		began := time.Now()
		quick := w.Subscribe(id, ptr(uint64(0)))
		if quick.Wait().Err != nil {
			t.Error(quick.Err)
		}
		synctest.Wait()
		if d := time.Since(began); d > time.Second {
			t.Errorf("the agent took %v", d)
		}
		var seq uint64
		reads.Store(0)
		for {
			frames, err := f.Next(w.Context(), 0)
			size := 0
			for _, fr := range frames {
				if fr.Seq != seq+1 {
					t.Fatalf("%d follows %d", fr.Seq, seq)
				}
				seq, size = fr.Seq, size+len(fr.Event)
			}
			if size > 1<<20 {
				t.Errorf("%d bytes at once", size)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if seq != chunks+2 || reads.Load() == 0 {
			t.Errorf("it has read %d of %d, the log %d times", seq, chunks+2, reads.Load())
		}
	})

	bubble(t, "at the edge of its buffer it reads no log, one record more and it does", func(t *testing.T) {
		for _, over := range []int{0, 1} {
			const room = 10
			var reads atomic.Int32
			gate := make(chan struct{})
			w := nodetest.New(t, nodetest.Options{
				Live: live.Limits{Records: room},
				Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
					c.Working()
					<-gate
					for i := range room + over {
						c.Artifact(fmt.Sprint(i), "x")
						time.Sleep(time.Millisecond) // a commit each
					}
					<-c.Ctx.Done()
					return nil
				}},
				Hooks: nodetest.Hooks{Read: func(_ task.Ref, next func() (store.Head, []store.Batch, error)) (store.Head, []store.Batch, error) {
					reads.Add(1)
					return next()
				}},
			})
			id := w.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
			synctest.Wait()
			f, err := w.Engine.Subscribe(w.Context(), w.Call(), &a2a.SubscribeToTaskRequest{ID: id}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Next(w.Context(), 0); err != nil { // the Task
				t.Fatal(err)
			}
			close(gate)
			time.Sleep(time.Second)
			reads.Store(0)
			got := 0
			for got < room+over {
				frames, err := f.Next(w.Context(), time.Second)
				if err != nil || len(frames) == 0 {
					t.Fatalf("%d frames: %v", got, err)
				}
				got += len(frames)
			}
			if n := reads.Load(); (n > 0) != (over > 0) {
				t.Errorf("%d over: the log was read %d times", over, n)
			}
			f.Close()
			w.Cancel(id)
		}
	})
}

// A task of an earlier process, that nothing on this replica ever touched.
func TestJustRestarted(t *testing.T) {
	t.Parallel()
	bubble(t, "a new replica follows, resumes and answers for what the last one left", func(t *testing.T) {
		agent := nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			if c.Attempt == 1 && c.Text() == "go" {
				c.Artifact("a", "x")
				return c.Wait()
			}
			c.Complete()
			return nil
		}}
		old := nodetest.New(t, nodetest.Options{Agent: agent, Quiet: true})
		running := old.MustSend(nodetest.Say("go", nodetest.AtOnce)).ID
		synctest.Wait()
		old.Stop()
		w := nodetest.New(t, nodetest.Options{Agent: agent, Store: old.Store, Idle: true})
		before := w.Subscribe(running, nil)
		after := w.Subscribe(running, ptr(uint64(2)))
		synctest.Wait()
		if len(before.Seen()) != 1 || len(after.Seen()) != 0 {
			t.Errorf("%d and %d frames before the worker runs", len(before.Seen()), len(after.Seen()))
		}
		w.Run()
		for _, s := range []*nodetest.Stream{before, after} {
			if s.Wait().Err != nil {
				t.Error(s.Err)
			}
		}
		if last := after.Frames[len(after.Frames)-1]; after.Frames[0].Seq != 3 || last.Seq != w.Head(running).LastSeq {
			t.Errorf("%d to %d", after.Frames[0].Seq, last.Seq)
		}
	})
}
