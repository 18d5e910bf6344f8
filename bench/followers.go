// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
)

// The audience: so many followers of one task of so many chunks.
const (
	followers      = 1000
	audienceChunks = 1000
	audiencePace   = 10 * time.Millisecond
)

// heard is one round: what all followers have read, and what it cost.
type heard struct {
	events   int64
	perEvent time.Duration // processor time of the server
	took     time.Duration // from the first follower to the end of the last stream
}

// audience is one binding on both servers.
type audience struct {
	binding    string
	ours, peer []heard
}

// follow reads one stream to its end and counts its events.
type follow func(ctx context.Context, id a2a.TaskID, events *atomic.Int64) error

// measureFollowers follows one task by many, on each server and binding.
func measureFollowers(ctx context.Context, s settings, say sayer) ([]audience, error) {
	start, err := errandStarter(ctx, s)
	if err != nil {
		return nil, err
	}
	fresh := func(ctx context.Context) (*process, error) {
		dir, err := os.MkdirTemp(s.dir, "store-")
		if err != nil {
			return nil, fmt.Errorf("make a store: %w", err)
		}
		return start(ctx, dir)
	}
	all := []audience{{binding: "JSON-RPC (SSE)"}, {binding: "gRPC"}}
	for round := range s.alternations {
		for i := range all {
			a := &all[i]
			peer, err := measureAudience(ctx, a.binding, startPeer)
			if err != nil {
				return nil, fmt.Errorf("a2a-go: %w", err)
			}
			ours, err := measureAudience(ctx, a.binding, fresh)
			if err != nil {
				return nil, fmt.Errorf("errand: %w", err)
			}
			a.peer, a.ours = append(a.peer, peer), append(a.ours, ours)
			say("followers by %s, round %d: a2a-go %s, errand %s", a.binding, round+1, peer, ours)
		}
	}
	return all, nil
}

// measureAudience runs the task without followers and with them.
func measureAudience(ctx context.Context, binding string, start func(context.Context) (*process, error)) (heard, error) {
	alone, err := attend(ctx, binding, start, 1) // one, to know when it has ended
	if err != nil {
		return heard{}, fmt.Errorf("alone: %w", err)
	}
	crowd, err := attend(ctx, binding, start, followers)
	if err != nil {
		return heard{}, err
	}
	crowd.perEvent = max(crowd.perEvent-alone.perEvent, 0) / time.Duration(crowd.events-alone.events)
	return crowd, nil
}

// attend lets n follow a task; perEvent is the processor time of the whole.
func attend(ctx context.Context, binding string, start func(context.Context) (*process, error), n int) (h heard, err error) {
	p, err := start(ctx)
	if err != nil {
		return h, err
	}
	defer func() {
		err = errors.Join(err, p.stop())
		h.perEvent = p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	}()
	id, err := begin(ctx, p.url)
	if err != nil {
		return h, err
	}
	read, end, err := reader(binding, p, n)
	if err != nil {
		return h, err
	}
	defer end()
	var events atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, n)
	began := time.Now()
	for i := range n {
		group.Go(func() { errs[i] = read(ctx, id, &events) })
	}
	group.Wait()
	h.took, h.events = time.Since(began), events.Load()
	if least := int64(n) * audienceChunks / 2; h.events < least {
		errs = append(errs, fmt.Errorf("%d events were read, less than %d: the followers came too late", h.events, least))
	}
	return h, errors.Join(errs...)
}

// begin starts the task and leaves it running.
func begin(ctx context.Context, url string) (a2a.TaskID, error) {
	client, err := a2aclient.NewFromEndpoints(ctx, []*a2a.AgentInterface{a2a.NewAgentInterface(url, a2a.TransportProtocolJSONRPC)})
	if err != nil {
		return "", fmt.Errorf("make a client: %w", err)
	}
	text := fmt.Sprintf("count to %d every %s", audienceChunks, audiencePace)
	res, err := client.SendMessage(ctx, &a2a.SendMessageRequest{
		Message: a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text)),
		Config:  &a2a.SendMessageConfig{ReturnImmediately: true},
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", text, err)
	}
	t, ok := res.(*a2a.Task)
	if !ok {
		return "", fmt.Errorf("%s was answered with %T", text, res)
	}
	return t.ID, nil
}

// reader reads streams without looking into the events, so that the client
// costs as little as may be.
func reader(binding string, p *process, n int) (read follow, end func(), err error) {
	if binding == "gRPC" {
		return grpcReader(p.grpc)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: n}
	client := &http.Client{Transport: transport}
	return func(ctx context.Context, id a2a.TaskID, events *atomic.Int64) error {
		return readSSE(ctx, client, p.url, id, events)
	}, transport.CloseIdleConnections, nil
}

func readSSE(ctx context.Context, client *http.Client, url string, id a2a.TaskID, events *atomic.Int64) error {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"SubscribeToTask","params":{"id":%q}}`, id)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("A2A-Version", "1.0")
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	defer res.Body.Close()
	lines := bufio.NewReaderSize(res.Body, 8<<10)
	for long := false; ; {
		line, more, err := lines.ReadLine()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read a stream: %w", err)
		case !long && bytes.HasPrefix(line, []byte("data:")):
			if bytes.Contains(line, []byte(`"error":{"code"`)) {
				return fmt.Errorf("the stream says %s", line)
			}
			events.Add(1)
		}
		long = more
	}
}

// String tells a round in a few words.
func (h heard) String() string {
	return fmt.Sprintf("%d events, %s each, %s in all", h.events, h.perEvent.Round(10*time.Nanosecond), h.took.Round(10*time.Millisecond))
}
