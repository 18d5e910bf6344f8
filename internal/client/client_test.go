// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/google/go-cmp/cmp"

	"github.com/errand-a2a/errand/internal/client"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	const good = `{"name":"n","supportedInterfaces":[{"url":"http://x","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],"big":12345678901234567890}`
	mux := http.NewServeMux()
	mux.HandleFunc(client.WellKnownPath, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("A2A-Version") != "1.0" || r.Header.Get("Authorization") != "" {
			http.Error(w, "bad headers", http.StatusBadRequest)
		}
		_, _ = fmt.Fprint(w, good)
	})
	mux.HandleFunc("/old.json", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"name":"n","url":"http://x","protocolVersion":"0.3.0"}`)
	})
	mux.HandleFunc("/huge.json", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, strings.Repeat(" ", 1<<20), good)
	})
	url := serve(t, mux)
	file := filepath.Join(t.TempDir(), "card.json")
	if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for name, ref := range map[string]string{
		"an origin": url, "a full URL": url + client.WellKnownPath, "a host": strings.TrimPrefix(url, "http://"),
		"a path": file, "a file URL": "file://" + file,
	} {
		t.Run(name+" leads to the card, byte for byte", func(t *testing.T) {
			t.Parallel()
			card, err := client.Resolve(t.Context(), hc, ref)
			if err != nil || string(card.Raw) != good || card.Name != "n" {
				t.Errorf("got %+v, %v", card, err)
			}
		})
	}
	for name, tc := range map[string]struct {
		ref     string
		invalid bool
	}{
		"a page that is missing is no card":           {url + "/nothing.json", false},
		"a file that is missing is no card":           {file + "x", false},
		"a card of A2A 0.3 is invalid":                {url + "/old.json", true},
		"a card larger than any card should be fails": {url + "/huge.json", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client.Resolve(t.Context(), hc, tc.ref)
			var ce *client.CardError
			if !errors.As(err, &ce) || ce.Invalid != tc.invalid {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("a host where nobody listens is unreachable", func(t *testing.T) {
		t.Parallel()
		_, err := client.Resolve(t.Context(), hc, "http://127.0.0.1:1")
		var u *client.UnreachableError
		if !errors.As(err, &u) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a deadline is told from a failure", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		_, err := client.Resolve(ctx, hc, url)
		var te *client.TimeoutError
		if !errors.As(err, &te) {
			t.Errorf("got %v", err)
		}
	})
}

func TestInterfaceChoice(t *testing.T) {
	t.Parallel()
	in := func(b a2a.TransportProtocol, v, url string) *a2a.AgentInterface {
		return &a2a.AgentInterface{ProtocolBinding: b, ProtocolVersion: a2a.ProtocolVersion(v), URL: url}
	}
	const rpc, rest, grpc = a2a.TransportProtocolJSONRPC, a2a.TransportProtocolHTTPJSON, a2a.TransportProtocolGRPC
	for name, tc := range map[string]struct {
		offered []*a2a.AgentInterface
		prefer  []a2a.TransportProtocol
		want    string
	}{
		"the first one of the card that is spoken wins":     {[]*a2a.AgentInterface{in(grpc, "1.0", "http://g"), in(rest, "1.0", "http://r"), in(rpc, "1.0", "http://j")}, nil, "http://r"},
		"a preference goes before the card":                 {[]*a2a.AgentInterface{in(rest, "1.0", "http://r"), in(rpc, "1.0", "http://j")}, []a2a.TransportProtocol{grpc, rpc}, "http://j"},
		"a preference the card lacks is skipped":            {[]*a2a.AgentInterface{in(rest, "1.0", "http://r")}, []a2a.TransportProtocol{rpc}, "http://r"},
		"an interface of another major version is not used": {[]*a2a.AgentInterface{in(rpc, "0.3.0", "http://old"), in(rpc, "1.1", "http://new")}, nil, "http://new"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := client.New(&client.Card{AgentCard: &a2a.AgentCard{SupportedInterfaces: tc.offered}}, client.Options{Transports: tc.prefer})
			if err != nil || c.Interface().URL != tc.want {
				t.Errorf("got %v, %v", c, err)
			}
		})
	}
	t.Run("a card with nothing for us says what it has", func(t *testing.T) {
		t.Parallel()
		_, err := client.New(&client.Card{AgentCard: &a2a.AgentCard{SupportedInterfaces: []*a2a.AgentInterface{in(rpc, "0.3", "http://old")}}}, client.Options{})
		var ie *client.InterfaceError
		if !errors.As(err, &ie) || !ie.Version || ie.Offered[0] != "JSONRPC 0.3" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an interface that is no HTTP URL is refused", func(t *testing.T) {
		t.Parallel()
		var ce *client.CardError
		if _, err := client.New(&client.Card{AgentCard: &a2a.AgentCard{SupportedInterfaces: []*a2a.AgentInterface{in(rpc, "1.0", "ftp://x")}}}, client.Options{}); !errors.As(err, &ce) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnswersAreKeptByteForByte(t *testing.T) {
	t.Parallel()
	for _, b := range bindings {
		t.Run("over "+string(b), func(t *testing.T) {
			t.Parallel()
			list := `{"tasks":[` + task("WORKING") + `],"nextPageToken":"n","pageSize":1,"totalSize":9007199254740993,"x":1.0}`
			c := newClient(t, cardFor(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				req := speak(b, r)
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprint(w, wrap(b, map[string]string{
					"SendMessage": taskEvent("COMPLETED"), "GetTask": task("WORKING"), "CancelTask": task("CANCELED"), "ListTasks": list,
				}[req.method]))
			})), b), client.Options{})
			ctx := t.Context()
			sent, err := c.Send(ctx, hello(), client.SendOptions{})
			if err != nil || string(sent.Raw) != taskEvent("COMPLETED") || sent.TaskID != "t1" || sent.ContextID != "c1" || sent.State != a2a.TaskStateCompleted {
				t.Errorf("send: %+v, %v", sent, err)
			}
			if ev, err := sent.Event(); err != nil || ev.TaskInfo().TaskID != "t1" {
				t.Errorf("the event: %v, %v", ev, err)
			}
			got, err := c.GetTask(ctx, "t1", nil)
			if err != nil || string(got.Raw) != task("WORKING") || string(got.Reply().Raw) != taskEvent("WORKING") {
				t.Errorf("get: %s, %v", got.Raw, err)
			}
			if canceled, err := c.CancelTask(ctx, "t1", nil); err != nil || canceled.State != a2a.TaskStateCanceled {
				t.Errorf("cancel: %+v, %v", canceled, err)
			}
			l, err := c.ListTasks(ctx, a2a.ListTasksRequest{})
			if err != nil || string(l.Raw) != list || string(l.Tasks[0]) != task("WORKING") || l.NextPageToken != "n" || l.TotalSize != 9007199254740993 {
				t.Errorf("list: %+v, %v", l, err)
			}
		})
	}
}

func TestRequestsCarryWhatTheyMust(t *testing.T) {
	t.Parallel()
	for _, b := range bindings {
		t.Run("over "+string(b), func(t *testing.T) {
			t.Parallel()
			var seen []string
			url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("A2A-Version") != "1.0" || r.Header.Get("X-Trace") != "7" {
					t.Errorf("headers: %v", r.Header)
				}
				req := speak(b, r)
				tenant := strings.Contains(string(req.params), `"tenant":"acme/1"`) || strings.HasPrefix(r.URL.EscapedPath(), "/acme%2F1/")
				seen = append(seen, fmt.Sprint(req.method, " tenant=", tenant, " key=", r.Header.Get("Idempotency-Key") != "", " ", r.URL.RawQuery))
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprint(w, wrap(b, `{"task":`+task("COMPLETED")+`,"id":"t1","tasks":[]}`))
			}))
			card := cardFor(url, b)
			card.SupportedInterfaces[0].Tenant = "acme/1"
			c := newClient(t, card, client.Options{Params: http.Header{"X-Trace": {"7"}}})
			two, since := 2, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			_, _ = c.Send(t.Context(), hello(), client.SendOptions{})
			_, _ = drain(c.Stream(t.Context(), hello(), client.SendOptions{}))
			_, _ = c.GetTask(t.Context(), "t/1", &two)
			_, _ = c.CancelTask(t.Context(), "t1", nil)
			_, _ = drain(c.Subscribe(t.Context(), "t1", 0))
			_, _ = c.ListTasks(t.Context(), a2a.ListTasksRequest{
				ContextID: "c", Status: a2a.TaskStateWorking, PageSize: 3, PageToken: "p", HistoryLength: &two, StatusTimestampAfter: &since, IncludeArtifacts: true,
			})
			get, list := "", ""
			if b == a2a.TransportProtocolHTTPJSON {
				get = "historyLength=2"
				list = "contextId=c&historyLength=2&includeArtifacts=true&pageSize=3&pageToken=p&status=TASK_STATE_WORKING&statusTimestampAfter=2026-01-02T03%3A04%3A05Z"
			}
			want := []string{
				"SendMessage tenant=true key=true ", "SendStreamingMessage tenant=true key=true ", "GetTask tenant=true key=false " + get,
				"CancelTask tenant=true key=false ", "SubscribeToTask tenant=true key=false ", "ListTasks tenant=true key=false " + list,
			}
			if diff := cmp.Diff(want, seen); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorsHaveOneNameOverBothBindings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, reason string
		code, status int
	}{
		{client.TaskNotFound, "TASK_NOT_FOUND", -32001, 404},
		{client.TaskNotCancelable, "TASK_NOT_CANCELABLE", -32002, 400},
		{client.PushNotificationNotSupported, "PUSH_NOTIFICATION_NOT_SUPPORTED", -32003, 400},
		{client.UnsupportedOperation, "UNSUPPORTED_OPERATION", -32004, 400},
		{client.ContentTypeNotSupported, "CONTENT_TYPE_NOT_SUPPORTED", -32005, 400},
		{client.InvalidAgentResponse, "INVALID_AGENT_RESPONSE", -32006, 500},
		{client.ExtendedAgentCardNotConfigured, "EXTENDED_AGENT_CARD_NOT_CONFIGURED", -32007, 400},
		{client.ExtensionSupportRequired, "EXTENSION_SUPPORT_REQUIRED", -32008, 400},
		{client.VersionNotSupported, "VERSION_NOT_SUPPORTED", -32009, 400},
		{client.JSONParse, "PARSE_ERROR", -32700, 400},
		{client.InvalidRequest, "INVALID_REQUEST", -32600, 400},
		{client.MethodNotFound, "METHOD_NOT_FOUND", -32601, 501},
		{client.InvalidParams, "INVALID_PARAMS", -32602, 400},
		{client.Internal, "INTERNAL_ERROR", -32603, 500},
	} {
		for _, b := range bindings {
			for _, reason := range []string{tc.reason, "A_REASON_OF_THE_FUTURE"} {
				if reason != tc.reason && b == a2a.TransportProtocolHTTPJSON {
					continue // a status alone does not tell most of them apart
				}
				t.Run(fmt.Sprintf("%s is known by %s over %s", tc.name, reason, b), func(t *testing.T) {
					t.Parallel()
					status := 200
					if b == a2a.TransportProtocolHTTPJSON {
						status = tc.status
					}
					s := &script{binding: b, steps: steps{answer(status, wrapError(b, tc.code, tc.status, reason))}}
					_, err := newClient(t, cardFor(serve(t, s), b), client.Options{}).GetTask(t.Context(), "t", nil)
					if !client.IsName(err, tc.name) {
						t.Errorf("got %v", err)
					}
				})
			}
		}
	}
	for name, tc := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"401 without a body is about authentication":   {401, "", client.Authentication},
		"403 is about authorization":                   {403, "go away", client.Authorization},
		"404 with a status body is about the task":     {404, `{"error":{"code":404,"status":"NOT_FOUND","message":"x"}}`, client.TaskNotFound},
		"the 1.0.0 status 409 is about cancellation":   {409, `{"error":{"code":409,"message":"x"}}`, client.TaskNotCancelable},
		"a foreign ErrorInfo does not decide":          {400, `{"error":{"code":400,"details":[{"reason":"TASK_NOT_FOUND","domain":"else.where"}]}}`, client.InvalidParams},
		"a page that is no A2A answer has no A2A name": {404, "404 page not found", ""},
		"a redirect is not followed":                   {307, "", ""},
		"an answer that is no JSON has no A2A name":    {200, "<html>", ""},
		"an answer of another shape has no A2A name":   {200, "[]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := a2a.TransportProtocolHTTPJSON
			_, err := newClient(t, cardFor(serve(t, &script{binding: b, steps: steps{answer(tc.status, tc.body)}}), b), client.Options{}).GetTask(t.Context(), "t", nil)
			var ae *client.AnswerError
			if tc.want == "" && !errors.As(err, &ae) || tc.want != "" && !client.IsName(err, tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestARedirectDoesNotTakeTheMessageAlong(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the message went elsewhere") }))
	agent := serve(t, http.RedirectHandler(elsewhere, http.StatusTemporaryRedirect))
	_, err := newClient(t, cardFor(agent, bindings[0]), client.Options{}).Send(t.Context(), hello(), client.SendOptions{})
	var ae *client.AnswerError
	if !errors.As(err, &ae) || !strings.Contains(err.Error(), elsewhere) {
		t.Errorf("got %v", err)
	}
}

func TestUnaryCallsAreRepeatedOnlyWhereThatIsSafe(t *testing.T) {
	t.Parallel()
	b := bindings[0]
	abort := func(http.ResponseWriter, request) { panic(http.ErrAbortHandler) }
	busy := func(w http.ResponseWriter, _ request) {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	done := answer(200, wrap(b, taskEvent("COMPLETED")))
	t.Run("a send whose connection breaks is repeated with the same key and message", func(t *testing.T) {
		t.Parallel()
		var keys []string
		note := func(next func(http.ResponseWriter, request)) func(http.ResponseWriter, request) {
			return func(w http.ResponseWriter, r request) {
				keys = append(keys, r.http.Header.Get("Idempotency-Key")+string(r.params))
				next(w, r)
			}
		}
		s := &script{binding: b, steps: steps{note(abort), note(busy), note(answer(504, "")), note(done)}}
		if _, err := newClient(t, cardFor(serve(t, s), b), client.Options{}).Send(t.Context(), hello(), client.SendOptions{}); err != nil {
			t.Error(err)
		}
		// net/http itself repeats a request with a key once on a used connection.
		if len(keys) < 4 || strings.Count(strings.Join(keys, "|"), keys[0]) != len(keys) {
			t.Errorf("requests: %q", keys)
		}
	})
	t.Run("a get is repeated only where the agent asks for it", func(t *testing.T) {
		t.Parallel()
		s := &script{binding: b, steps: steps{busy, answer(200, wrap(b, task("WORKING")))}}
		if _, err := newClient(t, cardFor(serve(t, s), b), client.Options{}).GetTask(t.Context(), "t1", nil); err != nil {
			t.Error(err)
		}
		s = &script{binding: b, steps: steps{abort, answer(200, wrap(b, task("WORKING")))}}
		_, err := newClient(t, cardFor(serve(t, s), b), client.Options{}).GetTask(t.Context(), "t1", nil)
		var u *client.UnreachableError
		if !errors.As(err, &u) || !u.Sent {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a deadline is a timeout", func(t *testing.T) {
		t.Parallel()
		s := &script{binding: b, steps: steps{func(_ http.ResponseWriter, r request) { <-r.http.Context().Done() }}}
		c := newClient(t, cardFor(serve(t, s), b), client.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		var te *client.TimeoutError
		if _, err := c.Send(ctx, hello(), client.SendOptions{}); !errors.As(err, &te) {
			t.Errorf("got %v", err)
		}
		if _, err := drain(c.Stream(ctx, hello(), client.SendOptions{})); !errors.As(err, &te) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	b := bindings[0]
	big := strings.Repeat(" ", 1000)
	c := func(step func(http.ResponseWriter, request)) *client.Client {
		return newClient(t, cardFor(serve(t, &script{binding: b, steps: steps{step}}), b), client.Options{MaxAnswer: 500})
	}
	var ae *client.AnswerError
	if _, err := c(answer(200, big+wrap(b, task("WORKING")))).GetTask(t.Context(), "t1", nil); !errors.As(err, &ae) {
		t.Errorf("answer: %v", err)
	}
	if _, err := drain(c(frames(b, false, nil, big+taskEvent("WORKING"))).Stream(t.Context(), hello(), client.SendOptions{})); !errors.As(err, &ae) {
		t.Errorf("event: %v", err)
	}
}

func TestCredentialsGoWhereTheCardSays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		scheme a2a.SecurityScheme
		want   string
	}{
		"without a scheme the key goes into X-API-Key": {nil, "X-API-Key=k"},
		"a header scheme names its header":             {a2a.APIKeySecurityScheme{Location: "header", Name: "X-Mine"}, "X-Mine=k"},
		"a query scheme names its parameter":           {a2a.APIKeySecurityScheme{Location: "query", Name: "key"}, "query key=k"},
		"a cookie scheme names its cookie":             {a2a.APIKeySecurityScheme{Location: "cookie", Name: "sid"}, "Cookie=sid=k"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			card := cardFor(serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = append(got, r.Header.Get("Authorization"))
				for _, h := range []string{"X-API-Key", "X-Mine", "Cookie"} {
					if v := r.Header.Get(h); v != "" {
						got = append(got, h+"="+v)
					}
				}
				if q := r.URL.RawQuery; q != "" {
					got = append(got, "query "+q)
				}
			})), bindings[0])
			if tc.scheme != nil {
				card.SecuritySchemes = a2a.NamedSecuritySchemes{"s": tc.scheme}
			}
			_, _ = newClient(t, card, client.Options{Credentials: client.Credentials{Bearer: "b", APIKey: "k"}}).GetTask(t.Context(), "t", nil)
			if diff := cmp.Diff([]string{"Bearer b", tc.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
