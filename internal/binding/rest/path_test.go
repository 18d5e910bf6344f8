// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

func TestPaths(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path string
		want target
	}{
		{"/message:send", target{resource: messageSend}},
		{"/message%3Asend", target{resource: messageSend}},
		{"/message:stream", target{resource: messageStream}},
		{"/message:sent", target{}},
		{"/message", target{}},
		{"/tasks", target{resource: taskList}},
		{"/extendedAgentCard", target{resource: extendedCard}},
		{"/tasks/t", target{resource: oneTask, task: "t"}},
		{"/tasks/tasks", target{resource: oneTask, task: "tasks"}},
		{"/tasks/t:cancel", target{resource: taskCancel, task: "t"}},
		{"/tasks/t:subscribe", target{resource: taskSubscribe, task: "t"}},
		{"/tasks/t:cancel:subscribe", target{resource: taskSubscribe, task: "t:cancel"}},
		{"/tasks/t:Cancel", target{resource: oneTask, task: "t:Cancel"}},
		{"/tasks/urn:uuid:1", target{resource: oneTask, task: "urn:uuid:1"}},
		{"/tasks/urn:uuid:1:cancel", target{resource: taskCancel, task: "urn:uuid:1"}},
		{"/tasks/t%3Acancel", target{resource: oneTask, task: "t:cancel"}},
		{"/tasks/t%3Acancel:cancel", target{resource: taskCancel, task: "t:cancel"}},
		{"/tasks/a%2Fb", target{resource: oneTask, task: "a/b"}},
		{"/tasks/a%2Fb:cancel", target{resource: taskCancel, task: "a/b"}},
		{"/tasks/%2F%2F", target{resource: oneTask, task: "//"}},
		{"/tasks/a%20b+c%25%3F", target{resource: oneTask, task: "a b+c%?"}},
		{"/tasks/%C3%A9", target{resource: oneTask, task: "é"}},
		{"/tasks/..", target{resource: oneTask, task: ".."}},
		{"/tasks/t/pushNotificationConfigs", target{resource: pushConfigs, task: "t"}},
		{"/tasks/t:cancel/pushNotificationConfigs", target{resource: pushConfigs, task: "t:cancel"}},
		{"/tasks/t/pushNotificationConfigs/c%2Fd", target{resource: onePushConfig, task: "t", config: "c/d"}},
		{"/tasks/t/other", target{}},
		{"/tasks/t/pushNotificationConfigs/c/d", target{}},
		{"/tasks/", target{}},
		{"/tasks/:cancel", target{}},
		{"/tasks//pushNotificationConfigs", target{}},
		{"//tasks", target{}},
		{"/tasks/t/", target{}},
		{"/", target{}},
		{"", target{}},
		{"tasks", target{}},
		{"/nothing", target{}},
		{"/a/b/c/d/e/f/g", target{}},

		{"/billing/message:send", target{resource: messageSend, tenant: "billing"}},
		{"/billing/tasks", target{resource: taskList, tenant: "billing"}},
		{"/b%2Fc/tasks/t:cancel", target{resource: taskCancel, tenant: "b/c", task: "t"}},
		{"/billing/tasks/t/pushNotificationConfigs/c", target{resource: onePushConfig, tenant: "billing", task: "t", config: "c"}},
		{"/billing/extendedAgentCard", target{resource: extendedCard, tenant: "billing"}},
		{"/billing/nothing", target{}},
		{"/billing/fraud/tasks", target{}},

		{"/v1/message:send", target{}},
		{"/agents/tasks", target{}},
		{"/admin/tasks", target{}},
		{"/console/tasks/t", target{}},
		{"/mcp/tasks", target{}},
		{"/metrics/tasks", target{}},
		{"/livez/tasks", target{}},
		{"/readyz/tasks", target{}},
		{"/extendedAgentCard/tasks", target{}},
		{"/.well-known/tasks", target{}},
		{"/%61dmin/tasks", target{}},
	} {
		got, err := parse(tt.path)
		if err != nil || got != tt.want {
			t.Errorf("parse(%q) = %+v, %v, want %+v", tt.path, got, err, tt.want)
		}
	}
}

func TestIdsThatAreNotTextAreRefused(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/tasks/%FF", "/tasks/%C3:cancel", "/tasks/%zz", "/tasks/t/pushNotificationConfigs/%FF", "/a/tasks/%FF"} {
		if _, err := parse(path); !errors.Is(err, a2a.ErrInvalidParams) {
			t.Errorf("parse(%q): %v", path, err)
		}
	}
}

// Whatever an id holds, its path leads back to it, and no path makes one up.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"t", "a/b", "a:cancel", "..", "%2F", "é ", "tasks", "message:send"} {
		f.Add(s, "/tasks/"+s)
	}
	f.Fuzz(func(t *testing.T, id, path string) {
		if got, err := parse(path); err == nil && got.resource != nothing {
			if (got.task == "") != (got.resource == messageSend || got.resource == messageStream || got.resource == taskList || got.resource == extendedCard) {
				t.Fatalf("parse(%q) = %+v", path, got)
			}
		}
		clean := strings.ToValidUTF8(id, "")
		if clean == "" {
			return
		}
		// A colon that is encoded belongs to the id.
		escaped := strings.ReplaceAll(url.PathEscape(clean), ":", "%3A")
		for _, tenant := range []string{"", "billing"} {
			prefix := ""
			if tenant != "" {
				prefix = "/" + tenant
			}
			for suffix, want := range map[string]target{
				"":                                    {resource: oneTask},
				":cancel":                             {resource: taskCancel},
				":subscribe":                          {resource: taskSubscribe},
				"/pushNotificationConfigs":            {resource: pushConfigs},
				"/pushNotificationConfigs/" + escaped: {resource: onePushConfig, config: clean},
			} {
				want.tenant, want.task = tenant, a2a.TaskID(clean)
				got, err := parse(prefix + "/tasks/" + escaped + suffix)
				if err != nil || got != want {
					t.Fatalf("parse(%q) = %+v, %v, want %+v", prefix+"/tasks/"+escaped+suffix, got, err, want)
				}
			}
		}
	})
}
