// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/agent"
)

// play is one task of an agent that goes on as long as somebody has still to
// subscribe.
type play struct {
	// begin lets one subscriber begin: a token comes right after an event was
	// given away, so while it commits. late comes right after the last one.
	begin, late chan struct{}
	// opened is told by each who began.
	opened chan struct{}
	// seen is how far one who follows has come; the agent is never more than
	// ahead in front, so that commits are small.
	seen  chan int
	ahead int
	// last is the last number.
	last chan int
}

func newPlay(early, late int) *play {
	return &play{
		begin: make(chan struct{}, early), late: make(chan struct{}, late), opened: make(chan struct{}, early),
		seen: make(chan int, 1), ahead: 1 + rand.IntN(32), last: make(chan int, 1),
	}
}

// see says how far one who follows has come. Only the newest counts.
func (p *play) see(n int) {
	select {
	case <-p.seen:
	default:
	}
	p.seen <- n
}

// stage is the agent: its message names a play.
type stage struct{ plays sync.Map }

var _ a2asrv.AgentExecutor = (*stage)(nil)

func (s *stage) entry() agent.Agent {
	return agent.Agent{Card: &a2a.AgentCard{Name: "stage", Capabilities: a2a.AgentCapabilities{Streaming: true}}, Executor: s}
}

// Execute implements a2asrv.AgentExecutor.
func (s *stage) Execute(ctx context.Context, ec *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		p, ok := s.plays.Load(ec.Message.Parts[0].Text())
		if !ok || agent.Attempt(ctx) > 1 {
			yield(nil, fmt.Errorf("attempt %d of %q", agent.Attempt(ctx), ec.Message.Parts[0].Text()))
			return
		}
		if err := p.(*play).run(ctx, ec, yield); err != nil {
			yield(nil, err)
		}
	}
}

// Cancel implements a2asrv.AgentExecutor.
func (s *stage) Cancel(context.Context, *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) { yield(nil, a2a.ErrTaskNotCancelable) }
}

// run counts. The first numbers and the last are there whether anybody
// subscribes or not.
func (p *play) run(ctx context.Context, ec *a2asrv.ExecutorContext, yield func(a2a.Event, error) bool) error {
	released, opened, seen := 0, 0, 0
	more := rand.IntN(4)
	for i := 1; ; i++ {
		e := a2a.NewArtifactUpdateEvent(ec, "numbers", a2a.NewTextPart(strconv.Itoa(i)))
		e.Append = i > 1
		if !yield(e, nil) {
			return nil
		}
		if released < cap(p.begin) && rand.IntN(2) == 0 {
			p.begin <- struct{}{}
			released++
		}
		for waiting := true; waiting; {
			select {
			case <-p.opened:
				opened++
			case seen = <-p.seen:
			default:
				waiting = false
			}
		}
		for i-seen > p.ahead {
			select {
			case seen = <-p.seen:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if opened == cap(p.opened) {
			if more--; more < 0 {
				p.last <- i
				break
			}
		}
	}
	for range cap(p.late) {
		p.late <- struct{}{}
	}
	yield(a2a.NewStatusUpdateEvent(ec, a2a.TaskStateCompleted, nil), nil)
	return nil
}
