// SPDX-License-Identifier: Apache-2.0

// Package agent is the registry: a name, a card, an executor and a policy.
package agent

import (
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/task"
)

// OnRetry says what becomes of the artifacts that a failed attempt touched.
type OnRetry string

const (
	// ResetArtifacts takes back what the failed attempt recorded (default).
	ResetArtifacts OnRetry = "reset"
	// KeepArtifacts leaves them: the agent goes on from its StoredTask.
	KeepArtifacts OnRetry = "keep"
)

// OnLost says what becomes of a turn whose worker died.
type OnLost string

const (
	// RetryLost runs it again, up to MaxLosses (default).
	RetryLost OnLost = "retry"
	// FailLost fails it: for agents whose effects must not repeat.
	FailLost OnLost = "fail"
)

// Unlimited as a limit of Policy.Retry never gives up.
const Unlimited = task.Unlimited

// Policy is how an agent's turns are run. Zero fields mean the defaults.
type Policy struct {
	Retry   task.Retry
	OnRetry OnRetry
	OnLost  OnLost
	// RetryFailed runs a turn again whose agent said FAILED; by default that
	// is the agent's verdict.
	RetryFailed bool
	// AttemptTimeout bounds one attempt; 0 means no bound.
	AttemptTimeout time.Duration
	// InactivityTimeout bounds the time between two events; 0 means no bound.
	InactivityTimeout time.Duration
	// CancelGrace is how long an executor's Cancel may take before the engine
	// writes CANCELED itself; default 10 s.
	CancelGrace time.Duration
	// Concurrency is how many executions of the agent one replica runs at a
	// time; default 64.
	Concurrency int
	// MessageIDKey makes the messageId the idempotency key of a message that
	// brings none.
	MessageIDKey bool
}

const defaultConcurrency = 64

// WithDefaults fills in what is not set.
func (p Policy) WithDefaults() Policy {
	p.Retry = p.Retry.WithDefaults()
	if p.OnRetry == "" {
		p.OnRetry = ResetArtifacts
	}
	if p.OnLost == "" {
		p.OnLost = RetryLost
	}
	if p.CancelGrace <= 0 {
		p.CancelGrace = 10 * time.Second
	}
	if p.Concurrency <= 0 {
		p.Concurrency = defaultConcurrency
	}
	return p
}

// Agent is one entry of the registry.
type Agent struct {
	// Name is the route; the default agent's is empty.
	Name     string
	Card     *a2a.AgentCard
	Executor a2asrv.AgentExecutor
	Policy   Policy
	// ExtendedCard makes the card for callers who have said who they are; nil:
	// there is none.
	ExtendedCard a2asrv.ExtendedAgentCardProducer
}
