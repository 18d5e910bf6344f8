// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Load drives a server with a mix of operations at a rate. Whatever the server
// acknowledges stands in the ledger before it counts; what stays unanswered is
// asked again, with the same key, until it is answered.
type Load struct {
	client *Client
	ledger *Ledger
	rate   int

	// OnViolation, where it is set, is told each violation when it is seen.
	OnViolation func(Violation)

	acked   atomic.Int64
	resumed atomic.Int64

	mu         sync.Mutex
	rand       *mrand.Rand
	moving     map[string]time.Time // when a followed task last showed a chunk
	violations []Violation
}

// inFlight bounds how many scripts run at a time: while the server is down
// they must not pile up without end.
const inFlight = 512

// NewLoad returns a load of rate operations a second. The seed fixes the
// order of the mix, not the timing.
func NewLoad(client *Client, ledger *Ledger, rate int, seed uint64) *Load {
	return &Load{
		client: client, ledger: ledger, rate: rate,
		rand:   mrand.New(mrand.NewPCG(seed, 1)),
		moving: make(map[string]time.Time),
	}
}

// Acked is how many operations were acknowledged.
func (l *Load) Acked() int { return int(l.acked.Load()) }

// Resumed is how many broken streams were taken up again.
func (l *Load) Resumed() int { return int(l.resumed.Load()) }

// Violations are the promises that broke while the load ran.
func (l *Load) Violations() []Violation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Violation(nil), l.violations...)
}

// Moving is how many tasks showed a chunk within the last span: attempts that
// run at this moment, as seen from outside.
func (l *Load) Moving(span time.Duration) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, at := range l.moving {
		if time.Since(at) < span {
			n++
		}
	}
	return n
}

// Run starts operations until stop is done and returns when every one that was
// started is answered, or when ctx ends.
func (l *Load) Run(ctx, stop context.Context) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	tokens := make(chan struct{}, l.rate) // a second's worth may be caught up
	begin, issued := time.Now(), 0
	slots := make(chan struct{}, inFlight)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-stop.Done():
			return l.drain(ctx, &wg, tokens)
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		// By the clock and not by the tick: a busy machine drops ticks.
		for due := int(time.Since(begin).Seconds() * float64(l.rate)); issued < due; issued++ {
			select {
			case tokens <- struct{}{}:
			default:
			}
		}
		l.launch(ctx, &wg, tokens, slots)
	}
}

// launch starts as many scripts as there are tokens and slots.
func (l *Load) launch(ctx context.Context, wg *sync.WaitGroup, tokens, slots chan struct{}) {
	for {
		select {
		case slots <- struct{}{}:
		default:
			return
		}
		select {
		case <-tokens:
		default:
			<-slots
			return
		}
		wg.Go(func() {
			defer func() { <-slots }()
			s := &script{load: l, tokens: tokens}
			if err := s.play(ctx); err != nil && ctx.Err() == nil {
				l.report("error", s.task, err.Error())
			}
		})
	}
}

// drain lets the scripts that run finish: no new ones start, and nobody waits
// for tokens any more.
func (l *Load) drain(ctx context.Context, wg *sync.WaitGroup, tokens chan struct{}) error {
	close(tokens)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		wg.Wait()
	}()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("operations were still unanswered: %w", ctx.Err())
	}
}

func (l *Load) report(kind, task, detail string) {
	v := Violation{Kind: kind, Task: task, Detail: detail}
	l.mu.Lock()
	l.violations = append(l.violations, v)
	l.mu.Unlock()
	if l.OnViolation != nil {
		l.OnViolation(v)
	}
}

func (l *Load) intn(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rand.IntN(n)
}

// between is a whole number from low to high.
func (l *Load) between(low, high int) int { return low + l.intn(high-low+1) }

func (l *Load) moved(task string, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ended {
		delete(l.moving, task)
		return
	}
	l.moving[task] = time.Now()
}

// intend writes what is about to be asked for. A prover that goes on with the
// ledger of one that was killed asks for it again, with the same key: so it
// learns what became of it, and no task is there that nobody knows of.
func (l *Load) intend(of string, m Message) error {
	return l.ledger.Note(Entry{Op: opIntend, Of: of, Task: m.Task, Text: m.Text, Message: m.ID, Key: m.Key})
}

// ack writes what was acknowledged and then counts it.
func (l *Load) ack(e Entry) error {
	if err := l.ledger.Append(e); err != nil {
		return err
	}
	l.acked.Add(1)
	return nil
}

// newID is a random id: of a message, and a key.
func newID() string {
	var b [12]byte
	rand.Read(b[:]) //nolint:errcheck // it never fails
	return hex.EncodeToString(b[:])
}
