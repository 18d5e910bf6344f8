// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

const maxErrorBody = 64 << 10

// invoke makes a call that has one answer. It is repeated while the agent asks
// for that with Retry-After, and a send, which its key makes safe to repeat,
// also after a connection that broke.
func (c *Client) invoke(ctx context.Context, k call) (json.RawMessage, error) {
	p := patience{limit: c.opts.GiveUp}
	for {
		raw, err := c.once(ctx, k)
		if err == nil {
			return raw, nil
		}
		if !repeatable(err, k.key != "", p.tries > 0) {
			return nil, err
		}
		if err := c.pause(ctx, &p, err); err != nil {
			return nil, err
		}
	}
}

func (c *Client) once(ctx context.Context, k call) (json.RawMessage, error) {
	resp, err := c.open(ctx, k)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return c.readAnswer(ctx, resp)
}

func (c *Client) readAnswer(ctx context.Context, resp *http.Response) (json.RawMessage, error) {
	body, err := readBounded(resp.Body, int64(c.opts.MaxAnswer))
	if err != nil {
		return nil, c.bodyError(ctx, err)
	}
	raw, err := c.binding.answer(body)
	if err != nil {
		return nil, c.frameError(err)
	}
	return raw, nil
}

func (c *Client) bodyError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return contextError(ctx)
	case errors.Is(err, errTooLarge):
		return c.badAnswer(err)
	}
	return &UnreachableError{URL: c.iface.URL, Sent: true, Err: err}
}

// frameError leaves an agent's Error alone: what else a binding reports is an
// answer that nobody can read.
func (c *Client) frameError(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return c.badAnswer(err)
}

// open sends one request and returns the response if its status is 2xx. REST's
// subscription is a POST in the specification's text and a GET in its proto: an
// agent that refuses the one is asked with the other.
func (c *Client) open(ctx context.Context, k call) (*http.Response, error) {
	verb, target, body, err := c.binding.encode(k)
	if err != nil {
		return nil, err
	}
	resp, err := c.roundTrip(ctx, k, verb, target, body)
	if k.stream && body == nil && statusOf(err) == http.StatusMethodNotAllowed {
		return c.roundTrip(ctx, k, http.MethodGet, target, nil)
	}
	return resp, err
}

func (c *Client) roundTrip(ctx context.Context, k call, verb, target string, body []byte) (*http.Response, error) {
	var sent atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), verb, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	c.setHeaders(req, k, body != nil)
	c.auth.apply(req)
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, contextError(ctx)
		}
		return nil, &UnreachableError{URL: c.iface.URL, Sent: sent.Load(), Err: c.withoutSecrets(innerError(err))}
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, c.statusError(resp)
}

func (c *Client) setHeaders(req *http.Request, k call, hasBody bool) {
	for name, values := range c.opts.Params {
		for _, v := range values {
			req.Header.Add(name, v)
		}
	}
	req.Header.Set(a2a.SvcParamVersion, c.opts.Version)
	if hasBody {
		req.Header.Set("Content-Type", "application/json")
	}
	if k.stream {
		req.Header.Set("Accept", "text/event-stream, application/json;q=0.5")
	} else {
		req.Header.Set("Accept", "application/a2a+json, application/json")
	}
	if k.key != "" {
		req.Header.Set("Idempotency-Key", k.key)
	}
	if k.lastEventID != "" {
		req.Header.Set("Last-Event-ID", k.lastEventID)
	}
}

// withoutSecrets keeps a key that the card wants in the query out of messages.
func (c *Client) withoutSecrets(err error) error {
	if key := c.auth.creds.APIKey; key != "" && (strings.Contains(err.Error(), key) || strings.Contains(err.Error(), url.QueryEscape(key))) {
		return errors.New("the request failed (details withheld: they name a credential)")
	}
	return err
}

// statusError reads what an answer with a status other than 2xx says.
func (c *Client) statusError(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	wait := retryAfter(resp.Header.Get("Retry-After"))
	if err := decodeError(body, resp.StatusCode); err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.RetryAfter = wait
		}
		return err
	}
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		return &Error{Name: nameOfStatus(resp.StatusCode), Code: resp.StatusCode, HTTPStatus: resp.StatusCode, Message: "the agent answered " + resp.Status}
	}
	err := fmt.Errorf("status %s, which is no A2A answer", resp.Status)
	if loc := resp.Header.Get("Location"); loc != "" && resp.StatusCode/100 == 3 {
		err = fmt.Errorf("status %s: redirect to %s not followed", resp.Status, loc)
	}
	return &AnswerError{URL: c.iface.URL, HTTPStatus: resp.StatusCode, RetryAfter: wait, Err: err}
}

// retryAfter reads both forms of the header. An agent cannot make anybody wait
// longer than a minute with it.
func retryAfter(h string) time.Duration {
	var d time.Duration
	if secs, err := strconv.Atoi(h); err == nil {
		d = time.Duration(min(max(secs, 0), 60)) * time.Second
	} else if at, err := http.ParseTime(h); err == nil {
		d = time.Until(at)
	} else {
		return 0
	}
	return min(max(d, time.Millisecond), time.Minute)
}
