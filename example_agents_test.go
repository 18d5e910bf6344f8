// SPDX-License-Identifier: Apache-2.0

package errand_test

import (
	"context"
	"fmt"
	"iter"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand"
)

// says is an executor that completes with a text.
func says(text func(*a2asrv.ExecutorContext) string) executor {
	return func(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
		return func(yield func(a2a.Event, error) bool) {
			m := a2a.NewMessageForTask(a2a.MessageRoleAgent, ec, a2a.NewTextPart(text(ec)))
			yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCompleted, m), nil)
		}
	}
}

// run starts a server in this process; the answer sends it a message and gives
// the text of the answer, and ends it.
func run(o errand.Options, agents ...errand.Agent) (ask func(ctx context.Context, req *a2a.SendMessageRequest) string, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	o.Store = errand.Memory()
	e, err := errand.New(ctx, o, agents...)
	if err != nil {
		panic(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }()
	<-e.Started()
	ask = func(ctx context.Context, req *a2a.SendMessageRequest) string {
		res, err := e.RequestHandler().SendMessage(ctx, req)
		if err != nil {
			return "refused: " + err.Error()
		}
		return res.(*a2a.Task).Status.Message.Parts[0].Text()
	}
	return ask, func() {
		cancel()
		<-ran
		_ = e.Close()
	}
}

func message(tenant, text string) *a2a.SendMessageRequest {
	return &a2a.SendMessageRequest{Tenant: tenant, Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text))}
}

// One server has any number of agents. Requests name them by their tenant;
// others are found by a function.
func ExampleNew_severalAgents() {
	ask, stop := run(errand.Options{
		Resolve: func(_ context.Context, tenant, name string) (errand.Agent, error) {
			if name != "weather" {
				return errand.Agent{}, errand.ErrUnknownAgent
			}
			return errand.Agent{Card: card(), Executor: says(func(*a2asrv.ExecutorContext) string { return "sunny" })}, nil
		},
	},
		errand.Agent{Card: card(), Executor: says(func(*a2asrv.ExecutorContext) string { return "the front desk" })},
		errand.Agent{Name: "billing", Card: card(), Executor: says(func(ec *a2asrv.ExecutorContext) string { return ec.Tenant + " speaking" })},
	)
	defer stop()
	for _, name := range []string{"", "billing", "weather", "nobody"} {
		fmt.Println(ask(context.Background(), message(name, "hello")))
	}
	// Output:
	// the front desk
	// billing speaking
	// sunny
	// refused: tenant: there is no agent of that name here
}

// bearer lets in whoever has it.
type bearer struct {
	a2asrv.PassthroughCallInterceptor
}

func (bearer) Before(ctx context.Context, call *a2asrv.CallContext, _ *a2asrv.Request) (context.Context, any, error) {
	if values, _ := call.ServiceParams().Get("authorization"); len(values) != 1 || values[0] != "Bearer ann's" {
		return ctx, nil, a2a.ErrUnauthenticated
	}
	call.User = a2asrv.NewAuthenticatedUser("ann", map[string]any{"team": "red"})
	return ctx, nil, nil
}

// An interceptor of the SDK says who calls. The executor knows it too, and
// others do not find the task.
func ExampleOptions_interceptors() {
	ask, stop := run(errand.Options{Interceptors: []a2asrv.CallInterceptor{bearer{}}}, errand.Agent{
		Card: card(),
		Executor: says(func(ec *a2asrv.ExecutorContext) string {
			return fmt.Sprint(ec.User.Name, " of ", ec.User.Attributes["team"])
		}),
	})
	defer stop()
	for _, authorization := range []string{"Bearer ann's", "Bearer eve's"} {
		params := a2asrv.NewServiceParams(map[string][]string{"Authorization": {authorization}})
		ctx, _ := a2asrv.NewCallContext(context.Background(), params)
		fmt.Println(ask(ctx, message("", "who am I?")))
	}
	// Output:
	// ann of red
	// refused: unauthenticated
}
