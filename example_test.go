// SPDX-License-Identifier: Apache-2.0

package errand_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand"
)

// executor makes the SDK's AgentExecutor out of a function.
type executor func(context.Context, *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error]

func (x executor) Execute(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return x(ctx, ec)
}

func (executor) Cancel(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCanceled, nil), nil)
	}
}

func card() *a2a.AgentCard {
	return &a2a.AgentCard{
		Name: "example", Description: "An example.", Version: "1.0.0",
		DefaultInputModes: []string{"text/plain"}, DefaultOutputModes: []string{"text/plain"},
		Skills: []a2a.AgentSkill{{ID: "s", Name: "s", Description: "An example.", Tags: []string{"example"}}},
	}
}

// serve runs an agent in memory and sends it one message.
func serve(a errand.Agent, text string) (*errand.Errand, *a2a.Task, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	e, err := errand.New(ctx, errand.Options{Store: errand.Memory()}, a)
	if err != nil {
		panic(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }()
	srv := httptest.NewServer(e)
	client, err := a2aclient.NewFromEndpoints(ctx, []*a2a.AgentInterface{a2a.NewAgentInterface(srv.URL, a2a.TransportProtocolJSONRPC)})
	if err != nil {
		panic(err)
	}
	stop := func() {
		_ = client.Destroy()
		srv.Close()
		cancel()
		<-ran
		_ = e.Close()
	}
	req := &a2a.SendMessageRequest{Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text))}
	<-e.Started() // before that, sends are answered 503
	res, err := client.SendMessage(ctx, req)
	if err != nil {
		panic(err)
	}
	return e, res.(*a2a.Task), stop
}

// An executor of the official SDK becomes durable as it is.
func Example() {
	greet := executor(func(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
		return func(yield func(a2a.Event, error) bool) {
			if yield(a2a.NewArtifactEvent(ec, a2a.NewTextPart("hello, "+ec.Message.Parts[0].Text())), nil) {
				yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCompleted, nil), nil)
			}
		}
	})
	_, task, stop := serve(errand.Agent{Card: card(), Executor: greet}, "world")
	defer stop()
	fmt.Println(task.Status.State, task.Artifacts[0].Parts[0].Text())
	// Output: TASK_STATE_COMPLETED hello, world
}

// Follow reads a task's log: every event once, in order, also of a task that
// has ended.
func ExampleErrand_Follow() {
	twice := executor(func(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
		return func(yield func(a2a.Event, error) bool) {
			_ = yield(a2a.NewArtifactEvent(ec, a2a.NewTextPart("one")), nil) &&
				yield(a2a.NewArtifactEvent(ec, a2a.NewTextPart("two")), nil) &&
				yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCompleted, nil), nil)
		}
	})
	e, task, stop := serve(errand.Agent{Card: card(), Executor: twice}, "go")
	defer stop()
	for ev, err := range e.Follow(context.Background(), task.ID, 0) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d %s\n", ev.Sequence, strings.TrimPrefix(fmt.Sprintf("%T", ev.Event), "*a2a."))
	}
	// Output:
	// 1 Task
	// 2 TaskArtifactUpdateEvent
	// 3 TaskArtifactUpdateEvent
	// 4 TaskStatusUpdateEvent
}

// Attempt tells an executor that it runs again; RetryAfter says when.
func ExampleAttempt() {
	flaky := executor(func(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
		return func(yield func(a2a.Event, error) bool) {
			if n := errand.Attempt(ctx); n < 3 {
				yield(nil, errand.RetryAfter(time.Millisecond, fmt.Errorf("attempt %d", n)))
				return
			}
			yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCompleted, a2a.NewMessage(a2a.MessageRoleAgent,
				a2a.NewTextPart(fmt.Sprint("done in attempt ", errand.Attempt(ctx))))), nil)
		}
	})
	_, task, stop := serve(errand.Agent{Card: card(), Executor: flaky}, "go")
	defer stop()
	fmt.Println(task.Status.Message.Parts[0].Text())
	// Output: done in attempt 3
}

// Permanent ends a message at once: trying again would not help.
func ExamplePermanent() {
	wrong := executor(func(context.Context, *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
		return func(yield func(a2a.Event, error) bool) {
			yield(nil, errand.Permanent(errors.New("the account is closed")))
		}
	})
	_, task, stop := serve(errand.Agent{Card: card(), Executor: wrong}, "go")
	defer stop()
	fmt.Println(task.Status.State)
	// Output: TASK_STATE_FAILED
}

// Progress shows how far an attempt is, in the metadata of a status event.
func ExampleProgress() {
	half := executor(func(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
		return func(yield func(a2a.Event, error) bool) {
			errand.Progress(ctx, 50)
			yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCompleted, nil), nil)
		}
	})
	_, task, stop := serve(errand.Agent{Card: card(), Executor: half}, "go")
	defer stop()
	fmt.Println(task.Metadata["https://github.com/errand-a2a/errand/ext/progress/v1"])
	// Output: map[percent:50]
}
