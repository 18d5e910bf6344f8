// SPDX-License-Identifier: Apache-2.0

package format

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/errand-a2a/errand/hack/acts/match"
)

func (l *loader) step(where string, v any, earlier []string) *Step {
	o := l.object(where, v)
	s := &Step{ID: o.needText("id")}
	if s.ID != "" {
		o.where = where + " (" + s.ID + ")"
	}
	if slices.Contains(earlier, s.ID) {
		l.add(o.where, "the id is that of an earlier step")
	}
	o.text("description")
	switch l.kind(o) {
	case "operation":
		l.operation(o, s)
	case "raw":
		s.Raw = l.raw(o)
		l.expectations(o, s)
	case "client_response":
		s.Client = l.client(o)
	case "assertion":
		inline := l.object(o.path("assertion"), o.need("assertion"))
		n := l.one(inline, earlier)
		if len(n.Quantified) == 0 {
			l.add(inline.where, "asserts nothing")
		}
		s.Inline = &n
		inline.done()
	}
	s.Assertions = l.named(o, "assertions", append(slices.Clone(earlier), s.ID))
	o.done()
	return s
}

// kind finds out which of the four kinds of step it is.
func (l *loader) kind(o *object) string {
	var kinds []string
	for _, k := range []string{"operation", "raw", "client_response", "assertion"} {
		if _, ok := o.m[k]; ok {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) != 1 {
		l.add(o.where, "want one of operation, raw, client_response and assertion, got %d of them", len(kinds))
		return ""
	}
	return kinds[0]
}

func (l *loader) operation(o *object, s *Step) {
	name := o.needText("operation")
	if s.Operation = operations(name); s.Operation == "" {
		l.add(o.where, "there is no operation %q", name)
	}
	o.need("params")
	s.Params = o.anyMap("params")
	if s.Operation == "get_agent_card" { // the test files say so, the format's text has an operation of its own
		if extended, ok := s.Params["extended"]; ok {
			if extended == true {
				s.Operation = "get_extended_agent_card"
			}
			delete(s.Params, "extended")
		}
	}
	l.behavior(o.where, s.Params)
	l.expectations(o, s)
	s.Delay = milliseconds(o, "delay_ms", 0)
	if v, ok := o.get("repeat"); ok {
		s.Repeat = l.repeat(l.object(o.path("repeat"), v))
		if s.Streams() {
			l.add(o.where, "repeat: a stream is not repeated here")
		}
	}
}

// behavior refuses a message that would ask the test agent for what it cannot do.
func (l *loader) behavior(where string, params map[string]any) {
	path, _ := match.ParsePath("message.parts[0].text")
	text, _ := path.One(params).(string)
	word, _, _ := strings.Cut(text, " ")
	if strings.HasPrefix(word, "tck-") && !slices.Contains(l.known.Behaviors, word) {
		l.add(where, "the test agent does not know %q", word)
	}
}

// expectations are what steps with an answer have in common.
func (l *loader) expectations(o *object, s *Step) {
	if v, ok := o.get("expect"); ok {
		s.Expect = l.expect(l.object(o.path("expect"), v))
	}
	if v, ok := o.get("expect_error"); ok {
		s.Error = l.expectError(l.object(o.path("expect_error"), v))
	}
	if v, ok := o.get("expect_stream"); ok {
		s.Stream = l.expectStream(l.object(o.path("expect_stream"), v))
	}
	if s.Error != nil && (s.Expect != nil || s.Stream != nil) {
		l.add(o.where, "expect_error stands beside another expectation")
	}
	// The files have it in raw steps, for the status of the answer.
	if s.Stream != nil && s.Expect != nil && (s.Expect.Body != nil || s.Expect.WantsError()) {
		l.add(o.where, "expect of a stream can only be about its status")
	}
	paths, names := o.textMap("capture")
	for _, name := range names {
		path, err := match.ParsePath(paths[name])
		if err != nil {
			l.add(o.path("capture"), "%w", err)
		}
		s.Capture = append(s.Capture, Capture{name, path})
	}
	if len(names) > 0 && s.Streams() {
		l.add(o.where, "capture: it is not said of which event of a stream")
	}
}

func (l *loader) raw(o *object) *Raw {
	in := l.object(o.path("raw"), o.need("raw"))
	in.need("method")
	r := &Raw{Method: in.choice("method", "GET", "POST", "PUT", "DELETE"), Path: in.needText("path")}
	r.Headers, _ = in.textMap("headers")
	r.Body, _ = in.get("body")
	if v, ok := in.get("body_raw"); ok {
		text, isText := v.(string)
		if !isText || r.Body != nil {
			l.add(in.where, "body_raw must be a text, and alone")
		}
		r.Text = &text
	}
	in.done()
	return r
}

func (l *loader) client(o *object) *Client {
	in := l.object(o.path("client_response"), o.need("client_response"))
	name := in.needText("operation")
	c := &Client{Operation: operations(name), Payload: in.need("wire_payload")}
	if c.Operation == "" {
		l.add(in.where, "there is no operation %q", name)
	}
	in.done()
	o.need("expect_parsed")
	c.Parsed = o.assertion("expect_parsed")
	return c
}

// expect reads the standard form, and two that only the test files have: the
// body's members without a body around them, and error.
func (l *loader) expect(o *object) *Expect {
	e := &Expect{Body: o.assertion("body"), Failure: o.assertion("error")}
	if v, ok := o.get("status"); ok {
		if e.AnyError = v == "error"; !e.AnyError {
			e.Status = o.compile("status", v)
		}
	}
	bare := map[string]any{}
	for _, key := range []string{"task", "message"} {
		if v, ok := o.get(key); ok {
			bare[key] = v
		}
	}
	if len(bare) > 0 {
		if e.Body != nil {
			l.add(o.where, "task and message stand beside body")
		}
		e.Body = o.compile("task", bare)
	}
	if e.WantsError() && e.Body != nil {
		l.add(o.where, "wants both an error and a body")
	}
	o.done()
	return e
}

// expectError reads error_type and details, and code and data, which the test
// files use in their place.
func (l *loader) expectError(o *object) *ExpectError {
	e := &ExpectError{Message: o.assertion("message")}
	for _, key := range []string{"error_type", "code"} {
		v, ok := o.get(key)
		if !ok {
			continue
		}
		if e.Name != nil {
			l.add(o.where, "has both error_type and code")
		}
		l.errorNames(o.path(key), v)
		e.Name = o.compile(key, v)
	}
	for _, key := range []string{"details", "data"} {
		if a := o.assertion(key); a != nil {
			if e.Details != nil {
				l.add(o.where, "has both details and data")
			}
			e.Details = a
		}
	}
	o.done()
	return e
}

// errorNames refuses names that no error has, which would make a test that
// cannot pass, or one that cannot fail.
func (l *loader) errorNames(where string, v any) {
	names := []any{v}
	if m, ok := v.(map[string]any); ok {
		names, ok = m["one_of"].([]any)
		if !ok || len(m) != 1 {
			l.add(where, "want a name or one_of names, got %s", match.Show(v))
		}
	}
	for _, name := range names {
		if s, ok := name.(string); !ok || !slices.Contains(l.known.Errors, s) {
			l.add(where, "A2A has no error %s", match.Show(name))
		}
	}
}

func (l *loader) expectStream(o *object) *ExpectStream {
	e := &ExpectStream{
		MinCount: o.number("min_count", 0), MaxCount: o.number("max_count", -1),
		Timeout:   milliseconds(o, "timeout_ms", 0),
		Monotonic: o.choice("ordering", "monotonic_state") != "",
		Final:     o.assertion("final_event"), Each: o.assertion("each_event"),
	}
	for i, v := range o.list("events") {
		e.Events = append(e.Events, l.event(l.object(fmt.Sprintf("%s: events[%d]", o.where, i), v), i))
	}
	o.done()
	return e
}

func (l *loader) event(o *object, place int) Event {
	e := Event{Description: o.text("description"), Index: o.number("index", place)}
	e.Anywhere = o.choice("match", "exact_position", "any_position") == "any_position"
	if _, ok := o.m["index"]; ok && e.Anywhere {
		l.add(o.where, "has an index and any_position")
	}
	rest := o.rest()
	if len(rest) == 0 {
		l.add(o.where, "says nothing about the event")
	}
	e.Match = o.compile("event", rest)
	return e
}

func (l *loader) repeat(o *object) *Repeat {
	r := &Repeat{Max: o.number("max_attempts", 10), Delay: milliseconds(o, "delay_ms", 1000)}
	r.Backoff = o.choice("backoff", "none", "linear", "exponential")
	until, err := match.ParseUntil(o.needText("until"))
	if err != nil {
		l.add(o.where, "%w", err)
	}
	r.Until = until
	o.done()
	return r
}

func milliseconds(o *object, key string, other int) time.Duration {
	return time.Duration(o.number(key, other)) * time.Millisecond
}

func (l *loader) named(o *object, key string, steps []string) (out []Named) {
	for i, v := range o.list(key) {
		in := l.object(fmt.Sprintf("%s: %s[%d]", o.where, key, i), v)
		in.text("id")
		in.text("description")
		n := l.one(in, steps)
		n.Match = in.assertion("match")
		var err error
		if n.Path, err = match.ParsePath(in.text("path")); err != nil {
			l.add(in.where, "%w", err)
		}
		if n.Match == nil && len(n.Quantified) == 0 {
			l.add(in.where, "asserts nothing")
		}
		in.done()
		out = append(out, n)
	}
	return out
}

// one reads what an inline assertion and a named one have in common.
func (l *loader) one(o *object, steps []string) Named {
	n := Named{Source: o.needText("source"), Quantified: map[match.Quantifier]*match.Collection{}}
	n.Source = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(n.Source, "{{"), "}}"))
	if step, _, _ := strings.Cut(n.Source, "."); !slices.Contains(steps, step) {
		l.add(o.where, "source: there is no step %q up to here", step)
	}
	for _, q := range []match.Quantifier{match.Any, match.All, match.None} {
		v, ok := o.get(string(q))
		if !ok {
			continue
		}
		in := l.object(o.path(string(q)), v)
		path, err := match.ParsePath(in.needText("path"))
		if err != nil {
			l.add(in.where, "%w", err)
		}
		in.need("match")
		n.Quantified[q] = &match.Collection{Path: path, Match: in.assertion("match")}
		in.done()
	}
	return n
}
