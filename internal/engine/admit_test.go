// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

const required = "urn:example:required"

func demanding() *a2a.AgentCard {
	return &a2a.AgentCard{
		Name: "demanding", DefaultInputModes: []string{"text/plain"}, DefaultOutputModes: []string{"text/plain"},
		Capabilities: a2a.AgentCapabilities{Extensions: []a2a.AgentExtension{{URI: required, Required: true}}},
	}
}

// operations are all that a caller may ask about a task.
func operations(w *nodetest.World, call engine.Call, id a2a.TaskID) map[string]error {
	msg := nodetest.Say("hello")
	_, send := w.Engine.Send(w.Context(), call, msg)
	_, stream := w.Engine.Stream(w.Context(), call, msg)
	_, get := w.Engine.Get(w.Context(), call, &a2a.GetTaskRequest{ID: id})
	_, list := w.Engine.List(w.Context(), call, &a2a.ListTasksRequest{})
	_, cancel := w.Engine.Cancel(w.Context(), call, &a2a.CancelTaskRequest{ID: id})
	_, subscribe := w.Engine.Subscribe(w.Context(), call, &a2a.SubscribeToTaskRequest{ID: id}, nil)
	_, card := w.Engine.ExtendedCard(w.Context(), call, &a2a.GetExtendedAgentCardRequest{})
	return map[string]error{"send": send, "stream": stream, "get": get, "list": list, "cancel": cancel, "subscribe": subscribe, "card": card}
}

func TestAdmission(t *testing.T) {
	t.Parallel()

	bubble(t, "no operation is for a caller who leaves out a required extension", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Card: demanding()})
		for op, err := range operations(w, engine.Call{Extensions: []string{"urn:example:other"}}, "unknown") {
			if !errors.Is(err, a2a.ErrExtensionSupportRequired) {
				t.Errorf("%s: %v", op, err)
			}
		}
		call := engine.Call{Extensions: []string{required}}
		if a := w.SendAs(call, nodetest.Say("hello")); a.Err != nil {
			t.Error(a.Err)
		}
	})

	bubble(t, "no operation is for an agent that is not here", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{})
		var refused *task.Error
		for op, err := range operations(w, engine.Call{Agent: "nobody"}, "unknown") {
			if !errors.As(err, &refused) || refused.Field != "tenant" || !errors.Is(err, a2a.ErrInvalidParams) {
				t.Errorf("%s: %v", op, err)
			}
		}
	})

	bubble(t, "leaves the active extensions in the call, once", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Card: demanding()})
		call, err := w.Engine.Admit(w.Context(), engine.Call{Extensions: []string{task.ResumeURI, "urn:unknown", required}})
		if want := []string{required, task.ResumeURI}; err != nil || !slices.Equal(call.Extensions, want) {
			t.Fatalf("%v, %v", call.Extensions, err)
		}
		if again, err := w.Engine.Admit(w.Context(), call); err != nil || !slices.Equal(again.Extensions, call.Extensions) {
			t.Errorf("admitted again: %v, %v", again.Extensions, err)
		}
	})

	bubble(t, "asks for the agent once a call", func(t *testing.T) {
		asked := 0
		w := nodetest.New(t, nodetest.Options{Idle: true, Resolve: func(*nodetest.World, string, string) (agent.Agent, error) {
			asked++
			return nodetest.Entry(nodetest.Agent{}), nil
		}})
		call, err := w.Engine.Admit(w.Context(), engine.Call{Agent: "cook"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Engine.Send(w.Context(), call, nodetest.Say("hello", nodetest.AtOnce)); err != nil || asked != 1 {
			t.Errorf("asked %d times, %v", asked, err)
		}
	})

	bubble(t, "a message of a type that the agent does not take is refused, and loses nothing", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{Card: demanding(), Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
			c.Ask()
			return nil
		}}})
		call := engine.Call{Extensions: []string{required}}
		parked := w.SendAs(call, nodetest.Say("hello"))
		data := nodetest.Say("", nodetest.To(parked.Task.ID))
		data.Message.Parts = a2a.ContentParts{a2a.NewDataPart(map[string]any{"a": 1})}
		picky := nodetest.Say("hello")
		picky.Config = &a2a.SendMessageConfig{AcceptedOutputModes: []string{"image/png"}}
		for name, r := range map[string]*nodetest.Request{"data": data, "nothing that is accepted": picky} {
			if a := w.SendAs(call, r); !errors.Is(a.Err, a2a.ErrUnsupportedContentType) {
				t.Errorf("%s: %v", name, a.Err)
			}
		}
		if list, err := w.List(call, &a2a.ListTasksRequest{}); err != nil || len(list.Tasks) != 1 || list.Tasks[0].Status.State != a2a.TaskStateInputRequired {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestExtendedCard(t *testing.T) {
	t.Parallel()
	known := engine.Call{Scope: task.Scope{Principal: "ann"}, User: &record.User{Name: "ann", Authenticated: true}}
	give := func(card *a2a.AgentCard, err error) a2asrv.ExtendedAgentCardProducer {
		return a2asrv.ExtendedAgentCardProducerFn(func(context.Context, *a2a.GetExtendedAgentCardRequest) (*a2a.AgentCard, error) { return card, err })
	}
	for _, tt := range []struct {
		name     string
		producer a2asrv.ExtendedAgentCardProducer
		call     engine.Call
		want     error
	}{
		{"is given to a caller who has said who it is", give(&a2a.AgentCard{Name: "more"}, nil), known, nil},
		{"is not given to strangers", give(&a2a.AgentCard{Name: "more"}, nil), engine.Call{}, a2a.ErrUnauthenticated},
		{"is not given to a name that nobody has checked", give(&a2a.AgentCard{Name: "more"}, nil), engine.Call{User: &record.User{Name: "ann"}}, a2a.ErrUnauthenticated},
		{"is not there unless the agent has one", nil, known, a2a.ErrUnsupportedOperation},
		{"may be missing for the moment", give(nil, nil), known, a2a.ErrExtendedCardNotConfigured},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			w := nodetest.New(t, nodetest.Options{
				ExtendedCard: tt.producer,
				Engine:       engine.Options{RenderCard: func(_ string, card *a2a.AgentCard) ([]byte, error) { return json.Marshal(card) }},
			})
			b, err := w.Engine.ExtendedCard(w.Context(), tt.call, &a2a.GetExtendedAgentCardRequest{})
			if tt.want != nil && !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Fatalf("%v", err)
			}
			var card a2a.AgentCard
			if tt.want == nil && (json.Unmarshal(b, &card) != nil || card.Name != "more") {
				t.Errorf("%s", b)
			}
		})
	}
	bubble(t, "whose making fails is an internal error", func(t *testing.T) {
		w := nodetest.New(t, nodetest.Options{ExtendedCard: give(nil, errors.New("the database is away"))})
		_, err := w.Engine.ExtendedCard(w.Context(), known, &a2a.GetExtendedAgentCardRequest{})
		var shown *task.Error
		if err == nil || errors.As(err, &shown) {
			t.Errorf("%v", err)
		}
	})
}
