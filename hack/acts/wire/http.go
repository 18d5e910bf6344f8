// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/errand-a2a/errand/internal/sse"
)

// maxBody bounds an answer.
const maxBody = 16 << 20

const eventStream = "text/event-stream"

// exchange is one HTTP request.
type exchange struct {
	method, url string
	header      map[string]string
	body        []byte
}

// do sends a request. The caller closes the body of the answer.
func (x exchange) do(ctx context.Context, hc *http.Client) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, x.method, x.url, bytes.NewReader(x.body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	for k, v := range x.header {
		req.Header.Set(k, v)
	}
	resp, err := hc.Do(req)
	if err != nil {
		return nil, fmt.Errorf("send the request: %w", err)
	}
	return resp, nil
}

// read reads a whole answer.
func read(resp *http.Response) (*Response, error) {
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	r := &Response{Status: resp.StatusCode, Header: resp.Header}
	if err := json.Unmarshal(b, &r.Raw); err != nil {
		r.Raw = nil
	}
	return r, nil
}

func isEventStream(h http.Header) bool {
	t, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return t == eventStream
}

// events is a stream over server-sent events. unwrap finds the StreamResponse
// in a frame, or the error that ends the stream.
type events struct {
	status int
	body   io.Closer
	reader *sse.Reader
	cancel context.CancelFunc
	unwrap func(frame any) (any, error)
}

// openEvents begins to read a stream, which lives as long as ctx or until it is
// closed.
func openEvents(resp *http.Response, cancel context.CancelFunc, unwrap func(any) (any, error)) *events {
	return &events{status: resp.StatusCode, body: resp.Body, reader: sse.NewReader(resp.Body, sse.Options{}), cancel: cancel, unwrap: unwrap}
}

func (s *events) Status() int { return s.status }

func (s *events) Close() {
	s.cancel()
	_ = s.body.Close()
}

func (s *events) Next() (Event, error) {
	ev, err := s.reader.Next()
	if err != nil {
		return Event{}, err
	}
	var e Event
	if err := json.Unmarshal(ev.Data, &e.Frame); err != nil {
		return e, fmt.Errorf("an event is no JSON: %w", err)
	}
	e.Body, err = s.unwrap(e.Frame)
	return e, err
}

// Raw sends a request as it is and returns a stream where one is answered.
func Raw(ctx context.Context, hc *http.Client, method, url string, header map[string]string, body []byte) (*Response, Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	resp, err := exchange{method, url, header, body}.do(ctx, hc)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	if isEventStream(resp.Header) {
		same := func(frame any) (any, error) { return frame, nil }
		return &Response{Status: resp.StatusCode, Header: resp.Header}, openEvents(resp, cancel, same), nil
	}
	defer cancel()
	r, err := read(resp)
	if err != nil {
		return nil, nil, err
	}
	r.Body = r.Raw
	return r, nil, nil
}

// getCard fetches the agent card, which every binding has at the same place
// (8.2).
func getCard(ctx context.Context, base string, o Options) (*Response, error) {
	x := exchange{method: http.MethodGet, url: base + CardPath, header: map[string]string{"A2A-Version": o.Version}}
	resp, err := x.do(ctx, o.HTTP)
	if err != nil {
		return nil, err
	}
	r, err := read(resp)
	if err != nil {
		return nil, err
	}
	r.Body = r.Raw
	if r.Status != http.StatusOK {
		return nil, fmt.Errorf("the agent card is answered with HTTP status %d", r.Status)
	}
	return r, nil
}

// CardPath is where an origin has its agent's card.
const CardPath = "/.well-known/agent-card.json"

// GetCard fetches the agent card of a server.
func GetCard(ctx context.Context, base string, o Options) (map[string]any, error) {
	r, err := getCard(ctx, base, o)
	if err != nil {
		return nil, err
	}
	card, ok := r.Body.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the agent card is no JSON object")
	}
	return card, nil
}
