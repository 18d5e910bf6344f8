// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

// schema is what the schemas of docs/extensions say of an object of integers.
type schema struct {
	ID         string `json:"$id"`
	Required   []string
	Properties map[string]struct {
		Type             string
		Minimum, Maximum *float64
	}
}

// What stands in events is what the documents of the extensions say.
func TestEventsKeepTheSchemasOfTheExtensions(t *testing.T) {
	t.Parallel()
	turn := task.Turn{TaskID: "t", ContextID: "c", Number: 1, Attempt: 2}
	state := task.NewState("t", "c")
	submitted, change, err := record.Encode(turn.Submitted(time.Now()), record.Stamp{Seq: 1})
	if err != nil || state.Apply(change) != nil {
		t.Fatalf("%s: %v", submitted, err)
	}
	progress, err := turn.Progress(state, 40, time.Now())
	if err != nil || len(progress) != 1 {
		t.Fatalf("%v, %v", progress, err)
	}
	raw, _, err := record.Encode(progress[0], record.Stamp{Seq: 2, Attempt: 2})
	if err != nil {
		t.Fatal(err)
	}
	var shown struct {
		StatusUpdate struct{ Metadata map[string]map[string]any }
	}
	if err := json.Unmarshal(raw, &shown); err != nil {
		t.Fatal(err)
	}
	for file, uri := range map[string]string{"resume": task.ResumeURI, "progress": task.ProgressURI} {
		b, err := os.ReadFile(filepath.Join("..", "..", "docs", "extensions", file+".schema.json"))
		if err != nil {
			t.Fatal(err)
		}
		var s schema
		if err := json.Unmarshal(b, &s); err != nil || s.ID != uri {
			t.Fatalf("%s: %v, $id %q", file, err, s.ID)
		}
		got := shown.StatusUpdate.Metadata[uri]
		if len(got) != len(s.Properties) {
			t.Errorf("%s: %v has other members than the schema: %v", file, got, s.Properties)
		}
		for name, v := range got {
			p, n := s.Properties[name], v.(float64)
			if p.Type != "integer" || n != float64(int64(n)) || p.Minimum != nil && n < *p.Minimum || p.Maximum != nil && n > *p.Maximum {
				t.Errorf("%s: %s is %v, the schema says %+v", file, name, v, p)
			}
		}
		for _, name := range s.Required {
			if _, there := got[name]; !there {
				t.Errorf("%s: %s is missing in %v", file, name, got)
			}
		}
	}
	for _, e := range task.Extensions() {
		if e.URI == "" || e.Description == "" || e.Required {
			t.Errorf("%+v cannot be announced", e)
		}
	}
}
