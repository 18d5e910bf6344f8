// SPDX-License-Identifier: Apache-2.0

package binding_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/task"
)

// A cursor is a decimal number as the server writes it, and nothing else; a key
// is what Key promises; a list of extensions has each once and none empty.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{"", "0", "7", "18446744073709551615", "18446744073709551616", "-1", "+1", "0x1", "1 ", "007", "٣", "1_0"} {
		f.Add(s, s)
	}
	f.Add("a,b", " a ,,b,a")
	f.Fuzz(func(t *testing.T, value, second string) {
		h := http.Header{"Last-Event-Id": {value}, "Idempotency-Key": {value}, "A2a-Extensions": {value, second}}
		if c, err := binding.Cursor(h); err == nil && c != nil {
			if n, perr := strconv.ParseUint(strings.TrimLeft(value, "0"), 10, 64); *c != n && strings.Trim(value, "0") != "" || perr != nil && *c != 0 {
				t.Errorf("%q is the cursor %d", value, *c)
			}
		} else if err == nil && value != "" {
			t.Errorf("%q is no cursor and no error", value)
		} else if err != nil && !errors.Is(err, a2a.ErrInvalidParams) {
			t.Errorf("%q: %v", value, err)
		}
		if key, err := binding.Key(h); err == nil && (key != value || key == "" || len(key) > 255 || strings.ContainsAny(key, " \t\r\n\x00")) {
			t.Errorf("%q is the key %q", value, key)
		}
		seen := map[string]bool{}
		for _, uri := range binding.Extensions(h) {
			if uri == "" || seen[uri] || strings.Contains(uri, ",") || strings.TrimSpace(uri) != uri {
				t.Errorf("%q, %q has the extension %q", value, second, uri)
			}
			seen[uri] = true
		}
		if _, err := binding.Cursor(http.Header{"Last-Event-Id": {value, second}}); err == nil {
			t.Error("two cursors are one")
		}
	})
}

// Request parameters are read, or refused with the name of one of them.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{
		"", "pageSize=5&pageToken=x", "historyLength=0&tenant=a", "status=TASK_STATE_WORKING&statusTimestampAfter=2026-01-02T03:04:05Z",
		"includeArtifacts=true&context_id=c", "pageSize=0", "pageSize=1&pageSize=2", "a=%zz", "A2A-Version=1.0", "status_timestamp_after=x", ";", "pageSize=9223372036854775808",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := binding.ParseQuery(raw)
		if err == nil {
			var list *a2a.ListTasksRequest
			if list, err = binding.ListOf(q); err == nil && (list.PageSize < 0 || list.PageSize > 100) {
				t.Errorf("%q asks for %d tasks", raw, list.PageSize)
			}
		}
		var refused *task.Error
		if err != nil && (!errors.As(err, &refused) || len(refused.Message) > 2000) {
			t.Errorf("%q: %v", raw, err)
		}
		if q == nil {
			return
		}
		get, err := binding.GetOf("t", q)
		if err == nil && get.HistoryLength != nil && *get.HistoryLength < 0 {
			t.Errorf("%q asks for %d messages", raw, *get.HistoryLength)
		}
	})
}
