// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"

	"github.com/errand-a2a/errand/internal/record"
)

func TestRequest(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]record.Request{
		"nothing":         {},
		"metadata":        {Metadata: map[string]any{"k": []any{1.5, "x", nil}, "": map[string]any{}}},
		"parameters":      {Params: map[string][]string{"a2a-extensions": {"urn:x", "urn:y"}}},
		"extensions":      {Extensions: []string{"urn:x", "urn:y"}, Accepts: []string{"text/plain"}},
		"a user":          {User: &record.User{Name: "ann", Authenticated: true, Attributes: map[string]any{"team": "red"}}},
		"a context":       {Context: map[string]any{"trace": "1"}},
		"a parked state":  {Parked: a2a.TaskStateAuthRequired},
		"all of a call":   {Metadata: map[string]any{"k": "v"}, Params: map[string][]string{"a": {""}}, Accepts: []string{"\u2028"}, Parked: a2a.TaskStateInputRequired},
		"an odd state":    {Parked: "TASK_STATE_DREAMING"},
		"metadata parked": {Metadata: map[string]any{"parked": "x"}},
	} {
		t.Run(name+" is read as it was written", func(t *testing.T) {
			t.Parallel()
			b, err := record.EncodeRequest(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := record.DecodeRequest(b)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}

	t.Run("nothing takes no bytes", func(t *testing.T) {
		t.Parallel()
		if b, err := record.EncodeRequest(record.Request{Metadata: map[string]any{}, Params: map[string][]string{}}); b != nil || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
	})

	t.Run("a state that is not set is not written", func(t *testing.T) {
		t.Parallel()
		if b, err := record.EncodeRequest(record.Request{Accepts: []string{"x"}}); string(b) != `{"accepts":["x"]}` || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
	})

	t.Run("what cannot be written is an error", func(t *testing.T) {
		t.Parallel()
		var unsupported *json.UnsupportedValueError
		if b, err := record.EncodeRequest(record.Request{Metadata: map[string]any{"k": math.NaN()}}); b != nil || !errors.As(err, &unsupported) {
			t.Errorf("got %q, %v", b, err)
		}
	})

	t.Run("what was not written by us is corrupt", func(t *testing.T) {
		t.Parallel()
		for _, b := range []string{"{", "[]", `{"accepts":7}`, "\x00"} {
			if _, err := record.DecodeRequest([]byte(b)); !errors.Is(err, record.ErrCorrupt) {
				t.Errorf("%q: %v", b, err)
			}
		}
	})
}

func TestDecodeMessage(t *testing.T) {
	t.Parallel()

	t.Run("a message is read as it was written", func(t *testing.T) {
		t.Parallel()
		want := &a2a.Message{
			ID: "m", TaskID: "task", ContextID: "context", Role: a2a.MessageRoleUser, Extensions: []string{"urn:x"},
			ReferenceTasks: []a2a.TaskID{"other"}, Metadata: map[string]any{"k": 1.0},
			Parts: a2a.ContentParts{a2a.NewTextPart("\u2028"), a2a.NewRawPart([]byte{0, 255}), a2a.NewFileURLPart("https://x", "a/b"), a2a.NewDataPart([]any{nil})},
		}
		b, err := record.AppendMessage(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := record.DecodeMessage(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})

	t.Run("no bytes are no message", func(t *testing.T) {
		t.Parallel()
		for _, b := range [][]byte{nil, {}} {
			if m, err := record.DecodeMessage(b); m != nil || err != nil {
				t.Errorf("got %v, %v", m, err)
			}
		}
	})

	t.Run("what was not written by us is corrupt", func(t *testing.T) {
		t.Parallel()
		for _, b := range []string{"{", "[]", `{"parts":[{}]}`} {
			if m, err := record.DecodeMessage([]byte(b)); m != nil || !errors.Is(err, record.ErrCorrupt) {
				t.Errorf("%q: %v, %v", b, m, err)
			}
		}
	})
}
