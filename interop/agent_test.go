// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// start makes a task and returns its id before the work is done.
func start(t *testing.T, agentURL, text string) string {
	t.Helper()
	return send(t, agentURL, text, `{"returnImmediately":true}`)
}

// finish makes a task and returns its id when the work is done or parked.
func finish(t *testing.T, agentURL, text string) string {
	t.Helper()
	return send(t, agentURL, text, `{}`)
}

func send(t *testing.T, agentURL, text, configuration string) string {
	t.Helper()
	body := `{"message":{"messageId":"the only one","role":"ROLE_USER","parts":[{"text":"` + text + `"}]},` +
		`"configuration":` + configuration + `}`
	var sent struct {
		Task struct {
			ID string `json:"id"`
		} `json:"task"`
	}
	call(t, http.MethodPost, agentURL+"/message:send", body, &sent)
	if sent.Task.ID == "" {
		t.Fatalf("%q made no task", text)
	}
	return sent.Task.ID
}

func call(t *testing.T, method, url, body string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("A2A-Version", "1.0")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: status %s", method, url, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
}
