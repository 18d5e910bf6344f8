// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/uuid"
)

// Options tune a Client. The zero value works.
type Options struct {
	// HTTP makes the requests; nil is http.DefaultTransport's way. Its Timeout
	// must be 0, for streams live long. Redirects are refused, whatever it says.
	HTTP *http.Client
	// Version is signalled as A2A-Version, "" means 1.0.
	Version string
	// Transports are preferred bindings, highest first, before the card's order.
	Transports []a2a.TransportProtocol
	// Params are service parameters, sent as headers.
	Params http.Header
	// Credentials are attached as the card declares.
	Credentials Credentials
	// MaxAnswer bounds one answer or event; 0 is 64 MiB and room for an envelope.
	MaxAnswer int
	// GiveUp is how long to go on without the agent's answering; 0 is 5 minutes.
	GiveUp time.Duration
	// Idle is the silence after which a stream that has sent keep-alives counts
	// as broken; 0 is one minute.
	Idle  time.Duration
	Hooks Hooks
}

// Hooks tell what happens to a connection. They are called on the caller's
// goroutine and may be nil.
type Hooks struct {
	// Reconnecting is called before each new attempt, with 1 for the first
	// after a success.
	Reconnecting func(err error, attempt int)
	// Resumed is called when a stream flows again, with the id of the last
	// event before the break, 0 where the agent does not number its events.
	Resumed func(after uint64)
}

// Client calls one interface of one agent. It is safe for concurrent use.
type Client struct {
	opts    Options
	http    *http.Client
	iface   *a2a.AgentInterface
	binding binding
	auth    authorizer
}

// New returns a client of the agent that card describes. It fails with an
// *InterfaceError where the card offers nothing this client speaks, and a
// *CardError where the interface's URL is unusable.
func New(card *Card, opts Options) (*Client, error) {
	iface, err := card.choose(opts.Transports)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(iface.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &CardError{Ref: card.Source, Invalid: true, Err: fmt.Errorf("interface URL %q is no http or https URL", iface.URL)}
	}
	opts.Version = cmp.Or(opts.Version, string(a2a.Version))
	opts.MaxAnswer = cmp.Or(opts.MaxAnswer, 65<<20)
	opts.GiveUp = cmp.Or(opts.GiveUp, 5*time.Minute)
	opts.Idle = cmp.Or(opts.Idle, time.Minute)
	c := &Client{opts: opts, iface: iface, auth: newAuthorizer(card, opts.Credentials)}
	c.http = &http.Client{CheckRedirect: noRedirect}
	if opts.HTTP != nil {
		c.http.Transport, c.http.Jar = opts.HTTP.Transport, opts.HTTP.Jar
	}
	if iface.ProtocolBinding == a2a.TransportProtocolHTTPJSON {
		base := strings.TrimSuffix(iface.URL, "/")
		if iface.Tenant != "" {
			base += "/" + url.PathEscape(iface.Tenant)
		}
		c.binding = rest{base: base}
	} else {
		c.binding = jsonrpc{url: iface.URL}
	}
	return c, nil
}

// noRedirect keeps credentials and messages from following a redirect to
// another host; a card names the right URL, so none is needed.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Interface is the interface that was chosen.
func (c *Client) Interface() a2a.AgentInterface { return *c.iface }

// SendOptions are the parts of a send that are no part of the message.
type SendOptions struct {
	// IdempotencyKey joins repeats of the same message; "" makes a new one.
	IdempotencyKey string
}

// Send sends a message and returns the agent's SendMessageResponse. Unless the
// request says ReturnImmediately the agent answers when the turn is over. A
// send whose connection breaks is repeated with the same key and message id.
func (c *Client) Send(ctx context.Context, req *a2a.SendMessageRequest, o SendOptions) (Reply, error) {
	raw, err := c.invoke(ctx, sendCall(c.prepare(req), cmp.Or(o.IdempotencyKey, uuid.NewString()), false))
	if err != nil {
		return Reply{}, err
	}
	r, err := parseReply(raw)
	if err != nil {
		return Reply{}, c.badAnswer(err)
	}
	return r, nil
}

// prepare copies the request with what the client adds. The message id is
// fixed here so that repeats carry the same one.
func (c *Client) prepare(req *a2a.SendMessageRequest) *a2a.SendMessageRequest {
	out := *req
	out.Tenant = c.iface.Tenant
	if out.Message != nil && out.Message.ID == "" {
		m := *out.Message
		m.ID = a2a.NewMessageID()
		out.Message = &m
	}
	return &out
}

// GetTask returns a task. historyLength nil leaves the choice to the agent.
func (c *Client) GetTask(ctx context.Context, id string, historyLength *int) (TaskReply, error) {
	raw, err := c.invoke(ctx, getCall(&a2a.GetTaskRequest{Tenant: c.iface.Tenant, ID: a2a.TaskID(id), HistoryLength: historyLength}))
	return c.taskReply(raw, err)
}

// CancelTask cancels a task and returns it as it then is.
func (c *Client) CancelTask(ctx context.Context, id string, metadata map[string]any) (TaskReply, error) {
	raw, err := c.invoke(ctx, cancelCall(&a2a.CancelTaskRequest{Tenant: c.iface.Tenant, ID: a2a.TaskID(id), Metadata: metadata}))
	return c.taskReply(raw, err)
}

func (c *Client) taskReply(raw []byte, err error) (TaskReply, error) {
	if err != nil {
		return TaskReply{}, err
	}
	t, err := parseTask(raw)
	if err != nil {
		return TaskReply{}, c.badAnswer(err)
	}
	return t, nil
}

// ListTasks returns one page of tasks.
func (c *Client) ListTasks(ctx context.Context, req a2a.ListTasksRequest) (ListReply, error) {
	req.Tenant = c.iface.Tenant
	raw, err := c.invoke(ctx, listCall(&req))
	if err != nil {
		return ListReply{}, err
	}
	r, err := parseList(raw)
	if err != nil {
		return ListReply{}, c.badAnswer(err)
	}
	return r, nil
}

func (c *Client) badAnswer(err error) error { return &AnswerError{URL: c.iface.URL, Err: err} }
