// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// ErrUnknown is what a Resolver answers for a name that has no agent.
var ErrUnknown = errors.New("no agent of that name")

// Resolver finds an agent at run time, for the tenant that calls and the name
// that the call carries. It is asked for every call and every attempt and so
// keeps what is dear to make; it must answer on every replica, also after a
// restart, or else the turns of its agents fail after their attempts.
type Resolver func(ctx context.Context, tenant, name string) (Agent, error)

// Registry holds the agents of a node: a fixed set, and those that a Resolver
// finds behind it.
type Registry struct {
	byName  map[string]*Agent
	names   []string
	resolve Resolver
}

// NewRegistry checks the agents and fills in the defaults of their policies.
// resolve may be nil.
func NewRegistry(resolve Resolver, agents ...Agent) (*Registry, error) {
	r := &Registry{byName: make(map[string]*Agent, len(agents)), resolve: resolve}
	for _, a := range agents {
		if err := checkName(a.Name); err != nil {
			return nil, err
		}
		if _, dup := r.byName[a.Name]; dup {
			return nil, fmt.Errorf("agent %q is registered twice", a.Name)
		}
		p, err := prepare(a)
		if err != nil {
			return nil, err
		}
		r.byName[a.Name] = p
		r.names = append(r.names, a.Name)
	}
	if len(agents) == 0 && resolve == nil {
		return nil, errors.New("there is no agent")
	}
	slices.Sort(r.names)
	return r, nil
}

func prepare(a Agent) (*Agent, error) {
	if a.Card == nil {
		return nil, fmt.Errorf("agent %q has no card", a.Name)
	}
	if a.Executor == nil {
		return nil, fmt.Errorf("agent %q has no executor", a.Name)
	}
	a.Policy = a.Policy.WithDefaults()
	a.Card = announce(a.Card)
	return &a, nil
}

// Lookup finds an agent of the fixed set by its route; the default agent's
// route is empty.
func (r *Registry) Lookup(name string) (*Agent, bool) {
	a, ok := r.byName[name]
	return a, ok
}

// Find finds an agent of the fixed set, or asks the Resolver. The error is
// ErrUnknown, or what kept the Resolver from finding out.
func (r *Registry) Find(ctx context.Context, tenant, name string) (*Agent, error) {
	if a, ok := r.byName[name]; ok {
		return a, nil
	}
	if r.resolve == nil || name == "" || checkName(name) != nil {
		return nil, ErrUnknown
	}
	a, err := r.ask(ctx, tenant, name)
	if err != nil {
		return nil, fmt.Errorf("resolve agent %q: %w", name, err)
	}
	a.Name = name
	return prepare(a)
}

// ask makes an error of a Resolver's panic.
func (r *Registry) ask(ctx context.Context, tenant, name string) (a Agent, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return r.resolve(ctx, tenant, name)
}

// Names lists the routes of the fixed set in order.
func (r *Registry) Names() []string { return slices.Clone(r.names) }

// Resolves tells whether there may be agents beyond the fixed set.
func (r *Registry) Resolves() bool { return r.resolve != nil }

// Concurrency is how many executions of the agents of a name run here at a
// time. A name beyond the fixed set may stand for another agent in every
// tenant, so it has the default, whatever the policies of these agents say.
func (r *Registry) Concurrency(name string) int {
	if a, ok := r.byName[name]; ok {
		return a.Policy.Concurrency
	}
	if r.resolve == nil {
		return 0
	}
	return defaultConcurrency
}

func checkName(name string) error {
	if name == "" {
		return nil // the default agent
	}
	if err := task.CheckRoute(name); err != nil {
		return fmt.Errorf("agent %q: %w", name, err)
	}
	return nil
}

// Failing stands in for an agent that could not be found: each of its attempts
// fails with err, so that its turns end by the rules of retries.
func Failing(name string, err error) *Agent {
	return &Agent{Name: name, Card: &a2a.AgentCard{Name: name}, Executor: failing{err}, Policy: Policy{}.WithDefaults()}
}
