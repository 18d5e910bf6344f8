// SPDX-License-Identifier: Apache-2.0

// Command resume is an agent that continues from its own earlier output. Its
// work has steps; each becomes a part of one artifact. When a run is lost or
// fails, the next one finds in the stored task which steps are recorded, and
// does only the rest.
package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"net/http"
	"os"
	"os/signal"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand"
)

const report a2a.ArtifactID = "report"

// researcher does one step after the other. do is what a step costs and what
// must not be paid for twice.
type researcher struct {
	steps []string
	do    func(ctx context.Context, step string) (string, error)
}

func (r researcher) Execute(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		done := recorded(ec.StoredTask)
		for i := done; i < len(r.steps); i++ {
			text, err := r.do(ctx, r.steps[i])
			if err != nil {
				// What was yielded is kept; the next attempt begins with this step.
				yield(nil, fmt.Errorf("step %q in attempt %d: %w", r.steps[i], errand.Attempt(ctx), err))
				return
			}
			errand.Progress(ctx, 100*(i+1)/len(r.steps))
			ev := a2a.NewArtifactUpdateEvent(ec, report, a2a.NewTextPart(text))
			ev.Append = i > 0
			if !yield(ev, nil) {
				return
			}
		}
		yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCompleted, nil), nil)
	}
}

// recorded counts the steps that are in the log: they are never lost, and
// whatever was not recorded has not happened as far as anybody could see.
func recorded(t *a2a.Task) int {
	if t == nil {
		return 0
	}
	for _, a := range t.Artifacts {
		if a.ID == report {
			return len(a.Parts)
		}
	}
	return 0
}

func (researcher) Cancel(_ context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCanceled, nil), nil)
	}
}

// agent keeps what a failed attempt recorded: it goes on from there.
func agent(r researcher) errand.Agent {
	return errand.Agent{
		Card: &a2a.AgentCard{
			Name: "researcher", Description: "Works in steps and never repeats one.", Version: "1.0.0",
			DefaultInputModes: []string{"text/plain"}, DefaultOutputModes: []string{"text/plain"},
			Skills: []a2a.AgentSkill{{ID: "research", Name: "Research", Description: "Writes a report.", Tags: []string{"report"}}},
		},
		Executor: r,
		Policy:   errand.Policy{OnRetry: errand.KeepArtifacts},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r := researcher{
		steps: []string{"read", "compare", "write"},
		do:    func(_ context.Context, step string) (string, error) { return "I did: " + step, nil },
	}
	e, err := errand.New(ctx, errand.Options{Store: errand.SQLite("research.db")}, agent(r))
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	srv := &http.Server{Addr: "127.0.0.1:8080", Handler: e}
	go func() {
		if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Print(err)
			stop()
		}
	}()
	if err := e.Run(ctx); err != nil {
		log.Print(err)
	}
	_ = srv.Shutdown(context.WithoutCancel(ctx))
}
