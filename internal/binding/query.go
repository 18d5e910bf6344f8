// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"net/url"
	"strconv"
	"unicode/utf8"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// ParseQuery reads the request parameters of a URL, strictly.
func ParseQuery(raw string) (url.Values, error) {
	if raw == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, task.Invalid(a2a.ErrInvalidParams, "query", "the request parameters are not well-formed")
	}
	return values, nil
}

// param hands the value of one parameter to set, if it is there. The name may be
// in either spelling, but it must stand there once.
func param(q url.Values, name string, set func(value string) *flaw) error {
	value, found := "", 0
	for key, values := range q {
		if key == name || isSnake([]byte(key), name) {
			value = values[0]
			found += len(values)
		}
	}
	var f *flaw
	switch {
	case found == 0:
		return nil
	case found > 1:
		f = &flaw{"", "stands there twice"}
	case !utf8.ValidString(value):
		f = &flaw{"", "must be UTF-8"}
	default:
		f = set(value)
	}
	if f == nil {
		return nil
	}
	return f.under(name).invalid()
}

func textParam[T ~string](dst *T) func(string) *flaw {
	return func(s string) *flaw {
		*dst = T(s)
		return nil
	}
}

func intParam(set func(int) *flaw) func(string) *flaw {
	return func(s string) *flaw {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil || s[0] == '+' {
			return &flaw{"", notInt32}
		}
		return set(int(n))
	}
}

func boolParam(dst *bool) func(string) *flaw {
	return func(s string) *flaw {
		if s != "true" && s != "false" {
			return &flaw{"", "must be true or false"}
		}
		*dst = s == "true"
		return nil
	}
}

// TenantOf reads the tenant parameter, which every operation takes.
func TenantOf(q url.Values) (tenant string, err error) {
	return tenant, param(q, "tenant", textParam(&tenant))
}

// GetOf reads a GetTaskRequest from request parameters.
func GetOf(id a2a.TaskID, q url.Values) (*a2a.GetTaskRequest, error) {
	req := &a2a.GetTaskRequest{ID: id}
	return req, param(q, "historyLength", intParam(func(n int) *flaw { return setHistoryLength(n, &req.HistoryLength) }))
}

// ListOf reads a ListTasksRequest from request parameters.
func ListOf(q url.Values) (*a2a.ListTasksRequest, error) {
	req := &a2a.ListTasksRequest{}
	after := func(s string) *flaw { return parseTime(s, &req.StatusTimestampAfter) }
	for _, p := range []struct {
		name string
		set  func(string) *flaw
	}{
		{"contextId", textParam(&req.ContextID)},
		{"status", func(s string) *flaw { return parseState(s, &req.Status) }},
		{"pageSize", intParam(func(n int) *flaw { req.PageSize = n; return checkPageSize(n) })},
		{"pageToken", textParam(&req.PageToken)},
		{"historyLength", intParam(func(n int) *flaw { return setHistoryLength(n, &req.HistoryLength) })},
		// What a2a-go's REST client calls it up to v2.5.0: an older draft's name. As
		// an unknown parameter it would be ignored, and the filter with it.
		{"lastUpdatedAfter", after},
		{"statusTimestampAfter", after},
		{"includeArtifacts", boolParam(&req.IncludeArtifacts)},
	} {
		if err := param(q, p.name, p.set); err != nil {
			return nil, err
		}
	}
	return req, nil
}
