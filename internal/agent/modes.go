// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"mime"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// CheckModes refuses a message with a part of a type that the agent does not
// take, and one whose sender accepts nothing that the agent gives (3.1.1). A
// card that declares no modes takes and gives everything.
func (a *Agent) CheckModes(req *a2a.SendMessageRequest) error {
	if in := a.modes(a.Card.DefaultInputModes, func(s *a2a.AgentSkill) []string { return s.InputModes }); len(in) > 0 {
		for i, p := range req.Message.Parts {
			if have := partType(p); have != "" && !anyMatches(in, have) {
				return unsupported(fmt.Sprintf("message.parts[%d].mediaType", i), have, in)
			}
		}
	}
	if req.Config == nil || len(req.Config.AcceptedOutputModes) == 0 {
		return nil
	}
	out := a.modes(a.Card.DefaultOutputModes, func(s *a2a.AgentSkill) []string { return s.OutputModes })
	if len(out) == 0 {
		return nil
	}
	for _, want := range req.Config.AcceptedOutputModes {
		if anyMatches(out, want) {
			return nil
		}
	}
	return unsupported("configuration.acceptedOutputModes", strings.Join(req.Config.AcceptedOutputModes, ", "), out)
}

func unsupported(field, have string, modes []string) error {
	return task.Invalid(a2a.ErrUnsupportedContentType, field, "%.100q is not among the agent's: %s", have, strings.Join(modes, ", "))
}

// modes are the card's own and those of its skills: which skill a message is
// for only the agent knows.
func (a *Agent) modes(card []string, of func(*a2a.AgentSkill) []string) []string {
	if len(card) == 0 {
		return nil
	}
	modes := append([]string(nil), card...)
	for i := range a.Card.Skills {
		modes = append(modes, of(&a.Card.Skills[i])...)
	}
	return modes
}

// partType is what a part says it is, or what it is by its kind; nothing for a
// file that does not say.
func partType(p *a2a.Part) string {
	if p.MediaType != "" {
		return p.MediaType
	}
	switch p.Content.(type) {
	case a2a.Text:
		return "text/plain"
	case a2a.Data, *a2a.Data:
		return "application/json"
	}
	return ""
}

func anyMatches(modes []string, have string) bool {
	have = essence(have)
	for _, m := range modes {
		if matches(essence(m), have) || matches(have, essence(m)) {
			return true
		}
	}
	return false
}

// matches understands ranges as Accept has them, and the one-word modes of
// older cards.
func matches(pattern, have string) bool {
	switch pattern {
	case "*/*", "*":
		return true
	case "text":
		pattern = "text/*"
	case "data", "json":
		pattern = "application/json"
	case "file":
		return !strings.HasPrefix(have, "text/")
	}
	if kind, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(have, kind+"/") || have == kind
	}
	return pattern == have
}

// essence is a media type without its parameters.
func essence(s string) string {
	if t, _, err := mime.ParseMediaType(s); err == nil {
		return t
	}
	return strings.ToLower(strings.TrimSpace(s))
}
