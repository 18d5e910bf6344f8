// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/errand-a2a/errand/hack/acts/format"
	"github.com/errand-a2a/errand/hack/acts/match"
	"github.com/errand-a2a/errand/hack/acts/wire"
)

// execution is one run of a test.
type execution struct {
	runner  *Runner
	test    *format.Test
	binding string
	amend   string
	special special

	captured map[string]map[string]any // by step and name
	answers  map[string]*answer        // by step
}

// answer is what came back from a step.
type answer struct {
	status int
	header http.Header
	// body is what assertions are about: the A2A object, or the raw body.
	body   any
	err    *wire.Error
	events []wire.Event
}

func (x *execution) run(ctx context.Context) error {
	if x.special.instead != nil {
		return x.special.instead(ctx, x)
	}
	for _, s := range x.test.Steps {
		if err := x.step(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.ID, err)
		}
	}
	if err := x.named(x.test.Assertions); err != nil {
		return err
	}
	if x.special.after != nil {
		return x.special.after(ctx, x)
	}
	return nil
}

func (x *execution) step(ctx context.Context, s *format.Step) error {
	if err := sleep(ctx, s.Delay); err != nil {
		return err
	}
	var err error
	switch {
	case s.Inline != nil:
		return x.namedOne(*s.Inline)
	case s.Client != nil:
		err = x.client(ctx, s)
	case s.Repeat != nil:
		err = x.repeat(ctx, s)
	default:
		err = x.once(ctx, s)
	}
	if err != nil {
		return err
	}
	return x.named(s.Assertions)
}

// repeat runs a step until its condition holds. What the step expects must hold
// every time.
func (x *execution) repeat(ctx context.Context, s *format.Step) error {
	delay := s.Repeat.Delay
	for n := 1; ; n++ {
		if err := x.once(ctx, s); err != nil {
			return err
		}
		if s.Repeat.Until.Holds(x.answers[s.ID].body) {
			return nil
		}
		if n >= s.Repeat.Max {
			return fmt.Errorf("%s: did not become true in %d attempts", s.Repeat.Until, n)
		}
		if err := sleep(ctx, delay); err != nil {
			return err
		}
		switch s.Repeat.Backoff {
		case "linear":
			delay += s.Repeat.Delay
		case "exponential":
			delay *= 2
		}
	}
}

// once sends a step's request and judges the answer.
func (x *execution) once(ctx context.Context, s *format.Step) error {
	var a *answer
	var err error
	switch {
	case s.Raw != nil:
		a, err = x.raw(ctx, s)
	case s.Streams():
		a, err = x.stream(ctx, s)
	default:
		a, err = x.call(ctx, s)
	}
	if err != nil {
		return err
	}
	x.answers[s.ID] = a
	if err := x.judge(s, a); err != nil {
		return err
	}
	return x.capture(s, a)
}

func (x *execution) call(ctx context.Context, s *format.Step) (*answer, error) {
	b, params, err := x.prepare(s)
	if err != nil {
		return nil, err
	}
	resp, err := b.Call(ctx, s.Operation, params)
	var failure *wire.Error
	if errors.As(err, &failure) {
		return &answer{status: failure.Status, err: failure, body: match.Missing{}}, nil
	}
	if err != nil {
		return nil, err
	}
	return &answer{status: resp.Status, header: resp.Header, body: resp.Body}, nil
}

// prepare finds the binding and fills in the parameters of an operation.
func (x *execution) prepare(s *format.Step) (wire.Binding, map[string]any, error) {
	b, ok := x.runner.bindings[x.binding]
	if !ok {
		return nil, nil, x.runner.broken[x.binding]
	}
	filled, err := x.fill(s.Params)
	if err != nil {
		return nil, nil, err
	}
	params, _ := filled.(map[string]any)
	params = wire.Request(s.Operation, params)
	if x.special.params != nil {
		x.special.params(params)
	}
	return b, params, nil
}

func (x *execution) raw(ctx context.Context, s *format.Step) (*answer, error) {
	body, err := x.rawBody(s.Raw)
	if err != nil {
		return nil, err
	}
	header := map[string]string{}
	for _, k := range sortedKeys(s.Raw.Headers) {
		if header[k], err = x.fillText(s.Raw.Headers[k]); err != nil {
			return nil, err
		}
	}
	path, err := x.fillText(s.Raw.Path)
	if err != nil {
		return nil, err
	}
	url := strings.TrimSuffix(x.runner.Base, "/") + path
	resp, events, err := wire.Raw(ctx, x.runner.HTTP, s.Raw.Method, url, header, body)
	if err != nil {
		return nil, err
	}
	a := &answer{status: resp.Status, header: resp.Header, body: resp.Body}
	if events != nil {
		return a, collect(ctx, events, a, s.Stream)
	}
	if s.Stream != nil {
		return nil, fmt.Errorf("want a stream of events, got HTTP status %d and %s", resp.Status, match.Show(resp.Raw))
	}
	if s.Error != nil || s.Expect.WantsError() {
		return a, x.rawError(a)
	}
	return a, nil
}

// rawError reads the error in a raw answer, if it is one.
func (x *execution) rawError(a *answer) error {
	m, _ := a.body.(map[string]any)
	failure, ok := m["error"]
	if !ok {
		return nil
	}
	var err error
	if x.binding == "jsonrpc" {
		err = wire.RPCError(a.status, failure)
	} else {
		err = wire.RESTError(a.status, a.body)
	}
	if errors.As(err, &a.err) {
		return nil
	}
	return err
}

func (x *execution) rawBody(r *format.Raw) ([]byte, error) {
	if r.Text != nil {
		text, err := x.fillText(*r.Text)
		return []byte(text), err
	}
	if r.Body == nil {
		return nil, nil
	}
	v, err := x.fill(r.Body)
	if err != nil {
		return nil, err
	}
	amendBody(x.amend, v)
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode the body: %w", err)
	}
	return b, nil
}

func (x *execution) capture(s *format.Step, a *answer) error {
	for _, c := range s.Capture {
		v := c.Path.One(a.body)
		if _, missing := v.(match.Missing); missing {
			return fmt.Errorf("capture %s: there is nothing at %s", c.Name, c.Path)
		}
		if x.captured[s.ID] == nil {
			x.captured[s.ID] = map[string]any{}
		}
		x.captured[s.ID][c.Name] = v
	}
	return nil
}

func (x *execution) named(list []format.Named) error {
	for _, n := range list {
		if err := x.namedOne(n); err != nil {
			return fmt.Errorf("%s: %w", n.Source, err)
		}
	}
	return nil
}

func (x *execution) namedOne(n format.Named) error {
	source, ok := x.lookup(n.Source)
	if !ok {
		return fmt.Errorf("there is no %s", n.Source)
	}
	v := n.Path.One(source)
	if n.Match != nil {
		if err := n.Match.Check(v, x.expand); err != nil {
			return err
		}
	}
	for _, q := range []match.Quantifier{match.Any, match.All, match.None} {
		if c := n.Quantified[q]; c != nil {
			if err := c.Check(q, v, x.expand); err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
