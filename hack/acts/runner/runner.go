// SPDX-License-Identifier: Apache-2.0

// Package runner runs ACTS tests against an agent, each over one binding.
package runner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/errand-a2a/errand/hack/acts/format"
	"github.com/errand-a2a/errand/hack/acts/match"
	"github.com/errand-a2a/errand/hack/acts/wire"
)

// Outcome is how a test went.
type Outcome string

// The outcomes.
const (
	Pass Outcome = "pass"
	Fail Outcome = "fail"
	Skip Outcome = "skip"
)

// ClientSide is the binding of tests about a client, which no agent takes part
// in.
const ClientSide = "client"

// Result is one test over one binding. Why is empty where it passed.
type Result struct {
	Test    *format.Test
	Binding string
	Outcome Outcome
	Why     string
}

// Runner is the agent under test and what it takes to reach it.
type Runner struct {
	Base    string // where the agent card is
	Card    map[string]any
	Version string
	HTTP    *http.Client
	Getenv  func(string) (string, bool)
	// Release lets the runs of the test agent go on that were told to wait.
	Release func(gate string)

	bindings map[string]wire.Binding
	broken   map[string]error // why there is no binding
}

// testTimeout bounds a test; the longest of the official ones polls for 30 s.
const testTimeout = 90 * time.Second

// Connect opens the bindings that the agent card lists. One that it does not
// list fails the tests over it, not the runner.
func (r *Runner) Connect() {
	r.bindings, r.broken = map[string]wire.Binding{}, map[string]error{}
	for _, name := range wire.Names() {
		address, err := r.address(name)
		if err == nil {
			r.bindings[name], err = wire.Dial(name, address, wire.Options{HTTP: r.HTTP, Version: r.Version})
		}
		if err != nil {
			r.broken[name] = err
		}
	}
}

// Close closes what Connect opened.
func (r *Runner) Close() error {
	var errs []error
	for _, b := range r.bindings {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}

func (r *Runner) address(binding string) (string, error) {
	list, _ := r.Card["supportedInterfaces"].([]any)
	for _, v := range list {
		m, _ := v.(map[string]any)
		address, _ := m["url"].(string)
		if m["protocolBinding"] == wire.CardName(binding) && m["protocolVersion"] == r.Version && address != "" {
			return address, nil
		}
	}
	return "", fmt.Errorf("the agent card lists no %s interface of version %s", wire.CardName(binding), r.Version)
}

// Bindings are those that a test runs over.
func Bindings(t *format.Test) []string {
	if isClientTest(t) {
		return []string{ClientSide}
	}
	var names []string
	for _, name := range wire.Names() {
		if len(t.Transport) == 0 || slices.Contains(t.Transport, name) {
			names = append(names, name)
		}
	}
	return names
}

func isClientTest(t *format.Test) bool {
	for _, s := range t.Steps {
		if s.Client == nil {
			return false
		}
	}
	return true
}

// RunAll runs tests, several at a time, and returns the results in the order of
// the tests. done is called for each as it ends, one at a time.
func (r *Runner) RunAll(ctx context.Context, tests []*format.Test, parallel int, done func(Result)) []Result {
	var results []Result
	for _, t := range tests {
		for _, b := range Bindings(t) {
			results = append(results, Result{Test: t, Binding: b})
		}
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, parallel)
	for i := range results {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			results[i] = r.Run(ctx, results[i].Test, results[i].Binding, "")
			mu.Lock()
			defer mu.Unlock()
			done(results[i])
		})
	}
	group.Wait()
	return results
}

// Run runs one test. Amend names a change to what the test sends; see Amendments.
func (r *Runner) Run(ctx context.Context, t *format.Test, binding, amend string) Result {
	res := Result{Test: t, Binding: binding, Outcome: Skip}
	if res.Why = r.skip(t, binding); res.Why != "" {
		return res
	}
	ctx, cancel := context.WithTimeoutCause(ctx, testTimeout, fmt.Errorf("the test took longer than %s", testTimeout))
	defer cancel()
	x := &execution{
		runner: r, test: t, binding: binding, amend: amend, special: specials()[t.ID],
		captured: map[string]map[string]any{}, answers: map[string]*answer{},
	}
	if err := x.run(ctx); err != nil {
		res.Outcome, res.Why = Fail, err.Error()
		return res
	}
	res.Outcome = Pass
	return res
}

// skip tells why a test does not apply, or returns "".
func (r *Runner) skip(t *format.Test, binding string) string {
	if why := skips()[t.ID]; why != "" {
		return why
	}
	if why := r.unmet(t.Preconditions); why != "" {
		return why
	}
	if len(t.Preconditions.Transport) > 0 && !slices.Contains(t.Preconditions.Transport, binding) {
		return "the test is not about this binding"
	}
	return ""
}

func (r *Runner) unmet(p format.Preconditions) string {
	capabilities, _ := r.Card["capabilities"].(map[string]any)
	for _, name := range sortedKeys(p.Capabilities) {
		got, ok := capabilities[name]
		if !ok {
			got = false // a capability that is not there is off
		}
		if want := p.Capabilities[name]; !match.Equal(want, got) {
			return fmt.Sprintf("precondition: the agent card does not say capabilities.%s: %v", name, want)
		}
	}
	for _, id := range p.Skills {
		if !listed(r.Card["skills"], "id", id) {
			return "precondition: the agent card has no skill " + id
		}
	}
	for _, uri := range p.Extensions {
		if !listed(capabilities["extensions"], "uri", uri) {
			return "precondition: the agent card has no extension " + uri
		}
	}
	return ""
}

func listed(list any, key, value string) bool {
	entries, _ := list.([]any)
	return slices.ContainsFunc(entries, func(v any) bool {
		m, _ := v.(map[string]any)
		return m[key] == value
	})
}
