// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// Codes of A2A over JSON-RPC that the machinery tells apart.
const (
	codeTaskNotFound   = -32001
	codeNotCancelable  = -32002
	codeUnsupported    = -32004
	codeInvalidParams  = -32602
	retryWhileDown     = 20 * time.Millisecond
	requestTimeout     = 30 * time.Second
	streamIdleTimeout  = 40 * time.Second // keep-alives come every 15 s
	idempotencyHeader  = "Idempotency-Key"
	lastEventIDHeader  = "Last-Event-ID"
	versionHeader      = "A2A-Version"
	protocolVersion    = "1.0"
	maxResponseBytes   = 128 << 20
	connectionsPerHost = 512
)

// Client calls a server over JSON-RPC and shows raw answers and raw frames.
type Client struct {
	url    string
	http   *http.Client
	lastID atomic.Int64
}

// NewClient returns a client of the JSON-RPC endpoint at url.
func NewClient(url string) *Client {
	transport := &http.Transport{
		MaxIdleConns:        connectionsPerHost,
		MaxIdleConnsPerHost: connectionsPerHost,
		DisableCompression:  true,
		// Not from the environment: a proxy between prover and server is
		// always one of ours.
		Proxy: nil,
	}
	return &Client{url: url, http: &http.Client{Transport: transport}}
}

// Close drops the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// RPCError is an answer of the server that is an error.
type RPCError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *RPCError) Error() string { return fmt.Sprintf("rpc error %d: %s", e.Code, e.Message) }

// codeOf is the code of an RPCError in err, 0 where there is none.
func codeOf(err error) int {
	var e *RPCError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// errUnanswered means that it is unknown whether the server did what it was
// asked: the connection broke, or the server said that it cannot now. Asking
// again with the same key is safe.
var errUnanswered = errors.New("no answer")

type envelope struct {
	Result json.RawMessage `json:"result"`
	Error  *RPCError       `json:"error"`
}

func (e *envelope) result() (json.RawMessage, error) {
	if e.Error != nil {
		return nil, e.Error
	}
	if len(e.Result) == 0 {
		return nil, errors.New("answer with neither result nor error")
	}
	return e.Result, nil
}

// Call makes one call and returns its result.
func (c *Client) Call(ctx context.Context, method string, params any, header http.Header) (object, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := c.post(ctx, method, params, header)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxResponseBytes))
	if err != nil {
		return nil, fmt.Errorf("%w: read: %w", errUnanswered, err)
	}
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fmt.Errorf("%s answered %.200q: %w", method, body, err)
	}
	result, err := e.result()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return parseObject(result)
}

// CallUntilAnswered asks until the server answers or ctx ends. It is for calls
// that may be repeated: those with a key, cancellations and reads.
func (c *Client) CallUntilAnswered(ctx context.Context, method string, params any, header http.Header) (object, error) {
	for {
		result, err := c.Call(ctx, method, params, header)
		if !errors.Is(err, errUnanswered) {
			return result, err
		}
		if ended := wait(ctx, retryWhileDown); ended != nil {
			return nil, fmt.Errorf("%s was never answered: %w (last: %v)", method, ended, err)
		}
	}
}

// post sends a request and returns the answer where it is a 200.
func (c *Client) post(ctx context.Context, method string, params any, header http.Header) (*http.Response, error) {
	body, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": c.lastID.Add(1), "method": method, "params": params,
	})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", method, err)
	}
	// One request is one request: with a body that can be read again and an
	// idempotency key, the transport would repeat it on its own where a connection
	// broke, and the prover would take the answer to a repeat for one to the first.
	req.GetBody = nil
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(versionHeader, protocolVersion)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnanswered, err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10)) // best effort: only for the error text
	if res.StatusCode == http.StatusServiceUnavailable {
		return nil, fmt.Errorf("%w: %s", errUnanswered, res.Status)
	}
	return nil, fmt.Errorf("%s answered %s: %s", method, res.Status, text)
}

// Frame is one event of a stream as it came.
type Frame struct {
	ID    int
	Raw   json.RawMessage
	Event object
}

// Stream makes a streaming call and hands over each frame until the stream
// ends, which is no error, breaks (errUnanswered), or handle returns false.
func (c *Client) Stream(ctx context.Context, method string, params any, header http.Header, handle func(Frame) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(streamIdleTimeout, cancel)
	defer idle.Stop()
	res, err := c.post(ctx, method, params, header)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	frames := newFrameReader(res.Body)
	for {
		raw, err := frames.next()
		idle.Reset(streamIdleTimeout)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%w: %w", errUnanswered, err)
		case len(raw.data) == 0:
			continue // a keep-alive
		}
		f, err := decodeFrame(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		if !handle(f) {
			return nil
		}
	}
}

func decodeFrame(raw rawFrame) (Frame, error) {
	var e envelope
	if err := json.Unmarshal(raw.data, &e); err != nil {
		return Frame{}, fmt.Errorf("frame %.200q: %w", raw.data, err)
	}
	result, err := e.result()
	if err != nil {
		return Frame{}, err
	}
	event, err := parseObject(result)
	if err != nil {
		return Frame{}, err
	}
	id, err := strconv.Atoi(raw.id)
	if err != nil {
		return Frame{}, fmt.Errorf("frame with the id %q, which is no sequence", raw.id)
	}
	return Frame{ID: id, Raw: result, Event: event}, nil
}
