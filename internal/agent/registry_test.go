// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/task"
)

type mute struct{}

func (mute) Execute(context.Context, *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(func(a2a.Event, error) bool) {}
}

func (mute) Cancel(context.Context, *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(func(a2a.Event, error) bool) {}
}

func entry(name string) agent.Agent {
	return agent.Agent{Name: name, Card: &a2a.AgentCard{Name: "card of " + name}, Executor: mute{}}
}

func TestRegistryRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		agents []agent.Agent
		want   string
	}{
		"nobody":                     {nil, "no agent"},
		"two of one name":            {[]agent.Agent{entry("a"), entry("a")}, "twice"},
		"two without a name":         {[]agent.Agent{entry(""), entry("")}, "twice"},
		"an agent without a card":    {[]agent.Agent{{Name: "a", Executor: mute{}}}, "no card"},
		"an agent that cannot run":   {[]agent.Agent{{Name: "a", Card: &a2a.AgentCard{}}}, "no executor"},
		"a name of the server's own": {[]agent.Agent{entry("Tasks")}, "taken"},
		"a name with a slash":        {[]agent.Agent{entry("a/b")}, "letters"},
		"a name with a colon":        {[]agent.Agent{entry("a:b")}, "letters"},
		"a name that begins badly":   {[]agent.Agent{entry(".a")}, "letters"},
		"a name that is too long":    {[]agent.Agent{entry(strings.Repeat("a", 65))}, "letters"},
	} {
		if _, err := agent.NewRegistry(nil, tt.agents...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRegistryFinds(t *testing.T) {
	t.Parallel()
	asked := []string{}
	r, err := agent.NewRegistry(func(_ context.Context, tenant, name string) (agent.Agent, error) {
		asked = append(asked, tenant+"/"+name)
		switch name {
		case "found":
			return entry("whatever"), nil
		case "broken":
			return agent.Agent{}, errors.New("the directory is away")
		case "panics":
			panic("a mistake")
		case "empty":
			return agent.Agent{}, nil
		}
		return agent.Agent{}, agent.ErrUnknown
	}, entry("fixed"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"fixed": "", "found": "", "unknown": "no agent of that name", "broken": "the directory is away", "panics": "panic", "empty": "no card",
		"": "no agent of that name", "a/b": "no agent of that name", "tasks": "no agent of that name",
	} {
		a, err := r.Find(t.Context(), "t", name)
		if want == "" && (err != nil || a.Name != name || a.Policy.Concurrency == 0) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %+v, %v", name, a, err)
		}
		if unknown := errors.Is(err, agent.ErrUnknown); unknown != (want == "no agent of that name") {
			t.Errorf("%q: unknown %v", name, unknown)
		}
	}
	slices.Sort(asked)
	if want := []string{"t/broken", "t/empty", "t/found", "t/panics", "t/unknown"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

func TestExtensions(t *testing.T) {
	t.Parallel()
	card := &a2a.AgentCard{Name: "x", Capabilities: a2a.AgentCapabilities{Extensions: []a2a.AgentExtension{
		{URI: "urn:must", Required: true}, {URI: "urn:may"}, {URI: task.ProgressURI, Description: "of its own"},
	}}}
	r, err := agent.NewRegistry(nil, agent.Agent{Card: card, Executor: mute{}})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := r.Lookup("")
	var uris []string
	for _, e := range a.Card.Capabilities.Extensions {
		uris = append(uris, e.URI)
	}
	if want := []string{"urn:must", "urn:may", task.ProgressURI, task.QueueURI, task.ResumeURI}; !slices.Equal(uris, want) {
		t.Errorf("announced %q, want %q", uris, want)
	}
	if len(card.Capabilities.Extensions) != 3 {
		t.Error("the caller's card was changed")
	}
	active, err := a.Activate([]string{"urn:unknown", task.QueueURI, "urn:must"})
	if want := []string{"urn:must", task.QueueURI}; err != nil || !slices.Equal(active, want) {
		t.Errorf("active %q, %v", active, err)
	}
	if _, err := a.Activate([]string{"urn:may"}); !errors.Is(err, a2a.ErrExtensionSupportRequired) || !strings.Contains(err.Error(), "urn:must") {
		t.Errorf("%v", err)
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	text, data, file := a2a.NewTextPart("x"), a2a.NewDataPart(map[string]any{"a": 1}), a2a.NewRawPart([]byte("x"))
	typed := func(p *a2a.Part, mediaType string) *a2a.Part { p.MediaType = mediaType; return p }
	for _, tt := range []struct {
		name    string
		in, out []string
		skill   []string // further input modes
		part    *a2a.Part
		accepts []string
		field   string // what is refused
	}{
		{name: "text to an agent for text", in: []string{"text/plain"}, part: text},
		{name: "text to an agent that says nothing", part: text},
		{name: "data to an agent that says nothing", part: data},
		{name: "data to an agent for text", in: []string{"text/plain"}, part: data, field: "message.parts[0].mediaType"},
		{name: "data to an agent for JSON", in: []string{"text/plain", "application/json"}, part: data},
		{name: "data to a skill for JSON", in: []string{"text/plain"}, skill: []string{"application/json"}, part: data},
		{name: "text to an agent of whose skills one says what it takes", skill: []string{"application/json"}, part: text},
		{name: "a file that does not say what it is", in: []string{"text/plain"}, part: file},
		{name: "an image to an agent for text", in: []string{"text/plain"}, part: typed(a2a.NewRawPart([]byte("x")), "image/png"), field: "message.parts[0].mediaType"},
		{name: "an image to an agent for images", in: []string{"image/*"}, part: typed(a2a.NewRawPart([]byte("x")), "image/png")},
		{name: "an image to an agent for everything", in: []string{"*/*"}, part: typed(a2a.NewRawPart([]byte("x")), "image/png")},
		{name: "text with a charset", in: []string{"text/plain"}, part: typed(a2a.NewTextPart("x"), "text/plain; charset=utf-8")},
		{name: "text by the word of older cards", in: []string{"text"}, part: text},
		{name: "a file by the word of older cards", in: []string{"file"}, part: typed(a2a.NewRawPart([]byte("x")), "image/png")},
		{name: "what is given is accepted", out: []string{"text/plain", "application/json"}, part: text, accepts: []string{"image/png", "application/json"}},
		{name: "a range is accepted", out: []string{"text/plain"}, part: text, accepts: []string{"text/*"}},
		{name: "nothing that is given is accepted", out: []string{"text/plain"}, part: text, accepts: []string{"image/png"}, field: "configuration.acceptedOutputModes"},
		{name: "what an agent gives that says nothing", part: text, accepts: []string{"image/png"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := entry("")
			e.Card.DefaultInputModes, e.Card.DefaultOutputModes = tt.in, tt.out
			e.Card.Skills = []a2a.AgentSkill{{ID: "s", InputModes: tt.skill}}
			r, err := agent.NewRegistry(nil, e)
			if err != nil {
				t.Fatal(err)
			}
			a, _ := r.Lookup("")
			err = a.CheckModes(&a2a.SendMessageRequest{
				Message: &a2a.Message{Parts: a2a.ContentParts{tt.part}}, Config: &a2a.SendMessageConfig{AcceptedOutputModes: tt.accepts},
			})
			var refused *task.Error
			if errors.As(err, &refused); (refused != nil) != (tt.field != "") || refused != nil && (refused.Field != tt.field || !errors.Is(err, a2a.ErrUnsupportedContentType)) {
				t.Errorf("%v", err)
			}
		})
	}
}
