// SPDX-License-Identifier: Apache-2.0

// Command durable is an agent written for the official SDK, made durable. What
// the SDK's in-memory server needs and what Errand needs in its place stand
// side by side in handler.
package main

import (
	"context"
	"errors"
	"iter"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand"
)

// shouter is the agent: it knows nothing of Errand.
type shouter struct{}

func (shouter) Execute(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		if ec.StoredTask == nil && !yield(a2a.NewSubmittedTask(ec, ec.Message), nil) {
			return
		}
		for _, p := range ec.Message.Parts {
			if !yield(a2a.NewArtifactEvent(ec, a2a.NewTextPart(strings.ToUpper(p.Text()))), nil) {
				return
			}
		}
		yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCompleted, nil), nil)
	}
}

func (shouter) Cancel(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCanceled, nil), nil)
	}
}

var card = a2a.AgentCard{
	Name: "shouter", Description: "Says it louder.", Version: "1.0.0",
	DefaultInputModes: []string{"text/plain"}, DefaultOutputModes: []string{"text/plain"},
	Skills: []a2a.AgentSkill{{ID: "shout", Name: "Shout", Description: "Upper-cases a text.", Tags: []string{"text"}}},
}

// serve serves the agent on ln until ctx ends.
func serve(ctx context.Context, ln net.Listener, path string) error {
	// Before: handler := a2asrv.NewJSONRPCHandler(a2asrv.NewHandler(shouter{}))
	e, err := errand.New(ctx, errand.Options{
		Store:     errand.SQLite(path),
		PublicURL: "http://" + ln.Addr().String(),
	}, errand.Agent{Card: &card, Executor: shouter{}})
	if err != nil {
		return err
	}
	defer e.Close()

	srv := &http.Server{Handler: e}
	go func() {
		<-ctx.Done()
		_ = srv.Shutdown(context.WithoutCancel(ctx))
	}()
	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }() // the line that is new
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ran
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ln, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	if err := serve(ctx, ln, "shouter.db"); err != nil {
		log.Fatal(err)
	}
}
