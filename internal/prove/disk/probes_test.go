// SPDX-License-Identifier: Apache-2.0

//go:build linux

package disk

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/errand-a2a/errand/internal/prove"
)

// probes are the messages that a test sends in each language, and the tasks
// that they have made, which stand in the ledger.
type probes struct {
	w    *workshop
	a    *asker
	next []probe
	made []string
}

func (w *workshop) probes() *probes {
	a := newAsker(w.server.Addr())
	w.t.Cleanup(a.close)
	return &probes{w: w, a: a, next: []probe{{"JSON-RPC", 0}, {"REST", 0}, {"gRPC", 0}}}
}

// send sends each probe once, and hands the answers that made no task to refused.
func (ps *probes) send(refused func(probe, reply) error) (tasks int, err error) {
	for i, p := range ps.next {
		r, err := ps.a.send(ps.w.t.Context(), p)
		if err != nil {
			return tasks, err
		}
		id, none := p.task(r)
		if none != nil {
			if err := refused(p, r); err != nil {
				return tasks, err
			}
			continue
		}
		tasks++
		ps.made = append(ps.made, id)
		ps.next[i].n++
		if err := ps.w.ledger.Append(prove.Entry{Op: "send", Task: id, Text: hello, Message: p.id(), Key: p.id()}); err != nil {
			return tasks, err
		}
	}
	return tasks, nil
}

// refused is nil when the server refuses in every language, as it should.
func (ps *probes) refused() error {
	n, err := ps.send(probe.unavailable)
	if err == nil && n > 0 {
		err = fmt.Errorf("%d of %d were accepted", n, len(ps.next))
	}
	return err
}

// accepted is nil when it accepts in every language.
func (ps *probes) accepted() error {
	_, err := ps.send(func(p probe, r reply) error {
		_, err := p.task(r)
		return err
	})
	return err
}

func (ps *probes) ready() error { return ps.a.ready(ps.w.t.Context()) }

func (ps *probes) notReady() error {
	if ps.ready() == nil {
		return errors.New("it is ready")
	}
	return nil
}

// readable is nil when everything that only reads works: a task, the list, and
// the replay of a task that has ended.
func (ps *probes) readable() error {
	ctx, id := ps.w.t.Context(), ps.made[0]
	for method, ask := range map[string][]string{
		"GetTask":         {fmt.Sprintf(`{"id":%q}`, id), "COMPLETED"},
		"ListTasks":       {`{"pageSize":50}`, `"totalSize"`},
		"SubscribeToTask": {fmt.Sprintf(`{"id":%q}`, id), "COMPLETED"},
	} {
		r, err := ps.a.rpc(ctx, method, ask[0], "Last-Event-ID", "0")
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		if r.status != 200 || !strings.Contains(r.body, ask[1]) {
			return fmt.Errorf("%s: %v", method, r)
		}
	}
	return nil
}

// ended is nil when the first task has ended.
func (ps *probes) ended() error {
	r, err := ps.a.rpc(ps.w.t.Context(), "GetTask", fmt.Sprintf(`{"id":%q}`, ps.made[0]))
	if err == nil && !strings.Contains(r.body, "COMPLETED") {
		err = fmt.Errorf("%v", r)
	}
	return err
}

// sendLong makes a task that goes on for a while.
func (ps *probes) sendLong(d time.Duration) (id string, err error) {
	const every = 50 * time.Millisecond
	text := fmt.Sprintf("count to %d every %s", d/every, every)
	r, err := ps.a.rpc(ps.w.t.Context(), "SendMessage", fmt.Sprintf(
		`{"message":{"messageId":"long","role":"ROLE_USER","parts":[{"text":%q}]},"configuration":{"returnImmediately":true}}`, text))
	if err != nil {
		return "", err
	}
	if id, err = (probe{language: "JSON-RPC"}).task(r); err != nil {
		return "", err
	}
	return id, ps.w.ledger.Append(prove.Entry{Op: "send", Task: id, Text: text, Message: "long"})
}

// onlyOneAttempt is nil when a task has ended, and in its first attempt.
func (ps *probes) onlyOneAttempt(id string) error {
	r, err := ps.a.rpc(ps.w.t.Context(), "SubscribeToTask", fmt.Sprintf(`{"id":%q}`, id), "Last-Event-ID", "0")
	switch {
	case err != nil:
		return err
	case !strings.Contains(r.body, "COMPLETED"):
		return fmt.Errorf("%s has not ended: %v", id, r)
	case strings.Contains(r.body, `"attempt":2`):
		return fmt.Errorf("%s was run again", id)
	}
	return nil
}
