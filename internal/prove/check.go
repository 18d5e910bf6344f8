// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Violation is a promise that did not hold.
type Violation struct {
	// Kind is one word: lost, gap, terminals, stuck, state, artifact, history,
	// fold, duplicate, list, stream, attempt, queue, store, race, error.
	Kind   string `json:"kind"`
	Task   string `json:"task"`
	Detail string `json:"detail"`
}

func (v Violation) String() string { return fmt.Sprintf("%s: task %s: %s", v.Kind, v.Task, v.Detail) }

// Report is what a check found.
type Report struct {
	Tasks      int
	Operations int
	Events     int
	Violations []Violation
}

// Count is how many violations there are of a kind.
func (r *Report) Count(kind string) int {
	n := 0
	for _, v := range r.Violations {
		if v.Kind == kind {
			n++
		}
	}
	return n
}

// Summary tells the figures in one line.
func (r *Report) Summary() string {
	lost, terminals, gaps, stuck := r.Count("lost"), r.Count("terminals"), r.Count("gap"), r.Count("stuck")
	wrong := len(r.Violations) - lost - terminals - gaps - stuck
	return fmt.Sprintf("%d tasks, %d acknowledged operations, %d events: %d lost, %d double terminals, %d gaps, %d stuck, %d wrong",
		r.Tasks, r.Operations, r.Events, lost, terminals, gaps, stuck, wrong)
}

// checkers is how many tasks are checked at a time.
const checkers = 8

// Checker compares a server with a ledger.
type Checker struct {
	client *Client
	// SettleTimeout bounds how long the server may take to finish what it has.
	SettleTimeout time.Duration
	// ReplayTimeout bounds how long the replay of one task may take.
	ReplayTimeout time.Duration

	mu      sync.Mutex
	report  Report
	answers Answers
}

// Answers are what GetTask said, a digest for each task.
type Answers map[string]digest

type digest [16]byte

func digestOf(task object) digest {
	sum := sha256.Sum256([]byte(canonical(task)))
	return digest(sum[:])
}

// NewChecker returns a checker of the server that client speaks to.
func NewChecker(client *Client) *Checker {
	return &Checker{client: client, SettleTimeout: time.Minute, ReplayTimeout: 10 * time.Second}
}

// Check waits until the server is settled and compares. An error means that it
// could not be checked; violations stand in the report.
func (c *Checker) Check(ctx context.Context, entries []Entry) (*Report, error) {
	return c.check(ctx, time.Time{}, func(yield func([]Entry, error) bool) { yield(entries, nil) })
}

// CheckLedgers compares with several ledgers, of which each holds whole
// stories and only one is in memory at a time. Tasks whose last status is older
// than since are not expected to stand in them; the zero time is of no task.
func (c *Checker) CheckLedgers(ctx context.Context, since time.Time, paths ...string) (*Report, error) {
	return c.check(ctx, since, readEach(paths))
}

func readEach(paths []string) iter.Seq2[[]Entry, error] {
	return func(yield func([]Entry, error) bool) {
		for _, path := range paths {
			if !yield(ReadLedger(path)) {
				return
			}
		}
	}
}

// Answers are what GetTask answered in the last check.
func (c *Checker) Answers() Answers { return c.answers }

func (c *Checker) check(ctx context.Context, since time.Time, ledgers iter.Seq2[[]Entry, error]) (*Report, error) {
	c.report, c.answers = Report{}, make(Answers)
	if err := c.settle(ctx); err != nil {
		return nil, err
	}
	listed, err := c.list(ctx, since)
	if err != nil {
		return nil, err
	}
	for entries, err := range ledgers {
		if err != nil {
			return nil, err
		}
		stories := tellStories(entries)
		checkKeys(entries, c.add)
		c.report.Operations += countOperations(entries)
		c.report.Tasks += len(stories)
		c.checkAll(ctx, stories, listed)
		for id := range stories {
			delete(listed, id)
		}
	}
	for id := range listed {
		c.add("duplicate", id, "the server has a task that no acknowledged message made")
	}
	slices.SortFunc(c.report.Violations, func(a, b Violation) int {
		return strings.Compare(a.Kind+a.Task, b.Kind+b.Task)
	})
	return &c.report, ctx.Err()
}

func countOperations(entries []Entry) int {
	n := 0
	for _, e := range entries {
		n += boolInt(e.Op != opStream && e.Op != opIntend)
	}
	return n
}

func (c *Checker) checkAll(ctx context.Context, stories map[string]*story, listed map[string]string) {
	ids := make(chan string)
	var wg sync.WaitGroup
	for range checkers {
		wg.Go(func() {
			for id := range ids {
				if err := c.checkTask(ctx, stories[id], listed[id]); err != nil {
					c.add("error", id, "%v", err)
				}
			}
		})
	}
	for _, id := range slices.Sorted(maps.Keys(stories)) {
		ids <- id
	}
	close(ids)
	wg.Wait()
}

func (c *Checker) add(kind, task, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Violations = append(c.report.Violations, Violation{kind, task, fmt.Sprintf(format, args...)})
}

// settle waits until nothing runs and nothing waits to run. Running out of
// time is no error: the tasks that are stuck are found one by one.
func (c *Checker) settle(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, c.SettleTimeout)
	defer cancel()
	for {
		busy := 0
		for _, state := range []string{stateSubmitted, stateWorking} {
			n, err := CountTasks(bounded, c.client, state)
			if err != nil && bounded.Err() == nil {
				return err
			}
			busy += n
		}
		if busy == 0 && bounded.Err() == nil {
			return nil
		}
		if wait(bounded, 100*time.Millisecond) != nil {
			return ctx.Err()
		}
	}
}

// CountTasks is how many tasks of a state the server lists.
func CountTasks(ctx context.Context, client *Client, state string) (int, error) {
	page, err := client.Call(ctx, "ListTasks", map[string]any{"status": state, "pageSize": 1}, nil)
	if err != nil {
		return 0, fmt.Errorf("count tasks: %w", err)
	}
	return page.number("totalSize"), nil
}

// list reads every page, checks the listing itself and returns the state of
// each task.
func (c *Checker) list(ctx context.Context, since time.Time) (map[string]string, error) {
	states := make(map[string]string)
	params := map[string]any{"pageSize": 100, "historyLength": 0}
	if !since.IsZero() {
		params["statusTimestampAfter"] = since.UTC().Format(time.RFC3339Nano)
	}
	last, total := "", -1
	for {
		page, err := c.client.Call(ctx, "ListTasks", params, nil)
		if err != nil {
			return nil, fmt.Errorf("list tasks: %w", err)
		}
		total = page.number("totalSize")
		for _, t := range page.list("tasks") {
			id, at := t.str("id"), t.at("status").str("timestamp")
			if _, known := states[id]; known {
				c.add("list", id, "is listed twice")
			}
			if last != "" && laterThan(at, last) {
				c.add("list", id, "is listed at %s after one of %s", at, last)
			}
			states[id], last = t.state(), at
		}
		token := page.str("nextPageToken")
		if token == "" {
			break
		}
		params["pageToken"] = token
	}
	if total != len(states) {
		c.add("list", "", "totalSize is %d, the pages hold %d", total, len(states))
	}
	return states, nil
}

// laterThan compares two timestamps; what cannot be read is later.
func laterThan(a, b string) bool {
	x, errA := time.Parse(time.RFC3339Nano, a)
	y, errB := time.Parse(time.RFC3339Nano, b)
	return errA != nil || errB != nil || x.After(y)
}

// checkTask compares one task with its story; listed is its state in the
// listing, "" where it is not listed.
func (c *Checker) checkTask(ctx context.Context, s *story, listed string) error {
	task, err := c.client.Call(ctx, "GetTask", map[string]any{"id": s.task}, nil)
	if codeOf(err) == codeTaskNotFound {
		c.add("lost", s.task, "%q was acknowledged and is not found", s.text)
		return nil
	}
	if err != nil {
		return err
	}
	if listed == "" {
		c.add("list", s.task, "%q is not listed", s.text)
	} else if listed != task.state() {
		c.add("list", s.task, "is listed as %s and is %s", listed, task.state())
	}
	if !settled(task.state()) {
		c.add("stuck", s.task, "%q is %s", s.text, task.state())
		return nil
	}
	frames, err := c.replay(ctx, s.task, task)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.report.Events += len(frames)
	c.answers[s.task] = digestOf(task)
	c.mu.Unlock()
	report := func(kind, format string, args ...any) { c.add(kind, s.task, format, args...) }
	checkLog(frames, s, report)
	checkFold(frames, task, report)
	checkStreams(frames, s, report)
	checkStory(frames, task, s, report)
	return nil
}

// replay reads the whole log of a task. That of a parked task goes on after
// the replay, so there it stops where the log says what GetTask said.
func (c *Checker) replay(ctx context.Context, id string, task object) ([]Frame, error) {
	bounded, cancel := context.WithTimeout(ctx, c.ReplayTimeout)
	defer cancel()
	var frames []Frame
	header := http.Header{lastEventIDHeader: {"0"}}
	parked := !terminal(task.state())
	err := c.client.Stream(bounded, "SubscribeToTask", map[string]any{"id": id}, header, func(f Frame) bool {
		frames = append(frames, f)
		return !parked || canonical(f.Event.at("statusUpdate", "status")) != canonical(task.at("status"))
	})
	switch {
	case err == nil:
		return frames, nil
	case bounded.Err() != nil && ctx.Err() == nil:
		c.add("stuck", id, "the replay showed %d events and did not end in %s", len(frames), c.ReplayTimeout)
		return frames, nil
	case errors.Is(err, errUnanswered):
		c.add("stream", id, "the replay broke after %d events: %v", len(frames), err)
		return frames, nil
	}
	return nil, fmt.Errorf("replay: %w", err)
}

// Log tells the log of a task, a line for each event: it is what one wants to
// read beside a violation.
func (c *Checker) Log(ctx context.Context, id string) string {
	ctx, cancel := context.WithTimeout(ctx, c.ReplayTimeout)
	defer cancel()
	var b strings.Builder
	header := http.Header{lastEventIDHeader: {"0"}}
	err := c.client.Stream(ctx, "SubscribeToTask", map[string]any{"id": id}, header, func(f Frame) bool {
		fmt.Fprintf(&b, "%d %.600s\n", f.ID, f.Raw)
		return !settled(eventState(f.Event))
	})
	if err != nil {
		fmt.Fprintf(&b, "%v\n", err)
	}
	return b.String()
}
