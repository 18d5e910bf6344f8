// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand"
)

// asker asks a server on a store over HTTP. The server does not run: it answers
// what is read, and leaves alone what waits.
type asker struct {
	e      *errand.Errand
	server *httptest.Server
	client *http.Client
	body   bytes.Buffer
}

func newAsker(ctx context.Context, path string) (*asker, error) {
	e, err := errand.New(ctx, errand.Options{Store: errand.SQLite(path), Logger: slog.New(slog.DiscardHandler)},
		errand.Agent{Card: costCard(), Executor: costAgent{}})
	if err != nil {
		return nil, err
	}
	a := &asker{e: e, server: httptest.NewServer(e)}
	a.client = a.server.Client()
	return a, nil
}

func (a *asker) close() error {
	a.server.Close()
	return a.e.Close()
}

// ask calls a method and wants a word in the answer.
func (a *asker) ask(ctx context.Context, method, params, want string) (err error) {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.server.URL+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("A2A-Version", "1.0")
	res, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	a.body.Reset()
	if _, err := io.Copy(&a.body, res.Body); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if !bytes.Contains(a.body.Bytes(), []byte(want)) {
		return fmt.Errorf("%s %s was answered %.300s", method, params, a.body.Bytes())
	}
	return nil
}

func httpProbes(s settings) []probe {
	list := func(name, more string) probe {
		return newProbe("HTTP: ListTasks, "+name+", with its total", s.each/4, 1, sameForAll, func(ctx context.Context, r *rig) error {
			return r.http.ask(ctx, "ListTasks", `{"pageSize":50`+more+`}`, `"totalSize":`)
		})
	}
	get := func(name string, table sizeTable, pick func(*world) uint64) probe {
		return newProbe("HTTP: GetTask, "+name, 2*s.each, 1, table, func(ctx context.Context, r *rig) error {
			i := pick(r.w)
			for r.w.scope(i) != r.w.scope(0) { // a tenant's, who would have to say so
				i = pick(r.w)
			}
			id := r.w.name(taskName, i)
			return r.http.ask(ctx, "GetTask", fmt.Sprintf(`{"id":%q}`, id), id)
		})
	}
	return []probe{
		get("one of the newest 5,000", sameForAll, (*world).newest),
		get("one of all finished", farApart, (*world).any),
		list("no filter", ""),
		list("by state", fmt.Sprintf(`,"status":%q`, a2a.TaskStateFailed)),
		newProbe("HTTP: ListTasks, one conversation, with its total", s.each/4, 1, sameForAll, func(ctx context.Context, r *rig) error {
			return r.http.ask(ctx, "ListTasks", fmt.Sprintf(`{"pageSize":50,"contextId":%q}`, r.w.conversation(r.w.newest)), `"totalSize":`)
		}),
	}
}

// conversation is an ordinary one, of a task that is picked.
func (w *world) conversation(pick func() uint64) string {
	for {
		if c := w.context(pick()); c != w.name(contextName, largeContext) {
			return c
		}
	}
}

// askAll alternates between servers on both stores.
func (z *sized) askAll(ctx context.Context, s settings) (err error) {
	for _, r := range []*rig{z.small, z.large} {
		if r.http, err = newAsker(ctx, r.w.path); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.http.close()) }()
	}
	return z.inTurns(ctx, httpProbes(s))
}
