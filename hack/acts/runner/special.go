// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"fmt"
	"mime"
	"slices"
	"strings"

	"github.com/errand-a2a/errand/hack/acts/format"
	"github.com/errand-a2a/errand/hack/acts/wire"
)

// special is what a test asks of the runner in words and not in data.
type special struct {
	// params changes the parameters of each operation.
	params func(map[string]any)
	// after is checked when the steps have passed; instead replaces them.
	after, instead func(context.Context, *execution) error
}

// asking are the tags of tests that ask for more than their data says.
func asking() []string {
	return []string{"runner-special", "schema-validation", "grpc-status-verification"}
}

// Check refuses tests that ask the runner for something that it does not do, so
// that they do not pass unchecked.
func Check(tests []*format.Test) error {
	for _, t := range tests {
		_, done := specials()[t.ID]
		if _, skipped := skips()[t.ID]; done || skipped {
			continue
		}
		for _, tag := range asking() {
			if slices.Contains(t.Tags, tag) {
				return fmt.Errorf("%s: %s: the test asks for a check by its tag %s, and the runner has none", t.File, t.ID, tag)
			}
		}
	}
	return nil
}

func specials() map[string]special {
	return map[string]special{
		"CARD-CACHE-001":   {after: cacheHeaders},
		"CARD-SCHEMA-001":  {after: schema("step-1", "AgentCard")},
		"DM-SERIAL-002":    {after: schema("send", "SendMessageResponse")},
		"DM-FMT-001":       {after: camelCase("send-raw")},
		"REST-CT-001":      {after: contentType("send", "application/a2a+json")},
		"JSONRPC-CT-001":   {after: contentType("send-raw", "application/json")},
		"GRPC-STATUS-001":  {after: statusNotFound},
		"CORE-CTX-001":     {params: refusedContext},
		"CLIENT-CAP-001":   {after: checkCapabilities},
		"STREAM-MULTI-001": {instead: sameEvents},
		"STREAM-MULTI-002": {instead: closeOne},
		"STREAM-RESUB-001": {instead: resubscribe},
	}
}

const (
	needsCredentials = "needs authentication, which this release does not have"
	needsWebhook     = "needs delivered webhooks, and the runner receives none"
)

// skips are tests that cannot be run whatever the agent card says.
func skips() map[string]string {
	return map[string]string{
		"CORE-ERR-009":    needsCredentials,
		"SEC-AUTH-001":    needsCredentials,
		"SEC-AUTH-002":    needsCredentials,
		"SEC-AUTH-003":    needsCredentials,
		"SEC-AUTH-004":    needsCredentials,
		"SEC-AUTH-006":    needsCredentials,
		"SEC-EXTCARD-001": needsCredentials,
		"SEC-EXTCARD-002": needsCredentials,
		"SEC-EXTCARD-004": needsCredentials,
		"SEC-PUSH-001":    needsWebhook,
		"SEC-PUSH-002":    needsWebhook,
		"PUSH-DELIV-001":  needsWebhook,
		"PUSH-DELIV-002":  needsWebhook,
		"PUSH-DELIV-003":  needsWebhook,
		"CLIENT-AUTH-001": "Errand's client fetches no extended agent card, so there is nothing that would replace the public one",
	}
}

// Amendments are changes to what a test sends.
const (
	// AddMessageID gives messages in raw requests the id that they lack.
	AddMessageID = "messageId"
)

func amendBody(amend string, body any) {
	envelope, _ := body.(map[string]any)
	params, _ := envelope["params"].(map[string]any)
	message, ok := params["message"].(map[string]any)
	if amend == AddMessageID && ok {
		if _, has := message["messageId"]; !has {
			message["messageId"] = "acts-amended"
		}
	}
}

func cacheHeaders(_ context.Context, x *execution) error {
	h := x.answers["step-1"].header
	if !strings.Contains(h.Get("Cache-Control"), "max-age=") && h.Get("ETag") == "" {
		return fmt.Errorf("the card has neither Cache-Control with max-age nor ETag: %q, %q", h.Get("Cache-Control"), h.Get("ETag"))
	}
	return nil
}

func schema(step, typeName string) func(context.Context, *execution) error {
	return func(_ context.Context, x *execution) error {
		if err := wire.CheckSchema(typeName, x.answers[step].body); err != nil {
			return fmt.Errorf("%s: schema: %w", step, err)
		}
		return nil
	}
}

func contentType(step, want string) func(context.Context, *execution) error {
	return func(_ context.Context, x *execution) error {
		got := x.answers[step].header.Get("Content-Type")
		if t, _, err := mime.ParseMediaType(got); err != nil || t != want {
			return fmt.Errorf("%s: Content-Type is %q, want %s", step, got, want)
		}
		return nil
	}
}

func statusNotFound(_ context.Context, x *execution) error {
	if err := x.answers["get-missing"].err; err.Code != "NotFound" {
		return fmt.Errorf("the gRPC status is %v, want NOT_FOUND", err.Code)
	}
	return nil
}

// camelCase looks for names with underscores at any depth. What stands below
// metadata and data is not the protocol's.
func camelCase(step string) func(context.Context, *execution) error {
	return func(_ context.Context, x *execution) error {
		if name := snakeName(x.answers[step].body); name != "" {
			return fmt.Errorf("%s: the answer has a member %q", step, name)
		}
		return nil
	}
}

func snakeName(v any) string {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if name := snakeName(e); name != "" {
				return name
			}
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			if strings.Contains(k, "_") {
				return k
			}
			if k == "metadata" || k == "data" {
				continue
			}
			if name := snakeName(v[k]); name != "" {
				return name
			}
		}
	}
	return ""
}

// refusedContext is a context id that this server refuses, which the test asks
// for: ids become keys and are bounded.
func refusedContext(params map[string]any) {
	if message, ok := params["message"].(map[string]any); ok {
		message["contextId"] = strings.Repeat("client-generated-context-", 40)
	}
}
