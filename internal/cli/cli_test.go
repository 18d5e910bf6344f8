// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/errand-a2a/errand/internal/cli"
)

func TestSend(t *testing.T) {
	t.Parallel()
	for _, streaming := range []bool{true, false} {
		for _, transport := range []string{"JSONRPC", "HTTP+JSON"} {
			how := fmt.Sprintf(" over %s, streaming %v", transport, streaming)
			setup := func(t *testing.T) func(args ...string) result {
				t.Parallel()
				c := call{agent: official(t, streaming), env: []string{"A2ACLI_TRANSPORT=" + transport}}
				return func(args ...string) result { t.Helper(); return c.run(t, args...) }
			}
			t.Run("waits for the task and shows it,"+how, func(t *testing.T) {
				errand := setup(t)
				r := errand("send", "hello", "there")
				r.want(t, 0, "Task: ", "Context: ", "State: TASK_STATE_COMPLETED\n", "Text: you said: hello there\n")
				if strings.Contains(r.out, "History") {
					t.Error("shows a history nobody asked for")
				}
			})
			t.Run("with -o json gives one document, the task in its wrapper,"+how, func(t *testing.T) {
				errand := setup(t)
				r := errand("send", "-o", "json", "hello")
				var doc struct{ Task struct{ ID string } }
				if err := json.Unmarshal([]byte(r.out), &doc); err != nil || doc.Task.ID == "" || r.code != 0 {
					t.Errorf("%d: %s (%v)", r.code, r.out, err)
				}
			})
			t.Run("shows a message that is no task,"+how, func(t *testing.T) {
				errand := setup(t)
				errand("send", "message").want(t, 0, "Message: hi\n")
				errand("send", "-o", "json", "--stream", "message").want(t, 0, `{"message":`)
			})
			t.Run("stops where the task asks, and continues it,"+how, func(t *testing.T) {
				errand := setup(t)
				r := errand("send", "ask")
				id := r.field("Task")
				r.want(t, 0, "State: TASK_STATE_INPUT_REQUIRED", "Message: which?", "Resume: errand send --task-id "+id+` "..."`, "err:warning")
				errand("send", "--task-id", id, "--context-id", r.field("Context"), "this").want(t, 0, "Task: "+id, "COMPLETED", "you said: this")
				errand("send", "--stream", "ask").want(t, 0, "Resume: errand send --task-id ")
				errand("send", "--task-id", "nothing", "x").want(t, 1, "err:TaskNotFoundError", "err:--debug")
				errand("send", "--task-id", "nothing", "--stream", "-o", "json", "x").want(t, 1, `"code":"TaskNotFoundError"`)
			})
			t.Run("ends with 0 and a warning when the task failed,"+how, func(t *testing.T) {
				errand := setup(t)
				errand("send", "fail").want(t, 0, "TASK_STATE_FAILED", "err:warning", "err:it broke")
				errand("send", "--stream", "-o", "json", "fail").want(t, 0, "TASK_STATE_FAILED", "err:warning")
			})
			t.Run("does not wait with --async, and task get --wait does,"+how, func(t *testing.T) {
				errand := setup(t)
				r := errand("send", "--async", "count to 3")
				id := r.field("Task")
				r.want(t, 0, "Context: ", "State: ")
				errand("task", "get", "--wait", "--poll-interval", "50ms", id).want(t, 0, "COMPLETED", "Text: 3\n")
				errand("task", "get", "-o", "json", "--history", "5", id).want(t, 0, `"history"`)
				errand("task", "subscribe", "-o", "json", id).want(t, 0, `{"id":"`+id)
			})
			t.Run("cancels a task, which is no outcome to warn of,"+how, func(t *testing.T) {
				errand := setup(t)
				id := errand("send", "--async", "hang").field("Task")
				r := errand("task", "cancel", id)
				if r.want(t, 0, "Task: "+id, "Context: ", "State: TASK_STATE_CANCELED"); r.errOut != "" {
					t.Errorf("stderr: %s", r.errOut)
				}
			})
			t.Run("gives up at --timeout with 5,"+how, func(t *testing.T) {
				errand := setup(t)
				errand("send", "--timeout", "100ms", "hang").want(t, 5, "err:A2ACLI_ERR_TIMEOUT", "err:100ms")
				errand("send", "--timeout", "100ms", "-o", "json", "hang").want(t, 5, `"code":"A2ACLI_ERR_TIMEOUT"`)
			})
		}
	}
}

func TestStreamedText(t *testing.T) {
	t.Parallel()
	r := call{agent: official(t, true)}.run(t, "send", "--stream", "count to 3")
	r.want(t, 0, "State: TASK_STATE_SUBMITTED\n", "State: TASK_STATE_WORKING\n", "Chunk: 1\nChunk: 2\nChunk: 3\n")
	tail := r.out[strings.LastIndex(r.out, "Chunk: "):]
	for _, label := range []string{"\nTask: ", "\nContext: ", "\nState: TASK_STATE_COMPLETED"} {
		if !strings.Contains(tail, label) {
			t.Errorf("the last event does not restate%s", label)
		}
	}
}

func TestStreamedJSONIsALineAnEvent(t *testing.T) {
	t.Parallel()
	r := call{agent: official(t, true)}.run(t, "send", "--stream", "-o", "json", "count to 3")
	var kinds []string
	for line := range strings.Lines(r.out) {
		var ev map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for k := range ev {
			kinds = append(kinds, k)
		}
	}
	want := []string{"task", "statusUpdate", "artifactUpdate", "artifactUpdate", "artifactUpdate", "statusUpdate"}
	if diff := cmp.Diff(want, kinds); diff != "" || r.errOut != "" {
		t.Errorf("(-want +got):\n%s\nstderr: %s", diff, r.errOut)
	}
}

func taskJSON(state string) string {
	return `{"id":"t1","contextId":"c1","status":{"state":"TASK_STATE_` + state + `"},` +
		`"artifacts":[{"artifactId":"a","parts":[{"data":{"n":12345678901234567890}},{"hologram":"x"},{"data":null}]}],"x":1.50}`
}

func statusJSON(state string) string {
	return `{"statusUpdate":{"taskId":"t1","contextId":"c1","status":{"state":"TASK_STATE_` + state + `"}}}`
}

func chunkJSON(n int) string {
	return fmt.Sprintf(`{"artifactUpdate":{"taskId":"t1","contextId":"c1","append":true,"artifact":{"artifactId":"a","parts":[{"text":"%d"}]}}}`, n)
}

func TestABrokenStreamIsResumedAndSaidSo(t *testing.T) {
	t.Parallel()
	agent := fake(t, "", func(r rpc) {
		switch r.http.Header.Get("Last-Event-ID") {
		case "":
			r.frames(1, `{"task":`+taskJSON("WORKING")+`}`, chunkJSON(1), chunkJSON(2))
			panic(http.ErrAbortHandler)
		case "3":
			r.frames(4, chunkJSON(3), statusJSON("COMPLETED"))
		}
	})
	r := call{agent: agent}.run(t, "send", "--stream", "count")
	r.want(t, 0, "Chunk: 1\nChunk: 2\nChunk: 3\n", "err:errand: connection lost (", "err:; reconnecting\n", "err:errand: resumed after event 3\n")
}

func TestAnswersAreShownAsTheyCame(t *testing.T) {
	t.Parallel()
	list := `{"tasks":[` + taskJSON("WORKING") + `,` + taskJSON("FAILED") + `],"nextPageToken":"n x","pageSize":2,"totalSize":9007199254740993}`
	var listed []string
	agent := fake(t, "", func(r rpc) {
		if r.Method == "ListTasks" {
			listed = append(listed, string(r.Params))
			r.ok(list)
			return
		}
		r.ok(taskJSON("COMPLETED"))
	})
	c := call{agent: agent}
	t.Run("a task as JSON is the agent's own bytes", func(t *testing.T) {
		for _, verb := range []string{"get", "cancel"} {
			if r := c.run(t, "task", verb, "-o", "json", "t1"); r.out != taskJSON("COMPLETED")+"\n" {
				t.Errorf("%s: %s", verb, r.out)
			}
		}
	})
	t.Run("text keeps large numbers and shows parts of unknown kinds", func(t *testing.T) {
		c.run(t, "task", "get", "t1").want(t, 0, "12345678901234567890", "Part:\n{\n  \"hologram\": \"x\"\n}\n\n", "Data:\nnull\n")
	})
	t.Run("a list is one document, or a task a line", func(t *testing.T) {
		if r := c.run(t, "task", "list", "-o", "json"); r.out != list+"\n" {
			t.Errorf("%s", r.out)
		}
		if r := c.run(t, "task", "list", "-o", "json", "--stream"); r.out != taskJSON("WORKING")+"\n"+taskJSON("FAILED")+"\n" {
			t.Errorf("%s", r.out)
		}
		c.run(t, "task", "list").want(t, 0, "Tasks: 2 of 9007199254740993\n", "Next page: n x\n")
	})
	t.Run("a list's filters reach the agent", func(t *testing.T) {
		listed = nil
		c.run(t, "task", "list", "--context-id", "c", "--status", "input-required", "--since", "2026-01-02T03:04:05+01:00",
			"--page-size", "7", "--page-token", "p", "--history", "2", "--include-artifacts").want(t, 0)
		var got map[string]any
		_ = json.Unmarshal([]byte(listed[0]), &got)
		want := map[string]any{
			"contextId": "c", "status": "TASK_STATE_INPUT_REQUIRED", "statusTimestampAfter": "2026-01-02T02:04:05Z",
			"pageSize": 7.0, "pageToken": "p", "historyLength": 2.0, "includeArtifacts": true,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestPartsKeepTheirOrderAndTypes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	var sent []json.RawMessage
	var ids, keys []string
	agent := fake(t, "", func(r rpc) {
		var p struct {
			Message struct {
				MessageID string
				Parts     []json.RawMessage
				Metadata  json.RawMessage
			}
			Metadata json.RawMessage
		}
		_ = json.Unmarshal(r.Params, &p)
		sent = append(p.Message.Parts, p.Message.Metadata, p.Metadata)
		ids, keys = append(ids, p.Message.MessageID), append(keys, r.http.Header.Get("Idempotency-Key"))
		r.frames(1, `{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"ok"}]}}`)
	})
	c := call{agent: agent, stdin: ` {"n": 12345678901234567890} `}
	c.run(t, "send", "first", "--data", "-", "--file", file("r.bin", "%PDF"), "--media-type", "application/pdf",
		"--text", "# t", "--media-type", "text/markdown", "--file", "https://x.test/p.png", "--file", file("a.json", "{}"),
		"--metadata", `{"k":12345678901234567890}`).want(t, 0, "Message: ok")
	want := []string{
		`{"text":"first"}`,
		`{"data":{"n":12345678901234567890},"mediaType":"application/json"}`,
		`{"raw":"JVBERg==","filename":"r.bin","mediaType":"application/pdf"}`,
		`{"text":"# t","mediaType":"text/markdown"}`,
		`{"url":"https://x.test/p.png"}`,
		`{"raw":"e30=","filename":"a.json","mediaType":"application/json"}`,
		`{"k":12345678901234567890}`, `{"k":12345678901234567890}`,
	}
	var got []string
	for _, p := range sent {
		got = append(got, string(p))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ids, keys = nil, nil
	c.run(t, "send", "--idempotency-key", "k1", "x")
	c.run(t, "send", "--idempotency-key", "k1", "x")
	c.run(t, "send", "x")
	if ids[0] != ids[1] || ids[1] == ids[2] || keys[0] != "k1" || keys[1] != "k1" || keys[2] == "" {
		t.Errorf("message ids %q, keys %q", ids, keys)
	}
}

func TestInterruption(t *testing.T) {
	t.Parallel()
	t.Run("a wait for a task lets go of it and says how to come back", func(t *testing.T) {
		t.Parallel()
		for _, args := range [][]string{{}, {"-o", "json"}} {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			agent := fake(t, "", func(r rpc) {
				if r.Method == "GetTask" {
					r.ok(taskJSON("WORKING"))
					return
				}
				r.frames(1, `{"task":`+taskJSON("SUBMITTED")+`}`)
				<-r.http.Context().Done()
			})
			c := call{agent: agent, ctx: ctx, onOut: func(string) { cancel() }}
			c.run(t, append(args, "send", "--stream", "x")...).want(t, 0, "t1", "err:detached", "err:errand task subscribe t1")
		}
	})
	t.Run("a silent wait with -o json still gives one document", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		agent := fake(t, "", func(r rpc) {
			switch r.Method {
			case "GetTask":
				r.ok(taskJSON("WORKING"))
			case "SubscribeToTask": // whoever comes back has seen the task
				cancel()
				<-r.http.Context().Done()
			default:
				r.frames(1, `{"task":`+taskJSON("SUBMITTED")+`}`, statusJSON("WORKING"))
				panic(http.ErrAbortHandler)
			}
		})
		r := call{agent: agent, ctx: ctx}.run(t, "send", "-o", "json", "x")
		if r.want(t, 0, "err:detached"); r.out != `{"task":`+taskJSON("WORKING")+"}\n" {
			t.Errorf("stdout: %s", r.out)
		}
	})
	t.Run("without a task there is nothing to come back to", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		agent := fake(t, "", func(r rpc) { cancel(); <-r.http.Context().Done() })
		call{agent: agent, ctx: ctx}.run(t, "send", "x").want(t, 130, "err:interrupted")
	})
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	agent := fake(t, `,"securitySchemes":{"key":{"apiKeySecurityScheme":{"location":"query","name":"k"}}}`, func(r rpc) {
		if r.http.URL.Query().Get("k") != "good" {
			r.w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.ok(taskJSON("COMPLETED"))
	})
	c := call{agent: agent}
	c.run(t, "task", "get", "t1").want(t, 4, "err:A2ACLI_ERR_CREDENTIALS_MISSING", "err:A2ACLI_API_KEY")
	c.run(t, "task", "get", "t1", "--api-key", "bad").want(t, 4, "err:A2ACLI_ERR_AUTH_FAILED")
	c.run(t, "task", "get", "t1", "--api-key", "bad", "-o", "json").want(t, 4, `"code":"A2ACLI_ERR_AUTH_FAILED"`, `"a2aCode":401`)
	c.run(t, "task", "get", "t1", "--api-key", "good").want(t, 0, "COMPLETED")
}

func TestDebugHidesCredentials(t *testing.T) {
	t.Parallel()
	const bearer, key, param = "bearer-s3cret", "key s3cret/+", "param-s3cret"
	agent := fake(t, `,"securitySchemes":{"key":{"apiKeySecurityScheme":{"location":"query","name":"k"}}}`, func(r rpc) {
		r.w.Header().Set("X-Echo", r.http.Header.Get("Authorization"))
		r.ok(`{"id":"t1","status":{"state":"TASK_STATE_COMPLETED"},"echo":"` + bearer + key + param + strings.Repeat(bearer, 4000) + `"}`)
	})
	r := call{agent: agent}.run(t, "task", "get", "t1", "--debug", "--verbose", "--bearer", bearer, "--api-key", key, "--svc-param", "x-mine: "+param)
	r.want(t, 0, "err:debug: > POST", "err:Authorization: [redacted]", "err:X-Mine: [redacted]", "err:GetTask", "err:… (cut)")
	if strings.Contains(r.errOut, "s3cret") || strings.Contains(r.errOut, "bearer-s") {
		t.Errorf("a credential is in the log:\n%.3000s", r.errOut)
	}
}

func TestInsecureWarns(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"name":"tls","supportedInterfaces":[{"url":"https://x.test","protocolBinding":"JSONRPC"}]}`)
	}))
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	call{agent: s.URL}.run(t, "card", "get").want(t, 3, "err:A2ACLI_ERR_UNREACHABLE", "err:certificate")
	call{agent: s.URL}.run(t, "card", "get", "--insecure", "--bearer", "x").want(t, 0, "Name: tls", "err:WARNING", "err:credentials")
}

func TestSettingsAreTakenInOrder(t *testing.T) {
	t.Parallel()
	home, local := t.TempDir(), filepath.Join(t.TempDir(), "my.env")
	write := func(path, content string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(home, ".config", "a2a-cli", ".env"), "A2ACLI_TIMEOUT=1s\nA2ACLI_A2A_VERSION=1.7\nA2ACLI_STREAM=true\n")
	write(local, "A2ACLI_TIMEOUT=2s\nA2ACLI_BEARER=s3cret\nA2ACLI_VERBOSE=true\n")
	env := []string{"HOME=" + home, "A2ACLI_TIMEOUT=3s", "A2ACLI_TASK_ID=t9"}
	call{env: env}.run(t, "config", "show", "--config", local, "--debug").want(t, 0,
		"timeout: 3s (environment A2ACLI_TIMEOUT)\n", "bearer: [redacted] ("+local+")\n", "verbose: true ("+local+")\n",
		"debug: true (flag)\n", "output: text (default)\n", "a2a-version: 1.7 ("+filepath.Join(home, ".config"), "task-id: t9 (environment",
		"err:chmod 600")
	call{env: env}.run(t, "config", "show", "--timeout", "4s").want(t, 0, "timeout: 4s (flag)\n")
	call{env: env}.run(t, "config", "show", "--config", local+"x").want(t, 2, "err:A2ACLI_ERR_USAGE")
	call{env: []string{"A2ACLI_TIMEOUT=s3cret"}}.run(t, "config", "show").want(t, 2, "err:--timeout")
	call{env: []string{"A2ACLI_OUTPUT=json"}}.run(t, "nonsense").want(t, 2, `"code":"A2ACLI_ERR_USAGE"`)
}

func TestAWaitingTaskEndsTheWait(t *testing.T) {
	t.Parallel()
	t.Run("even where the agent keeps the stream open", func(t *testing.T) {
		t.Parallel()
		agent := fake(t, "", func(r rpc) {
			if r.Method == "GetTask" {
				r.ok(taskJSON("AUTH_REQUIRED"))
				return
			}
			r.frames(1, `{"task":`+taskJSON("WORKING")+`}`, statusJSON("AUTH_REQUIRED"))
			<-r.http.Context().Done()
		})
		for _, args := range [][]string{{"send", "x"}, {"send", "--stream", "x"}, {"task", "subscribe", "t1"}, {"task", "subscribe", "--stream", "t1"}} {
			call{agent: agent}.run(t, append(args, "--timeout", "10s")...).want(t, 0, "State: TASK_STATE_AUTH_REQUIRED", "Resume: errand send --task-id t1")
		}
	})
	t.Run("but not a follow-up whose stream begins with the task as it waited", func(t *testing.T) {
		t.Parallel()
		agent := fake(t, "", func(r rpc) {
			r.frames(7, `{"task":`+taskJSON("INPUT_REQUIRED")+`}`, statusJSON("WORKING"), statusJSON("COMPLETED"))
		})
		call{agent: agent}.run(t, "send", "--stream", "--task-id", "t1", "x").want(t, 0, "State: TASK_STATE_COMPLETED")
	})
}

func TestStreamingIsNeverASetting(t *testing.T) {
	t.Parallel()
	r := call{agent: official(t, true), env: []string{"A2ACLI_STREAM=true"}}.run(t, "send", "-o", "json", "hello")
	if r.want(t, 0); strings.Count(r.out, "\n") != 1 {
		t.Errorf("stdout is no single document: %s", r.out)
	}
}

func TestDevRefusesWhatItCannotServe(t *testing.T) {
	t.Parallel()
	call{}.run(t, "dev", "--store", "memory:", "--listen", "0.0.0.0:0").want(t, 2, "err:loopback addresses only", "err:A2ACLI_ERR_USAGE")
	call{}.run(t, "dev", "--store", "memory:", "--listen", "8080").want(t, 2, "err:want HOST:PORT")
	call{}.run(t, "dev", "--listen", "127.0.0.1:0", "--store", "postgres").want(t, 2, "err:want sqlite:FILE or memory:")
	call{}.run(t, "dev", "--max-losses", "0").want(t, 2, "err:at least 1, or unlimited")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	call{}.run(t, "dev", "--store", "memory:", "--listen", ln.Addr().String()).want(t, 1, "err:cannot listen on", "err:--listen 127.0.0.1:0")
}

func TestDevServesUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	banner, out := io.Pipe()
	var errOut strings.Builder
	code := make(chan int, 1)
	go func() {
		code <- cli.Program{Version: "1.2.3"}.Run(ctx, []string{"dev", "--store", "memory:", "--listen", "127.0.0.1:0"}, strings.NewReader(""), out, &errOut, nil)
		out.Close()
	}()
	lines := bufio.NewScanner(banner)
	var url string
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) > 1 && f[0] == "A2A" {
			url = f[1]
			break
		}
	}
	call{agent: url}.run(t, "send", "hello").want(t, 0, "Text: hello")
	cancel()
	for lines.Scan() {
	}
	if c := <-code; c != 0 {
		t.Errorf("exit status %d, want 0: %s", c, errOut.String())
	}
}

func TestAgentTextCannotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	agent := fake(t, "", func(r rpc) {
		r.ok(`{"id":"t1\nState: X","contextId":"c","status":{"state":"TASK_STATE_WORKING","message":{"parts":[{"text":"a\u001b[2Jb\u0007\u009b\u202ec\r\nd"}]}}}`)
	})
	r := call{agent: agent}.run(t, "task", "get", "t1")
	r.want(t, 0, `Task: t1\nState: X`+"\n", "Message:\na\\x1b[2Jb\\x07\\x9b\\u202ec\nd\n\n")
}

func TestAgentsThatCannotStreamAreSaidTo(t *testing.T) {
	t.Parallel()
	r := call{agent: official(t, false)}.run(t, "send", "--stream", "-o", "json", "hello")
	if r.want(t, 0, "err:does not stream", `{"task":`); strings.Count(r.out, "\n") != 1 {
		t.Errorf("stdout: %s", r.out)
	}
}

func TestPollingOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	n := 0
	agent := fake(t, "", func(r rpc) {
		switch n++; n {
		case 1:
			r.ok(taskJSON("WORKING"))
		case 2:
			panic(http.ErrAbortHandler)
		case 3:
			r.w.WriteHeader(http.StatusBadGateway)
		case 4:
			r.ok(taskJSON("UNSPECIFIED"))
		default:
			r.ok(taskJSON("COMPLETED"))
		}
	})
	start := time.Now()
	call{agent: agent}.run(t, "task", "get", "--wait", "--poll-interval", "50ms", "t1").want(t, 0, "COMPLETED", "err:connection lost", "err:resumed")
	if d := time.Since(start); n != 5 || d < 300*time.Millisecond {
		t.Errorf("%d looks in %s", n, d)
	}
}

func TestVerboseShowsWhatWasSent(t *testing.T) {
	t.Parallel()
	call{agent: official(t, true)}.run(t, "send", "--verbose", "hello", "--metadata", `{"k":"v"}`).want(t, 0,
		"Agent: demo\n", "Interface: JSONRPC 1.0 http", "Sent: ", `"k": "v"`, "History: ROLE_USER")
}
