// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"

	"github.com/errand-a2a/errand"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
)

// forms are what tasks look like: a finished and a waiting one as the engine
// has stored them, to be stored again under other ids.
type forms struct {
	done, queued form
}

type form struct {
	head      store.Head
	message   []byte
	messageID string
	request   []byte
	log       []byte
	last      uint64
	snapshot  []byte
}

// renaming turns the ids of a form into those of a task; all are as long.
type renaming []rename

type rename struct{ from, to []byte }

func (w *world) renaming(i uint64, f *form) renaming {
	return f.renaming(w.name(taskName, i), w.context(i), w.name(messageName, i))
}

func (f *form) renaming(id, contextID, messageID string) renaming {
	return renaming{
		{[]byte(f.head.ID), []byte(id)},
		{[]byte(f.head.ContextID), []byte(contextID)},
		{[]byte(f.messageID), []byte(messageID)},
	}
}

// Replace returns a copy with the ids replaced, and the checksum at its end made
// right again if it has one.
func (r renaming) Replace(b []byte) []byte {
	sealed := b
	for _, x := range r {
		b = bytes.ReplaceAll(b, x.from, x.to)
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	if n := len(b) - 4; n > 0 && crc32.Checksum(sealed[:n], table) == binary.BigEndian.Uint32(sealed[n:]) {
		binary.BigEndian.PutUint32(b[n:], crc32.Checksum(b[:n], table))
	}
	return b
}

// learn lets the engine make one finished and one waiting task and reads them
// from the store.
func learn(ctx context.Context, dir string) (f *forms, err error) {
	for range 20 {
		// On a busy machine the events of the task do not come in one commit.
		if f, err = learnOnce(ctx, dir); err == nil || ctx.Err() != nil {
			break
		}
	}
	return f, err
}

func learnOnce(ctx context.Context, dir string) (*forms, error) {
	dir, err := os.MkdirTemp(dir, "forms-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "errand.db")
	done, queued, err := makeForms(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("make tasks to be copied: %w", err)
	}
	st, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	var f forms
	f.done, err = readForm(ctx, st, done)
	if err == nil {
		f.queued, err = readForm(ctx, st, queued)
	}
	return &f, errors.Join(err, st.Close())
}

func readForm(ctx context.Context, st store.Store, id a2a.TaskID) (f form, err error) {
	ref := task.Ref{ID: string(id)}
	stored, err := st.Load(ctx, ref)
	if err != nil {
		return f, fmt.Errorf("load a form: %w", err)
	}
	turns, err := st.Turns(ctx, ref, 0, 0)
	if err != nil {
		return f, fmt.Errorf("read the turn of a form: %w", err)
	}
	head, log, err := st.Read(ctx, ref, 0, math.MaxInt)
	if err != nil {
		return f, fmt.Errorf("read the log of a form: %w", err)
	}
	if len(turns) != 1 || len(log) != 1 {
		return f, fmt.Errorf("a form has %d turns and its log %d commits: %+v", len(turns), len(log), head)
	}
	f = form{head: head, message: turns[0].Message, messageID: turns[0].MessageID, request: turns[0].Request, log: log[0].Body, last: log[0].Last}
	if stored.Snapshot != nil {
		f.snapshot = stored.Snapshot.Body
	}
	return f, nil
}

// makeForms ends before the second task has begun: nothing runs but the first.
func makeForms(ctx context.Context, path string) (done, queued a2a.TaskID, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	e, err := errand.New(ctx, errand.Options{
		Store: errand.SQLite(path), Logger: slog.New(slog.DiscardHandler), ShutdownTimeout: time.Millisecond,
	}, errand.Agent{Card: costCard(), Executor: costAgent{}, Policy: errand.Policy{Concurrency: 1}})
	if err != nil {
		return "", "", err
	}
	running, stop := context.WithCancel(ctx)
	ended, served := make(chan error, 1), make(chan error, 1)
	go func() { ended <- e.Run(running) }()
	<-e.Started()
	r, w := io.Pipe()
	go func() { served <- serveUntil(running, e, w); w.Close() }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended, <-served, e.Close())
	}()
	var at string
	if _, err := fmt.Fscanf(r, readyLine+"%s\n", &at); err != nil {
		return "", "", fmt.Errorf("serve: %w", err)
	}
	send := func(text string, now bool) (a2a.TaskID, error) {
		client, err := a2aclient.NewFromEndpoints(ctx, []*a2a.AgentInterface{a2a.NewAgentInterface("http://"+at+"/", a2a.TransportProtocolJSONRPC)})
		if err != nil {
			return "", err
		}
		res, err := client.SendMessage(ctx, &a2a.SendMessageRequest{
			Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text)), Config: &a2a.SendMessageConfig{ReturnImmediately: now},
		})
		if err != nil {
			return "", err
		}
		t, ok := res.(*a2a.Task)
		if !ok {
			return "", fmt.Errorf("%q was answered with %T", text, res)
		}
		return t.ID, nil
	}
	if done, err = send("chunks 1 0s", false); err != nil {
		return "", "", err
	}
	if _, err = send("chunks 1 1h", true); err != nil {
		return "", "", err
	}
	queued, err = send("chunks 1 0s", true)
	return done, queued, err
}
