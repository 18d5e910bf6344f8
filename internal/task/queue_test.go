// SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// parseQueue parses a value as it comes from the wire.
func parseQueue(t *testing.T, text string) (task.Queue, error) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return task.ParseQueue(map[string]any{"other": 1, task.QueueURI: value})
}

func TestWhatAMessageAsksOfTheQueue(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]task.Queue{
		`{}`:                  {},
		`{"priority": -100}`:  {Priority: -100},
		`{"priority": 100.0}`: {Priority: 100},
		`{"maxAttempts": 1}`:  {MaxAttempts: 1},
		`{"scheduledFor": "2026-11-20T12:00:00Z", "deadline": "2026-11-20T14:00:00.5+02:00", "priority": 0, "maxAttempts": 1000}`: {
			ScheduledFor: noon, Deadline: noon.Add(500 * time.Millisecond), MaxAttempts: 1000,
		},
	} {
		got, err := parseQueue(t, text)
		if err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for name, meta := range map[string]map[string]any{"none": nil, "others": {"x": 1}} {
		if got, err := task.ParseQueue(meta); err != nil || got != (task.Queue{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, n := range []any{5, int32(5), int64(5), float32(5), json.Number("5")} {
		got, err := task.ParseQueue(map[string]any{task.QueueURI: map[string]any{"priority": n}})
		if err != nil || got.Priority != 5 {
			t.Errorf("%T: %+v, %v", n, got, err)
		}
	}
}

func TestWhatTheQueueCannotDoIsRefusedByName(t *testing.T) {
	t.Parallel()
	root := `message.metadata["` + task.QueueURI + `"]`
	const aTime, anInteger = "RFC 3339", "integer from"
	for text, want := range map[string]struct{ field, says string }{
		`null`:                                    {"", "object"},
		`7`:                                       {"", "object"},
		`[]`:                                      {"", "object"},
		`{"Priority": 1}`:                         {".Priority", "known are deadline, maxAttempts, priority, scheduledFor"},
		`{"priority": 1, "prio": 1}`:              {".prio", "known are"},
		`{"priority": 101}`:                       {".priority", "-100 to 100"},
		`{"priority": -101}`:                      {".priority", "-100 to 100"},
		`{"priority": 0.5}`:                       {".priority", anInteger},
		`{"priority": 1e300}`:                     {".priority", anInteger},
		`{"priority": "1"}`:                       {".priority", anInteger},
		`{"priority": null}`:                      {".priority", anInteger},
		`{"priority": true}`:                      {".priority", anInteger},
		`{"maxAttempts": 0}`:                      {".maxAttempts", "1 to 1000"},
		`{"maxAttempts": 1001}`:                   {".maxAttempts", "1 to 1000"},
		`{"maxAttempts": {}}`:                     {".maxAttempts", anInteger},
		`{"deadline": 1795176060}`:                {".deadline", aTime},
		`{"deadline": null}`:                      {".deadline", aTime},
		`{"deadline": ""}`:                        {".deadline", aTime},
		`{"deadline": "tomorrow"}`:                {".deadline", aTime},
		`{"deadline": "2026-11-20"}`:              {".deadline", aTime},
		`{"deadline": "2026-11-20T12:00:00"}`:     {".deadline", aTime},
		`{"deadline": "2026-11-20 12:00:00Z"}`:    {".deadline", aTime},
		`{"deadline": "2026-11-20T12:00:00,5Z"}`:  {".deadline", aTime},
		`{"deadline": "2026-02-30T12:00:00Z"}`:    {".deadline", aTime},
		`{"deadline": "0001-01-01T00:00:00Z"}`:    {".deadline", aTime},
		`{"scheduledFor": "2026-11-20T12:00:00"}`: {".scheduledFor", aTime},
		`{"scheduledFor": "2026-11-20T12:00:00Z", "deadline": "2026-11-20T12:00:00Z"}`: {".scheduledFor", "before the deadline"},
		`{"scheduledFor": "2026-11-20T12:00:01Z", "deadline": "2026-11-20T12:00:00Z"}`: {".scheduledFor", "before the deadline"},
	} {
		got, err := parseQueue(t, text)
		var e *task.Error
		if !errors.As(err, &e) || !errors.Is(err, a2a.ErrInvalidParams) || got != (task.Queue{}) {
			t.Errorf("%s: %+v, %v", text, got, err)
			continue
		}
		if e.Field != root+want.field || !strings.HasPrefix(e.Message, e.Field+": ") || !strings.Contains(e.Message, want.says) {
			t.Errorf("%s is refused for %s: %s", text, e.Field, e.Message)
		}
	}
	var e *task.Error
	if err := task.PastDeadline(); !errors.As(err, &e) || e.Field != root+".deadline" || !errors.Is(err, a2a.ErrInvalidParams) {
		t.Errorf("a past deadline: %v", err)
	}
}

// The schema that clients read and the parser must say the same.
func TestTheSchemaOfTheQueueAgreesWithTheParser(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/extensions/queue.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type property struct {
		Type     string
		Format   string
		Minimum  *int
		Maximum  *int
		Default  *int
		Examples []any
	}
	var schema struct {
		Schema     string `json:"$schema"`
		ID         string `json:"$id"`
		Type       string
		Properties map[string]property
		Required   []string
		Additional *bool `json:"additionalProperties"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	if schema.Schema != "https://json-schema.org/draft/2020-12/schema" || !strings.HasPrefix(schema.ID, task.QueueURI) ||
		schema.Type != "object" || schema.Additional == nil || *schema.Additional || len(schema.Required) > 0 {
		t.Errorf("the schema begins with %+v", schema)
	}
	parse := func(name string, value any) error {
		_, err := task.ParseQueue(map[string]any{task.QueueURI: map[string]any{name: value}})
		return err
	}
	names := slices.Sorted(maps.Keys(schema.Properties))
	if err := parse("x", 0); err == nil || !strings.HasSuffix(err.Error(), "known are "+strings.Join(names, ", ")) {
		t.Errorf("the schema has %v; the parser says: %v", names, err)
	}
	for name, p := range schema.Properties {
		if len(p.Examples) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, example := range p.Examples {
			if err := parse(name, example); err != nil {
				t.Errorf("an example of %s: %v", name, err)
			}
		}
		switch {
		case p.Type == "integer" && p.Minimum != nil && p.Maximum != nil:
			for n, ok := range map[int]bool{*p.Minimum: true, *p.Maximum: true, *p.Minimum - 1: false, *p.Maximum + 1: false} {
				if err := parse(name, n); (err == nil) != ok {
					t.Errorf("%s %d: %v", name, n, err)
				}
			}
			if err := parse(name, fmt.Sprint(*p.Minimum)); err == nil {
				t.Errorf("%s may be a string", name)
			}
			if got, _ := parseQueue(t, "{}"); name == "priority" && (p.Default == nil || got.Priority != *p.Default) {
				t.Errorf("the default of %s is %v and %d", name, p.Default, got.Priority)
			}
		case p.Type == "string" && p.Format == "date-time":
			if parse(name, "2026-11-20T12:00:00Z") != nil || parse(name, "2026-11-20") == nil || parse(name, 1.0) == nil {
				t.Errorf("%s is not a time", name)
			}
		default:
			t.Errorf("%s is %+v: no bounds to compare", name, p)
		}
	}
}
