// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/errand-a2a/errand/internal/prove"
)

// Dial opens a connection.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// HTTP is a door that speaks JSON-RPC or HTTP+JSON. Each stream has a
// connection of its own, so that a cut hits one.
type HTTP struct {
	base   string
	rest   bool
	client *http.Client
}

// NewHTTP is the door of the server at addr. dial may be nil.
func NewHTTP(addr string, rest bool, dial Dial) *HTTP {
	return &HTTP{base: "http://" + addr, rest: rest, client: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, DialContext: dial,
	}}}
}

// idleTimeout is longer than the silence between two keep-alives.
const idleTimeout = 40 * time.Second

// Send implements Door.
func (h *HTTP) Send(ctx context.Context, m Message, take func(Event) error) error {
	params := map[string]any{"message": map[string]any{
		"messageId": m.ID, "role": "ROLE_USER", "parts": []any{map[string]any{"text": m.Text}},
	}}
	return h.stream(ctx, "SendStreamingMessage", "/message:stream", params, http.Header{"Idempotency-Key": {m.Key}}, take)
}

// Subscribe implements Door.
func (h *HTTP) Subscribe(ctx context.Context, task string, after int, take func(Event) error) error {
	header := http.Header{}
	if after != Begin {
		header.Set("Last-Event-ID", strconv.Itoa(after))
	}
	params := map[string]any{"id": task}
	if h.rest {
		params = map[string]any{} // the path names the task
	}
	return h.stream(ctx, "SubscribeToTask", "/tasks/"+task+":subscribe", params, header, take)
}

// request makes the call in the form of the binding.
func (h *HTTP) request(ctx context.Context, method, path string, params any, header http.Header) (*http.Request, error) {
	body, url := params, h.base+path
	if !h.rest {
		body, url = map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, h.base+"/"
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", method, err)
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("A2A-Version", "1.0")
	return req, nil
}

func (h *HTTP) stream(ctx context.Context, method, path string, params any, header http.Header, take func(Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(idleTimeout, cancel)
	defer idle.Stop()
	req, err := h.request(ctx, method, path, params, header)
	if err != nil {
		return err
	}
	res, err := h.client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNoContent:
		return nil
	default:
		return refusal(res)
	}
	frames := prove.NewFrames(res.Body)
	for {
		id, data, err := frames.Next()
		idle.Reset(idleTimeout)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%w: %w", ErrBroken, err)
		case len(data) == 0:
			continue // a keep-alive
		}
		e, err := h.event(id, data)
		if err != nil {
			return err
		}
		if err := take(e); err != nil {
			return err
		}
	}
}

func refusal(res *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrBroken, err)
	case res.StatusCode == http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %s", ErrBroken, res.Status)
	case strings.Contains(string(text), reasonUnsupported):
		return ErrEnded
	}
	return fmt.Errorf("%w: %s: %s", ErrRefused, res.Status, text)
}

// How the bindings name the refusal to subscribe to a task that has ended.
const (
	reasonUnsupported = "UNSUPPORTED_OPERATION"
	codeUnsupported   = -32004
)

// event reads the data of a frame. The id must be the sequence that the event
// itself names.
func (h *HTTP) event(id string, data []byte) (Event, error) {
	if !h.rest {
		var answer struct {
			Result json.RawMessage
			Error  *struct{ Code int }
		}
		if err := json.Unmarshal(data, &answer); err != nil {
			return Event{}, fmt.Errorf("frame %.200q: %w", data, err)
		}
		switch e := answer.Error; {
		case e != nil && e.Code == codeUnsupported:
			return Event{}, ErrEnded
		case e != nil && strings.Contains(string(data), `"UNAVAILABLE"`):
			return Event{}, fmt.Errorf("%w: %s", ErrBroken, data)
		case e != nil:
			return Event{}, fmt.Errorf("%w: %s", ErrRefused, data)
		}
		data = answer.Result
	}
	e, err := ParseEvent(data)
	if err == nil && id != strconv.Itoa(e.Seq) {
		err = fmt.Errorf("the frame with the id %q holds the event %d", id, e.Seq)
	}
	return e, err
}
